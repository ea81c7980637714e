/*
 * Issued certificates over SQLite. Writing one must dirty no page but the last ones of its table:
 * an index over accounts would dirty another page for nearly every certificate, and pages are what
 * a commit costs. So:
 *
 *  1. Of the rows of accounts, those with a serial up to `up_to` are in the table
 * issued_by_account, and the others are in `tail`, sorted by serial. Rows move there many at a
 * time.
 *  2. What facts hold of an account is what its rows say, uncommitted ones included.
 *  3. A transaction that ends otherwise than by its commit takes from tail and facts what it added.
 *     Where it did more than append to the tail (`rare`), all is read again.
 */
#include <string.h>

#include "store/sqlite_statement.h"

/* ---- the tail ---- */

struct tail_row {
    entity_id account_id;
    uint64_t serial;
    int64_t valid_before;
    int64_t counted_at;
};

static int by_account(const void *a, const void *b) {
    const struct tail_row *left = a, *right = b;
    return left->account_id != right->account_id ? (left->account_id < right->account_id ? -1 : 1)
           : left->serial != right->serial       ? (left->serial < right->serial ? -1 : 1)
                                                 : 0;
}

static err_t tail_add(struct sqlite_issued *self, const struct tail_row *row) {
    if (self->tail_count == self->tail_size) {
        size_t size = self->tail_size == 0 ? 256 : self->tail_size * 2;
        struct tail_row *moved = realloc(self->tail, size * sizeof *moved);
        if (moved == NULL) {
            return FAIL(ERR_MEMORY);
        }
        self->tail = moved;
        self->tail_size = size;
    }
    size_t at = self->tail_count;
    while (at > 0 && self->tail[at - 1].serial > row->serial) {
        at--;
    }
    self->rare |= at < self->tail_count;
    memmove(&self->tail[at + 1], &self->tail[at], (self->tail_count - at) * sizeof *row);
    self->tail[at] = *row;
    self->tail_count++;
    return OK;
}

static err_t index_row(struct store *store, const struct tail_row *row) {
    return statement_run(store, STATEMENT_issued_index_add,
                         ARGUMENTS(U64(row->account_id), U64(row->serial), I64(row->valid_before),
                                   I64(row->counted_at)),
                         NULL);
}

/* Moves the tail into the index: sorted, each page of it is touched once. */
static err_t index_tail(struct store *store) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    uint64_t up_to = self->tail[self->tail_count - 1].serial;
    self->rare = true;
    qsort(self->tail, self->tail_count, sizeof *self->tail, by_account);
    for (size_t i = 0; i < self->tail_count; i++) {
        TRY(index_row(store, &self->tail[i]));
    }
    TRY(statement_run_one(store, STATEMENT_issued_indexed_set, ARGUMENTS(U64(up_to))));
    self->up_to = up_to;
    self->tail_count = 0;
    return OK;
}

static err_t read_number(struct store *store, enum statement name, int64_t *out) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    bool row;
    TRY(statement_take(store, name, &statement));
    TRY(statement_step(statement, &row));
    if (!row) {
        return FAIL(ERR_MALFORMED);
    }
    *out = sqlite3_column_int64(statement, 0);
    return OK;
}

static err_t read_tail(struct store *store) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    int64_t up_to;
    TRY(read_number(store, STATEMENT_issued_indexed, &up_to));
    self->up_to = (uint64_t)up_to;
    self->tail_count = 0;
    TRY(statement_take(store, STATEMENT_issued_tail, &statement));
    TRY(statement_bind(statement, ARGUMENTS(I64(up_to))));
    for (;;) {
        bool there;
        TRY(statement_step(statement, &there));
        if (!there) {
            return OK;
        }
        struct tail_row row = {.account_id = (entity_id)sqlite3_column_int64(statement, 0),
                               .serial = (uint64_t)sqlite3_column_int64(statement, 1),
                               .valid_before = sqlite3_column_int64(statement, 2),
                               .counted_at = sqlite3_column_int64(statement, 3)};
        TRY(tail_add(self, &row));
    }
}

/* ---- transactions ---- */

void sqlite_issued_init(struct sqlite_issued *self) {
    *self = (struct sqlite_issued){.tail_max = SQLITE_ISSUED_TAIL_MAX, .version = -1};
}

