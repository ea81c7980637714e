#include "job_site.h"

#include "feed/view.h"
#include "ssh/key.h"

static const struct view_rules strict = {.max_age_s = MAX_AGE_S};

static bool tell(struct view *view, const char *json) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    bool revoked = false;
    assert_ok(change_answer_decode(span_str(json), &answer, NULL));
    assert_ok(view_apply(view, answer, NOW, &revoked));
    return revoked;
}

static struct view *fresh_view(void) {
    struct view *view = NULL;
    struct buf json CLEANUP(buf_done) = BUF(65536);
    put_site(&json);
    assert_ok(view_new(&view));
    assert_false(tell(view, (const char *)json.data));
    return view;
}

static char *one_change(const char *kind, const char *key, const char *state) {
    struct buf json CLEANUP(buf_done) = BUF(65536);
    char *text = NULL;
    assert_ok(change_answer_begin(&json, 11, false));
    assert_ok(change_answer_add(&json, 11, kind, key, state));
    assert_ok(change_answer_end(&json));
    assert_ok(buf_to_str(&json, &text));
    return text;
}

static bool change_view(struct view *view, const char *kind, const char *key, const char *state) {
    char *json CLEANUP(freep) = one_change(kind, key, state);
    return tell(view, json);
}

static struct view_destination lead(const struct view *view, const char *user, enum credentials by,
                                    const char *host, uint16_t port, int64_t now) {
    const struct view_asked asked = {
        .user = user, .by = by, .host = span_str(host), .port = port, .now = now};
    return view_destination(view, &asked);
}

/* --- the same as the replica --- */

static const char *const accounts[] = {"alice", "bob", "carol", "dave", "erin", "uprod", "root"};
static const char *const hosts[] = {"ln", "n1", "n2", "c1", "j1", "lost", "jump"};
static const enum credentials kinds[] = {CREDENTIALS_CERTIFICATES, CREDENTIALS_KEYS};

struct seeker {
    const char *account;
    bool found;
};

static err_t is_sought(void *context, const struct replica_entry *entry) {
    struct seeker *seeker = context;
    seeker->found = seeker->found || strcmp(entry->account, seeker->account) == 0;
    return OK;
}

/* Whether the host lets the account in, as whichever user. */
static bool host_lets_in(struct replica *replica, const char *account, enum credentials by,
                         int64_t now) {
    struct seeker seeker = {.account = account};
    for (size_t i = 0; i < COUNT_OF(accounts); i++) {
        const struct replica_login login = {accounts[i], by, now, 1, NULL};
        struct replica_verdict verdict;
        assert_ok(replica_entry_list(replica, &login, &verdict, is_sought, &seeker));
    }
    return seeker.found;
}

struct listing {
    const struct view *view;
    const char *account;
    enum credentials by;
    int64_t now;
    size_t count;
};

static err_t is_led_to(void *context, const char *name, uint16_t port) {
    struct listing *listing = context;
    listing->count++;
    assert_true(
        lead(listing->view, listing->account, listing->by, name, port, listing->now).allowed);
    return OK;
}

/* A gate leads exactly where a host then lets in, and where a jump host on sshd would lead. */
static void compare(struct replica *replica, const struct view *view, int64_t now) {
    static const struct {
        const char *name;
        uint16_t port;
    } others[] = {{"nancy", 22}, {"open", 22}, {"192.0.2.77", 2201}};
    for (size_t a = 0; a < COUNT_OF(accounts); a++) {
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            struct listing listing = {view, accounts[a], kinds[k], now, 0};
            size_t led = 0;
            for (size_t h = 0; h < COUNT_OF(hosts); h++) {
                bool leads = lead(view, accounts[a], kinds[k], hosts[h], 22, now).allowed;
                bool is_jump = strcmp(hosts[h], "jump") == 0;
                stand_at(replica, hosts[h]);
                bool lets_in = host_lets_in(replica, accounts[a], kinds[k], now);
                assert_int_equal(leads, lets_in && !is_jump);
                assert_true(!is_jump ||
                            lets_in ==
                                view_account(view, &strict, accounts[a], kinds[k], now).allowed);
                led += leads ? 1 : 0;
            }
            for (size_t o = 0; o < COUNT_OF(others); o++) {
                led +=
                    lead(view, accounts[a], kinds[k], others[o].name, others[o].port, now).allowed;
            }
            assert_ok(replica_destination_list(replica, accounts[a], kinds[k], NULL, now, is_led_to,
                                               &listing));
            assert_int_equal(listing.count, led);
        }
    }
}

