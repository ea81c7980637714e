/* Who may log in here. All that one decision reads is of one moment. */
#include <stdio.h>
#include <string.h>

#include "feed/job_right.h"
#include "feed/reach.h"
#include "feed/replica_db.h"

/* What there is to know of this host. */
struct place {
    char name[LIMIT_HOST_NAME_CHARS + 1];
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1]; /* "" of a jump host */
    enum host_role role;
    enum node_access node_access;
    unsigned credentials;
};

struct question {
    struct replica *replica;
    const struct replica_login *login;
    err_t (*each)(void *context, const struct replica_entry *entry);
    void *context;
    struct place place;
};

static err_t judge_age(struct replica *replica, const struct replica_self *self, int64_t now,
                       struct replica_verdict *verdict) {
    int64_t synced_at = 0;
    TRY(replica_db_meta(replica, "synced_at", &synced_at));
    /* A replica from the future is as little to be trusted as an old one: a clock is wrong. */
    bool fresh =
        synced_at != 0 && now - synced_at <= self->max_age_s && synced_at - now <= self->max_age_s;
    verdict->stale = !fresh;
    if (!fresh && !self->best_effort) {
        verdict->why = REPLICA_STALE;
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

/* A host whose cluster is not told is as good as not listed itself. */
static err_t find_place(struct replica *replica, const char *name, struct place *place,
                        bool *found) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica,
                           "SELECT h.role, h.cluster, c.node_access, c.credentials FROM host h"
                           " LEFT JOIN cluster c ON c.name = h.cluster"
                           " WHERE h.name = ?1 AND (h.role = ?2 OR c.name IS NOT NULL)",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, name));
    TRY(replica_db_err(sqlite3_bind_int(statement, 2, HOST_JUMP)));
    TRY(replica_db_step(statement, found));
    if (*found) {
        (void)snprintf(place->name, sizeof place->name, "%s", name);
        (void)snprintf(place->cluster, sizeof place->cluster, "%s", replica_db_text(statement, 1));
        place->role = (enum host_role)sqlite3_column_int(statement, 0);
        place->node_access = (enum node_access)sqlite3_column_int(statement, 2);
        place->credentials = (unsigned)sqlite3_column_int(statement, 3);
    }
    return OK;
}

/* Whether one of the clusters takes what asks. */
static err_t takes_credential(struct replica *replica, const char *clusters, enum credentials by,
                              bool *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica,
                           "SELECT 1 FROM cluster WHERE (credentials & ?1) <> 0"
                           " AND instr(?2, ',' || name || ',') > 0",
                           &statement));
    TRY(replica_db_err(sqlite3_bind_int(statement, 1, (int)by)));
    TRY(replica_db_bind_text(statement, 2, clusters));
    return replica_db_step(statement, out);
}

/* The account that stands in three columns from `column` on: enabled, clusters, subnets. */
static err_t judge_account(const struct question *question, sqlite3_stmt *row, int column,
                           enum replica_why *why) {
    const struct place *place = &question->place;
    const char *clusters = replica_db_text(row, column + 1);
    bool taken = (place->credentials & question->login->by) != 0;
    if (sqlite3_column_type(row, column) == SQLITE_NULL) {
        *why = REPLICA_NO_ACCOUNT;
        return OK;
    }
    if (sqlite3_column_int(row, column) != 1) {
        *why = REPLICA_DISABLED;
        return OK;
    }
    if (place->role == HOST_JUMP ? reach_is_empty(clusters)
                                 : !reach_has(clusters, place->cluster)) {
        *why = REPLICA_NO_REACH;
        return OK;
    }
    if (place->role == HOST_JUMP) {
        TRY(takes_credential(question->replica, clusters, question->login->by, &taken));
    }
    *why = taken ? REPLICA_ALLOWED : REPLICA_NO_CREDENTIAL;
    return OK;
}

/* Whoever the account may be is who logs in. */
static err_t judge_own(const struct question *question, struct replica_verdict *verdict) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(question->replica,
                           "SELECT enabled, clusters, subnets FROM account WHERE name = ?",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, question->login->user));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        verdict->why = REPLICA_NO_ACCOUNT;
        return OK;
    }
    TRY(judge_account(question, statement, 0, &verdict->why));
    const struct replica_entry entry = {.account = question->login->user,
                                        .job = "",
                                        .subnets = replica_db_text(statement, 2),
                                        .cluster = question->place.cluster};
    return verdict->why == REPLICA_ALLOWED ? question->each(question->context, &entry) : OK;
}

