/* Where an account may go, by every spelling of a place that a client can think of. */
#include "feed_fixture.h"

static const struct {
    const char *user, *host;
    uint16_t port;
    const char *address; /* NULL: refused */
    bool named_itself;
} destinations[] = {
    {"alice", "daint", 22, "login.daint.example", false},
    {"alice", "DAINT", 22, "login.daint.example", false},
    {"alice", "daint.", 22, "login.daint.example", false},
    {"alice", "login.daint.example", 22, "login.daint.example", false},
    {"alice", "Login.Daint.Example.", 22, "login.daint.example", false},
    {"alice", "daint-ln1", 2222, "10.0.0.1", true},
    {"alice", "10.0.0.1", 2222, "10.0.0.1", true},
    {"alice", "::ffff:10.0.0.1", 2222, "10.0.0.1", true}, /* the same address */
    {"alice", "nid001.daint.example", 22, "nid001.daint.example", false},
    {"alice", "six", 22, "2001:DB8:0::1", true},
    {"alice", "2001:db8::1", 22, "2001:DB8:0::1", true},
    {"alice", "2001:0DB8::0001", 22, "2001:DB8:0::1", true},
    {"alice", "here", 2200, "127.0.0.1", true},
    {"alice", "127.0.0.1", 2200, "127.0.0.1", true},
    {"alice", "192.0.2.7", 22, "192.0.2.7", true},
    {"carol", "192.0.2.7", 22, "192.0.2.7", true}, /* as daint2's, not as santis' */
    /* not for this account */
    {"bob", "daint", 22, NULL, false},
    {"carol", "daint", 22, NULL, false},
    {"carol", "santis", 22, NULL, false},
    {"dave", "daint", 22, NULL, false},
    {"nobody", "daint", 22, NULL, false},
    {"", "daint", 22, NULL, false},
    {"alice", "bare", 22, NULL, false},
    {"alice", "daint2", 22, NULL, false},
    /* not at this port */
    {"alice", "daint", 0, NULL, false},
    {"alice", "daint", 80, NULL, false},
    {"alice", "daint-ln1", 22, NULL, false},
    {"alice", "here", 22, NULL, false},
    {"alice", "127.0.0.1", 22, NULL, false},
    /* a jump host leads to no jump host */
    {"alice", "ela", 22, NULL, false},
    {"alice", "192.0.2.9", 22, NULL, false},
    /* other spellings of what there is, and what nobody named */
    {"alice", "", 22, NULL, false},
    {"alice", ".", 22, NULL, false},
    {"alice", "daint..", 22, NULL, false},
    {"alice", ".daint", 22, NULL, false},
    {"alice", " daint", 22, NULL, false},
    {"alice", "daint ", 22, NULL, false},
    {"alice", "daint\n", 22, NULL, false},
    {"alice", "daint\t", 22, NULL, false},
    {"alice", "d\xc3\xa4int", 22, NULL, false},
    {"alice", "daint,santis", 22, NULL, false},
    {"alice", "*", 22, NULL, false},
    {"alice", "d*", 22, NULL, false},
    {"alice", "daint:22", 22, NULL, false},
    {"alice", "daint#", 22, NULL, false},
    {"alice", "alice@daint", 22, NULL, false},
    {"alice", "daint/../x", 22, NULL, false},
    {"alice", "%64aint", 22, NULL, false},
    {"alice", "127.1", 2200, NULL, false},
    {"alice", "2130706433", 2200, NULL, false},
    {"alice", "0x7f.1", 2200, NULL, false},
    {"alice", "0x7f000001", 2200, NULL, false},
    {"alice", "0177.0.0.1", 2200, NULL, false},
    {"alice", "017700000001", 2200, NULL, false},
    {"alice", "127.0.1", 2200, NULL, false},
    {"alice", "127.000.000.001", 2200, NULL, false},
    {"alice", "127.0.0.1%lo", 2200, NULL, false},
    {"alice", "localhost", 2200, NULL, false},
    {"alice", "LOCALHOST.", 2200, NULL, false},
    {"alice", "localhost.localdomain", 2200, NULL, false},
    {"alice", "::1", 2200, NULL, false},
    {"alice", "[::1]", 2200, NULL, false},
    {"alice", "[127.0.0.1]", 2200, NULL, false},
    {"alice", "::127.0.0.1", 2200, NULL, false},
    {"alice", "64:ff9b::7f00:1", 2200, NULL, false},
    {"alice", "2002:7f00:1::", 2200, NULL, false},
    {"alice", "0.0.0.0", 2200, NULL, false},
    {"alice", "0", 2200, NULL, false},
    {"alice", "::", 2200, NULL, false},
    {"alice", "169.254.169.254", 22, NULL, false},
    {"alice", "169.254.169.254", 80, NULL, false},
    {"alice", "fd00:ec2::254", 80, NULL, false},
    {"alice", "fe80::1%eth0", 22, NULL, false},
    {"alice", "2001:db8::1%eth0", 22, NULL, false},
    {"alice", "[2001:db8::1]", 22, NULL, false},
    {"alice", "metadata.google.internal", 80, NULL, false},
    {"alice", "192.0.2.8", 22, NULL, false},
    {"alice", "example.org", 443, NULL, false},
    {"alice", "/tmp/agent.sock", 22, NULL, false},
};

