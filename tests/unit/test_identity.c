#include "check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "identity/password.h"
#include "identity/qr.h"
#include "identity/throttle.h"
#include "identity/token.h"
#include "identity/totp.h"

static const span_t rfc_secret = {(const uint8_t *)"12345678901234567890", 20};

/* RFC 6238 appendix B, SHA-1: the last six of its eight digits. */
static const struct {
    int64_t now;
    const char *code;
} rfc_vectors[] = {
    {59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
    {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"},
};

static void test_totp_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rfc_vectors); i++) {
        int64_t last = -1;
        span_t code = span_str(rfc_vectors[i].code);
        assert_ok(totp_verify(rfc_secret, code, rfc_vectors[i].now, &last));
        assert_int_equal(last, rfc_vectors[i].now / TOTP_STEP_S);
        assert_fails(totp_verify(rfc_secret, code, rfc_vectors[i].now, &last), ERR_REFUSED);
        assert_int_equal(last, rfc_vectors[i].now / TOTP_STEP_S);
    }
}

static void test_totp_window(void **state) {
    (void)state;
    static const struct {
        int64_t steps_away; /* of the clock from the code's step */
        int64_t last_step_away;
        enum err_code code;
    } cases[] = {
        {-2, -10, ERR_REFUSED}, {2, -10, ERR_REFUSED}, {3, -10, ERR_REFUSED},
        {0, 0, ERR_REFUSED}, /* that very step was used */
        {0, 1, ERR_REFUSED}, /* a later one was */
        {-1, 0, ERR_REFUSED},   {1, 0, ERR_REFUSED},   {-1, -1, ERR_NONE},
        {0, -1, ERR_NONE},      {1, -1, ERR_NONE},
    };
    int64_t step = 1234567890 / TOTP_STEP_S;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t now = (step + cases[i].steps_away) * TOTP_STEP_S + 7;
        int64_t last = step + cases[i].last_step_away;
        assert_fails(totp_verify(rfc_secret, span_str("005924"), now, &last), cases[i].code);
        assert_int_equal(last, cases[i].code == ERR_NONE ? step : step + cases[i].last_step_away);
    }
}

static void test_totp_malformed(void **state) {
    (void)state;
    static const char *const codes[] = {"",       "28708",  "2870820", "28708a",
                                        " 28708", "+28708", "28 082",  "-87082"};
    int64_t last = -1;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        assert_fails(totp_verify(rfc_secret, span_str(codes[i]), 59, &last), ERR_MALFORMED);
    }
    assert_fails(totp_verify(span_of(NULL, 0), span_str("287082"), 59, &last), ERR_MALFORMED);
    assert_int_equal(last, -1);
    char text[64];
    assert_fails(totp_base32(span_of(NULL, 0), text), ERR_RANGE);
}

static void test_totp_uri(void **state) {
    (void)state;
    char text[64];
    assert_ok(totp_base32(rfc_secret, text));
    assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    char uri[TOTP_URI_CHARS];
    assert_ok(totp_uri(rfc_secret, "Example Site&x", "alice", uri));
    assert_string_equal(uri, "otpauth://totp/Example%20Site%26x:alice?secret="
                             "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20Site%26x"
                             "&algorithm=SHA1&digits=6&period=30");
    char issuer[TOTP_URI_CHARS];
    memset(issuer, 'a', sizeof issuer - 1);
    issuer[sizeof issuer - 1] = '\0';
    assert_fails(totp_uri(rfc_secret, issuer, "alice", uri), ERR_TOO_LONG);
}

/* That a reader finds the text in it is seen in a browser: tests/e2e/dashboard_invitation.sh. */
static void test_qr_rows(void **state) {
    (void)state;
    struct buf rows CLEANUP(buf_done) = BUF(QR_ROWS_BYTES);
    char text[668];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_fails(qr_rows(text, &rows), ERR_TOO_LONG);
    assert_int_equal(rows.len, 0);
    text[sizeof text - 2] = '\0';
    assert_ok(qr_rows(text, &rows));
    assert_int_equal(rows.len, QR_ROWS_BYTES - 1);
    for (size_t i = 0; i < rows.len; i++) {
        bool end = i % 98 == 97;
        assert_true(end ? rows.data[i] == '\n' : rows.data[i] == '0' || rows.data[i] == '1');
    }
    assert_memory_equal(rows.data, "11111110", 8); /* a finder pattern and its light border */
}

