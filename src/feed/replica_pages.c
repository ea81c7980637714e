/* The replica, told as the authority would tell it. */
#include <string.h>

#include "feed/publish.h"
#include "feed/replica_db.h"

enum { WORDS_BYTES_MAX = LIMIT_JOB_NODES_COUNT * (LIMIT_HOST_NAME_CHARS + 1) };

/* A list's texts, each with its NUL, and where they begin; room for the longest list there is. */
struct words {
    struct buf bytes;
    const char *items[LIMIT_JOB_NODES_COUNT];
    size_t count;
};
_Static_assert(LIMIT_JOB_NODES_COUNT >= LIMIT_FEED_CLUSTERS_COUNT &&
                   LIMIT_JOB_NODES_COUNT >= LIMIT_SUBNETS_COUNT,
               "room for every list");

static void words_clear(struct words *words) {
    buf_clear(&words->bytes);
    words->count = 0;
}

/* ERR_MALFORMED for more than an answer could have brought. */
static err_t words_add(struct words *words, span_t word) {
    if (words->count == COUNT_OF(words->items)) {
        return FAIL(ERR_MALFORMED);
    }
    words->count++;
    TRY(buf_add(&words->bytes, word));
    return buf_add_byte(&words->bytes, '\0');
}

/* Borrowed from the words; only now, as the bytes have moved while there were ever more. */
static struct change_list words_list(struct words *words) {
    const char *at = (const char *)words->bytes.data;
    for (size_t i = 0; i < words->count; i++) {
        words->items[i] = at;
        at += strlen(at) + 1;
    }
    return (struct change_list){words->items, words->count};
}

/* The words of a text that commas separate. */
static err_t split(struct words *words, const char *text, struct change_list *out) {
    words_clear(words);
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, ",");
        TRY(len > 0 ? words_add(words, span_of(at, len)) : OK);
        at += len + (at[len] == ',' ? 1 : 0);
    }
    *out = words_list(words);
    return OK;
}

/* One row as a change; its text is the statement's, and its lists are in words of their own. */
struct row {
    struct replica *replica;
    struct change change;
    struct words words, more_words;
};

static err_t read_ca(sqlite3_stmt *statement, struct row *row) {
    row->change.ca.use = (enum ca_use)sqlite3_column_int(statement, 1);
    row->change.ca.public_key = replica_db_text(statement, 2);
    return row->change.ca.use == CA_USE_USER || row->change.ca.use == CA_USE_HOST
               ? OK
               : FAIL(ERR_MALFORMED);
}

static err_t read_account(sqlite3_stmt *statement, struct row *row) {
    row->change.account.enabled = sqlite3_column_int(statement, 1) == 1;
    row->change.account.window_until = sqlite3_column_int64(statement, 4);
    TRY(split(&row->words, replica_db_text(statement, 2), &row->change.account.clusters));
    return split(&row->more_words, replica_db_text(statement, 3), &row->change.account.subnets);
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
    row->change.cluster.node_access = (enum node_access)sqlite3_column_int(statement, 3);
    row->change.cluster.credentials = (unsigned)sqlite3_column_int(statement, 4);
    return OK; /* the encoder refuses what is none of them */
}

static err_t read_host(sqlite3_stmt *statement, struct row *row) {
    row->change.host.cluster = replica_db_text(statement, 1);
    row->change.host.role = (enum host_role)sqlite3_column_int(statement, 2);
    row->change.host.address = replica_db_text(statement, 3);
    row->change.host.port = (uint16_t)sqlite3_column_int(statement, 4);
    return row->change.host.role >= HOST_JUMP && row->change.host.role <= HOST_JOB
               ? OK
               : FAIL(ERR_MALFORMED);
}

static err_t read_key(sqlite3_stmt *statement, struct row *row) {
    row->change.key_of.account = replica_db_text(statement, 1);
    row->change.key_of.public_key = replica_db_text(statement, 2);
    row->change.key_of.expires_at = sqlite3_column_int64(statement, 3);
    row->change.key_of.use = (enum key_use)sqlite3_column_int(statement, 5);
    return split(&row->words, replica_db_text(statement, 4), &row->change.key_of.subnets);
}

static err_t add_node(void *context, const char *node) {
    return words_add(context, span_str(node));
}

static err_t read_job(sqlite3_stmt *statement, struct row *row) {
    row->change.job.account = replica_db_text(statement, 1);
    row->change.job.cluster = replica_db_text(statement, 2);
    row->change.job.user = replica_db_text(statement, 3);
    row->change.job.type = (enum job_type)sqlite3_column_int(statement, 4);
    row->change.job.started_at = sqlite3_column_int64(statement, 5);
    row->change.job.ends_at = sqlite3_column_int64(statement, 6);
    row->change.job.address = replica_db_text(statement, 7);
    row->change.job.port = (uint16_t)sqlite3_column_int(statement, 8);
    words_clear(&row->words);
    TRY(replica_job_node_list(row->replica, row->change.key, add_node, &row->words));
    row->change.job.nodes = words_list(&row->words);
    return OK;
}

