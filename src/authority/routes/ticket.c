/*
 * One-time tokens, and the dialect of clients that have one: POST /sign {"PublicKey","OTT"},
 * answered with the certificate as it stands in a file. Whoever presents the token is nobody; what
 * it gives is what the service account that obtained it may have at that moment, or, for a JWT of
 * an external issuer, the person whom that issuer names.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/metrics.h"
#include "authority/rate.h"
#include "authority/routes/impersonation.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc_exchange.h"
#include "base/random.h"
#include "base/secret.h"

/* ---- obtaining --------------------------------------------------------------------------- */

struct order {
    const char *username; /* borrowed from the body */
};

static err_t create_read(struct call *call) {
    struct order *own = call_own(call, sizeof *own, NULL);
    return call_read_string(call, "username", CALL_REQUIRED, LIMIT_ACCOUNT_NAME_CHARS,
                            &own->username);
}

static void create_run(struct call *call) {
    const struct order *own = call_own(call, sizeof *own, NULL);
    struct store *store = call_store(call);
    struct impersonation other;
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS] = "";
    call_audit(call, own->username, true, "ok", NULL);
    if (!impersonation_begin(call, own->username, &other) ||
        !rate_spend(call, RATE_IMPERSONATIONS)) {
        return;
    }
    struct ticket ticket = {.account_id = other.account.id,
                            .api_key_id = other.api_key_id,
                            .expires_at = call->now + LIMIT_TICKET_S};
    random_bytes(random, sizeof random);
    err_t err = token_make(TOKEN_TICKET, random, token, ticket.hash);
    if (call_ok(call, err, "the token") &&
        call_ok(call, store_ticket_sweep(store, call->now), "the tokens") &&
        call_ok(call, store_ticket_add(store, &ticket), "the token")) {
        call_answer(call, 201,
                    json_pack("{s:s,s:o}", "token", token, "expireTime",
                              call_json_time(ticket.expires_at)));
    }
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
}

/* ---- spending ---------------------------------------------------------------------------- */

struct spending {
    char hash[HASH_CHARS];
    struct signing signing;
    struct exchange exchange; /* issuer NULL: it is a token of ours */
};
_Static_assert(sizeof(struct spending) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) {
    struct spending *spending = own;
    signing_done(&spending->signing);
    exchange_release(&spending->exchange);
}

static void verify(struct call *call);
static void sign_run(struct call *call);

static err_t sign_read(struct call *call) {
    struct spending *own = call_own(call, sizeof *own, release);
    const char *token = NULL;
    TRY(login_guard_admit_token(call));
    TRY(call_read_public_key(call, "PublicKey", &own->signing.key, NULL));
    TRY(call_read_string(call, "OTT", CALL_REQUIRED, LIMIT_JWS_CHARS, &token));
    if (exchange_read_one_time(call, token, &own->exchange)) {
        call_defer_to_issuer(call, verify, sign_run);
        return OK;
    }
    /* A malformed one is refused like one that is not known. */
    ignore_err(token_hash(TOKEN_TICKET, span_str(token), own->hash));
    return OK;
}

/* Who obtained it is who calls; NULL, or why the token is good for nothing, for the audit log. */
static const char *find_caller(struct call *call, const struct spending *own,
                               struct ticket *ticket) {
    struct store *store = call_store(call);
    struct caller *caller = &call->caller;
    struct api_key key;
    err_t err =
        own->hash[0] == '\0' ? FAIL(ERR_NOT_FOUND) : store_ticket_find(store, own->hash, ticket);
    if (err.code == ERR_NOT_FOUND) {
        return "no such token";
    }
    if (!call_ok(call, err, "the token") ||
        !call_ok(call, store_ticket_remove(store, own->hash), "the token") ||
        !call_ok(call, store_api_key_get(store, ticket->api_key_id, &key), "the API key") ||
        !call_ok(call, store_account_get(store, key.account_id, &caller->account), "the account")) {
        return "the store failed";
    }
    call_keep_writes(call); /* it is spent, whatever comes of it */
    caller->is_account = true;
    caller->api_key_id = key.id;
    caller->bounds = (struct bounds){.what = "API key",
                                     .clusters = key.clusters,
                                     .subnets = key.subnets,
                                     .duration_max_s = key.duration_max_s,
                                     .expires_at = key.expires_at};
    return ticket->expires_at <= call->now ? "the token has expired"
           : caller->account.disabled      ? "the service account is disabled"
           : key.revoked_at != 0           ? "the API key is revoked"
           : key.expires_at <= call->now   ? "the API key has expired"
                                           : NULL;
}