static void test_same_as_the_replica(void **state) {
    (void)state;
    static const struct {
        const char *kind, *key, *state;
    } steps[] = {
        {"job", "1@nancy", ""},
        {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "deploy", "\"n2\"", BEFORE)},
        {"account", "carol", "{\"enabled\":true,\"clusters\":[\"nancy\"]}"},
        {"account", "bob", "{\"enabled\":false,\"clusters\":[]}"},
        {"cluster", "nancy", "{\"address\":\"\",\"port\":22}"},
        {"cluster", "nancy", "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\"}"},
        {"job", "20@nancy", STATE_JOB("alice", "nancy", "alice", "cluster", "\"j1\"", BEFORE)},
        {"job", "21@nancy", STATE_JOB("erin", "nancy", "erin", "shared", "\"n1\"", BEFORE)},
        {"account", "erin", "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"]}"},
        {"host", "n1", "{\"cluster\":\"open\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
        {"cluster", "open", ""},
        {"host", "j1", ""},
        {"job", "21@nancy", ""},
    };
    static const int64_t nows[] = {NOW - 1, NOW, NOW + 1, NOW + MAX_AGE_S};
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct view *view CLEANUP(view_freep) = fresh_view();
    struct buf json CLEANUP(buf_done) = BUF(65536);
    put_site(&json);
    place_make(&place);
    assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
    apply(replica, (const char *)json.data);
    for (size_t i = 0; i <= COUNT_OF(steps); i++) {
        for (size_t n = 0; n < COUNT_OF(nows); n++) {
            compare(replica, view, nows[n]);
        }
        struct replica_info info;
        assert_ok(replica_info(replica, &info));
        assert_int_equal(info.jobs, view_count(view).jobs);
        if (i < COUNT_OF(steps)) {
            char *change CLEANUP(freep) = one_change(steps[i].kind, steps[i].key, steps[i].state);
            apply(replica, change);
            (void)tell(view, change);
        }
    }
    replica_closep(&replica);
    place_remove(&place);
}

/* --- jobs by name --- */

