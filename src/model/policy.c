#include "model/policy.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

enum { DAY_S = 24 * 3600 };

static const struct decision allowed = {.allowed = true, .code = DECISION_allowed};

/* ---- keys ---- */

enum { ECDSA_BITS = 1U << KEY_ECDSA_256 | 1U << KEY_ECDSA_384 | 1U << KEY_ECDSA_521 };

/* In the order in which we would recommend them. */
static const struct {
    const char *name;
    uint32_t bits;
    const char *keygen;
} key_kinds[] = {
    {"ed25519", 1U << KEY_ED25519, "ssh-keygen -t ed25519"},
    {"sk-ed25519", 1U << KEY_SK_ED25519, "ssh-keygen -t ed25519-sk"},
    {"ecdsa", ECDSA_BITS, "ssh-keygen -t ecdsa"},
    {"sk-ecdsa", 1U << KEY_SK_ECDSA_256, "ssh-keygen -t ecdsa-sk"},
    {"rsa", 1U << KEY_RSA, "ssh-keygen -t rsa -b 4096"},
};

err_t policy_key_type_parse(span_t name, uint32_t *bits) {
    for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
        if (span_equal_str(name, key_kinds[i].name)) {
            *bits = key_kinds[i].bits;
            return OK;
        }
    }
    return FAIL(ERR_NOT_FOUND);
}

/* How to make a key that this policy takes. */
static const char *keygen_advice(const struct policy *policy) {
    for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
        if ((policy->key_types & key_kinds[i].bits) != 0) {
            return key_kinds[i].keygen;
        }
    }
    return "ask the administrators, no key type is allowed here";
}

struct decision policy_key(const struct policy *policy, const struct key *key) {
    enum key_type type = key_type(key);
    if (type == KEY_UNKNOWN || (policy->key_types & 1U << type) == 0) {
        return decision_refuse(DECISION_key_type_refused, "publicKey",
                               "keys of type %.64s are not accepted here; make a new key: %s",
                               key_type_name(key), keygen_advice(policy));
    }
    if (type == KEY_RSA && key_bits(key) < policy->rsa_bits_min) {
        return decision_refuse(
            DECISION_key_size_refused, "publicKey",
            "the RSA key has %u bits and at least %u are needed; make a new key: %s", key_bits(key),
            policy->rsa_bits_min, keygen_advice(policy));
    }
    return allowed;
}

struct decision policy_register(const struct policy *policy, const struct register_request *request,
                                int64_t now, int64_t *expires_at) {
    if (!policy->registered_keys_allowed) {
        return decision_refuse(DECISION_keys_refused, "",
                               "keys are not registered here; get a certificate: postern sign");
    }
    struct decision decision = policy_key(policy, request->key);
    if (!decision.allowed) {
        return decision;
    }
    int64_t lasts_s = request->duration_s != 0   ? request->duration_s
                      : request->expires_at != 0 ? request->expires_at - now
                                                 : policy->registered_key_default_s;
    int64_t max_s = policy->registered_key_max_s;
    if (request->expires_at != 0 && lasts_s <= 0) {
        return decision_refuse(DECISION_expiry_refused, "expireTime",
                               "this time has passed; give one that is to come, or none");
    }
    if (max_s != 0 && (lasts_s == 0 || lasts_s > max_s)) {
        char text[DURATION_CHARS];
        duration_print(max_s, text);
        return decision_refuse(DECISION_expiry_refused,
                               request->duration_s != 0 ? "duration" : "expireTime",
                               "keys are registered here for at most %s; ask for less", text);
    }
    *expires_at = lasts_s == 0 ? 0 : now + lasts_s;
    return decision;
}

/* ---- duration ---- */

static struct decision refuse_duration(const struct policy *policy, int64_t asked) {
    char text[DURATION_CHARS] = "this duration";
    char max[DURATION_CHARS];
    if (asked > 0 && asked <= LIMIT_DURATION_S) {
        duration_print(asked, text);
    }
    duration_print(policy->duration_max_s, max);
    if (policy->duration_count == 0) {
        return decision_refuse(DECISION_duration_refused, "duration",
                               "%s is not offered here; choose any up to %s", text, max);
    }
    char choices[POLICY_DURATIONS_COUNT * (DURATION_CHARS + 2)] = "";
    for (size_t i = 0, len = 0; i < policy->duration_count; i++) {
        if (policy->durations[i] > 0 && policy->durations[i] <= policy->duration_max_s) {
            char choice[DURATION_CHARS];
            duration_print(policy->durations[i], choice);
            len += (size_t)snprintf(choices + len, sizeof choices - len, "%s%s",
                                    len == 0 ? "" : ", ", choice);
        }
    }
    return decision_refuse(DECISION_duration_refused, "duration",
                           "%s is not offered here; choose one of: %.320s", text, choices);
}

