/* Codes and device grants: who may redeem what, once, and until when. */
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

static const struct authorization_request request = {
    .client = CLIENT, .redirect_uri = BACK, .challenge = CHALLENGE, .nonce = "n"};
static const struct authorization_approval alice = {7, NOW - 5, "pwd otp mfa"};

static int new_table(void **state) {
    struct authorizations *table = NULL;
    assert_ok(authorizations_new(&table));
    *state = table;
    return 0;
}

static int free_table(void **state) {
    authorizations_free(*state);
    return 0;
}

/* Different for each number. */
static void random_of(uint32_t number, uint8_t out[AUTHORIZATION_RANDOM_BYTES]) {
    for (size_t i = 0; i < AUTHORIZATION_RANDOM_BYTES; i++) {
        out[i] = (uint8_t)(number >> (8 * (i % 4))) ^ (uint8_t)(31 * i);
    }
}

static err_t add_code(struct authorizations *table, uint32_t number, entity_id account, int64_t now,
                      char code[TOKEN_CHARS]) {
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    struct authorization_approval approval = alice;
    approval.account_id = account;
    random_of(number, random);
    return authorizations_add_code(table, random, &request, &approval, now, code);
}

static err_t add_device(struct authorizations *table, uint32_t number, int64_t now,
                        char code[TOKEN_CHARS], char user[AUTHORIZATION_USER_CODE_CHARS]) {
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    const struct authorization_request device = {.client = CLIENT};
    random_of(number, random);
    return authorizations_add_device(table, random, &device, now, code, user);
}

static void test_code(void **state) {
    static const struct {
        const char *client, *back, *verifier;
        int after_s;
        enum err_code code;
    } cases[] = {
        {"other", BACK, VERIFIER, 0, ERR_REFUSED},
        {CLIENT, "http://127.0.0.1:4712/back", VERIFIER, 0, ERR_REFUSED},
        {CLIENT, BACK, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", 0, ERR_REFUSED},
        {CLIENT, BACK, CHALLENGE, 0, ERR_REFUSED}, /* "plain" */
        {CLIENT, BACK, "", 0, ERR_REFUSED},
        {CLIENT, BACK, VERIFIER, AUTHORIZATION_CODE_S, ERR_NOT_FOUND},
        {CLIENT, BACK, VERIFIER, AUTHORIZATION_CODE_S - 1, ERR_NONE},
    };
    struct authorization out;
    char code[TOKEN_CHARS];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_ok(add_code(*state, (uint32_t)i, 7, NOW, code));
        assert_fails(authorizations_redeem(*state, span_str(code), cases[i].client, cases[i].back,
                                           cases[i].verifier, NOW + cases[i].after_s, &out),
                     cases[i].code);
        if (cases[i].code != ERR_NONE) { /* one wrong try ends it */
            assert_fails(
                authorizations_redeem(*state, span_str(code), CLIENT, BACK, VERIFIER, NOW, &out),
                ERR_NOT_FOUND);
        }
    }
    assert_int_equal(out.approval.account_id, 7);
    assert_string_equal(out.approval.methods, "pwd otp mfa");
    assert_string_equal(out.request.nonce, "n");
    struct authorization twice = {.family = ""};
    assert_fails(authorizations_redeem(*state, span_str(code), "thief", "", "", NOW + 99, &twice),
                 ERR_DUPLICATE);
    assert_string_equal(twice.family, out.family);
    assert_int_equal(strlen(out.family), SESSION_FAMILY_CHARS - 1);
    assert_fails(
        authorizations_redeem(*state, SPAN_LITERAL("pgc_"), CLIENT, BACK, VERIFIER, NOW, &out),
        ERR_NOT_FOUND);
}

static void test_code_bounds(void **state) {
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    uint32_t number = 0;
    for (int i = 0; i < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i++) {
        assert_ok(add_code(*state, number++, 7, NOW, code));
    }
    assert_fails(add_code(*state, number++, 7, NOW, code), ERR_BUSY);
    for (int i = LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i < LIMIT_AUTHORIZATIONS_COUNT; i++) {
        assert_ok(add_device(*state, number++, NOW + i, code, user));
    }
    /* Full: the oldest device gives way, for another and for whoever signed in. */
    char first[TOKEN_CHARS], first_user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization_request found;
    assert_ok(add_device(*state, number++, NOW + 5000, first, first_user));
    assert_ok(add_code(*state, number++, 8, NOW + 5000, code));
    assert_ok(authorizations_find_user_code(*state, first_user, NOW + 5000, &found));
}

