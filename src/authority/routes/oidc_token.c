/*
 * The token endpoint: what a code, a device code or a refresh token becomes.
 *
 * Invariants:
 *   1. A refresh token is good once. Used a second time, by whomever, everything that came of its
 *      sign-in ends.
 *   2. Nothing that comes of a sign-in lasts longer than session_lifetime after it.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/issuer.h"
#include "authority/rate.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "authority/routes/oidc_exchange.h"
#include "authority/routes/session.h"
#include "identity/id_token.h"

enum token_by { BY_NONE, BY_CODE, BY_REFRESH, BY_DEVICE, BY_EXCHANGE };

struct token_request {
    enum token_by by;
    char client[CLIENT_CHARS];
    char redirect_uri[AUTHORIZATION_TEXT_CHARS];
    char verifier[128 + 1];
    char token[TOKEN_CHARS]; /* the code, device code or refresh token */
    struct exchange exchange;
    /* What comes of it. */
    struct session session;
    int64_t ends_at; /* of the sign-in */
    bool offline;
    char nonce[AUTHORIZATION_TEXT_CHARS];
    char access[TOKEN_CHARS], refresh[TOKEN_CHARS];
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char display_name[LIMIT_DISPLAY_NAME_CHARS + 1];
    struct signing_key *key;
};
_Static_assert(sizeof(struct token_request) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) {
    struct token_request *request = own;
    signing_key_release(request->key);
    exchange_release(&request->exchange);
}

static struct token_request *own_of(struct call *call) {
    return call_own(call, sizeof(struct token_request), release);
}

/* ---- reading ------------------------------------------------------------------------------- */

static err_t read_grant(struct call *call, enum token_by *out) {
    static const struct {
        const char *name;
        enum token_by by;
    } grants[] = {{"authorization_code", BY_CODE},
                  {"refresh_token", BY_REFRESH},
                  {"urn:ietf:params:oauth:grant-type:device_code", BY_DEVICE},
                  {"urn:ietf:params:oauth:grant-type:token-exchange", BY_EXCHANGE}};
    const char *type = "";
    TRY(oidc_read(call, "grant_type", LIMIT_OAUTH_TEXT_CHARS, &type));
    for (size_t i = 0; i < COUNT_OF(grants); i++) {
        if (strcmp(grants[i].name, type) == 0) {
            *out = grants[i].by;
            return OK;
        }
    }
    call_problem(call, 400, "unsupported_grant_type", "grant_type",
                 "this grant_type is not offered here");
    return FAIL(ERR_UNSUPPORTED);
}

static void run(struct call *call);

/* On an issuer's worker. */
static void verify_exchange(struct call *call) { exchange_verify(call, &own_of(call)->exchange); }

static err_t read(struct call *call) {
    static const char *const tokens[] = {
        [BY_CODE] = "code", [BY_REFRESH] = "refresh_token", [BY_DEVICE] = "device_code"};
    TRY(login_guard_admit_token(call));
    struct token_request *own = own_of(call);
    TRY(read_grant(call, &own->by));
    TRY(oidc_read_client(call, own->client));
    if (own->by == BY_EXCHANGE) {
        TRY(oidc_read_scope(call, &own->offline));
        TRY(exchange_read(call, &own->exchange));
        call_defer_to_issuer(call, verify_exchange, run);
        return OK;
    }
    TRY(oidc_read_text(call, "redirect_uri", own->redirect_uri, sizeof own->redirect_uri));
    TRY(oidc_read_text(call, "code_verifier", own->verifier, sizeof own->verifier));
    return oidc_read_text(call, tokens[own->by], own->token, sizeof own->token);
}

/* ---- judging ------------------------------------------------------------------------------- */

static void refuse_grant(struct call *call, const char *code, const char *reason) {
    call_audit(call, "", false, code, reason);
    call_problem(call, 400, code, NULL, "%s", reason);
}

/* Ends what was made of a code or refresh token that came twice. */
static void end_family(struct call *call, const char *family, const char *reason) {
    const struct session all = {.family = ""};
    struct session ended = all;
    memcpy(ended.family, family, sizeof ended.family);
    refuse_grant(call, "invalid_grant", reason);
    call_keep_writes(call);
    (void)session_end(call, &ended);
}

static void take_authorization(struct call *call, const struct authorization *authorization) {
    struct token_request *own = own_of(call);
    const struct authorization_approval *approval = &authorization->approval;
    struct session *session = &own->session;
    session->account_id = approval->account_id;
    session->authenticated_at = approval->authenticated_at;
    memcpy(session->methods, approval->methods, sizeof session->methods);
    memcpy(session->issuer, approval->issuer, sizeof session->issuer);
    memcpy(session->family, authorization->family, sizeof session->family);
    session->expires_at = approval->authenticated_at + call->authority->config->session_lifetime_s;
    own->offline = authorization->request.offline;
    memcpy(own->nonce, authorization->request.nonce, sizeof own->nonce);
}

