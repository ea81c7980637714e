#include "feed/change_state.h"

#include <string.h>

#include "feed/change_names.h"

static err_t check_subnet(span_t text, struct fault *fault) {
    struct inet_subnet subnet;
    err_t err = inet_subnet_parse(text, &subnet);
    return failed(err) ? fault_set(fault, err.code, "", "is not a subnet") : OK;
}

static err_t decode_ca(const struct member_place *at, const json_t *state, struct change *change) {
    size_t use = 0;
    TRY(member_choice(at, state, "type", change_ca_use_names, CHANGE_CA_USES_COUNT, 0, &use));
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(member_key_line(at, state, &change->ca.public_key, &key));
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(key, fingerprint);
    if (strcmp(fingerprint, change->key) != 0) {
        return member_refuse(at, ERR_CONFLICT, "publicKey", "is not the key of the fingerprint");
    }
    change->ca.use = (enum ca_use)use;
    return OK;
}

static err_t decode_account(const struct member_place *at, const json_t *state,
                            struct change *change) {
    json_t *enabled = NULL;
    TRY(member_get(at, state, "enabled", JSON_TRUE, &enabled));
    change->account.enabled = json_is_true(enabled);
    TRY(member_time(at, state, "windowUntil", false, &change->account.window_until));
    TRY(member_list(at, state, "clusters", true, LIMIT_FEED_CLUSTERS_COUNT, cluster_name_check,
                    &change->account.clusters));
    return member_list(at, state, "ipSubnets", false, LIMIT_SUBNETS_COUNT, check_subnet,
                       &change->account.subnets);
}

static err_t decode_revocation(const struct member_place *at, const json_t *state,
                               struct change *change) {
    TRY(member_text(at, state, "account", LIMIT_HOST_NAME_CHARS, &change->revocation.account));
    TRY(member_time(at, state, "expireTime", true, &change->revocation.expires_at));
    return member_text(at, state, "reason", LIMIT_REASON_CHARS, &change->revocation.reason);
}

static err_t decode_cluster(const struct member_place *at, const json_t *state,
                            struct change *change) {
    size_t node_access = 0;
    size_t credentials = 0;
    TRY(member_address(at, state, true, &change->cluster.address));
    TRY(member_port(at, state, true, &change->cluster.port));
    TRY(member_choice(at, state, "nodeAccess", change_node_access_names, CHANGE_NODE_ACCESSES_COUNT,
                      NODE_ACCESS_OPEN, &node_access));
    TRY(member_choice(at, state, "credentials", change_credentials_names, CHANGE_CREDENTIALS_COUNT,
                      CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS, &credentials));
    change->cluster.node_access = (enum node_access)node_access;
    change->cluster.credentials = (unsigned)credentials;
    return OK;
}

static err_t decode_host(const struct member_place *at, const json_t *state,
                         struct change *change) {
    size_t role = 0;
    TRY(member_choice(at, state, "role", change_host_role_names, CHANGE_HOST_ROLES_COUNT, 0,
                      &role));
    change->host.role = (enum host_role)role;
    TRY(member_text(at, state, "cluster", LIMIT_CLUSTER_NAME_CHARS, &change->host.cluster));
    TRY(member_check(at, "cluster", change->host.cluster, change->host.role == HOST_JUMP,
                     cluster_name_check));
    TRY(member_address(at, state, true, &change->host.address));
    return member_port(at, state, true, &change->host.port);
}

static err_t get_account(const struct member_place *at, const json_t *state, const char **out) {
    TRY(member_text(at, state, "account", LIMIT_ACCOUNT_NAME_CHARS, out));
    return member_check(at, "account", *out, false, account_name_check);
}

static err_t decode_key(const struct member_place *at, const json_t *state, struct change *change) {
    size_t use = 0;
    TRY(get_account(at, state, &change->key_of.account));
    TRY(member_key_line(at, state, &change->key_of.public_key, NULL));
    TRY(member_time(at, state, "expireTime", false, &change->key_of.expires_at));
    TRY(member_choice(at, state, "use", change_key_use_names, CHANGE_KEY_USES_COUNT, KEY_USE_PERSON,
                      &use));
    change->key_of.use = (enum key_use)use;
    return member_list(at, state, "ipSubnets", false, LIMIT_SUBNETS_COUNT, check_subnet,
                       &change->key_of.subnets);
}

