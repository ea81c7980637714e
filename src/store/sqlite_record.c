/* Events, the audit log and small values over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_event_append(struct store *store, const char *kind, const char *key,
                             const char *state, int64_t at, uint64_t *revision) {
    TRY(statement_run(store, STATEMENT_event_append,
                      ARGUMENTS(TEXT(kind), TEXT(key), TEXT(state), I64(at)), NULL));
    *revision = (uint64_t)sqlite3_last_insert_rowid(sqlite_store_of(store)->db);
    return OK;
}

err_t sqlite_op_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest) {
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

err_t sqlite_op_event_list(struct store *store, uint64_t since, size_t max, EACH(event)) {
    return statement_list(store, STATEMENT_event_list, ARGUMENTS(U64(since), U64(max)),
                          &event_shape, VISITOR(event));
}

err_t sqlite_op_event_prune(struct store *store, uint64_t up_to) {
    return statement_run(store, STATEMENT_event_prune, ARGUMENTS(U64(up_to)), NULL);
}

/* The sequence follows a row that says its revision by itself, also when that row is gone. */
err_t sqlite_op_event_skip(struct store *store, uint64_t revision) {
    TRY(statement_run(store, STATEMENT_event_skip, ARGUMENTS(U64(revision)), NULL));
    return sqlite_op_event_prune(store, revision);
}

err_t sqlite_op_audit_append(struct store *store, struct audit *audit) {
    return statement_add(store, STATEMENT_audit_append, &audit_shape, audit, &audit->sequence);
}

err_t sqlite_op_audit_list(struct store *store, const struct audit_filter *filter, EACH(audit)) {
    uint64_t before = filter->before_sequence == 0 ? UINT64_MAX : filter->before_sequence;
    struct arguments arguments = ARGUMENTS(
        U64(before), I64(filter->since == 0 ? INT64_MIN : filter->since), TEXT(filter->actor),
        TEXT(filter->action), U64(filter->max), U64(filter->after_sequence));
    return statement_list(store, STATEMENT_audit_list, arguments, &audit_shape, VISITOR(audit));
}

err_t sqlite_op_tally_add(struct store *store, const struct tally *tally) {
    return statement_put(store, STATEMENT_tally_add, &tally_shape, tally);
}

err_t sqlite_op_tally_list(struct store *store, int64_t step_s, int64_t since, EACH(tally)) {
    return statement_list(store, STATEMENT_tally_list, ARGUMENTS(I64(step_s), I64(since)),
                          &tally_shape, VISITOR(tally));
}

err_t sqlite_op_meta_get(struct store *store, const char *name, char **value) {
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

err_t sqlite_op_meta_put(struct store *store, const char *name, const char *value) {
    return statement_run(store, STATEMENT_meta_put, ARGUMENTS(TEXT(name), TEXT(value)), NULL);
}
