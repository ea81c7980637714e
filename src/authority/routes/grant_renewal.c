/*
 * What a machine gets by a grant. Nobody is signed in: the proof of possession is the credential
 * (model/policy_grant.h). It is verified before the store is asked, so that nobody learns of a key
 * that is not theirs whether it has a grant.
 */
#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/metrics.h"
#include "authority/rate.h"
#include "authority/routes/login.h"
#include "authority/routes/signing.h"
#include "base/clock.h"
#include "model/policy_grant.h"
#include "ssh/sshsig.h"

enum { SIGNATURE_CHARS_MAX = 16 * 1024, MESSAGE_BYTES_MAX = 512 };

struct renewal {
    const char *username; /* borrowed from the body, as the signature is; "": whichever */
    uint64_t time_ms;
    span_t signature;
    struct signing signing; /* its key is the proof's */
};

static void release(void *own) { signing_done(&((struct renewal *)own)->signing); }

static void refuse_proof(struct call *call, const char *field, err_t err) {
    call_problem(call, 401, "proof_refused", field,
                 "this is no proof that you have the key: %s; sign the text that the manual "
                 "describes under the namespace " GRANT_PROOF_NAMESPACE,
                 err_text(err));
}

/* Hash worker: a large RSA key takes its time. */
static void verify(struct call *call) {
    struct renewal *own = call_own(call, sizeof *own, release);
    struct buf message CLEANUP(buf_done) = BUF(MESSAGE_BYTES_MAX);
    err_t err = grant_proof_put(call->authority->config->site_name, own->username,
                                (int64_t)own->time_ms, &message);
    if (!failed(err)) {
        err = sshsig_verify(own->signature, GRANT_PROOF_NAMESPACE, buf_span(&message),
                            &own->signing.key);
    }
    if (failed(err)) {
        refuse_proof(call, "signature", err);
    }
}

static void run(struct call *call);

static err_t read(struct call *call) {
    struct renewal *own = call_own(call, sizeof *own, release);
    own->username = "";
    TRY(login_guard_admit_token(call));
    TRY(call_read_string(call, "username", CALL_OPTIONAL, LIMIT_ACCOUNT_NAME_CHARS,
                         &own->username));
    TRY(call_read_u64(call, "time", CALL_REQUIRED, &own->time_ms));
    TRY(call_read_text(call, "signature", CALL_REQUIRED, SIGNATURE_CHARS_MAX, &own->signature));
    if (own->time_ms > INT64_MAX) {
        refuse_proof(call, "time", FAIL(ERR_RANGE));
        return FAIL(ERR_RANGE);
    }
    call_defer(call, verify, run);
    return OK;
}

/* ---- which grant ------------------------------------------------------------------------- */

struct search {
    struct call *call;
    const char *username;
    struct grant *grant;     /* the one that is valid, else the last that was */
    struct account *account; /* its */
    size_t valid, found;
    bool several; /* accounts, now or before */
};

static err_t consider(void *context, const struct grant *grant) {
    struct search *search = context;
    struct account account;
    TRY(store_account_get(call_store(search->call), grant->account_id, &account));
    if (search->username[0] != '\0' && strcmp(search->username, account.name) != 0) {
        return OK;
    }
    bool valid = grant->revoked_at == 0 && grant->expires_at > search->call->now;
    search->several |= search->found > 0 && account.id != search->account->id;
    search->found++;
    search->valid += valid;
    if (valid || search->valid == 0) {
        *search->grant = *grant;
        *search->account = account;
    }
    return OK;
}

static bool find(struct call *call, const struct renewal *own, struct grant *grant) {
    char fingerprint[FINGERPRINT_CHARS];
    struct search search = {
        .call = call, .username = own->username, .grant = grant, .account = &call->caller.account};
    key_fingerprint(own->signing.key, fingerprint);
    call_audit(call, fingerprint, true, "ok", NULL);
    err_t err = store_grant_list_by_key(call_store(call), fingerprint, consider, &search);
    if (!call_ok(call, err, "the grants")) {
        return false;
    }
    if (search.found == 0) {
        call_problem(call, 404, "no_grant", NULL,
                     "there is no grant for the key %s; a person approves one: postern grant "
                     "create",
                     fingerprint);
    } else if (search.several) {
        /* Anybody approves anybody's public key: a machine that does not say whose it is shall not
         * become another's when its own grant has ended. */
        call_problem(call, 409, "conflict", "username",
                     "several accounts approved this key; say whose certificate it shall be");
    }
    return !call_refused(call);
}

/* ---- the certificate --------------------------------------------------------------------- */

static bool decide(struct call *call, const struct renewal *own, const struct grant *grant,
                   const struct signing_for *for_grant, struct sign_grant *granted) {
    struct subnet_list jump_hosts;
    struct sign_facts facts;
    if (!signing_facts(call, for_grant, own->signing.key, &jump_hosts, &facts)) {
        return false;
    }
    struct decision decision = policy_renew(&call->authority->policy, grant, own->signing.key,
                                            (int64_t)own->time_ms, clock_now_ms(), facts, granted);
    return signing_judged(call, &decision, own->signing.key);
}

/* Kept in the transaction of the certificate. */
static bool note_use(struct call *call, const struct renewal *own, struct grant *grant) {
    grant->last_used_at = call->now;
    grant->last_proof_ms = (int64_t)own->time_ms;
    memcpy(grant->last_source, call->source_text, sizeof grant->last_source);
    return call_ok(call, store_grant_update(call_store(call), grant), "the grant");
}

static void renew(struct call *call, struct renewal *own, struct grant *grant) {
    struct caller *caller = &call->caller;
    struct sign_grant granted;
    if (!find(call, own, grant)) {
        return;
    }
    caller->is_account = true; /* whose row it is, and whose bounds */
    caller->bounds.subnets = grant->subnets;
    err_t err = bearer_count_projects(call_store(call), &caller->account, &caller->project_count);
    struct signing_for for_grant = signing_for_caller(call);
    for_grant.grant_id = grant->id;
    if (call_ok(call, err, "the projects") && decide(call, own, grant, &for_grant, &granted) &&
        rate_spend(call, RATE_CERTIFICATES) && note_use(call, own, grant)) {
        (void)signing_record(call, &for_grant, &own->signing, &granted);
    }
}

static void run(struct call *call) {
    struct renewal *own = call_own(call, sizeof *own, release);
    struct grant *grant CLEANUP(freep) = malloc(sizeof *grant);
    if (grant == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
        return;
    }
    renew(call, own, grant);
}

static void answer(struct call *call) {
    const struct renewal *own = call_own(call, sizeof *own, release);
    buf_clear(&call->text);
    err_t err = signing_print(&own->signing, &call->text);
    err = failed(err)
              ? err
              : buf_add_format(&call->text, "},\"username\":\"%s\"}", call->caller.account.name);
    if (call_ok(call, err, NULL)) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer_text(call, 200, "application/json");
    }
    call_send(call);
}

static void finish(struct call *call) {
    struct renewal *own = call_own(call, sizeof *own, release);
    login_guard_credit_token(call);
    call_certify(call, &own->signing.cert, 1, answer);
}

const struct route grant_renewal_routes[] = {
    {HTTP_POST, "/api/v1/grants/certificates", ACCESS_PUBLIC, "grant.renew", read, run, finish},
    {.path = NULL},
};
