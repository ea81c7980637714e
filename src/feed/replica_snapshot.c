/* The replica, told as the authority would tell it. */
#include <string.h>

#include "feed/publish.h"
#include "feed/replica_db.h"

enum {
    LIST_COUNT_MAX = LIMIT_FEED_CLUSTERS_COUNT > LIMIT_SUBNETS_COUNT ? LIMIT_FEED_CLUSTERS_COUNT
                                                                     : LIMIT_SUBNETS_COUNT
};

/* One row as a change; its text is the statement's, and lists are taken apart in `bytes`. */
struct row {
    struct change change;
    const char *items[LIST_COUNT_MAX];
    struct buf bytes;
};

/* The words of a text that commas separate; *out borrows from row->bytes. ERR_MALFORMED for more
 * than an answer could have brought. */
static err_t split(struct row *row, const char *text, struct change_list *out) {
    buf_clear(&row->bytes);
    TRY(buf_add(&row->bytes, span_of(text, strlen(text) + 1)));
    out->items = row->items;
    out->count = 0;
    char *rest = NULL;
    for (char *word = strtok_r((char *)row->bytes.data, ",", &rest); word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        if (out->count == COUNT_OF(row->items)) {
            return FAIL(ERR_MALFORMED);
        }
        row->items[out->count++] = word;
    }
    return OK;
}

static err_t read_ca(sqlite3_stmt *statement, struct row *row) {
    row->change.ca.use = (enum ca_use)sqlite3_column_int(statement, 1);
    row->change.ca.public_key = replica_db_text(statement, 2);
    return row->change.ca.use == CA_USE_USER || row->change.ca.use == CA_USE_HOST
               ? OK
               : FAIL(ERR_MALFORMED);
}

static err_t read_account(sqlite3_stmt *statement, struct row *row) {
    row->change.account.enabled = sqlite3_column_int(statement, 1) == 1;
    return split(row, replica_db_text(statement, 2), &row->change.account.clusters);
}

static err_t read_revocation(sqlite3_stmt *statement, struct row *row) {
    row->change.revocation.account = "";
    row->change.revocation.expires_at = sqlite3_column_int64(statement, 1);
    row->change.revocation.reason = "";
    return OK;
}

static err_t read_cluster(sqlite3_stmt *statement, struct row *row) {
    row->change.cluster.address = replica_db_text(statement, 1);
    row->change.cluster.port = (uint16_t)sqlite3_column_int(statement, 2);
    row->change.cluster.node_access = NODE_ACCESS_OPEN;
    row->change.cluster.credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS;
    return OK;
}

static err_t read_host(sqlite3_stmt *statement, struct row *row) {
    row->change.host.cluster = replica_db_text(statement, 1);
    row->change.host.role = (enum host_role)sqlite3_column_int(statement, 2);
    row->change.host.address = replica_db_text(statement, 3);
    row->change.host.port = (uint16_t)sqlite3_column_int(statement, 4);
    return row->change.host.role >= HOST_JUMP && row->change.host.role <= HOST_COMPUTE
               ? OK
               : FAIL(ERR_MALFORMED);
}

static err_t read_key(sqlite3_stmt *statement, struct row *row) {
    row->change.key_of.account = replica_db_text(statement, 1);
    row->change.key_of.public_key = replica_db_text(statement, 2);
    row->change.key_of.expires_at = sqlite3_column_int64(statement, 3);
    row->change.key_of.use = KEY_USE_PERSON;
    return split(row, replica_db_text(statement, 4), &row->change.key_of.subnets);
}

/* The first column is the change's key. */
static const struct {
    enum change_kind kind;
    const char *sql;
    err_t (*read)(sqlite3_stmt *statement, struct row *row);
} tables[] = {
    {CHANGE_CA, "SELECT fingerprint, use, public_key FROM ca", read_ca},
    {CHANGE_CLUSTER, "SELECT name, address, port FROM cluster", read_cluster},
    {CHANGE_HOST, "SELECT name, cluster, role, address, port FROM host", read_host},
    {CHANGE_ACCOUNT, "SELECT name, enabled, clusters FROM account", read_account},
    {CHANGE_REVOCATION, "SELECT printf('%llu', serial), expires_at FROM revocation",
     read_revocation},
    {CHANGE_KEY, "SELECT id, account, public_key, expires_at, subnets FROM key", read_key},
};

static err_t put_table(struct replica *replica, size_t index, uint64_t revision, struct row *row,
                       struct buf *out) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, tables[index].sql, &statement));
    bool found = false;
    for (;;) {
        TRY(replica_db_step(statement, &found));
        if (!found) {
            return OK;
        }
        row->change = (struct change){
            .revision = revision, .kind = tables[index].kind, .key = replica_db_text(statement, 0)};
        TRY(tables[index].read(statement, row));
        TRY(change_answer_add_change(out, &row->change));
    }
}

static void row_done(struct row *row) { buf_done(&row->bytes); }

static err_t put_all(struct replica *replica, struct buf *out) {
    struct row row CLEANUP(row_done) = {.bytes = BUF(LIMIT_HTTP_BODY_BYTES)};
    uint64_t revision = 0;
    TRY(replica_revision(replica, &revision));
    TRY(change_answer_begin(out, revision, true));
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        TRY(put_table(replica, i, revision, &row, out));
    }
    return change_answer_end(out);
}

err_t replica_snapshot(struct replica *replica, struct buf *out) {
    size_t before = out->len;
    TRY(replica_db_exec(replica, "BEGIN")); /* all of one moment */
    err_t err = put_all(replica, out);
    err_t ended = replica_db_exec(replica, "COMMIT");
    if (!failed(err)) {
        err = ended;
    }
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
