/*
 * Signing in for the dashboard at an external issuer: the browser is sent there, and comes back
 * with a code, which becomes an ID token, which becomes a session (external_code.h says how an
 * answer is bound to the browser that asked).
 *
 * Each issuer has an address of its own to send browsers back to, so that one cannot pass its
 * answer off as another's (RFC 9700 section 4.4.2), besides saying whose it is (RFC 9207).
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/browser.h"
#include "authority/external_code.h"
#include "authority/page.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc_exchange.h"
#include "authority/routes/session.h"
#include "authority/routes/sign_in_place.h"
#include "base/random.h"
#include "base/text.h"

enum { LOCATION_CHARS_MAX = 16 * 1024, REDIRECT_CHARS = 512 };

struct errand {
    struct external_issuer *issuer;
    char place[SIGN_IN_PLACE_CHARS];
    char secret[EXTERNAL_CODE_CHARS]; /* the browser's */
    struct external_code code;
    char redirect_uri[REDIRECT_CHARS];
    struct buf location; /* where the browser goes on */
    bool told_issuer;    /* the answer said whose it is */
    const char *brought; /* the code, of the query */
    json_t *tokens;      /* NULL until the issuer gave them */
    struct exchange exchange;
    char browser[TOKEN_CHARS];
    int64_t browser_s;
};
_Static_assert(sizeof(struct errand) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) {
    struct errand *errand = own;
    exchange_release(&errand->exchange);
    json_decref(errand->tokens);
    buf_done(&errand->location);
    secret_wipe(errand->secret, sizeof errand->secret);
    secret_wipe(&errand->code, sizeof errand->code);
    secret_wipe(errand->browser, sizeof errand->browser);
}

static struct errand *errand_of(struct call *call) {
    return call_own(call, sizeof(struct errand), release);
}

static err_t refuse_with(struct call *call, unsigned status, const char *code,
                         const char *message) {
    call_problem(call, status, code, NULL, "%s", message);
    return FAIL(ERR_REFUSED);
}

static err_t read_issuer(struct call *call) {
    const struct config *config = call->authority->config;
    struct errand *errand = errand_of(call);
    buf_init(&errand->location, LOCATION_CHARS_MAX);
    for (size_t i = 0; i < config->external_count; i++) {
        const char *id = external_issuer_config(config->externals[i])->id;
        if (strcmp(id, call_path(call, "issuer")) == 0) {
            errand->issuer = config->externals[i];
            (void)snprintf(errand->redirect_uri, sizeof errand->redirect_uri, "%s/sign-in/back/%s",
                           config->public_url, id);
            return login_guard_admit_token(call);
        }
    }
    return refuse_with(call, 404, "not_found", "this site takes no sign-ins by that issuer");
}

/* ---- there --------------------------------------------------------------------------------- */

/* On a worker. */
static void prepare(struct call *call) {
    struct errand *errand = errand_of(call);
    struct fault fault = {.reason = ""};
    if (failed(external_code_url(errand->issuer, &errand->code, errand->redirect_uri, call->now,
                                 &errand->location, &fault))) {
        call_problem(call, 503, "issuer_unavailable", NULL, "%s", fault.reason);
    }
}

static void leave(struct call *call);

/* Links of other sites lead nobody into a sign-in that they did not ask for. */
static err_t begin_read(struct call *call) {
    struct errand *errand = errand_of(call);
    uint8_t random[32];
    struct buf text CLEANUP(buf_done) = BUF(EXTERNAL_CODE_CHARS);
    TRY(read_issuer(call));
    TRY(sign_in_place_read(call, errand->place));
    if (!browser_is_same_origin(call)) {
        return refuse_with(call, 403, "cross_site", "sign in from the page of this site");
    }
    random_bytes(random, sizeof random);
    TRY(base64_encode(span_of(random, sizeof random), BASE64_URL, &text));
    memcpy(errand->secret, text.data, text.len);
    external_code_derive(external_issuer_config(errand->issuer)->id, buf_span(&text),
                         &errand->code);
    call_defer_to_issuer(call, prepare, NULL);
    return OK;
}

static void begin_finish(struct call *call) {
    const struct errand *errand = errand_of(call);
    char visit[EXTERNAL_CODE_CHARS + SIGN_IN_PLACE_CHARS];
    (void)snprintf(visit, sizeof visit, "%s.%s", errand->secret, errand->place);
    browser_set_visit(call, visit);
    secret_wipe(visit, sizeof visit);
    leave(call);
}

static void leave(struct call *call) {
    struct errand *errand = errand_of(call);
    page_headers(call, "");
    if (call_ok(call, buf_add_byte(&errand->location, '\0'), NULL)) {
        call_header(call, "Location", (const char *)errand->location.data);
        call_answer_text(call, 303, "text/plain");
    }
    call_send(call);
}

/* ---- and back ------------------------------------------------------------------------------ */

/* The answer is to the question that this browser asked. */
static err_t read_visit(struct call *call) {
    struct errand *errand = errand_of(call);
    const char *state = "", *issuer = "";
    span_t visit;
    TRY(call_query_string(call, "state", LIMIT_OAUTH_TEXT_CHARS, &state));
    TRY(call_query_string(call, "iss", EXTERNAL_URL_CHARS - 1, &issuer));
    const struct external_config *config = external_issuer_config(errand->issuer);
    bool ours = browser_visit(call, &visit);
    span_t secret = span_until(&visit, '.');
    ours = ours && secret.len == EXTERNAL_CODE_CHARS - 1 && visit.len < SIGN_IN_PLACE_CHARS;
    if (ours) {
        external_code_derive(config->id, secret, &errand->code);
        memcpy(errand->place, visit.data, visit.len);
        ours = sign_in_place_is_good(errand->place) &&
               span_equal_secret(span_str(state), span_str(errand->code.state));
    }
    errand->told_issuer = issuer[0] != '\0';
    if (!ours || (errand->told_issuer && strcmp(issuer, config->url) != 0)) {
        return refuse_with(call, 403, "sign_in_expired",
                           "this answer is not to a sign-in that began in this browser, or it was "
                           "used already; sign in again");
    }
    return OK;
}

