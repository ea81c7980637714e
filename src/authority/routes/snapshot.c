#include "authority/routes/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authority/authority.h"
#include "authority/routes/publish.h"
#include "base/text.h"
#include "feed/change.h"

/* An account comes with all its keys. */
enum { ACCOUNT_CHANGES_COUNT = 1 + LIMIT_REGISTERED_KEYS_COUNT + LIMIT_INTERNAL_KEYS_COUNT };

struct snapshot {
    struct authority *authority;
    const struct feed_reader *reader;
    int64_t now;
    struct snapshot_page *page;
    struct buf *out;
    const char *account; /* whose keys are listed */
};

void snapshot_cursor_print(const struct snapshot_cursor *cursor, char out[SNAPSHOT_CURSOR_CHARS]) {
    (void)snprintf(out, SNAPSHOT_CURSOR_CHARS, "%u.%" PRIu64, (unsigned)cursor->step,
                   cursor->after);
}

err_t snapshot_cursor_parse(span_t text, struct snapshot_cursor *out) {
    const uint8_t *dot = text.len > 0 ? memchr(text.data, '.', text.len) : NULL;
    uint64_t step = 0;
    uint64_t after = 0;
    if (dot == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    size_t len = (size_t)(dot - text.data);
    TRY(u64_parse(span_of(text.data, len), &step));
    TRY(u64_parse(span_of(dot + 1, text.len - len - 1), &after));
    if (step >= SNAPSHOT_STEPS_COUNT) {
        return FAIL(ERR_MALFORMED);
    }
    out->step = (enum snapshot_step)step;
    out->after = after;
    return OK;
}

/* --- one thing --- */

bool snapshot_page_has_room(const struct snapshot_page *page, size_t more, const struct buf *out) {
    return page->seen < LIMIT_FEED_PAGE_CHANGES_COUNT &&
           !change_page_is_full(out, page->count + more - 1);
}

/* Ends the listing, with an error that run_step() knows, when the page is full; notes where it
 * stands when not. */
static err_t see(struct snapshot *snapshot, size_t changes, uint64_t id) {
    struct snapshot_page *page = snapshot->page;
    if (!snapshot_page_has_room(page, changes, snapshot->out)) {
        page->full = true;
        return FAIL(ERR_TOO_LONG);
    }
    page->seen++;
    page->cursor.after = id;
    return OK;
}

/* Takes the state over; what the reader is not told is left out. *told (may be NULL) tells. */
static err_t add(struct snapshot *snapshot, enum change_kind kind, const char *key, json_t *state,
                 bool *told) {
    struct feed_event *event = NULL;
    err_t err = state == NULL ? FAIL(ERR_MEMORY)
                              : feed_event_new(snapshot->page->cursor.revision,
                                               change_kind_name(kind), key, state, &event);
    json_decref(state);
    TRY(err);
    struct feed_judgement judgement = feed_judge(event, snapshot->reader);
    bool own = snapshot->page->cursor.step >= SNAPSHOT_SELF;
    bool passes = judgement.verdict == FEED_PASS && judgement.alone == own;
    if (passes) {
        err = feed_event_encode(event, snapshot->reader, FEED_PASS, snapshot->out);
        snapshot->page->count++;
    }
    if (told != NULL) {
        *told = passes;
    }
    feed_event_free(event);
    return err;
}

static err_t add_cas_of(struct snapshot *snapshot, enum cert_type type) {
    struct signer_keys keys = signer_client_keys(snapshot->authority->signer, type);
    for (size_t i = 0; i < keys.count; i++) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(keys.keys[i], fingerprint);
        TRY(add(snapshot, CHANGE_CA, fingerprint, publish_ca_state(keys.keys[i], type), NULL));
    }
    return OK;
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    TRY(see(context, 1, cluster->id));
    return add(context, CHANGE_CLUSTER, cluster->name, publish_cluster_state(cluster), NULL);
}

static err_t add_host(void *context, const struct host *host) {
    struct snapshot *snapshot = context;
    TRY(see(snapshot, 1, host->id));
    return add(snapshot, CHANGE_HOST, host->name,
               publish_host_state(snapshot->authority->store, host), NULL);
}

/* Those of an account that the reader is told of. */
static err_t add_registered_key(void *context, const struct registered_key *key) {
    struct snapshot *snapshot = context;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    return add(snapshot, CHANGE_KEY, id, publish_registered_key_state(snapshot->account, key),
               NULL);
}

static err_t add_account(void *context, const struct account *account) {
    struct snapshot *snapshot = context;
    struct store *store = snapshot->authority->store;
    bool told;
    TRY(see(snapshot, ACCOUNT_CHANGES_COUNT, account->id));
    TRY(add(snapshot, CHANGE_ACCOUNT, account->name, publish_account_state(store, account), &told));
    snapshot->account = account->name;
    return told ? store_registered_key_list(store, account->id, add_registered_key, snapshot) : OK;
}

static err_t add_revocation(void *context, const struct issued *issued) {
    struct snapshot *snapshot = context;
    char serial[24];
    (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)issued->serial);
    TRY(see(snapshot, 1, issued->serial));
    return add(snapshot, CHANGE_REVOCATION, serial,
               publish_revocation_state(snapshot->authority->store, issued), NULL);
}

