#include "feed/replica.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "feed/replica_db.h"

/* How long a reader waits for a writer that recovers the file; a login waits with it. */
enum { READ_BUSY_MS = 500 };

/* --- the little of SQLite that we use --- */

err_t replica_db_err(int result) {
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_NOMEM:
        return FAIL(ERR_MEMORY);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FAIL(ERR_BUSY);
    case SQLITE_FULL:
        return FAIL(ERR_DISK_FULL);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FAIL(ERR_MALFORMED);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return FAIL(ERR_PERMISSION);
    case SQLITE_CANTOPEN:
        return FAIL(ERR_NOT_FOUND);
    default:
        return FAIL(ERR_IO);
    }
}

err_t replica_db_exec(struct replica *replica, const char *sql) {
    return replica_db_err(sqlite3_exec(replica->db, sql, NULL, NULL, NULL));
}

err_t replica_db_prepare(struct replica *replica, const char *sql, sqlite3_stmt **out) {
    return replica_db_err(sqlite3_prepare_v2(replica->db, sql, -1, out, NULL));
}

void replica_db_finalizep(sqlite3_stmt **statement) {
    (void)sqlite3_finalize(*statement); /* repeats the error of the last step, which was seen */
    *statement = NULL;
}

err_t replica_db_step(sqlite3_stmt *statement, bool *row) {
    int result = sqlite3_step(statement);
    TRY(replica_db_err(result));
    *row = result == SQLITE_ROW;
    return OK;
}

err_t replica_db_bind_text(sqlite3_stmt *statement, int index, const char *text) {
    return replica_db_err(sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC));
}

const char *replica_db_text(sqlite3_stmt *statement, int column) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text == NULL ? "" : (const char *)text;
}

err_t replica_db_pragma(struct replica *replica, const char *sql, int64_t *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, sql, &statement));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    *out = row ? sqlite3_column_int64(statement, 0) : 0;
    return OK;
}

err_t replica_db_check_schema(struct replica *replica) {
    int64_t application = 0;
    int64_t version = 0;
    TRY(replica_db_pragma(replica, "PRAGMA application_id", &application));
    TRY(replica_db_pragma(replica, "PRAGMA user_version", &version));
    if (application != REPLICA_APPLICATION_ID) {
        return FAIL(ERR_MALFORMED);
    }
    return version == REPLICA_SCHEMA ? OK : FAIL(ERR_UNSUPPORTED);
}

err_t replica_open_read(const char *path, struct replica **out) {
    struct replica *replica CLEANUP(replica_closep) = calloc(1, sizeof *replica);
    if (replica == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(replica_db_err(
        sqlite3_open_v2(path, &replica->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL)));
    TRY(replica_db_err(sqlite3_busy_timeout(replica->db, READ_BUSY_MS)));
    TRY(replica_db_check_schema(replica));
    *out = TAKE(replica);
    return OK;
}

void replica_close(struct replica *replica) {
    if (replica != NULL) {
        (void)sqlite3_close_v2(replica->db);
        free(replica);
    }
}

void replica_closep(struct replica **replica) {
    replica_close(*replica);
    *replica = NULL;
}

const char *replica_error_text(err_t err) {
    switch (err.code) {
    case ERR_NOT_FOUND:
        return "there is no replica; run: postern-host enrol";
    case ERR_MALFORMED:
        return "the replica is damaged or no replica; move it away and restart postern-host sync, "
               "which makes it anew";
    case ERR_UNSUPPORTED:
        return "the replica was written by another version of postern-host; install one version "
               "and restart postern-host sync";
    case ERR_PERMISSION:
        return "the replica may not be read; see command_group in the configuration of "
               "postern-host, and the modes of its state directory";
    case ERR_BUSY:
        return "the replica is locked by another process";
    default:
        return err_text(err);
    }
}

/* --- what the writer says of itself --- */

err_t replica_db_meta(struct replica *replica, const char *name, int64_t *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT value FROM meta WHERE name = ?", &statement));
    TRY(replica_db_bind_text(statement, 1, name));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    *out = row ? sqlite3_column_int64(statement, 0) : 0;
    return OK;
}

err_t replica_revision(struct replica *replica, uint64_t *out) {
    int64_t revision = 0;
    TRY(replica_db_meta(replica, "revision", &revision));
    *out = (uint64_t)revision;
    return OK;
}

err_t replica_needs_snapshot(struct replica *replica, int64_t now, bool *out) {
    uint64_t revision = 0;
    int64_t pruned_at = 0;
    TRY(replica_revision(replica, &revision));
    TRY(replica_db_meta(replica, "pruned_at", &pruned_at));
    /* By less than the slack, it was right all the same. */
    *out = revision == 0 || pruned_at > now + REPLICA_PRUNE_SLACK_S;
    return OK;
}

err_t replica_self_get(struct replica *replica, struct replica_self *out) {
    struct replica_self self = {0};
    int64_t best_effort = 0;
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT value FROM meta WHERE name = 'self'", &statement));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    (void)snprintf(self.name, sizeof self.name, "%s", replica_db_text(statement, 0));
    TRY(replica_db_meta(replica, "best_effort", &best_effort));
    TRY(replica_db_meta(replica, "max_age_s", &self.max_age_s));
    self.best_effort = best_effort == 1;
    *out = self;
    return OK;
}

err_t replica_info(struct replica *replica, struct replica_info *out) {
    struct replica_info info = {0};
    TRY(replica_revision(replica, &info.revision));
    TRY(replica_db_meta(replica, "synced_at", &info.synced_at));
    const struct {
        const char *sql;
        size_t *count;
    } counts[] = {
        {"SELECT count(*) FROM account", &info.accounts},
        {"SELECT count(*) FROM revocation", &info.revocations},
        {"SELECT count(*) FROM key", &info.keys},
        {"SELECT count(*) FROM cluster", &info.clusters},
        {"SELECT count(*) FROM host", &info.hosts},
        {"SELECT count(*) FROM job", &info.jobs},
    };
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int64_t count = 0;
        TRY(replica_db_pragma(replica, counts[i].sql, &count));
        *counts[i].count = (size_t)count;
    }
    *out = info;
    return OK;
}
