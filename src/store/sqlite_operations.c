/*
 * The operations over SQLite. Each is a statement, its arguments and what its rows look like; the
 * helpers in the first half do the rest.
 */
#include <errno.h>

#include "store/sqlite.h"

/* ---- statements ---- */

enum argument_kind { ARGUMENT_I64, ARGUMENT_U64, ARGUMENT_TEXT };

struct argument {
    enum argument_kind kind;
    union {
        int64_t i64;
        uint64_t u64;
        const char *text;
    };
};

#define I64(value) ((struct argument){.kind = ARGUMENT_I64, .i64 = (value)})
#define U64(value) ((struct argument){.kind = ARGUMENT_U64, .u64 = (value)})
#define TEXT(value)                                                                                \
    ((struct argument){.kind = ARGUMENT_TEXT, .text = (value)}) /* NULL binds NULL */

struct arguments {
    const struct argument *values;
    size_t count;
};

#define ARGUMENTS(...)                                                                             \
    ((struct arguments){(const struct argument[]){__VA_ARGS__},                                    \
                        COUNT_OF(((const struct argument[]){__VA_ARGS__}))})
#define NO_ARGUMENTS ((struct arguments){NULL, 0})

/* A row of any shape. */
union row {
    struct account account;
    struct project project;
    struct membership membership;
    struct cluster cluster;
    struct host host;
    struct issued issued;
    struct api_key api_key;
    struct registered_key registered_key;
    struct event event;
    struct audit audit;
};

static struct sqlite_store *self_of(struct store *store) { return (struct sqlite_store *)store; }

/* For CLEANUP(): a statement goes back to the shelf when its user is done with it. */
static void statement_resetp(sqlite3_stmt **statement) {
    if (*statement != NULL) {
        (void)sqlite3_reset(*statement); /* repeats the step's error, which was reported */
    }
}

static err_t step(sqlite3_stmt *statement, bool *row) {
    errno = 0; /* so that sqlite_error() sees what this step set */
    int result = sqlite3_step(statement);
    if (row != NULL) {
        *row = result == SQLITE_ROW;
    }
    return sqlite_error(sqlite3_db_handle(statement), result);
}

static err_t run_plain(struct sqlite_store *self, enum statement name) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = self->statements[name];
    return step(statement, NULL);
}

/* Takes a statement from the shelf; the first writer after a mark makes its savepoint. */
static err_t take(struct store *store, enum statement name, sqlite3_stmt **out) {
    struct sqlite_store *self = self_of(store);
    sqlite3_stmt *statement = self->statements[name];
    INVARIANT(!sqlite3_stmt_busy(statement)); /* each() calls the listing that called it */
    if (self->savepoint_wanted && !sqlite3_stmt_readonly(statement)) {
        TRY(run_plain(self, STATEMENT_savepoint));
        self->savepoint_wanted = false;
        self->savepoint_made = true;
    }
    *out = statement;
    return OK;
}

static err_t bind_all(sqlite3_stmt *statement, struct arguments arguments) {
    for (size_t i = 0; i < arguments.count; i++) {
        const struct argument *argument = &arguments.values[i];
        int result, index = (int)i + 1;
        if (argument->kind == ARGUMENT_TEXT) {
            result = sqlite3_bind_text(statement, index, argument->text, -1, SQLITE_STATIC);
        } else {
            /* No id, serial or revision is beyond INT64_MAX, so all that is compares alike. */
            bool beyond = argument->kind == ARGUMENT_U64 && argument->u64 > INT64_MAX;
            result = sqlite3_bind_int64(statement, index, beyond ? INT64_MAX : argument->i64);
        }
        if (result != SQLITE_OK) {
            return sqlite_error(sqlite3_db_handle(statement), result);
        }
    }
    return OK;
}

/* A writer without rows; *changed (may be NULL) is how many rows it changed. */
static err_t run(struct store *store, enum statement name, struct arguments arguments,
                 int *changed) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(take(store, name, &statement));
    TRY(bind_all(statement, arguments));
    TRY(step(statement, NULL));
    if (changed != NULL) {
        *changed = sqlite3_changes(self_of(store)->db);
    }
    return OK;
}

/* The same for a writer that must find its row. */
static err_t run_one(struct store *store, enum statement name, struct arguments arguments) {
    int changed = 0;
    TRY(run(store, name, arguments, &changed));
    return changed == 0 ? FAIL(ERR_NOT_FOUND) : OK;
}

static err_t put(struct store *store, enum statement name, const struct shape *shape,
                 const void *from) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(take(store, name, &statement));
    TRY(shape_bind(shape, statement, from));
    return step(statement, NULL);
}