static err_t add_job(void *context, const struct job *job) {
    struct snapshot *snapshot = context;
    struct store *store = snapshot->authority->store;
    char *key CLEANUP(freep) = NULL;
    TRY(see(snapshot, 1, job->id));
    TRY(publish_job_key(store, job, &key));
    return add(snapshot, CHANGE_JOB, key, publish_job_state(store, job), NULL);
}

/* --- one step --- */

/* How many rows to ask for: one more than may be seen, which then ends the page. */
static size_t rows_max(const struct snapshot *snapshot) {
    return LIMIT_FEED_PAGE_CHANGES_COUNT - snapshot->page->seen + 1;
}

static err_t add_cas(struct snapshot *snapshot) {
    TRY(add_cas_of(snapshot, CERT_USER));
    return add_cas_of(snapshot, CERT_HOST);
}

static err_t add_clusters(struct snapshot *snapshot) {
    struct cluster after = {.name = ""};
    struct store *store = snapshot->authority->store;
    entity_id id = snapshot->page->cursor.after;
    TRY(id != 0 ? store_cluster_get(store, id, &after) : OK);
    return store_cluster_list(store, after.name, rows_max(snapshot), add_cluster, snapshot);
}

/* Of those of one role, which are few, the first are passed over again. */
static err_t add_jump_host(void *context, const struct host *host) {
    const struct snapshot *snapshot = context;
    struct host after = {.name = ""};
    entity_id id = snapshot->page->cursor.after;
    TRY(id != 0 ? store_host_get(snapshot->authority->store, id, &after) : OK);
    return strcmp(host->name, after.name) > 0 ? add_host(context, host) : OK;
}

static err_t add_hosts(struct snapshot *snapshot) {
    struct host after = {.name = ""};
    struct store *store = snapshot->authority->store;
    entity_id id = snapshot->page->cursor.after;
    if (snapshot->reader->role != HOST_JUMP) {
        return store_host_list_by_role(store, HOST_JUMP, add_jump_host, snapshot);
    }
    TRY(id != 0 ? store_host_get(store, id, &after) : OK);
    return store_host_list(store, after.name, rows_max(snapshot), add_host, snapshot);
}

static err_t add_accounts(struct snapshot *snapshot) {
    struct account after = {.name = ""};
    struct store *store = snapshot->authority->store;
    entity_id id = snapshot->page->cursor.after;
    if (snapshot->reader->role == HOST_JOB) { /* which is told of one */
        TRY(store_account_find(store, snapshot->reader->account, &after));
        return id == after.id ? OK : add_account(snapshot, &after);
    }
    TRY(id != 0 ? store_account_get(store, id, &after) : OK);
    return store_account_list(store, after.name, rows_max(snapshot), add_account, snapshot);
}

static err_t add_revocations(struct snapshot *snapshot) {
    return store_revoked_list(snapshot->authority->store, snapshot->now,
                              snapshot->page->cursor.after, rows_max(snapshot), add_revocation,
                              snapshot);
}

static err_t add_self(struct snapshot *snapshot) {
    struct host host;
    TRY(store_host_find(snapshot->authority->store, snapshot->reader->name, &host));
    return snapshot->page->cursor.after == host.id ? OK : add_host(snapshot, &host);
}

/* The jobs that may concern the reader: nobody else's are looked at. */
static err_t add_jobs(struct snapshot *snapshot) {
    const struct feed_reader *reader = snapshot->reader;
    bool on_nodes = reader->role == HOST_COMPUTE || reader->role == HOST_JOB;
    struct cluster cluster = {.id = 0};
    if (on_nodes != (snapshot->page->cursor.step == SNAPSHOT_OWN_JOBS)) {
        return OK;
    }
    if (reader->role != HOST_JUMP) {
        TRY(store_cluster_find(snapshot->authority->store, reader->cluster, &cluster));
    }
    const struct job_filter filter = {.cluster_id = cluster.id,
                                      .node = on_nodes ? reader->name : NULL,
                                      .after_id = snapshot->page->cursor.after,
                                      .max = rows_max(snapshot)};
    return store_job_list(snapshot->authority->store, &filter, add_job, snapshot);
}

err_t snapshot_add(struct authority *authority, const struct feed_reader *reader, int64_t now,
                   enum snapshot_step end, struct snapshot_page *page, struct buf *out) {
    static err_t (*const steps[])(struct snapshot * snapshot) = {
        [SNAPSHOT_CAS] = add_cas,
        [SNAPSHOT_CLUSTERS] = add_clusters,
        [SNAPSHOT_HOSTS] = add_hosts,
        [SNAPSHOT_ACCOUNTS] = add_accounts,
        [SNAPSHOT_REVOCATIONS] = add_revocations,
        [SNAPSHOT_JOBS] = add_jobs,
        [SNAPSHOT_SELF] = add_self,
        [SNAPSHOT_OWN_JOBS] = add_jobs,
    };
    struct snapshot snapshot = {authority, reader, now, page, out, NULL};
    INVARIANT(end <= SNAPSHOT_EVENTS);
    while (page->cursor.step < end) {
        err_t err = steps[page->cursor.step](&snapshot);
        if (page->full) {
            return OK;
        }
        TRY(err);
        page->cursor.step++;
        page->cursor.after = 0;
    }
    return OK;
}