/* The first column is the change's key. */
static const struct {
    enum change_kind kind;
    const char *sql;
    err_t (*read)(sqlite3_stmt *statement, struct row *row);
} tables[] = {
    {CHANGE_CA, "SELECT fingerprint, use, public_key FROM ca", read_ca},
    {CHANGE_CLUSTER, "SELECT name, address, port, node_access, credentials FROM cluster",
     read_cluster},
    {CHANGE_HOST, "SELECT name, cluster, role, address, port FROM host", read_host},
    {CHANGE_ACCOUNT, "SELECT name, enabled, clusters, subnets, window_until FROM account",
     read_account},
    {CHANGE_REVOCATION, "SELECT printf('%llu', serial), expires_at FROM revocation",
     read_revocation},
    {CHANGE_KEY, "SELECT id, account, public_key, expires_at, subnets, use FROM key", read_key},
    {CHANGE_JOB,
     "SELECT name, account, cluster, user, type, started_at, ends_at, address, port FROM job",
     read_job},
};

struct replica_pages {
    struct replica *replica;
    uint64_t revision;
    int64_t synced_at;
    size_t table;            /* where it is */
    sqlite3_stmt *statement; /* of that table; on the next row where there is one */
    bool found;              /* there is */
    bool continues;          /* a page was made */
    struct row row;
};

/* To the next row, of the next table that has one. */
static err_t advance(struct replica_pages *pages) {
    for (pages->found = false; pages->table < COUNT_OF(tables); pages->table++) {
        TRY(pages->statement == NULL
                ? replica_db_prepare(pages->replica, tables[pages->table].sql, &pages->statement)
                : OK);
        TRY(replica_db_step(pages->statement, &pages->found));
        if (pages->found) {
            return OK;
        }
        replica_db_finalizep(&pages->statement);
    }
    return OK;
}

static err_t begin(struct replica_pages *pages) {
    TRY(replica_db_exec(pages->replica, "BEGIN")); /* all of one moment */
    TRY(replica_revision(pages->replica, &pages->revision));
    TRY(replica_db_meta(pages->replica, "synced_at", &pages->synced_at));
    return advance(pages);
}

err_t replica_pages_begin(struct replica *replica, struct replica_pages **out) {
    struct replica_pages *pages CLEANUP(replica_pages_freep) = calloc(1, sizeof *pages);
    if (pages == NULL) {
        return FAIL(ERR_MEMORY);
    }
    pages->replica = pages->row.replica = replica;
    pages->row.words.bytes = BUF(WORDS_BYTES_MAX);
    pages->row.more_words.bytes = BUF(WORDS_BYTES_MAX);
    TRY(begin(pages));
    *out = TAKE(pages);
    return OK;
}

void replica_pages_free(struct replica_pages *pages) {
    if (pages == NULL) {
        return;
    }
    replica_db_finalizep(&pages->statement);
    replica_rollback(pages->replica); /* it only read */
    buf_done(&pages->row.words.bytes);
    buf_done(&pages->row.more_words.bytes);
    free(pages);
}

void replica_pages_freep(struct replica_pages **pages) {
    replica_pages_free(*pages);
    *pages = NULL;
}

int64_t replica_pages_synced_at(const struct replica_pages *pages) { return pages->synced_at; }

static err_t put_row(struct replica_pages *pages, struct buf *out) {
    struct row *row = &pages->row;
    row->change = (struct change){.revision = pages->revision,
                                  .kind = tables[pages->table].kind,
                                  .key = replica_db_text(pages->statement, 0)};
    TRY(tables[pages->table].read(pages->statement, row));
    TRY(change_answer_add_change(out, &row->change));
    return advance(pages);
}

err_t replica_pages_next(struct replica_pages *pages, struct buf *out, bool *more) {
    struct buf page CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    TRY(change_page_begin(&page));
    for (size_t count = 0; pages->found && !change_page_is_full(&page, count); count++) {
        TRY(put_row(pages, &page));
    }
    const struct change_answer end = {.revision = pages->revision,
                                      .snapshot = true,
                                      .continues = pages->continues,
                                      .more = pages->found};
    TRY(change_page_end(&page, &end));
    TRY(buf_add(out, buf_span(&page)));
    pages->continues = true;
    *more = pages->found;
    return OK;
}
