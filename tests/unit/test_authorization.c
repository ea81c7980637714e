/* Codes and device grants: how they move on, and what stands by itself. Where they wait:
 * test_authorizations.c. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "identity/authorization.h"

#define NOW 1800000000
/* RFC 7636 appendix B */
#define VERIFIER  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define CLIENT    "posterngate-cli"
#define BACK      "http://127.0.0.1:4711/back"

static const uint8_t random_bytes[AUTHORIZATION_RANDOM_BYTES] = {1, 2, 3};
static const struct authorization_request request = {
    .client = CLIENT, .redirect_uri = BACK, .challenge = CHALLENGE};
static const struct authorization_approval alice = {7, NOW - 5, "pwd otp mfa"};

/* A code is no device's, and the other way round; and only their hashes are kept. */
static void test_kinds(void **state) {
    (void)state;
    struct authorization code, device;
    char token[TOKEN_CHARS], device_code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    assert_ok(authorization_make_code(random_bytes, &request, &alice, NOW, token, &code));
    assert_ok(authorization_make_device(random_bytes, &request, NOW, device_code, user, &device));
    assert_int_equal(authorization_poll(&code, CLIENT, NOW), POLL_UNKNOWN);
    assert_fails(authorization_redeem(&device, CLIENT, BACK, VERIFIER, NOW), ERR_NOT_FOUND);
    assert_false(authorization_waits(&code, NOW)); /* for nobody to approve */
    assert_true(authorization_waits(&device, NOW + AUTHORIZATION_DEVICE_S - 1));
    assert_false(authorization_waits(&device, NOW + AUTHORIZATION_DEVICE_S));
    assert_string_equal(code.user_code_hash, "");
    const char *const shown[] = {token + 4, device_code + 4, user};
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        assert_null(memmem(&code, sizeof code, shown[i], strlen(shown[i])));
        assert_null(memmem(&device, sizeof device, shown[i], strlen(shown[i])));
    }
}

static void test_user_code(void **state) {
    (void)state;
    struct authorization device;
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS], typed[32], hash[HASH_CHARS];
    static const char *const wrong[] = {"",          "BCDF",       "AAAA-AAAA", "BCDF-GHJKL",
                                        "BCDF-GHJ1", "BCDF\tGHJK", "BCDFGHJ"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_fails(authorization_hash_user_code(wrong[i], hash), ERR_MALFORMED);
    }
    assert_ok(authorization_make_device(random_bytes, &request, NOW, code, user, &device));
    (void)snprintf(typed, sizeof typed, "%c%c %.2s%s", user[0] + 32, user[1] + 32, user + 2,
                   user + 5);
    assert_ok(authorization_hash_user_code(typed, hash));
    assert_string_equal(hash, device.user_code_hash);
    assert_ok(authorization_print_user_code(typed, typed));
    assert_string_equal(typed, user);
}

static void test_loopback(void **state) {
    (void)state;
    static const char *const refused[] = {"",
                                          "http://localhost:80/",
                                          "https://127.0.0.1/",
                                          "http://127.0.0.1.evil.example/",
                                          "http://127.0.0.1@evil.example/",
                                          "http://127.0.0.1:80@evil.example/",
                                          "http://127.0.0.2/",
                                          "http://[::1]evil/",
                                          "http://[::2]/",
                                          "http://127.0.0.1:0/",
                                          "http://127.0.0.1:65536/",
                                          "http://127.0.0.1:/",
                                          "http://127.0.0.1:80#x",
                                          "http://127.0.0.1:80/#x",
                                          "http://127.0.0.1:80/a b",
                                          "http://127.0.0.1:80\\x",
                                          "HTTP://127.0.0.1/",
                                          "http://127.1/",
                                          "http://127.0.0.1:80/\n",
                                          "http://127.0.0.1:80/;x",
                                          "javascript:1"};
    static const char *const taken[] = {"http://127.0.0.1", "http://127.0.0.1:1/",
                                        "http://127.0.0.1:65535/back?x=1", "http://[::1]:8080/",
                                        "http://[::1]/back"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_false(authorization_is_loopback(refused[i]));
    }
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        assert_true(authorization_is_loopback(taken[i]));
    }
}

static void test_challenge(void **state) {
    (void)state;
    char out[AUTHORIZATION_CHALLENGE_CHARS], verifier[200];
    assert_ok(authorization_challenge(VERIFIER, out));
    assert_string_equal(out, CHALLENGE);
    for (size_t chars = 40; chars < 132; chars++) {
        memset(verifier, 'a', chars);
        verifier[chars] = '\0';
        assert_fails(authorization_challenge(verifier, out),
                     chars >= 43 && chars <= 128 ? ERR_NONE : ERR_MALFORMED);
    }
    assert_fails(authorization_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r+wW1gFWFOEjXk", out),
                 ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_user_code),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_challenge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