static void test_destinations(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    for (size_t i = 0; i < COUNT_OF(destinations); i++) {
        struct view_destination found = destination_of(
            view, destinations[i].user, span_str(destinations[i].host), destinations[i].port);
        if (found.allowed != (destinations[i].address != NULL)) {
            print_error("%s to %s:%u\n", destinations[i].user, destinations[i].host,
                        (unsigned)destinations[i].port);
        }
        assert_int_equal(found.allowed, destinations[i].address != NULL);
        assert_int_equal(found.named_itself, destinations[i].named_itself);
        if (found.allowed) {
            assert_string_equal(found.address, destinations[i].address);
            assert_int_equal(found.port, destinations[i].port);
        } else {
            assert_true(found.address == NULL && found.cluster == NULL && found.port == 0);
        }
    }
    /* A NUL inside, before and after. */
    assert_false(destination_of(view, "alice", SPAN_LITERAL("daint\0.evil"), 22).allowed);
    assert_false(destination_of(view, "alice", SPAN_LITERAL("\0daint"), 22).allowed);
    assert_false(destination_of(view, "alice", SPAN_LITERAL("daint\0"), 22).allowed);
    assert_false(destination_of(view, "alice", span_of(NULL, 0), 22).allowed);
    /* The longest name there can be, and one more. */
    char name[LIMIT_HOST_NAME_CHARS + 3];
    for (size_t i = 0; i < sizeof name; i++) {
        name[i] = i % 64 == 63 ? '.' : 'a';
    }
    name[LIMIT_HOST_NAME_CHARS] = '\0';
    assert_false(apply(view, one("host", name,
                                 "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"\","
                                 "\"port\":0}")));
    assert_true(destination_of(view, "alice", span_str(name), 22).allowed);
    name[LIMIT_HOST_NAME_CHARS] = '.';
    assert_true(
        destination_of(view, "alice", span_of(name, LIMIT_HOST_NAME_CHARS + 1), 22).allowed);
    name[LIMIT_HOST_NAME_CHARS] = 'a';
    assert_false(
        destination_of(view, "alice", span_of(name, LIMIT_HOST_NAME_CHARS + 1), 22).allowed);
    name[LIMIT_HOST_NAME_CHARS + 1] = '.';
    assert_false(
        destination_of(view, "alice", span_of(name, LIMIT_HOST_NAME_CHARS + 2), 22).allowed);
}

/* One name, two entries: what is named so before what has the address, a host before a cluster, and
 * only what the account reaches. */
