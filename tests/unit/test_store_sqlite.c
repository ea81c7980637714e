/* What only the SQLite store has: durability, full disks and exhausted memory. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_sqlite_fixture.h"

/* ---- durability ---- */

static void test_reopen(void **state) {
    (void)state;
    struct account alice;
    struct issued issued;
    uint64_t newest, oldest;
    struct store *store = opened();
    assert_ok(store_begin(store));
    add_issued(store, 9, add_account(store, "alice"), NOW);
    assert_ok(store_event_append(store, "account", "alice", "{}", NOW, &newest));
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    add_account(store, "bob");
    store_close(store); /* without a commit */

    store = opened();
    assert_ok(store_begin(store));
    assert_ok(store_account_find(store, "alice", &alice));
    assert_fails(store_account_find(store, "bob", &alice), ERR_NOT_FOUND);
    assert_ok(store_issued_get(store, 9, &issued));
    assert_int_equal(issued.account_id, alice.id);
    assert_ok(store_event_revision(store, &newest, &oldest));
    assert_int_equal(newest, 1);
    store_close(store);
}

/* The child's part: it commits one account, writes another, and dies without closing anything. */
static _Noreturn void commit_and_die(void) {
    struct store *store;
    struct account alice = new_account("alice"), bob = new_account("bob");
    if (!failed(store_open_sqlite(path, &store)) && !failed(store_begin(store)) &&
        !failed(store_account_add(store, &alice)) && !failed(store_commit(store)) &&
        !failed(store_begin(store)) && !failed(store_account_add(store, &bob))) {
        (void)raise(SIGKILL);
    }
    _exit(1);
}

static void test_killed(void **state) {
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        commit_and_die();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct account out;
    struct store *store = opened();
    assert_ok(store_begin(store));
    assert_ok(store_account_find(store, "alice", &out));
    assert_fails(store_account_find(store, "bob", &out), ERR_NOT_FOUND);
    store_close(store);
}

static void test_two_stores(void **state) {
    (void)state;
    struct account out;
    struct store *one = opened(), *two = opened();
    assert_int_equal(sqlite3_busy_timeout(db_of(two), 0), SQLITE_OK);
    assert_ok(store_begin(one));
    add_account(one, "alice");
    assert_fails(store_begin(two), ERR_BUSY);
    assert_ok(store_commit(one));
    assert_ok(store_begin(two));
    assert_ok(store_account_find(two, "alice", &out));
    assert_ok(store_commit(two));
    store_close(one);
    store_close(two);
}

static void test_audit_is_append_only(void **state) {
    (void)state;
    static const char *const refused[] = {
        "UPDATE audit SET actor = 'mallory'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE sequence = 1",
        ("INSERT OR REPLACE INTO audit SELECT 1, at, 'mallory', action, target, allowed, code,"
         " detail, source, request_id FROM audit"),
        "UPDATE OR REPLACE audit SET sequence = 2 WHERE sequence = 1",
    };
    struct audit audit = {.at = NOW, .actor = "alice", .action = "certificate.sign"};
    struct store *store = opened();
    assert_ok(store_begin(store));
    assert_ok(store_audit_append(store, &audit));
    assert_ok(store_audit_append(store, &audit));
    assert_ok(store_commit(store));
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_int_equal(sql(db_of(store), refused[i]), SQLITE_CONSTRAINT_TRIGGER);
        assert_int_equal(
            number_of(db_of(store), "SELECT count(*) FROM audit WHERE actor = 'alice'"), 2);
    }
    store_close(store);
}

/* ---- the index of certificates ---- */

static err_t each_serial(void *context, const struct issued *issued) {
    return collect_number(context, issued->serial);
}

static void expect_certificates(struct store *store, entity_id account, const char *serials) {
    struct listing listing = {0}, paged = {0};
    struct issued_filter filter = {.account_id = account,
                                   .now = NOW,
                                   .include_expired = true,
                                   .include_revoked = true,
                                   .max = 99};
    uint32_t count;
    bool valid;
    assert_ok(store_issued_list(store, &filter, each_serial, &listing));
    assert_string_equal(listing.text, serials);
    assert_ok(store_issued_facts(store, account, FINGERPRINT("k"), NOW - DAY, NOW, &count, &valid));
    assert_int_equal(count, listing.count);
    assert_int_equal(valid, listing.count > 0);
    filter.max = 1;
    for (size_t i = 0; i < listing.count; i++) {
        size_t before = paged.count;
        assert_ok(store_issued_list(store, &filter, each_serial, &paged));
        assert_int_equal(paged.count, before + 1);
        const char *last = strrchr(paged.text, ' ');
        filter.before_serial = strtoull(last != NULL ? last : paged.text, NULL, 10);
    }
    assert_string_equal(paged.text, serials);
}

/* Rows that are in the index, in the tail, in both parts of a listing; read by this store and by
 * one that opens the file anew. */
