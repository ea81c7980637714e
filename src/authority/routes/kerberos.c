/*
 * Signing in with a Kerberos ticket (RFC 4559), and a one-time or recovery code where the site does
 * not take the ticket for a second factor.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/kerberos.h"
#include "authority/routes/invitation.h"
#include "authority/routes/login.h"
#include "authority/routes/session.h"
#include "base/log.h"
#include "base/text.h"
#include "net/tls.h"

/* RFC 8176's word for what browsers call integrated authentication: SPNEGO over HTTP. */
#define METHODS_TICKET "wia"

struct sign_in {
    struct buf token, binding;
    char code[LOGIN_CODE_CHARS_MAX + 1];
    bool by_recovery_code;
    struct kerberos_proof proof;
};

static void release(void *memory) {
    struct sign_in *own = memory;
    buf_done(&own->token);
    buf_done(&own->binding);
    kerberos_proof_done(&own->proof);
    secret_wipe(own->code, sizeof own->code);
}

static struct sign_in *own_of(struct call *call) {
    return call_own(call, sizeof(struct sign_in), release);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Without a token: the 401 that begins it, which is nobody's failure. */
static err_t read_token(struct call *call, struct buf *out) {
    static const char scheme[] = "Negotiate ";
    const char *header = http_request_header(call->request, "authorization");
    if (header == NULL || strncasecmp(header, scheme, sizeof scheme - 1) != 0) {
        call_unrecorded(call);
        call_problem(call, 401, "negotiate", NULL,
                     "a Kerberos ticket is asked for (Authorization: Negotiate); run: postern "
                     "login --kerberos");
        return FAIL(ERR_REFUSED);
    }
    err_t err = base64_decode(span_str(header + sizeof scheme - 1), BASE64_STANDARD, out);
    if (err.code == ERR_TOO_LONG) {
        call_problem(call, 400, "too_long", "Authorization",
                     "the ticket has more than %d bytes, which this authority does not take",
                     LIMIT_NEGOTIATE_TOKEN_BYTES);
    } else if (failed(err)) {
        call_problem(call, 400, "malformed", "Authorization",
                     "Authorization: Negotiate must go on with base64 (RFC 4559)");
    }
    return err;
}

/* On the hash worker. */
static void prove(struct call *call) {
    const struct kerberos_config *config = &call->authority->config->kerberos;
    struct sign_in *own = own_of(call);
    struct fault fault = {.reason = ""};
    err_t err = kerberos_accept(config, buf_span(&own->token), buf_span(&own->binding), call->now,
                                &own->proof, &fault);
    if (err.code == ERR_REFUSED) {
        call_problem(call, 401, "invalid_ticket", NULL, "the Kerberos ticket is not taken: %s",
                     fault.reason);
    } else if (failed(err)) {
        log_error("kerberos_failed", err, "field", fault.field, "reason", fault.reason, NULL);
        call_problem(call, 503, "kerberos_unavailable", NULL,
                     "the authority cannot judge Kerberos tickets at the moment; its "
                     "administrators find the reason in its log");
    }
}

static void run(struct call *call);

static err_t read(struct call *call) {
    struct sign_in *own = own_of(call);
    const char *code = "";
    buf_init(&own->token, LIMIT_NEGOTIATE_TOKEN_BYTES);
    buf_init(&own->binding, TLS_BINDING_BYTES_MAX);
    kerberos_proof_init(&own->proof);
    if (call->authority->config->kerberos.keytab == NULL) {
        call_unrecorded(call);
        call_problem(call, 404, "not_offered", NULL,
                     "this site takes no Kerberos tickets; run: postern login");
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(login_guard_admit_token(call));
    TRY(call_read_string(call, "totp", CALL_OPTIONAL, LOGIN_CODE_CHARS_MAX, &code));
    (void)snprintf(own->code, sizeof own->code, "%s", code);
    TRY(read_token(call, &own->token));
    err_t err = http_request_tls_binding(call->request, &own->binding);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, NULL)) {
        return err;
    }
    if (!call->authority->config->kerberos.binding_required) {
        buf_clear(&own->binding); /* a proxy in between has a certificate of its own */
    }
    call_defer(call, prove, run);
    return OK;
}

