#include "replica_fixture.h"

#include <sqlite3.h>

#include "base/file.h"
#include "feed/publish.h"
#include "job_site.h"

/* --- jobs --- */

static struct replica *fresh_site(struct place *place) {
    struct replica *replica = NULL;
    struct buf json CLEANUP(buf_done) = BUF(65536);
    put_site(&json);
    place_make(place);
    assert_ok(replica_open_write(place->path, (gid_t)-1, &replica));
    apply(replica, (const char *)json.data);
    return replica;
}

static err_t append_entry(void *context, const struct replica_entry *entry) {
    return buf_add_format(context, "%s%s%s%s%s ", entry->account, entry->job[0] != '\0' ? ":" : "",
                          entry->job, entry->subnets[0] != '\0' ? " from " : "", entry->subnets);
}

static const struct {
    const char *host, *user;
    enum credentials by;
    enum replica_why why;
    const char *entries;
} entries[] = {
    {"n1", "bob", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"n1", "root", CREDENTIALS_CERTIFICATES, REPLICA_NO_REACH, ""}, /* carol's deploy job */
    {"n1", "carol", CREDENTIALS_CERTIFICATES, REPLICA_NO_REACH, ""},
    {"n1", "dave", CREDENTIALS_CERTIFICATES, REPLICA_DISABLED, ""},
    {"n1", "erin", CREDENTIALS_CERTIFICATES, REPLICA_NO_ACCOUNT, ""},
    {"n1", "uprod", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"n1", "", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"n1", "alice' OR '1'='1", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"n1", "alice", CREDENTIALS_KEYS, REPLICA_NO_CREDENTIAL, ""},
    {"n1", "alice", 0, REPLICA_NO_CREDENTIAL, ""},
    {"n1", "alice", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED, "alice:2@nancy alice:1@nancy "},
    {"n2", "alice", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED, "alice:1@nancy "},
    {"n2", "bob", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED,
     "bob:3@nancy from 10.0.0.0/8,192.0.2.0/24 "},
    {"n2", "root", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED,
     "bob:3@nancy from 10.0.0.0/8,192.0.2.0/24 "},
    {"j1", "alice", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"j1", "bob", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"j1", "root", CREDENTIALS_CERTIFICATES, REPLICA_NO_JOB, ""},
    {"j1", "uprod", CREDENTIALS_KEYS, REPLICA_NO_CREDENTIAL, ""},
    {"j1", "uprod", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED, "alice:20@nancy "},
    {"ln", "uprod", CREDENTIALS_CERTIFICATES, REPLICA_NO_ACCOUNT, ""},
    {"ln", "root", CREDENTIALS_CERTIFICATES, REPLICA_NO_ACCOUNT, ""},
    {"ln", "carol", CREDENTIALS_CERTIFICATES, REPLICA_NO_REACH, ""},
    {"ln", "alice", CREDENTIALS_KEYS, REPLICA_NO_CREDENTIAL, ""},
    {"ln", "alice", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED, "alice "},
    {"c1", "root", CREDENTIALS_KEYS, REPLICA_NO_ACCOUNT, ""}, /* open: jobs are not asked for */
    {"c1", "bob", CREDENTIALS_CERTIFICATES, REPLICA_NO_CREDENTIAL, ""},
    {"c1", "bob", CREDENTIALS_KEYS, REPLICA_ALLOWED, "bob from 10.0.0.0/8,192.0.2.0/24 "},
    {"lost", "alice", CREDENTIALS_CERTIFICATES, REPLICA_NO_HOST, ""},
    {"jump", "carol", CREDENTIALS_CERTIFICATES, REPLICA_NO_CREDENTIAL, ""},
    {"jump", "carol", CREDENTIALS_KEYS, REPLICA_ALLOWED, "carol "},
    {"jump", "alice", CREDENTIALS_CERTIFICATES, REPLICA_ALLOWED, "alice "},
    {"jump", "root", CREDENTIALS_CERTIFICATES, REPLICA_NO_ACCOUNT, ""},
};

