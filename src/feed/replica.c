#include "feed/replica.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "feed/reach.h"
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

/* --- what the writer says of itself --- */

/* The value of a name in `meta` as a number; 0 when absent. */
static err_t meta_number(struct replica *replica, const char *name, int64_t *out) {
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
    TRY(meta_number(replica, "revision", &revision));
    *out = (uint64_t)revision;
    return OK;
}

err_t replica_needs_snapshot(struct replica *replica, int64_t now, bool *out) {
    uint64_t revision = 0;
    int64_t pruned_at = 0;
    TRY(replica_revision(replica, &revision));
    TRY(meta_number(replica, "pruned_at", &pruned_at));
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
    TRY(meta_number(replica, "best_effort", &best_effort));
    TRY(meta_number(replica, "max_age_s", &self.max_age_s));
    self.best_effort = best_effort == 1;
    *out = self;
    return OK;
}

err_t replica_info(struct replica *replica, struct replica_info *out) {
    struct replica_info info = {0};
    TRY(replica_revision(replica, &info.revision));
    TRY(meta_number(replica, "synced_at", &info.synced_at));
    const struct {
        const char *sql;
        size_t *count;
    } counts[] = {
        {"SELECT count(*) FROM account", &info.accounts},
        {"SELECT count(*) FROM revocation", &info.revocations},
        {"SELECT count(*) FROM key", &info.keys},
        {"SELECT count(*) FROM cluster", &info.clusters},
        {"SELECT count(*) FROM host", &info.hosts},
    };
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int64_t count = 0;
        TRY(replica_db_pragma(replica, counts[i].sql, &count));
        *counts[i].count = (size_t)count;
    }
    *out = info;
    return OK;
}

/* --- decisions --- */

static err_t judge_age(struct replica *replica, const struct replica_self *self, int64_t now,
                       struct replica_verdict *verdict) {
    int64_t synced_at = 0;
    TRY(meta_number(replica, "synced_at", &synced_at));
    /* A replica from the future is as little to be trusted as an old one: a clock is wrong. */
    bool fresh =
        synced_at != 0 && now - synced_at <= self->max_age_s && synced_at - now <= self->max_age_s;
    verdict->stale = !fresh;
    if (!fresh && !self->best_effort) {
        verdict->why = REPLICA_STALE;
    }
    return OK;
}

static err_t judge_reach(struct replica *replica, const struct replica_self *self,
                         const char *clusters, struct replica_verdict *verdict) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT role, cluster FROM host WHERE name = ?", &statement));
    TRY(replica_db_bind_text(statement, 1, self->name));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        verdict->why = REPLICA_NO_HOST;
        return OK;
    }
    bool reaches = sqlite3_column_int(statement, 0) == HOST_JUMP
                       ? !reach_is_empty(clusters)
                       : reach_has(clusters, replica_db_text(statement, 1));
    verdict->why = reaches ? REPLICA_ALLOWED : REPLICA_NO_REACH;
    return OK;
}

static err_t judge_account(struct replica *replica, const struct replica_self *self,
                           const char *user, struct replica_verdict *verdict) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT enabled, clusters FROM account WHERE name = ?",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, user));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        verdict->why = REPLICA_NO_ACCOUNT;
    } else if (sqlite3_column_int(statement, 0) != 1) {
        verdict->why = REPLICA_DISABLED;
    } else {
        return judge_reach(replica, self, replica_db_text(statement, 1), verdict);
    }
    return OK;
}

static err_t judge_certificate(struct replica *replica, const struct replica_login *login,
                               struct replica_verdict *verdict) {
    bool revoked = true;
    if (login->serial == 0) {
        /* The authority signs none with serial 0, since a KRL could not list it. */
        verdict->why = REPLICA_NO_SERIAL;
        return OK;
    }
    TRY(replica_is_revoked(replica, login->serial, &revoked));
    if (revoked) {
        verdict->why = REPLICA_REVOKED;
        return OK;
    }
    if (login->ca_fingerprint == NULL) {
        return OK;
    }
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT 1 FROM ca WHERE fingerprint = ? AND use = ?",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, login->ca_fingerprint));
    TRY(replica_db_err(sqlite3_bind_int(statement, 2, CA_USE_USER)));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        verdict->why = REPLICA_UNKNOWN_CA;
    }
    return OK;
}

static err_t judge(struct replica *replica, const char *user, const struct replica_login *login,
                   int64_t now, struct replica_verdict *verdict) {
    struct replica_self self;
    err_t err = replica_self_get(replica, &self);
    if (err.code == ERR_NOT_FOUND) {
        verdict->why = REPLICA_NO_HOST;
        return OK;
    }
    TRY(err);
    TRY(judge_age(replica, &self, now, verdict));
    if (verdict->why == REPLICA_UNDECIDED && login != NULL) {
        TRY(judge_certificate(replica, login, verdict));
    }
    return verdict->why == REPLICA_UNDECIDED ? judge_account(replica, &self, user, verdict) : OK;
}

/* All that one decision reads is of one moment. */
static err_t decide(struct replica *replica, const char *user, const struct replica_login *login,
                    int64_t now, struct replica_verdict *out) {
    *out = (struct replica_verdict){0};
    struct replica_verdict verdict = {0};
    TRY(replica_db_exec(replica, "BEGIN"));
    err_t err = judge(replica, user, login, now, &verdict);
    TRY(replica_db_exec(replica, "COMMIT"));
    TRY(err);
    verdict.allowed = verdict.why == REPLICA_ALLOWED;
    *out = verdict;
    return OK;
}

err_t replica_principals(struct replica *replica, const struct replica_login *login,
                         struct replica_verdict *out) {
    return decide(replica, login->user, login, login->now, out);
}