static void test_issued_index(void **state) {
    (void)state;
    struct store *store = opened();
    ((struct sqlite_store *)store)->issued.tail_max = 4;
    assert_ok(store_begin(store));
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    assert_ok(store_commit(store));
    static const char *const of_alice[] = {"10", "12 10", "14 12 10", "16 14 12 10",
                                           "18 16 14 12 10"};
    static const char *const of_bob[] = {"11", "13 11", "15 13 11", "17 15 13 11",
                                         "19 17 15 13 11"};
    for (uint64_t i = 0; i < 5; i++) {
        assert_ok(store_begin(store));
        add_issued(store, 11 + 2 * i, bob, NOW);
        add_issued(store, 10 + 2 * i, alice, NOW); /* not in order */
        assert_ok(store_commit(store));
        struct store *other = opened();
        for (int j = 0; j < 2; j++) {
            struct store *reader = j == 0 ? store : other;
            assert_ok(store_begin(reader));
            expect_certificates(reader, alice, of_alice[i]);
            expect_certificates(reader, bob, of_bob[i]);
            store_rollback(reader);
        }
        store_close(other);
    }
    assert_int_equal(number_of(db_of(store), "SELECT count(*) FROM issued_by_account"), 8);
    assert_ok(store_begin(store));
    add_issued(store, 5, alice, NOW); /* before what is in the index */
    expect_certificates(store, alice, "18 16 14 12 10 5");
    store_rollback(store);
    assert_ok(store_begin(store));
    expect_certificates(store, alice, "18 16 14 12 10");
    add_issued(store, 5, alice, NOW);
    assert_ok(store_commit(store));
    store_close(store);
    store = opened();
    assert_ok(store_begin(store));
    expect_certificates(store, alice, "18 16 14 12 10 5");
    store_close(store);
}

/* What another process writes is seen by a store that remembers. */
static void test_issued_by_another(void **state) {
    (void)state;
    struct store *one = opened(), *two = opened();
    assert_ok(store_begin(one));
    entity_id alice = add_account(one, "alice");
    expect_certificates(one, alice, "");
    assert_ok(store_commit(one));
    assert_ok(store_begin(two));
    add_issued(two, 1, alice, NOW);
    assert_ok(store_commit(two));
    assert_ok(store_begin(one));
    expect_certificates(one, alice, "1");
    add_issued(one, 2, alice, NOW);
    assert_ok(store_commit(one));
    assert_ok(store_begin(two));
    expect_certificates(two, alice, "2 1");
    store_close(two);
    store_close(one);
}

