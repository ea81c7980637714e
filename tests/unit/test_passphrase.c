/* What is refused for a private key's passphrase, and what is not. */
#include "base/limits.h"
#include "base/strength.h"
#include "check.h"
#include "cli/keys/passphrase.h"

static void test_strength(void **state) {
    (void)state;
    static const struct {
        const char *text;
        struct strength strength;
    } cases[] = {
        {"", {0, 0, 0}},
        {"a", {1, 1, 1}},
        {"aaaa", {4, 1, 1}},
        {"abab", {4, 2, 1}},
        {"axax", {4, 2, 4}},
        {"axaxa", {5, 2, 5}},
        {"abcdefgh1234", {12, 12, 2}},
        {"QwErTy", {6, 6, 1}},
        {"\xc3\xa4\xc3\xb6", {2, 4, 4}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct strength strength = strength_of(span_str(cases[i].text));
        assert_int_equal(strength.chars, cases[i].strength.chars);
        assert_int_equal(strength.period, cases[i].strength.period);
        assert_int_equal(strength.runs, cases[i].strength.runs);
    }
}

static void test_judge(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason; /* NULL: good */
    } cases[] = {
        {"", "0 characters"},
        /* LIMIT_PASSPHRASE_CHARS_MIN */
        {"kzpvwmqta", "9 characters and needs at least 10"},
        {"kzpvwmqtaf", NULL},
        {"\xc3\xa4zpvwmqta", "9 characters"}, /* of which one has two bytes */
        {"aaaaaaaaaaaaaaaa", "repeats"},
        {"xkcdxkcdxkcd", "repeats"},
        {"kzpvwmqtafkzpvwmqtaf", NULL},
        {"abcdefgh1234", "run of neighbouring"},
        {"qwertzuiopasdfghjkl", "run of neighbouring"},
        {"Password-2026!", "anybody tries"},
        {"123 letmein 123", "anybody tries"},
        {"Correct horse battery staple", "anybody tries"},
        {"tangerine lamp orbit", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        secret_t passphrase CLEANUP(secret_done) = {0};
        struct fault fault = {0};
        assert_ok(secret_copy(span_str(cases[i].text), 64, &passphrase));
        err_t err = passphrase_judge(&passphrase, &fault);
        assert_int_equal(err.code, cases[i].reason == NULL ? ERR_NONE : ERR_REFUSED);
        if (cases[i].reason != NULL) {
            assert_non_null(strstr(fault.reason, cases[i].reason));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