err_t replica_account(struct replica *replica, const char *user, int64_t now,
                      struct replica_verdict *out) {
    return decide(replica, user, NULL, now, out);
}

const char *replica_why_text(enum replica_why why) {
    static const char *const texts[] = {
        [REPLICA_UNDECIDED] = "nothing was decided",
        [REPLICA_STALE] = "the replica is too old",
        [REPLICA_NO_HOST] = "the authority does not list this host",
        [REPLICA_NO_ACCOUNT] = "no such account",
        [REPLICA_DISABLED] = "the account is disabled",
        [REPLICA_NO_REACH] = "none of the account's projects reaches this host",
        [REPLICA_NO_SERIAL] = "the certificate has no serial number",
        [REPLICA_REVOKED] = "the certificate is revoked",
        [REPLICA_UNKNOWN_CA] = "the certificate is of a CA that is not the authority's",
        [REPLICA_NO_KEY] = "the key is none of the account's registered keys",
        [REPLICA_SOURCE] = "the registered key is not good from this address",
        [REPLICA_EXPIRED] = "the certificate or key has expired",
        [REPLICA_ALLOWED] = "allowed",
    };
    return (size_t)why < COUNT_OF(texts) ? texts[why] : texts[REPLICA_UNDECIDED];
}

err_t replica_is_revoked(struct replica *replica, uint64_t serial, bool *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT 1 FROM revocation WHERE serial = ?", &statement));
    TRY(replica_db_err(sqlite3_bind_int64(statement, 1, (int64_t)serial)));
    return replica_db_step(statement, out);
}

/* --- listings --- */

err_t replica_keys(struct replica *replica, const char *user, int64_t now,
                   err_t (*each)(void *context, const struct replica_key *key), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica,
                           "SELECT public_key, expires_at, subnets FROM key WHERE account = ?1"
                           " AND (expires_at = 0 OR expires_at > ?2) ORDER BY id",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, user));
    TRY(replica_db_err(sqlite3_bind_int64(statement, 2, now)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        struct replica_key key = {.public_key = replica_db_text(statement, 0),
                                  .expires_at = sqlite3_column_int64(statement, 1),
                                  .subnets = replica_db_text(statement, 2)};
        TRY(each(context, &key));
    }
}

err_t replica_revoked_list(struct replica *replica, err_t (*each)(void *context, uint64_t serial),
                           void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    /* SQLite's integers are signed: serials with the top bit come after those without. */
    TRY(replica_db_prepare(replica, "SELECT serial FROM revocation ORDER BY serial < 0, serial",
                           &statement));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, (uint64_t)sqlite3_column_int64(statement, 0)));
    }
}

err_t replica_ca_list(struct replica *replica, enum ca_use use,
                      err_t (*each)(void *context, const char *public_key), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT public_key FROM ca WHERE use = ? ORDER BY fingerprint",
                           &statement));
    TRY(replica_db_err(sqlite3_bind_int(statement, 1, (int)use)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, replica_db_text(statement, 0)));
    }
}

/* ?1: the account or NULL; ?2: the role that is never led to; ?3: the role that comes last. */
static const char destination_sql[] =
    "WITH reach(clusters) AS (SELECT clusters FROM account WHERE name = ?1),"
    " place(name, address, port, cluster, rank) AS ("
    "  SELECT name, address, port, name, 0 FROM cluster"
    "  UNION ALL SELECT name, address, port, cluster, CASE role WHEN ?3 THEN 1 ELSE 0 END"
    "  FROM host WHERE role <> ?2),"
    " open(name, address, port, rank) AS ("
    "  SELECT name, address, CASE port WHEN 0 THEN 22 ELSE port END, rank FROM place"
    "  WHERE ?1 IS NULL OR instr((SELECT clusters FROM reach), ',' || cluster || ',') > 0),"
    " each(name, port, rank) AS ("
    "  SELECT name, port, rank FROM open"
    "  UNION ALL SELECT address, port, 2 * rank FROM open WHERE address <> '')"
    " SELECT name, port FROM each GROUP BY name, port ORDER BY min(rank), name, port";

err_t replica_destination_list(struct replica *replica, const char *user,
                               err_t (*each)(void *context, const char *name, uint16_t port),
                               void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, destination_sql, &statement));
    if (user != NULL) {
        TRY(replica_db_bind_text(statement, 1, user));
    }
    TRY(replica_db_err(sqlite3_bind_int(statement, 2, HOST_JUMP)));
    TRY(replica_db_err(sqlite3_bind_int(statement, 3, HOST_COMPUTE)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, replica_db_text(statement, 0),
                 (uint16_t)sqlite3_column_int(statement, 1)));
    }
}

err_t replica_jump_list(struct replica *replica,
                        err_t (*each)(void *context, const char *name, const char *address),
                        void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT name, address FROM host WHERE role = ? ORDER BY name",
                           &statement));
    TRY(replica_db_err(sqlite3_bind_int(statement, 1, HOST_JUMP)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, replica_db_text(statement, 0), replica_db_text(statement, 1)));
    }
}

err_t replica_role(struct replica *replica, enum host_role *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica,
                           "SELECT role FROM host WHERE name ="
                           " (SELECT value FROM meta WHERE name = 'self')",
                           &statement));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = (enum host_role)sqlite3_column_int(statement, 0);
    return OK;
}

err_t replica_cluster_list(struct replica *replica, const char *user,
                           err_t (*each)(void *context, const char *cluster), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT clusters FROM account WHERE name = ?", &statement));
    TRY(replica_db_bind_text(statement, 1, user));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    return row ? reach_each(replica_db_text(statement, 0), each, context) : OK;
}
