#include "authority/routes/publish.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/signer_client.h"
#include "base/clock.h"
#include "feed/change_names.h"
#include "store/store.h"

/* Half a state would grant more than the whole one: NULL unless all of it was made. */
static json_t *settle(json_t *state, bool whole) {
    if (!whole) {
        json_decref(state);
        return NULL;
    }
    return state;
}

/* Puts a member in; one that restricts is named in "critical" as well (feed/change.h). */
static bool put(json_t *state, const char *name, json_t *value) {
    return json_object_set_new(state, name, value) == 0;
}

static bool put_critical(json_t *state, const char *name, json_t *value) {
    json_t *critical = json_object_get(state, "critical");
    if (critical == NULL) {
        critical = json_array();
        if (!put(state, "critical", critical)) {
            return false;
        }
    }
    return put(state, name, value) && json_array_append_new(critical, json_string(name)) == 0;
}

static err_t add_cluster_name(void *context, const struct cluster *cluster) {
    return json_array_append_new(context, json_string(cluster->name)) == 0 ? OK : FAIL(ERR_MEMORY);
}

json_t *publish_account_state(struct store *store, const struct account *account) {
    json_t *clusters = json_array();
    /* A disabled account reaches nothing, whatever its projects have. */
    if (clusters != NULL && !account->disabled &&
        failed(store_reach_list(store, account->id, add_cluster_name, clusters))) {
        json_decref(clusters);
        return NULL;
    }
    json_t *state = json_pack("{s:b,s:o}", "enabled", !account->disabled, "clusters", clusters);
    struct login login = {0};
    err_t err = store_login_get(store, account->id, &login);
    bool whole = state != NULL && (!failed(err) || err.code == ERR_NOT_FOUND);
    if (whole && login.window_until != 0) {
        whole = put(state, "windowUntil", call_json_time(login.window_until));
    }
    if (whole && account->subnets.count != 0) {
        whole = put_critical(state, "ipSubnets", call_json_subnets(&account->subnets));
    }
    return settle(state, whole);
}

json_t *publish_cluster_state(const struct cluster *cluster) {
    json_t *state = json_pack("{s:s,s:i}", "address", cluster->address, "port", (int)cluster->port);
    /* Neither is known to be open when it is not set. */
    bool whole = state != NULL && cluster->node_access >= NODE_ACCESS_JOB &&
                 cluster->node_access <= NODE_ACCESS_OPEN && cluster->credentials != 0 &&
                 cluster->credentials < CHANGE_CREDENTIALS_COUNT;
    if (whole && cluster->node_access == NODE_ACCESS_JOB) {
        whole = put_critical(state, "nodeAccess",
                             json_string(change_node_access_names[cluster->node_access]));
    }
    if (whole && cluster->credentials != (CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS)) {
        whole = put_critical(state, "credentials",
                             json_string(change_credentials_names[cluster->credentials]));
    }
    return settle(state, whole);
}

json_t *publish_host_state(struct store *store, const struct host *host) {
    struct cluster cluster = {0};
    if (host->cluster_id != 0 && failed(store_cluster_get(store, host->cluster_id, &cluster))) {
        return NULL;
    }
    return json_pack("{s:s,s:s,s:s,s:i}", "cluster", cluster.name, "role",
                     change_host_role_names[host->role], "address", host->address, "port",
                     (int)host->port);
}

json_t *publish_revocation_state(struct store *store, const struct issued *issued) {
    struct account account = {0};
    if (issued->account_id != 0 && failed(store_account_get(store, issued->account_id, &account))) {
        return NULL;
    }
    char expires[TIME_CHARS];
    time_print_utc(issued->valid_before, expires);
    return json_pack("{s:s,s:s,s:s}", "account", account.name, "expireTime", expires, "reason",
                     issued->revoked_reason);
}

