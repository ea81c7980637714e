/*
 * The operations over SQLite. Each is a statement, its arguments and what its rows look like.
 */
#include "store/sqlite_statement.h"

/* ---- transactions ---- */

static void op_close(struct store *store) {
    struct sqlite_store *self = sqlite_store_of(store);
    for (size_t i = 0; i < STATEMENTS_COUNT; i++) {
        (void)sqlite3_finalize(self->statements[i]); /* repeats errors that were reported */
    }
    INVARIANT(sqlite3_close(self->db) == SQLITE_OK);
    sqlite_issued_done(&self->issued);
    free(self);
}

static void op_rollback(struct store *store) {
    struct sqlite_store *self = sqlite_store_of(store);
    sqlite_issued_rollback(&self->issued);
    self->savepoint_wanted = false;
    self->savepoint_made = false;
    /* After SQLITE_FULL, SQLITE_IOERR and SQLITE_NOMEM SQLite may have rolled back by itself. */
    if (!sqlite3_get_autocommit(self->db)) {
        ignore_err(
            statement_run_plain(self, STATEMENT_rollback)); /* ROLLBACK undoes even when it fails */
    }
}

static err_t op_begin(struct store *store) {
    TRY(statement_run_plain(sqlite_store_of(store), STATEMENT_begin));
    err_t err = sqlite_issued_begin(store);
    if (failed(err)) {
        op_rollback(store);
    }
    return err;
}

static err_t op_commit(struct store *store) {
    TRY(sqlite_issued_before_commit(store));
    return statement_run_plain(sqlite_store_of(store), STATEMENT_commit);
}

static err_t op_mark(struct store *store) {
    struct sqlite_store *self = sqlite_store_of(store);
    sqlite_issued_mark(&self->issued);
    self->savepoint_wanted = true;
    return OK;
}

static err_t op_keep(struct store *store) {
    struct sqlite_store *self = sqlite_store_of(store);
    bool made = self->savepoint_made;
    self->savepoint_wanted = false;
    self->savepoint_made = false;
    return made ? statement_run_plain(self, STATEMENT_savepoint_release) : OK;
}

static err_t op_undo(struct store *store) {
    if (sqlite_store_of(store)->savepoint_made) {
        TRY(statement_run_plain(sqlite_store_of(store), STATEMENT_savepoint_undo));
    }
    TRY(op_keep(store));
    return sqlite_issued_undo(store);
}

/* ---- people ---- */

static err_t op_account_add(struct store *store, struct account *account) {
    return statement_add(store, STATEMENT_account_add, &account_shape, account, &account->id);
}

static err_t op_account_get(struct store *store, entity_id id, struct account *out) {
    return statement_get(store, STATEMENT_account_get, ARGUMENTS(U64(id)), &account_shape, out);
}

static err_t op_account_find(struct store *store, const char *name, struct account *out) {
    return statement_get(store, STATEMENT_account_find, ARGUMENTS(TEXT(name)), &account_shape, out);
}

static err_t op_account_update(struct store *store, const struct account *account) {
    return statement_update(store, STATEMENT_account_update, &account_shape, account);
}

static const char *from_first(const char *after_name) {
    return after_name == NULL ? "" : after_name;
}

static err_t op_account_list(struct store *store, const char *after_name, size_t max,
                             EACH(account)) {
    return statement_list(store, STATEMENT_account_list,
                          ARGUMENTS(TEXT(from_first(after_name)), U64(max)), &account_shape,
                          VISITOR(account));
}

static err_t op_login_get(struct store *store, entity_id account_id, struct login *out) {
    return statement_get(store, STATEMENT_login_get, ARGUMENTS(U64(account_id)), &login_shape, out);
}

static err_t op_login_find_invitation(struct store *store, const char *hash, struct login *out) {
    return statement_get(store, STATEMENT_login_find_invitation, ARGUMENTS(TEXT(hash)),
                         &login_shape, out);
}

static err_t op_login_put(struct store *store, const struct login *login) {
    return statement_put(store, STATEMENT_login_put, &login_shape, login);
}

static err_t op_project_add(struct store *store, struct project *project) {
    return statement_add(store, STATEMENT_project_add, &project_shape, project, &project->id);
}

static err_t op_project_get(struct store *store, entity_id id, struct project *out) {
    return statement_get(store, STATEMENT_project_get, ARGUMENTS(U64(id)), &project_shape, out);
}

static err_t op_project_find(struct store *store, const char *name, struct project *out) {
    return statement_get(store, STATEMENT_project_find, ARGUMENTS(TEXT(name)), &project_shape, out);
}

static err_t op_project_list(struct store *store, const char *after_name, size_t max,
                             EACH(project)) {
    return statement_list(store, STATEMENT_project_list,
                          ARGUMENTS(TEXT(from_first(after_name)), U64(max)), &project_shape,
                          VISITOR(project));
}

static err_t op_member_put(struct store *store, const struct membership *membership) {
    return statement_put(store, STATEMENT_member_put, &membership_shape, membership);
}

