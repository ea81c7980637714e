/* postern login, logout: the bearer token of a person, by a browser, by a code for one elsewhere,
 * or by a password. Passwords and codes come from the terminal alone. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/account/ask.h"
#include "cli/account/kerberos.h"
#include "cli/account/oauth.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "cli/terminal.h"
#include "net/http_url.h"
#include "net/tls.h"

#define KERBEROS_PATH "/api/v1/auth/kerberos"

enum { INVITATION_CHARS_MAX = 1024 };

static err_t report(struct cli *cli, const struct site *site, const json_t *answer) {
    struct token token CLEANUP(token_done) = {0};
    TRY(token_load(&cli->trouble, site, NULL, &token));
    char until[80];
    int64_t ends_at = token.refresh.len > 0 ? token.ends_at : token.expires_at;
    time_and_distance(ends_at, until);
    if (cli->json) {
        char expires[TIME_CHARS];
        time_print_utc(ends_at, expires);
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s}", "site", site->name, "username",
                      member_text(answer, "username"), "expireTime", expires);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("Signed in at %s as %s until %s.\n", site->name, member_text(answer, "username"),
                 until);
    return OK;
}

/* Not blocking a login: it may be what a person does about it. */
static void refresh_quietly(struct cli *cli, struct site *site) {
    struct trouble kept = cli->trouble;
    if (failed(api_refresh_document(cli, site))) {
        print_warning("%s", cli->trouble.what);
    }
    cli->trouble = kept;
}

static err_t ask_username(struct cli *cli, struct terminal *terminal, const struct site *site,
                          const char *given, char **out) {
    const char *otherwise = site->username != NULL ? site->username : getenv("USER");
    char prompt[128];
    if (given != NULL) {
        *out = strdup(given);
        return *out != NULL ? OK : FAIL(ERR_MEMORY);
    }
    if (otherwise == NULL || otherwise[0] == '\0') {
        (void)snprintf(prompt, sizeof prompt, "User name: ");
    } else {
        (void)snprintf(prompt, sizeof prompt, "User name [%.64s]: ", otherwise);
    }
    char *answer CLEANUP(freep) = NULL;
    TRY(terminal_ask(terminal, prompt, &answer));
    if (answer[0] == '\0' && (otherwise == NULL || otherwise[0] == '\0')) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "no user name was given");
    }
    *out = answer[0] != '\0' ? TAKE(answer) : strdup(otherwise);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

static void warn_of_recovery(const json_t *answer) {
    if (json_object_get(answer, "recoveryCodesLeft") != NULL) {
        print_warning("recovery codes left: %lld; for another authenticator: postern account "
                      "factor add-totp; for new codes: postern account factor recovery-codes",
                      member_number(answer, "recoveryCodesLeft"));
    }
}

static err_t login_password(struct cli *cli, struct terminal *terminal, struct site *site,
                            const char *given) {
    char *username CLEANUP(freep) = NULL;
    secret_t password CLEANUP(secret_done) = {0};
    char code[ASK_CODE_CHARS];
    TRY(ask_username(cli, terminal, site, given, &username));
    TRY(terminal_ask_secret(terminal, "Password: ", &password));
    TRY(ask_code(terminal, true, code));
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_open(cli, site, API_ANYONE, &api));
    TRY(api_send(api, HTTP_POST, "/api/v1/auth/login",
                 json_pack("{s:s, s:s, s:s}", "username", username, "password",
                           password.len > 0 ? password.text : "", "totp", code),
                 &answer));
    TRY(api_keep_token(cli, site, NULL, answer));
    refresh_quietly(cli, site);
    warn_of_recovery(answer);
    return report(cli, site, answer);
}

/* A password that the authority refuses is asked for again. */
static err_t set_password(struct cli *cli, struct terminal *terminal, struct api *api,
                          const char *invitation, json_t **answer) {
    for (int tries = 1;; tries++) {
        secret_t password CLEANUP(secret_done) = {0};
        TRY(ask_new_password(terminal, &password));
        err_t err = api_send(
            api, HTTP_POST, "/api/v1/auth/invitation",
            json_pack("{s:s, s:s}", "invitation", invitation, "password", password.text), answer);
        if (!failed(err) || tries == ASK_TRIES ||
            strcmp(api_problem_code(api), "password_refused") != 0) {
            return err;
        }
        terminal_print(terminal, "%s\n", cli->trouble.what);
        cli->trouble = (struct trouble){0};
    }
}

static err_t confirm_code(struct cli *cli, struct terminal *terminal, struct api *api,
                          const char *invitation, json_t **answer) {
    for (int tries = 1;; tries++) {
        char code[ASK_CODE_CHARS];
        TRY(ask_code(terminal, false, code));
        err_t err =
            api_send(api, HTTP_POST, "/api/v1/auth/invitation/confirm",
                     json_pack("{s:s, s:s}", "invitation", invitation, "totp", code), answer);
        if (!failed(err) || tries == ASK_TRIES || cli->trouble.exit != EXIT_LOGIN) {
            return err;
        }
        terminal_print(terminal, "%s\n", cli->trouble.what);
        cli->trouble = (struct trouble){0};
    }
}

