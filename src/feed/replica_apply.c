/* The replica's writer. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "feed/reach.h"
#include "feed/replica.h"
#include "feed/replica_db.h"

enum { WRITE_BUSY_MS = 2000 };

static const char *const schema[] = {
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS ca (fingerprint TEXT PRIMARY KEY, use INTEGER NOT NULL,"
    " public_key TEXT NOT NULL) WITHOUT ROWID",
    /* no reason and no account: helpers of sshd need to know that, not why or whose */
    "CREATE TABLE IF NOT EXISTS revocation (serial INTEGER PRIMARY KEY,"
    " expires_at INTEGER NOT NULL)",
    /* clusters: as reach.h has them; subnets here and below: with commas between */
    "CREATE TABLE account (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL,"
    " clusters TEXT NOT NULL, subnets TEXT NOT NULL, window_until INTEGER NOT NULL)"
    " WITHOUT ROWID",
    /* node_access, credentials, role, use and type: the numbers of model/entity.h */
    "CREATE TABLE cluster (name TEXT PRIMARY KEY, address TEXT NOT NULL, port INTEGER NOT NULL,"
    " node_access INTEGER NOT NULL, credentials INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE host (name TEXT PRIMARY KEY, cluster TEXT NOT NULL, role INTEGER NOT NULL,"
    " address TEXT NOT NULL, port INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE key (id TEXT PRIMARY KEY, account TEXT NOT NULL, public_key TEXT NOT NULL,"
    " expires_at INTEGER NOT NULL, subnets TEXT NOT NULL, use INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX key_by_account ON key (account, id)",
    /* name: with its cluster, "1234@nancy" */
    "CREATE TABLE job (name TEXT PRIMARY KEY, account TEXT NOT NULL, cluster TEXT NOT NULL,"
    " user TEXT NOT NULL, type INTEGER NOT NULL, started_at INTEGER NOT NULL,"
    " ends_at INTEGER NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX job_by_account ON job (account)",
    "CREATE TABLE job_node (job TEXT NOT NULL, position INTEGER NOT NULL, node TEXT NOT NULL,"
    " PRIMARY KEY (job, position)) WITHOUT ROWID",
    "CREATE INDEX job_node_by_node ON job_node (node, job)",
    "PRAGMA application_id = 1346848338",
    "PRAGMA user_version = 2",
};
_Static_assert(REPLICA_APPLICATION_ID == 1346848338 && REPLICA_SCHEMA == 2, "as in the schema");

/* Of a file of schema 1: what may stay stays, and a revision of 0 asks for a snapshot. Nobody
 * unrevokes a certificate, and an authority that was restored from a backup has forgotten some. */
static const char drop_older[] =
    "DROP TABLE account; DROP TABLE cluster; DROP TABLE host; DROP TABLE key;"
    "DELETE FROM meta WHERE name IN ('revision', 'synced_at')";

static err_t put_schema(struct replica *replica, bool older) {
    TRY(older ? replica_db_exec(replica, drop_older) : OK);
    for (size_t i = 0; i < COUNT_OF(schema); i++) {
        TRY(replica_db_exec(replica, schema[i]));
    }
    return replica_commit(replica);
}

static err_t make_schema(struct replica *replica, bool older) {
    TRY(replica_begin(replica));
    err_t err = put_schema(replica, older);
    if (failed(err)) {
        replica_rollback(replica);
    }
    return err;
}

/* The side files get the mode, owner and group of the file itself: SQLite sees to that. */
static err_t make_file(const char *path, gid_t group) {
    int fd CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return err_from_errno(errno);
    }
    if (group != (gid_t)-1 && status.st_gid != group && fchown(fd, (uid_t)-1, group) != 0) {
        return err_from_errno(errno);
    }
    return fchmod(fd, 0640) == 0 ? OK : err_from_errno(errno);
}

