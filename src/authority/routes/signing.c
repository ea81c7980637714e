#include "authority/routes/signing.h"

#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/metrics.h"
#include "base/clock.h"

enum { DAY_S = 24 * 3600 };

void signing_done(struct signing *signing) {
    key_free(signing->key);
    cert_free(signing->cert);
}

struct signing_for signing_for_caller(const struct call *call) {
    const struct caller *caller = &call->caller;
    return (struct signing_for){.account = &caller->account,
                                .project_count = caller->project_count,
                                .bounds = &caller->bounds,
                                .api_key_id = caller->api_key_id};
}

/* ---- deciding ---------------------------------------------------------------------------- */

/* Those whose address is one and not a name, which may stand for another tomorrow. */
static err_t add_jump_host(void *context, const struct host *host) {
    struct inet_subnet subnet;
    const char *place = host->address[0] != '\0' ? host->address : host->name;
    return failed(inet_subnet_parse(span_str(place), &subnet)) ? OK
                                                               : subnet_list_add(context, &subnet);
}

bool signing_facts(struct call *call, const struct signing_for *for_whom, const struct key *key,
                   struct subnet_list *jump_hosts, struct sign_facts *out) {
    struct store *store = call_store(call);
    char fingerprint[FINGERPRINT_CHARS];
    struct sign_facts facts = {
        .account = for_whom->account,
        .project_count = for_whom->project_count,
        .bounds = for_whom->bounds,
        .jump_hosts = jump_hosts,
        .source = call->source,
        .now = call->now,
    };
    key_fingerprint(key, fingerprint);
    jump_hosts->count = 0;
    size_t restrictions = facts.account->subnets.count + facts.bounds->subnets.count;
    if (!call_ok(call,
                 store_issued_facts(store, facts.account->id, fingerprint, call->now - DAY_S,
                                    call->now, &facts.issued_last_day, &facts.key_has_valid),
                 NULL) ||
        (restrictions != 0 &&
         !call_ok(call, store_host_list_by_role(store, HOST_JUMP, add_jump_host, jump_hosts),
                  "the jump hosts"))) {
        return false;
    }
    facts.key_has_valid |= for_whom->uncounted;
    *out = facts;
    return true;
}

bool signing_judged(struct call *call, const struct decision *decision, const struct key *key) {
    char fingerprint[FINGERPRINT_CHARS];
    metrics_count_decision(call->authority->metrics, decision->code);
    if (!decision->allowed) {
        key_fingerprint(key, fingerprint);
        call_audit(call, fingerprint, false, decision_code_name(decision->code), decision->reason);
        call_decision(call, decision);
    }
    return decision->allowed;
}

static void tell_quota_end(struct call *call, entity_id account_id) {
    int64_t oldest, since = call->now - DAY_S;
    if (!failed(store_issued_oldest(call_store(call), account_id, since, &oldest))) {
        int64_t wait_s = oldest + DAY_S - call->now;
        call_retry_after(call, wait_s < 1 ? 1 : (int)wait_s);
    }
}

/* The job that is asked for, and its cluster, for bounds to be judged by. */
static bool find_job(struct call *call, const struct account *account, struct signing *signing,
                     struct job_choice *out, struct cluster_list *clusters) {
    if (signing->job == NULL) {
        return true;
    }
    if (!job_choice_find(call, signing->job, account, out)) {
        return false;
    }
    if (out->found) {
        job_choice_principal(out, signing->principal);
    }
    return !out->found ||
           call_ok(call, cluster_list_add(clusters, span_str(out->cluster.name)), NULL);
}

bool signing_decide(struct call *call, const struct signing_for *for_whom, struct signing *signing,
                    struct sign_grant *grant) {
    struct subnet_list jump_hosts;
    struct sign_facts facts;
    struct job_choice choice = {.found = false};
    struct cluster_list clusters = {.count = 0};
    if (!find_job(call, for_whom->account, signing, &choice, &clusters) ||
        !signing_facts(call, for_whom, signing->key, &jump_hosts, &facts)) {
        return false;
    }
    struct sign_request request = {
        .key = signing->key,
        .duration_s = signing->duration_s,
        .subnets = signing->subnets.count > 0 ? &signing->subnets : NULL,
        .force_command = signing->force_command,
        .clusters = choice.found ? &clusters : NULL,
        .for_job = signing->job != NULL,
        .job = choice.found ? &choice.job : NULL,
    };
    struct decision decision = policy_sign(&call->authority->policy, &request, &facts, grant);
    if (!signing_judged(call, &decision, signing->key) &&
        decision.code == DECISION_quota_exceeded) {
        tell_quota_end(call, for_whom->account->id);
    }
    return decision.allowed;
}