static err_t decode_job(const struct member_place *at, const json_t *state, struct change *change) {
    size_t type = 0;
    TRY(get_account(at, state, &change->job.account));
    TRY(member_text(at, state, "cluster", LIMIT_CLUSTER_NAME_CHARS, &change->job.cluster));
    if (strcmp(change->job.cluster, strchr(change->key, '@') + 1) != 0) {
        return member_refuse(at, ERR_CONFLICT, "cluster", "is not the cluster of the key");
    }
    TRY(member_text(at, state, "user", LIMIT_ACCOUNT_NAME_CHARS, &change->job.user));
    TRY(member_check(at, "user", change->job.user, false, user_name_check));
    TRY(member_choice(at, state, "type", change_job_type_names, CHANGE_JOB_TYPES_COUNT, 0, &type));
    change->job.type = (enum job_type)type;
    TRY(member_time(at, state, "startTime", true, &change->job.started_at));
    TRY(member_time(at, state, "endTime", false, &change->job.ends_at));
    TRY(member_address(at, state, false, &change->job.address));
    TRY(member_port(at, state, false, &change->job.port));
    return member_list(at, state, "nodes", true, LIMIT_JOB_NODES_COUNT, member_check_host_name,
                       &change->job.nodes);
}

/* "1234@daint": neither part has an '@'. */
static err_t check_job_key(span_t key, struct fault *fault) {
    const uint8_t *at = memchr(key.data, '@', key.len);
    if (at == NULL) {
        return fault_set(fault, ERR_MALFORMED, "", "is not JOB@CLUSTER");
    }
    size_t job_len = (size_t)(at - key.data);
    TRY(job_name_check(span_of(key.data, job_len), fault));
    return cluster_name_check(span_of(at + 1, key.len - job_len - 1), fault);
}

/* What a state of each kind may hold, its decoder, and the rule for its key. */
static const struct kind_rule {
    err_t (*decode)(const struct member_place *at, const json_t *state, struct change *change);
    err_t (*check_key)(span_t key, struct fault *fault); /* NULL: checked elsewhere */
    const char *members[9];
} kind_rules[CHANGE_KINDS_COUNT] = {
    [CHANGE_CA] = {decode_ca, NULL, {"type", "publicKey"}},
    [CHANGE_ACCOUNT] = {decode_account,
                        account_name_check,
                        {"enabled", "clusters", "ipSubnets", "windowUntil"}},
    [CHANGE_REVOCATION] = {decode_revocation, NULL, {"account", "expireTime", "reason"}},
    [CHANGE_CLUSTER] = {decode_cluster,
                        cluster_name_check,
                        {"address", "port", "nodeAccess", "credentials"}},
    [CHANGE_HOST] = {decode_host, member_check_host_name, {"cluster", "role", "address", "port"}},
    [CHANGE_KEY] = {decode_key, NULL, {"account", "publicKey", "expireTime", "ipSubnets", "use"}},
    [CHANGE_JOB] = {decode_job,
                    check_job_key,
                    {"account", "cluster", "user", "type", "nodes", "startTime", "endTime",
                     "address", "port"}},
};

/* Every name in "critical" must be one that is understood here. */
static err_t check_critical(const struct member_place *at, const json_t *state,
                            const struct kind_rule *rule) {
    const json_t *critical = json_object_get(state, "critical");
    if (critical == NULL) {
        return OK;
    }
    if (!json_is_array(critical)) {
        return member_refuse(at, ERR_MALFORMED, "critical", "is of the wrong type");
    }
    for (size_t i = 0; i < json_array_size(critical); i++) {
        const char *name = json_string_value(json_array_get(critical, i));
        bool known = false;
        for (size_t j = 0; name != NULL && j < COUNT_OF(rule->members); j++) {
            known = known || (rule->members[j] != NULL && strcmp(rule->members[j], name) == 0);
        }
        if (!known) {
            return member_refuse(at, ERR_UNSUPPORTED, "critical", "names a member not known here");
        }
    }
    return OK;
}

err_t change_state_check_key(const struct member_place *at, const struct change *change) {
    const struct kind_rule *rule = &kind_rules[change->kind];
    return rule->check_key == NULL ? OK
                                   : member_check(at, "key", change->key, false, rule->check_key);
}

err_t change_state_decode(const struct member_place *at, const json_t *state,
                          struct change *change) {
    const struct kind_rule *rule = &kind_rules[change->kind];
    TRY(check_critical(at, state, rule));
    return rule->decode(at, state, change);
}