static err_t set_up(struct replica *replica) {
    int keep = 1;
    TRY(replica_db_err(sqlite3_busy_timeout(replica->db, WRITE_BUSY_MS)));
    TRY(replica_db_exec(replica, "PRAGMA journal_mode = WAL"));
    TRY(replica_db_err(sqlite3_file_control(replica->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep)));
    /* A small log: a reader who finds no living writer reads all of it. */
    TRY(replica_db_exec(replica, "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 256;"
                                 "PRAGMA journal_size_limit = 4194304;"));
    int64_t tables = 0;
    int64_t application = 0;
    int64_t version = 0;
    TRY(replica_db_pragma(replica, "SELECT count(*) FROM sqlite_master", &tables));
    TRY(replica_db_pragma(replica, "PRAGMA application_id", &application));
    TRY(replica_db_pragma(replica, "PRAGMA user_version", &version));
    bool older = application == REPLICA_APPLICATION_ID && version == 1;
    return tables == 0 || older ? make_schema(replica, older) : replica_db_check_schema(replica);
}

err_t replica_open_write(const char *path, gid_t group, struct replica **out) {
    TRY(make_file(path, group));
    struct replica *replica CLEANUP(replica_closep) = calloc(1, sizeof *replica);
    if (replica == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(replica_db_err(
        sqlite3_open_v2(path, &replica->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)));
    TRY(set_up(replica));
    *out = TAKE(replica);
    return OK;
}

err_t replica_begin(struct replica *replica) { return replica_db_exec(replica, "BEGIN IMMEDIATE"); }

err_t replica_commit(struct replica *replica) {
    return replica->partial ? FAIL(ERR_ORDER) : replica_db_exec(replica, "COMMIT");
}

void replica_rollback(struct replica *replica) {
    replica->partial = false;
    if (sqlite3_get_autocommit(replica->db) == 0) {
        /* A rollback that fails has been done already by SQLite itself. */
        ignore_err(replica_db_exec(replica, "ROLLBACK"));
    }
}

/* --- applying --- */

static const struct {
    const char *put, *drop, *clear;
} table_sql[CHANGE_KINDS_COUNT] = {
    [CHANGE_CA] = {"INSERT OR REPLACE INTO ca VALUES (?, ?, ?)",
                   "DELETE FROM ca WHERE fingerprint = ?", "DELETE FROM ca"},
    [CHANGE_ACCOUNT] = {"INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?, ?)",
                        "DELETE FROM account WHERE name = ?", "DELETE FROM account"},
    /* A snapshot adds to these and takes none away: nobody unrevokes a certificate, and an
     * authority that was restored from a backup has forgotten some. */
    [CHANGE_REVOCATION] = {"INSERT OR REPLACE INTO revocation VALUES (?, ?)",
                           "DELETE FROM revocation WHERE serial = ?", NULL},
    [CHANGE_CLUSTER] = {"INSERT OR REPLACE INTO cluster VALUES (?, ?, ?, ?, ?)",
                        "DELETE FROM cluster WHERE name = ?", "DELETE FROM cluster"},
    [CHANGE_HOST] = {"INSERT OR REPLACE INTO host VALUES (?, ?, ?, ?, ?)",
                     "DELETE FROM host WHERE name = ?", "DELETE FROM host"},
    [CHANGE_KEY] = {"INSERT OR REPLACE INTO key VALUES (?, ?, ?, ?, ?, ?)",
                    "DELETE FROM key WHERE id = ?", "DELETE FROM key"},
    [CHANGE_JOB] = {"INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    "DELETE FROM job WHERE name = ?", "DELETE FROM job; DELETE FROM job_node"},
};

/* Statements made when first needed and kept for the rest of one answer, and scratch space. */
struct applier {
    struct replica *replica;
    sqlite3_stmt *put[CHANGE_KINDS_COUNT];
    sqlite3_stmt *drop[CHANGE_KINDS_COUNT];
    sqlite3_stmt *put_node, *drop_nodes;
    struct buf text, subnets;
};

static void applier_done(struct applier *applier) {
    for (size_t i = 0; i < CHANGE_KINDS_COUNT; i++) {
        replica_db_finalizep(&applier->put[i]);
        replica_db_finalizep(&applier->drop[i]);
    }
    replica_db_finalizep(&applier->put_node);
    replica_db_finalizep(&applier->drop_nodes);
    buf_done(&applier->text);
    buf_done(&applier->subnets);
}

/* Joins with commas. */
static err_t join(struct buf *out, const struct change_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        TRY(i > 0 ? buf_add_byte(out, ',') : OK);
        TRY(buf_add_str(out, list->items[i]));
    }
    return OK;
}

static err_t bind_number(sqlite3_stmt *statement, int index, int64_t number) {
    return replica_db_err(sqlite3_bind_int64(statement, index, number));
}

static err_t bind_buf(sqlite3_stmt *statement, int index, const struct buf *text) {
    return replica_db_err(sqlite3_bind_text(statement, index,
                                            text->len > 0 ? (const char *)text->data : "",
                                            (int)text->len, SQLITE_STATIC));
}

static err_t bind_key(sqlite3_stmt *statement, const struct change *change) {
    return change->kind == CHANGE_REVOCATION
               ? bind_number(statement, 1, (int64_t)change->revocation.serial)
               : replica_db_bind_text(statement, 1, change->key);
}

static err_t bind_account(struct applier *applier, sqlite3_stmt *put, const struct change *change) {
    TRY(reach_put(&change->account.clusters, &applier->text));
    TRY(join(&applier->subnets, &change->account.subnets));
    TRY(bind_number(put, 2, change->account.enabled ? 1 : 0));
    TRY(bind_buf(put, 3, &applier->text));
    TRY(bind_buf(put, 4, &applier->subnets));
    return bind_number(put, 5, change->account.window_until);
}

static err_t bind_job(sqlite3_stmt *put, const struct change *change) {
    TRY(replica_db_bind_text(put, 2, change->job.account));
    TRY(replica_db_bind_text(put, 3, change->job.cluster));
    TRY(replica_db_bind_text(put, 4, change->job.user));
    TRY(bind_number(put, 5, (int64_t)change->job.type));
    TRY(bind_number(put, 6, change->job.started_at));
    TRY(bind_number(put, 7, change->job.ends_at));
    TRY(replica_db_bind_text(put, 8, change->job.address));
    return bind_number(put, 9, change->job.port);
}

static err_t bind_registered_key(struct applier *applier, sqlite3_stmt *put,
                                 const struct change *change) {
    TRY(join(&applier->subnets, &change->key_of.subnets));
    TRY(replica_db_bind_text(put, 2, change->key_of.account));
    TRY(replica_db_bind_text(put, 3, change->key_of.public_key));
    TRY(bind_number(put, 4, change->key_of.expires_at));
    TRY(bind_buf(put, 5, &applier->subnets));
    return bind_number(put, 6, (int64_t)change->key_of.use);
}

/* Binds what follows the key. */
static err_t bind_state(struct applier *applier, sqlite3_stmt *put, const struct change *change) {
    switch (change->kind) {
    case CHANGE_CA:
        TRY(bind_number(put, 2, (int64_t)change->ca.use));
        return replica_db_bind_text(put, 3, change->ca.public_key);
    case CHANGE_ACCOUNT:
        return bind_account(applier, put, change);
    case CHANGE_REVOCATION:
        return bind_number(put, 2, change->revocation.expires_at);
    case CHANGE_CLUSTER:
        TRY(replica_db_bind_text(put, 2, change->cluster.address));
        TRY(bind_number(put, 3, change->cluster.port));
        TRY(bind_number(put, 4, (int64_t)change->cluster.node_access));
        return bind_number(put, 5, change->cluster.credentials);
    case CHANGE_HOST:
        TRY(replica_db_bind_text(put, 2, change->host.cluster));
        TRY(bind_number(put, 3, (int64_t)change->host.role));
        TRY(replica_db_bind_text(put, 4, change->host.address));
        return bind_number(put, 5, change->host.port);
    case CHANGE_KEY:
        return bind_registered_key(applier, put, change);
    case CHANGE_JOB:
        return bind_job(put, change);
    case CHANGE_UNKNOWN:
        break;
    }
    return FAIL(ERR_UNSUPPORTED);
}

/* The statement, made when it is first needed, and ready for new values. */
static err_t ready(struct applier *applier, const char *sql, sqlite3_stmt **statement) {
    if (*statement == NULL) {
        TRY(replica_db_prepare(applier->replica, sql, statement));
    }
    return replica_db_err(sqlite3_reset(*statement));
}

static err_t run(sqlite3_stmt *statement) {
    bool row = false;
    return replica_db_step(statement, &row);
}

/* The nodes are all told anew with their job. */
static err_t apply_nodes(struct applier *applier, const struct change *change) {
    TRY(ready(applier, "DELETE FROM job_node WHERE job = ?", &applier->drop_nodes));
    TRY(replica_db_bind_text(applier->drop_nodes, 1, change->key));
    TRY(run(applier->drop_nodes));
    for (size_t i = 0; !change->gone && i < change->job.nodes.count; i++) {
        TRY(ready(applier, "INSERT INTO job_node VALUES (?, ?, ?)", &applier->put_node));
        TRY(replica_db_bind_text(applier->put_node, 1, change->key));
        TRY(bind_number(applier->put_node, 2, (int64_t)i));
        TRY(replica_db_bind_text(applier->put_node, 3, change->job.nodes.items[i]));
        TRY(run(applier->put_node));
    }
    return OK;
}

static err_t apply_change(struct applier *applier, const struct change *change) {
    INVARIANT(change->kind > CHANGE_UNKNOWN && change->kind <= CHANGE_JOB);
    sqlite3_stmt **statement =
        change->gone ? &applier->drop[change->kind] : &applier->put[change->kind];
    buf_clear(&applier->text);
    buf_clear(&applier->subnets);
    TRY(ready(applier, change->gone ? table_sql[change->kind].drop : table_sql[change->kind].put,
              statement));
    TRY(bind_key(*statement, change));
    if (!change->gone) {
        TRY(bind_state(applier, *statement, change));
    }
    TRY(run(*statement));
    return change->kind == CHANGE_JOB ? apply_nodes(applier, change) : OK;
}

static err_t put_meta_number(struct replica *replica, const char *name, int64_t value) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &statement));
    TRY(replica_db_bind_text(statement, 1, name));
    TRY(bind_number(statement, 2, value));
    bool row = false;
    return replica_db_step(statement, &row);
}

