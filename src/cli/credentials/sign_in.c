#include "cli/credentials/sign_in.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/credentials/keyring.h"
#include "cli/credentials/one_time_code.h"
#include "cli/credentials/record.h"

static const char *const texts[] = {
    [SIGN_IN_SESSION] = "the session of postern login",
    [SIGN_IN_API_KEY] = "POSTERN_API_KEY",
    [SIGN_IN_STORED_API_KEY] = "the API key of the keyring",
    [SIGN_IN_GRANT] = "the grant of the key",
    [SIGN_IN_PASSWORD] = "password and TOTP secret of the keyring",
};

const char *sign_in_text(enum sign_in_way way) { return texts[way]; }

static struct keyring_name name_of(const struct site *site, enum keyring_kind kind) {
    return (struct keyring_name){.site = site->name,
                                 .kind = kind,
                                 .account =
                                     kind == KEYRING_API_KEY ? KEYRING_NO_ACCOUNT : site->username};
}

static err_t refused_before(struct cli *cli, const struct keyring_name *name) {
    const char *kind = keyring_kind_name(name->kind);
    trouble_next(&cli->trouble, "postern --site %s credentials store %s", name->site, kind);
    return trouble_set(&cli->trouble, EXIT_LOGIN,
                       "the authority refused the stored %s; it is not offered again until it "
                       "changes",
                       name->kind == KEYRING_API_KEY ? "API key" : "password or TOTP secret");
}

static err_t by_stored_api_key(struct cli *cli, struct site *site, struct api **out) {
    struct keyring_name name = name_of(site, KEYRING_API_KEY);
    secret_t api_key CLEANUP(secret_done) = {0};
    TRY(keyring_lookup(&name, &api_key));
    return record_is_refused(&name) ? refused_before(cli, &name)
                                    : api_open_as(cli, site, api_key.text, out);
}

static void wait_until(int64_t when) {
    for (int64_t now = clock_now_s(); now < when; now = clock_now_s()) {
        (void)nanosleep(&(struct timespec){.tv_sec = when - now}, NULL);
    }
}

static int64_t step_now(void) { return clock_now_s() / ONE_TIME_STEP_S; }

/* One login with the code of this step. */
static err_t login(struct cli *cli, struct site *site, const secret_t *password,
                   const secret_t *totp) {
    char code[ONE_TIME_DIGITS + 1];
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    int64_t step = step_now();
    TRY(one_time_code(totp, step, code));
    TRY(record_step(site->name, site->username, step));
    TRY(api_open(cli, site, API_ANYONE, &api));
    TRY(api_send(api, HTTP_POST, "/api/v1/auth/login",
                 json_pack("{s:s, s:s, s:s}", "username", site->username, "password",
                           password->text, "totp", code),
                 &answer));
    return api_keep_token(cli, site, NULL, answer);
}

/*
 * The authority takes no code twice and does not say that this was the reason. What this machine
 * sent is known; that a person signed in by hand within the same half minute is not, so that one
 * refusal is worth the next code. Two are a wrong password or secret.
 */
static err_t login_twice(struct cli *cli, struct site *site, const secret_t *password,
                         const secret_t *totp) {
    int64_t last = record_last_step(site->name, site->username);
    bool used = last == step_now();
    if (used) {
        wait_until((last + 1) * ONE_TIME_STEP_S);
    }
    err_t err = login(cli, site, password, totp);
    if (failed(err) && cli->trouble.exit == EXIT_LOGIN && !used) {
        cli->trouble = (struct trouble){0};
        wait_until((step_now() + 1) * ONE_TIME_STEP_S);
        err = login(cli, site, password, totp);
    }
    return err;
}

static err_t by_password(struct cli *cli, struct site *site, struct api **out) {
    struct keyring_name name = name_of(site, KEYRING_PASSWORD);
    struct keyring_name totp_name = name_of(site, KEYRING_TOTP);
    secret_t password CLEANUP(secret_done) = {0};
    secret_t totp CLEANUP(secret_done) = {0};
    if (site->username == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(keyring_lookup(&name, &password));
    TRY(keyring_lookup(&totp_name, &totp));
    if (record_is_refused(&name)) {
        return refused_before(cli, &name);
    }
    err_t err = login_twice(cli, site, &password, &totp);
    if (failed(err) && cli->trouble.exit == EXIT_LOGIN) {
        trouble_next(&cli->trouble, "postern --site %s credentials store password", site->name);
    }
    TRY(err);
    return api_open_as(cli, site, NULL, out);
}

void sign_in_was_refused(const struct site *site, enum sign_in_way way) {
    struct keyring_name name =
        name_of(site, way == SIGN_IN_PASSWORD ? KEYRING_PASSWORD : KEYRING_API_KEY);
    if (way == SIGN_IN_PASSWORD || way == SIGN_IN_STORED_API_KEY) {
        ignore_err(record_refused(&name)); /* not kept: it is refused once more */
    }
}

err_t sign_in(struct cli *cli, struct site *site, enum sign_in_way way, struct api **out) {
    const char *api_key = getenv("POSTERN_API_KEY");
    switch (way) {
    case SIGN_IN_SESSION:
        return api_open_as(cli, site, NULL, out);
    case SIGN_IN_API_KEY:
        return api_key == NULL || api_key[0] == '\0' ? FAIL(ERR_NOT_FOUND)
                                                     : api_open_as(cli, site, api_key, out);
    case SIGN_IN_STORED_API_KEY:
        return by_stored_api_key(cli, site, out);
    case SIGN_IN_PASSWORD:
        return by_password(cli, site, out);
    case SIGN_IN_GRANT: /* gives a certificate, and signs nobody in: grant.h */
    case SIGN_IN_WAYS:
        break;
    }
    return FAIL(ERR_NOT_FOUND);
}