void sqlite_issued_done(struct sqlite_issued *self) {
    free(self->tail);
    issued_facts_free(self->facts);
}

err_t sqlite_issued_begin(struct store *store) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    int64_t version;
    if (self->facts == NULL) {
        TRY(issued_facts_new(&self->facts));
    }
    TRY(read_number(store, STATEMENT_data_version, &version)); /* changes with others' commits */
    if (version != self->version) {
        self->version = -1;
        issued_facts_forget_all(self->facts);
        TRY(read_tail(store));
        self->version = version;
    }
    self->rare = false;
    self->count_at_begin = self->tail_count;
    return OK;
}

/* Back to a tail of `count`. */
static void take_back(struct sqlite_issued *self, size_t count) {
    if (self->rare) {
        self->version = -1;
        issued_facts_forget_all(self->facts);
        return;
    }
    while (self->tail_count > count) {
        issued_facts_forget(self->facts, self->tail[--self->tail_count].account_id);
    }
}

void sqlite_issued_mark(struct sqlite_issued *self) {
    self->count_at_mark = self->tail_count;
    self->bare_serial = 0;
}

err_t sqlite_issued_undo(struct store *store) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    if (self->bare_serial != 0) {
        TRY(statement_run_one(store, STATEMENT_issued_undo, ARGUMENTS(U64(self->bare_serial))));
    }
    take_back(self, self->count_at_mark);
    return self->rare ? read_tail(store) : OK;
}

void sqlite_issued_rollback(struct sqlite_issued *self) { take_back(self, self->count_at_begin); }

err_t sqlite_issued_before_commit(struct store *store) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    return self->tail_count >= self->tail_max ? index_tail(store) : OK;
}

/* ---- operations ---- */

/*
 * A savepoint copies every page that is written after it. The usual request writes one certificate
 * and is kept, so its row goes in without one, and an undo deletes it.
 */
static err_t put_row(struct store *store, const struct issued *issued) {
    struct sqlite_store *self = sqlite_store_of(store);
    bool wanted = self->savepoint_wanted;
    bool bare = wanted && self->issued.bare_serial == 0;
    self->savepoint_wanted = wanted && !bare;
    err_t err = statement_put(store, STATEMENT_issued_add, &issued_shape, issued);
    if (bare) {
        self->savepoint_wanted = true;
        self->issued.bare_serial = failed(err) ? 0 : issued->serial;
    }
    return err;
}

err_t sqlite_op_issued_add(struct store *store, const struct issued *issued) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    TRY(put_row(store, issued));
    if (issued->account_id == 0) {
        return OK;
    }
    struct tail_row row = {.account_id = issued->account_id,
                           .serial = issued->serial,
                           .valid_before = issued->valid_before,
                           .counted_at = issued->counts ? issued->issued_at : 0};
    if (row.serial > self->up_to) {
        TRY(tail_add(self, &row));
    } else {
        self->rare = true;
        TRY(index_row(store, &row));
    }
    ignore_err(issued_facts_note(self->facts, issued)); /* or the account is forgotten */
    return OK;
}

err_t sqlite_op_issued_get(struct store *store, uint64_t serial, struct issued *out) {
    return statement_get(store, STATEMENT_issued_get, ARGUMENTS(U64(serial)), &issued_shape, out);
}

static err_t note_row(void *context, const struct issued *issued) {
    return issued_facts_note(context, issued);
}

static err_t read_facts(struct store *store, entity_id account_id, int64_t since, int64_t now) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    struct visitor visitor = {.context = self->facts, .issued = note_row};
    TRY(statement_list(store, STATEMENT_issued_facts,
                       ARGUMENTS(U64(account_id), I64(since), I64(now)), &issued_shape, visitor));
    struct issued issued; /* not in the loop, which would clear it each time */
    for (size_t i = 0; i < self->tail_count; i++) {
        if (self->tail[i].account_id == account_id) {
            TRY(sqlite_op_issued_get(store, self->tail[i].serial, &issued));
            TRY(issued_facts_note(self->facts, &issued));
        }
    }
    return OK;
}

