/* What the replica holds, one after another. */
#include "feed/reach.h"
#include "feed/replica_db.h"

err_t replica_keys(struct replica *replica, const char *account, int64_t now,
                   err_t (*each)(void *context, const struct replica_key *key), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica,
                           "SELECT public_key, expires_at, subnets, use FROM key WHERE account = ?1"
                           " AND (expires_at = 0 OR expires_at > ?2) ORDER BY id",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, account));
    TRY(replica_db_err(sqlite3_bind_int64(statement, 2, now)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        struct replica_key key = {.public_key = replica_db_text(statement, 0),
                                  .expires_at = sqlite3_column_int64(statement, 1),
                                  .subnets = replica_db_text(statement, 2),
                                  .internal = sqlite3_column_int(statement, 3) != KEY_USE_PERSON};
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

/*
 * ?1: the account or NULL; ?2: now; ?3: the credentials that ask; ?4: those clusters alone, or
 * NULL. What the account's jobs open is what job_right.h says; roles and types are those of
 * entity.h.
 */
static const char destination_sql[] =
    "WITH mine(name, cluster, role, address, port) AS ("
    "  SELECT name, cluster, CASE type WHEN 4 THEN 4 ELSE 3 END, address, port FROM job"
    "  WHERE account = ?1 AND (type = 4 OR user = account)"
    "  AND started_at <= ?2 AND (ends_at = 0 OR ends_at > ?2)),"
    " opened(node, cluster, role) AS ("
    "  SELECT n.node, m.cluster, m.role FROM mine m JOIN job_node n ON n.job = m.name),"
    " place(name, address, port, cluster, rank) AS ("
    "  SELECT name, address, port, name, 0 FROM cluster"
    "  UNION ALL SELECT h.name, h.address, h.port, h.cluster, h.role = 3"
    "  FROM host h JOIN cluster c ON c.name = h.cluster"
    "  WHERE h.role = 2 OR (h.role = 3 AND c.node_access = 2) OR (?1 IS NULL AND h.role <> 1)"
    "  OR (h.name, h.cluster, h.role) IN (SELECT node, cluster, role FROM opened)"
    "  UNION ALL SELECT address, '', port, cluster, 0 FROM mine WHERE address <> ''"
    "  UNION ALL SELECT address, '', port, cluster, 0 FROM job"
    "  WHERE ?1 IS NULL AND address <> ''),"
    " open(name, address, port, rank) AS ("
    "  SELECT p.name, p.address, CASE p.port WHEN 0 THEN 22 ELSE p.port END, p.rank"
    "  FROM place p JOIN cluster c ON c.name = p.cluster"
    "  WHERE ?1 IS NULL OR ((c.credentials & ?3) <> 0 AND"
    "   (?4 IS NULL OR instr(?4, ',' || p.cluster || ',') > 0) AND"
    "   instr((SELECT clusters FROM account WHERE name = ?1), ',' || p.cluster || ',') > 0)),"
    " each(name, port, rank) AS ("
    "  SELECT name, port, rank FROM open"
    "  UNION ALL SELECT address, port, 2 * rank FROM open WHERE address <> '')"
    " SELECT name, port FROM each GROUP BY name, port ORDER BY min(rank), name, port";
_Static_assert(HOST_JUMP == 1 && HOST_LOGIN == 2 && HOST_COMPUTE == 3 && HOST_JOB == 4 &&
                   JOB_CLUSTER == 4 && NODE_ACCESS_OPEN == 2,
               "as in the statement");

err_t replica_destination_list(struct replica *replica, const char *account, enum credentials by,
                               const char *within, int64_t now,
                               err_t (*each)(void *context, const char *name, uint16_t port),
                               void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, destination_sql, &statement));
    if (account != NULL) {
        TRY(replica_db_bind_text(statement, 1, account));
    }
    TRY(replica_db_err(sqlite3_bind_int64(statement, 2, now)));
    TRY(replica_db_err(sqlite3_bind_int(statement, 3, (int)by)));
    if (within != NULL) {
        TRY(replica_db_bind_text(statement, 4, within));
    }
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

#define JOB_SQL(which)                                                                             \
    "SELECT name, account, user, type, started_at, ends_at, address, port,"                        \
    " EXISTS (SELECT 1 FROM job_node n JOIN host h ON h.name = n.node AND h.cluster = job.cluster" \
    "  WHERE n.job = job.name AND n.node = (SELECT value FROM meta WHERE name = 'self'))"          \
    " FROM job WHERE " which " started_at <= ?2 AND (ends_at = 0 OR ends_at > ?2)"                 \
    " ORDER BY started_at DESC, name DESC"

err_t replica_job_list(struct replica *replica, const char *account, int64_t now,
                       err_t (*each)(void *context, const struct replica_job *job), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, account != NULL ? JOB_SQL("account = ?1 AND") : JOB_SQL(""),
                           &statement));
    if (account != NULL) {
        TRY(replica_db_bind_text(statement, 1, account));
    }
    TRY(replica_db_err(sqlite3_bind_int64(statement, 2, now)));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        struct replica_job job = {.name = replica_db_text(statement, 0),
                                  .account = replica_db_text(statement, 1),
                                  .user = replica_db_text(statement, 2),
                                  .type = (enum job_type)sqlite3_column_int(statement, 3),
                                  .started_at = sqlite3_column_int64(statement, 4),
                                  .ends_at = sqlite3_column_int64(statement, 5),
                                  .address = replica_db_text(statement, 6),
                                  .port = (uint16_t)sqlite3_column_int(statement, 7),
                                  .here = sqlite3_column_int(statement, 8) == 1};
        TRY(each(context, &job));
    }
}

err_t replica_job_node_list(struct replica *replica, const char *job,
                            err_t (*each)(void *context, const char *node), void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT node FROM job_node WHERE job = ? ORDER BY position",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, job));
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, replica_db_text(statement, 0)));
    }
}