/* Codes and devices that an account approved are counted together, until they are forgotten. */
static void test_approvals(void **state) {
    char code[TOKEN_CHARS], device[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization out;
    uint32_t number = 0;
    for (int i = 1; i < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i++) {
        assert_ok(add_device(*state, number++, NOW, code, user));
        assert_ok(authorizations_decide(*state, user, &alice, NOW));
    }
    assert_ok(add_code(*state, number++, alice.account_id, NOW, code));
    assert_ok(add_device(*state, number++, NOW, device, user));
    assert_fails(authorizations_decide(*state, user, &alice, NOW), ERR_BUSY);
    const struct authorization_approval bob = {8, NOW, "pwd otp mfa"};
    assert_ok(authorizations_decide(*state, user, &bob, NOW));

    authorizations_forget(*state, alice.account_id);
    assert_fails(authorizations_redeem(*state, span_str(code), CLIENT, BACK, VERIFIER, NOW, &out),
                 ERR_NOT_FOUND);
    assert_int_equal(authorizations_poll(*state, span_str(device), CLIENT, NOW, &out),
                     POLL_APPROVED);
    assert_int_equal(out.approval.account_id, bob.account_id);
    assert_ok(add_device(*state, number++, NOW, device, user));
    assert_ok(authorizations_decide(*state, user, &alice, NOW));
    authorizations_forget(*state, alice.account_id);
    assert_int_equal(authorizations_poll(*state, span_str(device), CLIENT, NOW, &out),
                     POLL_UNKNOWN);
}

static void test_full_of_codes(void **state) {
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    uint32_t number = 0;
    for (; number < LIMIT_AUTHORIZATIONS_COUNT; number++) {
        assert_ok(add_code(*state, number, 100 + number, NOW, code));
    }
    assert_fails(add_code(*state, number++, 7, NOW, code), ERR_BUSY);
    assert_fails(add_device(*state, number++, NOW, code, user), ERR_BUSY);
    assert_ok(add_device(*state, number++, NOW + 600, code, user));
}

static void test_device(void **state) {
    struct authorizations *table = *state;
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS], typed[32];
    struct authorization out = {.family = ""};
    struct authorization_request found;
    assert_ok(add_device(table, 1, NOW, code, user));
    assert_int_equal(strlen(user), 9);
    assert_int_equal(authorizations_poll(table, span_str("pgd_x"), CLIENT, NOW, &out),
                     POLL_UNKNOWN);
    assert_int_equal(authorizations_poll(table, span_str(code), "other", NOW, &out), POLL_UNKNOWN);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW, &out), POLL_PENDING);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW + 4, &out),
                     POLL_SLOW_DOWN);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW + 13, &out),
                     POLL_SLOW_DOWN);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW + 28, &out),
                     POLL_PENDING);
    static const char *const wrong[] = {"", "BCDF", "AAAA-AAAA", "BCDF-GHJKL", "BCDF-GHJ1"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_fails(authorizations_decide(table, wrong[i], &alice, NOW), ERR_NOT_FOUND);
    }
    (void)snprintf(typed, sizeof typed, "%c%c %.2s%s", user[0] + 32, user[1] + 32, user + 2,
                   user + 5);
    assert_ok(authorizations_find_user_code(table, typed, NOW, &found));
    assert_string_equal(found.client, CLIENT);
    assert_ok(authorizations_decide(table, typed, &alice, NOW + 30));
    assert_fails(authorizations_decide(table, typed, NULL, NOW + 30), ERR_NOT_FOUND);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW + 60, &out),
                     POLL_APPROVED);
    assert_int_equal(out.approval.account_id, 7);
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW + 90, &out),
                     POLL_UNKNOWN);
}

static void test_device_ends(void **state) {
    struct authorizations *table = *state;
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization out;
    assert_ok(add_device(table, 1, NOW, code, user));
    assert_ok(authorizations_decide(table, user, NULL, NOW));
    assert_int_equal(authorizations_poll(table, span_str(code), CLIENT, NOW, &out), POLL_DENIED);
    assert_ok(add_device(table, 2, NOW, code, user));
    assert_fails(authorizations_decide(table, user, &alice, NOW + AUTHORIZATION_DEVICE_S),
                 ERR_NOT_FOUND);
    assert_ok(authorizations_decide(table, user, &alice, NOW + AUTHORIZATION_DEVICE_S - 1));
    assert_int_equal(
        authorizations_poll(table, span_str(code), CLIENT, NOW + AUTHORIZATION_DEVICE_S, &out),
        POLL_EXPIRED);
    assert_int_equal(
        authorizations_poll(table, span_str(code), CLIENT, NOW + AUTHORIZATION_DEVICE_S + 60, &out),
        POLL_UNKNOWN);
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
        cmocka_unit_test_setup_teardown(test_code, new_table, free_table),
        cmocka_unit_test_setup_teardown(test_code_bounds, new_table, free_table),
        cmocka_unit_test_setup_teardown(test_approvals, new_table, free_table),
        cmocka_unit_test_setup_teardown(test_full_of_codes, new_table, free_table),
        cmocka_unit_test_setup_teardown(test_device, new_table, free_table),
        cmocka_unit_test_setup_teardown(test_device_ends, new_table, free_table),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_challenge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
