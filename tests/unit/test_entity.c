/* The names of things and lists of subnets: the refused cases first. */
#include <string.h>

#include "check.h"
#include "model/entity.h"

static struct subnet_list subnets_of(const char *text) {
    struct subnet_list list = {.count = 0};
    if (*text != '\0') {
        assert_ok(subnet_list_parse(span_str(text), &list));
    }
    return list;
}

static struct inet_address address_of(const char *text) {
    struct inet_address address;
    assert_ok(inet_address_parse(span_str(text), &address));
    return address;
}

/* ---- names ---- */

static void repeat(char *out, char letter, size_t count) {
    memset(out, letter, count);
    out[count] = '\0';
}

static void test_account_names(void **state) {
    (void)state;
    static const char *const refused[] = {"",    "root", "Alice",      "1st",     "-x", "a b",
                                          "a,b", "a.b",  "al\xc3\xa9", "alice\n", "a*", "../x"};
    static const char *const good[] = {"a", "_x", "alice", "a-1_b", "roots"};
    char name[LIMIT_ACCOUNT_NAME_CHARS + 2];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct fault fault = {.field = ""};
        assert_fails(account_name_check(span_str(refused[i]), &fault), ERR_MALFORMED);
        assert_string_equal(fault.field, "account");
        assert_true(fault.reason[0] != '\0');
    }
    assert_fails(account_name_check(span_of("a\0b", 3), NULL), ERR_MALFORMED);
    repeat(name, 'a', LIMIT_ACCOUNT_NAME_CHARS + 1);
    assert_fails(account_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_ok(account_name_check(span_str(name + 1), NULL));
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(account_name_check(span_str(good[i]), NULL));
    }
}

static void test_group_names(void **state) {
    (void)state;
    char name[LIMIT_HOST_NAME_CHARS + 2];
    struct fault fault;
    assert_fails(project_name_check(span_str(""), &fault), ERR_MALFORMED);
    assert_string_equal(fault.field, "project");
    assert_fails(project_name_check(span_str(".x"), NULL), ERR_MALFORMED);
    assert_fails(project_name_check(span_str("a/b"), NULL), ERR_MALFORMED);
    assert_fails(cluster_name_check(span_str("Daint"), &fault), ERR_MALFORMED);
    assert_string_equal(fault.field, "cluster");
    repeat(name, '7', LIMIT_PROJECT_NAME_CHARS + 1);
    assert_fails(project_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_fails(cluster_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_ok(project_name_check(span_str(name + 1), NULL));
    repeat(name, '7', LIMIT_CLUSTER_NAME_CHARS + 1);
    assert_fails(cluster_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_ok(cluster_name_check(span_str(name + 1), NULL));
    assert_ok(project_name_check(span_str("s1234.climate_x-y"), NULL));
}

static void test_job_names(void **state) {
    (void)state;
    static const char *const refused[] = {"",         "-1",  ".1",    "_1",    "+1",     "1 2",
                                          "1@c",      "1/2", "1,2",   "1\n",   "1:2",    "../1",
                                          "\xc3\xa9", "1*",  "$(id)", "1%2e2", "job\tid"};
    static const char *const good[] = {"1", "1234", "1234_7", "1234+1", "1234.batch", "J-1"};
    char name[LIMIT_JOB_NAME_CHARS + 2];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct fault fault = {.field = ""};
        assert_fails(job_name_check(span_str(refused[i]), &fault), ERR_MALFORMED);
        assert_string_equal(fault.field, "job");
        assert_true(fault.reason[0] != '\0');
    }
    assert_fails(job_name_check(span_of("1\0002", 3), NULL), ERR_MALFORMED);
    repeat(name, '7', LIMIT_JOB_NAME_CHARS + 1);
    assert_fails(job_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_ok(job_name_check(span_str(name + 1), NULL));
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(job_name_check(span_str(good[i]), NULL));
    }
}

static void test_user_names(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",    "root", "-x",  "-oProxyCommand=x", "1st", ".x", "a b", "a/b", "../x",
        "a:b", "a@b",  "a\n", "al\xc3\xa9"};
    static const char *const good[] = {"uprod_00Grm", "_x", "Alice", "a.b-c", "Root", "roots"};
    char name[LIMIT_ACCOUNT_NAME_CHARS + 2];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct fault fault = {.field = ""};
        assert_fails(user_name_check(span_str(refused[i]), &fault), ERR_MALFORMED);
        assert_string_equal(fault.field, "user");
        assert_true(fault.reason[0] != '\0');
    }
    assert_fails(user_name_check(span_of("a\0b", 3), NULL), ERR_MALFORMED);
    repeat(name, 'a', LIMIT_ACCOUNT_NAME_CHARS + 1);
    assert_fails(user_name_check(span_str(name), NULL), ERR_TOO_LONG);
    assert_ok(user_name_check(span_str(name + 1), NULL));
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(user_name_check(span_str(good[i]), NULL));
    }
}

