/*
 * The SQLite store's inside: sqlite.c opens, migrates and keeps transactions; sqlite_row.c moves
 * structs into statements and rows into structs; sqlite_statement.c runs statements;
 * sqlite_operations.c has transactions. The operations are in sqlite_people.c, sqlite_machine.c,
 * sqlite_issued.c, sqlite_credential.c, sqlite_authorization.c, sqlite_grant.c, sqlite_factor.c,
 * sqlite_job.c and sqlite_record.c: each is a statement, its arguments and what its rows look like.
 */
#ifndef POSTERN_STORE_SQLITE_H
#define POSTERN_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/backend.h"
#include "store/issued_facts.h"
#include "store/sqlite_statements.h"

/* What the store keeps in memory of issued certificates; see sqlite_issued.c. */
enum { SQLITE_ISSUED_TAIL_MAX = 16384 };
struct tail_row;
struct sqlite_issued {
    struct issued_facts *facts;
    struct tail_row *tail;
    size_t tail_count, tail_size;
    size_t tail_max; /* tests make it small */
    size_t count_at_begin, count_at_mark;
    uint64_t up_to;
    uint64_t bare_serial; /* added since the mark without a savepoint; 0: none */
    int64_t version;      /* of the file that this was read from; -1: nothing was */
    bool rare;
};

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
    struct sqlite_issued issued;
};

/* What an SQLite result means to the caller: SQLITE_FULL → ERR_DISK_FULL, … */
err_t sqlite_error(sqlite3 *db, int result);

/* Applies those migrations that are newer than the file's user_version, each in a transaction of
 * its own; ERR_UNSUPPORTED when the file is newer than all of them. */
err_t sqlite_migrate(sqlite3 *db, const char *const *migrations, size_t count);
/* Made from migrations/ at build time, oldest first, ended by NULL. */
extern const char *const sqlite_migrations[];

extern const struct store_operations sqlite_operations;

/* ---- issued certificates ---- */

void sqlite_issued_init(struct sqlite_issued *self);
void sqlite_issued_done(struct sqlite_issued *self);
/* In step with the transactions of the store. */
err_t sqlite_issued_begin(struct store *store);
void sqlite_issued_mark(struct sqlite_issued *self);
err_t sqlite_issued_undo(struct store *store);
err_t sqlite_issued_before_commit(struct store *store);
void sqlite_issued_rollback(struct sqlite_issued *self);

/* ---- operations ---- */

#define OPERATION(name, parameters, arguments) err_t sqlite_op_##name parameters;
READ_LIST(OPERATION)
WRITE_LIST(OPERATION)
CHECKED_LIST(OPERATION)
#undef OPERATION

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
    COLUMN_CLUSTERS,
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
        err_t (*session)(void *context, const struct session *session);
        err_t (*registered_key)(void *context, const struct registered_key *registered_key);
        err_t (*grant)(void *context, const struct grant *grant);
        err_t (*passkey)(void *context, const struct passkey *passkey);
        err_t (*job)(void *context, const struct job *job);
        err_t (*event)(void *context, const struct event *event);
        err_t (*audit)(void *context, const struct audit *audit);
        err_t (*tally)(void *context, const struct tally *tally);
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
    cluster_shape, host_shape, issued_shape, api_key_shape, session_shape, authorization_shape,
    registered_key_shape, grant_shape, external_identity_shape, passkey_shape, ticket_shape,
    job_shape, event_shape, audit_shape, tally_shape;

/* Binds ?1, ?2, … to the members of a struct, which must stay until the statement is reset. */
err_t shape_bind(const struct shape *shape, sqlite3_stmt *statement, const void *from);
/* ERR_MALFORMED when a column does not fit its member. */
err_t shape_read(const struct shape *shape, sqlite3_stmt *statement, void *out);

#endif