static err_t read_error(struct call *call) {
    const struct external_config *config = external_issuer_config(errand_of(call)->issuer);
    const char *error = "", *description = "";
    TRY(call_query_string(call, "error", LIMIT_OAUTH_TEXT_CHARS, &error));
    TRY(call_query_string(call, "error_description", LIMIT_OAUTH_TEXT_CHARS, &description));
    if (error[0] == '\0') {
        return OK;
    }
    bool cancelled = strcmp(error, "access_denied") == 0;
    call_problem(call, 403, "access_denied", NULL, "%.100s %s: %s", config->title,
                 cancelled ? "says that the sign-in was cancelled" : "refused the sign-in",
                 description[0] != '\0' ? description : error);
    return FAIL(ERR_REFUSED);
}

/* On a worker. */
static bool trade(struct call *call) {
    struct errand *errand = errand_of(call);
    struct external_metadata metadata;
    struct fault fault = {.reason = ""};
    err_t err = external_issuer_metadata(errand->issuer, call->now, &metadata, &fault);
    if (!failed(err) && metadata.tells_issuer && !errand->told_issuer) {
        err = fault_set(&fault, ERR_REFUSED, "iss", "the answer does not say that it is its own");
    }
    if (!failed(err)) {
        err = external_code_trade(errand->issuer, &errand->code, errand->redirect_uri,
                                  errand->brought, call->now, &errand->tokens, &fault);
    }
    if (failed(err)) {
        bool away = err.code == ERR_CONNECT;
        call_problem(call, away ? 503 : 403, away ? "issuer_unavailable" : "access_denied", NULL,
                     "%.100s %s: %s", external_issuer_config(errand->issuer)->title,
                     away ? "cannot be reached" : "refused the sign-in", fault.reason);
    }
    return !failed(err);
}

static void prove(struct call *call) {
    struct errand *errand = errand_of(call);
    if (!trade(call)) {
        return;
    }
    const char *access = json_string_value(json_object_get(errand->tokens, "access_token"));
    const char *token = json_string_value(json_object_get(errand->tokens, "id_token"));
    errand->exchange = exchange_by(errand->issuer);
    errand->exchange.client = external_issuer_config(errand->issuer)->dashboard_client;
    errand->exchange.token = token != NULL ? token : "";
    errand->exchange.nonce = errand->code.nonce;
    errand->exchange.access_token = access != NULL ? access : "";
    exchange_verify(call, &errand->exchange);
    if (call->problem.status == 400) {
        call->problem.status = 403; /* the browser's request was right; the token is not */
    }
}

static void back_run(struct call *call) {
    struct errand *errand = errand_of(call);
    struct session session;
    if (!exchange_judge(call, &errand->exchange, &session)) {
        return;
    }
    session.use = SESSION_BROWSER;
    if (session_add(call, &session, errand->browser)) {
        errand->browser_s = session.expires_at - call->now;
        call_audit(call, external_issuer_config(errand->issuer)->url, true, "ok", NULL);
    }
}

static err_t back_read(struct call *call) {
    struct errand *errand = errand_of(call);
    errand->brought = "";
    TRY(read_issuer(call));
    TRY(read_visit(call));
    TRY(read_error(call));
    TRY(call_query_string(call, "code", LIMIT_JWS_CHARS, &errand->brought));
    if (errand->brought[0] == '\0') {
        return refuse_with(call, 400, "malformed", "the answer of the issuer has no code");
    }
    /* Anybody can have the issuer asked, with a cookie and a state of their own making. */
    TRY(login_admit_source(call, DOOR_SIGN_IN, call->source));
    call_defer_to_issuer(call, prove, back_run);
    return OK;
}

static void back_finish(struct call *call) {
    struct errand *errand = errand_of(call);
    login_guard_credit_token(call);
    login_credit_source(call, DOOR_SIGN_IN, call->source);
    browser_set_visit(call, "");
    browser_set_session(call, errand->browser, errand->browser_s);
    if (call_ok(call, buf_add_format(&errand->location, "/#/%s", errand->place), NULL)) {
        leave(call);
    } else {
        call_send(call);
    }
}

/* ---- refusals ------------------------------------------------------------------------------ */

static err_t write_refusal(struct call *call) {
    TRY(page_begin(call, "Not signed in"));
    TRY(page_add(call, PAGE_NOTICE, "text", call->problem.message, NULL));
    TRY(page_add(call, PAGE_LINK, "address", "/sign-in", "text", "Sign in again", NULL));
    return page_end(call, call->problem.status);
}

static void refuse(struct call *call) {
    page_headers(call, "");
    browser_set_visit(call, "");
    if (failed(write_refusal(call))) {
        page_refuse(call);
    }
}

/* Without a run(): what is refused before an issuer was asked, which anybody can have refused,
 * leaves no row. */
const struct route sign_in_issuer_routes[] = {
    {HTTP_GET, "/sign-in/with/{issuer}", ACCESS_PUBLIC, "session.sign-in-with", begin_read, NULL,
     begin_finish, BODY_FORM, refuse},
    {HTTP_GET, "/sign-in/back/{issuer}", ACCESS_PUBLIC, "session.sign-in-back", back_read, NULL,
     back_finish, BODY_FORM, refuse},
    {.path = NULL},
};
