/* When a certificate is due, whose failure answers for whom, how secrets are named in a keyring,
 * and one-time codes. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "cli/certificates/attempt.h"
#include "cli/certificates/renewal.h"
#include "cli/credentials/keyring.h"
#include "cli/credentials/one_time_code.h"

enum { NOW = 2000000000, MINUTE = 60, HOUR = 3600, DAY = 86400, BACKDATED = 300 };

/* Issued at NOW, for `life` seconds. */
static struct renewal_facts issued(int64_t life, int64_t margin) {
    return (struct renewal_facts){.valid_after = NOW - BACKDATED,
                                  .valid_before = (uint64_t)(NOW + life),
                                  .written_at = NOW,
                                  .margin_s = margin};
}

static void due(void **state) {
    (void)state;
    static const struct {
        int64_t life;
        int64_t margin;
        int64_t due_after; /* seconds since NOW */
    } cases[] = {
        {DAY, HOUR, DAY - HOUR},
        {2 * HOUR, HOUR, HOUR},
        {2 * HOUR - 2, HOUR, HOUR - 1}, /* half of its life */
        {HOUR, HOUR, HOUR / 2},
        {MINUTE, HOUR, MINUTE / 2},
        {MINUTE, 10, MINUTE - 10},
        {DAY, DAY, DAY / 2},
        {DAY, 1, DAY - 1},
        {1, HOUR, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct renewal_facts facts = issued(cases[i].life, cases[i].margin);
        assert_false(renewal_is_due(&facts, NOW));
        assert_false(renewal_is_due(&facts, NOW + cases[i].due_after - 1));
        assert_true(renewal_is_due(&facts, NOW + cases[i].due_after));
        assert_true(renewal_is_due(&facts, NOW + cases[i].life));
    }
}

/* What a file's time cannot tell is taken from the certificate, and never makes it immortal. */
static void written_times(void **state) {
    (void)state;
    static const int64_t odd[] = {INT64_MIN,    0,         NOW - BACKDATED,
                                  NOW + MINUTE, NOW + DAY, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        struct renewal_facts facts = issued(MINUTE, HOUR);
        facts.written_at = odd[i];
        assert_int_equal(renewal_margin(&facts), (BACKDATED + MINUTE) / 2);
        assert_true(renewal_is_due(&facts, NOW));
    }
    struct renewal_facts copied = issued(MINUTE, HOUR);
    copied.written_at = NOW + MINUTE - 4;
    assert_false(renewal_is_due(&copied, NOW + MINUTE - 3));
    assert_true(renewal_is_due(&copied, NOW + MINUTE - 2));
}

static void odd_certificates(void **state) {
    (void)state;
    struct renewal_facts facts = issued(DAY, HOUR);
    facts.valid_before = UINT64_MAX;
    assert_false(renewal_is_due(&facts, INT64_MAX));
    facts.valid_before = (uint64_t)INT64_MAX + 1;
    assert_false(renewal_is_due(&facts, INT64_MAX));
    facts =
        (struct renewal_facts){.valid_after = UINT64_MAX, .valid_before = NOW, .margin_s = HOUR};
    assert_int_equal(renewal_margin(&facts), 0);
    assert_true(renewal_is_due(&facts, NOW));
    facts = (struct renewal_facts){0};
    assert_true(renewal_is_due(&facts, 0));
}

static void attempts(void **state) {
    (void)state;
    const int64_t now = NOW * 1000LL;
    static const struct {
        int64_t failed_ago_ms;
        int64_t started_ago_ms;
        bool valid;
        bool answers;
    } cases[] = {
        {0, 0, false, true},         {1, 2, false, true},
        {2, 1, false, false},        {2, 1, true, true},
        {59999, 1, true, true},      {LIMIT_REFRESH_AGAIN_S * 1000, 1, true, false},
        {61000, 62000, false, true}, {-1, 0, true, false}, /* the clock was set back */
        {59999, 1, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct attempt attempt = {.at_ms = now - cases[i].failed_ago_ms};
        assert_int_equal(
            attempt_answers(&attempt, now - cases[i].started_ago_ms, cases[i].valid, now),
            cases[i].answers);
    }
    const struct attempt none = {0};
    assert_false(attempt_answers(&none, 0, true, now));
    assert_false(attempt_answers(&none, 0, true, 0));
}

static void names_refused(void **state) {
    (void)state;
    static const struct {
        const char *site;
        const char *account;
    } bad[] = {{"", "alice"},       {"a:b", "alice"},  {"cscs", ""},    {"cscs", "a:b"},
               {"../cscs", "al"},   {"cscs", "Alice"}, {"cscs", "a b"}, {"cscs", "--"},
               {"cscs\n", "alice"}, {"cscs", "-a"}};
    char text[KEYRING_DESCRIPTION_CHARS];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct keyring_name name = {bad[i].site, KEYRING_TOTP, bad[i].account};
        assert_fails(keyring_describe(&name, text), ERR_MALFORMED);
    }
    static const char *const not_ours[] = {
        "",
        "posterngate",
        "posterngate:",
        "posterngate:cscs",
        "posterngate:cscs:password",
        "posterngate:cscs:password:",
        "posterngate:cscs:pin:alice",
        "posterngate:cscs:password:alice:more",
        "posterngate::password:alice",
        "Posterngate:cscs:password:alice",
        "keyring:cscs:password:alice",
    };
    for (size_t i = 0; i < COUNT_OF(not_ours); i++) {
        struct keyring_entry entry;
        assert_fails(keyring_entry_parse(span_str(not_ours[i]), &entry), ERR_MALFORMED);
    }
}

static void names(void **state) {
    (void)state;
    char longest[LIMIT_CLUSTER_NAME_CHARS + 1] = "";
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1] = "";
    memset(longest, 'x', sizeof longest - 1);
    memset(account, 'y', sizeof account - 1);
    const struct keyring_name good[] = {
        {"cscs", KEYRING_PASSWORD, "alice"},
        {"cscs", KEYRING_API_KEY, KEYRING_NO_ACCOUNT},
        {longest, KEYRING_API_KEY, account},
    };
    char text[KEYRING_DESCRIPTION_CHARS];
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct keyring_entry entry = {.place = KEYRING_KERNEL};
        assert_ok(keyring_describe(&good[i], text));
        assert_ok(keyring_entry_parse(span_str(text), &entry));
        assert_string_equal(entry.site, good[i].site);
        assert_string_equal(entry.account, good[i].account);
        assert_int_equal(entry.kind, good[i].kind);
        assert_int_equal(entry.place, KEYRING_KERNEL);
    }
    assert_ok(keyring_describe(&good[0], text));
    assert_string_equal(text, "posterngate:cscs:password:alice");
}

