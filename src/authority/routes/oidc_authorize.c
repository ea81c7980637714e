/*
 * The authorization endpoint: a browser comes from a client, its person signs in, and goes back
 * with a code (RFC 6749 section 4.1, RFC 7636, RFC 8252, OpenID Connect Core 1.0 section 3.1.2).
 *
 * Invariants:
 *   1. Nobody is sent anywhere but to a loopback address, and nothing is told there before the
 *      client and the address are known to be right.
 *   2. A code is given only after a person pressed a button on a page of ours (RFC 8252
 * section 8.6: any program on a machine can ask as this client).
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/browser.h"
#include "authority/page.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "authority/routes/session.h"
#include "authority/routes/sign_in_form.h"
#include "base/random.h"
#include "base/text.h"

enum { STATE_CHARS = LIMIT_OAUTH_TEXT_CHARS + 1, ACTION_CHARS = 16 };

struct visit {
    struct login_attempt attempt; /* first: login.h */
    struct authorization_request request;
    char state[STATE_CHARS];
    char action[ACTION_CHARS]; /* of the form: "sign-in", "continue", "cancel" */
    bool sign_in_again;
    int64_t age_max_s; /* -1: whichever */
    const char *error; /* that the client is told; NULL: none */
    char form_token[BROWSER_FORM_TOKEN_CHARS];
    bool fresh_form_token;
    char browser[TOKEN_CHARS]; /* "" unless just signed in */
    int64_t browser_s;
    char code[TOKEN_CHARS]; /* "" until it is given */
};
_Static_assert(sizeof(struct visit) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) { login_attempt_release(&((struct visit *)own)->attempt); }

static struct visit *visit_of(struct call *call) {
    return call_own(call, sizeof(struct visit), release);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* What is wrong from here on, the client is told. */
static void tell_client(struct call *call, const char *error) {
    struct visit *visit = visit_of(call);
    call->problem.status = 0;
    visit->error = visit->error != NULL ? visit->error : error;
}

static bool is_challenge(const char *text) {
    struct buf bytes CLEANUP(buf_done) = BUF(AUTHORIZATION_CHALLENGE_CHARS);
    return strlen(text) == AUTHORIZATION_CHALLENGE_CHARS - 1 &&
           !failed(base64_decode(span_str(text), BASE64_URL, &bytes));
}

static void read_challenge(struct call *call) {
    struct visit *visit = visit_of(call);
    const char *method = "plain"; /* RFC 7636 section 4.3, when absent */
    char *challenge = visit->request.challenge;
    if (failed(oidc_read(call, "code_challenge_method", 16, &method)) ||
        failed(
            oidc_read_text(call, "code_challenge", challenge, sizeof visit->request.challenge)) ||
        strcmp(method, "S256") != 0 || !is_challenge(challenge)) {
        tell_client(call, "invalid_request");
    }
}

static void read_prompt(struct call *call) {
    struct visit *visit = visit_of(call);
    const char *prompt = "", *age = NULL;
    uint64_t seconds = 0;
    if (failed(oidc_read(call, "prompt", LIMIT_OAUTH_TEXT_CHARS, &prompt)) ||
        failed(oidc_read(call, "max_age", 16, &age)) ||
        (age != NULL && (failed(u64_parse(span_str(age), &seconds)) || seconds > INT32_MAX))) {
        tell_client(call, "invalid_request");
        return;
    }
    visit->age_max_s = age != NULL ? (int64_t)seconds : -1;
    visit->sign_in_again =
        oidc_has_word(prompt, "login") || oidc_has_word(prompt, "select_account");
    if (oidc_has_word(prompt, "none")) {
        tell_client(call, "interaction_required");
    }
}

static void read_rest(struct call *call) {
    struct visit *visit = visit_of(call);
    const char *type = "", *mode = "query";
    if (failed(oidc_read(call, "response_type", 64, &type)) || strcmp(type, "code") != 0) {
        tell_client(call, "unsupported_response_type");
    }
    if (failed(oidc_read(call, "response_mode", 64, &mode)) || strcmp(mode, "query") != 0) {
        tell_client(call, "invalid_request");
    }
    if (failed(oidc_read_scope(call, &visit->request.offline))) {
        tell_client(call, "invalid_scope");
    }
    if (failed(oidc_read_text(call, "nonce", visit->request.nonce, sizeof visit->request.nonce))) {
        tell_client(call, "invalid_request");
    }
    read_challenge(call);
    read_prompt(call);
}

static err_t read(struct call *call) {
    struct visit *visit = visit_of(call);
    struct authorization_request *request = &visit->request;
    TRY(login_guard_admit_token(call));
    TRY(oidc_read_client(call, request->client));
    TRY(oidc_read_text(call, "redirect_uri", request->redirect_uri, sizeof request->redirect_uri));
    if (!authorization_is_loopback(request->redirect_uri)) {
        call_problem(call, 400, "bad_redirect_uri", "redirect_uri",
                     "redirect_uri must be a loopback address, http://127.0.0.1:PORT/… or "
                     "http://[::1]:PORT/…");
        return FAIL(ERR_REFUSED);
    }
    TRY(oidc_read_text(call, "state", visit->state, sizeof visit->state));
    read_rest(call);
    TRY(browser_form_token(call, visit->form_token, &visit->fresh_form_token));
    sign_in_form_read(call, &visit->attempt, visit->form_token);
    return OK;
}

/* ---- the pages ----------------------------------------------------------------------------- */

/* The request goes with the form, and is read again and judged anew when it comes back. */
static err_t add_request(struct call *call) {
    const struct visit *visit = visit_of(call);
    const struct authorization_request *request = &visit->request;
    const char *const fields[][2] = {
        {"form_token", visit->form_token},
        {"client_id", request->client},
        {"redirect_uri", request->redirect_uri},
        {"response_type", "code"},
        {"scope", request->offline ? "openid profile offline_access" : "openid profile"},
        {"state", visit->state},
        {"nonce", request->nonce},
        {"code_challenge", request->challenge},
        {"code_challenge_method", "S256"},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i][1][0] != '\0') {
            TRY(page_add(call, PAGE_HIDDEN, "name", fields[i][0], "value", fields[i][1], NULL));
        }
    }
    return OK;
}