/* All that a snapshot may drop is dropped by its first page. */
static err_t begin_snapshot(struct replica *replica) {
    for (size_t kind = CHANGE_CA; kind < CHANGE_KINDS_COUNT; kind++) {
        TRY(table_sql[kind].clear == NULL ? OK : replica_db_exec(replica, table_sql[kind].clear));
    }
    return put_meta_number(replica, "pruned_at", 0);
}

/* Pages come one after the other, and nothing between them. */
static err_t check_order(struct replica *replica, const struct change_answer *answer) {
    uint64_t revision = 0;
    TRY(replica_revision(replica, &revision));
    bool begins = answer->snapshot && !answer->continues;
    bool fits = begins || (answer->snapshot == replica->partial && answer->revision >= revision);
    return fits ? OK : FAIL(ERR_ORDER);
}

err_t replica_apply(struct replica *replica, const struct change_answer *answer, int64_t now,
                    replica_kinds *touched) {
    replica_kinds kinds = answer->snapshot ? REPLICA_KINDS_ALL : 0;
    TRY(check_order(replica, answer));
    replica->partial = answer->snapshot; /* until all of its last page is applied */
    TRY(answer->snapshot && !answer->continues ? begin_snapshot(replica) : OK);
    struct applier applier CLEANUP(applier_done) = {.replica = replica,
                                                    .text = BUF(LIMIT_HTTP_BODY_BYTES),
                                                    .subnets = BUF(LIMIT_HTTP_BODY_BYTES)};
    for (size_t i = 0; i < answer->count; i++) {
        TRY(apply_change(&applier, &answer->changes[i]));
        kinds |= 1U << answer->changes[i].kind;
    }
    TRY(put_meta_number(replica, "revision", (int64_t)answer->revision));
    TRY(put_meta_number(replica, "synced_at", now));
    replica->partial = answer->more;
    *touched = kinds;
    return OK;
}

