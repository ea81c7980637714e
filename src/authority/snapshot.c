/* All that a gate or a host needs to know, for one whose revision is too old for events. */
#include <stdio.h>

#include "authority/feed_state.h"
#include "authority/publish.h"
#include "feed/change.h"

struct snapshot {
    struct authority *authority;
    const struct feed_reader *reader;
    uint64_t revision;
    struct buf *out;
    bool own; /* the part that is the reader's alone, and not the others' */
};

/* Takes the state over; what the reader is not told is left out. *told (may be NULL) tells. */
static err_t add(struct snapshot *snapshot, enum change_kind kind, const char *key, json_t *state,
                 bool *told) {
    struct feed_event *event = NULL;
    err_t err = state == NULL ? FAIL(ERR_MEMORY)
                              : feed_event_new(snapshot->revision, change_kind_name(kind), key,
                                               state, &event);
    json_decref(state);
    TRY(err);
    struct feed_judgement judgement = feed_judge(event, snapshot->reader);
    bool passes = judgement.verdict == FEED_PASS && judgement.alone == snapshot->own;
    if (passes) {
        err = feed_event_encode(event, snapshot->reader, FEED_PASS, snapshot->out);
    }
    if (told != NULL) {
        *told = passes;
    }
    feed_event_free(event);
    return err;
}

static err_t add_cas(struct snapshot *snapshot, enum cert_type type) {
    struct signer_keys keys = signer_client_keys(snapshot->authority->signer, type);
    for (size_t i = 0; i < keys.count; i++) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(keys.keys[i], fingerprint);
        TRY(add(snapshot, CHANGE_CA, fingerprint, publish_ca_state(keys.keys[i], type), NULL));
    }
    return OK;
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    return add(context, CHANGE_CLUSTER, cluster->name, publish_cluster_state(cluster), NULL);
}

static err_t add_host(void *context, const struct host *host) {
    struct snapshot *snapshot = context;
    return add(snapshot, CHANGE_HOST, host->name,
               publish_host_state(snapshot->authority->store, host), NULL);
}

/* Those of an account that the reader is told of. */
static err_t add_registered_key(void *context, const struct registered_key *key) {
    struct snapshot *snapshot = context;
    struct store *store = snapshot->authority->store;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    if (key->use == KEY_USE_INTERNAL) {
        struct cluster cluster;
        TRY(store_cluster_get(store, key->cluster_id, &cluster));
        if (strcmp(cluster.name, snapshot->reader->cluster) != 0) {
            return OK;
        }
    }
    return add(snapshot, CHANGE_KEY, id, publish_registered_key_state(store, key), NULL);
}

static err_t add_account(void *context, const struct account *account) {
    struct snapshot *snapshot = context;
    struct store *store = snapshot->authority->store;
    bool told;
    TRY(add(snapshot, CHANGE_ACCOUNT, account->name, publish_account_state(store, account), &told));
    return told ? store_registered_key_list(store, account->id, add_registered_key, snapshot) : OK;
}

static err_t add_revocation(void *context, const struct issued *issued) {
    struct snapshot *snapshot = context;
    char serial[24];
    (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)issued->serial);
    return add(snapshot, CHANGE_REVOCATION, serial,
               publish_revocation_state(snapshot->authority->store, issued), NULL);
}

static err_t add_job(void *context, const struct job *job) {
    struct snapshot *snapshot = context;
    struct store *store = snapshot->authority->store;
    char *key CLEANUP(freep) = NULL;
    TRY(publish_job_key(store, job, &key));
    return add(snapshot, CHANGE_JOB, key, publish_job_state(store, job), NULL);
}

/* The jobs that may concern the reader: nobody else's are looked at. */
static err_t add_jobs(struct snapshot *snapshot) {
    const struct feed_reader *reader = snapshot->reader;
    bool on_nodes = reader->role == HOST_COMPUTE || reader->role == HOST_JOB;
    struct cluster cluster = {.id = 0};
    if (on_nodes != snapshot->own) {
        return OK;
    }
    if (reader->role != HOST_JUMP) {
        TRY(store_cluster_find(snapshot->authority->store, reader->cluster, &cluster));
    }
    const struct job_filter filter = {
        .cluster_id = cluster.id, .node = on_nodes ? reader->name : NULL, .max = SIZE_MAX >> 1};
    return store_job_list(snapshot->authority->store, &filter, add_job, snapshot);
}

err_t snapshot_begin(struct authority *authority, const struct feed_reader *reader,
                     uint64_t revision, int64_t now, struct buf *out) {
    struct snapshot snapshot = {authority, reader, revision, out, false};
    struct store *store = authority->store;
    const size_t all = SIZE_MAX >> 1;
    TRY(change_answer_begin(out, revision, true));
    TRY(add_cas(&snapshot, CERT_USER));
    TRY(add_cas(&snapshot, CERT_HOST));
    TRY(store_cluster_list(store, NULL, all, add_cluster, &snapshot));
    TRY(reader->role == HOST_JUMP ? store_host_list(store, NULL, all, add_host, &snapshot)
                                  : store_host_list_by_role(store, HOST_JUMP, add_host, &snapshot));
    TRY(store_account_list(store, NULL, all, add_account, &snapshot));
    TRY(store_revoked_list(store, now, add_revocation, &snapshot));
    return add_jobs(&snapshot);
}

err_t snapshot_add_own(struct authority *authority, const struct feed_reader *reader,
                       uint64_t revision, struct buf *out) {
    struct snapshot snapshot = {authority, reader, revision, out, true};
    struct host host;
    TRY(store_host_find(authority->store, reader->name, &host));
    TRY(add_host(&snapshot, &host));
    return add_jobs(&snapshot);
}