static void test_tokens(void **state) {
    (void)state;
    static const enum token_kind kinds[] = {TOKEN_SESSION, TOKEN_API_KEY, TOKEN_HOST, TOKEN_ENROL,
                                            TOKEN_INVITATION};
    static const char *const prefixes[] = {"pgs_", "pgk_", "pgh_", "pge_", "pgi_"};
    uint8_t random[TOKEN_RANDOM_BYTES] = {0xff, 1, 2, 0xfe};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        char token[TOKEN_CHARS], hash[HASH_CHARS], again[HASH_CHARS] = "";
        assert_ok(token_make(kinds[i], random, token, hash));
        assert_int_equal(strlen(token), TOKEN_CHARS - 1);
        assert_memory_equal(token, prefixes[i], 4);
        assert_int_equal(strlen(hash), HASH_CHARS - 1);
        for (size_t j = 0; j < COUNT_OF(kinds); j++) { /* no kind passes for another */
            assert_fails(token_hash(kinds[j], span_str(token), again),
                         i == j ? ERR_NONE : ERR_MALFORMED);
        }
        assert_string_equal(hash, again);
    }
}

static void test_token_refused(void **state) {
    (void)state;
    static const char *const tokens[] = {
        "",
        "pgs_",
        "pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",   /* short */
        "pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* long */
        "pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",
        "pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* not what base64 would print */
        "PGS_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    char hash[HASH_CHARS] = "";
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        assert_fails(token_hash(TOKEN_SESSION, span_str(tokens[i]), hash), ERR_MALFORMED);
    }
    assert_string_equal(hash, "");
    /* sha256sum of this text */
    assert_ok(token_hash(TOKEN_SESSION, span_str("pgs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                         hash));
    assert_string_equal(hash, "027cf0d731ae9ff650951e4105922d62a214c700e5a43ebadffec63d7494f9af");
}

static void test_token_header(void **state) {
    (void)state;
    static const char *const refused[] = {
        NULL,         "",           "Bearer",      "Bearer ",     "Basic abc",   "Bearerabc",
        "Bearer a b", "Bearer a,b", "Bearer abc ", "Bearer \tab", " Bearer abc", "Bearer a\"b"};
    span_t token = {0};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(token_from_header(refused[i], &token), ERR_MALFORMED);
        assert_null(token.data);
    }
    static const char *const accepted[] = {
        "Bearer ab-c_d.e~f+/g=", "bearer ab-c_d.e~f+/g=", "BEARER   ab-c_d.e~f+/g="};
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        assert_ok(token_from_header(accepted[i], &token));
        assert_true(span_equal_str(token, "ab-c_d.e~f+/g="));
    }
}

static bool allow(struct throttle *throttle, const char *key, int64_t now, int *retry) {
    return throttle_allow(throttle, span_str(key), now, retry);
}

static void test_throttle_burst(void **state) {
    (void)state;
    struct throttle *throttle = NULL;
    int retry = 0;
    assert_fails(throttle_new(0, 1, 1, &throttle), ERR_RANGE);
    assert_fails(throttle_new(1, 0, 1, &throttle), ERR_RANGE);
    assert_fails(throttle_new(1, 1, 0, &throttle), ERR_RANGE);
    assert_null(throttle);
    assert_ok(throttle_new(8, 3, 2500, &throttle));
    for (int i = 0; i < 3; i++) {
        assert_true(allow(throttle, "a", 1000, &retry));
    }
    assert_false(allow(throttle, "a", 1000, &retry));
    assert_int_equal(retry, 3); /* 2.5 s, rounded up */
    assert_true(allow(throttle, "b", 1000, &retry));
    assert_false(allow(throttle, "a", 3499, &retry));
    assert_int_equal(retry, 1);
    assert_true(allow(throttle, "a", 3500, &retry));
    assert_false(allow(throttle, "a", 3500, &retry));
    throttle_credit(throttle, span_str("a"));
    assert_true(allow(throttle, "a", 3500, &retry));
    assert_false(allow(throttle, "a", 3500, &retry));
    /* Credits do not pile up, and neither does idle time. */
    for (int i = 0; i < 50; i++) {
        throttle_credit(throttle, span_str("a"));
    }
    throttle_credit(throttle, span_str("never seen"));
    for (int i = 0; i < 3; i++) {
        assert_true(allow(throttle, "a", 900000, &retry));
    }
    assert_false(allow(throttle, "a", 900000, &retry));
    throttle_free(throttle);
    throttle_free(NULL);
}

static void test_throttle_full(void **state) {
    (void)state;
    enum { BUCKETS = 4 };
    struct throttle *throttle = NULL;
    int retry = 0;
    assert_ok(throttle_new(BUCKETS, 1, 1000000, &throttle));
    static const char *const keys[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        assert_true(allow(throttle, keys[i], 0, &retry));
    }
    assert_false(allow(throttle, "a", 1, &retry)); /* makes "a" the most recent, "b" the oldest */
    assert_true(allow(throttle, "e", 2, &retry));  /* takes b's bucket */
    assert_false(allow(throttle, "a", 3, &retry));
    assert_false(allow(throttle, "c", 3, &retry));
    assert_false(allow(throttle, "d", 3, &retry));
    assert_false(allow(throttle, "e", 3, &retry));
    assert_true(allow(throttle, "b", 4, &retry)); /* it was forgotten; takes a's */
    assert_true(allow(throttle, "a", 5, &retry));
    /* A flood of keys: whoever keeps guessing stays the most recent and stays refused. */
    assert_false(allow(throttle, "b", 6, &retry));
    for (int i = 0; i < 5000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        assert_true(allow(throttle, key, 7, &retry));
        assert_false(allow(throttle, "b", 7, &retry));
    }
    throttle_free(throttle);

    assert_ok(throttle_new(1, 1, 1000, &throttle));
    assert_true(allow(throttle, "a", 0, &retry));
    assert_false(allow(throttle, "a", 0, &retry));
    assert_true(allow(throttle, "b", 0, &retry));
    assert_true(allow(throttle, "a", 0, &retry));
    throttle_free(throttle);
}

static void test_lockout(void **state) {
    (void)state;
    static const struct {
        unsigned failures;
        int64_t wait_s;
    } cases[] = {{0, 0},   {1, 0},   {4, 0},    {5, 30},   {6, 60},     {7, 120},
                 {8, 240}, {9, 480}, {10, 900}, {11, 900}, {1000, 900}, {UINT32_MAX, 900}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t until = lockout_until(cases[i].failures, 5000);
        assert_int_equal(until, cases[i].wait_s == 0 ? 0 : 5000 + cases[i].wait_s);
    }
}

static enum err_code judged(const char *text, const char *name, struct fault *fault) {
    secret_t password CLEANUP(secret_done) = {0};
    assert_ok(secret_copy(span_str(text), 4096, &password));
    return password_judge(&password, name, fault).code;
}

static void test_password_judged(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"", ERR_RANGE},
        {"short", ERR_RANGE},
        {"elevenchars", ERR_RANGE}, /* LIMIT_PASSWORD_CHARS_MIN; "twelve-chars" is below */
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", ERR_RANGE}, /* 7 characters */
        {"tab\there makes it", ERR_MALFORMED},
        {"not utf-8 \xff\xfe at all", ERR_MALFORMED},
        {"aaaaaaaaaaaaaaaaaaaa", ERR_REFUSED},
        {"abcdefghijklmnop", ERR_REFUSED},
        {"ponmlkjihgfedcba", ERR_REFUSED},
        {"123456789012", ERR_REFUSED},
        {"098765432109", ERR_REFUSED},
        {"qwertyuiop12", ERR_REFUSED},
        {"QWERTYuiop123456", ERR_REFUSED},
        {"aaaaaabbbbbb", ERR_REFUSED},
        {"abcabcabcabc", ERR_REFUSED},
        {"passwordpassword", ERR_REFUSED},
        {"password1234", ERR_REFUSED},
        {"Password-2026!", ERR_REFUSED},
        {"correct horse battery staple", ERR_REFUSED},
        {"caroline1234", ERR_REFUSED},
        {"Caroline-2026", ERR_REFUSED},
        {"enilorac!2026", ERR_REFUSED},
        {"carolineCAROLINE", ERR_REFUSED},
        {"twelve-chars", ERR_NONE},
        {"correct horse battery", ERR_NONE},
        {"\xc3\xa4 sch\xc3\xb6ne Stra\xc3\x9f"
         "e",
         ERR_NONE},
        {"caroline eats 47 plums", ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fault fault = {0};
        enum err_code got = judged(cases[i].text, "caroline", &fault);
        if (got != cases[i].code) {
            print_error("%s\n", cases[i].text);
        }
        assert_int_equal(got, cases[i].code);
        assert_string_equal(fault.field, got == ERR_NONE ? "" : "password");
        /* The reason is shown and logged: it must not quote the password. */
        assert_true(cases[i].text[0] == '\0' || strstr(fault.reason, cases[i].text) == NULL);
    }
    char text[LIMIT_PASSWORD_CHARS_MAX + 2] = "";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = (char)('a' + (i * i * 7 + i / 3) % 26);
    }
    assert_int_equal(judged(text, "caroline", NULL), ERR_TOO_LONG);
    text[LIMIT_PASSWORD_CHARS_MAX] = '\0';
    assert_int_equal(judged(text, "caroline", NULL), ERR_NONE);
}