json_t *publish_registered_key_state(const char *account, const struct registered_key *key) {
    json_t *state = json_pack("{s:s,s:s}", "account", account, "publicKey", key->key_line);
    bool whole = state != NULL;
    if (whole && key->expires_at != 0) {
        whole = put(state, "expireTime", call_json_time(key->expires_at));
    }
    if (whole && key->subnets.count != 0) {
        whole = put(state, "ipSubnets", call_json_subnets(&key->subnets));
    }
    if (whole && key->use == KEY_USE_INTERNAL) {
        whole = put_critical(state, "use", json_string(change_key_use_names[key->use]));
    }
    return settle(state, whole);
}

static err_t add_node(void *context, const char *node) {
    return json_array_append_new(context, json_string(node)) == 0 ? OK : FAIL(ERR_MEMORY);
}

/* What a job has and may lack. */
static bool put_job_rest(json_t *state, const struct job *job) {
    return (job->ends_at == 0 || put(state, "endTime", call_json_time(job->ends_at))) &&
           (job->address[0] == '\0' || put(state, "address", json_string(job->address))) &&
           (job->port == 0 || put(state, "port", json_integer(job->port)));
}

json_t *publish_job_state(struct store *store, const struct job *job) {
    struct account account;
    struct cluster cluster;
    if (job->type < JOB_SHARED || job->type > JOB_CLUSTER ||
        failed(store_account_get(store, job->account_id, &account)) ||
        failed(store_cluster_get(store, job->cluster_id, &cluster))) {
        return NULL;
    }
    json_t *nodes = json_array();
    json_t *state =
        json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "account", account.name, "cluster", cluster.name,
                  "user", job->user, "type", change_job_type_names[job->type], "nodes", nodes,
                  "startTime", call_json_time(job->started_at));
    bool whole = state != NULL && !failed(store_job_node_list(store, job->id, add_node, nodes)) &&
                 put_job_rest(state, job);
    return settle(state, whole);
}

err_t publish_job_key(struct store *store, const struct job *job, char **out) {
    struct cluster cluster;
    struct buf key CLEANUP(buf_done) = BUF(LIMIT_HOST_NAME_CHARS);
    TRY(store_cluster_get(store, job->cluster_id, &cluster));
    TRY(change_job_key(job->name, cluster.name, &key));
    return buf_to_str(&key, out);
}

