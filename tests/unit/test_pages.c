/* A snapshot in pages, as a replica and a view take it, and as a replica tells it on. */
#include <sys/wait.h>

#include "feed/publish.h"
#include "feed_fixture.h"

#define ACCOUNT(revision, name, clusters)                                                          \
    "{\"revision\":\"" revision "\",\"kind\":\"account\",\"key\":\"" name                          \
    "\",\"state\":{\"enabled\":true,\"clusters\":[" clusters "]}}"
#define DISABLED(revision, name)                                                                   \
    "{\"revision\":\"" revision "\",\"kind\":\"account\",\"key\":\"" name                          \
    "\",\"state\":{\"enabled\":false,\"clusters\":[]}}"
#define PLACES                                                                                     \
    "{\"revision\":\"20\",\"kind\":\"cluster\",\"key\":\"daint\",\"state\":"                       \
    "{\"address\":\"192.0.2.1\",\"port\":22}},"                                                    \
    "{\"revision\":\"20\",\"kind\":\"host\",\"key\":\"daint-ln1\",\"state\":"                      \
    "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"10.0.0.1\",\"port\":22}}"
#define PAGE(revision, which, changes)                                                             \
    "{\"revision\":\"" revision "\",\"snapshot\":\"" which "\",\"changes\":[" changes "]}"

/* What an authority tells whose account erin was added before the place it had come to, whose
 * account frank was disabled after his page, and of which grace is gone. */
static const char begins[] = PAGE("20", "begins", PLACES);
static const char continues[] =
    PAGE("20", "continues",
         ACCOUNT("20", "frank", "\"daint\"") "," ACCOUNT("20", "grace", "\"daint\"") "," ACCOUNT(
             "20", "heidi", "\"daint\""));
static const char ends[] =
    PAGE("23", "ends",
         ACCOUNT("21", "erin", "\"daint\"") "," DISABLED(
             "22", "frank") ","
                            "{\"revision\":\"23\",\"kind\":\"account\",\"key\":\"grace\","
                            "\"state\":null}");
static const char between[] = "{\"revision\":\"20\",\"snapshot\":false,\"changes\":[]}";

/* Who gets in with the pages, and who with the snapshot before them. */
static const struct {
    const char *user;
    enum replica_why before, after;
} users[] = {
    {"alice", REPLICA_ALLOWED, REPLICA_NO_ACCOUNT},
    {"erin", REPLICA_NO_ACCOUNT, REPLICA_ALLOWED},
    {"frank", REPLICA_NO_ACCOUNT, REPLICA_DISABLED},
    {"grace", REPLICA_NO_ACCOUNT, REPLICA_NO_ACCOUNT},
    {"heidi", REPLICA_NO_ACCOUNT, REPLICA_ALLOWED},
};

/* --- the replica --- */

static err_t take(struct replica *replica, const char *json) {
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    replica_kinds touched = 0;
    TRY(replica_apply(replica, answer, NOW, &touched));
    assert_true(!answer->snapshot || touched == REPLICA_KINDS_ALL);
    return OK;
}

static struct replica *make_replica(const char *path) {
    struct replica *replica = NULL;
    struct replica_self self = {.name = "daint-ln1", .max_age_s = MAX_AGE_S};
    struct buf snapshot CLEANUP(buf_done) = BUF(65536);
    put_snapshot(&snapshot);
    assert_ok(buf_add_byte(&snapshot, '\0'));
    assert_ok(replica_open_write(path, (gid_t)-1, &replica));
    assert_ok(replica_begin(replica));
    assert_ok(take(replica, (const char *)snapshot.data));
    assert_ok(replica_self_put(replica, &self));
    assert_ok(replica_commit(replica));
    return replica;
}

static err_t ignore_entry(void *context, const struct replica_entry *entry) {
    (void)context;
    (void)entry;
    return OK;
}

