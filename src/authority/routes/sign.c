/*
 * Signing. The order is what makes "every certificate that exists is on record" true: the decision,
 * the serial and the issued row are one transaction; only after its commit does finish() build the
 * certificate and ask the signer.
 */
#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/metrics.h"
#include "authority/rate.h"
#include "authority/routes/job_choice.h"
#include "base/clock.h"
#include "ssh/private_key.h"

enum {
    DAY_S = 24 * 3600,
    GENERATED_RSA_BITS = 4096,
    GENERATED_KDF_ROUNDS = 100, /* as ssh-keygen -a 100 */
    PASSPHRASE_CHARS_MAX = 1024,
};

struct signing {
    struct key *key;
    int64_t duration_s; /* 0: the default */
    struct subnet_list subnets;
    const char *force_command; /* borrowed from the body */
    const char *job;           /* the same; NULL: for no job alone */
    uint64_t serial;
    int64_t expires_at;
    struct cert *cert;
    /* of a pair that is made here */
    enum key_type new_type;
    unsigned new_bits;
    secret_t passphrase;
    struct private_key *private_key;
    struct buf private_text;
};
_Static_assert(sizeof(struct signing) <= CALL_OWN_BYTES, "fits into call_own()");

static void release(void *own) {
    struct signing *signing = own;
    key_free(signing->key);
    cert_free(signing->cert);
    private_key_free(signing->private_key);
    secret_done(&signing->passphrase);
    buf_done(&signing->private_text);
}

/* ---- reading ----------------------------------------------------------------------------- */

static err_t read_sign(struct call *call) {
    struct signing *signing = call_own(call, sizeof *signing, release);
    TRY(call_read_public_key(call, "publicKey", &signing->key, NULL));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &signing->duration_s));
    TRY(call_read_subnets(call, "ipSubnets", CALL_OPTIONAL, &signing->subnets));
    TRY(call_read_string(call, "job", CALL_OPTIONAL, JOB_KEY_CHARS, &signing->job));
    return call_read_string(call, "forceCommand", CALL_OPTIONAL, LIMIT_FORCE_COMMAND_CHARS,
                            &signing->force_command);
}

static const struct {
    const char *name;
    enum key_type type;
    unsigned bits;
} generated[] = {
    {"ed25519", KEY_ED25519, 256},
    {"rsa", KEY_RSA, GENERATED_RSA_BITS},
    {"ecdsa", KEY_ECDSA_256, 256},
};

static err_t read_key_type(struct call *call, struct signing *signing) {
    const char *name = generated[0].name;
    TRY(call_read_string(call, "keyType", CALL_OPTIONAL, 32, &name));
    for (size_t i = 0; i < COUNT_OF(generated); i++) {
        if (strcmp(generated[i].name, name) == 0) {
            signing->new_type = generated[i].type;
            signing->new_bits = generated[i].bits;
            return OK;
        }
    }
    call_problem(call, 422, "key_type_refused", "keyType",
                 "keys are made here of type ed25519, rsa or ecdsa");
    return FAIL(ERR_UNSUPPORTED);
}