static void test_entries(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        struct buf text CLEANUP(buf_done) = BUF(4096);
        struct replica_login login = {.user = entries[i].user, .by = entries[i].by, .now = NOW};
        login.serial = 1;
        struct replica_verdict verdict = {.allowed = true};
        stand_at(replica, entries[i].host);
        assert_ok(replica_entry_list(replica, &login, &verdict, append_entry, &text));
        if (verdict.why != entries[i].why || !span_equal_str(buf_span(&text), entries[i].entries)) {
            print_error("%s as %s: %s, '%.*s'\n", entries[i].host, entries[i].user,
                        replica_why_text(verdict.why), (int)text.len, (const char *)text.data);
        }
        assert_int_equal(verdict.why, entries[i].why);
        assert_int_equal(verdict.allowed, entries[i].why == REPLICA_ALLOWED);
        assert_true(span_equal_str(buf_span(&text), entries[i].entries));
        /* A revoked certificate and one without a serial have no entry anywhere. */
        login.serial = 0;
        if (login.by == CREDENTIALS_CERTIFICATES) {
            assert_int_equal(ask(replica, &login).why, REPLICA_NO_SERIAL);
        }
    }
    replica_closep(&replica);
    place_remove(&place);
}

static void change_at(struct replica *replica, const char *key, const char *state) {
    struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    assert_ok(change_answer_begin(&json, 11, false));
    assert_ok(change_answer_add(&json, 11, "job", key, state));
    assert_ok(change_answer_end(&json));
    assert_ok(buf_add_byte(&json, '\0'));
    apply(replica, (const char *)json.data);
}

static err_t append_job(void *context, const struct replica_job *job) {
    return buf_add_format(context, "%s%s ", job->name, job->here ? "!" : "");
}

static enum replica_why judged(struct replica *replica, const char *account, enum credentials by) {
    struct replica_verdict verdict = {.allowed = true};
    assert_ok(replica_account_judge(replica, account, by, &verdict));
    assert_int_equal(verdict.allowed, verdict.why == REPLICA_ALLOWED);
    return verdict.why;
}

/* Whatever jobs they have, and however old the replica is. */
static void test_accounts_without_jobs(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    stand_at(replica, "n2");
    assert_int_equal(judged(replica, "erin", CREDENTIALS_CERTIFICATES), REPLICA_NO_ACCOUNT);
    assert_int_equal(judged(replica, "dave", CREDENTIALS_CERTIFICATES), REPLICA_DISABLED);
    assert_int_equal(judged(replica, "carol", CREDENTIALS_CERTIFICATES), REPLICA_NO_REACH);
    assert_int_equal(judged(replica, "bob", CREDENTIALS_KEYS), REPLICA_NO_CREDENTIAL);
    assert_int_equal(judged(replica, "bob", CREDENTIALS_CERTIFICATES), REPLICA_ALLOWED);
    stand_at(replica, "nowhere");
    assert_int_equal(judged(replica, "bob", CREDENTIALS_CERTIFICATES), REPLICA_NO_HOST);
    stand_at(replica, "n2");
    struct replica_login login = {
        .user = "bob", .by = CREDENTIALS_CERTIFICATES, .now = NOW + 100L * MAX_AGE_S, .serial = 1};
    assert_int_equal(ask(replica, &login).why, REPLICA_STALE);
    login.any_age = true;
    assert_true(ask(replica, &login).allowed);
    replica_closep(&replica);
    place_remove(&place);
}

static void test_jobs_come_and_go(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    struct replica_login login = {.user = "bob", .by = CREDENTIALS_CERTIFICATES, .serial = 1};
    struct buf text CLEANUP(buf_done) = BUF(4096);
    stand_at(replica, "n1");
    login.now = NOW + 1; /* job 10 begins */
    assert_true(ask(replica, &login).allowed);
    login.now = NOW - 1; /* job 11 has not ended yet */
    assert_true(ask(replica, &login).allowed);
    login.now = NOW;
    assert_int_equal(ask(replica, &login).why, REPLICA_NO_JOB);
    change_at(replica, "10@nancy", STATE_JOB("bob", "nancy", "bob", "deploy", "\"n1\"", BEFORE));
    assert_true(ask(replica, &login).allowed);
    login.user = "root";
    assert_true(ask(replica, &login).allowed);
    /* It has moved, and its nodes with it. */
    change_at(replica, "10@nancy", STATE_JOB("bob", "nancy", "bob", "deploy", "\"n2\"", BEFORE));
    assert_false(ask(replica, &login).allowed);
    stand_at(replica, "n2");
    assert_true(ask(replica, &login).allowed);
    assert_ok(replica_job_list(replica, "bob", NOW, append_job, &text));
    assert_true(span_equal_str(buf_span(&text), "9@open 3@nancy! 13@nancy 10@nancy! "));
    change_at(replica, "10@nancy", "");
    change_at(replica, "10@nancy", ""); /* it ends twice */
    change_at(replica, "3@nancy", "");
    assert_false(ask(replica, &login).allowed);
    buf_clear(&text);
    assert_ok(replica_job_node_list(replica, "3@nancy", append_text, &text));
    assert_ok(replica_job_node_list(replica, "10@nancy", append_text, &text));
    assert_int_equal(text.len, 0);
    assert_ok(replica_job_node_list(replica, "1@nancy", append_text, &text));
    assert_true(span_equal_str(buf_span(&text), "n1\nn2\n"));
    struct replica_info info;
    assert_ok(replica_info(replica, &info));
    assert_int_equal(info.jobs, 12);
    replica_closep(&replica);
    place_remove(&place);
}

