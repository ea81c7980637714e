/* Where codes and device grants wait, over every store: who may redeem what, once, and until when.
 */
#include "authority/authorizations.h"

#include "store_suite.h"

/* RFC 7636 appendix B */
#define VERIFIER  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
#define CLIENT    "posterngate-cli"
#define BACK      "http://127.0.0.1:4711/back"

static const struct authorization_request request = {
    .client = CLIENT, .redirect_uri = BACK, .challenge = CHALLENGE, .nonce = "n"};

static struct authorization_approval approval_of(entity_id account_id) {
    return (struct authorization_approval){account_id, NOW - 5, "pwd otp mfa"};
}

/* Different for each number. */
static void random_of(uint32_t number, uint8_t out[AUTHORIZATION_RANDOM_BYTES]) {
    for (size_t i = 0; i < AUTHORIZATION_RANDOM_BYTES; i++) {
        out[i] = (uint8_t)(number >> (8 * (i % 4))) ^ (uint8_t)(31 * i);
    }
}

static err_t add_code(struct store *store, uint32_t number, entity_id account, int64_t now,
                      char code[TOKEN_CHARS]) {
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    const struct authorization_approval approval = approval_of(account);
    random_of(number, random);
    return authorizations_add_code(store, random, &request, &approval, now, code);
}

static err_t add_device(struct store *store, uint32_t number, int64_t now, char code[TOKEN_CHARS],
                        char user[AUTHORIZATION_USER_CODE_CHARS]) {
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    const struct authorization_request device = {.client = CLIENT, .source = "192.0.2.7"};
    random_of(number, random);
    return authorizations_add_device(store, random, &device, now, code, user);
}

static enum authorization_poll poll(struct store *store, const char *code, const char *client,
                                    int64_t now, struct authorization *out) {
    enum authorization_poll answer = POLL_UNKNOWN;
    assert_ok(authorizations_poll(store, span_str(code), client, now, &answer, out));
    return answer;
}

static err_t redeem(struct store *store, const char *code, int64_t now, struct authorization *out) {
    return authorizations_redeem(store, span_str(code), CLIENT, BACK, VERIFIER, now, out);
}

static void test_unknown(void **state) {
    struct store *store = begun(state);
    struct authorization out = {.family = "untouched"};
    const struct authorization_approval stranger = approval_of(99);
    char code[TOKEN_CHARS] = "pgc_", user[AUTHORIZATION_USER_CODE_CHARS];
    assert_fails(redeem(store, "pgc_", NOW, &out), ERR_NOT_FOUND);
    assert_int_equal(poll(store, "pgd_x", CLIENT, NOW, &out), POLL_UNKNOWN);
    assert_fails(authorizations_find_user_code(store, "BCDF-GHJK", NOW, &out), ERR_NOT_FOUND);
    assert_fails(authorizations_decide(store, "BCDF-GHJK", NULL, NOW), ERR_NOT_FOUND);
    assert_fails(authorizations_decide(store, "no code", &stranger, NOW), ERR_NOT_FOUND);
    assert_fails(add_code(store, 1, 99, NOW, code), ERR_NOT_FOUND); /* no such account */
    assert_string_equal(code, "pgc_");
    assert_ok(add_device(store, 2, NOW, code, user));
    assert_fails(redeem(store, code, NOW, &out), ERR_NOT_FOUND);
    assert_fails(authorizations_decide(store, user, &stranger, NOW), ERR_NOT_FOUND);
    assert_fails(add_device(store, 2, NOW, code, user), ERR_BUSY); /* the same user code */
    assert_string_equal(out.family, "untouched");
    assert_ok(store_commit(store));
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
        {CLIENT, BACK, VERIFIER, AUTHORIZATION_CODE_S + AUTHORIZATION_KEPT_S, ERR_NOT_FOUND},
        {CLIENT, BACK, VERIFIER, AUTHORIZATION_CODE_S - 1, ERR_NONE},
    };
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    struct authorization out;
    char code[TOKEN_CHARS];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_ok(add_code(store, (uint32_t)i, alice, NOW, code));
        assert_fails(authorizations_redeem(store, span_str(code), cases[i].client, cases[i].back,
                                           cases[i].verifier, NOW + cases[i].after_s, &out),
                     cases[i].code);
        if (cases[i].code == ERR_REFUSED) { /* one wrong try ends it */
            assert_fails(redeem(store, code, NOW, &out), ERR_NOT_FOUND);
        }
    }
    assert_int_equal(out.approval.account_id, alice);
    assert_string_equal(out.approval.methods, "pwd otp mfa");
    assert_string_equal(out.request.nonce, "n");
    struct authorization twice = {.family = ""};
    assert_fails(authorizations_redeem(store, span_str(code), "thief", "", "", NOW + 99, &twice),
                 ERR_DUPLICATE);
    assert_string_equal(twice.family, out.family);
    assert_int_equal(strlen(out.family), SESSION_FAMILY_CHARS - 1);
    /* A code is no device's. */
    assert_ok(add_code(store, 99, alice, NOW, code));
    assert_int_equal(poll(store, code, CLIENT, NOW, &out), POLL_UNKNOWN);
    assert_ok(store_commit(store));
}