static err_t read_generate(struct call *call) {
    struct signing *signing = call_own(call, sizeof *signing, release);
    buf_init(&signing->private_text, LIMIT_KEY_FILE_BYTES);
    span_t passphrase = {NULL, 0};
    TRY(read_key_type(call, signing));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &signing->duration_s));
    TRY(call_read_text(call, "passphrase", CALL_OPTIONAL, PASSPHRASE_CHARS_MAX, &passphrase));
    if (passphrase.len > 0 &&
        failed(secret_copy(passphrase, PASSPHRASE_CHARS_MAX, &signing->passphrase))) {
        call_problem(call, 400, "malformed", "passphrase", "this cannot be a passphrase");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

/* ---- deciding and recording -------------------------------------------------------------- */

static void tell_quota_end(struct call *call, int64_t since) {
    int64_t oldest;
    if (!failed(store_issued_oldest(call_store(call), call->caller.account.id, since, &oldest))) {
        int64_t wait_s = oldest + DAY_S - call->now;
        call_retry_after(call, wait_s < 1 ? 1 : (int)wait_s);
    }
}

/* Those whose address is one and not a name, which may stand for another tomorrow. */
static err_t add_jump_host(void *context, const struct host *host) {
    struct inet_subnet subnet;
    const char *place = host->address[0] != '\0' ? host->address : host->name;
    return failed(inet_subnet_parse(span_str(place), &subnet)) ? OK
                                                               : subnet_list_add(context, &subnet);
}

static bool decide(struct call *call, struct signing *signing, const struct job_choice *choice,
                   const char *fingerprint, struct sign_grant *grant) {
    struct authority *authority = call->authority;
    struct sign_facts facts = {
        .account = &call->caller.account,
        .project_count = call->caller.project_count,
        .bounds = &call->caller.bounds,
        .source = call->source,
        .now = call->now,
    };
    if (!call_ok(call,
                 store_issued_facts(authority->store, facts.account->id, fingerprint,
                                    call->now - DAY_S, call->now, &facts.issued_last_day,
                                    &facts.key_has_valid),
                 NULL)) {
        return false;
    }
    struct subnet_list jump_hosts = {.count = 0};
    if (facts.account->subnets.count + facts.bounds->subnets.count != 0 &&
        !call_ok(call,
                 store_host_list_by_role(authority->store, HOST_JUMP, add_jump_host, &jump_hosts),
                 "the jump hosts")) {
        return false;
    }
    facts.jump_hosts = &jump_hosts;
    struct cluster_list clusters = {.count = 0};
    if (choice->found &&
        !call_ok(call, cluster_list_add(&clusters, span_str(choice->cluster.name)), NULL)) {
        return false;
    }
    struct sign_request request = {
        .key = signing->key,
        .duration_s = signing->duration_s,
        .subnets = signing->subnets.count > 0 ? &signing->subnets : NULL,
        .force_command = signing->force_command,
        .for_job = signing->job != NULL,
        .job = choice->found ? &choice->job : NULL,
        .clusters = choice->found ? &clusters : NULL,
    };
    struct decision decision = policy_sign(&authority->policy, &request, &facts, grant);
    metrics_count_decision(authority->metrics, decision.code);
    if (!decision.allowed) {
        call_audit(call, fingerprint, false, decision_code_name(decision.code), decision.reason);
        call_decision(call, &decision);
        if (decision.code == DECISION_quota_exceeded) {
            tell_quota_end(call, call->now - DAY_S);
        }
        return false;
    }
    return true;
}

/* What the certificate is good for: the account's name, or the job's. */
struct names {
    char principal[JOB_PRINCIPAL_CHARS];
    char key_id[sizeof((struct issued *)NULL)->key_id];
};
_Static_assert((size_t)JOB_PRINCIPAL_CHARS > LIMIT_ACCOUNT_NAME_CHARS, "either fits");

static void make_names(const struct call *call, const struct job_choice *choice,
                       struct names *out) {
    const char *account = call->caller.account.name;
    const char *site = call->authority->config->site_name;
    if (choice->found) {
        job_choice_principal(choice, out->principal);
        (void)snprintf(out->key_id, sizeof out->key_id, "%s@%s" KEY_ID_OUTSIDE " %s", account, site,
                       out->principal);
    } else {
        (void)snprintf(out->principal, sizeof out->principal, "%s", account);
        (void)snprintf(out->key_id, sizeof out->key_id, "%s@%s", account, site);
    }
}

static err_t build(struct call *call, struct signing *signing, const struct sign_grant *grant,
                   const struct names *names) {
    TRY(cert_new(&signing->cert));
    TRY(policy_fill_cert(&call->authority->policy, grant, names->principal, names->key_id,
                         signing->key, signing->cert));
    signing->cert->serial = signing->serial;
    return OK;
}

static void run_sign(struct call *call) {
    struct authority *authority = call->authority;
    struct signing *signing = call_own(call, sizeof *signing, release);
    struct issued issued = {
        .account_id = call->caller.account.id,
        .api_key_id = call->caller.api_key_id,
        .issued_at = call->now,
    };
    struct sign_grant grant;
    struct job_choice choice = {.found = false};
    struct names names;
    key_fingerprint(signing->key, issued.fingerprint);
    if (signing->job != NULL &&
        !job_choice_find(call, signing->job, &call->caller.account, &choice)) {
        return;
    }
    if (!decide(call, signing, &choice, issued.fingerprint, &grant) ||
        !rate_spend(call, RATE_CERTIFICATES)) {
        return;
    }
    issued.serial = signing->serial = serial_next(&authority->serials, clock_now_ms());
    issued.valid_after = grant.valid_after;
    issued.valid_before = signing->expires_at = grant.valid_before;
    issued.counts = grant.counts;
    make_names(call, &choice, &names);
    memcpy(issued.key_id, names.key_id, sizeof issued.key_id);
    memcpy(issued.source, call->source_text, sizeof issued.source);
    (void)snprintf(issued.ca_fingerprint, sizeof issued.ca_fingerprint, "%s",
                   signer_client_fingerprint(authority->signer, CERT_USER));
    if (!call_ok(call, store_issued_add(authority->store, &issued), NULL) ||
        !call_ok(call, build(call, signing, &grant, &names), NULL)) {
        return;
    }
    char serial[24], detail[128 + JOB_PRINCIPAL_CHARS], until[TIME_CHARS];
    (void)snprintf(serial, sizeof serial, "%" PRIu64, issued.serial);
    time_print_utc(issued.valid_before, until);
    (void)snprintf(detail, sizeof detail, "%s%s%s until %s", choice.found ? names.principal : "",
                   choice.found ? " " : "", issued.fingerprint, until);
    call_audit(call, serial, true, "ok", detail);
}

/* ---- a pair made here -------------------------------------------------------------------- */

/* Hash worker: making an RSA key and hashing a passphrase take their time. */
static void make_pair(struct call *call) {
    struct signing *signing = call_own(call, sizeof *signing, release);
    err_t err = private_key_generate(signing->new_type, signing->new_bits, &signing->private_key);
    if (!failed(err)) {
        err = key_copy(private_key_public(signing->private_key), &signing->key);
    }
    if (!failed(err)) {
        err = private_key_write(signing->private_key, call->caller.account.name,
                                signing->passphrase.len > 0 ? &signing->passphrase : NULL,
                                GENERATED_KDF_ROUNDS, &signing->private_text);
    }
    (void)call_ok(call, err, NULL);
}

static void run_generate(struct call *call) {
    if (rate_spend(call, RATE_KEY_PAIRS)) {
        call_defer(call, make_pair, run_sign);
    }
}

/* ---- answering --------------------------------------------------------------------------- */

/* Written by hand: everything in it is base64, digits or a checked name. */
static err_t print_answer(struct call *call, const struct signing *signing) {
    struct buf *text = &call->text;
    char until[TIME_CHARS];
    time_print_utc(signing->expires_at, until);
    buf_clear(text);
    TRY(buf_add_str(text, "{\"sshKey\":{\"publicKey\":\""));
    TRY(cert_print_line(signing->cert, signing->cert->key_id, text));
    return buf_add_format(text, "\",\"expireTime\":\"%s\",\"serialNumber\":\"%" PRIu64 "\"", until,
                          signing->serial);
}

static void answer(struct call *call) {
    struct signing *signing = call_own(call, sizeof *signing, release);
    err_t err = print_answer(call, signing);
    if (!failed(err) && signing->private_text.len > 0) {
        json_t *text =
            json_stringn((const char *)signing->private_text.data, signing->private_text.len);
        char *quoted = text != NULL ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        json_decref(text);
        err = quoted == NULL ? FAIL(ERR_MEMORY) : buf_add_str(&call->text, ",\"privateKey\":");
        if (!failed(err)) {
            err = buf_add_str(&call->text, quoted);
        }
        if (quoted != NULL) {
            secret_wipe(quoted, strlen(quoted));
        }
        free(quoted);
    }
    if (!failed(err)) {
        err = buf_add_str(&call->text, "}}");
    }
    if (call_ok(call, err, NULL)) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer_text(call, 200, "application/json");
    }
    call_send(call);
}

static void finish_sign(struct call *call) {
    struct signing *signing = call_own(call, sizeof *signing, release);
    call_certify(call, &signing->cert, 1, answer);
}

const struct route sign_routes[] = {
    {HTTP_POST, "/api/v1/ssh-keys/sign", ACCESS_ACCOUNT, "certificate.sign", read_sign, run_sign,
     finish_sign},
    {HTTP_POST, "/api/v1/ssh-keys", ACCESS_ACCOUNT, "certificate.generate", read_generate,
     run_generate, finish_sign},
    {.path = NULL},
};