static void secrets_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"", ERR_RANGE},
        {"ABCDEFGHIJKLMNO", ERR_RANGE}, /* 9 bytes */
        {"ABCDEFGHIJKLMNO1", ERR_MALFORMED},
        {"ABCDEFGHIJKLMNO\xc3\xa4", ERR_MALFORMED},
        {"JBSWY3DP=EHPK3PXP", ERR_MALFORMED},
        {"otpauth://hotp/x?secret=JBSWY3DPEHPK3PXP", ERR_UNSUPPORTED},
        {"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&digits=8", ERR_UNSUPPORTED},
        {"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&algorithm=SHA256", ERR_UNSUPPORTED},
        {"otpauth://totp/x?period=60&secret=JBSWY3DPEHPK3PXP", ERR_UNSUPPORTED},
        {"otpauth://totp/x", ERR_RANGE},
        {"otpauth://totp/x?issuer=JBSWY3DPEHPK3PXP", ERR_RANGE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        secret_t secret CLEANUP(secret_done) = {0};
        assert_fails(one_time_secret_parse(span_str(cases[i].text), &secret), cases[i].code);
        assert_null(secret.text);
    }
    char longest[104] = ""; /* 64 bytes are 103 letters, and one more letter is one too many */
    secret_t secret CLEANUP(secret_done) = {0};
    memset(longest, 'A', sizeof longest);
    assert_ok(one_time_secret_parse(span_of(longest, 103), &secret));
    secret_done(&secret);
    assert_fails(one_time_secret_parse(span_of(longest, 104), &secret), ERR_RANGE);
}

static void secrets_read(void **state) {
    (void)state;
    static const char *const same[] = {
        "JBSWY3DPEHPK3PXP",
        "jbsw y3dp ehpk 3pxp",
        "JBSW-Y3DP-EHPK-3PXP======",
        "otpauth://totp/CSCS:alice?secret=JBSWY3DPEHPK3PXP&issuer=CSCS&algorithm=SHA1&digits=6&period=30",
        "otpauth://totp/x?secret=jbswy3dpehpk3pxp",
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        secret_t secret CLEANUP(secret_done) = {0};
        assert_ok(one_time_secret_parse(span_str(same[i]), &secret));
        assert_string_equal(secret.text, "JBSWY3DPEHPK3PXP");
    }
}

/* RFC 6238 appendix B, its last six digits; the secret is "12345678901234567890". */
static void codes(void **state) {
    (void)state;
    static const struct {
        int64_t time;
        const char *code;
    } cases[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                 {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    secret_t secret CLEANUP(secret_done) = {0};
    assert_ok(one_time_secret_parse(SPAN_LITERAL("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), &secret));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char code[ONE_TIME_DIGITS + 1];
        assert_ok(one_time_code(&secret, cases[i].time / ONE_TIME_STEP_S, code));
        assert_string_equal(code, cases[i].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due),
        cmocka_unit_test(written_times),
        cmocka_unit_test(odd_certificates),
        cmocka_unit_test(attempts),
        cmocka_unit_test(names_refused),
        cmocka_unit_test(names),
        cmocka_unit_test(secrets_refused),
        cmocka_unit_test(secrets_read),
        cmocka_unit_test(codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