static err_t op_member_get(struct store *store, entity_id project_id, entity_id account_id,
                           struct membership *out) {
    return statement_get(store, STATEMENT_member_get, ARGUMENTS(U64(project_id), U64(account_id)),
                         &membership_shape, out);
}

static err_t op_member_remove(struct store *store, entity_id project_id, entity_id account_id) {
    return statement_run_one(store, STATEMENT_member_remove,
                             ARGUMENTS(U64(project_id), U64(account_id)));
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
    return statement_list(store, name, name == STATEMENT_member_list ? NO_ARGUMENTS : one,
                          &membership_shape, VISITOR(membership));
}

/* ---- machines ---- */

static err_t op_project_cluster_put(struct store *store, entity_id project_id,
                                    entity_id cluster_id) {
    return statement_run(store, STATEMENT_project_cluster_put,
                         ARGUMENTS(U64(project_id), U64(cluster_id)), NULL);
}

static err_t op_project_cluster_remove(struct store *store, entity_id project_id,
                                       entity_id cluster_id) {
    return statement_run_one(store, STATEMENT_project_cluster_remove,
                             ARGUMENTS(U64(project_id), U64(cluster_id)));
}

static err_t op_project_cluster_list(struct store *store, entity_id project_id, EACH(cluster)) {
    return statement_list(store, STATEMENT_project_cluster_list, ARGUMENTS(U64(project_id)),
                          &cluster_shape, VISITOR(cluster));
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
    return statement_list(store, STATEMENT_reach_list, ARGUMENTS(U64(account_id)), &cluster_shape,
                          VISITOR(cluster));
}

static err_t op_cluster_add(struct store *store, struct cluster *cluster) {
    return statement_add(store, STATEMENT_cluster_add, &cluster_shape, cluster, &cluster->id);
}

static err_t op_cluster_get(struct store *store, entity_id id, struct cluster *out) {
    return statement_get(store, STATEMENT_cluster_get, ARGUMENTS(U64(id)), &cluster_shape, out);
}

static err_t op_cluster_find(struct store *store, const char *name, struct cluster *out) {
    return statement_get(store, STATEMENT_cluster_find, ARGUMENTS(TEXT(name)), &cluster_shape, out);
}

static err_t op_cluster_update(struct store *store, const struct cluster *cluster) {
    return statement_update(store, STATEMENT_cluster_update, &cluster_shape, cluster);
}

static err_t op_cluster_list(struct store *store, const char *after_name, size_t max,
                             EACH(cluster)) {
    return statement_list(store, STATEMENT_cluster_list,
                          ARGUMENTS(TEXT(from_first(after_name)), U64(max)), &cluster_shape,
                          VISITOR(cluster));
}

static err_t op_host_add(struct store *store, struct host *host) {
    return statement_add(store, STATEMENT_host_add, &host_shape, host, &host->id);
}

static err_t op_host_get(struct store *store, entity_id id, struct host *out) {
    return statement_get(store, STATEMENT_host_get, ARGUMENTS(U64(id)), &host_shape, out);
}

static err_t op_host_find(struct store *store, const char *name, struct host *out) {
    return statement_get(store, STATEMENT_host_find, ARGUMENTS(TEXT(name)), &host_shape, out);
}

static err_t op_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out) {
    return statement_get(store, STATEMENT_host_find_enrol, ARGUMENTS(TEXT(enrol_hash)), &host_shape,
                         out);
}

static err_t op_host_find_token(struct store *store, const char *token_hash, struct host *out) {
    return statement_get(store, STATEMENT_host_find_token, ARGUMENTS(TEXT(token_hash)), &host_shape,
                         out);
}

static err_t op_host_update(struct store *store, const struct host *host) {
    return statement_update(store, STATEMENT_host_update, &host_shape, host);
}

static err_t op_host_remove(struct store *store, entity_id id) {
    return statement_run_one(store, STATEMENT_host_remove, ARGUMENTS(U64(id)));
}

static err_t op_host_list(struct store *store, const char *after_name, size_t max, EACH(host)) {
    return statement_list(store, STATEMENT_host_list,
                          ARGUMENTS(TEXT(from_first(after_name)), U64(max)), &host_shape,
                          VISITOR(host));
}

/* ---- credentials ---- */

static err_t op_api_key_add(struct store *store, struct api_key *key) {
    return statement_add(store, STATEMENT_api_key_add, &api_key_shape, key, &key->id);
}

static err_t op_api_key_get(struct store *store, entity_id id, struct api_key *out) {
    return statement_get(store, STATEMENT_api_key_get, ARGUMENTS(U64(id)), &api_key_shape, out);
}

static err_t op_api_key_find(struct store *store, const char *hash, struct api_key *out) {
    return statement_get(store, STATEMENT_api_key_find, ARGUMENTS(TEXT(hash)), &api_key_shape, out);
}

