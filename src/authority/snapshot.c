/* All that a gate or a host needs to know, for one whose revision is too old for events. */
#include <stdio.h>

#include "authority/feed_state.h"
#include "authority/publish.h"
#include "feed/change.h"

struct snapshot {
    struct authority *authority;
    uint64_t revision;
    struct buf *out;
};

/* Takes the state over. */
static err_t add(struct snapshot *snapshot, enum change_kind kind, const char *key, json_t *state) {
    char *text CLEANUP(freep) = state == NULL ? NULL : json_dumps(state, JSON_COMPACT);
    json_decref(state);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    return change_answer_add(snapshot->out, snapshot->revision, change_kind_name(kind), key, text);
}

static err_t add_cas(struct snapshot *snapshot, enum cert_type type) {
    struct signer_keys keys = signer_client_keys(snapshot->authority->signer, type);
    for (size_t i = 0; i < keys.count; i++) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(keys.keys[i], fingerprint);
        TRY(add(snapshot, CHANGE_CA, fingerprint, publish_ca_state(keys.keys[i], type)));
    }
    return OK;
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    return add(context, CHANGE_CLUSTER, cluster->name, publish_cluster_state(cluster));
}

static err_t add_host(void *context, const struct host *host) {
    struct snapshot *snapshot = context;
    return add(snapshot, CHANGE_HOST, host->name,
               publish_host_state(snapshot->authority->store, host));
}

static err_t add_account(void *context, const struct account *account) {
    struct snapshot *snapshot = context;
    return add(snapshot, CHANGE_ACCOUNT, account->name,
               publish_account_state(snapshot->authority->store, account));
}

static err_t add_revocation(void *context, const struct issued *issued) {
    struct snapshot *snapshot = context;
    char serial[24];
    (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)issued->serial);
    return add(snapshot, CHANGE_REVOCATION, serial,
               publish_revocation_state(snapshot->authority->store, issued));
}

static err_t add_registered_key(void *context, const struct registered_key *key) {
    struct snapshot *snapshot = context;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    return add(snapshot, CHANGE_KEY, id,
               publish_registered_key_state(snapshot->authority->store, key));
}

static err_t add_job(void *context, const struct job *job) {
    struct snapshot *snapshot = context;
    char *key CLEANUP(freep) = NULL;
    TRY(publish_job_key(snapshot->authority->store, job, &key));
    return add(snapshot, CHANGE_JOB, key, publish_job_state(snapshot->authority->store, job));
}

err_t snapshot_build(struct authority *authority, uint64_t revision, int64_t now, struct buf *out) {
    struct snapshot snapshot = {authority, revision, out};
    struct store *store = authority->store;
    const size_t all = SIZE_MAX >> 1;
    TRY(change_answer_begin(out, revision, true));
    TRY(add_cas(&snapshot, CERT_USER));
    TRY(add_cas(&snapshot, CERT_HOST));
    TRY(store_cluster_list(store, NULL, all, add_cluster, &snapshot));
    TRY(store_host_list(store, NULL, all, add_host, &snapshot));
    TRY(store_account_list(store, NULL, all, add_account, &snapshot));
    TRY(store_revoked_list(store, now, add_revocation, &snapshot));
    TRY(store_registered_key_list(store, 0, add_registered_key, &snapshot));
    TRY(store_job_list(store, &(struct job_filter){.max = all}, add_job, &snapshot));
    return change_answer_end(out);
}
