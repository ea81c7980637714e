/* The replica's insides, shared by its reader and its writer. */
#ifndef POSTERN_FEED_REPLICA_DB_H
#define POSTERN_FEED_REPLICA_DB_H

#include <sqlite3.h>

#include "feed/replica.h"

enum { REPLICA_APPLICATION_ID = 0x50474652 }; /* "PGFR" */

struct replica {
    sqlite3 *db;
    bool partial; /* a snapshot's pages are being applied, and the last has not come */
};

err_t replica_db_err(int result);
err_t replica_db_exec(struct replica *replica, const char *sql);
/* A statement, finalized by CLEANUP(replica_db_finalizep). */
err_t replica_db_prepare(struct replica *replica, const char *sql, sqlite3_stmt **out);
void replica_db_finalizep(sqlite3_stmt **statement);
/* *row says whether there is one. */
err_t replica_db_step(sqlite3_stmt *statement, bool *row);
err_t replica_db_bind_text(sqlite3_stmt *statement, int index, const char *text);
/* Never NULL; borrowed until the next step. */
const char *replica_db_text(sqlite3_stmt *statement, int column);
err_t replica_db_pragma(struct replica *replica, const char *sql, int64_t *out);
/* The value of a name in `meta` as a number; 0 when absent. */
err_t replica_db_meta(struct replica *replica, const char *name, int64_t *out);
/* ERR_UNSUPPORTED or ERR_MALFORMED unless this is a replica of our schema. */
err_t replica_db_check_schema(struct replica *replica);

#endif