static struct decision decide_duration(const struct policy *policy, const struct bounds *bounds,
                                       const struct sign_request *request, int64_t *duration) {
    int64_t max =
        bounds == NULL || bounds->duration_max_s == 0 ? INT64_MAX : bounds->duration_max_s;
    int64_t otherwise = request->for_job ? policy->duration_max_s : policy->duration_default_s;
    int64_t wanted = request->duration_s != 0 ? request->duration_s
                     : otherwise > max        ? max
                                              : otherwise;
    bool offered = policy->duration_count == 0 || request->for_job;
    for (size_t i = 0; i < policy->duration_count; i++) {
        offered = offered || policy->durations[i] == wanted;
    }
    if (!offered || wanted <= 0 || wanted > policy->duration_max_s || wanted > LIMIT_DURATION_S) {
        return refuse_duration(policy, wanted);
    }
    if (wanted > max) {
        char text[DURATION_CHARS];
        duration_print(max, text);
        return decision_refuse(DECISION_duration_refused, "duration",
                               "certificates of this %s last at most %s; ask for that",
                               bounds->what, text);
    }
    *duration = wanted;
    return allowed;
}

struct decision policy_duration(const struct policy *policy, int64_t duration_s) {
    const struct sign_request request = {.duration_s = duration_s};
    int64_t ignored;
    return decide_duration(policy, NULL, &request, &ignored);
}

/* ---- subnets ---- */

static struct decision refuse_subnets(const struct subnet_list *imposed, const char *whose) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SUBNETS_COUNT * INET_CHARS);
    if (failed(subnet_list_print(imposed, &text))) {
        buf_clear(&text);
    }
    return decision_refuse(DECISION_subnets_refused, "ipSubnets",
                           "none of these addresses is allowed %s; choose within: %.*s", whose,
                           (int)(text.len > 280 ? 280 : text.len), (const char *)text.data);
}

/* Narrows *list by `imposed`, where an empty list stands for every address on both sides. */
static struct decision narrow_subnets(struct subnet_list *list, const struct subnet_list *imposed,
                                      const char *whose) {
    err_t err = imposed == NULL ? OK : subnet_list_intersect(list, imposed, list);
    if (err.code == ERR_TOO_LONG) {
        return decision_refuse(
            DECISION_subnets_refused, "ipSubnets",
            "together with the restrictions that hold anyway these are more than %d "
            "subnets; ask for fewer",
            LIMIT_SUBNETS_COUNT);
    }
    return failed(err) ? refuse_subnets(imposed, whose) : allowed;
}

/* With the jump hosts that one comes through, where the list is not everywhere. */
static bool with_jump_hosts(const struct sign_facts *facts, const struct subnet_list *from,
                            struct subnet_list *out) {
    struct subnet_list list = *from;
    size_t jumps = list.count == 0 || facts->jump_hosts == NULL ? 0 : facts->jump_hosts->count;
    for (size_t i = 0; i < jumps; i++) {
        if (failed(subnet_list_add(&list, &facts->jump_hosts->subnets[i]))) {
            return false;
        }
    }
    *out = list;
    return true;
}

static struct decision decide_subnets(const struct policy *policy, const struct subnet_list *asked,
                                      const struct sign_facts *facts, struct subnet_list *out) {
    struct subnet_list list = {.count = 0};
    static const struct subnet_list everywhere;
    struct subnet_list own, bound;
    if (asked != NULL) {
        list = *asked;
    }
    if (!with_jump_hosts(facts, &facts->account->subnets, &own)) {
        return decision_refuse(
            DECISION_subnets_refused, "ipSubnets",
            "with the jump hosts' addresses your own restriction has more than %d "
            "subnets; make it shorter: postern access --from SUBNET",
            LIMIT_SUBNETS_COUNT);
    }
    if (!with_jump_hosts(facts, facts->bounds == NULL ? &everywhere : &facts->bounds->subnets,
                         &bound)) {
        return decision_refuse(
            DECISION_subnets_refused, "ipSubnets",
            "with the jump hosts' addresses the %s has more than %d subnets; make "
            "another with fewer",
            facts->bounds->what, LIMIT_SUBNETS_COUNT);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (list.subnets[i].address.family_bits == 0) {
            return decision_refuse(
                DECISION_subnets_refused, "ipSubnets",
                "entry %zu is not a subnet; write it as 192.0.2.0/24 or 2001:db8::/32", i + 1);
        }
    }
    char by_credential[64];
    (void)snprintf(by_credential, sizeof by_credential, "for the %s that was used",
                   facts->bounds == NULL ? "credential" : facts->bounds->what);
    struct decision decision = narrow_subnets(&list, &policy->subnets, "here");
    if (decision.allowed) {
        decision = narrow_subnets(&list, &bound, by_credential);
    }
    if (decision.allowed) {
        decision = narrow_subnets(&list, &own, "by your own restriction (postern access)");
    }
    if (decision.allowed) {
        *out = list;
    }
    return decision;
}