static void sign_as(struct call *call, const struct signing_for *for_whom) {
    struct spending *own = call_own(call, sizeof *own, release);
    struct sign_grant granted;
    if (signing_decide(call, for_whom, &own->signing, &granted)) {
        (void)signing_record(call, for_whom, &own->signing, &granted);
    }
}

static void run_ours(struct call *call) {
    const struct spending *own = call_own(call, sizeof *own, release);
    struct ticket ticket;
    struct account account;
    struct impersonation other;
    const char *reason = find_caller(call, own, &ticket);
    if (call_refused(call)) {
        return;
    }
    if (reason != NULL) {
        call_audit(call, "", false, "invalid_token", reason);
        call_problem(call, 401, "invalid_token", "OTT",
                     "this one-time token is not known, was used, or has expired; get another: "
                     "POST /api/v1/one-time-tokens");
        return;
    }
    if (!call_ok(call, store_account_get(call_store(call), ticket.account_id, &account),
                 "the account") ||
        !impersonation_begin(call, account.name, &other)) {
        return;
    }
    const struct signing_for for_other = impersonation_for(&other);
    sign_as(call, &for_other);
}

/* ---- an issuer's ------------------------------------------------------------------------- */

/* Whatever is wrong with it, it is no token that is good here. */
static void refuse_token(struct call *call) {
    if (call->problem.status == 400) {
        call->problem.status = 401;
        (void)snprintf(call->problem.code, sizeof call->problem.code, "invalid_token");
        (void)snprintf(call->problem.field, sizeof call->problem.field, "OTT");
    }
}

/* On an issuer's worker. */
static void verify(struct call *call) {
    struct spending *own = call_own(call, sizeof *own, release);
    exchange_verify(call, &own->exchange);
    refuse_token(call);
}

/* The person calls, as by a session; the quota is theirs. */
static void run_issuers(struct call *call) {
    const struct spending *own = call_own(call, sizeof *own, release);
    struct caller *caller = &call->caller;
    if (!exchange_take(call, &own->exchange, &caller->account)) {
        refuse_token(call);
        return;
    }
    call_keep_writes(call); /* it is spent, whatever comes of it */
    caller->is_account = true;
    caller->bounds = (struct bounds){.what = "one-time token"};
    if (call_ok(call,
                bearer_count_projects(call_store(call), &caller->account, &caller->project_count),
                "the projects")) {
        const struct signing_for for_whom = signing_for_caller(call);
        sign_as(call, &for_whom);
    }
}

static void sign_run(struct call *call) {
    const struct spending *own = call_own(call, sizeof *own, release);
    if (own->exchange.issuer != NULL) {
        run_issuers(call);
    } else {
        run_ours(call);
    }
}

static void answer(struct call *call) {
    const struct spending *own = call_own(call, sizeof *own, release);
    buf_clear(&call->text);
    err_t err = cert_print_line(own->signing.cert, own->signing.cert->key_id, &call->text);
    err = failed(err) ? err : buf_add_byte(&call->text, '\n');
    if (call_ok(call, err, NULL)) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer_text(call, 200, "text/plain");
    }
    call_send(call);
}

static void sign_finish(struct call *call) {
    struct spending *own = call_own(call, sizeof *own, release);
    login_guard_credit_token(call);
    call_certify(call, &own->signing.cert, 1, answer);
}

const struct route ticket_routes[] = {
    {HTTP_POST, "/api/v1/one-time-tokens", ACCESS_ACCOUNT, "one_time_token.create", create_read,
     create_run, NULL},
    {HTTP_POST, "/sign", ACCESS_PUBLIC, "certificate.sign_once", sign_read, sign_run, sign_finish},
    {.path = NULL},
};