/* What nothing came of was not used: the call that redeemed it failed, and its writes were undone.
 */
static void test_undone(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    struct authorization out;
    char code[TOKEN_CHARS];
    assert_ok(add_code(store, 1, alice, NOW, code));
    assert_ok(store_mark(store));
    assert_ok(redeem(store, code, NOW, &out));
    assert_ok(store_undo(store));
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    assert_ok(redeem(store, code, NOW + 1, &out));
    assert_fails(redeem(store, code, NOW + 1, &out), ERR_DUPLICATE);
    assert_ok(store_commit(store));
}

static void test_code_bounds(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    uint32_t number = 0;
    for (int i = 0; i < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i++) {
        assert_ok(add_code(store, number++, alice, NOW + 500, code));
    }
    assert_fails(add_code(store, number++, alice, NOW + 500, code), ERR_BUSY);
    for (int i = LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i < LIMIT_AUTHORIZATIONS_COUNT; i++) {
        assert_ok(add_device(store, number++, NOW + i / 8, code, user));
    }
    /* Full: the oldest device gives way, for another and for whoever signed in. */
    char first[TOKEN_CHARS], first_user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization found;
    size_t count = 0;
    assert_ok(add_device(store, number++, NOW + 550, first, first_user));
    assert_ok(add_code(store, number++, bob, NOW + 550, code));
    assert_ok(authorizations_find_user_code(store, first_user, NOW + 550, &found));
    assert_ok(authorizations_find_user_code(store, user, NOW + 550, &found));
    assert_ok(store_authorization_count(store, 0, &count));
    assert_int_equal(count, LIMIT_AUTHORIZATIONS_COUNT);
    assert_ok(store_authorization_count(store, alice, &count));
    assert_int_equal(count, LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT);
    assert_ok(store_commit(store));
}

/* Codes and devices that an account approved are counted together, until they are forgotten. */
static void test_approvals(void **state) {
    struct store *store = begun(state);
    const struct authorization_approval alice = approval_of(add_account(store, "alice"));
    const struct authorization_approval bob = approval_of(add_account(store, "bob"));
    char code[TOKEN_CHARS], device[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization out;
    uint32_t number = 0;
    for (int i = 1; i < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i++) {
        assert_ok(add_device(store, number++, NOW, code, user));
        assert_ok(authorizations_decide(store, user, &alice, NOW));
    }
    assert_ok(add_code(store, number++, alice.account_id, NOW, code));
    assert_ok(add_device(store, number++, NOW, device, user));
    assert_fails(authorizations_decide(store, user, &alice, NOW), ERR_BUSY);
    assert_ok(authorizations_decide(store, user, &bob, NOW));

    assert_ok(authorizations_forget(store, alice.account_id));
    assert_fails(redeem(store, code, NOW, &out), ERR_NOT_FOUND);
    assert_int_equal(poll(store, device, CLIENT, NOW, &out), POLL_APPROVED);
    assert_int_equal(out.approval.account_id, bob.account_id);
    assert_ok(add_device(store, number++, NOW, device, user));
    assert_ok(authorizations_decide(store, user, &alice, NOW));
    assert_ok(authorizations_forget(store, alice.account_id));
    assert_int_equal(poll(store, device, CLIENT, NOW, &out), POLL_UNKNOWN);
    /* What became tokens is remembered: who brings it once more may have been robbed of it. */
    assert_ok(add_code(store, number++, alice.account_id, NOW, code));
    assert_ok(redeem(store, code, NOW, &out));
    assert_ok(authorizations_forget(store, alice.account_id));
    assert_fails(redeem(store, code, NOW + 1, &out), ERR_DUPLICATE);
    assert_ok(store_commit(store));
}

static void test_full_of_codes(void **state) {
    struct store *store = begun(state);
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS], name[16];
    uint32_t number = 0;
    while (number < LIMIT_AUTHORIZATIONS_COUNT) {
        (void)snprintf(name, sizeof name, "person%u", number);
        entity_id account = add_account(store, name);
        for (int i = 0; i < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT; i++) {
            assert_ok(add_code(store, number++, account, NOW, code));
        }
    }
    assert_fails(add_code(store, number++, add_account(store, "alice"), NOW, code), ERR_BUSY);
    assert_fails(add_device(store, number++, NOW, code, user), ERR_BUSY);
    assert_ok(add_device(store, number++, NOW + 600, code, user));
    assert_ok(store_commit(store));
}