static void test_issued_before_the_index(void **state) {
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_ok(sqlite_migrate(db, sqlite_migrations, 3));
    assert_int_equal(sql(db, "INSERT INTO account VALUES (1, 'alice', 1, '', '', 0, 0, NULL, 5, 0);"
                             "INSERT INTO issued VALUES (7, 1, 0, 'alice', '" FINGERPRINT(
                                 "k") "', '', 1800000000, 0, 1800086400, 1, '', 0, '')"),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    struct store *store = opened();
    assert_ok(store_begin(store));
    expect_certificates(store, 1, "7");
    add_issued(store, 8, 1, NOW);
    expect_certificates(store, 1, "8 7");
    /* An API key's are found in the tail and in the index. */
    struct issued with_key = new_issued(9, 1, NOW);
    struct issued_filter filter = {.account_id = 1, .api_key_id = 3, .now = NOW, .max = 9};
    with_key.api_key_id = 3;
    assert_ok(store_issued_add(store, &with_key));
    ((struct sqlite_store *)store)->issued.tail_max = 1;
    for (int indexed = 0; indexed < 2; indexed++) {
        struct listing listing = {0};
        assert_ok(store_issued_list(store, &filter, each_serial, &listing));
        assert_string_equal(listing.text, "9");
        assert_ok(store_commit(store));
        assert_ok(store_begin(store));
    }
    assert_int_equal(((struct sqlite_store *)store)->issued.tail_count, 0);
    store_close(store);
}

/* ---- faults ---- */

/* Writes events until one fails; returns its error. */
static err_t fill(struct store *store) {
    static char state[4000];
    uint64_t revision;
    memset(state, 's', sizeof state - 1);
    TRY(store_begin(store));
    for (int i = 0; i < 2000; i++) {
        TRY(store_event_append(store, "account", "alice", state, NOW, &revision));
    }
    return store_commit(store);
}

static void expect_stuck_then_well(struct store *store, enum err_code code) {
    uint64_t revision, newest, oldest;
    /* Nothing but rollback is left. */
    assert_fails(store_event_append(store, "a", "b", "", NOW, &revision), code);
    assert_fails(store_event_revision(store, &newest, &oldest), code);
    assert_fails(store_commit(store), code);
    store_rollback(store);
    assert_ok(store_begin(store));
    assert_ok(store_event_revision(store, &newest, &oldest));
    assert_int_equal(newest, 0); /* nothing of the failed transaction */
    store_rollback(store);
}

static void test_database_full(void **state) {
    (void)state;
    char limit[64];
    struct store *store = opened();
    (void)snprintf(limit, sizeof limit, "PRAGMA max_page_count = %d",
                   number_of(db_of(store), "PRAGMA page_count") + 20);
    assert_int_equal(sql(db_of(store), limit), SQLITE_OK);
    assert_fails(fill(store), ERR_DISK_FULL);
    expect_stuck_then_well(store, ERR_DISK_FULL);
    assert_int_equal(sql(db_of(store), "PRAGMA max_page_count = 1000000"), SQLITE_OK);
    assert_ok(fill(store));
    store_close(store);
}

/* A file that may not grow, as on a full disk: the write itself fails, in the middle of a commit.
 */
static void test_disk_full(void **state) {
    (void)state;
    struct rlimit before, small;
    struct store *store = opened();
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1024 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    err_t err = fill(store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_fails(err, ERR_DISK_FULL);
    expect_stuck_then_well(store, ERR_DISK_FULL);
    assert_ok(fill(store));
    (void)signal(SIGXFSZ, handler);
    store_close(store);
}

/* A commit that fails while it moves the tail into the index. */
static void test_index_full(void **state) {
    (void)state;
    struct rlimit before, small;
    struct stat wal;
    char file[160];
    struct store *store = opened();
    assert_ok(store_begin(store));
    entity_id alice = add_account(store, "alice");
    add_issued(store, 1, alice, NOW);
    assert_ok(store_commit(store));
    (void)snprintf(file, sizeof file, "%s-wal", path);
    assert_int_equal(stat(file, &wal), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ((struct sqlite_store *)store)->issued.tail_max = 2;
    assert_ok(store_begin(store));
    expect_certificates(store, alice, "1");
    add_issued(store, 2, alice, NOW);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)wal.st_size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    err_t err = store_commit(store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_fails(err, ERR_DISK_FULL);
    store_rollback(store);
    assert_ok(store_begin(store));
    expect_certificates(store, alice, "1");
    add_issued(store, 2, alice, NOW);
    assert_ok(store_commit(store));
    assert_int_equal(number_of(db_of(store), "SELECT count(*) FROM issued_by_account"), 2);
    assert_ok(store_begin(store));
    expect_certificates(store, alice, "2 1");
    store_close(store);
}

static long allocations_left = -1; /* -1: as many as asked for */
static sqlite3_mem_methods real_memory;

static bool allocation_fails(void) {
    if (allocations_left < 0) {
        return false;
    }
    return allocations_left == 0 || --allocations_left == 0;
}

static void *failing_malloc(int size) {
    return allocation_fails() ? NULL : real_memory.xMalloc(size);
}

static void *failing_realloc(void *old, int size) {
    return allocation_fails() ? NULL : real_memory.xRealloc(old, size);
}

static void fail_allocations(void) {
    sqlite3_mem_methods failing;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    failing = real_memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
}

static err_t one_transaction(struct store *store, const char *name) {
    struct account account = new_account(name);
    struct issued issued;
    uint64_t revision;
    TRY(store_begin(store));
    TRY(store_mark(store));
    TRY(store_account_add(store, &account));
    issued = new_issued(account.id, account.id, NOW);
    TRY(store_issued_add(store, &issued));
    TRY(store_event_append(store, "account", name, "{}", NOW, &revision));
    TRY(store_keep(store));
    return store_commit(store);
}

/* From some allocation on there is no memory: the transaction fails as a whole, or is there. */
static void test_no_memory(void **state) {
    (void)state;
    size_t failures = 0;
    struct store *store = NULL;
    for (long n = 1; n < 400; n++) {
        char name[16];
        struct account out;
        (void)snprintf(name, sizeof name, "u%ld", n);
        if (store == NULL) {
            store = opened();
        }
        (void)sqlite3_db_release_memory(db_of(store)); /* so that there is something to allocate */
        allocations_left = n;
        err_t err = one_transaction(store, name);
        allocations_left = -1;
        store_rollback(store);
        if (failed(err)) {
            failures++;
            assert_fails(err, ERR_MEMORY);
        }
        assert_ok(store_begin(store));
        assert_int_equal(store_account_find(store, name, &out).code,
                         failed(err) ? ERR_NOT_FOUND : ERR_NONE);
        assert_ok(store_commit(store));
        if (n % 2 == 0) {
            store_closep(&store); /* a fresh cache every other time */
        }
    }
    assert_true(failures > 5);
    store_close(store);
}

static void test_no_memory_to_open(void **state) {
    (void)state;
    size_t failures = 0;
    for (long n = 1; n < 3000; n += n < 200 ? 1 : 37) {
        struct store *store = NULL;
        allocations_left = n;
        err_t err = store_open_sqlite(path, &store);
        allocations_left = -1;
        if (failed(err)) {
            failures++;
            assert_null(store);
        }
        store_close(store);
    }
    assert_true(failures > 50);
    store_close(opened());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reopen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_stores, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_audit_is_append_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_issued_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_issued_by_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_issued_before_the_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_index_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_database_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disk_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory_to_open, set_up, tear_down),
    };
    fail_allocations(); /* before SQLite's first use */
    return cmocka_run_group_tests_name("store_sqlite", tests, NULL, NULL);
}