static void test_jobs_by_name(void **state) {
    (void)state;
    static const struct {
        const char *user, *host;
        uint16_t port;
        const char *address; /* NULL: nowhere */
        uint16_t to_port;
    } cases[] = {
        {"bob", "job-1", 22, NULL, 0}, /* alice's */
        {"alice", "job-3", 22, NULL, 0},
        {"alice", "job-", 22, NULL, 0},
        {"alice", "job", 22, NULL, 0},
        {"alice", "job-1@", 22, NULL, 0},
        {"alice", "job-1@open", 22, NULL, 0},
        {"alice", "job-1@nancyx", 22, NULL, 0},
        {"alice", "job-1.", 22, "n1", 22}, /* a dot at the end of a host's name */
        {"alice", "job-1..", 22, NULL, 0},
        {"alice", "job-1.n3", 22, NULL, 0},
        {"alice", "job-1", 2201, NULL, 0},
        {"alice", "job-4", 22, NULL, 0}, /* of another user's name: opens nothing */
        {"alice", "job-1", 22, "n1", 22},
        {"alice", "JOB-1@Nancy", 22, "n1", 22},
        {"alice", "job-1.n2", 22, "n2", 22},
        {"alice", "job-1@nancy.n2", 22, "n2", 22},
        {"bob", "job-13", 22, NULL, 0}, /* without nodes */
        {"alice", "job-20", 22, "192.0.2.77", 2201},
        {"alice", "job-20", 2201, "192.0.2.77", 2201},
        {"alice", "job-20", 2202, NULL, 0},
        {"alice", "job-20.j1", 22, "j1", 22},
        {"alice", "job-20.n1", 22, NULL, 0}, /* no host of its own */
        {"alice", "192.0.2.77", 2201, "192.0.2.77", 2201},
        {"alice", "192.0.2.77", 22, NULL, 0},
        {"bob", "192.0.2.77", 2201, NULL, 0},
        {"alice", "job-50", 22, "n2", 22},   /* its newest */
        {"alice", "job-50.7", 22, "n1", 22}, /* a job, and no node of job 50 */
        {"alice", "job-A_b+1", 22, "n1", 22},
        {"alice", "job-60", 22, NULL, 0}, /* its node is no host of the feed */
        {"alice", "job-60.metadata.example", 22, NULL, 0},
        {"alice", "metadata.example", 22, NULL, 0},
    };
    static const struct {
        const char *key, *state;
    } more[] = {
        {"50@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"n2\"", LATER)},
        {"50.7@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"n1\"", BEFORE)},
        {"A_b+1@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"n1\"", BEFORE)},
        {"60@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"metadata.example\"", BEFORE)},
    };
    struct view *view CLEANUP(view_freep) = fresh_view();
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        assert_false(change_view(view, "job", more[i].key, more[i].state));
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct view_destination to =
            lead(view, cases[i].user, CREDENTIALS_CERTIFICATES, cases[i].host, cases[i].port, NOW);
        if (to.allowed != (cases[i].address != NULL)) {
            print_error("%s to %s:%u\n", cases[i].user, cases[i].host, cases[i].port);
        }
        assert_int_equal(to.allowed, cases[i].address != NULL);
        assert_false(
            lead(view, cases[i].user, CREDENTIALS_KEYS, cases[i].host, cases[i].port, NOW).allowed);
        if (to.allowed) {
            assert_string_equal(to.address, cases[i].address);
            assert_int_equal(to.port, cases[i].to_port);
            assert_string_equal(to.cluster, "nancy");
        }
    }
    assert_false(lead(view, "alice", 0, "job-1", 22, NOW).allowed);
    assert_false(lead(view, "alice", CREDENTIALS_CERTIFICATES, "job-20", 22, NOW + 1).allowed);
}

/* Until the last of the jobs that open a place; a job by its name, until that one. */
static void test_until_when(void **state) {
    (void)state;
    static const struct {
        const char *key, *state; /* what is told before */
        const char *host;
        uint16_t port;
        int64_t after_s; /* that it ends; 0: never */
    } steps[] = {
        {"1@nancy", "", "n2", 22, 0},
        {"2@nancy", "", "n1", 22, 0},
        {"70@nancy",
         STATE_JOB("alice", "nancy", "alice", "whole", "\"n2\"",
                   BEFORE ",\"endTime\":\"2027-01-15T08:01:00Z\""),
         "n2", 22, 60},
        {"71@nancy",
         STATE_JOB("alice", "nancy", "alice", "whole", "\"n2\"",
                   BEFORE ",\"endTime\":\"2027-01-15T08:02:00Z\""),
         "n2", 22, 120},
        {"70@nancy",
         STATE_JOB("alice", "nancy", "alice", "whole", "\"n2\"",
                   BEFORE ",\"endTime\":\"2027-01-15T08:00:30Z\""),
         "job-70", 22, 30},
        {"72@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"n2\"", BEFORE), "n2", 22, 0},
        {"1@nancy", "", "192.0.2.77", 2201, 1},
        {"1@nancy", "", "job-20", 22, 1},
    };
    struct view *view CLEANUP(view_freep) = fresh_view();
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        (void)change_view(view, "job", steps[i].key, steps[i].state);
        struct view_destination to =
            lead(view, "alice", CREDENTIALS_CERTIFICATES, steps[i].host, steps[i].port, NOW);
        assert_int_equal(to.ends_at, steps[i].after_s == 0 ? 0 : NOW + steps[i].after_s);
    }
}