/* ---- recording --------------------------------------------------------------------------- */

static err_t build(struct call *call, const struct issued *issued, const struct account *account,
                   const struct sign_grant *grant, struct signing *signing) {
    TRY(cert_new(&signing->cert));
    TRY(policy_fill_cert(&call->authority->policy, grant,
                         signing->principal[0] != '\0' ? signing->principal : account->name,
                         issued->key_id, signing->key, signing->cert));
    signing->cert->serial = issued->serial;
    return OK;
}

static void audit_issued(struct call *call, const struct issued *issued,
                         const struct signing_for *for_whom, const char *job) {
    char serial[24], detail[160 + JOB_PRINCIPAL_CHARS], until[TIME_CHARS];
    (void)snprintf(serial, sizeof serial, "%" PRIu64, issued->serial);
    time_print_utc(issued->valid_before, until);
    (void)snprintf(detail, sizeof detail, "%s%s%s%s%s until %s",
                   for_whom->by_id != 0 ? for_whom->account->name : "",
                   for_whom->by_id != 0 ? ": " : "", job, job[0] != '\0' ? " " : "",
                   issued->fingerprint, until);
    call_audit(call, serial, true, "ok", detail);
}

bool signing_record(struct call *call, const struct signing_for *for_whom, struct signing *signing,
                    const struct sign_grant *grant) {
    struct authority *authority = call->authority;
    struct issued issued = {
        .serial = serial_next(&authority->serials, clock_now_ms()),
        .account_id = for_whom->account->id,
        .api_key_id = for_whom->api_key_id,
        .grant_id = for_whom->grant_id,
        .by_id = for_whom->by_id,
        .issued_at = call->now,
        .valid_after = grant->valid_after,
        .valid_before = grant->valid_before,
        .counts = grant->counts,
    };
    signing->expires_at = grant->valid_before;
    key_fingerprint(signing->key, issued.fingerprint);
    bool for_job = signing->principal[0] != '\0';
    (void)snprintf(issued.key_id, sizeof issued.key_id, "%s@%s%s%s", for_whom->account->name,
                   authority->config->site_name, for_job ? KEY_ID_OUTSIDE " " : "",
                   signing->principal);
    memcpy(issued.source, call->source_text, sizeof issued.source);
    (void)snprintf(issued.ca_fingerprint, sizeof issued.ca_fingerprint, "%s",
                   signer_client_fingerprint(authority->signer, CERT_USER));
    if (!call_ok(call, store_issued_add(authority->store, &issued), NULL) ||
        !call_ok(call, build(call, &issued, for_whom->account, grant, signing), NULL)) {
        return false;
    }
    audit_issued(call, &issued, for_whom, signing->principal);
    return true;
}

/* ---- answering --------------------------------------------------------------------------- */

/* Written by hand: everything in it is base64, digits or a checked name. */
err_t signing_print(const struct signing *signing, struct buf *text) {
    char until[TIME_CHARS];
    time_print_utc(signing->expires_at, until);
    TRY(buf_add_str(text, "{\"sshKey\":{\"publicKey\":\""));
    TRY(cert_print_line(signing->cert, signing->cert->key_id, text));
    return buf_add_format(text, "\",\"expireTime\":\"%s\",\"serialNumber\":\"%" PRIu64 "\"", until,
                          signing->cert->serial);
}

void signing_send(struct call *call, const struct signing *signing, unsigned status) {
    buf_clear(&call->text);
    err_t err = signing_print(signing, &call->text);
    err = failed(err) ? err : buf_add_str(&call->text, "}}");
    if (call_ok(call, err, NULL)) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer_text(call, status, "application/json");
    }
    call_send(call);
}