/* Everybody on this machine sees the words of our command line, and could use it before the person
 * has chosen a password: it is taken out of them. */
static err_t take_invitation(struct terminal *terminal, const char *given, secret_t *out) {
    if (strcmp(given, "-") == 0) {
        return terminal_ask_secret(terminal, "Invitation: ", out);
    }
    err_t err = secret_copy(span_str(given), INVITATION_CHARS_MAX, out);
    secret_wipe((char *)(uintptr_t)given, strlen(given));
    return err;
}

static err_t login_invitation(struct cli *cli, struct terminal *terminal, struct site *site,
                              const char *given) {
    secret_t invitation CLEANUP(secret_done) = {0};
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *offer CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const char *secret = NULL;
    const char *uri = NULL;
    TRY(take_invitation(terminal, given, &invitation));
    if (invitation.len == 0) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "no invitation was given");
    }
    TRY(api_open(cli, site, API_ANYONE, &api));
    TRY(set_password(cli, terminal, api, invitation.text, &offer));
    TRY(answer_text(cli, offer, "totpSecret", &secret));
    TRY(answer_text(cli, offer, "totpUri", &uri));
    ask_show_totp_secret(terminal, uri, secret);
    TRY(confirm_code(cli, terminal, api, invitation.text, &answer));
    TRY(api_keep_token(cli, site, NULL, answer));
    refresh_quietly(cli, site);
    return report(cli, site, answer);
}

/* Password and code are asked at the terminal, which must be there. */
static err_t login_at_terminal(struct cli *cli, struct site *site,
                               const struct arguments *arguments) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        return trouble_set(&cli->trouble, EXIT_LOGIN,
                           "there is no terminal to ask for a password at; services set "
                           "POSTERN_API_KEY instead of signing in");
    }
    const char *invitation = arguments_value(arguments, "invitation");
    err_t err = invitation != NULL
                    ? login_invitation(cli, terminal, site, invitation)
                    : login_password(cli, terminal, site, arguments_value(arguments, "user"));
    if (err.code == ERR_CLOSED && cli->trouble.what[0] == '\0') {
        return trouble_set(&cli->trouble, EXIT_LOGIN, "nothing was answered");
    }
    return err;
}

/* ---- by a Kerberos ticket ------------------------------------------------------------------- */

/* The authority's host as its URL says it: nobody else may say for whom a ticket is. */
static err_t host_of(struct cli *cli, const struct site *site,
                     char out[LIMIT_HOST_NAME_CHARS + 1]) {
    struct http_url url;
    struct fault fault = {.reason = ""};
    err_t err = http_url_parse(site->url, &url, &fault);
    if (failed(err)) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s: %s", site->url, fault.reason);
    }
    (void)snprintf(out, LIMIT_HOST_NAME_CHARS + 1, "%s", url.host);
    return OK;
}

/* A token is good once, so each try has its own. With an empty code, none goes along. */
static err_t try_ticket(struct cli *cli, struct api *api, const char *host, const char *code,
                        json_t **answer) {
    struct kerberos *kerberos CLEANUP(kerberos_freep) = NULL;
    json_t *found CLEANUP(json_freep) = NULL;
    struct buf binding CLEANUP(buf_done) = BUF(TLS_BINDING_BYTES_MAX);
    err_t err = api_tls_binding(api, &binding);
    TRY(err.code == ERR_NOT_FOUND ? OK : err);
    TRY(kerberos_begin(cli, host, buf_span(&binding), &kerberos));
    TRY(api_set_authorization(api, kerberos_authorization(kerberos)));
    TRY(api_send(api, HTTP_POST, KERBEROS_PATH,
                 code[0] != '\0' ? json_pack("{s:s}", "totp", code) : json_object(), &found));
    TRY(kerberos_finish(cli, kerberos, api_challenge(api)));
    *answer = TAKE(found);
    return OK;
}

static err_t try_ticket_and_code(struct cli *cli, struct api *api, const char *host,
                                 json_t **answer) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    char code[ASK_CODE_CHARS];
    cli->trouble = (struct trouble){0};
    if (failed(terminal_open(&terminal))) {
        return trouble_set(&cli->trouble, EXIT_LOGIN,
                           "this site asks for a one-time code besides the Kerberos ticket, and "
                           "there is no terminal to ask for it at");
    }
    terminal_print(terminal, "Besides the ticket a code is asked for. (With a passkey instead: "
                             "postern login)\n");
    TRY(ask_code(terminal, true, code));
    return try_ticket(cli, api, host, code, answer);
}

