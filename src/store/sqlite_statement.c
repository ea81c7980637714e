#include "store/sqlite_statement.h"

#include <errno.h>

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
    struct grant grant;
    struct passkey passkey;
    struct job job;
    struct event event;
    struct audit audit;
    struct tally tally;
};

/* For CLEANUP(): a statement goes back to the shelf when its user is done with it. */
void statement_resetp(sqlite3_stmt **statement) {
    if (*statement != NULL) {
        (void)sqlite3_reset(*statement); /* repeats the step's error, which was reported */
    }
}

err_t statement_step(sqlite3_stmt *statement, bool *row) {
    errno = 0; /* so that sqlite_error() sees what this step set */
    int result = sqlite3_step(statement);
    if (row != NULL) {
        *row = result == SQLITE_ROW;
    }
    return sqlite_error(sqlite3_db_handle(statement), result);
}

err_t statement_run_plain(struct sqlite_store *self, enum statement name) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = self->statements[name];
    return statement_step(statement, NULL);
}

/* Takes a statement from the shelf; the first writer after a mark makes its savepoint. */
err_t statement_take(struct store *store, enum statement name, sqlite3_stmt **out) {
    struct sqlite_store *self = sqlite_store_of(store);
    sqlite3_stmt *statement = self->statements[name];
    INVARIANT(!sqlite3_stmt_busy(statement)); /* each() calls the listing that called it */
    if (self->savepoint_wanted && !sqlite3_stmt_readonly(statement)) {
        TRY(statement_run_plain(self, STATEMENT_savepoint));
        self->savepoint_wanted = false;
        self->savepoint_made = true;
    }
    *out = statement;
    return OK;
}

err_t statement_bind(sqlite3_stmt *statement, struct arguments arguments) {
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
err_t statement_run(struct store *store, enum statement name, struct arguments arguments,
                    int *changed) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(statement_take(store, name, &statement));
    TRY(statement_bind(statement, arguments));
    TRY(statement_step(statement, NULL));
    if (changed != NULL) {
        *changed = sqlite3_changes(sqlite_store_of(store)->db);
    }
    return OK;
}

/* The same for a writer that must find its row. */
err_t statement_run_one(struct store *store, enum statement name, struct arguments arguments) {
    int changed = 0;
    TRY(statement_run(store, name, arguments, &changed));
    return changed == 0 ? FAIL(ERR_NOT_FOUND) : OK;
}

err_t statement_put(struct store *store, enum statement name, const struct shape *shape,
                    const void *from) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(statement_take(store, name, &statement));
    TRY(shape_bind(shape, statement, from));
    return statement_step(statement, NULL);
}

/* The same for a row whose id, the first column, the table gives. */
err_t statement_add(struct store *store, enum statement name, const struct shape *shape,
                    const void *from, entity_id *id) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(statement_take(store, name, &statement));
    TRY(shape_bind(shape, statement, from));
    TRY(sqlite_error(sqlite_store_of(store)->db, sqlite3_bind_null(statement, 1)));
    TRY(statement_step(statement, NULL));
    *id = (entity_id)sqlite3_last_insert_rowid(sqlite_store_of(store)->db);
    return OK;
}

err_t statement_update(struct store *store, enum statement name, const struct shape *shape,
                       const void *from) {
    TRY(statement_put(store, name, shape, from));
    return sqlite3_changes(sqlite_store_of(store)->db) == 0 ? FAIL(ERR_NOT_FOUND) : OK;
}

err_t statement_get(struct store *store, enum statement name, struct arguments arguments,
                    const struct shape *shape, void *out) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(statement_take(store, name, &statement));
    TRY(statement_bind(statement, arguments));
    TRY(statement_step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    return shape_read(shape, statement, out);
}

/* The number that a statement of one id answers. */
err_t statement_count(struct store *store, enum statement name, entity_id id, size_t *out) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool there;
    TRY(statement_take(store, name, &statement));
    TRY(statement_bind(statement, ARGUMENTS(U64(id))));
    TRY(statement_step(statement, &there));
    INVARIANT(there);
    *out = (size_t)sqlite3_column_int64(statement, 0);
    return OK;
}

err_t statement_list(struct store *store, enum statement name, struct arguments arguments,
                     const struct shape *shape, struct visitor visitor) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    union row row;
    TRY(statement_take(store, name, &statement));
    TRY(statement_bind(statement, arguments));
    for (;;) {
        bool there;
        TRY(statement_step(statement, &there));
        if (!there) {
            return OK;
        }
        TRY(shape_read(shape, statement, &row));
        TRY(shape->visit(&visitor, &row));
    }
}

err_t statement_list_after(struct store *store, enum statement name, const char *after_name,
                           size_t max, const struct shape *shape, struct visitor visitor) {
    return statement_list(store, name,
                          ARGUMENTS(TEXT(after_name == NULL ? "" : after_name), U64(max)), shape,
                          visitor);
}

err_t statement_list_of(struct store *store, enum statement all, enum statement one, entity_id id,
                        const struct shape *shape, struct visitor visitor) {
    return id == 0 ? statement_list(store, all, NO_ARGUMENTS, shape, visitor)
                   : statement_list(store, one, ARGUMENTS(U64(id)), shape, visitor);
}