/* The latest there was: a clock that goes back does not undo what it did before. */
static err_t raise_pruned_at(struct replica *replica, int64_t now) {
    bool needs = false;
    TRY(replica_needs_snapshot(replica, now, &needs));
    return needs ? OK : put_meta_number(replica, "pruned_at", now);
}

err_t replica_prune(struct replica *replica, int64_t now, size_t *pruned) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "DELETE FROM revocation WHERE expires_at < ?", &statement));
    TRY(bind_number(statement, 1, now - REPLICA_PRUNE_SLACK_S));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    *pruned = (size_t)sqlite3_changes(replica->db);
    return *pruned > 0 ? raise_pruned_at(replica, now) : OK;
}

err_t replica_drop_jobs(struct replica *replica, bool *dropped) {
    TRY(replica_db_exec(replica, "DELETE FROM job_node"));
    TRY(replica_db_exec(replica, "DELETE FROM job"));
    *dropped = sqlite3_changes(replica->db) > 0;
    return OK;
}

static err_t empty(struct replica *replica) {
    for (size_t kind = CHANGE_CA; kind < CHANGE_KINDS_COUNT; kind++) {
        TRY(table_sql[kind].clear == NULL ? OK : replica_db_exec(replica, table_sql[kind].clear));
    }
    return replica_db_exec(replica, "DELETE FROM revocation; DELETE FROM meta");
}