static err_t op_api_key_update(struct store *store, const struct api_key *key) {
    return statement_update(store, STATEMENT_api_key_update, &api_key_shape, key);
}

static err_t op_api_key_list(struct store *store, entity_id account_id, EACH(api_key)) {
    return statement_list(store, STATEMENT_api_key_list, ARGUMENTS(U64(account_id)), &api_key_shape,
                          VISITOR(api_key));
}

static err_t op_session_add(struct store *store, const struct session *session) {
    return statement_put(store, STATEMENT_session_add, &session_shape, session);
}

static err_t op_session_find(struct store *store, const char *hash, struct session *out) {
    return statement_get(store, STATEMENT_session_find, ARGUMENTS(TEXT(hash)), &session_shape, out);
}

static err_t op_session_remove(struct store *store, const char *hash) {
    return statement_run_one(store, STATEMENT_session_remove, ARGUMENTS(TEXT(hash)));
}

static err_t op_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                                   int64_t now) {
    return statement_run(store, STATEMENT_session_remove_all,
                         ARGUMENTS(U64(account_id), U64(api_key_id), I64(now)), NULL);
}

static err_t op_session_sweep(struct store *store, int64_t now) {
    return statement_run(store, STATEMENT_session_sweep, ARGUMENTS(I64(now)), NULL);
}

static err_t op_registered_key_add(struct store *store, struct registered_key *key) {
    return statement_add(store, STATEMENT_registered_key_add, &registered_key_shape, key, &key->id);
}

static err_t op_registered_key_remove(struct store *store, entity_id id) {
    return statement_run_one(store, STATEMENT_registered_key_remove, ARGUMENTS(U64(id)));
}

static err_t op_registered_key_list(struct store *store, entity_id account_id,
                                    EACH(registered_key)) {
    return statement_list(store, STATEMENT_registered_key_list, ARGUMENTS(U64(account_id)),
                          &registered_key_shape, VISITOR(registered_key));
}

/* ---- the record ---- */

static err_t op_event_append(struct store *store, const char *kind, const char *key,
                             const char *state, int64_t at, uint64_t *revision) {
    TRY(statement_run(store, STATEMENT_event_append,
                      ARGUMENTS(TEXT(kind), TEXT(key), TEXT(state), I64(at)), NULL));
    *revision = (uint64_t)sqlite3_last_insert_rowid(sqlite_store_of(store)->db);
    return OK;
}

static err_t op_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(statement_take(store, STATEMENT_event_revision, &statement));
    TRY(statement_step(statement, &row));
    INVARIANT(row);
    uint64_t last = (uint64_t)sqlite3_column_int64(statement, 0);
    uint64_t first = (uint64_t)sqlite3_column_int64(statement, 1);
    *newest = last;
    *oldest = first == 0 ? last + 1 : first;
    return OK;
}

static err_t op_event_list(struct store *store, uint64_t since, size_t max, EACH(event)) {
    return statement_list(store, STATEMENT_event_list, ARGUMENTS(U64(since), U64(max)),
                          &event_shape, VISITOR(event));
}

static err_t op_event_prune(struct store *store, uint64_t up_to) {
    return statement_run(store, STATEMENT_event_prune, ARGUMENTS(U64(up_to)), NULL);
}

/* The sequence follows a row that says its revision by itself, also when that row is gone. */
static err_t op_event_skip(struct store *store, uint64_t revision) {
    TRY(statement_run(store, STATEMENT_event_skip, ARGUMENTS(U64(revision)), NULL));
    return op_event_prune(store, revision);
}

static err_t op_audit_append(struct store *store, struct audit *audit) {
    return statement_add(store, STATEMENT_audit_append, &audit_shape, audit, &audit->sequence);
}

static err_t op_audit_list(struct store *store, const struct audit_filter *filter, EACH(audit)) {
    uint64_t before = filter->before_sequence == 0 ? UINT64_MAX : filter->before_sequence;
    struct arguments arguments =
        ARGUMENTS(U64(before), I64(filter->since == 0 ? INT64_MIN : filter->since),
                  TEXT(filter->actor), TEXT(filter->action), U64(filter->max));
    return statement_list(store, STATEMENT_audit_list, arguments, &audit_shape, VISITOR(audit));
}

static err_t op_meta_get(struct store *store, const char *name, char **value) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(statement_take(store, STATEMENT_meta_get, &statement));
    TRY(statement_bind(statement, ARGUMENTS(TEXT(name))));
    TRY(statement_step(statement, &row));
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
    return statement_run(store, STATEMENT_meta_put, ARGUMENTS(TEXT(name), TEXT(value)), NULL);
}

#define op_issued_add    sqlite_op_issued_add
#define op_issued_get    sqlite_op_issued_get
#define op_issued_facts  sqlite_op_issued_facts
#define op_issued_oldest sqlite_op_issued_oldest
#define op_issued_list   sqlite_op_issued_list
#define op_issued_revoke sqlite_op_issued_revoke
#define op_revoked_list  sqlite_op_revoked_list

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
