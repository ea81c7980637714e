/*
 * Certificates for jobs, in the place of a scheduler's job keys. A frontend asks for a user whose
 * uid it has proof of; what comes of it is good on the job's nodes, while it runs, and for nothing
 * else: the one principal is the job. As with sign.c, it is on record before it is signed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/metrics.h"
#include "authority/rate.h"
#include "authority/routes/frontend.h"
#include "authority/routes/job_choice.h"
#include "base/clock.h"

struct job_signing {
    const char *username; /* borrowed from the body */
    const char *job;      /* "1234" or "1234@nancy" */
    const char *node;     /* whose address is asked for as well; NULL: none */
    char address[LIMIT_HOST_NAME_CHARS + 1];
    uint16_t port;
    struct key *key;
    struct cert *cert;
};

static void release(void *own) {
    struct job_signing *signing = own;
    key_free(signing->key);
    cert_free(signing->cert);
}

static err_t read_job(struct call *call) {
    struct job_signing *own = call_own(call, sizeof *own, release);
    const char *line = NULL;
    TRY(call_read_string(call, "username", CALL_REQUIRED, LIMIT_ACCOUNT_NAME_CHARS,
                         &own->username));
    TRY(call_read_string(call, "job", CALL_REQUIRED, JOB_KEY_CHARS, &own->job));
    TRY(call_read_string(call, "node", CALL_OPTIONAL, LIMIT_HOST_NAME_CHARS, &own->node));
    TRY(call_read_string(call, "publicKey", CALL_REQUIRED, LIMIT_KEY_LINE_CHARS, &line));
    err_t err = key_parse_line(span_str(line), &own->key, NULL);
    if (failed(err)) {
        call_problem(call, 422, err_name(err), "publicKey", "publicKey: %s", err_text(err));
    }
    return err;
}

static err_t build(struct call *call, const struct frontend *frontend,
                   const struct job_choice *choice, const struct sign_grant *grant,
                   struct job_signing *own, char *key_id, size_t key_id_size) {
    struct authority *authority = call->authority;
    char principal[JOB_PRINCIPAL_CHARS];
    job_choice_principal(choice, principal);
    (void)snprintf(key_id, key_id_size, "%s@%s %s", frontend->account.name,
                   authority->config->site_name, principal);
    TRY(cert_new(&own->cert));
    TRY(policy_fill_cert(&authority->policy, grant, principal, key_id, own->key, own->cert));
    own->cert->serial = serial_next(&authority->serials, clock_now_ms());
    return OK;
}

static err_t record(struct call *call, const struct frontend *frontend, const struct cert *cert,
                    const char *key_id) {
    struct issued issued = {.serial = cert->serial,
                            .account_id = frontend->account.id,
                            .issued_at = call->now,
                            .valid_after = (int64_t)cert->valid_after,
                            .valid_before = (int64_t)cert->valid_before};
    (void)snprintf(issued.key_id, sizeof issued.key_id, "%s", key_id);
    key_fingerprint(cert->key, issued.fingerprint);
    (void)snprintf(issued.ca_fingerprint, sizeof issued.ca_fingerprint, "%s",
                   signer_client_fingerprint(call->authority->signer, CERT_USER));
    memcpy(issued.source, call->source_text, sizeof issued.source);
    return store_issued_add(call_store(call), &issued);
}

static bool decide(struct call *call, const struct job_signing *own, struct frontend *frontend,
                   struct job_choice *choice, struct sign_grant *grant) {
    if (!frontend_find(call, own->username, frontend) ||
        !job_choice_find_on(call, own->job, &frontend->cluster, choice)) {
        return false;
    }
    if ((frontend->cluster.credentials & CREDENTIALS_CERTIFICATES) == 0) {
        call_problem(call, 409, "no_credential", NULL, "the cluster %s takes no certificates",
                     frontend->cluster.name);
        return false;
    }
    struct decision decision =
        policy_sign_job(&call->authority->policy, own->key, &frontend->account,
                        choice->found ? &choice->job : NULL, call->now, grant);
    metrics_count_decision(call->authority->metrics, decision.code);
    call_decision(call, &decision);
    return decision.allowed;
}

/* Frontends do not hear of other hosts, and have to lead to this one. One that is no host of the
 * cluster has no address that we know. */
static bool find_node(struct call *call, const struct frontend *frontend, struct job_signing *own) {
    struct host *host CLEANUP(freep) = calloc(1, sizeof *host);
    err_t err = host == NULL        ? FAIL(ERR_MEMORY)
                : own->node == NULL ? FAIL(ERR_NOT_FOUND)
                                    : store_host_find(call_store(call), own->node, host);
    if (err.code == ERR_NOT_FOUND) {
        return true;
    }
    if (!failed(err) && host->cluster_id == frontend->cluster.id) {
        memcpy(own->address, host->address, sizeof own->address);
        own->port = host->port;
    }
    return call_ok(call, err, "the node");
}

static void run_job(struct call *call) {
    struct job_signing *own = call_own(call, sizeof *own, release);
    struct frontend frontend = {0};
    struct job_choice choice = {.found = false};
    struct sign_grant grant = {0};
    char key_id[sizeof((struct issued *)NULL)->key_id];
    call_audit(call, own->username, true, "ok", own->job);
    if (!rate_spend(call, RATE_JOB_CERTIFICATES) ||
        !decide(call, own, &frontend, &choice, &grant) || !find_node(call, &frontend, own) ||
        !call_ok(call, build(call, &frontend, &choice, &grant, own, key_id, sizeof key_id), NULL) ||
        !call_ok(call, record(call, &frontend, own->cert, key_id), NULL)) {
        return;
    }
    char serial[24], detail[160];
    (void)snprintf(serial, sizeof serial, "%" PRIu64, own->cert->serial);
    (void)snprintf(detail, sizeof detail, "%.150s", key_id);
    call_audit(call, serial, true, "ok", detail);
}

static void answer(struct call *call) {
    const struct job_signing *own = call_own(call, sizeof *own, release);
    const struct cert *cert = own->cert;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    if (call_ok(call, cert_print_line(cert, NULL, &line), "the certificate")) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer(call, 200,
                    json_pack("{s:o,s:o,s:o,s:s,s:i}", "certificate",
                              json_stringn((const char *)line.data, line.len), "expireTime",
                              call_json_time((int64_t)cert->valid_before), "serialNumber",
                              call_json_u64(cert->serial), "address", own->address, "port",
                              (int)own->port));
    }
    call_send(call);
}

static void finish_job(struct call *call) {
    struct job_signing *own = call_own(call, sizeof *own, release);
    call_certify(call, &own->cert, 1, answer);
}

const struct route job_certificate_routes[] = {
    {HTTP_POST, "/api/v1/host/job-certificates", ACCESS_HOST, "job_certificate.sign", read_job,
     run_job, finish_job},
    {0},
};
