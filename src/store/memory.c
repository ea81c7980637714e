/*
 * The store in memory: the twin that the SQLite store is tested against, and what tests of the
 * authority run on. Every table is an array in the order of its listing; everything else is found
 * by looking at each row. Nothing survives the process.
 */
#include <stdio.h>

#include "store/backend.h"
#include "store/memory_table.h"

struct link {
    entity_id project_id;
    entity_id cluster_id;
};

struct meta {
    char *name;
    char *value;
};

/* Numbers that a transaction moves on, so that rollback moves them back. */
struct counters {
    entity_id id; /* one sequence for every kind of thing */
    uint64_t revision;
    uint64_t sequence;
};

struct memory_store {
    struct store store; /* first, so that a struct store * is one of these */
    struct table accounts, logins, projects, members, links, clusters, hosts, issued, api_keys,
        sessions, registered_keys, events, audits, metas;
    struct counters counters;
    struct counters counters_at_begin, counters_at_mark;
    struct change_log log;
    size_t mark;
};

static struct memory_store *self_of(struct store *store) { return (struct memory_store *)store; }

#define ROW(table, type, index) ((struct type *)table_row(table, index))

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
COMPARE_U64(registered_key, id)
COMPARE_U64(event, revision)
COMPARE_U64(audit, sequence)
COMPARE_TEXT(meta, name)

static void event_done(void *row) { free(((struct event *)row)->state); }

static void meta_done(void *row) {
    struct meta *meta = row;
    free(meta->name);
    free(meta->value);
}

/* ---- looking at each row ---- */

