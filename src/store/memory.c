/*
 * The store in memory: the twin that the SQLite store is tested against, and what tests of the
 * authority run on. Nothing survives the process.
 */
#include "store/memory.h"

/* ---- the order of tables ---- */

static int compare_u64(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

/* Rows whose listing is by name, by id, … : `member` is what the comparison looks at. */
#define COMPARE_TEXT(type, member)                                                                 \
    static int compare_##type(const void *a, const void *b) {                                      \
        return strcmp(((const struct type *)a)->member, ((const struct type *)b)->member);         \
    }
#define COMPARE_U64(type, member)                                                                  \
    static int compare_##type(const void *a, const void *b) {                                      \
        return compare_u64(((const struct type *)a)->member, ((const struct type *)b)->member);    \
    }
#define COMPARE_PAIR(type, first, second)                                                          \
    static int compare_##type(const void *a, const void *b) {                                      \
        const struct type *left = a, *right = b;                                                   \
        int order = compare_u64(left->first, right->first);                                        \
        return order != 0 ? order : compare_u64(left->second, right->second);                      \
    }

COMPARE_TEXT(account, name)
COMPARE_U64(login, account_id)
COMPARE_TEXT(project, name)
COMPARE_PAIR(membership, project_id, account_id)
COMPARE_PAIR(link, project_id, cluster_id)
COMPARE_TEXT(cluster, name)
COMPARE_TEXT(host, name)
COMPARE_U64(issued, serial)
COMPARE_U64(api_key, id)
COMPARE_TEXT(session, hash)
COMPARE_TEXT(authorization, hash)

static int compare_external_identity(const void *a, const void *b) {
    const struct external_identity *left = a, *right = b;
    int order = compare_u64(left->account_id, right->account_id);
    return order != 0 ? order : strcmp(left->issuer, right->issuer);
}

COMPARE_U64(registered_key, id)
COMPARE_U64(grant, id)
COMPARE_U64(passkey, id)
COMPARE_TEXT(answered_challenge, challenge)
COMPARE_TEXT(ticket, hash)
COMPARE_U64(job, id)
COMPARE_PAIR(job_node, job_id, position)
COMPARE_U64(event, revision)
COMPARE_U64(audit, sequence)
COMPARE_TEXT(meta, name)

static int compare_recovery_code(const void *a, const void *b) {
    const struct recovery_code *left = a, *right = b;
    int order = compare_u64(left->account_id, right->account_id);
    return order != 0 ? order : strcmp(left->hash, right->hash);
}

static int compare_tally(const void *a, const void *b) {
    const struct tally *left = a, *right = b;
    int order = compare_u64((uint64_t)left->step_s, (uint64_t)right->step_s);
    order = order != 0 ? order : compare_u64((uint64_t)left->at, (uint64_t)right->at);
    return order != 0 ? order : compare_u64(left->kind, right->kind);
}

static void event_done(void *row) { free(((struct event *)row)->state); }

static void meta_done(void *row) {
    struct meta *meta = row;
    free(meta->name);
    free(meta->value);
}

/* ---- what operations share ---- */

bool memory_has_account(const struct memory_store *self, entity_id id) {
    return FIND(&self->accounts, account, row->id == id) != NONE;
}

bool memory_has_project(const struct memory_store *self, entity_id id) {
    return FIND(&self->projects, project, row->id == id) != NONE;
}

bool memory_has_cluster(const struct memory_store *self, entity_id id) {
    return FIND(&self->clusters, cluster, row->id == id) != NONE;
}

bool memory_has_job(const struct memory_store *self, entity_id id) {
    return FIND(&self->jobs, job, row->id == id) != NONE;
}

err_t memory_replace(struct memory_store *self, struct table *table, size_t index,
                     const void *row) {
    TRY(require(index != NONE));
    if (table->compare(table_row(table, index), row) == 0) {
        return table_replace(table, &self->log, index, row);
    }
    bool taken;
    (void)table_search(table, row, &taken);
    TRY(require_free(taken));
    TRY(table_remove(table, &self->log, index));
    return table_insert(table, &self->log, row);
}