static void test_destinations_of_jobs(void **state) {
    (void)state;
    static const struct {
        const char *account;
        enum credentials by;
        const char *list;
    } cases[] = {
        {"dave", CREDENTIALS_CERTIFICATES, ""},
        {"carol", CREDENTIALS_CERTIFICATES, ""},
        {"carol", CREDENTIALS_KEYS, "open:22 c1:22 "},
        {"bob", CREDENTIALS_CERTIFICATES, "ln:22 nancy:22 n2:22 "},
        {"alice", CREDENTIALS_KEYS, "open:22 c1:22 "},
        {"alice", CREDENTIALS_CERTIFICATES, "192.0.2.77:2201 j1:22 ln:22 nancy:22 n1:22 n2:22 "},
        {NULL, 0, "192.0.2.77:2201 j1:22 ln:22 nancy:22 open:22 c1:22 n1:22 n2:22 "},
    };
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    stand_at(replica, "jump");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text CLEANUP(buf_done) = BUF(4096);
        assert_ok(replica_destination_list(replica, cases[i].account, cases[i].by, NULL, NOW,
                                           append_destination, &text));
        if (!span_equal_str(buf_span(&text), cases[i].list)) {
            print_error("row %zu: %.*s\n", i, (int)text.len, (const char *)text.data);
        }
        assert_true(span_equal_str(buf_span(&text), cases[i].list));
    }
    replica_closep(&replica);
    place_remove(&place);
}

/* What the longest job brings is applied, listed, told on and taken away again. */
static void test_a_job_of_ten_thousand_nodes(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    struct buf job CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    assert_ok(buf_add_str(&job, "{\"account\":\"alice\",\"cluster\":\"nancy\",\"user\":\"alice\","
                                "\"type\":\"shared\"," BEFORE ",\"nodes\":[\"n2\""));
    for (size_t i = 1; i < LIMIT_JOB_NODES_COUNT; i++) {
        assert_ok(buf_add_format(&job, ",\"node-%zu.nancy.example\"", i));
    }
    assert_ok(buf_add_str(&job, "]}"));
    assert_ok(buf_add_byte(&job, '\0'));
    change_at(replica, "1@nancy", "");
    change_at(replica, "99@nancy", (const char *)job.data);
    struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW, 1, NULL};
    stand_at(replica, "n2");
    assert_true(ask(replica, &login).allowed);
    struct buf told CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct replica_pages *pages CLEANUP(replica_pages_freep) = NULL;
    bool more = true;
    assert_ok(replica_pages_begin(replica, &pages));
    assert_ok(replica_pages_next(pages, &told, &more));
    assert_false(more);
    replica_pages_freep(&pages);
    assert_ok(change_answer_decode(buf_span(&told), &answer, NULL));
    size_t longest = 0;
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->changes[i].kind == CHANGE_JOB && answer->changes[i].job.nodes.count > longest) {
            longest = answer->changes[i].job.nodes.count;
        }
    }
    assert_int_equal(longest, LIMIT_JOB_NODES_COUNT);
    change_at(replica, "99@nancy", "");
    assert_int_equal(ask(replica, &login).why, REPLICA_NO_JOB);
    replica_closep(&replica);
    place_remove(&place);
}

/* --- files of others --- */