/* ---- clusters ---- */

static struct decision decide_clusters(const struct cluster_list *asked,
                                       const struct bounds *bounds, struct cluster_list *out) {
    static const struct cluster_list all;
    struct cluster_list list;
    if (failed(cluster_list_intersect(asked == NULL ? &all : asked,
                                      bounds == NULL ? &all : &bounds->clusters, &list))) {
        return decision_refuse(DECISION_clusters_refused, "clusters",
                               "the %s is good for none of these clusters", bounds->what);
    }
    *out = list;
    return allowed;
}

/* ---- the rest ---- */

static struct decision decide_force_command(const struct policy *policy, const char *command) {
    if (command == NULL) {
        return allowed;
    }
    const char *why = NULL;
    span_t text = span_of(command, strnlen(command, LIMIT_FORCE_COMMAND_CHARS + 1));
    if (!policy->force_command_allowed) {
        why = "forced commands are not offered here; leave it out";
    } else if (text.len == 0) {
        why = "the forced command is empty; leave it out or name one";
    } else if (!text_is_utf8(text)) {
        why = "the forced command has control characters or is not UTF-8; write it on one line";
    }
    if (text.len > LIMIT_FORCE_COMMAND_CHARS) {
        return decision_refuse(DECISION_force_command_refused, "forceCommand",
                               "the forced command is longer than %d bytes; put it into a script",
                               LIMIT_FORCE_COMMAND_CHARS);
    }
    if (why != NULL) {
        return decision_refuse(DECISION_force_command_refused, "forceCommand", "%s", why);
    }
    return allowed;
}

static struct decision decide_account(const struct sign_facts *facts) {
    static const struct inet_address nowhere = {.family_bits = 0};
    const struct account *account = facts->account;
    if (account == NULL || account->id == 0) {
        return decision_refuse(DECISION_not_permitted, "", "there is no such account");
    }
    if (account->disabled) {
        return decision_refuse(DECISION_account_disabled, "",
                               "the account %s is disabled; ask the administrators", account->name);
    }
    if (facts->project_count == 0) {
        return decision_refuse(
            DECISION_no_project, "",
            "the account %s belongs to no project; ask the manager of a project to add "
            "it",
            account->name);
    }
    const struct inet_address *source = facts->source == NULL ? &nowhere : facts->source;
    if (facts->bounds != NULL && !subnet_list_allows(&facts->bounds->subnets, source)) {
        char text[INET_CHARS];
        inet_address_print(source, text);
        return decision_refuse(
            DECISION_source_refused, "",
            "the %s may not be used from %s; use it from the addresses it was made "
            "for, or make another",
            facts->bounds->what, text);
    }
    return allowed;
}

/* That there is none and that it is another's look the same. */
static struct decision decide_job(const struct account *account, const struct job *job,
                                  int64_t now) {
    bool runs = job != NULL && job->account_id == account->id && account->id != 0 &&
                job->ended_at == 0 && job->started_at <= now &&
                (job->ends_at == 0 || now < job->ends_at);
    return runs ? allowed
                : decision_refuse(DECISION_no_job, "job", "%s has no such job that runs here",
                                  account->name);
}

static int64_t no_later_than_job(const struct job *job, int64_t until) {
    return job->ends_at != 0 && job->ends_at < until ? job->ends_at : until;
}

struct decision policy_impersonate(const struct account *service, const struct account *account,
                                   bool is_member) {
    if (service->kind != ACCOUNT_SERVICE || !service->impersonates || service->disabled) {
        return decision_refuse(DECISION_impersonation_refused, "username",
                               "%.32s may not ask for certificates of others; an administrator "
                               "allows it: postern admin service-account set",
                               service->name);
    }
    /* Managers take in whom they like; whoever administers the site is in nobody's hands for it. */
    if (account->id == 0 || account->kind != ACCOUNT_PERSON || account->disabled ||
        account->administrator || service->project_id == 0 || !is_member) {
        return decision_refuse(
            DECISION_impersonation_refused, "username",
            "this is no member of the project that %s serves whom it may act for", service->name);
    }
    return allowed;
}