static err_t write_sign_in(struct call *call, unsigned status, const char *notice) {
    const struct visit *visit = visit_of(call);
    TRY(page_begin(call, "Sign in"));
    if (notice != NULL) {
        TRY(page_add(call, PAGE_NOTICE, "text", notice, NULL));
    }
    TRY(page_add(call, PAGE_FORM, "action", "/oauth/authorize", NULL));
    TRY(add_request(call));
    TRY(sign_in_form_write(call, &visit->attempt));
    if (visit->attempt.next.account_id == 0) {
        TRY(page_add(call, PAGE_BUTTON, "action", "sign-in", "text", "Sign in", NULL));
    }
    TRY(page_add(call, PAGE_OTHER_BUTTON, "action", "cancel", "text", "Cancel", NULL));
    TRY(page_add(call, PAGE_FORM_END, NULL));
    return page_end(call, status);
}

static err_t write_continue(struct call *call, const struct account *account) {
    char text[160];
    (void)snprintf(text, sizeof text, "Continue as %s", account->name);
    TRY(page_begin(call, "Sign in"));
    TRY(page_add(call, PAGE_TEXT, "text",
                 "A program on this machine asks to act for you. Go on only if you started it "
                 "yourself, a moment ago.",
                 NULL));
    TRY(page_add(call, PAGE_FORM, "action", "/oauth/authorize", NULL));
    TRY(add_request(call));
    TRY(page_add(call, PAGE_BUTTON, "action", "continue", "text", text, NULL));
    TRY(page_add(call, PAGE_OTHER_BUTTON, "action", "other", "text", "Use another account", NULL));
    TRY(page_add(call, PAGE_OTHER_BUTTON, "action", "cancel", "text", "Cancel", NULL));
    TRY(page_add(call, PAGE_FORM_END, NULL));
    return page_end(call, 200);
}

static void show_run(struct call *call) {
    const struct visit *visit = visit_of(call);
    struct session session;
    struct account account;
    if (visit->error != NULL) {
        return;
    }
    bool known = browser_find(call, &session, &account) && !visit->sign_in_again &&
                 (visit->age_max_s < 0 || call->now - session.authenticated_at <= visit->age_max_s);
    if (!call_refused(call)) {
        (void)call_ok(call, known ? write_continue(call, &account) : write_sign_in(call, 200, NULL),
                      NULL);
    }
}

/* ---- going back ---------------------------------------------------------------------------- */

static err_t add_parameter(struct buf *out, const char *name, const char *value) {
    bool first = memchr(out->data, '?', out->len) == NULL;
    TRY(buf_add_format(out, "%c%s=", first ? '?' : '&', name));
    return percent_encode(span_str(value), out);
}

/* RFC 6749 section 4.1.2, with the issuer as RFC 9207 has it. */
static err_t write_location(struct call *call, struct buf *out) {
    const struct visit *visit = visit_of(call);
    TRY(buf_add_str(out, visit->request.redirect_uri));
    TRY(visit->error != NULL ? add_parameter(out, "error", visit->error)
                             : add_parameter(out, "code", visit->code));
    if (visit->state[0] != '\0') {
        TRY(add_parameter(out, "state", visit->state));
    }
    TRY(add_parameter(out, "iss", call->authority->config->public_url));
    return buf_add_byte(out, '\0');
}

static void go_back(struct call *call) {
    struct buf location CLEANUP(buf_done) = BUF(8192);
    if (call_ok(call, write_location(call, &location), NULL)) {
        call_header(call, "Location", (const char *)location.data);
        buf_clear(&call->text);
        call_answer_text(call, 303, "text/plain");
    }
}