/* The same for a row whose id, the first column, the table gives. */
static err_t add(struct store *store, enum statement name, const struct shape *shape,
                 const void *from, entity_id *id) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(take(store, name, &statement));
    TRY(shape_bind(shape, statement, from));
    TRY(sqlite_error(self_of(store)->db, sqlite3_bind_null(statement, 1)));
    TRY(step(statement, NULL));
    *id = (entity_id)sqlite3_last_insert_rowid(self_of(store)->db);
    return OK;
}

static err_t update(struct store *store, enum statement name, const struct shape *shape,
                    const void *from) {
    TRY(put(store, name, shape, from));
    return sqlite3_changes(self_of(store)->db) == 0 ? FAIL(ERR_NOT_FOUND) : OK;
}

static err_t get(struct store *store, enum statement name, struct arguments arguments,
                 const struct shape *shape, void *out) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(take(store, name, &statement));
    TRY(bind_all(statement, arguments));
    TRY(step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    return shape_read(shape, statement, out);
}

static err_t list(struct store *store, enum statement name, struct arguments arguments,
                  const struct shape *shape, struct visitor visitor) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    union row row;
    TRY(take(store, name, &statement));
    TRY(bind_all(statement, arguments));
    for (;;) {
        bool there;
        TRY(step(statement, &there));
        if (!there) {
            return OK;
        }
        TRY(shape_read(shape, statement, &row));
        TRY(shape->visit(&visitor, &row));
    }
}

#define VISITOR(type) ((struct visitor){.context = context, .type = each})

/* ---- transactions ---- */

static void op_close(struct store *store) {
    struct sqlite_store *self = self_of(store);
    for (size_t i = 0; i < STATEMENTS_COUNT; i++) {
        (void)sqlite3_finalize(self->statements[i]); /* repeats errors that were reported */
    }
    INVARIANT(sqlite3_close(self->db) == SQLITE_OK);
    free(self);
}

static err_t op_begin(struct store *store) { return run_plain(self_of(store), STATEMENT_begin); }
static err_t op_commit(struct store *store) { return run_plain(self_of(store), STATEMENT_commit); }

static void op_rollback(struct store *store) {
    struct sqlite_store *self = self_of(store);
    self->savepoint_wanted = false;
    self->savepoint_made = false;
    /* After SQLITE_FULL, SQLITE_IOERR and SQLITE_NOMEM SQLite may have rolled back by itself. */
    if (!sqlite3_get_autocommit(self->db)) {
        ignore_err(run_plain(self, STATEMENT_rollback)); /* ROLLBACK undoes even when it fails */
    }
}

static err_t op_mark(struct store *store) {
    self_of(store)->savepoint_wanted = true;
    return OK;
}

static err_t op_keep(struct store *store) {
    struct sqlite_store *self = self_of(store);
    bool made = self->savepoint_made;
    self->savepoint_wanted = false;
    self->savepoint_made = false;
    return made ? run_plain(self, STATEMENT_savepoint_release) : OK;
}

static err_t op_undo(struct store *store) {
    if (self_of(store)->savepoint_made) {
        TRY(run_plain(self_of(store), STATEMENT_savepoint_undo));
    }
    return op_keep(store);
}

/* ---- people ---- */

static err_t op_account_add(struct store *store, struct account *account) {
    return add(store, STATEMENT_account_add, &account_shape, account, &account->id);
}

static err_t op_account_get(struct store *store, entity_id id, struct account *out) {
    return get(store, STATEMENT_account_get, ARGUMENTS(U64(id)), &account_shape, out);
}

static err_t op_account_find(struct store *store, const char *name, struct account *out) {
    return get(store, STATEMENT_account_find, ARGUMENTS(TEXT(name)), &account_shape, out);
}

static err_t op_account_update(struct store *store, const struct account *account) {
    return update(store, STATEMENT_account_update, &account_shape, account);
}

static const char *from_first(const char *after_name) {
    return after_name == NULL ? "" : after_name;
}

static err_t op_account_list(struct store *store, const char *after_name, size_t max,
                             EACH(account)) {
    return list(store, STATEMENT_account_list, ARGUMENTS(TEXT(from_first(after_name)), U64(max)),
                &account_shape, VISITOR(account));
}

static err_t op_login_get(struct store *store, entity_id account_id, struct login *out) {
    return get(store, STATEMENT_login_get, ARGUMENTS(U64(account_id)), &login_shape, out);
}

static err_t op_login_find_invitation(struct store *store, const char *hash, struct login *out) {
    return get(store, STATEMENT_login_find_invitation, ARGUMENTS(TEXT(hash)), &login_shape, out);
}