/* Who reaches the cluster is told that a job is what lacks; nobody else learns that there is such a
 * node. */
static void test_lacks_job(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh_view();
    size_t counts[3] = {0};
    assert_false(change_view(view, "account", "carol",
                             "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"]}"));
    for (size_t i = 0; i < COUNT_OF(accounts); i++) {
        bool reaches = lead(view, accounts[i], CREDENTIALS_CERTIFICATES, "ln", 22, NOW).allowed;
        struct view_destination to =
            lead(view, accounts[i], CREDENTIALS_CERTIFICATES, "n2", 22, NOW);
        assert_int_equal(to.lacks_job, reaches && !to.allowed);
        counts[to.allowed ? 0 : to.lacks_job ? 1 : 2]++;
        assert_false(lead(view, accounts[i], CREDENTIALS_CERTIFICATES, "n2", 23, NOW).lacks_job);
        assert_false(lead(view, accounts[i], CREDENTIALS_CERTIFICATES, "n9", 22, NOW).lacks_job);
    }
    assert_true(counts[0] > 0 && counts[1] > 0 && counts[2] > 0);
}

static err_t append_jobs(void *context, const char *job, const char *nodes, size_t node_count) {
    TRY(buf_add_format(context, "%s", job));
    for (size_t i = 0; i < node_count; i++) {
        TRY(buf_add_format(context, ",%s", nodes));
        nodes += strlen(nodes) + 1;
    }
    return buf_add_str(context, " ");
}

static void test_list(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh_view();
    struct buf text CLEANUP(buf_done) = BUF(4096);
    assert_ok(view_job_list(view, "nobody", NOW, append_jobs, &text));
    assert_int_equal(text.len, 0);
    assert_ok(view_job_list(view, "bob", NOW, append_jobs, &text));
    assert_true(span_equal_str(buf_span(&text), "9@open,n1,c1 3@nancy,n2 13@nancy "));
    struct buf small CLEANUP(buf_done) = BUF(20);
    assert_fails(view_job_list(view, "alice", NOW, append_jobs, &small), ERR_TOO_LONG);
}

/* --- what ends --- */

static void test_what_takes_away(void **state) {
    (void)state;
    static const struct {
        const char *kind, *key, *state;
        bool revoked;
    } cases[] = {
        {"job", "1@nancy", "", true},
        {"job", "99@nancy", "", false},
        {"job", "99@nancy", STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"", BEFORE), false},
        {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "shared", "\"n1\"", LATER), false},
        {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "shared", "\"n1\"", BEFORE), false},
        {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "shared", "\"n2\"", LATER), true},
        {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "whole", "\"n1\"", LATER), true},
        {"job", "2@nancy", STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"", LATER), true},
        {"job", "2@nancy",
         STATE_JOB("alice", "nancy", "alice", "shared", "\"n1\"",
                   LATER ",\"endTime\":\"2027-01-16T00:00:00Z\""),
         true},
        {"job", "11@nancy",
         STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"",
                   BEFORE ",\"endTime\":\"2027-01-16T00:00:00Z\""),
         false},
        {"account", "alice",
         "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"],\"ipSubnets\":[\"10.0.0.0/8\"]}",
         true},
        {"account", "bob",
         "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"],\"ipSubnets\":[\"10.0.0.0/8\"]}",
         true},
        {"account", "bob", "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"]}", false},
        {"account", "alice",
         "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"],\"windowUntil\":"
         "\"2027-01-16T00:00:00Z\"}",
         false},
        {"cluster", "nancy", "{\"address\":\"\",\"port\":22}", false}, /* takes more, asks less */
        {"cluster", "nancy",
         "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\",\"credentials\":\"keys\"}", true},
        {"cluster", "open",
         "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\",\"credentials\":\"keys\"}", true},
        {"cluster", "open", "{\"address\":\"\",\"port\":22,\"credentials\":\"certificates\"}",
         true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct view *view CLEANUP(view_freep) = fresh_view();
        bool revoked = change_view(view, cases[i].kind, cases[i].key, cases[i].state);
        if (revoked != cases[i].revoked) {
            print_error("case %zu: %s %s\n", i, cases[i].kind, cases[i].key);
        }
        assert_int_equal(revoked, cases[i].revoked);
    }
}

