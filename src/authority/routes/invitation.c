#include "authority/routes/invitation.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/factor.h"
#include "authority/routes/login.h"
#include "authority/routes/publish.h"
#include "authority/routes/session.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"
#include "identity/password.h"
#include "identity/qr.h"
#include "identity/totp.h"

enum {
    CODE_CHARS_MAX = 32,
    TOKEN_TEXT_CHARS = 2 * TOKEN_CHARS,                /* of what may be no token */
    PASSWORD_TEXT_CHARS = 4 * LIMIT_PASSWORD_CHARS_MAX /* password_judge() explains the limit */
};

struct acceptance {
    char invitation[HASH_CHARS]; /* "" when the text is nothing like one */
    char code[CODE_CHARS_MAX + 1];
    secret_t password;
    char password_hash[128];
    bool hashed;
    struct session_cookie cookie;
};

static void release(void *own) {
    struct acceptance *acceptance = own;
    secret_done(&acceptance->password);
    secret_wipe(acceptance, sizeof *acceptance);
}

void invitation_issue(struct call *call, const struct account *account, json_t *answer) {
    struct store *store = call_store(call);
    struct login login = {0};
    err_t err = store_login_get(store, account->id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return;
    }
    login.account_id = account->id;
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS] = "";
    random_bytes(random, sizeof random);
    err = token_make(TOKEN_INVITATION, random, token, login.invitation_hash);
    secret_wipe(random, sizeof random);
    login.invitation_expires_at = call->now + INVITATION_S;
    /* What somebody prepared with the older invitation must not be confirmed with this one. */
    login.pending_password_hash[0] = '\0';
    login.pending_totp_hex[0] = '\0';
    if (call_ok(call, err, "the invitation") &&
        call_ok(call, store_login_put(store, &login), "the invitation")) {
        const char *url = call->authority->config->public_url;
        int set = json_object_set_new(answer, "invitation", json_string(token));
        set |= json_object_set_new(answer, "invitationUrl",
                                   json_sprintf("%s/invitation#%s", url, token));
        set |= json_object_set_new(answer, "invitationExpireTime",
                                   call_json_time(login.invitation_expires_at));
        (void)call_ok(call, set == 0 ? OK : FAIL(ERR_MEMORY), "the invitation");
    }
    secret_wipe(token, sizeof token);
}

bool invitation_withdraw(struct call *call, const struct account *account) {
    struct store *store = call_store(call);
    struct login login = {0};
    err_t err = store_login_get(store, account->id, &login);
    if (!failed(err) && login.password_hash[0] == '\0' && login.invitation_hash[0] != '\0') {
        login.invitation_hash[0] = '\0';
        login.invitation_expires_at = 0;
        login.pending_password_hash[0] = '\0';
        login.pending_totp_hex[0] = '\0';
        err = store_login_put(store, &login);
    }
    secret_wipe(&login, sizeof login);
    return err.code == ERR_NOT_FOUND || call_ok(call, err, "the login");
}

static err_t read_invitation(struct call *call, struct acceptance *own) {
    const char *text = NULL;
    TRY(call_read_string(call, "invitation", CALL_REQUIRED, TOKEN_TEXT_CHARS, &text));
    /* A malformed one is refused like an unknown one, in run(), and leaves the same trace. */
    ignore_err(token_hash(TOKEN_INVITATION, span_str(text), own->invitation));
    return OK;
}

err_t invitation_read(struct call *call) {
    struct acceptance *own = call_own(call, sizeof *own, release);
    const char *password = NULL;
    TRY(login_guard_admit_token(call));
    TRY(read_invitation(call, own));
    TRY(call_read_string(call, "password", CALL_REQUIRED, PASSWORD_TEXT_CHARS, &password));
    err_t err = secret_copy(span_str(password), PASSWORD_TEXT_CHARS, &own->password);
    return call_ok(call, err, "the password") ? OK : err;
}