static err_t login_by_ticket(struct cli *cli, struct site *site) {
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char host[LIMIT_HOST_NAME_CHARS + 1];
    TRY(host_of(cli, site, host));
    TRY(api_open(cli, site, API_ANYONE, &api));
    /* RFC 4559 section 4: asked for first, which also opens the connection to bind to. */
    err_t err = api_call(api, HTTP_POST, KERBEROS_PATH, NULL);
    if (!failed(err) || strcmp(api_problem_code(api), "negotiate") != 0) {
        return failed(err) ? err : FAIL(ERR_PROTOCOL);
    }
    cli->trouble = (struct trouble){0};
    err = try_ticket(cli, api, host, "", &answer);
    if (failed(err) && strcmp(api_problem_code(api), "code_required") == 0) {
        err = try_ticket_and_code(cli, api, host, &answer);
    }
    if (failed(err) && strcmp(api_problem_code(api), "invalid_ticket") == 0) {
        trouble_next(&cli->trouble, "%s", kerberos_remedy(cli->trouble.what));
    }
    TRY(err);
    TRY(api_keep_token(cli, site, NULL, answer));
    refresh_quietly(cli, site);
    warn_of_recovery(answer);
    return report(cli, site, answer);
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

/* A browser that opens here would be seen by whoever types: not so over SSH, nor without a display.
 */
static bool has_browser(void) {
#ifdef __APPLE__
    bool display = true;
#else
    bool display = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") || is_set("BROWSER");
#endif
    return display && !is_set("SSH_CONNECTION") && !is_set("SSH_TTY");
}

static bool has_terminal(void) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    return !failed(terminal_open(&terminal));
}

static err_t login_by_issuer(struct cli *cli, struct site *site,
                             const struct arguments *arguments) {
    struct oauth oauth CLEANUP(oauth_done) = {.embedded = false};
    json_t *answer CLEANUP(json_freep) = NULL;
    bool headless = arguments_has(arguments, "headless") || !has_browser();
    if (headless && !arguments_has(arguments, "headless") && !has_terminal()) {
        return trouble_set(&cli->trouble, EXIT_LOGIN,
                           "there is neither a browser nor a terminal to sign in with; services "
                           "set POSTERN_API_KEY instead of signing in");
    }
    TRY(oauth_open(cli, site, arguments_value(arguments, "issuer"), &oauth));
    TRY(headless ? oauth_by_device(&oauth, site, &answer)
                 : oauth_by_browser(&oauth, site, site->username, &answer));
    refresh_quietly(cli, site);
    return report(cli, site, answer);
}

static err_t login_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    if (arguments_has(arguments, "kerberos")) {
        return login_by_ticket(cli, site);
    }
    bool typed = arguments_has(arguments, "password") ||
                 arguments_value(arguments, "user") != NULL ||
                 arguments_value(arguments, "invitation") != NULL;
    return typed ? login_at_terminal(cli, site, arguments) : login_by_issuer(cli, site, arguments);
}

static err_t logout_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct site *site CLEANUP(site_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    struct api *api CLEANUP(api_closep) = NULL;
    err_t err = api_open(cli, site, API_SIGNED_IN, &api);
    if (!failed(err)) {
        err = api_call(api, HTTP_POST, "/api/v1/auth/logout", NULL);
    }
    /* Not being signed in (any more) is what was wanted; and the token goes in any case. */
    bool done = !failed(err) || cli->trouble.exit == EXIT_LOGIN;
    const char *api_key = getenv("POSTERN_API_KEY");
    TRY(token_remove(&cli->trouble, site, api_key != NULL && api_key[0] != '\0' ? api_key : NULL));
    if (!done) {
        return err;
    }
    if (cli->json) {
        json_t *empty CLEANUP(json_freep) = json_object();
        return print_json(empty);
    }
    (void)printf("Signed out at %s.\n", site->name);
    return OK;
}

static const struct option options[] = {
    {0, "headless", NULL,
     "show a code for a browser on another machine; so by itself over SSH or without a display"},
    {0, "password", NULL, "ask for password and code here, without a browser"},
    {'u', "user", "NAME", "who signs in, with --password"},
    {0, "kerberos", NULL, "by the ticket that kinit obtained"},
    {0, "issuer", "URL", "by which of the site's issuers"},
    {0, "invitation", "CODE",
     "first sign-in, or after a reset: choose password and authenticator; - to be asked"},
    {.name = NULL},
};

const struct command command_login = {
    .name = "login",
    .arguments = "",
    .summary = "Sign in, with a browser or at the terminal",
    .details =
        "Opens a browser, or shows a code for one on another machine. With --password, password and\n"
        "code are asked at the terminal; with --kerberos the ticket of kinit is shown. Services set POSTERN_API_KEY instead.",
    .options = options,
    .run = login_run,
};

const struct command command_logout = {
    .name = "logout",
    .arguments = "",
    .summary = "End the session and forget its token",
    .run = logout_run,
};