static struct decision decide_quota(const struct policy *policy, const struct sign_facts *facts) {
    uint32_t quota = facts->account->quota_per_day;
    if (quota == 0) {
        quota = policy->quota_per_day;
    }
    if (facts->key_has_valid || facts->issued_last_day < quota) {
        return allowed;
    }
    return decision_refuse(
        DECISION_quota_exceeded, "publicKey",
        "%u certificates in the last 24 hours, and %u are allowed; signing a key again while its "
        "certificate is valid is free, and revoking gives nothing back",
        facts->issued_last_day, quota);
}

struct decision policy_sign(const struct policy *policy, const struct sign_request *request,
                            const struct sign_facts *facts, struct sign_grant *grant) {
    struct sign_grant granted = {.counts = !facts->key_has_valid && !request->for_job};
    int64_t duration = 0;
    struct decision decision = decide_account(facts);
    if (decision.allowed && request->for_job) {
        decision = decide_job(facts->account, request->job, facts->now);
    }
    if (decision.allowed) {
        decision = request->key == NULL ? decision_refuse(DECISION_key_type_refused, "publicKey",
                                                          "there is no public key")
                                        : policy_key(policy, request->key);
    }
    if (decision.allowed) {
        decision = decide_duration(policy, facts->bounds, request, &duration);
    }
    if (decision.allowed) {
        decision = decide_subnets(policy, request->subnets, facts, &granted.subnets);
    }
    if (decision.allowed) {
        decision = decide_clusters(request->clusters, facts->bounds, &granted.clusters);
    }
    if (decision.allowed) {
        decision = decide_force_command(policy, request->force_command);
    }
    if (decision.allowed && !request->for_job) {
        decision = decide_quota(policy, facts);
    }
    if (!decision.allowed) {
        return decision;
    }
    INVARIANT(facts->now > 0 && policy->backdate_s >= 0);
    granted.valid_after = facts->now > policy->backdate_s ? facts->now - policy->backdate_s : 0;
    granted.valid_before = facts->now + duration;
    int64_t ends_at = facts->bounds == NULL ? 0 : facts->bounds->expires_at;
    if (ends_at != 0 && ends_at < granted.valid_before) {
        INVARIANT(ends_at > facts->now);
        granted.valid_before = ends_at;
    }
    if (request->for_job) {
        granted.clusters.count = 0; /* the job's name has its cluster */
        granted.valid_before = no_later_than_job(request->job, granted.valid_before);
    }
    granted.force_command = request->force_command;
    *grant = granted;
    return decision;
}

struct decision policy_sign_job(const struct policy *policy, const struct key *key,
                                const struct account *account, const struct job *job, int64_t now,
                                struct sign_grant *grant) {
    if (account->disabled) {
        return decision_refuse(DECISION_account_disabled, "", "the account %s is disabled",
                               account->name);
    }
    struct decision decision = decide_job(account, job, now);
    if (decision.allowed) {
        decision = policy_key(policy, key);
    }
    if (!decision.allowed) {
        return decision;
    }
    INVARIANT(now > 0 && policy->backdate_s >= 0 && policy->duration_max_s > 0);
    *grant = (struct sign_grant){
        .valid_after = now > policy->backdate_s ? now - policy->backdate_s : 0,
        .valid_before = no_later_than_job(job, now + policy->duration_max_s),
        .subnets =
            policy->internal_subnets.count != 0 ? policy->internal_subnets : account->subnets,
    };
    return decision;
}

void policy_default(struct policy *policy) {
    static const char *const extensions[] = {
        "permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty",
        "permit-user-rc",
    };
    *policy = (struct policy){
        .durations = {60, DAY_S},
        .duration_count = 2,
        .duration_default_s = DAY_S,
        .duration_max_s = DAY_S,
        .backdate_s = 300,
        .quota_per_day = 5,
        .rsa_bits_min = 3072,
        .extension_count = COUNT_OF(extensions),
        .force_command_allowed = true,
        .host_duration_s = 90LL * DAY_S,
        .managers_name_accounts = true,
        .registered_keys_allowed = true,
        .grants_allowed = true,
        .grant_max_s = 90LL * DAY_S,
    };
    for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
        policy->key_types |= key_kinds[i].bits;
    }
    for (size_t i = 0; i < COUNT_OF(extensions); i++) {
        (void)snprintf(policy->extensions[i], sizeof policy->extensions[i], "%s", extensions[i]);
    }
}