err_t invitation_confirm_read(struct call *call) {
    struct acceptance *own = call_own(call, sizeof *own, release);
    const char *code = NULL;
    TRY(login_guard_admit_token(call));
    TRY(read_invitation(call, own));
    TRY(call_read_string(call, "totp", CALL_REQUIRED, CODE_CHARS_MAX, &code));
    (void)snprintf(own->code, sizeof own->code, "%s", code);
    return session_cookie_read(call, &own->cookie);
}

err_t invitation_about_read(struct call *call) {
    struct acceptance *own = call_own(call, sizeof *own, release);
    TRY(login_guard_admit_token(call));
    return read_invitation(call, own);
}

/* The login that the invitation is for; else a problem, the same one for every reason. */
static bool find(struct call *call, const struct acceptance *own, struct login *login,
                 struct account *account) {
    struct store *store = call_store(call);
    const char *reason = NULL;
    err_t err = own->invitation[0] == '\0'
                    ? FAIL(ERR_NOT_FOUND)
                    : store_login_find_invitation(store, own->invitation, login);
    if (err.code == ERR_NOT_FOUND) {
        reason = "no such invitation";
    } else if (!call_ok(call, err, "the invitation") ||
               !call_ok(call, store_account_get(store, login->account_id, account),
                        "the account")) {
        return false;
    } else {
        call_actor(call, account->name);
        reason = login->invitation_expires_at <= call->now ? "the invitation has expired"
                 : account->disabled                       ? "the account is disabled"
                                                           : NULL;
    }
    if (reason != NULL) {
        call_audit(call, account->name, false, "invalid_invitation", reason);
        call_problem(call, 401, "invalid_invitation", "invitation",
                     "this invitation is not valid (any more); an invitation works once and for "
                     "two days; ask for a new one");
    }
    return reason == NULL;
}

void invitation_about_run(struct call *call) {
    const struct acceptance *own = call_own(call, sizeof *own, release);
    struct login login = {0};
    struct account account = {0};
    if (find(call, own, &login, &account)) {
        call_unrecorded(call); /* nothing came of it yet */
        call_answer(call, 200,
                    json_pack("{s:s,s:s,s:o}", "username", account.name, "displayName",
                              account.display_name, "expireTime",
                              call_json_time(login.invitation_expires_at)));
    }
    secret_wipe(&login, sizeof login);
}

static void hash_password(struct call *call) {
    struct acceptance *own = call_own(call, sizeof *own, release);
    own->hashed = !failed(
        password_hash(&own->password, &call->authority->config->password_cost, own->password_hash));
}

void invitation_answer_secret(struct call *call, const struct account *account, span_t secret) {
    char base32[64], uri[TOTP_URI_CHARS];
    struct buf rows CLEANUP(buf_done) = BUF(QR_ROWS_BYTES);
    err_t err = totp_base32(secret, base32);
    err = failed(err) ? err
                      : totp_uri(secret, call->authority->config->site_name, account->name, uri);
    err = failed(err) ? err : qr_rows(uri, &rows);
    err = failed(err) ? err : buf_add_byte(&rows, '\0');
    if (call_ok(call, err, "the one-time code's secret")) {
        call_answer(call, 200,
                    json_pack("{s:s,s:s,s:s,s:o}", "username", account->name, "totpSecret", base32,
                              "totpUri", uri, "totpQr", call_json_lines((const char *)rows.data)));
    }
    secret_wipe(base32, sizeof base32);
    secret_wipe(uri, sizeof uri);
}

static err_t set_pending(struct login *login, const char *password_hash, span_t secret) {
    struct buf hex CLEANUP(buf_done) = BUF(sizeof login->pending_totp_hex - 1);
    TRY(hex_encode(secret, &hex));
    memcpy(login->pending_totp_hex, hex.data, hex.len);
    login->pending_totp_hex[hex.len] = '\0';
    memcpy(login->pending_password_hash, password_hash, sizeof login->pending_password_hash);
    return OK;
}

