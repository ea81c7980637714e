/* The sessions at the gates, as the authority keeps them, and how hosts are. */
#include "authority/gate_sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/host_reports.h"
#include "check.h"

enum { ELA = 7, EMIL = 9, NOW = 1000 };

static int set_up(void **state) {
    struct gate_sessions *sessions = NULL;
    err_t err = gate_sessions_new(&sessions);
    *state = sessions;
    return failed(err) ? -1 : 0;
}

static int tear_down(void **state) {
    gate_sessions_free(*state);
    return 0;
}

static struct gate_session session_of(unsigned number, const char *account) {
    struct gate_session session = {.since = NOW, .destinations = strdup("daint:22")};
    (void)snprintf(session.id, sizeof session.id, "%024x", number);
    (void)snprintf(session.account, sizeof session.account, "%s", account);
    return session;
}

static err_t put(struct gate_sessions *sessions, entity_id gate, unsigned number,
                 const char *account) {
    struct gate_session session = session_of(number, account);
    err_t err = gate_sessions_put(sessions, gate, &session);
    gate_session_done(&session);
    return err;
}

static err_t print(void *context, const struct gate_session *session) {
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%s:%s@%s ", session->account,
                   session->id + strspn(session->id, "0"), session->gate);
    return OK;
}

static void expect(const struct gate_sessions *sessions, struct gate_session_filter filter,
                   const char *expected) {
    char text[256] = "";
    filter.max = filter.max == 0 ? 99 : filter.max;
    assert_ok(gate_sessions_list(sessions, &filter, print, text));
    assert_string_equal(text, expected);
}

static void test_epochs(void **state) {
    struct gate_sessions *sessions = *state;
    assert_fails(gate_sessions_heard(sessions, ELA, 5, NOW), ERR_CONFLICT);
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 5, NOW));
    assert_fails(gate_sessions_heard(sessions, ELA, 6, NOW), ERR_CONFLICT);
    assert_fails(gate_sessions_heard(sessions, EMIL, 5, NOW), ERR_CONFLICT);
    assert_ok(gate_sessions_heard(sessions, ELA, 5, NOW));
    assert_ok(put(sessions, ELA, 1, "alice"));
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 6, NOW)); /* it tells anew */
    assert_fails(gate_sessions_heard(sessions, ELA, 5, NOW), ERR_CONFLICT);
    assert_int_equal(gate_sessions_count(sessions, ELA), 0);
    expect(sessions, (struct gate_session_filter){0}, "");
}

static void test_own_alone(void **state) {
    struct gate_sessions *sessions = *state;
    char id[GATE_SESSION_ID_CHARS + 1];
    (void)snprintf(id, sizeof id, "%024x", 1);
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 5, NOW));
    assert_ok(gate_sessions_begin(sessions, EMIL, "emil", 6, NOW));
    assert_ok(put(sessions, ELA, 1, "alice"));
    gate_sessions_end(sessions, EMIL, id); /* not its own */
    assert_ok(put(sessions, EMIL, 1, "bob"));
    expect(sessions, (struct gate_session_filter){0}, "bob:1@emil alice:1@ela ");
    assert_ok(gate_sessions_begin(sessions, EMIL, "emil", 7, NOW));
    expect(sessions, (struct gate_session_filter){0}, "alice:1@ela ");
    assert_non_null(gate_sessions_find(sessions, "ela", id));
    assert_null(gate_sessions_find(sessions, "emil", id));
    gate_sessions_end(sessions, ELA, id);
    gate_sessions_end(sessions, ELA, id);
    assert_null(gate_sessions_find(sessions, "ela", id));
}