static struct inet_address address_of(const char *text) {
    struct inet_address address;
    assert_ok(inet_address_parse(span_str(text), &address));
    return address;
}

/* Where the account may come from, which credentials its clusters take, and whose key it is. */
static void test_sources_and_credentials(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh_view();
    struct key *key CLEANUP(key_freep) = NULL;
    const struct inet_address inside = address_of("10.1.2.3");
    const struct inet_address outside = address_of("198.51.100.7");
    int64_t ends = 7;
    assert_ok(key_parse_line(SPAN_LITERAL(CA_LINE), &key, NULL));
    /* An internal key is none here, wherever it comes from. */
    assert_int_equal(view_key(view, &strict, key, "bob", &inside, NOW, &ends).why, REPLICA_NO_KEY);
    (void)change_view(view, "key", "2", "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE "\"}");
    assert_true(view_key(view, &strict, key, "bob", &inside, NOW, &ends).allowed);
    assert_int_equal(view_key(view, &strict, key, "bob", &outside, NOW, &ends).why, REPLICA_SOURCE);
    assert_int_equal(view_key(view, &strict, key, "bob", NULL, NOW, &ends).why, REPLICA_SOURCE);
    struct view_session session = {.user = "bob", .source = &inside, .key_blob = key_blob(key)};
    assert_true(view_session(view, &strict, &session, NOW).allowed);
    session.source = &outside;
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_SOURCE);
    session.source = NULL;
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_SOURCE);
    session = (struct view_session){.user = "bob", .source = &outside, .serial = 1};
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_SOURCE);
    session.source = &inside;
    assert_true(view_session(view, &strict, &session, NOW).allowed);
    /* The one cluster that takes certificates takes them no more. */
    (void)change_view(view, "cluster", "nancy",
                      "{\"address\":\"\",\"port\":22,\"credentials\":\"keys\"}");
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_NO_CREDENTIAL);
    session = (struct view_session){.user = "bob", .source = &inside, .key_blob = key_blob(key)};
    assert_true(view_session(view, &strict, &session, NOW).allowed);
    (void)change_view(view, "key", "2",
                      "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE "\",\"use\":\"internal\"}");
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_NO_KEY);
}

static void test_window(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh_view();
    const struct inet_address inside = address_of("10.1.2.3");
    const struct inet_address outside = address_of("198.51.100.7");
    assert_false(view_window(view, "nobody", &inside, NOW));
    assert_false(view_window(view, "alice", &inside, NOW));
    (void)change_view(view, "account", "alice",
                      "{\"enabled\":true,\"clusters\":[],\"windowUntil\":"
                      "\"2027-01-15T08:00:01Z\",\"ipSubnets\":[\"10.0.0.0/8\"]}");
    assert_true(view_window(view, "alice", &inside, NOW));
    assert_false(view_window(view, "alice", &inside, NOW + 1));
    assert_false(view_window(view, "alice", &outside, NOW));
    assert_false(view_window(view, "alice", NULL, NOW));
    (void)change_view(view, "account", "alice",
                      "{\"enabled\":false,\"clusters\":[],\"windowUntil\":"
                      "\"2027-01-15T08:00:01Z\"}");
    assert_false(view_window(view, "alice", &inside, NOW));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_the_replica),
        cmocka_unit_test(test_jobs_by_name),
        cmocka_unit_test(test_until_when),
        cmocka_unit_test(test_lacks_job),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_what_takes_away),
        cmocka_unit_test(test_sources_and_credentials),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
