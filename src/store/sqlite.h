/*
 * The SQLite store's inside: sqlite.c opens, migrates and keeps transactions; sqlite_row.c moves
 * structs into statements and rows into structs; sqlite_operations.c has the operations.
 */
#ifndef POSTERN_STORE_SQLITE_H
#define POSTERN_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/backend.h"
#include "store/sqlite_statements.h"

struct sqlite_store {
    struct store store; /* first, so that a struct store * is one of these */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS_COUNT];
    /*
     * A mark costs nothing until the first write after it: only then is the savepoint made. So a
     * request that is refused before it writes leaves no trace here.
     */
    bool savepoint_wanted;
    bool savepoint_made;
};

/* What an SQLite result means to the caller: SQLITE_FULL → ERR_DISK_FULL, … */
err_t sqlite_error(sqlite3 *db, int result);

/* Applies those migrations that are newer than the file's user_version, each in a transaction of
 * its own; ERR_UNSUPPORTED when the file is newer than all of them. */
err_t sqlite_migrate(sqlite3 *db, const char *const *migrations, size_t count);
/* Made from migrations/ at build time, oldest first, ended by NULL. */
extern const char *const sqlite_migrations[];

extern const struct store_operations sqlite_operations;

/* ---- structs and rows ---- */

enum column_kind {
    COLUMN_U64,
    COLUMN_REFERENCE, /* an entity_id that is NULL in the table when it is 0 */
    COLUMN_I64,
    COLUMN_U32, /* enumerations too */
    COLUMN_U16,
    COLUMN_BOOL,
    COLUMN_TEXT, /* char[] */
    COLUMN_TOTP, /* login's secret with its length */
    COLUMN_SUBNETS,
    COLUMN_BORROWED /* char *, into SQLite's memory until the next row */
};

struct column {
    enum column_kind kind;
    uint16_t size; /* of the member */
    size_t offset;
};

/* One of these is set: the shape knows which. */
struct visitor {
    void *context;
    union {
        err_t (*account)(void *context, const struct account *account);
        err_t (*project)(void *context, const struct project *project);
        err_t (*membership)(void *context, const struct membership *membership);
        err_t (*cluster)(void *context, const struct cluster *cluster);
        err_t (*host)(void *context, const struct host *host);
        err_t (*issued)(void *context, const struct issued *issued);
        err_t (*api_key)(void *context, const struct api_key *api_key);
        err_t (*registered_key)(void *context, const struct registered_key *registered_key);
        err_t (*event)(void *context, const struct event *event);
        err_t (*audit)(void *context, const struct audit *audit);
    };
};

/* How a struct lies in the columns of its table, in the order of its column list. */
struct shape {
    size_t size;
    const struct column *columns;
    size_t column_count;
    err_t (*visit)(const struct visitor *visitor, const void *row);
};

extern const struct shape account_shape, login_shape, project_shape, membership_shape,
    cluster_shape, host_shape, issued_shape, api_key_shape, session_shape, registered_key_shape,
    event_shape, audit_shape;

/* Binds ?1, ?2, … to the members of a struct, which must stay until the statement is reset. */
err_t shape_bind(const struct shape *shape, sqlite3_stmt *statement, const void *from);
/* ERR_MALFORMED when a column does not fit its member. */
err_t shape_read(const struct shape *shape, sqlite3_stmt *statement, void *out);

#endif
