/* Signing in with a browser: by a page that leads back to a port of this machine (RFC 8252), or by
 * a code that is typed into one elsewhere (RFC 8628). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/account/oauth.h"
#include "cli/api.h"
#include "cli/browser.h"
#include "cli/terminal.h"
#include "net/loopback.h"

enum {
    URL_CHARS_MAX = 8192,
    BROWSER_MS = 5 * 60 * 1000,
    DEVICE_INTERVAL_S = 5,
    DEVICE_INTERVAL_MAX_S = 60,
    DEVICE_S_MAX = 1800,
    DEVICE_AWAY_MS = 60 * 1000,
};

#define PAGE(title, text)                                                                          \
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" title "</title>"            \
    "<style>:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}"                     \
    "main{max-width:24rem;margin:10vh auto}</style><main><h1>" title "</h1><p>" text "</p></main>"

/* ---- to the person ------------------------------------------------------------------------- */

/* On the terminal, also when standard output goes elsewhere; without one, to standard error. */
static void tell(struct terminal *terminal, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(struct terminal *terminal, const char *format, ...) {
    char *text CLEANUP(freep) = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    if (text != NULL && terminal != NULL) {
        terminal_print(terminal, "%s", text);
    } else if (text != NULL) {
        (void)fputs(text, stderr);
    }
}

/* ---- the page that leads back -------------------------------------------------------------- */

struct request {
    char verifier[OAUTH_SECRET_CHARS], challenge[OAUTH_SECRET_CHARS];
    char state[OAUTH_SECRET_CHARS], nonce[OAUTH_SECRET_CHARS];
    char start[LOOPBACK_URL_CHARS + 8], redirect[LOOPBACK_URL_CHARS + 8];
};

static err_t open_loopback(struct oauth *oauth, struct loopback **out) {
    struct trouble *trouble = &oauth->cli->trouble;
    err_t err = loopback_open(oauth->redirect_port, out);
    if (!failed(err)) {
        return OK;
    }
    trouble_next(trouble, "postern login --headless");
    return oauth->redirect_port == 0
               ? trouble_of(trouble, err, "cannot listen on a port of this machine")
               : trouble_of(trouble, err,
                            "cannot listen on port %u of this machine, where %s sends its answers",
                            oauth->redirect_port, oauth->issuer);
}

static err_t prepare(const struct loopback *loopback, struct request *out) {
    TRY(oauth_secret(out->verifier));
    TRY(oauth_secret(out->state));
    TRY(oauth_secret(out->nonce));
    (void)snprintf(out->start, sizeof out->start, "%s/sign-in", loopback_url(loopback));
    (void)snprintf(out->redirect, sizeof out->redirect, "%s/back", loopback_url(loopback));
    return oauth_challenge(out->verifier, out->challenge);
}

static err_t write_url(struct oauth *oauth, const struct request *request, const char *hint,
                       struct buf *out) {
    const char *endpoint = NULL;
    struct buf query CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
    TRY(oauth_endpoint(oauth, "authorization_endpoint", &endpoint));
    TRY(form_add(&query, "response_type", "code"));
    TRY(form_add(&query, "client_id", oauth->client));
    TRY(form_add(&query, "redirect_uri", request->redirect));
    TRY(form_add(&query, "scope", oauth->scope));
    TRY(form_add(&query, "state", request->state));
    TRY(form_add(&query, "nonce", request->nonce));
    TRY(form_add(&query, "code_challenge", request->challenge));
    TRY(form_add(&query, "code_challenge_method", "S256"));
    if (hint != NULL) {
        TRY(form_add(&query, "login_hint", hint));
    }
    TRY(buf_add_format(out, "%s%c", endpoint, strchr(endpoint, '?') == NULL ? '?' : '&'));
    TRY(buf_add(out, buf_span(&query)));
    return buf_add_byte(out, '\0');
}

/* A parameter of the query, decoded; ERR_NOT_FOUND. */
static err_t find_parameter(span_t query, const char *name, char **out) {
    while (query.len > 0) {
        span_t value = span_until(&query, '&');
        span_t key = span_until(&value, '=');
        if (!span_equal_str(key, name)) {
            continue;
        }
        struct buf text CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
        for (size_t i = 0; i < value.len; i++) {
            struct buf byte CLEANUP(buf_done) = BUF(1);
            bool escaped = value.data[i] == '%';
            if (escaped &&
                (i + 2 >= value.len || failed(hex_decode(span_of(value.data + i + 1, 2), &byte)))) {
                return FAIL(ERR_MALFORMED);
            }
            TRY(buf_add_byte(&text, escaped                ? byte.data[0]
                                    : value.data[i] == '+' ? ' '
                                                           : value.data[i]));
            i += escaped ? 2 : 0;
        }
        return buf_to_str(&text, out);
    }
    return FAIL(ERR_NOT_FOUND);
}

/* Whether the answer is to our question: any program here may have sent it. */
static bool is_ours(const struct oauth *oauth, const struct request *request, span_t query) {
    char *state CLEANUP(freep) = NULL;
    char *issuer CLEANUP(freep) = NULL;
    if (failed(find_parameter(query, "state", &state)) ||
        !span_equal_secret(span_str(state), span_str(request->state))) {
        return false;
    }
    /* RFC 9207 section 2.4: an answer of another issuer is one of a mix-up. */
    err_t err = find_parameter(query, "iss", &issuer);
    bool told = member_true(oauth->metadata, "authorization_response_iss_parameter_supported");
    return failed(err) ? err.code == ERR_NOT_FOUND && !told : strcmp(issuer, oauth->issuer) == 0;
}

static err_t await_code(struct oauth *oauth, struct loopback *loopback,
                        const struct request *request, char **code) {
    int64_t deadline_ms = clock_monotonic_ms() + BROWSER_MS;
    for (;;) {
        struct buf query CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
        char *error CLEANUP(freep) = NULL;
        err_t err = loopback_wait(loopback, "/back", deadline_ms, &query);
        if (err.code == ERR_TIMEOUT) {
            trouble_next(&oauth->cli->trouble, "postern login --headless");
            return trouble_set(&oauth->cli->trouble, EXIT_LOGIN,
                               "nobody signed in in the browser within 5 minutes");
        }
        if (err.code == ERR_TOO_LONG) {
            continue;
        }
        TRY(err);
        if (!is_ours(oauth, request, buf_span(&query))) {
            loopback_answer(loopback, 404, PAGE("Not expected", "Nothing here waits for this."));
            continue;
        }
        if (!failed(find_parameter(buf_span(&query), "error", &error))) {
            loopback_answer(loopback, 200,
                            PAGE("Not signed in", "You can close this page and go back."));
            return trouble_set(&oauth->cli->trouble, EXIT_LOGIN,
                               strcmp(error, "access_denied") == 0
                                   ? "the sign-in was cancelled in the browser (%.64s)"
                                   : "the issuer refused the sign-in (%.64s)",
                               text_is_printable(span_str(error)) ? error : "error");
        }
        err = find_parameter(buf_span(&query), "code", code);
        loopback_answer(loopback, failed(err) ? 404 : 200,
                        PAGE("Signed in", "You can close this page and go back to your "
                                          "terminal."));
        if (!failed(err)) {
            return OK;
        }
    }
}

static err_t trade_code(struct oauth *oauth, const struct request *request, const char *code,
                        json_t **tokens) {
    const char *endpoint = NULL;
    char error[OAUTH_ERROR_CHARS];
    struct buf form CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
    TRY(oauth_endpoint(oauth, "token_endpoint", &endpoint));
    TRY(form_add(&form, "grant_type", "authorization_code"));
    TRY(form_add(&form, "client_id", oauth->client));
    TRY(form_add(&form, "code", code));
    TRY(form_add(&form, "redirect_uri", request->redirect));
    TRY(form_add(&form, "code_verifier", request->verifier));
    TRY(oauth_post(oauth, endpoint, &form, error, tokens));
    return error[0] == '\0' ? OK : oauth_trouble(oauth->cli, oauth->issuer, error, *tokens);
}

err_t oauth_by_browser(struct oauth *oauth, struct site *site, const char *hint, json_t **answer) {
    struct loopback *loopback CLEANUP(loopback_closep) = NULL;
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    struct request request;
    struct buf url CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
    char *code CLEANUP(freep) = NULL;
    json_t *tokens CLEANUP(json_freep) = NULL;
    ignore_err(terminal_open(&terminal)); /* then standard error has to do */
    TRY(open_loopback(oauth, &loopback));
    TRY(prepare(loopback, &request));
    TRY(write_url(oauth, &request, hint, &url));
    loopback_lead(loopback, "/sign-in", (const char *)url.data);
    tell(terminal,
         "Sign in in the browser that opens now. If none does, open this address on this machine,\n"
         "or begin anew with postern login --headless to use a browser on another one:\n\n"
         "  %s\n\nWaiting …\n",
         request.start);
    browser_open(request.start);
    TRY(await_code(oauth, loopback, &request, &code));
    TRY(trade_code(oauth, &request, code, &tokens));
    return oauth_keep(oauth, site, request.nonce, tokens, answer);
}

/* ---- the code that is typed elsewhere ------------------------------------------------------ */

static void show_code(struct terminal *terminal, const json_t *offer) {
    const char *whole = member_text(offer, "verification_uri_complete");
    tell(terminal, "On any machine with a browser, open\n\n  %s\n\nand enter the code  %s\n",
         member_text(offer, "verification_uri"), member_text(offer, "user_code"));
    if (whole[0] != '\0' && terminal != NULL) {
        terminal_print(terminal, "\nor scan this:\n\n");
        terminal_show_qr(terminal, whole);
    }
    tell(terminal, "\nWaiting …\n");
}

static void rest(long long seconds) {
    const struct timespec time = {.tv_sec = (time_t)seconds};
    (void)nanosleep(&time, NULL);
}

/* An issuer that starts anew is away for seconds, and knows afterwards what it was asked for. */
static bool is_away(struct oauth *oauth, err_t err, const char *error, int64_t *since_ms) {
    int64_t now_ms = clock_monotonic_ms();
    bool away = failed(err) ? oauth->cli->trouble.exit == EXIT_NETWORK
                            : strcmp(error, "server_error") == 0 ||
                                  strcmp(error, "temporarily_unavailable") == 0;
    *since_ms = !away ? 0 : *since_ms != 0 ? *since_ms : now_ms;
    if (!away || now_ms - *since_ms > DEVICE_AWAY_MS) {
        return false;
    }
    oauth->cli->trouble = (struct trouble){.exit = EXIT_DONE};
    return true;
}

/* RFC 8628 section 3.5. */
static err_t poll_device(struct oauth *oauth, const json_t *offer, json_t **tokens) {
    const char *endpoint = NULL, *code = NULL;
    struct buf form CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
    long long interval = member_number(offer, "interval"),
              life = member_number(offer, "expires_in");
    interval = interval < 1 ? DEVICE_INTERVAL_S : interval;
    life = life < 1 || life > DEVICE_S_MAX ? DEVICE_S_MAX : life;
    TRY(answer_text(oauth->cli, offer, "device_code", &code));
    TRY(oauth_endpoint(oauth, "token_endpoint", &endpoint));
    TRY(form_add(&form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code"));
    TRY(form_add(&form, "client_id", oauth->client));
    TRY(form_add(&form, "device_code", code));
    int64_t deadline_ms = clock_monotonic_ms() + life * 1000, away_since_ms = 0;
    while (clock_monotonic_ms() < deadline_ms) {
        char error[OAUTH_ERROR_CHARS];
        json_t *answer CLEANUP(json_freep) = NULL;
        rest(interval > DEVICE_INTERVAL_MAX_S ? DEVICE_INTERVAL_MAX_S : interval);
        err_t err = oauth_post(oauth, endpoint, &form, error, &answer);
        if (is_away(oauth, err, error, &away_since_ms)) {
            continue;
        }
        TRY(err);
        if (error[0] == '\0') {
            *tokens = TAKE(answer);
            return OK;
        }
        if (strcmp(error, "slow_down") == 0) {
            interval += DEVICE_INTERVAL_S;
        } else if (strcmp(error, "authorization_pending") != 0) {
            return oauth_trouble(oauth->cli, oauth->issuer, error, answer);
        }
    }
    trouble_next(&oauth->cli->trouble, "postern login --headless");
    return trouble_set(&oauth->cli->trouble, EXIT_LOGIN, "nobody entered the code in time");
}

err_t oauth_by_device(struct oauth *oauth, struct site *site, json_t **answer) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    const char *endpoint = NULL;
    char error[OAUTH_ERROR_CHARS], nonce[OAUTH_SECRET_CHARS];
    struct buf form CLEANUP(buf_done) = BUF(URL_CHARS_MAX);
    json_t *offer CLEANUP(json_freep) = NULL;
    json_t *tokens CLEANUP(json_freep) = NULL;
    ignore_err(terminal_open(&terminal)); /* then standard error has to do */
    TRY(oauth_secret(nonce));
    TRY(oauth_endpoint(oauth, "device_authorization_endpoint", &endpoint));
    TRY(form_add(&form, "client_id", oauth->client));
    TRY(form_add(&form, "scope", oauth->scope));
    TRY(oauth_post(oauth, endpoint, &form, error, &offer));
    if (error[0] != '\0') {
        return oauth_trouble(oauth->cli, oauth->issuer, error, offer);
    }
    show_code(terminal, offer);
    TRY(poll_device(oauth, offer, &tokens));
    return oauth_keep(oauth, site, "", tokens, answer);
}