static err_t op_login_put(struct store *store, const struct login *login) {
    return put(store, STATEMENT_login_put, &login_shape, login);
}

static err_t op_project_add(struct store *store, struct project *project) {
    return add(store, STATEMENT_project_add, &project_shape, project, &project->id);
}

static err_t op_project_get(struct store *store, entity_id id, struct project *out) {
    return get(store, STATEMENT_project_get, ARGUMENTS(U64(id)), &project_shape, out);
}

static err_t op_project_find(struct store *store, const char *name, struct project *out) {
    return get(store, STATEMENT_project_find, ARGUMENTS(TEXT(name)), &project_shape, out);
}

static err_t op_project_list(struct store *store, const char *after_name, size_t max,
                             EACH(project)) {
    return list(store, STATEMENT_project_list, ARGUMENTS(TEXT(from_first(after_name)), U64(max)),
                &project_shape, VISITOR(project));
}

static err_t op_member_put(struct store *store, const struct membership *membership) {
    return put(store, STATEMENT_member_put, &membership_shape, membership);
}

static err_t op_member_get(struct store *store, entity_id project_id, entity_id account_id,
                           struct membership *out) {
    return get(store, STATEMENT_member_get, ARGUMENTS(U64(project_id), U64(account_id)),
               &membership_shape, out);
}

static err_t op_member_remove(struct store *store, entity_id project_id, entity_id account_id) {
    return run_one(store, STATEMENT_member_remove, ARGUMENTS(U64(project_id), U64(account_id)));
}

static err_t op_member_list(struct store *store, entity_id project_id, entity_id account_id,
                            EACH(membership)) {
    if (project_id != 0 && account_id != 0) {
        struct membership membership;
        err_t err = op_member_get(store, project_id, account_id, &membership);
        if (err.code == ERR_NOT_FOUND) {
            return OK;
        }
        TRY(err);
        return each(context, &membership);
    }
    enum statement name = project_id != 0   ? STATEMENT_member_list_project
                          : account_id != 0 ? STATEMENT_member_list_account
                                            : STATEMENT_member_list;
    struct arguments one = ARGUMENTS(U64(project_id != 0 ? project_id : account_id));
    return list(store, name, name == STATEMENT_member_list ? NO_ARGUMENTS : one, &membership_shape,
                VISITOR(membership));
}

/* ---- machines ---- */

static err_t op_project_cluster_put(struct store *store, entity_id project_id,
                                    entity_id cluster_id) {
    return run(store, STATEMENT_project_cluster_put, ARGUMENTS(U64(project_id), U64(cluster_id)),
               NULL);
}

static err_t op_project_cluster_remove(struct store *store, entity_id project_id,
                                       entity_id cluster_id) {
    return run_one(store, STATEMENT_project_cluster_remove,
                   ARGUMENTS(U64(project_id), U64(cluster_id)));
}

static err_t op_project_cluster_list(struct store *store, entity_id project_id, EACH(cluster)) {
    return list(store, STATEMENT_project_cluster_list, ARGUMENTS(U64(project_id)), &cluster_shape,
                VISITOR(cluster));
}

static err_t op_reach_list(struct store *store, entity_id account_id, EACH(cluster)) {
    struct account account;
    err_t err = op_account_get(store, account_id, &account);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    if (account.kind == ACCOUNT_SERVICE) {
        return op_project_cluster_list(store, account.project_id, each, context);
    }
    return list(store, STATEMENT_reach_list, ARGUMENTS(U64(account_id)), &cluster_shape,
                VISITOR(cluster));
}

static err_t op_cluster_add(struct store *store, struct cluster *cluster) {
    return add(store, STATEMENT_cluster_add, &cluster_shape, cluster, &cluster->id);
}

static err_t op_cluster_get(struct store *store, entity_id id, struct cluster *out) {
    return get(store, STATEMENT_cluster_get, ARGUMENTS(U64(id)), &cluster_shape, out);
}

static err_t op_cluster_find(struct store *store, const char *name, struct cluster *out) {
    return get(store, STATEMENT_cluster_find, ARGUMENTS(TEXT(name)), &cluster_shape, out);
}

static err_t op_cluster_update(struct store *store, const struct cluster *cluster) {
    return update(store, STATEMENT_cluster_update, &cluster_shape, cluster);
}

static err_t op_cluster_list(struct store *store, const char *after_name, size_t max,
                             EACH(cluster)) {
    return list(store, STATEMENT_cluster_list, ARGUMENTS(TEXT(from_first(after_name)), U64(max)),
                &cluster_shape, VISITOR(cluster));
}