json_t *publish_ca_lines(const struct authority *authority, enum cert_type type) {
    struct signer_keys keys = signer_client_keys(authority->signer, type);
    json_t *list = json_array();
    for (size_t i = 0; i < keys.count; i++) {
        struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
        if (failed(key_print_line(keys.keys[i], NULL, &line)) ||
            json_array_append_new(list, json_stringn((const char *)line.data, line.len)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *publish_ca_state(const struct key *key, enum cert_type type) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *text CLEANUP(freep) = NULL;
    if (failed(key_print_line(key, NULL, &line)) || failed(buf_to_str(&line, &text))) {
        return NULL;
    }
    return json_pack("{s:s,s:s}", "type", type == CERT_USER ? "user" : "host", "publicKey", text);
}

/* call_publish() takes NULL for "gone": a state that could not be made must never look like that.
 */
static void publish(struct call *call, const char *kind, const char *key, json_t *state) {
    if (state == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), key);
        return;
    }
    call_publish(call, kind, key, state, NULL);
}

void publish_account(struct call *call, const struct account *account) {
    publish(call, "account", account->name, publish_account_state(call_store(call), account));
}

void publish_cluster(struct call *call, const struct cluster *cluster) {
    publish(call, "cluster", cluster->name, publish_cluster_state(cluster));
}

void publish_host(struct call *call, const struct host *host) {
    publish(call, "host", host->name, publish_host_state(call_store(call), host));
}

void publish_host_gone(struct call *call, const struct host *host) {
    call_publish(call, "host", host->name, NULL,
                 host->role == HOST_JUMP ? NULL : json_pack("{s:b}", "jump", 0));
}

/* Where a key is known, an internal one as well: it leads from the frontends of one cluster to
 * those of the others. NULL: it could not be told. */
static json_t *key_audience(struct store *store, const struct registered_key *key) {
    json_t *clusters = json_array();
    if (failed(store_reach_list(store, key->account_id, add_cluster_name, clusters))) {
        json_decref(clusters);
        return NULL;
    }
    return json_pack("{s:o}", "clusters", clusters);
}

static void publish_key(struct call *call, const struct registered_key *key, bool moved,
                        bool gone) {
    char id[24];
    struct store *store = call_store(call);
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    struct account account;
    if (!call_ok(call, store_account_get(store, key->account_id, &account), "the account")) {
        return;
    }
    json_t *state = gone ? NULL : publish_registered_key_state(account.name, key);
    json_t *audience = key_audience(store, key);
    bool made = audience != NULL && (gone || state != NULL) &&
                (!moved || put(audience, "gone", json_true()));
    if (call_ok(call, made ? OK : FAIL(ERR_MEMORY), "the key")) {
        call_publish(call, "key", id, state, audience);
    } else {
        json_decref(state);
        json_decref(audience);
    }
}

void publish_registered_key(struct call *call, const struct registered_key *key) {
    publish_key(call, key, false, false);
}

void publish_registered_key_gone(struct call *call, const struct registered_key *key) {
    publish_key(call, key, false, true);
}

struct moved_keys {
    struct registered_key keys[LIMIT_REGISTERED_KEYS_COUNT + LIMIT_INTERNAL_KEYS_COUNT];
    size_t count;
};

static err_t add_moved(void *context, const struct registered_key *key) {
    struct moved_keys *moved = context;
    if (moved->count < COUNT_OF(moved->keys)) {
        moved->keys[moved->count++] = *key;
    }
    return OK;
}

void publish_reach(struct call *call, const struct account *account) {
    struct moved_keys *moved CLEANUP(freep) = calloc(1, sizeof *moved);
    err_t err = moved == NULL
                    ? FAIL(ERR_MEMORY)
                    : store_registered_key_list(call_store(call), account->id, add_moved, moved);
    if (!call_ok(call, err, "the keys")) {
        return;
    }
    publish_account(call, account);
    for (size_t i = 0; i < moved->count && !call_refused(call); i++) {
        publish_key(call, &moved->keys[i], true, false);
    }
}

/* Nodes that the job had and has no more: all, when it is gone. NULL for none. */
static err_t job_audience(struct store *store, const struct job *job, const struct node_names *were,
                          json_t **out) {
    json_t *now CLEANUP(json_decrefp) = json_array();
    json_t *stays CLEANUP(json_decrefp) = json_object();
    json_t *left = json_array();
    err_t err = job->ended_at != 0 ? OK : store_job_node_list(store, job->id, add_node, now);
    int failure = stays == NULL || left == NULL ? -1 : 0;
    for (size_t i = 0; i < json_array_size(now); i++) {
        failure |=
            json_object_set_new(stays, json_string_value(json_array_get(now, i)), json_true());
    }
    const char *name = NULL;
    while ((name = node_names_next(were, name)) != NULL) {
        if (json_object_get(stays, name) == NULL) {
            failure |= json_array_append_new(left, json_string(name));
        }
    }
    if (failed(err) || failure != 0) {
        json_decref(left);
        return failed(err) ? err : FAIL(ERR_MEMORY);
    }
    *out =
        json_array_size(left) == 0 && job->ended_at == 0 ? NULL : json_pack("{s:O}", "nodes", left);
    json_decref(left);
    return OK;
}

void publish_job(struct call *call, const struct job *job, const struct node_names *were) {
    char *key CLEANUP(freep) = NULL;
    json_t *audience = NULL;
    struct store *store = call_store(call);
    if (!call_ok(call, publish_job_key(store, job, &key), job->name) ||
        !call_ok(call, job_audience(store, job, were, &audience), job->name)) {
        return;
    }
    json_t *state = job->ended_at != 0 ? NULL : publish_job_state(store, job);
    if (job->ended_at == 0 && state == NULL) {
        json_decref(audience);
        (void)call_ok(call, FAIL(ERR_MEMORY), job->name);
        return;
    }
    call_publish(call, "job", key, state, audience);
}