/* ---- judging ------------------------------------------------------------------------------- */

/* Why not; NULL when the account may come this way. */
static const char *judge(const struct kerberos_config *config, const struct account *account) {
    return account->kind != ACCOUNT_PERSON                     ? "is not a person's account"
           : account->disabled                                 ? "is disabled"
           : account->administrator && !config->administrators ? "is an administrator's account"
                                                               : NULL;
}

static bool find_account(struct call *call, struct account *out) {
    const struct kerberos_config *config = &call->authority->config->kerberos;
    const char *principal = own_of(call)->proof.principal;
    struct fault fault = {.reason = ""};
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
    call_actor(call, principal);
    if (failed(kerberos_account(config, principal, name, &fault))) {
        call_problem(call, 403, "access_denied", NULL, "%s", fault.reason);
        return false;
    }
    call_actor(call, name);
    err_t err = store_account_find(call_store(call), name, out);
    if (err.code == ERR_NOT_FOUND) {
        call_problem(call, 403, "access_denied", NULL,
                     "there is no account %s here; ask your site's administrators", name);
        return false;
    }
    if (!call_ok(call, err, "the account")) {
        return false;
    }
    const char *reason = judge(config, out);
    if (reason != NULL) {
        call_problem(call, 403, "access_denied", NULL,
                     "%s %s, which no Kerberos ticket opens; run: postern login", name, reason);
    }
    return reason == NULL;
}

/* What proved who it is, and when. */
static bool take_factors(struct call *call, const struct account *account, struct session *out) {
    struct sign_in *own = own_of(call);
    bool whole = call->authority->config->kerberos.second_factor;
    if (!whole && own->code[0] == '\0') {
        call_unrecorded(call);
        call_problem(call, 401, "code_required", "totp",
                     "a one-time code is asked for besides the Kerberos ticket, or a recovery "
                     "code; with a passkey sign in in the browser: postern login");
        return false;
    }
    if (!whole && !login_take_code(call, account->name, own->code, &own->by_recovery_code)) {
        return false;
    }
    out->authenticated_at = whole ? own->proof.authenticated_at : call->now;
    (void)snprintf(out->methods, sizeof out->methods, "%s",
                   whole ? METHODS_TICKET " mfa" : METHODS_TICKET " otp mfa");
    return true;
}

static void run(struct call *call) {
    const struct kerberos_proof *proof = &own_of(call)->proof;
    struct account account;
    struct session session = {.use = SESSION_BEARER};
    if (!find_account(call, &account) || !take_factors(call, &account, &session) ||
        !invitation_withdraw(call, &account)) {
        return;
    }
    session.account_id = account.id;
    session.expires_at = call->now + call->authority->config->session_lifetime_s;
    if (proof->expires_at < session.expires_at) {
        session.expires_at = proof->expires_at;
    }
    call_audit(call, proof->principal, true, "ok", NULL);
    session_answer(call, &account, &session);
    if (own_of(call)->by_recovery_code && !call_refused(call)) {
        login_tell_recovery_codes(call, account.id);
    }
}

/* The service's own proof goes along (RFC 4559 section 5). */
static void finish(struct call *call) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_FIELDS_BYTES);
    err_t err = buf_add_str(&text, "Negotiate ");
    err = failed(err)
              ? err
              : base64_encode(buf_span(&own_of(call)->proof.answer), BASE64_STANDARD, &text);
    err = failed(err) ? err : buf_add_byte(&text, '\0');
    if (call_ok(call, err, NULL)) {
        call_header(call, "WWW-Authenticate", (const char *)text.data);
    }
    login_guard_credit_token(call);
    call_send(call);
}

const struct route kerberos_routes[] = {
    {HTTP_POST, "/api/v1/auth/kerberos", ACCESS_PUBLIC, "session.kerberos", read, run, finish,
     .challenge = "Negotiate"},
    {.path = NULL},
};
