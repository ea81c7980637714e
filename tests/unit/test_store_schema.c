/* The SQLite store's file: who may read it, its settings, its schema and how older ones get there.
 */
#include <sys/stat.h>

#include "base/file.h"
#include "store_sqlite_fixture.h"

static void set_version(int version) {
    char text[64];
    sqlite3 *db;
    (void)snprintf(text, sizeof text, "PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sql(db, text), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int newest_version(void) {
    int count = 0;
    while (sqlite_migrations[count] != NULL) {
        count++;
    }
    return count;
}

static void test_open_refused(void **state) {
    (void)state;
    struct store *store = NULL;
    assert_fails(store_open_sqlite("/tmp/no-such-directory/db", &store), ERR_NOT_FOUND);
    assert_fails(store_open_sqlite(directory, &store), ERR_IO);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++) {
        assert_true(fputs("this is not a database\n", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_fails(store_open_sqlite(path, &store), ERR_MALFORMED);
    assert_null(store);
}

static void test_private(void **state) {
    (void)state;
    static const char *const endings[] = {"", "-wal", "-shm"};
    mode_t before = umask(0);
    for (int round = 0; round < 2; round++) {
        struct store *store = opened();
        for (size_t i = 0; i < COUNT_OF(endings); i++) {
            char file[160];
            struct stat status;
            (void)snprintf(file, sizeof file, "%s%s", path, endings[i]);
            assert_int_equal(stat(file, &status), 0);
            assert_int_equal(status.st_mode & 0777, 0600);
        }
        store_close(store);
        assert_int_equal(chmod(path, 0644), 0); /* somebody's slip is mended by the next open */
    }
    (void)umask(before);
}

static void test_settings(void **state) {
    (void)state;
    struct store *store = opened();
    assert_int_equal(number_of(db_of(store), "PRAGMA synchronous"), 2);
    assert_int_equal(number_of(db_of(store), "PRAGMA foreign_keys"), 1);
    assert_int_equal(
        number_of(db_of(store), "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(number_of(db_of(store), "SELECT count(*) FROM pragma_table_list WHERE "
                                             "type = 'table' AND name NOT LIKE 'sqlite_%' AND "
                                             "strict = 0"),
                     0);
    store_close(store);
}

static void test_newer_schema(void **state) {
    (void)state;
    struct store *store = NULL;
    store_close(opened());
    set_version(newest_version() + 1);
    assert_fails(store_open_sqlite(path, &store), ERR_UNSUPPORTED);
    set_version(-1);
    assert_fails(store_open_sqlite(path, &store), ERR_UNSUPPORTED);
    assert_null(store);
    set_version(newest_version());
    store_close(opened());
}

static void test_every_older_schema(void **state) {
    (void)state;
    for (int version = 0; version <= newest_version(); version++) {
        sqlite3 *db;
        (void)unlink(path);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_ok(sqlite_migrate(db, sqlite_migrations, (size_t)version));
        assert_int_equal(number_of(db, "PRAGMA user_version"), version);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        struct store *store = opened();
        assert_int_equal(number_of(db_of(store), "PRAGMA user_version"), newest_version());
        assert_ok(store_begin(store));
        add_account(store, "alice");
        assert_ok(store_commit(store));
        store_close(store);
    }
}

/* What was there before there were jobs means what it meant. */
static void test_before_jobs(void **state) {
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_ok(sqlite_migrate(db, sqlite_migrations, 5));
    assert_int_equal(
        sql(db, "INSERT INTO account VALUES (1, 'alice', 1, '', '', 0, 0, NULL, 5, 0);"
                "INSERT INTO login VALUES (1, 'h', x'', 0, '', 0, '', '', 0, 0);"
                "INSERT INTO cluster VALUES (1, 'daint', '', 22, 0);"
                "INSERT INTO registered_key VALUES (1, 1, 'laptop', 'k', 'f1', '', 0, 0);"
                "INSERT INTO host VALUES (3, 1, 'ln1', 'a', 22, 2, 'e', 5, 't', 'k', 6, 7);"
                "INSERT INTO host VALUES (4, NULL, 'gone', '', 22, 1, '', 0, '', '', 0, 0);"
                "DELETE FROM host WHERE id = 4;"),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    struct store *store = opened();
    struct account account;
    struct login login;
    struct cluster cluster;
    static struct host host, added; /* big */
    static struct registered_key key;
    assert_ok(store_begin(store));
    assert_ok(store_account_get(store, 1, &account));
    assert_int_equal(account.subnets.count, 0);
    assert_ok(store_login_get(store, 1, &login));
    assert_int_equal(login.window_until, 0);
    assert_ok(store_cluster_get(store, 1, &cluster));
    assert_int_equal(cluster.node_access, NODE_ACCESS_OPEN);
    assert_int_equal(cluster.credentials, CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS);
    assert_ok(store_registered_key_find(store, "f1", &key));
    assert_int_equal(key.use, KEY_USE_PERSON);
    assert_int_equal(key.cluster_id, 0);
    assert_ok(store_host_find_token(store, "t", &host));
    const struct host expected = {.id = 3,
                                  .cluster_id = 1,
                                  .name = "ln1",
                                  .address = "a",
                                  .port = 22,
                                  .role = HOST_LOGIN,
                                  .enrol_hash = "e",
                                  .enrol_expires_at = 5,
                                  .token_hash = "t",
                                  .key_line = "k",
                                  .enrolled_at = 6,
                                  .seen_at = 7};
    assert_memory_equal(&host, &expected, sizeof host);
    added = (struct host){.name = "jump", .role = HOST_JUMP};
    assert_ok(store_host_add(store, &added));
    assert_int_equal(added.id, 5); /* the id of the one that is gone is never given again */
    assert_ok(store_commit(store));
    store_close(store);
}

static err_t print_tally(void *context, const struct tally *tally) {
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 128 - len, "%d:%d:%d ", (int)tally->at, (int)tally->kind,
                   (int)tally->count);
    return OK;
}

/* What the audit log has is counted when the counts come to be. */
static void test_before_tallies(void **state) {
    (void)state;
    sqlite3 *db;
    char few[128] = "", long_ones[128] = "";
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_ok(sqlite_migrate(db, sqlite_migrations, 9));
    assert_int_equal(
        sql(db, "INSERT INTO audit VALUES (1, 299, '', 'gate.login', '', 1, '', '', '', '');"
                "INSERT INTO audit VALUES (2, 300, '', 'gate.login', '', 1, '', '', '', '');"
                "INSERT INTO audit VALUES (3, 301, '', 'gate.channel', '', 0, '', '', '', '');"
                "INSERT INTO audit VALUES (4, 302, '', 'gate.session', '', 0, '', '', '', '');"
                "INSERT INTO audit VALUES (5, 303, '', 'account.create', '', 1, '', '', '', '');"
                "INSERT INTO audit VALUES (6, 304, '', 'session.login', '', 1, '', '', '', '');"
                "INSERT INTO audit VALUES (7, 305, '', 'session.login', '', 0, '', '', '', '');"
                "INSERT INTO audit VALUES (8, 3600, '', 'certificate.sign', '', 1, '', '', '', '');"
                "INSERT INTO audit VALUES (9, 3601, '', 'grant.renew', '', 1, '', '', '', '');"),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    struct store *store = opened();
    assert_ok(store_begin(store));
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 0, print_tally, few));
    assert_string_equal(few, "0:1:1 300:1:1 300:2:1 300:3:1 300:5:1 3600:4:2 ");
    assert_ok(store_tally_list(store, TALLY_LONG_S, 0, print_tally, long_ones));
    assert_string_equal(long_ones, "0:1:2 0:2:1 0:3:1 0:5:1 3600:4:2 ");
    assert_ok(store_commit(store));
    store_close(store);
}

/* What is asked at every login and every change looks at no other row than it returns. */
/* The issuer's private keys stood in the store once: nothing of them stays in its file. */
static void test_before_answered_challenges(void **state) {
    (void)state;
    sqlite3 *db;
    struct buf bytes CLEANUP(buf_done) = BUF(16 * 1024 * 1024);
    char *value = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_ok(sqlite_migrate(db, sqlite_migrations, 11));
    assert_int_equal(sql(db, "INSERT INTO meta VALUES ('site_id', 'kept');"
                             "INSERT INTO meta VALUES ('issuer_keys', 'BEGIN-PRIVATE-KEY');"),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    struct store *store = opened();
    assert_ok(store_begin(store));
    assert_fails(store_meta_get(store, "issuer_keys", &value), ERR_NOT_FOUND);
    assert_ok(store_meta_get(store, "site_id", &value));
    assert_string_equal(value, "kept");
    free(value);
    assert_ok(store_commit(store));
    store_close(store);
    assert_ok(file_read(path, &bytes));
    assert_null(memmem(bytes.data, bytes.len, "BEGIN-PRIVATE-KEY", 17));
}

static void test_plans(void **state) {
    (void)state;
    static const enum statement names[] = {
        STATEMENT_registered_key_find,
        STATEMENT_registered_key_list_account,
        STATEMENT_api_key_list_account,
        STATEMENT_job_find,
        STATEMENT_job_list,
        STATEMENT_job_list_all,
        STATEMENT_job_list_cluster,
        STATEMENT_job_list_account,
        STATEMENT_job_list_node,
        STATEMENT_job_node_list,
        STATEMENT_host_find_token,
        STATEMENT_tally_list,
        STATEMENT_authorization_find_user_code,
        STATEMENT_authorization_count_account,
        STATEMENT_authorization_remove_all,
        STATEMENT_authorization_sweep,
    };
    struct store *store = opened();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[2048];
        sqlite3_stmt *plan;
        (void)snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s",
                       sqlite3_sql(((struct sqlite_store *)store)->statements[names[i]]));
        assert_int_equal(sqlite3_prepare_v2(db_of(store), text, -1, &plan, NULL), SQLITE_OK);
        size_t steps = 0;
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(plan, 3);
            if (strncmp(step, "SEARCH ", 7) != 0) {
                fail_msg("%s: %s", text, step);
            }
            steps++;
        }
        assert_true(steps > 0);
        assert_int_equal(sqlite3_finalize(plan), SQLITE_OK);
    }
    store_close(store);
}

static void test_failing_migration(void **state) {
    (void)state;
    static const char *const steps[] = {"CREATE TABLE one (a);",
                                        "CREATE TABLE two (a); CREATE TABLE one (a);"};
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    err_t err = sqlite_migrate(db, steps, COUNT_OF(steps));
    assert_true(failed(err));
    /* The step that failed left nothing, the one before stands. */
    assert_int_equal(number_of(db, "PRAGMA user_version"), 1);
    assert_int_equal(number_of(db, "SELECT count(*) FROM sqlite_master"), 1);
    assert_int_equal(sqlite3_get_autocommit(db), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_newer_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_older_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_before_jobs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_before_tallies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_before_answered_challenges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_plans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_migration, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("store_schema", tests, NULL, NULL);
}