static int64_t cpu_ns(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static const struct password_cost usual = {PASSWORD_MIB_MIN, PASSWORD_PASSES_MIN};

/* The least of several runs: whatever else the machine does only adds. */
static int64_t verify_cost_ns(const char *hash, const secret_t *password, enum err_code expected) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        int64_t start = cpu_ns();
        assert_fails(password_verify(hash, password, &usual), expected);
        int64_t cost = cpu_ns() - start;
        least = cost < least ? cost : least;
    }
    return least;
}

static void test_password_hash(void **state) {
    (void)state;
    secret_t password CLEANUP(secret_done) = {0};
    secret_t other CLEANUP(secret_done) = {0};
    secret_t empty = {0};
    assert_ok(secret_copy(SPAN_LITERAL("correct horse battery"), 512, &password));
    assert_ok(secret_copy(SPAN_LITERAL("correct horse batterz"), 512, &other));
    char hash[128] = "", again[128] = "";
    assert_ok(password_hash(&password, &usual, hash));
    assert_ok(password_hash(&password, &usual, again));
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_string_not_equal(hash, again); /* salted */
    assert_fails(password_verify(hash, &other, &usual), ERR_REFUSED);
    assert_fails(password_verify(hash, &empty, &usual), ERR_REFUSED);
    assert_fails(password_verify("", &empty, &usual), ERR_REFUSED);
    assert_fails(password_verify("not a hash", &password, &usual), ERR_REFUSED);
    assert_ok(password_verify(again, &password, &usual));
    const struct password_cost dearer = {PASSWORD_MIB_MIN, PASSWORD_PASSES_MIN + 1};
    assert_true(password_has_cost(hash, &usual));
    assert_false(password_has_cost(hash, &dearer));
    assert_false(password_has_cost("not a hash", &usual));
    assert_ok(password_hash(&password, &dearer, again));
    assert_true(password_has_cost(again, &dearer));
    assert_ok(password_verify(again, &password, &usual)); /* whatever it cost */
    int64_t real = verify_cost_ns(hash, &other, ERR_REFUSED);
    int64_t none = verify_cost_ns("", &other, ERR_REFUSED);
    assert_true(none > real / 2 && none < real * 2);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totp_vectors),   cmocka_unit_test(test_totp_window),
        cmocka_unit_test(test_totp_malformed), cmocka_unit_test(test_totp_uri),
        cmocka_unit_test(test_qr_rows),        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_token_refused),  cmocka_unit_test(test_token_header),
        cmocka_unit_test(test_throttle_burst), cmocka_unit_test(test_throttle_full),
        cmocka_unit_test(test_lockout),        cmocka_unit_test(test_password_judged),
        cmocka_unit_test(test_password_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