/* As one of sshd's commands asks, by a handle of its own. */
static void assert_replica(const char *path, bool after) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    uint64_t revision = 0;
    assert_ok(replica_open_read(path, &replica));
    assert_ok(replica_revision(replica, &revision));
    assert_int_equal(revision, after ? 23 : 10);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        struct replica_login login = {.user = users[i].user, .by = CREDENTIALS_KEYS, .now = NOW};
        struct replica_verdict verdict;
        assert_ok(replica_entry_list(replica, &login, &verdict, ignore_entry, NULL));
        assert_int_equal(verdict.why, after ? users[i].after : users[i].before);
    }
}

static void test_replica_refuses_disorder(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = make_replica("disorder.db");
    assert_ok(replica_begin(replica));
    assert_fails(take(replica, continues), ERR_ORDER);
    assert_fails(take(replica, ends), ERR_ORDER);
    assert_ok(take(replica, begins));
    assert_fails(replica_commit(replica), ERR_ORDER);
    assert_fails(take(replica, between), ERR_ORDER);
    assert_fails(take(replica, PAGE("19", "continues", "")), ERR_ORDER);
    assert_fails(replica_commit(replica), ERR_ORDER);
    replica_rollback(replica);
    assert_replica("disorder.db", false);
    /* And after that it is as good as ever. */
    assert_ok(replica_begin(replica));
    assert_fails(take(replica, continues), ERR_ORDER);
    assert_ok(take(replica, PAGE("20", "begins", ACCOUNT("20", "alice", "\"daint\""))));
    assert_ok(take(replica, begins)); /* anew: what the page before brought is gone */
    assert_ok(take(replica, continues));
    assert_ok(take(replica, ends));
    assert_ok(replica_commit(replica));
    assert_replica("disorder.db", true);
}

static void test_replica_shows_all_or_nothing(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = make_replica("whole.db");
    bool revoked = false;
    assert_ok(replica_begin(replica));
    assert_ok(take(replica, begins));
    assert_replica("whole.db", false);
    assert_ok(take(replica, continues));
    assert_ok(take(replica, ends));
    assert_replica("whole.db", false);
    assert_ok(replica_commit(replica));
    assert_replica("whole.db", true);
    assert_ok(replica_is_revoked(replica, 66, &revoked)); /* no snapshot takes one away */
    assert_true(revoked);
}

/* What a writer leaves that is killed between two pages is the last known good. */
static void test_killed_between_pages(void **state) {
    (void)state;
    struct replica *before = make_replica("killed.db");
    replica_close(before);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct replica *replica = NULL;
        bool done = !failed(replica_open_write("killed.db", (gid_t)-1, &replica)) &&
                    !failed(replica_begin(replica)) && !failed(take(replica, begins)) &&
                    !failed(take(replica, continues));
        (void)kill(getpid(), done ? SIGKILL : SIGABRT);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_replica("killed.db", false);
    struct replica *replica CLEANUP(replica_closep) = NULL;
    assert_ok(replica_open_write("killed.db", (gid_t)-1, &replica));
    assert_replica("killed.db", false);
    assert_ok(replica_begin(replica));
    assert_fails(take(replica, ends), ERR_ORDER);
    replica_rollback(replica);
}

/* --- the view --- */

static void assert_view(const struct view *view, bool after) {
    assert_int_equal(view_revision(view), after ? 23 : 10);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        assert_int_equal(view_account(view, &strict, users[i].user, CREDENTIALS_KEYS, NOW).why,
                         after ? users[i].after : users[i].before);
    }
}

static err_t show(struct view *view, const char *json, bool *revoked) {
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    return view_apply(view, answer, NOW, revoked);
}