static void test_host_names(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",    ".",    "a..b",      "a.",    "-a.b",     "a-.b",  "A.b",        "a_b",
        "a b", "a:22", "999.1.1.1", "1.2.3", "host.123", "[::1]", "10.0.0.0/8",
    };
    static const char *const good[] = {
        "a", "daint-ln1.example.org", "1a.2b", "3com.com", "192.0.2.1", "2001:db8::1"};
    char name[LIMIT_HOST_NAME_CHARS + 2];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct fault fault;
        assert_fails(host_name_check(span_str(refused[i]), "address", &fault), ERR_MALFORMED);
        assert_string_equal(fault.field, "address");
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(host_name_check(span_str(good[i]), "address", NULL));
    }
    repeat(name, 'a', 64); /* a label has 63 at most */
    assert_fails(host_name_check(span_str(name), "name", NULL), ERR_MALFORMED);
    assert_ok(host_name_check(span_str(name + 1), "name", NULL));
    repeat(name, 'a', LIMIT_HOST_NAME_CHARS + 1);
    for (size_t i = 2; i < LIMIT_HOST_NAME_CHARS; i += 2) {
        name[i] = '.';
    }
    assert_fails(host_name_check(span_str(name), "name", NULL), ERR_TOO_LONG);
    assert_ok(host_name_check(span_str(name + 1), "name", NULL));
}

static void test_perilous_hosts(void **state) {
    (void)state;
    static const char *const perilous[] = {
        "127.0.0.1",
        "127.255.255.255",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "0",
        "::",
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "febf::1",
        "localhost",
        "daint.localhost",
        "localhost.localdomain",
    };
    static const char *const harmless[] = {
        "daint.example", "128.0.0.1",         "126.255.255.255", "169.253.0.1",
        "169.255.0.1",   "10.0.0.1",          "fec0::1",         "::2",
        "2001:db8::1",   "localhost.example", "notlocalhost",    "localhosts",
        "1.0.0.0",       "127.example",
    };
    for (size_t i = 0; i < COUNT_OF(perilous); i++) {
        if (host_name_peril(perilous[i]) == NULL) {
            fail_msg("%s", perilous[i]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(harmless); i++) {
        if (host_name_peril(harmless[i]) != NULL) {
            fail_msg("%s", harmless[i]);
        }
    }
}

/* ---- subnets ---- */

static void test_subnet_lists(void **state) {
    (void)state;
    static const char *const refused[] = {"", ",", "10.0.0.0/8,", "10.0.0.0/8 ,::/0", "x"};
    struct subnet_list list = {.count = 7};
    struct buf many CLEANUP(buf_done) = BUF(4096), text CLEANUP(buf_done) = BUF(4096);
    struct inet_address inside = address_of("192.0.2.9"), outside = address_of("192.0.3.1");
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(subnet_list_parse(span_str(refused[i]), &list), ERR_MALFORMED);
    }
    assert_fails(subnet_list_parse(span_str("10.1.2.3/8"), &list), ERR_RANGE);
    assert_int_equal(list.count, 7);
    for (int i = 0; i < LIMIT_SUBNETS_COUNT; i++) {
        assert_ok(buf_add_format(&many, "%s10.%d.0.0/16", i == 0 ? "" : ",", i));
    }
    assert_ok(subnet_list_parse(buf_span(&many), &list));
    assert_int_equal(list.count, LIMIT_SUBNETS_COUNT);
    assert_ok(subnet_list_print(&list, &text));
    assert_true(span_equal(buf_span(&text), buf_span(&many)));
    assert_ok(buf_add_str(&many, ",::/0"));
    assert_fails(subnet_list_parse(buf_span(&many), &list), ERR_TOO_LONG);

    list = subnets_of("2001:db8::/32,192.0.2.0/24");
    assert_true(subnet_list_allows(&list, &inside));
    assert_false(subnet_list_allows(&list, &outside));
    assert_false(subnet_list_allows(&list, &(struct inet_address){.family_bits = 0}));
    list = subnets_of("");
    assert_true(subnet_list_allows(&list, &outside));
}

static void test_intersect(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *expected; /* NULL: nothing in common */
    } cases[] = {
        {"10.0.0.0/8", "192.0.2.0/24", NULL},
        {"10.0.0.0/8", "::/0", NULL},
        {"10.0.0.0/8,2001:db8::/32", "192.0.2.0/24,2001:db9::/32", NULL},
        {"10.1.0.0/16", "10.2.0.0/16", NULL},
        {"", "", ""},
        {"", "10.0.0.0/8", "10.0.0.0/8"},
        {"10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16"},
        {"10.0.0.0/8,192.0.2.1", "192.0.2.0/24", "192.0.2.1/32"},
        {"10.0.0.0/8,10.1.0.0/16", "10.1.0.0/16,10.1.2.0/24", "10.1.0.0/16"},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        size_t at = i / 2; /* each way round */
        struct buf text CLEANUP(buf_done) = BUF(4096);
        struct subnet_list a = subnets_of(i % 2 == 0 ? cases[at].a : cases[at].b);
        struct subnet_list b = subnets_of(i % 2 == 0 ? cases[at].b : cases[at].a);
        struct subnet_list out = {.count = 77};
        if (cases[at].expected == NULL) {
            assert_fails(subnet_list_intersect(&a, &b, &out), ERR_NOT_FOUND);
            assert_int_equal(out.count, 77); /* untouched, and not the list that is everywhere */
            continue;
        }
        assert_ok(subnet_list_intersect(&a, &b, &out));
        assert_ok(subnet_list_print(&out, &text));
        assert_true(span_equal_str(buf_span(&text), cases[at].expected));
        assert_ok(subnet_list_intersect(&a, &b, &a)); /* into one of the two */
        assert_int_equal(a.count, out.count);
    }
}