/* The index of the row whose `member` passes `test`, or NONE. */
static const size_t NONE = SIZE_MAX;
#define FIND(table, type, condition)                                                               \
    ({                                                                                             \
        size_t found_ = NONE;                                                                      \
        for (size_t i_ = 0; i_ < (table)->count; i_++) {                                           \
            const struct type *row = ROW(table, type, i_);                                         \
            if (condition) {                                                                       \
                found_ = i_;                                                                       \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        found_;                                                                                    \
    })

#define GET(table, type, condition, out)                                                           \
    ({                                                                                             \
        size_t at_ = FIND(table, type, condition);                                                 \
        if (at_ != NONE) {                                                                         \
            *(out) = *ROW(table, type, at_);                                                       \
        }                                                                                          \
        at_ == NONE ? FAIL(ERR_NOT_FOUND) : OK;                                                    \
    })

static bool has_account(const struct memory_store *self, entity_id id) {
    return FIND(&self->accounts, account, row->id == id) != NONE;
}

static bool has_project(const struct memory_store *self, entity_id id) {
    return FIND(&self->projects, project, row->id == id) != NONE;
}

static bool has_cluster(const struct memory_store *self, entity_id id) {
    return FIND(&self->clusters, cluster, row->id == id) != NONE;
}

static err_t require(bool there) { return there ? OK : FAIL(ERR_NOT_FOUND); }
static err_t require_free(bool taken) { return taken ? FAIL(ERR_EXISTS) : OK; }

/*
 * Puts a row in the place of another; a row whose name changed moves. Only for rows that own
 * nothing.
 */
static err_t replace(struct memory_store *self, struct table *table, size_t index,
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

static err_t put(struct memory_store *self, struct table *table, const void *row) {
    bool found;
    size_t index = table_search(table, row, &found);
    return found ? table_replace(table, &self->log, index, row)
                 : table_insert(table, &self->log, row);
}

static err_t remove_row(struct memory_store *self, struct table *table, size_t index) {
    TRY(require(index != NONE));
    return table_remove(table, &self->log, index);
}

/* A copy with an id; the caller's struct gets it when the row is in. */
#define ADD(self, table, type, value)                                                              \
    ({                                                                                             \
        struct type copy_ = *(value);                                                              \
        copy_.id = (self)->counters.id + 1;                                                        \
        err_t err_ = table_insert(table, &(self)->log, &copy_);                                    \
        if (!failed(err_)) {                                                                       \
            (self)->counters.id = copy_.id;                                                        \
            (value)->id = copy_.id;                                                                \
        }                                                                                          \
        err_;                                                                                      \
    })

#define LIST_AFTER_NAME(table, type)                                                               \
    do {                                                                                           \
        size_t left_ = max;                                                                        \
        for (size_t i_ = 0; i_ < (table)->count && left_ > 0; i_++) {                              \
            const struct type *row = ROW(table, type, i_);                                         \
            if (after_name == NULL || strcmp(row->name, after_name) > 0) {                         \
                left_--;                                                                           \
                TRY(each(context, row));                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define LIST_ALL(table, type, condition)                                                           \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (table)->count; i_++) {                                           \
            const struct type *row = ROW(table, type, i_);                                         \
            if (condition) {                                                                       \
                TRY(each(context, row));                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Empty hashes are none: they are not unique and nobody is found by one. */
static bool same_hash(const char *a, const char *b) { return *a != '\0' && strcmp(a, b) == 0; }

/* ---- transactions ---- */

static void op_close(struct store *store) {
    struct memory_store *self = self_of(store);
    struct table *const tables[] = {
        &self->accounts,        &self->logins, &self->projects, &self->members,  &self->links,
        &self->clusters,        &self->hosts,  &self->issued,   &self->api_keys, &self->sessions,
        &self->registered_keys, &self->events, &self->audits,   &self->metas,
    };
    change_log_clear(&self->log);
    free(self->log.changes);
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        table_done(tables[i]);
    }
    free(self);
}

static err_t op_begin(struct store *store) {
    self_of(store)->counters_at_begin = self_of(store)->counters;
    return OK;
}

static err_t op_commit(struct store *store) {
    change_log_clear(&self_of(store)->log);
    return OK;
}

static void op_rollback(struct store *store) {
    change_log_undo(&self_of(store)->log, 0);
    self_of(store)->counters = self_of(store)->counters_at_begin;
}

static err_t op_mark(struct store *store) {
    self_of(store)->mark = self_of(store)->log.count;
    self_of(store)->counters_at_mark = self_of(store)->counters;
    return OK;
}

static err_t op_undo(struct store *store) {
    change_log_undo(&self_of(store)->log, self_of(store)->mark);
    self_of(store)->counters = self_of(store)->counters_at_mark;
    return OK;
}

static err_t op_keep(struct store *store) {
    (void)store;
    return OK;
}

/* ---- people ---- */

static err_t check_account(const struct memory_store *self, const struct account *account) {
    if (account->kind != ACCOUNT_PERSON && account->kind != ACCOUNT_SERVICE) {
        return FAIL(ERR_RANGE);
    }
    return require(account->project_id == 0 || has_project(self, account->project_id));
}

static err_t op_account_add(struct store *store, struct account *account) {
    struct memory_store *self = self_of(store);
    TRY(check_account(self, account));
    return ADD(self, &self->accounts, account, account);
}

static err_t op_account_get(struct store *store, entity_id id, struct account *out) {
    return GET(&self_of(store)->accounts, account, row->id == id, out);
}

static err_t op_account_find(struct store *store, const char *name, struct account *out) {
    return GET(&self_of(store)->accounts, account, strcmp(row->name, name) == 0, out);
}

static err_t op_account_update(struct store *store, const struct account *account) {
    struct memory_store *self = self_of(store);
    size_t index = FIND(&self->accounts, account, row->id == account->id);
    TRY(require(index != NONE));
    TRY(check_account(self, account));
    return replace(self, &self->accounts, index, account);
}

static err_t op_account_list(struct store *store, const char *after_name, size_t max,
                             EACH(account)) {
    LIST_AFTER_NAME(&self_of(store)->accounts, account);
    return OK;
}

static err_t op_login_get(struct store *store, entity_id account_id, struct login *out) {
    return GET(&self_of(store)->logins, login, row->account_id == account_id, out);
}

static err_t op_login_find_invitation(struct store *store, const char *hash, struct login *out) {
    return GET(&self_of(store)->logins, login, same_hash(row->invitation_hash, hash), out);
}

static err_t op_login_put(struct store *store, const struct login *login) {
    struct memory_store *self = self_of(store);
    TRY(require(has_account(self, login->account_id)));
    return put(self, &self->logins, login);
}

static err_t op_project_add(struct store *store, struct project *project) {
    return ADD(self_of(store), &self_of(store)->projects, project, project);
}

static err_t op_project_get(struct store *store, entity_id id, struct project *out) {
    return GET(&self_of(store)->projects, project, row->id == id, out);
}

static err_t op_project_find(struct store *store, const char *name, struct project *out) {
    return GET(&self_of(store)->projects, project, strcmp(row->name, name) == 0, out);
}

static err_t op_project_list(struct store *store, const char *after_name, size_t max,
                             EACH(project)) {
    LIST_AFTER_NAME(&self_of(store)->projects, project);
    return OK;
}

static err_t op_member_put(struct store *store, const struct membership *membership) {
    struct memory_store *self = self_of(store);
    if (membership->role != MEMBER && membership->role != MEMBER_MANAGER) {
        return FAIL(ERR_RANGE);
    }
    TRY(require(has_project(self, membership->project_id)));
    TRY(require(has_account(self, membership->account_id)));
    return put(self, &self->members, membership);
}

static size_t member_index(const struct memory_store *self, entity_id project_id,
                           entity_id account_id) {
    return FIND(&self->members, membership,
                row->project_id == project_id && row->account_id == account_id);
}

static err_t op_member_get(struct store *store, entity_id project_id, entity_id account_id,
                           struct membership *out) {
    size_t index = member_index(self_of(store), project_id, account_id);
    TRY(require(index != NONE));
    *out = *ROW(&self_of(store)->members, membership, index);
    return OK;
}

static err_t op_member_remove(struct store *store, entity_id project_id, entity_id account_id) {
    struct memory_store *self = self_of(store);
    return remove_row(self, &self->members, member_index(self, project_id, account_id));
}

static err_t op_member_list(struct store *store, entity_id project_id, entity_id account_id,
                            EACH(membership)) {
    LIST_ALL(&self_of(store)->members, membership,
             (project_id == 0 || row->project_id == project_id) &&
                 (account_id == 0 || row->account_id == account_id));
    return OK;
}

/* ---- machines ---- */

static err_t op_project_cluster_put(struct store *store, entity_id project_id,
                                    entity_id cluster_id) {
    struct memory_store *self = self_of(store);
    TRY(require(has_project(self, project_id) && has_cluster(self, cluster_id)));
    return put(self, &self->links, &(struct link){project_id, cluster_id});
}

static bool is_linked(const struct memory_store *self, entity_id project_id, entity_id cluster_id) {
    return FIND(&self->links, link,
                row->project_id == project_id && row->cluster_id == cluster_id) != NONE;
}

static err_t op_project_cluster_remove(struct store *store, entity_id project_id,
                                       entity_id cluster_id) {
    struct memory_store *self = self_of(store);
    return remove_row(
        self, &self->links,
        FIND(&self->links, link, row->project_id == project_id && row->cluster_id == cluster_id));
}

static err_t op_project_cluster_list(struct store *store, entity_id project_id, EACH(cluster)) {
    const struct memory_store *self = self_of(store);
    LIST_ALL(&self->clusters, cluster, is_linked(self, project_id, row->id));
    return OK;
}

static bool reaches(const struct memory_store *self, const struct account *account,
                    entity_id cluster_id) {
    if (account->kind == ACCOUNT_SERVICE) {
        return is_linked(self, account->project_id, cluster_id);
    }
    return FIND(&self->members, membership,
                row->account_id == account->id && is_linked(self, row->project_id, cluster_id)) !=
           NONE;
}

static err_t op_reach_list(struct store *store, entity_id account_id, EACH(cluster)) {
    const struct memory_store *self = self_of(store);
    size_t index = FIND(&self->accounts, account, row->id == account_id);
    if (index != NONE) {
        const struct account *account = ROW(&self->accounts, account, index);
        LIST_ALL(&self->clusters, cluster, reaches(self, account, row->id));
    }
    return OK;
}

static err_t op_cluster_add(struct store *store, struct cluster *cluster) {
    return ADD(self_of(store), &self_of(store)->clusters, cluster, cluster);
}

static err_t op_cluster_get(struct store *store, entity_id id, struct cluster *out) {
    return GET(&self_of(store)->clusters, cluster, row->id == id, out);
}

static err_t op_cluster_find(struct store *store, const char *name, struct cluster *out) {
    return GET(&self_of(store)->clusters, cluster, strcmp(row->name, name) == 0, out);
}

static err_t op_cluster_update(struct store *store, const struct cluster *cluster) {
    struct memory_store *self = self_of(store);
    return replace(self, &self->clusters, FIND(&self->clusters, cluster, row->id == cluster->id),
                   cluster);
}

static err_t op_cluster_list(struct store *store, const char *after_name, size_t max,
                             EACH(cluster)) {
    LIST_AFTER_NAME(&self_of(store)->clusters, cluster);
    return OK;
}

static err_t check_host(const struct memory_store *self, const struct host *host, entity_id id) {
    if (host->role != HOST_JUMP && host->role != HOST_LOGIN && host->role != HOST_COMPUTE) {
        return FAIL(ERR_RANGE);
    }
    TRY(require(host->cluster_id == 0 || has_cluster(self, host->cluster_id)));
    return require_free(FIND(&self->hosts, host,
                             row->id != id && (same_hash(row->enrol_hash, host->enrol_hash) ||
                                               same_hash(row->token_hash, host->token_hash))) !=
                        NONE);
}

static err_t op_host_add(struct store *store, struct host *host) {
    struct memory_store *self = self_of(store);
    TRY(check_host(self, host, 0));
    return ADD(self, &self->hosts, host, host);
}

static err_t op_host_get(struct store *store, entity_id id, struct host *out) {
    return GET(&self_of(store)->hosts, host, row->id == id, out);
}

static err_t op_host_find(struct store *store, const char *name, struct host *out) {
    return GET(&self_of(store)->hosts, host, strcmp(row->name, name) == 0, out);
}

static err_t op_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out) {
    return GET(&self_of(store)->hosts, host, same_hash(row->enrol_hash, enrol_hash), out);
}

static err_t op_host_find_token(struct store *store, const char *token_hash, struct host *out) {
    return GET(&self_of(store)->hosts, host, same_hash(row->token_hash, token_hash), out);
}

static err_t op_host_update(struct store *store, const struct host *host) {
    struct memory_store *self = self_of(store);
    size_t index = FIND(&self->hosts, host, row->id == host->id);
    TRY(require(index != NONE));
    TRY(check_host(self, host, host->id));
    return replace(self, &self->hosts, index, host);
}

static err_t op_host_remove(struct store *store, entity_id id) {
    struct memory_store *self = self_of(store);
    return remove_row(self, &self->hosts, FIND(&self->hosts, host, row->id == id));
}

static err_t op_host_list(struct store *store, const char *after_name, size_t max, EACH(host)) {
    LIST_AFTER_NAME(&self_of(store)->hosts, host);
    return OK;
}

/* ---- credentials ---- */

static err_t op_issued_add(struct store *store, const struct issued *issued) {
    struct memory_store *self = self_of(store);
    TRY(require(issued->account_id == 0 || has_account(self, issued->account_id)));
    return table_insert(&self->issued, &self->log, issued);
}

static err_t op_issued_get(struct store *store, uint64_t serial, struct issued *out) {
    return GET(&self_of(store)->issued, issued, row->serial == serial, out);
}

static err_t op_issued_facts(struct store *store, entity_id account_id, const char *fingerprint,
                             int64_t since, int64_t now, uint32_t *count, bool *key_has_valid) {
    const struct table *table = &self_of(store)->issued;
    uint32_t counted = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct issued *row = ROW(table, issued, i);
        counted += row->account_id == account_id && row->counts && row->issued_at >= since;
    }
    *count = counted;
    *key_has_valid =
        FIND(table, issued,
             row->account_id == account_id && row->revoked_at == 0 && row->valid_before > now &&
                 strcmp(row->fingerprint, fingerprint) == 0) != NONE;
    return OK;
}

static err_t op_issued_oldest(struct store *store, entity_id account_id, int64_t since,
                              int64_t *issued_at) {
    const struct table *table = &self_of(store)->issued;
    const struct issued *oldest = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct issued *row = ROW(table, issued, i);
        if (row->account_id == account_id && row->counts && row->issued_at >= since &&
            (oldest == NULL || row->issued_at < oldest->issued_at)) {
            oldest = row;
        }
    }
    TRY(require(oldest != NULL));
    *issued_at = oldest->issued_at;
    return OK;
}

static bool passes(const struct issued_filter *filter, const struct issued *issued) {
    return (filter->account_id == 0 || issued->account_id == filter->account_id) &&
           (filter->host_id == 0 || issued->host_id == filter->host_id) &&
           (filter->api_key_id == 0 || issued->api_key_id == filter->api_key_id) &&
           (filter->include_expired || issued->valid_before > filter->now) &&
           (filter->include_revoked || issued->revoked_at == 0) &&
           (filter->before_serial == 0 || issued->serial < filter->before_serial);
}

static err_t op_issued_list(struct store *store, const struct issued_filter *filter, EACH(issued)) {
    const struct table *table = &self_of(store)->issued;
    size_t left = filter->max;
    for (size_t i = table->count; i > 0 && left > 0; i--) {
        const struct issued *row = ROW(table, issued, i - 1);
        if (passes(filter, row)) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

static err_t op_issued_revoke(struct store *store, uint64_t serial, int64_t at,
                              const char *reason) {
    struct memory_store *self = self_of(store);
    size_t index = FIND(&self->issued, issued, row->serial == serial);
    TRY(require(index != NONE));
    struct issued issued = *ROW(&self->issued, issued, index);
    if (issued.revoked_at != 0) {
        return FAIL(ERR_CONFLICT);
    }
    issued.revoked_at = at;
    (void)snprintf(issued.revoked_reason, sizeof issued.revoked_reason, "%s", reason);
    return replace(self, &self->issued, index, &issued);
}

static err_t op_revoked_list(struct store *store, int64_t now, EACH(issued)) {
    LIST_ALL(&self_of(store)->issued, issued, row->revoked_at != 0 && row->valid_before > now);
    return OK;
}

static err_t check_api_key(const struct memory_store *self, const struct api_key *key,
                           entity_id id) {
    TRY(require(has_account(self, key->account_id)));
    return require_free(
        FIND(&self->api_keys, api_key, row->id != id && strcmp(row->hash, key->hash) == 0) != NONE);
}

static err_t op_api_key_add(struct store *store, struct api_key *key) {
    struct memory_store *self = self_of(store);
    TRY(check_api_key(self, key, 0));
    return ADD(self, &self->api_keys, api_key, key);
}

static err_t op_api_key_get(struct store *store, entity_id id, struct api_key *out) {
    return GET(&self_of(store)->api_keys, api_key, row->id == id, out);
}

static err_t op_api_key_find(struct store *store, const char *hash, struct api_key *out) {
    return GET(&self_of(store)->api_keys, api_key, strcmp(row->hash, hash) == 0, out);
}

static err_t op_api_key_update(struct store *store, const struct api_key *key) {
    struct memory_store *self = self_of(store);
    size_t index = FIND(&self->api_keys, api_key, row->id == key->id);
    TRY(require(index != NONE));
    TRY(check_api_key(self, key, key->id));
    return replace(self, &self->api_keys, index, key);
}

static err_t op_api_key_list(struct store *store, entity_id account_id, EACH(api_key)) {
    LIST_ALL(&self_of(store)->api_keys, api_key, account_id == 0 || row->account_id == account_id);
    return OK;
}

static err_t op_session_add(struct store *store, const struct session *session) {
    struct memory_store *self = self_of(store);
    TRY(require(has_account(self, session->account_id)));
    TRY(require(session->api_key_id == 0 ||
                FIND(&self->api_keys, api_key, row->id == session->api_key_id) != NONE));
    return table_insert(&self->sessions, &self->log, session);
}

static err_t op_session_find(struct store *store, const char *hash, struct session *out) {
    return GET(&self_of(store)->sessions, session, strcmp(row->hash, hash) == 0, out);
}

static err_t op_session_remove(struct store *store, const char *hash) {
    struct memory_store *self = self_of(store);
    return remove_row(self, &self->sessions,
                      FIND(&self->sessions, session, strcmp(row->hash, hash) == 0));
}

static bool is_expired(const struct session *session, int64_t now) {
    return session->expires_at != 0 && session->expires_at <= now;
}

static err_t op_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                                   int64_t now) {
    struct memory_store *self = self_of(store);
    for (size_t i = self->sessions.count; i > 0; i--) {
        const struct session *row = ROW(&self->sessions, session, i - 1);
        bool matches = (account_id == 0 || row->account_id == account_id) &&
                       (api_key_id == 0 || row->api_key_id == api_key_id);
        if (matches || is_expired(row, now)) {
            TRY(table_remove(&self->sessions, &self->log, i - 1));
        }
    }
    return OK;
}

static err_t op_session_sweep(struct store *store, int64_t now) {
    struct memory_store *self = self_of(store);
    for (size_t i = self->sessions.count; i > 0; i--) {
        if (is_expired(ROW(&self->sessions, session, i - 1), now)) {
            TRY(table_remove(&self->sessions, &self->log, i - 1));
        }
    }
    return OK;
}

static err_t op_registered_key_add(struct store *store, struct registered_key *key) {
    struct memory_store *self = self_of(store);
    TRY(require(has_account(self, key->account_id)));
    TRY(require_free(FIND(&self->registered_keys, registered_key,
                          strcmp(row->fingerprint, key->fingerprint) == 0) != NONE));
    return ADD(self, &self->registered_keys, registered_key, key);
}

static err_t op_registered_key_remove(struct store *store, entity_id id) {
    struct memory_store *self = self_of(store);
    return remove_row(self, &self->registered_keys,
                      FIND(&self->registered_keys, registered_key, row->id == id));
}

static err_t op_registered_key_list(struct store *store, entity_id account_id,
                                    EACH(registered_key)) {
    LIST_ALL(&self_of(store)->registered_keys, registered_key,
             account_id == 0 || row->account_id == account_id);
    return OK;
}

/* ---- the record ---- */

static err_t op_event_append(struct store *store, const char *kind, const char *key,
                             const char *state, int64_t at, uint64_t *revision) {
    struct memory_store *self = self_of(store);
    struct event event = {.revision = self->counters.revision + 1, .at = at};
    char *copy CLEANUP(freep) = NULL;
    TRY(span_to_str(span_str(state), &copy));
    event.state = copy;
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.key, sizeof event.key, "%s", key);
    TRY(table_insert(&self->events, &self->log, &event));
    copy = NULL; /* the table has it */
    self->counters.revision = event.revision;
    *revision = event.revision;
    return OK;
}

static err_t op_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest) {
    const struct memory_store *self = self_of(store);
    *newest = self->counters.revision;
    *oldest = self->events.count == 0 ? self->counters.revision + 1
                                      : ROW(&self->events, event, 0)->revision;
    return OK;
}

static err_t op_event_list(struct store *store, uint64_t since, size_t max, EACH(event)) {
    const struct table *table = &self_of(store)->events;
    size_t left = max;
    for (size_t i = 0; i < table->count && left > 0; i++) {
        const struct event *row = ROW(table, event, i);
        if (row->revision > since) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

static err_t op_event_prune(struct store *store, uint64_t up_to) {
    struct memory_store *self = self_of(store);
    while (self->events.count > 0 && ROW(&self->events, event, 0)->revision <= up_to) {
        TRY(table_remove(&self->events, &self->log, 0));
    }
    return OK;
}

static err_t op_event_skip(struct store *store, uint64_t revision) {
    TRY(op_event_prune(store, UINT64_MAX));
    self_of(store)->counters.revision = revision;
    return OK;
}

static err_t op_audit_append(struct store *store, struct audit *audit) {
    struct memory_store *self = self_of(store);
    struct audit copy = *audit;
    copy.sequence = self->counters.sequence + 1;
    TRY(table_insert(&self->audits, &self->log, &copy));
    self->counters.sequence = copy.sequence;
    audit->sequence = copy.sequence;
    return OK;
}

static bool is_action(const char *asked, const char *action) {
    size_t len = strlen(asked);
    bool prefix = len > 0 && asked[len - 1] == '.';
    return prefix ? strncmp(asked, action, len) == 0 : strcmp(asked, action) == 0;
}

static err_t op_audit_list(struct store *store, const struct audit_filter *filter, EACH(audit)) {
    const struct table *table = &self_of(store)->audits;
    size_t left = filter->max;
    for (size_t i = table->count; i > 0 && left > 0; i--) {
        const struct audit *row = ROW(table, audit, i - 1);
        if ((filter->actor == NULL || strcmp(filter->actor, row->actor) == 0) &&
            (filter->action == NULL || is_action(filter->action, row->action)) &&
            (filter->since == 0 || row->at >= filter->since) &&
            (filter->before_sequence == 0 || row->sequence < filter->before_sequence)) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

static err_t op_meta_get(struct store *store, const char *name, char **value) {
    const struct table *table = &self_of(store)->metas;
    size_t index = FIND(table, meta, strcmp(row->name, name) == 0);
    TRY(require(index != NONE));
    return span_to_str(span_str(ROW(table, meta, index)->value), value);
}

static err_t op_meta_put(struct store *store, const char *name, const char *value) {
    struct memory_store *self = self_of(store);
    char *name_copy CLEANUP(freep) = NULL;
    char *value_copy CLEANUP(freep) = NULL;
    TRY(span_to_str(span_str(name), &name_copy));
    TRY(span_to_str(span_str(value), &value_copy));
    struct meta meta = {name_copy, value_copy};
    TRY(put(self, &self->metas, &meta));
    name_copy = NULL; /* the table has both */
    value_copy = NULL;
    return OK;
}

static const struct store_operations memory_operations = {.close = op_close,
                                                          .begin = op_begin,
                                                          .commit = op_commit,
                                                          .rollback = op_rollback,
                                                          .mark = op_mark,
                                                          .undo = op_undo,
                                                          .keep = op_keep,
#define OPERATION(name, parameters, arguments) .name = op_##name,
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
        .registered_keys = TABLE(registered_key),
        .events = TABLE_OWNING(event),
        .audits = TABLE(audit),
        .metas = TABLE_OWNING(meta),
    };
    *out = &self->store;
    return OK;
}
