#include "authority/routes/oidc.h"

#include <sodium.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/issuer.h"
#include "authority/routes/login.h"
#include "authority/routes/session.h"
#include "base/random.h"

err_t oidc_read(struct call *call, const char *name, size_t chars_max, const char **out) {
    return call->route->method == HTTP_GET
               ? call_query_string(call, name, chars_max, out)
               : call_read_string(call, name, CALL_OPTIONAL, chars_max, out);
}

err_t oidc_read_text(struct call *call, const char *name, char *out, size_t size) {
    const char *text = "";
    TRY(oidc_read(call, name, size - 1, &text));
    (void)snprintf(out, size, "%s", text);
    return OK;
}

err_t oidc_read_client(struct call *call, char out[CLIENT_CHARS]) {
    const char *client = "";
    TRY(oidc_read(call, "client_id", CLIENT_CHARS - 1, &client));
    if (!issuer_has_client(call->authority, client)) {
        call_problem(call, 400, "invalid_client", "client_id",
                     "the client %s is not known here; issuer.clients in posternd.yaml lists those "
                     "besides " ISSUER_CLIENT,
                     client[0] != '\0' ? client : "without a client_id");
        return FAIL(ERR_REFUSED);
    }
    (void)snprintf(out, CLIENT_CHARS, "%s", client);
    return OK;
}

bool oidc_has_word(const char *words, const char *word) {
    span_t rest = span_str(words);
    bool found = false;
    while (rest.len > 0) {
        found |= span_equal_str(span_until(&rest, ' '), word);
    }
    return found;
}

err_t oidc_read_scope(struct call *call, bool *offline) {
    const char *scope = "";
    TRY(oidc_read(call, "scope", LIMIT_OAUTH_TEXT_CHARS, &scope));
    if (!oidc_has_word(scope, "openid")) {
        call_problem(call, 400, "invalid_scope", "scope", "scope must have openid in it");
        return FAIL(ERR_REFUSED);
    }
    *offline = oidc_has_word(scope, "offline_access");
    return OK;
}

/* RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E. */
static void describe(const char *from, char *to, size_t size) {
    size_t i = 0;
    for (; from[i] != '\0' && i + 1 < size; i++) {
        char c = from[i];
        to[i] = c < 0x20 || c > 0x7e ? '?' : c == '"' || c == '\\' ? '\'' : c;
    }
    to[i] = '\0';
}

/* The codes that OAuth has no word for, by their kind. */
static const char *error_of(const struct problem *problem) {
    static const char *const known[] = {"invalid_request",
                                        "invalid_client",
                                        "invalid_grant",
                                        "unauthorized_client",
                                        "invalid_scope",
                                        "access_denied",
                                        "slow_down",
                                        "unsupported_grant_type",
                                        "authorization_pending",
                                        "unsupported_token_type",
                                        "expired_token",
                                        "invalid_target"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(problem->code, known[i]) == 0) {
            return known[i];
        }
    }
    return problem->status == 429 || problem->status == 503 ? "temporarily_unavailable"
           : problem->status >= 500                         ? "server_error"
                                                            : "invalid_request";
}

void oidc_refuse(struct call *call) {
    char description[sizeof call->problem.message];
    describe(call->problem.message, description, sizeof description);
    json_t *json = json_pack("{s:s, s:s}", "error", error_of(&call->problem), "error_description",
                             description);
    char *text CLEANUP(freep) = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL || failed(buf_add_str(&call->text, text))) {
        buf_clear(&call->text); /* the status line still tells */
    }
    call_answer_text(call, call->problem.status, "application/json");
}

void oidc_new_family(char out[SESSION_FAMILY_CHARS]) {
    uint8_t random[(SESSION_FAMILY_CHARS - 1) / 2];
    random_bytes(random, sizeof random);
    (void)sodium_bin2hex(out, SESSION_FAMILY_CHARS, random, sizeof random);
}

bool oidc_open_browser(struct call *call, const struct account *account, char token[TOKEN_CHARS],
                       struct session *out) {
    *out = (struct session){
        .account_id = account->id,
        .expires_at = call->now + call->authority->config->session_lifetime_s,
        .use = SESSION_BROWSER,
        .authenticated_at = call->now,
    };
    (void)snprintf(out->methods, sizeof out->methods, "%s", login_attempt_methods(call));
    oidc_new_family(out->family);
    return session_add(call, out, token);
}