err_t memory_put(struct memory_store *self, struct table *table, const void *row) {
    bool found;
    size_t index = table_search(table, row, &found);
    return found ? table_replace(table, &self->log, index, row)
                 : table_insert(table, &self->log, row);
}

err_t memory_remove(struct memory_store *self, struct table *table, size_t index) {
    TRY(require(index != NONE));
    return table_remove(table, &self->log, index);
}

/* ---- transactions ---- */

static void op_close(struct store *store) {
    struct memory_store *self = memory_store_of(store);
    struct table *const tables[] = {
        &self->accounts,       &self->logins,         &self->projects,
        &self->members,        &self->links,          &self->clusters,
        &self->hosts,          &self->issued,         &self->api_keys,
        &self->sessions,       &self->authorizations, &self->registered_keys,
        &self->grants,         &self->passkeys,       &self->answered_challenges,
        &self->recovery_codes, &self->tickets,        &self->jobs,
        &self->job_nodes,      &self->events,         &self->audits,
        &self->identities,     &self->tallies,        &self->metas,
    };
    change_log_clear(&self->log);
    free(self->log.changes);
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        table_done(tables[i]);
    }
    free(self);
}

static err_t op_begin(struct store *store) {
    memory_store_of(store)->counters_at_begin = memory_store_of(store)->counters;
    return OK;
}

static err_t op_commit(struct store *store) {
    change_log_clear(&memory_store_of(store)->log);
    return OK;
}

static void op_rollback(struct store *store) {
    change_log_undo(&memory_store_of(store)->log, 0);
    memory_store_of(store)->counters = memory_store_of(store)->counters_at_begin;
}

static err_t op_mark(struct store *store) {
    memory_store_of(store)->mark = memory_store_of(store)->log.count;
    memory_store_of(store)->counters_at_mark = memory_store_of(store)->counters;
    return OK;
}

static err_t op_undo(struct store *store) {
    change_log_undo(&memory_store_of(store)->log, memory_store_of(store)->mark);
    memory_store_of(store)->counters = memory_store_of(store)->counters_at_mark;
    return OK;
}

static err_t op_keep(struct store *store) {
    (void)store;
    return OK;
}

static const struct store_operations memory_operations = {.close = op_close,
                                                          .begin = op_begin,
                                                          .commit = op_commit,
                                                          .rollback = op_rollback,
                                                          .mark = op_mark,
                                                          .undo = op_undo,
                                                          .keep = op_keep,
#define OPERATION(name, parameters, arguments) .name = memory_op_##name,
                                                          READ_LIST(OPERATION) WRITE_LIST(OPERATION)
                                                              CHECKED_LIST(OPERATION)
#undef OPERATION
};

#define TABLE(type)                                                                                \
    { .row_size = sizeof(struct type), .compare = compare_##type }
#define TABLE_OWNING(type)                                                                         \
    { .row_size = sizeof(struct type), .compare = compare_##type, .done = type##_done }

err_t store_open_memory(struct store **out) {
    struct memory_store *self = malloc(sizeof *self);
    if (self == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *self = (struct memory_store){
        .store.operations = &memory_operations,
        .accounts = TABLE(account),
        .logins = TABLE(login),
        .projects = TABLE(project),
        .members = TABLE(membership),
        .links = TABLE(link),
        .clusters = TABLE(cluster),
        .hosts = TABLE(host),
        .issued = TABLE(issued),
        .api_keys = TABLE(api_key),
        .sessions = TABLE(session),
        .identities = TABLE(external_identity),
        .authorizations = TABLE(authorization),
        .registered_keys = TABLE(registered_key),
        .grants = TABLE(grant),
        .passkeys = TABLE(passkey),
        .answered_challenges = TABLE(answered_challenge),
        .recovery_codes = TABLE(recovery_code),
        .tickets = TABLE(ticket),
        .jobs = TABLE(job),
        .job_nodes = TABLE(job_node),
        .events = TABLE_OWNING(event),
        .audits = TABLE(audit),
        .tallies = TABLE(tally),
        .metas = TABLE_OWNING(meta),
    };
    *out = &self->store;
    return OK;
}