/* "http://127.0.0.1:4711", for the policy of forms, which browsers hold redirects to as well. An
 * IPv6 address cannot stand there. */
static void form_target(const char *redirect_uri, char out[64]) {
    size_t scheme = strlen("http://");
    size_t chars = scheme + strcspn(redirect_uri + scheme, "/?");
    if (redirect_uri[scheme] == '[' || chars >= 64) {
        (void)snprintf(out, 64, "http:");
    } else {
        (void)snprintf(out, 64, "%.*s", (int)chars, redirect_uri);
    }
}

static void add_headers(struct call *call) {
    const struct visit *visit = visit_of(call);
    char target[64] = "";
    if (visit->request.redirect_uri[0] != '\0') {
        form_target(visit->request.redirect_uri, target);
    }
    page_headers(call, target);
    if (visit->fresh_form_token) {
        browser_set_form_token(call, visit->form_token);
    }
    if (visit->browser[0] != '\0') {
        browser_set_session(call, visit->browser, visit->browser_s);
    }
}

static void finish(struct call *call) {
    const struct visit *visit = visit_of(call);
    add_headers(call);
    if (visit->error != NULL || visit->code[0] != '\0') {
        go_back(call);
    }
    /* Without a proof of who it is, it counts: strangers may cause rows and answers no faster. */
    if (visit->attempt.succeed != NULL && visit->code[0] != '\0') {
        login_guard_credit_token(call);
        login_attempt_credit(call);
    }
    call_send(call);
}

/* ---- the form ------------------------------------------------------------------------------ */

static void give_code(struct call *call, const struct session *session) {
    struct visit *visit = visit_of(call);
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    struct authorization_approval approval = {.account_id = session->account_id,
                                              .authenticated_at = session->authenticated_at};
    memcpy(approval.methods, session->methods, sizeof approval.methods);
    memcpy(approval.issuer, session->issuer, sizeof approval.issuer);
    random_bytes(random, sizeof random);
    err_t err = authorizations_add_code(call_store(call), random, &visit->request, &approval,
                                        call->now, visit->code);
    if (err.code == ERR_BUSY) {
        visit->error = "temporarily_unavailable";
    } else {
        (void)call_ok(call, err, NULL);
    }
}

static void signed_in(struct call *call, const struct account *account) {
    struct visit *visit = visit_of(call);
    struct session session;
    if (oidc_open_browser(call, account, visit->browser, &session)) {
        visit->browser_s = session.expires_at - call->now;
        give_code(call, &session);
    }
}

static void ask_again(struct call *call) {
    (void)call_ok(call, write_sign_in(call, 200, NULL), NULL);
}

static err_t answer_read(struct call *call) {
    struct visit *visit = visit_of(call);
    TRY(read(call));
    TRY(browser_check_form(call));
    TRY(oidc_read_text(call, "action", visit->action, sizeof visit->action));
    if (strcmp(visit->action, "cancel") == 0) {
        tell_client(call, "access_denied");
    }
    if (visit->error != NULL || strcmp(visit->action, "sign-in") != 0) {
        return OK;
    }
    visit->attempt.succeed = signed_in;
    visit->attempt.ask_again = ask_again;
    return login_attempt_read(call, &visit->attempt);
}

static void answer_run(struct call *call) {
    const struct visit *visit = visit_of(call);
    struct session session;
    struct account account;
    if (visit->error != NULL) {
        call_audit(call, visit->request.client, false, visit->error, NULL);
        return;
    }
    if (strcmp(visit->action, "sign-in") == 0) {
        login_attempt_run(call);
        return;
    }
    if (strcmp(visit->action, "continue") == 0 && browser_find(call, &session, &account)) {
        call_actor(call, account.name);
        call_audit(call, visit->request.client, true, "ok", NULL);
        give_code(call, &session);
    } else if (!call_refused(call)) {
        call_unrecorded(call);
        (void)call_ok(call, write_sign_in(call, 200, NULL), NULL);
    }
}

/* What can be mended by another try stands above the form; the rest is a page of its own. */
static void refuse(struct call *call) {
    const struct visit *visit = visit_of(call);
    bool again = visit->attempt.succeed != NULL && call->problem.status < 500;
    if (!again) {
        page_refuse(call);
        return;
    }
    add_headers(call);
    if (failed(write_sign_in(call, call->problem.status, call->problem.message))) {
        page_refuse(call);
    }
}

const struct route oidc_authorize_routes[] = {
    {HTTP_GET, "/oauth/authorize", ACCESS_PUBLIC, "issuer.authorize", read, show_run, finish,
     BODY_FORM, refuse},
    {HTTP_POST, "/oauth/authorize", ACCESS_PUBLIC, "issuer.sign-in", answer_read, answer_run,
     finish, BODY_FORM, refuse},
    {.path = NULL},
};
