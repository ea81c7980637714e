#include "replica_fixture.h"

#include "host/login/login.h"

/* --- where an account and a key are good from --- */

#define CHANGE(kind, key, state)                                                                   \
    "{\"revision\":\"1\",\"kind\":\"" kind "\",\"key\":\"" key "\",\"state\":" state "}"
#define HOST(name, role, address)                                                                  \
    CHANGE("host", name,                                                                           \
           "{\"cluster\":\"\",\"role\":\"" role "\",\"address\":\"" address "\",\"port\":22}")

static struct replica *open_as(const struct place *place, const char *host) {
    struct replica *replica = NULL;
    struct replica_self self = {.max_age_s = MAX_AGE_S};
    (void)snprintf(self.name, sizeof self.name, "%s", host);
    assert_ok(replica_open_write(place->path, (gid_t)-1, &replica));
    assert_ok(replica_self_put(replica, &self));
    apply(
        replica,
        "{\"revision\":\"1\",\"snapshot\":true,\"changes\":[" HOST("2001:db8::10", "jump", "") "," HOST(
            "ela", "jump",
            "192.0.2.10") "," HOST("ela2", "jump",
                                   "ela2.example.org") "," CHANGE("cluster", "daint",
                                                                  "{\"address\":\"\",\"port\":22}") "," CHANGE("host",
                                                                                                               "ln1",
                                                                                                               "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"\",\"port\":22}") "]}");
    return replica;
}

static const struct {
    const char *host, *account, *key;
    bool internal;
    const char *from; /* NULL: nowhere */
} cases[] = {
    {"ln1", "", "", false, ""},
    {"ln1", "10.0.0.0/8", "", false, "10.0.0.0/8,2001:db8::10,192.0.2.10"},
    {"ln1", "", "10.0.0.0/8", false, "10.0.0.0/8,2001:db8::10,192.0.2.10"},
    {"ln1", "10.0.0.0/8", "10.1.0.0/16", false, "10.1.0.0/16,2001:db8::10,192.0.2.10"},
    {"ln1", "10.1.0.0/16", "10.0.0.0/8", false, "10.1.0.0/16,2001:db8::10,192.0.2.10"},
    {"ln1", "10.0.0.0/8,192.168.0.0/16", "192.168.7.0/24,172.16.0.0/12", false,
     "192.168.7.0/24,2001:db8::10,192.0.2.10"},
    {"ln1", "10.0.0.0/8", "192.168.0.0/16", false, NULL},
    {"ln1", "10.0.0.0/8", "2001:db8::/32", false, NULL},
    /* Who comes to a jump host comes from elsewhere. */
    {"ela", "10.0.0.0/8", "", false, "10.0.0.0/8"},
    {"ela", "", "10.0.0.0/8", false, "10.0.0.0/8"},
    /* Internal keys: from inside, whatever the account chose, and never through a jump host. */
    {"ln1", "", "10.0.0.0/8", true, "!2001:db8::10,!192.0.2.10,10.0.0.0/8"},
    {"ln1", "172.16.0.0/12", "10.0.0.0/8", true, "!2001:db8::10,!192.0.2.10,10.0.0.0/8"},
    {"ln1", "", "", true, NULL},
};

static void test_from(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct place place;
        struct buf from CLEANUP(buf_done) = BUF(4096);
        const struct replica_key key = {.subnets = cases[i].key, .internal = cases[i].internal};
        bool nowhere = false;
        place_make(&place);
        struct replica *replica = open_as(&place, cases[i].host);
        assert_ok(login_from_key(replica, cases[i].account, &key, &from, &nowhere));
        assert_int_equal(nowhere, cases[i].from == NULL);
        if (!nowhere && !span_equal_str(buf_span(&from), cases[i].from)) {
            print_error("%zu: %.*s\n", i, (int)from.len, (const char *)from.data);
        }
        assert_true(nowhere || span_equal_str(buf_span(&from), cases[i].from));
        if (cases[i].key[0] == '\0' && !cases[i].internal) {
            buf_clear(&from);
            assert_ok(login_from_account(replica, cases[i].account, &from));
            assert_true(span_equal_str(buf_span(&from), cases[i].from));
        }
        replica_close(replica);
        place_remove(&place);
    }
}

static void test_lines(void **state) {
    (void)state;
    struct buf options CLEANUP(buf_done) = BUF(256);
    struct buf out CLEANUP(buf_done) = BUF(256);
    assert_ok(login_put_line(&out, &options, "", "alice"));
    assert_ok(login_put_option(&options, "from", "10.0.0.0/8"));
    assert_ok(login_put_option(&options, "expiry-time", "20270101000000"));
    assert_ok(login_put_line(&out, &options, "job:", "1@nancy"));
    assert_true(span_equal_str(
        buf_span(&out), "alice\nfrom=\"10.0.0.0/8\",expiry-time=\"20270101000000\" job:1@nancy\n"));
}

static void test_repeated_entries(void **state) {
    (void)state;
    struct login_entry items[] = {
        {.account = "alice", .job = "3"}, {.account = "bob", .job = "2"}, {.account = "alice"}};
    const struct login_entries entries = {items, COUNT_OF(items)};
    assert_false(login_entries_repeat(&entries, 0) || login_entries_repeat(&entries, 1));
    assert_true(login_entries_repeat(&entries, 2));
    assert_int_equal(login_entries_why(&entries, "alice"), LOGIN_JOB_NEWEST);
    assert_int_equal(login_entries_why(&entries, "bob"), LOGIN_JOB_ONLY);
    assert_int_equal(login_entries_why(&entries, "carol"), LOGIN_JOB_ONLY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_repeated_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
