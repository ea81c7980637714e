/*
 * Running the statements of sqlite_statements.h: each is taken from the shelf, bound, stepped, and
 * reset when its user is done with it.
 */
#ifndef POSTERN_STORE_SQLITE_STATEMENT_H
#define POSTERN_STORE_SQLITE_STATEMENT_H

#include "store/sqlite.h"

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

static inline struct sqlite_store *sqlite_store_of(struct store *store) {
    return (struct sqlite_store *)store;
}

/* For CLEANUP(): a statement goes back to the shelf. */
void statement_resetp(sqlite3_stmt **statement);
/* Takes a statement from the shelf; the first writer after a mark makes its savepoint. */
err_t statement_take(struct store *store, enum statement name, sqlite3_stmt **out);
err_t statement_bind(sqlite3_stmt *statement, struct arguments arguments);
/* row may be NULL. */
err_t statement_step(sqlite3_stmt *statement, bool *row);
/* Without arguments, rows or a savepoint. */
err_t statement_run_plain(struct sqlite_store *self, enum statement name);
/* A writer without rows; *changed (may be NULL) is how many rows it changed. */
err_t statement_run(struct store *store, enum statement name, struct arguments arguments,
                    int *changed);
/* The same for a writer that must find its row. */
err_t statement_run_one(struct store *store, enum statement name, struct arguments arguments);
err_t statement_put(struct store *store, enum statement name, const struct shape *shape,
                    const void *from);
/* The same for a row whose id, the first column, the table gives. */
err_t statement_add(struct store *store, enum statement name, const struct shape *shape,
                    const void *from, entity_id *id);
err_t statement_update(struct store *store, enum statement name, const struct shape *shape,
                       const void *from);
err_t statement_get(struct store *store, enum statement name, struct arguments arguments,
                    const struct shape *shape, void *out);
err_t statement_count(struct store *store, enum statement name, entity_id id, size_t *out);
err_t statement_list(struct store *store, enum statement name, struct arguments arguments,
                     const struct shape *shape, struct visitor visitor);
/* By name from after a name (NULL: from the first), at most max. */
err_t statement_list_after(struct store *store, enum statement name, const char *after_name,
                           size_t max, const struct shape *shape, struct visitor visitor);
/* Those of one, or of all when id is 0. */
err_t statement_list_of(struct store *store, enum statement all, enum statement one, entity_id id,
                        const struct shape *shape, struct visitor visitor);

#define VISITOR(type) ((struct visitor){.context = context, .type = each})

#endif