static void test_list(void **state) {
    struct gate_sessions *sessions = *state;
    struct gate_session changed = session_of(2, "bob");
    char id[GATE_SESSION_ID_CHARS + 1];
    (void)snprintf(id, sizeof id, "%024x", 3);
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 5, NOW));
    assert_ok(gate_sessions_begin(sessions, EMIL, "emil", 6, NOW));
    assert_ok(put(sessions, ELA, 3, "alice"));
    assert_ok(put(sessions, ELA, 1, "alice"));
    assert_ok(put(sessions, EMIL, 4, "alice"));
    assert_ok(put(sessions, ELA, 2, "carol"));
    assert_ok(gate_sessions_put(sessions, ELA, &changed)); /* the same one */
    assert_null(changed.destinations);
    assert_int_equal(gate_sessions_count(sessions, ELA), 3);
    expect(sessions, (struct gate_session_filter){0},
           "alice:4@emil alice:3@ela bob:2@ela "
           "alice:1@ela ");
    expect(sessions, (struct gate_session_filter){.max = 2}, "alice:4@emil alice:3@ela ");
    expect(sessions, (struct gate_session_filter){.before_id = id, .before_gate = "ela"},
           "bob:2@ela alice:1@ela ");
    expect(sessions, (struct gate_session_filter){.account = "alice", .gate = "ela"},
           "alice:3@ela alice:1@ela ");
    expect(sessions, (struct gate_session_filter){.account = "carol"}, "");
    gate_sessions_end(sessions, ELA, id); /* a page goes on behind one that has ended */
    expect(sessions, (struct gate_session_filter){.before_id = id, .before_gate = "ela"},
           "bob:2@ela alice:1@ela ");
}

static void test_silence(void **state) {
    struct gate_sessions *sessions = *state;
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 5, NOW));
    assert_ok(gate_sessions_begin(sessions, EMIL, "emil", 6, NOW));
    assert_ok(put(sessions, ELA, 1, "alice"));
    assert_ok(put(sessions, EMIL, 2, "bob"));
    assert_ok(gate_sessions_heard(sessions, EMIL, 6, NOW + 1));
    gate_sessions_expire(sessions, NOW + LIMIT_GATE_SILENT_S);
    expect(sessions, (struct gate_session_filter){0}, "bob:2@emil alice:1@ela ");
    gate_sessions_expire(sessions, NOW + LIMIT_GATE_SILENT_S + 1);
    expect(sessions, (struct gate_session_filter){0}, "bob:2@emil ");
    assert_fails(gate_sessions_heard(sessions, ELA, 5, NOW), ERR_CONFLICT);
    gate_sessions_forget(sessions, EMIL);
    gate_sessions_forget(sessions, EMIL);
    expect(sessions, (struct gate_session_filter){0}, "");
}

static void test_bounds(void **state) {
    struct gate_sessions *sessions = *state;
    for (entity_id gate = 1; gate <= 4; gate++) {
        char name[8];
        (void)snprintf(name, sizeof name, "g%u", (unsigned)gate);
        assert_ok(gate_sessions_begin(sessions, gate, name, 5, NOW));
        for (unsigned i = 0; i < LIMIT_GATE_SESSIONS_COUNT; i++) {
            assert_ok(put(sessions, gate, i, "alice"));
        }
        assert_fails(put(sessions, gate, LIMIT_GATE_SESSIONS_COUNT, "alice"), ERR_TOO_LONG);
        assert_ok(put(sessions, gate, 0, "bob")); /* a change is no more */
    }
    assert_ok(gate_sessions_begin(sessions, ELA, "ela", 5, NOW));
    assert_fails(put(sessions, ELA, 1, "alice"), ERR_TOO_LONG);
    gate_sessions_forget(sessions, 1);
    assert_ok(put(sessions, ELA, 1, "alice"));
}

static void test_reports(void **state) {
    (void)state;
    struct host_reports *reports = NULL;
    struct host_report *report = NULL;
    assert_ok(host_reports_new(&reports));
    assert_null(host_reports_find(reports, 1));
    for (entity_id id = 1000; id > 0; id--) {
        assert_ok(host_reports_take(reports, id, &report));
        assert_int_equal(report->seen_at, 0);
        report->seen_at = (int64_t)id;
    }
    host_reports_forget(reports, 500);
    host_reports_forget(reports, 500);
    assert_null(host_reports_find(reports, 500));
    assert_int_equal(host_reports_find(reports, 499)->seen_at, 499);
    assert_int_equal(host_reports_find(reports, 501)->seen_at, 501);
    assert_ok(host_reports_take(reports, 1000, &report));
    assert_int_equal(report->seen_at, 1000);
    host_reports_free(reports);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_epochs), TEST(test_own_alone),
                                       TEST(test_list),   TEST(test_silence),
                                       TEST(test_bounds), TEST(test_reports)};
    return cmocka_run_group_tests_name("gate_sessions", tests, NULL, NULL);
}