/* Or else one account, which refuses without end, would keep out everybody. */
static void test_full_of_refused(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    uint32_t number = 0;
    while (number < LIMIT_AUTHORIZATIONS_COUNT) {
        assert_ok(add_device(store, number++, NOW, code, user));
        assert_ok(authorizations_decide(store, user, NULL, NOW));
    }
    assert_ok(add_code(store, number++, alice, NOW, code));
    assert_ok(add_device(store, number++, NOW, code, user));
    assert_ok(store_commit(store));
}

static void test_device(void **state) {
    struct store *store = begun(state);
    const struct authorization_approval alice = approval_of(add_account(store, "alice"));
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization out = {.family = ""}, found;
    assert_ok(add_device(store, 1, NOW, code, user));
    assert_int_equal(strlen(user), 9);
    assert_int_equal(poll(store, code, "other", NOW, &out), POLL_UNKNOWN);
    assert_int_equal(poll(store, code, CLIENT, NOW, &out), POLL_PENDING);
    assert_int_equal(poll(store, code, CLIENT, NOW + 4, &out), POLL_SLOW_DOWN);
    assert_int_equal(poll(store, code, CLIENT, NOW + 13, &out), POLL_SLOW_DOWN);
    assert_int_equal(poll(store, code, CLIENT, NOW + 28, &out), POLL_PENDING);
    assert_ok(authorizations_find_user_code(store, user, NOW, &found));
    assert_string_equal(found.request.client, CLIENT);
    assert_string_equal(found.request.source, "192.0.2.7");
    assert_int_equal(found.created_at, NOW);
    assert_ok(authorizations_decide(store, user, &alice, NOW + 30));
    assert_fails(authorizations_decide(store, user, NULL, NOW + 30), ERR_NOT_FOUND);
    assert_fails(authorizations_find_user_code(store, user, NOW, &found), ERR_NOT_FOUND);
    assert_int_equal(poll(store, code, CLIENT, NOW + 60, &out), POLL_APPROVED);
    assert_int_equal(out.approval.account_id, alice.account_id);
    assert_int_equal(poll(store, code, CLIENT, NOW + 90, &out), POLL_UNKNOWN);
    assert_ok(store_commit(store));
}

static void test_device_ends(void **state) {
    struct store *store = begun(state);
    const struct authorization_approval alice = approval_of(add_account(store, "alice"));
    char code[TOKEN_CHARS], user[AUTHORIZATION_USER_CODE_CHARS];
    struct authorization out;
    const int64_t end = NOW + AUTHORIZATION_DEVICE_S;
    size_t count = 99;
    assert_ok(add_device(store, 1, NOW, code, user));
    assert_ok(authorizations_decide(store, user, NULL, NOW));
    assert_int_equal(poll(store, code, CLIENT, NOW, &out), POLL_DENIED);
    assert_ok(add_device(store, 2, NOW, code, user));
    assert_fails(authorizations_decide(store, user, &alice, end), ERR_NOT_FOUND);
    assert_ok(authorizations_decide(store, user, &alice, end - 1));
    assert_int_equal(poll(store, code, CLIENT, end, &out), POLL_EXPIRED);
    assert_int_equal(poll(store, code, CLIENT, end + AUTHORIZATION_KEPT_S, &out), POLL_UNKNOWN);
    assert_ok(authorizations_sweep(store, end + AUTHORIZATION_KEPT_S - 1));
    assert_ok(store_authorization_count(store, 0, &count));
    assert_int_equal(count, 2);
    assert_ok(authorizations_sweep(store, end + AUTHORIZATION_KEPT_S));
    assert_ok(store_authorization_count(store, 0, &count));
    assert_int_equal(count, 0);
    assert_ok(store_commit(store));
}

int main(void) {
    static const struct store_test tests[] = {
        TEST(test_unknown),         TEST(test_code),      TEST(test_undone),
        TEST(test_code_bounds),     TEST(test_approvals), TEST(test_full_of_codes),
        TEST(test_full_of_refused), TEST(test_device),    TEST(test_device_ends),
    };
    return run_over_stores(tests, COUNT_OF(tests));
}