/* One that was never claimed is taken as it is: so were those of older programs. */
static err_t claim(struct replica *replica, const char *site, bool *emptied) {
    sqlite3_stmt *get CLEANUP(replica_db_finalizep) = NULL;
    sqlite3_stmt *put CLEANUP(replica_db_finalizep) = NULL;
    bool row = false;
    TRY(replica_db_prepare(replica, "SELECT value FROM meta WHERE name = 'site'", &get));
    TRY(replica_db_step(get, &row));
    bool other = row && strcmp(replica_db_text(get, 0), site) != 0;
    TRY(replica_db_err(sqlite3_reset(get)));
    TRY(other ? empty(replica) : OK);
    TRY(replica_db_prepare(replica, "INSERT OR REPLACE INTO meta VALUES ('site', ?)", &put));
    TRY(replica_db_bind_text(put, 1, site));
    TRY(run(put));
    TRY(replica_commit(replica));
    *emptied = other;
    return OK;
}

err_t replica_claim(struct replica *replica, const char *site, bool *emptied) {
    TRY(replica_begin(replica));
    err_t err = claim(replica, site, emptied);
    if (failed(err)) {
        replica_rollback(replica);
    }
    return err;
}

err_t replica_self_put(struct replica *replica, const struct replica_self *self) {
    TRY(put_meta_number(replica, "best_effort", self->best_effort ? 1 : 0));
    TRY(put_meta_number(replica, "max_age_s", self->max_age_s));
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "INSERT OR REPLACE INTO meta VALUES ('self', ?)", &statement));
    TRY(replica_db_bind_text(statement, 1, self->name));
    bool row = false;
    return replica_db_step(statement, &row);
}