static err_t op_host_add(struct store *store, struct host *host) {
    return add(store, STATEMENT_host_add, &host_shape, host, &host->id);
}

static err_t op_host_get(struct store *store, entity_id id, struct host *out) {
    return get(store, STATEMENT_host_get, ARGUMENTS(U64(id)), &host_shape, out);
}

static err_t op_host_find(struct store *store, const char *name, struct host *out) {
    return get(store, STATEMENT_host_find, ARGUMENTS(TEXT(name)), &host_shape, out);
}

static err_t op_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out) {
    return get(store, STATEMENT_host_find_enrol, ARGUMENTS(TEXT(enrol_hash)), &host_shape, out);
}

static err_t op_host_find_token(struct store *store, const char *token_hash, struct host *out) {
    return get(store, STATEMENT_host_find_token, ARGUMENTS(TEXT(token_hash)), &host_shape, out);
}

static err_t op_host_update(struct store *store, const struct host *host) {
    return update(store, STATEMENT_host_update, &host_shape, host);
}

static err_t op_host_remove(struct store *store, entity_id id) {
    return run_one(store, STATEMENT_host_remove, ARGUMENTS(U64(id)));
}

static err_t op_host_list(struct store *store, const char *after_name, size_t max, EACH(host)) {
    return list(store, STATEMENT_host_list, ARGUMENTS(TEXT(from_first(after_name)), U64(max)),
                &host_shape, VISITOR(host));
}

/* ---- credentials ---- */

static err_t op_issued_add(struct store *store, const struct issued *issued) {
    return put(store, STATEMENT_issued_add, &issued_shape, issued);
}

static err_t op_issued_get(struct store *store, uint64_t serial, struct issued *out) {
    return get(store, STATEMENT_issued_get, ARGUMENTS(U64(serial)), &issued_shape, out);
}

static err_t op_issued_facts(struct store *store, entity_id account_id, const char *fingerprint,
                             int64_t since, int64_t now, uint32_t *count, bool *key_has_valid) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(take(store, STATEMENT_issued_facts, &statement));
    TRY(bind_all(statement, ARGUMENTS(U64(account_id), TEXT(fingerprint), I64(since), I64(now))));
    TRY(step(statement, &row));
    INVARIANT(row);
    int64_t found = sqlite3_column_int64(statement, 0);
    *count = found > UINT32_MAX ? UINT32_MAX : (uint32_t)found;
    *key_has_valid = sqlite3_column_int(statement, 1) != 0;
    return OK;
}

static err_t op_issued_oldest(struct store *store, entity_id account_id, int64_t since,
                              int64_t *issued_at) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(take(store, STATEMENT_issued_oldest, &statement));
    TRY(bind_all(statement, ARGUMENTS(U64(account_id), I64(since))));
    TRY(step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    *issued_at = sqlite3_column_int64(statement, 0);
    return OK;
}

static err_t op_issued_list(struct store *store, const struct issued_filter *filter, EACH(issued)) {
    enum statement name =
        filter->account_id == 0 ? STATEMENT_issued_list : STATEMENT_issued_list_account;
    uint64_t before = filter->before_serial == 0 ? UINT64_MAX : filter->before_serial;
    struct arguments arguments =
        ARGUMENTS(U64(filter->account_id), U64(before), I64(filter->include_expired),
                  I64(filter->include_revoked), I64(filter->now), U64(filter->max));
    return list(store, name, arguments, &issued_shape, VISITOR(issued));
}

static err_t op_issued_revoke(struct store *store, uint64_t serial, int64_t at,
                              const char *reason) {
    int changed = 0;
    TRY(run(store, STATEMENT_issued_revoke, ARGUMENTS(U64(serial), I64(at), TEXT(reason)),
            &changed));
    if (changed != 0) {
        return OK;
    }
    struct issued issued;
    TRY(op_issued_get(store, serial, &issued));
    return FAIL(ERR_CONFLICT);
}

static err_t op_revoked_list(struct store *store, int64_t now, EACH(issued)) {
    return list(store, STATEMENT_revoked_list, ARGUMENTS(I64(now)), &issued_shape, VISITOR(issued));
}

static err_t op_api_key_add(struct store *store, struct api_key *key) {
    return add(store, STATEMENT_api_key_add, &api_key_shape, key, &key->id);
}

static err_t op_api_key_get(struct store *store, entity_id id, struct api_key *out) {
    return get(store, STATEMENT_api_key_get, ARGUMENTS(U64(id)), &api_key_shape, out);
}