static void prepare(struct call *call) {
    const struct acceptance *own = call_own(call, sizeof *own, release);
    struct login login = {0};
    struct account account = {0};
    if (!find(call, own, &login, &account) ||
        !call_ok(call, own->hashed ? OK : FAIL(ERR_MEMORY), "the password")) {
        return;
    }
    call_audit(call, account.name, true, "ok", NULL);
    uint8_t secret[TOTP_SECRET_BYTES];
    random_bytes(secret, sizeof secret);
    err_t err = set_pending(&login, own->password_hash, span_of(secret, sizeof secret));
    err = failed(err) ? err : store_login_put(call_store(call), &login);
    if (call_ok(call, err, "the invitation")) {
        invitation_answer_secret(call, &account, span_of(secret, sizeof secret));
    }
    secret_wipe(secret, sizeof secret);
}

void invitation_run(struct call *call) {
    const struct acceptance *own = call_own(call, sizeof *own, release);
    struct login login = {0};
    struct account account = {0};
    struct fault fault = {0};
    if (!find(call, own, &login, &account)) {
        return;
    }
    if (failed(password_judge(&own->password, account.name, &fault))) {
        call_audit(call, account.name, false, "password_refused", fault.reason);
        call_fault(call, "password_refused", &fault);
        return;
    }
    call_defer(call, hash_password, prepare);
}

static bool take_pending(struct login *login, const struct acceptance *own, int64_t now) {
    struct buf secret CLEANUP(buf_done) = BUF(sizeof login->totp_secret);
    int64_t step = -1;
    if (login->pending_password_hash[0] == '\0' ||
        failed(hex_decode(span_str(login->pending_totp_hex), &secret)) ||
        failed(totp_verify(buf_span(&secret), span_str(own->code), now, &step))) {
        return false;
    }
    memcpy(login->totp_secret, secret.data, secret.len);
    login->totp_secret_bytes = (uint8_t)secret.len;
    login->totp_last_step = step;
    memcpy(login->password_hash, login->pending_password_hash, sizeof login->password_hash);
    secret_wipe(login->pending_totp_hex, sizeof login->pending_totp_hex);
    login->pending_password_hash[0] = '\0';
    login->invitation_hash[0] = '\0';
    login->invitation_expires_at = 0;
    login->failures = 0;
    login->locked_until = 0;
    login->window_until = 0; /* from now on the password alone lets in nowhere */
    return true;
}

static void open_session(struct call *call, const struct account *account) {
    struct acceptance *own = call_own(call, sizeof *own, release);
    if (own->cookie.wanted) {
        session_cookie_open(call, account, SESSION_METHODS_PASSWORD, &own->cookie);
    } else {
        session_open(call, account, NULL);
    }
}

void invitation_confirm_run(struct call *call) {
    const struct acceptance *own = call_own(call, sizeof *own, release);
    struct login login = {0};
    struct account account = {0};
    if (!find(call, own, &login, &account)) {
        return;
    }
    bool had_window = login.window_until != 0;
    if (!take_pending(&login, own, call->now)) {
        call_audit(call, account.name, false, "invalid_credentials", "wrong one-time code");
        call_problem(call, 401, "invalid_credentials", "totp",
                     "the one-time code is wrong; check the clock of the device that makes it, and "
                     "that it holds the secret of the last attempt");
        return;
    }
    call_audit(call, account.name, true, "ok", NULL);
    struct store *store = call_store(call);
    struct candidate candidate = {.account = account};
    login_note_success(call, DOOR_SIGN_IN, call->source, account.name, &candidate);
    /* Whoever was signed in with what is now replaced, or could be, is not any more. */
    if (call_ok(call, store_login_put(store, &login), "the login") &&
        factor_drop_others(call, account.id) && session_end_all(call, account.id)) {
        if (had_window) {
            publish_account(call, &account);
        }
        open_session(call, &account);
    }
    secret_wipe(&login, sizeof login);
}

void invitation_finish(struct call *call) {
    const struct acceptance *own = call_own(call, sizeof *own, release);
    session_cookie_set(call, &own->cookie);
    login_guard_credit_token(call);
    call_send(call);
}
