#include "authority/browser.h"

#include <sodium.h>
#include <stdio.h>
#include <strings.h>

#include "authority/authority.h"
#include "base/random.h"
#include "base/text.h"

enum { FORM_TOKEN_BYTES = 32, FORM_TOKEN_S = 24 * 3600, VISIT_S = 600 };

/* "__Host-": the browser itself holds it to this host, https and the whole path (RFC 6265bis
 * section 4.1.3.2). Plain HTTP is for a loopback address alone. */
static void name_of(const struct call *call, const char *name, char out[64]) {
    bool https = strncmp(call->authority->config->public_url, "https://", 8) == 0;
    (void)snprintf(out, 64, "%sposterngate-%s", https ? "__Host-" : "", name);
}

/* The value of a cookie; ERR_NOT_FOUND. One that is there twice is as good as none. */
static err_t read_cookie(const struct call *call, const char *name, span_t *out) {
    char full[64];
    const char *header = http_request_header(call->request, "cookie");
    span_t rest = span_str(header != NULL ? header : ""), found = {NULL, 0};
    name_of(call, name, full);
    while (rest.len > 0) {
        span_t pair = span_until(&rest, ';');
        while (pair.len > 0 && pair.data[0] == ' ') {
            pair = span_of(pair.data + 1, pair.len - 1);
        }
        span_t value = pair, key = span_until(&value, '=');
        if (span_equal_str(key, full)) {
            if (found.data != NULL) {
                return FAIL(ERR_NOT_FOUND);
            }
            found = value;
        }
    }
    *out = found;
    return found.data != NULL ? OK : FAIL(ERR_NOT_FOUND);
}

static void set_cookie(struct call *call, const char *name, const char *value, int64_t seconds,
                       const char *same_site) {
    char full[64], header[BROWSER_COOKIE_CHARS];
    name_of(call, name, full);
    bool secure = full[0] == '_';
    (void)snprintf(header, sizeof header, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=%s%s",
                   full, value, (long long)seconds, same_site, secure ? "; Secure" : "");
    call_header(call, "Set-Cookie", header);
}

/* ---- forms --------------------------------------------------------------------------------- */

static bool is_form_token(span_t text) {
    struct buf bytes CLEANUP(buf_done) = BUF(FORM_TOKEN_BYTES);
    return text.len == BROWSER_FORM_TOKEN_CHARS - 1 &&
           !failed(base64_decode(text, BASE64_URL, &bytes));
}

err_t browser_form_token(struct call *call, char out[BROWSER_FORM_TOKEN_CHARS], bool *fresh) {
    span_t cookie;
    struct buf text CLEANUP(buf_done) = BUF(BROWSER_FORM_TOKEN_CHARS);
    *fresh = failed(read_cookie(call, "form", &cookie)) || !is_form_token(cookie);
    if (*fresh) {
        uint8_t random[FORM_TOKEN_BYTES];
        random_bytes(random, sizeof random);
        TRY(base64_encode(span_of(random, sizeof random), BASE64_URL, &text));
        cookie = buf_span(&text);
    }
    memcpy(out, cookie.data, cookie.len);
    out[cookie.len] = '\0';
    return OK;
}

void browser_set_form_token(struct call *call, const char *token) {
    set_cookie(call, "form", token, FORM_TOKEN_S, "Strict");
}

err_t browser_check_form(struct call *call) {
    const char *field = "";
    span_t cookie;
    TRY(call_read_string(call, "form_token", CALL_OPTIONAL, BROWSER_FORM_TOKEN_CHARS, &field));
    if (failed(read_cookie(call, "form", &cookie)) || !is_form_token(cookie) ||
        !span_equal_secret(cookie, span_str(field))) {
        call_problem(call, 403, "form_expired", NULL,
                     "this page has been open for too long, or the browser takes no cookies; go "
                     "back to where you started and try again");
        return FAIL(ERR_REFUSED);
    }
    return OK;
}

/* ---- the session --------------------------------------------------------------------------- */

static err_t read_session(const struct call *call, span_t *token, char hash[HASH_CHARS]) {
    TRY(read_cookie(call, "session", token));
    return token_hash(TOKEN_BROWSER, *token, hash);
}

bool browser_find(struct call *call, struct session *session, struct account *account) {
    span_t token;
    char hash[HASH_CHARS];
    if (failed(read_session(call, &token, hash))) {
        return false;
    }
    err_t err = store_session_find(call_store(call), hash, session);
    if (!failed(err)) {
        err = store_account_get(call_store(call), session->account_id, account);
    }
    return err.code != ERR_NOT_FOUND && call_ok(call, err, "the session") &&
           session->use == SESSION_BROWSER && session->expires_at > call->now &&
           !account->disabled && config_takes_issuer(call->authority->config, session->issuer);
}

/* RFC 6454 section 6.2 leaves a default port out. */
static span_t origin_of(const char *url) {
    span_t origin = span_str(url);
    const char *port = url[4] == 's' ? ":443" : ":80";
    size_t chars = strlen(port);
    bool default_port = origin.len > chars && memcmp(url + origin.len - chars, port, chars) == 0;
    return span_of(url, origin.len - (default_port ? chars : 0));
}

bool browser_is_same_origin(const struct call *call) {
    const char *site = http_request_header(call->request, "sec-fetch-site");
    const char *origin = http_request_header(call->request, "origin");
    span_t own = origin_of(call->authority->config->public_url);
    if (site == NULL || strcmp(site, "same-origin") != 0) {
        return false;
    }
    return origin == NULL ? call->route->method == HTTP_GET
                          : strlen(origin) == own.len &&
                                strncasecmp(origin, (const char *)own.data, own.len) == 0;
}

static void derive_csrf_token(span_t session, char out[BROWSER_CSRF_CHARS]) {
    static const char purpose[] = "posterngate csrf";
    uint8_t hash[(BROWSER_CSRF_CHARS - 1) / 2];
    /* Documented to fail for lengths alone, which are constant. */
    (void)crypto_generichash(hash, sizeof hash, (const uint8_t *)purpose, sizeof purpose - 1,
                             session.data, session.len);
    (void)sodium_bin2hex(out, BROWSER_CSRF_CHARS, hash, sizeof hash);
}

bool browser_csrf_token(const struct call *call, char out[BROWSER_CSRF_CHARS]) {
    char hash[HASH_CHARS];
    span_t token;
    if (failed(read_session(call, &token, hash))) {
        return false;
    }
    derive_csrf_token(token, out);
    return true;
}

bool browser_take_session(const struct call *call, char hash[HASH_CHARS]) {
    char expected[BROWSER_CSRF_CHARS], found[HASH_CHARS];
    const char *told = http_request_header(call->request, "x-csrf-token");
    span_t token;
    hash[0] = '\0';
    if (failed(read_session(call, &token, found))) {
        return true;
    }
    derive_csrf_token(token, expected);
    if (told == NULL || !span_equal_secret(span_str(told), span_str(expected)) ||
        !browser_is_same_origin(call)) {
        return false;
    }
    memcpy(hash, found, HASH_CHARS);
    return true;
}

void browser_set_session(struct call *call, const char *token, int64_t seconds) {
    set_cookie(call, "session", token, seconds, "Strict");
}

/* ---- elsewhere ----------------------------------------------------------------------------- */

bool browser_visit(const struct call *call, span_t *out) {
    return !failed(read_cookie(call, "visit", out));
}

void browser_set_visit(struct call *call, const char *value) {
    set_cookie(call, "visit", value, value[0] != '\0' ? VISIT_S : 0, "Lax");
}
