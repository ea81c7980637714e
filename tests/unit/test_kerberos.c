/* Whose account a Kerberos principal is. */
#include "check.h"

#include <string.h>

#include "authority/kerberos.h"

static char hpc[] = "HPC.EXAMPLE", lab[] = "LAB.EXAMPLE";
static char laptop[] = "alice/laptop@HPC.EXAMPLE=alice", smith[] = "a.smith@LAB.EXAMPLE=anne";
static const struct kerberos_config config = {
    .realms = {hpc, lab}, .realm_count = 2, .principals = {laptop, smith}, .principal_count = 2};

static void test_nobody(void **state) {
    (void)state;
    static const char *const principals[] = {
        "",
        "alice",
        "@HPC.EXAMPLE",
        "alice@",
        "alice@EVIL.EXAMPLE",
        "alice@hpc.example",
        "alice@HPC.EXAMPLE.EVIL",
        "alice@EVIL.EXAMPLE@HPC.EXAMPLE",
        "alice@HPC.EXAMPLE@EVIL.EXAMPLE",
        "alice\\@EVIL.EXAMPLE@HPC.EXAMPLE",
        "alice/admin@HPC.EXAMPLE",
        "alice/laptop@LAB.EXAMPLE",
        "alice/laptop/x@HPC.EXAMPLE",
        "host/daint@HPC.EXAMPLE",
        "krbtgt/HPC.EXAMPLE@HPC.EXAMPLE",
        "../alice@HPC.EXAMPLE",
        "ALICE@HPC.EXAMPLE",
        "ali ce@HPC.EXAMPLE",
        "alice,bob@HPC.EXAMPLE",
        "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
        "a23456789012345678901234567890123@HPC.EXAMPLE",
    };
    for (size_t i = 0; i < COUNT_OF(principals); i++) {
        char name[LIMIT_ACCOUNT_NAME_CHARS + 1] = "untouched";
        struct fault fault = {.reason = ""};
        assert_fails(kerberos_account(&config, principals[i], name, &fault), ERR_REFUSED);
        assert_string_equal(name, "untouched");
        assert_string_not_equal(fault.reason, "");
    }
}

static void test_somebody(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"alice@HPC.EXAMPLE", "alice"},
        {"alice@LAB.EXAMPLE", "alice"},
        {"alice/laptop@HPC.EXAMPLE", "alice"},
        {"a.smith@LAB.EXAMPLE", "anne"},
        {"a2345678901234567890123456789012@HPC.EXAMPLE", "a2345678901234567890123456789012"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
        struct fault fault = {.reason = ""};
        assert_ok(kerberos_account(&config, cases[i][0], name, &fault));
        assert_string_equal(name, cases[i][1]);
    }
}

static void test_rules(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "=",
                                      "alice",
                                      "alice=alice",
                                      "alice@HPC.EXAMPLE",
                                      "alice@HPC.EXAMPLE=",
                                      "alice@HPC.EXAMPLE=../x",
                                      "@R=alice"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_true(failed(kerberos_check_principal(bad[i])));
    }
    assert_ok(kerberos_check_principal("alice/laptop@HPC.EXAMPLE=alice"));
    assert_ok(kerberos_check_principal("odd=name@HPC.EXAMPLE=alice"));
    assert_true(failed(kerberos_check_service("HTTP@authority.example")));
    assert_true(failed(kerberos_check_service("HTTP/authority.example")));
    assert_ok(kerberos_check_service("HTTP/authority.example@HPC.EXAMPLE"));
    assert_true(failed(kerberos_check_realm("")));
    assert_true(failed(kerberos_check_realm("a@b")));
    assert_ok(kerberos_check_realm("HPC.EXAMPLE"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_somebody),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