static void test_view_takes_pages(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    bool revoked = true;
    assert_fails(show(view, continues, &revoked), ERR_ORDER);
    assert_fails(show(view, ends, &revoked), ERR_ORDER);
    assert_ok(show(view, PAGE("20", "begins", ACCOUNT("20", "alice", "\"daint\"")), &revoked));
    assert_false(revoked);
    assert_fails(show(view, between, &revoked), ERR_ORDER);
    assert_fails(show(view, PAGE("19", "continues", ""), &revoked), ERR_ORDER);
    assert_ok(show(view, begins, &revoked)); /* anew */
    assert_ok(show(view, continues, &revoked));
    assert_false(revoked);
    assert_view(view, false);
    assert_ok(show(view, ends, &revoked));
    assert_true(revoked);
    assert_view(view, true);
    assert_int_equal(view_count(view).revocations, 2); /* kept */
    /* The first snapshot of all may come in pages, and one in one piece in place of the rest. */
    struct view *another CLEANUP(view_freep) = NULL;
    assert_ok(view_new(&another));
    assert_ok(show(another, begins, &revoked));
    assert_fails(show(another, between, &revoked), ERR_ORDER);
    assert_int_equal(view_account(another, &strict, "heidi", CREDENTIALS_KEYS, NOW).why,
                     REPLICA_STALE);
    assert_ok(show(another, continues, &revoked));
    assert_ok(show(another, ends, &revoked));
    assert_false(revoked); /* nobody was in */
    assert_view(another, true);
    assert_ok(show(another, begins, &revoked));
    assert_ok(show(another, "{\"revision\":\"30\",\"snapshot\":true,\"changes\":[]}", &revoked));
    assert_fails(show(another, continues, &revoked), ERR_ORDER);
    assert_int_equal(view_count(another).accounts, 0);
}

/* --- told on --- */

/* A replica of so many accounts, and nothing else. */
static struct replica *make_large(const char *path, size_t accounts) {
    struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct replica *replica = NULL;
    assert_ok(change_answer_begin(&json, 7, true));
    for (size_t i = 0; i < accounts; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "u%06zu", i);
        assert_ok(change_answer_add(&json, 7, "account", name,
                                    "{\"enabled\":true,\"clusters\":[\"daint\"]}"));
    }
    assert_ok(change_answer_end(&json));
    assert_ok(buf_add_byte(&json, '\0'));
    assert_ok(replica_open_write(path, (gid_t)-1, &replica));
    assert_ok(replica_begin(replica));
    assert_ok(take(replica, (const char *)json.data));
    assert_ok(replica_commit(replica));
    return replica;
}

static void assert_pages(const char *path, size_t accounts, size_t expected) {
    struct replica *replica CLEANUP(replica_closep) = make_large(path, accounts);
    struct replica_pages *pages CLEANUP(replica_pages_freep) = NULL;
    struct view *view CLEANUP(view_freep) = NULL;
    bool more = true;
    size_t count = 0;
    assert_ok(view_new(&view));
    assert_ok(replica_pages_begin(replica, &pages));
    assert_int_equal(replica_pages_synced_at(pages), NOW);
    for (; more; count++) {
        struct buf page CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
        struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
        bool revoked = false;
        assert_ok(replica_pages_next(pages, &page, &more));
        assert_ok(change_answer_decode(buf_span(&page), &answer, NULL));
        assert_true(answer->more == more && answer->continues == (count > 0));
        assert_true(answer->count <= LIMIT_FEED_PAGE_CHANGES_COUNT);
        assert_int_equal(view_count(view).accounts, 0);
        assert_ok(view_apply(view, answer, NOW, &revoked));
    }
    assert_int_equal(count, expected);
    assert_int_equal(view_count(view).accounts, accounts);
    assert_int_equal(view_revision(view), 7);
}

static void test_replica_tells_pages(void **state) {
    (void)state;
    assert_pages("one.db", LIMIT_FEED_PAGE_CHANGES_COUNT, 1);
    assert_pages("two.db", LIMIT_FEED_PAGE_CHANGES_COUNT + 1, 2);
    assert_pages("many.db", 5 * LIMIT_FEED_PAGE_CHANGES_COUNT, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replica_refuses_disorder),
        cmocka_unit_test(test_replica_shows_all_or_nothing),
        cmocka_unit_test(test_killed_between_pages),
        cmocka_unit_test(test_view_takes_pages),
        cmocka_unit_test(test_replica_tells_pages),
    };
    return cmocka_run_group_tests_name("pages", tests, feed_setup, fixture_teardown);
}
