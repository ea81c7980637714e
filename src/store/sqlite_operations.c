/*
 * The transactions of the SQLite store, and its table of operations.
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

const struct store_operations sqlite_operations = {.close = op_close,
                                                   .begin = op_begin,
                                                   .commit = op_commit,
                                                   .rollback = op_rollback,
                                                   .mark = op_mark,
                                                   .undo = op_undo,
                                                   .keep = op_keep,
#define OPERATION(name, parameters, arguments) .name = sqlite_op_##name,
                                                   READ_LIST(OPERATION) WRITE_LIST(OPERATION)
                                                       CHECKED_LIST(OPERATION)
#undef OPERATION
};