static void run_sql(const struct place *place, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* As the program before this one left it. */
static const char schema_1[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE ca (fingerprint TEXT PRIMARY KEY, use INTEGER NOT NULL,"
    " public_key TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE account (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL,"
    " clusters TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE revocation (serial INTEGER PRIMARY KEY, expires_at INTEGER NOT NULL);"
    "CREATE TABLE cluster (name TEXT PRIMARY KEY, address TEXT NOT NULL, port INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE host (name TEXT PRIMARY KEY, cluster TEXT NOT NULL, role INTEGER NOT NULL,"
    " address TEXT NOT NULL, port INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE key (id TEXT PRIMARY KEY, account TEXT NOT NULL, public_key TEXT NOT NULL,"
    " expires_at INTEGER NOT NULL, subnets TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX key_by_account ON key (account, id);"
    "INSERT INTO meta VALUES ('revision', 7), ('synced_at', 1800000000), ('self', 'n1'),"
    " ('max_age_s', 3600), ('best_effort', 1);"
    "INSERT INTO account VALUES ('alice', 1, ',nancy,');"
    "INSERT INTO host VALUES ('n1', 'nancy', 3, '', 22);"
    "INSERT INTO revocation VALUES (66, 1900000000);"
    "INSERT INTO ca VALUES ('" CA_FINGERPRINT "', 1, '" CA_LINE "');"
    "PRAGMA application_id = 1346848338;"
    "PRAGMA user_version = 1;";

static void test_an_older_file_is_made_anew(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    run_sql(&place, schema_1);
    err_t err = replica_open_read(place.path, &replica);
    assert_fails(err, ERR_UNSUPPORTED);
    assert_non_null(strstr(replica_error_text(err), "another version"));
    assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
    struct replica_info info;
    bool needs = false;
    bool revoked = false;
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == 0 && info.synced_at == 0 && info.accounts == 0 &&
                info.hosts == 0 && info.revocations == 1);
    assert_ok(replica_needs_snapshot(replica, NOW, &needs));
    assert_true(needs);
    assert_ok(replica_is_revoked(replica, 66, &revoked));
    assert_true(revoked);
    /* Best effort or not: nobody gets in before the snapshot. */
    struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW, 1, NULL};
    assert_int_equal(ask(replica, &login).why, REPLICA_NO_HOST);
    struct buf json CLEANUP(buf_done) = BUF(65536);
    put_site(&json);
    apply(replica, (const char *)json.data);
    assert_true(ask(replica, &login).allowed);
    login.serial = 66;
    assert_int_equal(ask(replica, &login).why, REPLICA_REVOKED);
    replica_closep(&replica);
    assert_ok(replica_open_read(place.path, &replica));
    replica_closep(&replica);
    place_remove(&place);
}

static void test_a_newer_file_is_left_alone(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    replica_closep(&replica);
    run_sql(&place, "PRAGMA user_version = 3");
    assert_fails(replica_open_read(place.path, &replica), ERR_UNSUPPORTED);
    assert_fails(replica_open_write(place.path, (gid_t)-1, &replica), ERR_UNSUPPORTED);
    run_sql(&place, "PRAGMA user_version = 2");
    assert_ok(replica_open_read(place.path, &replica));
    struct replica_info info;
    assert_ok(replica_info(replica, &info));
    assert_int_equal(info.accounts, 4);
    replica_closep(&replica);
    place_remove(&place);
}

/* Cut at every page: it is refused, or it answers by what it has; never another answer. */
static void test_a_truncated_file(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh_site(&place);
    stand_at(replica, "n1");
    replica_closep(&replica);
    run_sql(&place, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct buf whole CLEANUP(buf_done) = BUF(16 * 1024 * 1024);
    assert_ok(file_read(place.path, &whole));
    size_t refused = 0;
    for (size_t len = 100; len < whole.len; len += 1024) {
        struct replica_login login = {"bob", CREDENTIALS_CERTIFICATES, NOW, 1, NULL};
        struct replica_verdict verdict = {.allowed = true};
        size_t count = 0;
        assert_ok(file_replace(place.path, span_of(whole.data, len), 0600, 0));
        err_t err = replica_open_read(place.path, &replica);
        if (!failed(err)) {
            err = replica_entry_list(replica, &login, &verdict, count_entry, &count);
            assert_false(verdict.allowed);
        }
        refused += err.code == ERR_MALFORMED ? 1 : 0;
        assert_true(!failed(err) || err.code == ERR_MALFORMED);
        assert_true(!failed(err) || strstr(replica_error_text(err), "damaged") != NULL);
        replica_closep(&replica);
    }
    assert_true(refused > 0);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_accounts_without_jobs),
        cmocka_unit_test(test_jobs_come_and_go),
        cmocka_unit_test(test_destinations_of_jobs),
        cmocka_unit_test(test_a_job_of_ten_thousand_nodes),
        cmocka_unit_test(test_an_older_file_is_made_anew),
        cmocka_unit_test(test_a_newer_file_is_left_alone),
        cmocka_unit_test(test_a_truncated_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