/* One job of this host: an entry, or why it is none. */
static err_t judge_job(const struct question *question, sqlite3_stmt *row, enum replica_why *why) {
    const struct job_right job = {.type = (enum job_type)sqlite3_column_int(row, 1),
                                  .account = replica_db_text(row, 2),
                                  .user = replica_db_text(row, 3),
                                  .started_at = sqlite3_column_int64(row, 4),
                                  .ends_at = sqlite3_column_int64(row, 5)};
    *why = REPLICA_NO_JOB;
    if (!job_right_runs(&job, question->login->now) ||
        !job_right_opens(&job, question->place.role) ||
        !job_right_admits(&job, question->login->user)) {
        return OK;
    }
    TRY(judge_account(question, row, 6, why));
    const struct replica_entry entry = {.account = job.account,
                                        .job = replica_db_text(row, 0),
                                        .job_started_at = job.started_at,
                                        .job_ends_at = job.ends_at,
                                        .subnets = replica_db_text(row, 8),
                                        .cluster = question->place.cluster};
    return *why == REPLICA_ALLOWED ? question->each(question->context, &entry) : OK;
}

static err_t judge_jobs(const struct question *question, struct replica_verdict *verdict) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(question->replica,
                           "SELECT j.name, j.type, j.account, j.user, j.started_at, j.ends_at,"
                           " a.enabled, a.clusters, a.subnets"
                           " FROM job j LEFT JOIN account a ON a.name = j.account"
                           " WHERE j.name IN (SELECT job FROM job_node WHERE node = ?1)"
                           " AND j.cluster = ?2 ORDER BY j.started_at DESC, j.name DESC",
                           &statement));
    TRY(replica_db_bind_text(statement, 1, question->place.name));
    TRY(replica_db_bind_text(statement, 2, question->place.cluster));
    verdict->why = REPLICA_NO_JOB;
    bool row = false;
    for (;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        enum replica_why why;
        TRY(judge_job(question, statement, &why));
        if (verdict->why != REPLICA_ALLOWED && why != REPLICA_NO_JOB) {
            verdict->why = why;
        }
    }
}

static err_t judge(struct question *question, struct replica_verdict *verdict) {
    struct replica_self self;
    bool listed = false;
    err_t err = replica_self_get(question->replica, &self);
    if (err.code == ERR_NOT_FOUND) {
        verdict->why = REPLICA_NO_HOST;
        return OK;
    }
    TRY(err);
    if (!question->login->any_age) {
        TRY(judge_age(question->replica, &self, question->login->now, verdict));
    }
    if (verdict->why == REPLICA_UNDECIDED && question->login->by == CREDENTIALS_CERTIFICATES) {
        TRY(judge_certificate(question->replica, question->login, verdict));
    }
    if (verdict->why != REPLICA_UNDECIDED) {
        return OK;
    }
    TRY(find_place(question->replica, self.name, &question->place, &listed));
    if (!listed) {
        verdict->why = REPLICA_NO_HOST;
        return OK;
    }
    switch (question->place.role) {
    case HOST_COMPUTE:
        return question->place.node_access == NODE_ACCESS_OPEN ? judge_own(question, verdict)
                                                               : judge_jobs(question, verdict);
    case HOST_JOB:
        return judge_jobs(question, verdict);
    case HOST_JUMP:
    case HOST_LOGIN:
        break;
    }
    return judge_own(question, verdict);
}

err_t replica_entry_list(struct replica *replica, const struct replica_login *login,
                         struct replica_verdict *out,
                         err_t (*each)(void *context, const struct replica_entry *entry),
                         void *context) {
    *out = (struct replica_verdict){0};
    struct question question = {
        .replica = replica, .login = login, .each = each, .context = context};
    struct replica_verdict verdict = {0};
    TRY(replica_db_exec(replica, "BEGIN"));
    err_t err = judge(&question, &verdict);
    TRY(replica_db_exec(replica, "COMMIT"));
    TRY(err);
    verdict.allowed = verdict.why == REPLICA_ALLOWED;
    *out = verdict;
    return OK;
}

static err_t ignore_entry(void *context, const struct replica_entry *entry) {
    (void)context;
    (void)entry;
    return OK;
}

static err_t judge_account_here(struct question *question, struct replica_verdict *verdict) {
    struct replica_self self;
    bool listed = false;
    TRY(replica_self_get(question->replica, &self));
    TRY(find_place(question->replica, self.name, &question->place, &listed));
    verdict->why = REPLICA_NO_HOST;
    return listed ? judge_own(question, verdict) : OK;
}

err_t replica_account_judge(struct replica *replica, const char *account, enum credentials by,
                            struct replica_verdict *out) {
    *out = (struct replica_verdict){0};
    const struct replica_login login = {.user = account, .by = by, .any_age = true};
    struct question question = {.replica = replica, .login = &login, .each = ignore_entry};
    struct replica_verdict verdict = {0};
    TRY(replica_db_exec(replica, "BEGIN"));
    err_t err = judge_account_here(&question, &verdict);
    TRY(replica_db_exec(replica, "COMMIT"));
    TRY(err);
    verdict.allowed = verdict.why == REPLICA_ALLOWED;
    *out = verdict;
    return OK;
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
        [REPLICA_SOURCE] = "the account or the registered key is not good from this address",
        [REPLICA_EXPIRED] = "the certificate or key has expired",
        [REPLICA_NO_JOB] = "no running job of this account on this node",
        [REPLICA_NO_CREDENTIAL] =
            "this kind of credential (certificate, registered key) is not taken here",
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