static void judge_code(struct call *call) {
    struct token_request *own = own_of(call);
    struct authorization found;
    err_t err = authorizations_redeem(call_store(call), span_str(own->token), own->client,
                                      own->redirect_uri, own->verifier, call->now, &found);
    if (err.code == ERR_DUPLICATE) {
        end_family(call, found.family,
                   "the code was used before; what came of it has ended, sign in again");
    } else if (err.code == ERR_NOT_FOUND || err.code == ERR_REFUSED) {
        call_keep_writes(call); /* the code has ended */
        refuse_grant(call, "invalid_grant",
                     err.code == ERR_NOT_FOUND
                         ? "the code is unknown, or too old; sign in again"
                         : "the code is not for this client, redirect_uri or code_verifier");
    } else if (call_ok(call, err, "the code")) {
        take_authorization(call, &found);
    }
}

static void judge_device(struct call *call) {
    static const struct {
        const char *code, *reason;
    } refusals[] = {
        [POLL_UNKNOWN] = {"invalid_grant", "there is no such device code; begin again"},
        [POLL_PENDING] = {"authorization_pending", "nobody has approved it yet; ask again"},
        [POLL_SLOW_DOWN] = {"slow_down", "asked too often; wait 5 s longer between two questions"},
        [POLL_DENIED] = {"access_denied", "it was refused in the browser"},
        [POLL_EXPIRED] = {"expired_token", "nobody approved it in time; begin again"},
    };
    struct token_request *own = own_of(call);
    struct authorization found;
    enum authorization_poll poll;
    if (!call_ok(call,
                 authorizations_poll(call_store(call), span_str(own->token), own->client, call->now,
                                     &poll, &found),
                 "the device code")) {
        return;
    }
    if (poll == POLL_APPROVED) {
        take_authorization(call, &found);
        return;
    }
    call_keep_writes(call); /* when it asked */
    refuse_grant(call, refusals[poll].code, refusals[poll].reason);
    if (poll == POLL_PENDING || poll == POLL_SLOW_DOWN) {
        call_unrecorded(call); /* a device asks every 5 s */
    }
}

static void judge_refresh(struct call *call) {
    struct token_request *own = own_of(call);
    struct session old;
    char hash[HASH_CHARS];
    err_t err = token_hash(TOKEN_REFRESH, span_str(own->token), hash);
    err = failed(err) ? FAIL(ERR_NOT_FOUND) : store_session_find(call_store(call), hash, &old);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the session")) {
        return;
    }
    if (failed(err) || old.use != SESSION_REFRESH || old.expires_at <= call->now ||
        strcmp(old.client, own->client) != 0 ||
        !config_takes_issuer(call->authority->config, old.issuer)) {
        refuse_grant(call, "invalid_grant",
                     "the refresh token is unknown, or has ended; sign in "
                     "again");
        return;
    }
    if (old.used_at != 0) {
        end_family(call, old.family,
                   "the refresh token was used before, so somebody else may have it; everything "
                   "that came of this sign-in has ended, sign in again");
        return;
    }
    own->session = old;
    own->offline = true;
    old.used_at = call->now;
    (void)call_ok(call, store_session_update(call_store(call), &old), "the session");
}

static void judge_exchange(struct call *call) {
    struct token_request *own = own_of(call);
    (void)exchange_judge(call, &own->exchange, &own->session);
}

/* ---- issuing ------------------------------------------------------------------------------- */

static bool add_tokens(struct call *call) {
    struct token_request *own = own_of(call);
    struct session session = own->session;
    int64_t end = session.expires_at;
    session.used_at = 0;
    memcpy(session.client, own->client, sizeof session.client);
    session.use = SESSION_BEARER;
    if (own->offline && call->now + ISSUER_ACCESS_S < end) {
        session.expires_at = call->now + ISSUER_ACCESS_S;
    }
    own->session.expires_at = session.expires_at;
    own->ends_at = end;
    if (!session_add(call, &session, own->access)) {
        return false;
    }
    session.use = SESSION_REFRESH;
    session.expires_at = end;
    return !own->offline || session_add(call, &session, own->refresh);
}

static json_t *claims_of(struct call *call) {
    const struct token_request *own = own_of(call);
    char subject[24];
    (void)snprintf(subject, sizeof subject, "%llu", (unsigned long long)own->session.account_id);
    json_t *methods = json_array();
    span_t rest = span_str(own->session.methods);
    while (rest.len > 0) {
        span_t word = span_until(&rest, ' ');
        (void)json_array_append_new(methods, json_stringn((const char *)word.data, word.len));
    }
    struct buf hash CLEANUP(buf_done) = BUF(64);
    if (failed(id_token_half_hash(SIGNING_ALGORITHM, span_str(own->access), &hash))) {
        json_decref(methods);
        return NULL;
    }
    json_int_t expires = call->now + ISSUER_ID_TOKEN_S;
    json_t *claims =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:s%, s:s, s:s}", "iss",
                  call->authority->config->public_url, "sub", subject, "aud", own->client, "exp",
                  expires, "iat", (json_int_t)call->now, "amr", methods, "at_hash",
                  (const char *)hash.data, hash.len, "preferred_username", own->name, "name",
                  own->display_name[0] != '\0' ? own->display_name : own->name);
    if (claims != NULL && own->session.authenticated_at != 0) {
        (void)json_object_set_new(claims, "auth_time", json_integer(own->session.authenticated_at));
    }
    call_json_set_text(claims, "nonce", own->nonce);
    return claims;
}