static void test_ambiguous_destinations(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    const char *host = "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"10.0.0.3\","
                       "\"port\":22}";
    assert_false(apply(view, one("host", "login.daint.example", host)));
    assert_string_equal(
        destination_of(view, "alice", SPAN_LITERAL("login.daint.example"), 22).address, "10.0.0.3");
    assert_false(apply(view, one("host", "daint", host)));
    struct view_destination found = destination_of(view, "alice", SPAN_LITERAL("daint"), 22);
    assert_string_equal(found.address, "10.0.0.3");
    assert_string_equal(found.cluster, "daint");
    assert_true(apply(view, one("host", "daint", "")));
    found = destination_of(view, "alice", SPAN_LITERAL("daint"), 22);
    assert_string_equal(found.address, "login.daint.example");
    found = destination_of(view, "carol", SPAN_LITERAL("192.0.2.7"), 22);
    assert_string_equal(found.cluster, "daint2");
    found = destination_of(view, "alice", SPAN_LITERAL("192.0.2.7"), 22);
    assert_string_equal(found.cluster, "santis");
}

static const struct {
    const char *address;
    bool allowed;
} addresses[] = {
    {"127.0.0.1", false},
    {"127.255.255.254", false},
    {"128.0.0.1", true},
    {"126.255.255.255", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"1.0.0.0", true},
    {"169.253.255.255", true},
    {"169.254.0.0", false},
    {"169.254.169.254", false},
    {"169.254.255.255", false},
    {"169.255.0.0", true},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"255.255.255.255", false},
    {"100.100.100.200", false},
    {"100.100.100.201", true},
    {"192.0.0.192", false},
    {"192.0.0.193", true},
    {"10.0.0.1", true},
    {"172.16.0.1", true},
    {"192.168.0.1", true},
    {"::", false},
    {"::1", false},
    {"::2", false}, /* IPv4 compatible, of 0.0.0.2 */
    {"fe80::1", false},
    {"febf:ffff::1", false},
    {"fec0::1", true},
    {"ff02::1", false},
    {"fd00:ec2::254", false},
    {"fd00:ec2::255", true},
    {"2001:db8::1", true},
    {"::ffff:127.0.0.1", false},
    {"::ffff:7f00:1", false},
    {"::ffff:169.254.169.254", false},
    {"::ffff:10.0.0.1", true},
    {"::127.0.0.1", false},
    {"::169.254.169.254", false},
    {"::ffff:0:127.0.0.1", false},
    {"::ffff:0:10.0.0.1", true},
    {"64:ff9b::127.0.0.1", false},
    {"64:ff9b::a9fe:a9fe", false},
    {"64:ff9b::100.100.100.200", false},
    {"64:ff9b::10.0.0.1", true},
    {"64:ff9b:1::169.254.169.254", false},
    {"2002:7f00:1::1", false},
    {"2002:a9fe:a9fe::", false},
    {"2002:c000:c0::1", false},
    {"2002:a00:1::1", true},
};

static void test_addresses(void **state) {
    (void)state;
    const struct view_destination named = {.allowed = true, .address = "daint.example"};
    struct inet_address address;
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        assert_ok(inet_address_parse(span_str(addresses[i].address), &address));
        if (view_address_allowed(&named, &address) != addresses[i].allowed) {
            print_error("%s\n", addresses[i].address);
        }
        assert_int_equal(view_address_allowed(&named, &address), addresses[i].allowed);
        /* An entry that is that very address means it, and no other. */
        const struct view_destination itself = {
            .allowed = true, .address = addresses[i].address, .named_itself = true};
        assert_true(view_address_allowed(&itself, &address));
        const struct view_destination other = {
            .allowed = true, .address = "192.0.2.77", .named_itself = true};
        assert_false(view_address_allowed(&other, &address));
        assert_false(view_address_allowed(&(struct view_destination){0}, &address));
    }
    /* Not unmapped by whoever read it. */
    address = (struct inet_address){.family_bits = 128, .bytes = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    assert_false(view_address_allowed(&named, &address));
    address = (struct inet_address){0};
    assert_false(view_address_allowed(&named, &address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_ambiguous_destinations),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests_name("view_destination", tests, feed_setup, fixture_teardown);
}