static err_t op_api_key_find(struct store *store, const char *hash, struct api_key *out) {
    return get(store, STATEMENT_api_key_find, ARGUMENTS(TEXT(hash)), &api_key_shape, out);
}

static err_t op_api_key_update(struct store *store, const struct api_key *key) {
    return update(store, STATEMENT_api_key_update, &api_key_shape, key);
}

static err_t op_api_key_list(struct store *store, entity_id account_id, EACH(api_key)) {
    return list(store, STATEMENT_api_key_list, ARGUMENTS(U64(account_id)), &api_key_shape,
                VISITOR(api_key));
}

static err_t op_session_add(struct store *store, const struct session *session) {
    return put(store, STATEMENT_session_add, &session_shape, session);
}

static err_t op_session_find(struct store *store, const char *hash, struct session *out) {
    return get(store, STATEMENT_session_find, ARGUMENTS(TEXT(hash)), &session_shape, out);
}

static err_t op_session_remove(struct store *store, const char *hash) {
    return run_one(store, STATEMENT_session_remove, ARGUMENTS(TEXT(hash)));
}

static err_t op_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                                   int64_t now) {
    return run(store, STATEMENT_session_remove_all,
               ARGUMENTS(U64(account_id), U64(api_key_id), I64(now)), NULL);
}

static err_t op_session_sweep(struct store *store, int64_t now) {
    return run(store, STATEMENT_session_sweep, ARGUMENTS(I64(now)), NULL);
}

static err_t op_registered_key_add(struct store *store, struct registered_key *key) {
    return add(store, STATEMENT_registered_key_add, &registered_key_shape, key, &key->id);
}

static err_t op_registered_key_remove(struct store *store, entity_id id) {
    return run_one(store, STATEMENT_registered_key_remove, ARGUMENTS(U64(id)));
}

static err_t op_registered_key_list(struct store *store, entity_id account_id,
                                    EACH(registered_key)) {
    return list(store, STATEMENT_registered_key_list, ARGUMENTS(U64(account_id)),
                &registered_key_shape, VISITOR(registered_key));
}

/* ---- the record ---- */

static err_t op_event_append(struct store *store, const char *kind, const char *key,
                             const char *state, int64_t at, uint64_t *revision) {
    TRY(run(store, STATEMENT_event_append, ARGUMENTS(TEXT(kind), TEXT(key), TEXT(state), I64(at)),
            NULL));
    *revision = (uint64_t)sqlite3_last_insert_rowid(self_of(store)->db);
    return OK;
}

static err_t op_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(take(store, STATEMENT_event_revision, &statement));
    TRY(step(statement, &row));
    INVARIANT(row);
    uint64_t last = (uint64_t)sqlite3_column_int64(statement, 0);
    uint64_t first = (uint64_t)sqlite3_column_int64(statement, 1);
    *newest = last;
    *oldest = first == 0 ? last + 1 : first;
    return OK;
}

static err_t op_event_list(struct store *store, uint64_t since, size_t max, EACH(event)) {
    return list(store, STATEMENT_event_list, ARGUMENTS(U64(since), U64(max)), &event_shape,
                VISITOR(event));
}

static err_t op_event_prune(struct store *store, uint64_t up_to) {
    return run(store, STATEMENT_event_prune, ARGUMENTS(U64(up_to)), NULL);
}

static err_t op_audit_append(struct store *store, struct audit *audit) {
    return add(store, STATEMENT_audit_append, &audit_shape, audit, &audit->sequence);
}

static err_t op_audit_list(struct store *store, const struct audit_filter *filter, EACH(audit)) {
    uint64_t before = filter->before_sequence == 0 ? UINT64_MAX : filter->before_sequence;
    struct arguments arguments =
        ARGUMENTS(U64(before), I64(filter->since == 0 ? INT64_MIN : filter->since),
                  TEXT(filter->actor), TEXT(filter->action), U64(filter->max));
    return list(store, STATEMENT_audit_list, arguments, &audit_shape, VISITOR(audit));
}

static err_t op_meta_get(struct store *store, const char *name, char **value) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(take(store, STATEMENT_meta_get, &statement));
    TRY(bind_all(statement, ARGUMENTS(TEXT(name))));
    TRY(step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    const unsigned char *text = sqlite3_column_text(statement, 0);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    return span_to_str(span_of(text, (size_t)sqlite3_column_bytes(statement, 0)), value);
}

static err_t op_meta_put(struct store *store, const char *name, const char *value) {
    return run(store, STATEMENT_meta_put, ARGUMENTS(TEXT(name), TEXT(value)), NULL);
}

const struct store_operations sqlite_operations = {.close = op_close,
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