/* `count` subnets of 10.0.0.0/8 and all of 192.0.0.0/8, or the other way round. */
static struct subnet_list many_and_one(size_t count, uint8_t many, uint8_t one) {
    struct subnet_list list = {.count = count + 1};
    for (size_t i = 0; i < count; i++) {
        list.subnets[i] = (struct inet_subnet){
            .address = {.bytes = {many, (uint8_t)i}, .family_bits = 32}, .prefix_bits = 16};
    }
    list.subnets[count] =
        (struct inet_subnet){.address = {.bytes = {one}, .family_bits = 32}, .prefix_bits = 8};
    return list;
}

/* What two lists share can be more than either has. */
static void test_intersect_full(void **state) {
    (void)state;
    size_t half = LIMIT_SUBNETS_COUNT / 2;
    struct subnet_list out = {.count = 77};
    struct subnet_list a = many_and_one(half, 10, 192), b = many_and_one(half + 1, 192, 10);
    assert_fails(subnet_list_intersect(&a, &b, &out), ERR_TOO_LONG);
    assert_int_equal(out.count, 77);
    b = many_and_one(half, 192, 10);
    assert_ok(subnet_list_intersect(&a, &b, &out));
    assert_int_equal(out.count, LIMIT_SUBNETS_COUNT);
}

static void test_cluster_lists(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } refused[] = {
        {",", ERR_MALFORMED},     {"daint,", ERR_MALFORMED},   {",daint", ERR_MALFORMED},
        {"Daint", ERR_MALFORMED}, {"da int", ERR_MALFORMED},   {"daint@x", ERR_MALFORMED},
        {"a,b,a", ERR_EXISTS},    {"daint,,b", ERR_MALFORMED}, {"../x", ERR_MALFORMED},
    };
    struct cluster_list list = {.count = 77}, a, b;
    struct buf text CLEANUP(buf_done) = BUF(4096), many CLEANUP(buf_done) = BUF(4096);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(cluster_list_parse(span_str(refused[i].text), &list), refused[i].code);
        assert_int_equal(list.count, 77);
    }
    for (int i = 0; i < LIMIT_BOUND_CLUSTERS_COUNT; i++) {
        assert_ok(buf_add_format(&many, "%sc%d", i == 0 ? "" : ",", i));
    }
    assert_ok(cluster_list_parse(buf_span(&many), &list));
    assert_int_equal(list.count, LIMIT_BOUND_CLUSTERS_COUNT);
    assert_ok(cluster_list_print(&list, &text));
    assert_true(span_equal(buf_span(&text), buf_span(&many)));
    assert_fails(cluster_list_add(&list, span_str("onemore")), ERR_TOO_LONG);

    assert_ok(cluster_list_parse(span_str("daint,santis"), &a));
    assert_true(cluster_list_has(&a, "santis"));
    assert_false(cluster_list_has(&a, "sant"));
    assert_ok(cluster_list_parse(span_str("eiger"), &b));
    list.count = 77;
    assert_fails(cluster_list_intersect(&a, &b, &list), ERR_NOT_FOUND);
    assert_int_equal(list.count, 77); /* and not the list that is all of them */
    assert_ok(cluster_list_parse(span_str("eiger,santis"), &b));
    assert_ok(cluster_list_intersect(&a, &b, &b));
    assert_int_equal(b.count, 1);
    assert_string_equal(b.names[0], "santis");
    assert_ok(cluster_list_parse(span_str(""), &list));
    assert_false(cluster_list_has(&list, "daint"));
    assert_ok(cluster_list_intersect(&list, &a, &list));
    assert_int_equal(list.count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account_names),  cmocka_unit_test(test_group_names),
        cmocka_unit_test(test_job_names),      cmocka_unit_test(test_user_names),
        cmocka_unit_test(test_host_names),     cmocka_unit_test(test_perilous_hosts),
        cmocka_unit_test(test_subnet_lists),   cmocka_unit_test(test_intersect),
        cmocka_unit_test(test_intersect_full), cmocka_unit_test(test_cluster_lists),
    };
    return cmocka_run_group_tests_name("entity", tests, NULL, NULL);
}