static err_t get_facts(struct store *store, entity_id account_id, int64_t since, int64_t now,
                       struct account_facts **out) {
    struct issued_facts *facts = sqlite_store_of(store)->issued.facts;
    struct account_facts *account = issued_facts_find(facts, account_id, since, now);
    if (account == NULL) {
        TRY(issued_facts_start(facts, account_id, since, now, &account));
        err_t err = read_facts(store, account_id, since, now);
        if (failed(err)) {
            issued_facts_forget(facts, account_id);
            return err;
        }
    }
    *out = account;
    return OK;
}

err_t sqlite_op_issued_facts(struct store *store, entity_id account_id, const char *fingerprint,
                             int64_t since, int64_t now, uint32_t *count, bool *key_has_valid) {
    struct account_facts *account;
    TRY(get_facts(store, account_id, since, now, &account));
    *count = account_facts_count(account, since);
    *key_has_valid = account_facts_key_is_valid(account, fingerprint, now);
    return OK;
}

err_t sqlite_op_issued_oldest(struct store *store, entity_id account_id, int64_t since,
                              int64_t *issued_at) {
    struct account_facts *account;
    TRY(get_facts(store, account_id, since, INT64_MAX, &account));
    return account_facts_oldest(account, since, issued_at);
}

static bool is_wanted(const struct issued *issued, const struct issued_filter *filter) {
    return (filter->include_expired || issued->valid_before > filter->now) &&
           (filter->include_revoked || issued->revoked_at == 0) &&
           (filter->api_key_id == 0 || issued->api_key_id == filter->api_key_id) &&
           (filter->grant_id == 0 || issued->grant_id == filter->grant_id);
}

/* The tail is newer than all of the index. */
static err_t list_tail(struct store *store, const struct issued_filter *filter, uint64_t before,
                       size_t *left, EACH(issued)) {
    const struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    struct issued issued;
    for (size_t i = self->tail_count; i > 0 && *left > 0; i--) {
        const struct tail_row *row = &self->tail[i - 1];
        if (row->account_id != filter->account_id || row->serial >= before) {
            continue;
        }
        TRY(sqlite_op_issued_get(store, row->serial, &issued));
        if (is_wanted(&issued, filter)) {
            --*left;
            TRY(each(context, &issued));
        }
    }
    return OK;
}

err_t sqlite_op_issued_list(struct store *store, const struct issued_filter *filter, EACH(issued)) {
    enum statement name = filter->by_id != 0        ? STATEMENT_issued_list_other
                          : filter->host_id != 0    ? STATEMENT_issued_list_host
                          : filter->account_id != 0 ? STATEMENT_issued_list_account
                                                    : STATEMENT_issued_list;
    uint64_t before = filter->before_serial == 0 ? UINT64_MAX : filter->before_serial;
    size_t left = filter->max;
    if (name == STATEMENT_issued_list_account) {
        TRY(list_tail(store, filter, before, &left, each, context));
    }
    struct arguments arguments =
        ARGUMENTS(U64(filter->account_id), U64(before), I64(filter->include_expired),
                  I64(filter->include_revoked), I64(filter->now), U64(left), U64(filter->host_id),
                  U64(filter->api_key_id), U64(filter->grant_id), U64(filter->by_id));
    return statement_list(store, name, arguments, &issued_shape, VISITOR(issued));
}

err_t sqlite_op_issued_revoke(struct store *store, uint64_t serial, int64_t at,
                              const char *reason) {
    struct sqlite_issued *self = &sqlite_store_of(store)->issued;
    struct issued issued;
    int changed = 0;
    TRY(sqlite_op_issued_get(store, serial, &issued));
    TRY(statement_run(store, STATEMENT_issued_revoke, ARGUMENTS(U64(serial), I64(at), TEXT(reason)),
                      &changed));
    if (changed == 0) {
        return FAIL(ERR_CONFLICT);
    }
    self->rare = true;
    issued_facts_forget(self->facts, issued.account_id);
    return OK;
}

err_t sqlite_op_revoked_list(struct store *store, int64_t now, uint64_t after_serial, size_t max,
                             EACH(issued)) {
    return statement_list(store, STATEMENT_revoked_list,
                          ARGUMENTS(I64(now), U64(after_serial), U64(max)), &issued_shape,
                          VISITOR(issued));
}