/* On the hash worker: an RSA signature takes a millisecond. */
static void sign(struct call *call) {
    const struct token_request *own = own_of(call);
    struct buf token CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS + 1);
    json_t *claims = claims_of(call);
    err_t err = claims == NULL ? FAIL(ERR_MEMORY) : signing_key_sign(own->key, claims, &token);
    err = failed(err) ? err : buf_add_byte(&token, '\0');
    json_decref(claims);
    if (!call_ok(call, err, "the ID token")) {
        return;
    }
    json_t *answer = json_pack(
        "{s:s, s:s, s:I, s:s, s:s, s:s}", "access_token", own->access, "token_type", "Bearer",
        "expires_in", (json_int_t)(own->session.expires_at - call->now), "id_token",
        (const char *)token.data, "scope",
        own->offline ? "openid profile offline_access" : "openid profile", "username", own->name);
    if (own->by == BY_EXCHANGE) {
        call_json_set_text(answer, "issued_token_type",
                           "urn:ietf:params:oauth:token-type:access_token");
    }
    if (own->refresh[0] != '\0') {
        call_json_set_text(answer, "refresh_token", own->refresh);
        (void)json_object_set_new(answer, "refresh_expires_in",
                                  json_integer(own->ends_at - call->now));
    }
    call_answer(call, 200, answer);
}

static void run(struct call *call) {
    static void (*const judges[])(struct call * call) = {[BY_CODE] = judge_code,
                                                         [BY_REFRESH] = judge_refresh,
                                                         [BY_DEVICE] = judge_device,
                                                         [BY_EXCHANGE] = judge_exchange};
    struct token_request *own = own_of(call);
    struct account account;
    judges[own->by](call);
    if (call_refused(call) ||
        !call_ok(call, store_account_get(call_store(call), own->session.account_id, &account),
                 "the account")) {
        return;
    }
    call_actor(call, account.name);
    if (account.disabled || own->session.expires_at <= call->now) {
        refuse_grant(call, "invalid_grant",
                     account.disabled ? "the account is disabled" : "the sign-in has ended");
        return;
    }
    if (!rate_spend_of(call, &account, RATE_CALLS)) {
        return;
    }
    memcpy(own->name, account.name, sizeof own->name);
    memcpy(own->display_name, account.display_name, sizeof own->display_name);
    call_audit(call, own->client, true, "ok", NULL);
    own->key = signing_keys_current(call->authority->issuer->keys);
    if (own->key == NULL) {
        call_problem(call, 503, "issuer_unavailable", NULL, "there is no key to sign with yet");
    } else if (add_tokens(call)) {
        call_defer(call, sign, NULL);
    }
}

static void finish(struct call *call) {
    login_guard_credit_token(call);
    call_send(call);
}

/* ---- revocation (RFC 7009) ----------------------------------------------------------------- */

static err_t revoke_read(struct call *call) {
    struct token_request *own = own_of(call);
    TRY(login_guard_admit_token(call));
    TRY(oidc_read_client(call, own->client));
    return oidc_read_text(call, "token", own->token, sizeof own->token);
}

/* Section 2.2: a token that is not known is as good as revoked. */
static void revoke_run(struct call *call) {
    const struct token_request *own = own_of(call);
    struct session session;
    char hash[HASH_CHARS];
    call_answer(call, 200, json_object());
    if (failed(token_hash(TOKEN_REFRESH, span_str(own->token), hash)) &&
        failed(token_hash(TOKEN_SESSION, span_str(own->token), hash))) {
        call_unrecorded(call);
        return;
    }
    err_t err = store_session_find(call_store(call), hash, &session);
    if (err.code == ERR_NOT_FOUND) {
        call_unrecorded(call); /* strangers must not be able to fill the disk */
        return;
    }
    if (!call_ok(call, err, "the session")) {
        return;
    }
    if (strcmp(session.client, own->client) != 0) {
        refuse_grant(call, "invalid_client", "the token is another client's");
        return;
    }
    (void)session_end(call, &session);
}

const struct route oidc_token_routes[] = {
    {HTTP_POST, "/oauth/token", ACCESS_PUBLIC, "issuer.token", read, run, finish, BODY_FORM,
     oidc_refuse},
    {HTTP_POST, "/oauth/revoke", ACCESS_PUBLIC, "issuer.revoke", revoke_read, revoke_run, finish,
     BODY_FORM, oidc_refuse},
    {.path = NULL},
};
