/* Passkeys and recovery codes, over every store. */
#include "store_suite.h"

static struct passkey new_passkey(const char *credential, entity_id account) {
    struct passkey passkey = {.account_id = account, .counter = UINT32_MAX, .created_at = NOW};
    (void)snprintf(passkey.credential, sizeof passkey.credential, "%s", credential);
    (void)snprintf(passkey.name, sizeof passkey.name, "key %s", credential);
    memset(passkey.public_key, 'k', sizeof passkey.public_key - 1);
    return passkey;
}

static err_t each_passkey(void *context, const struct passkey *passkey) {
    return collect(context, passkey->credential);
}

static const char *listed(struct store *store, entity_id account) {
    static struct listing listing;
    listing = (struct listing){0};
    assert_ok(store_passkey_list(store, account, each_passkey, &listing));
    return listing.text;
}

static void test_passkey_refused(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    static struct passkey out, one, other; /* big */
    one = new_passkey("one", 99);
    assert_fails(store_passkey_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_passkey_find(store, "one", &out), ERR_NOT_FOUND);
    assert_fails(store_passkey_remove(store, 1), ERR_NOT_FOUND);
    assert_fails(store_passkey_update(store, &one), ERR_NOT_FOUND);
    assert_fails(store_passkey_add(store, &one), ERR_NOT_FOUND);
    one.account_id = alice;
    assert_ok(store_passkey_add(store, &one));
    other = new_passkey("one", bob); /* a credential is one account's */
    assert_fails(store_passkey_add(store, &other), ERR_EXISTS);
    assert_int_equal(other.id, 0);
    assert_ok(store_commit(store));
}

static void test_passkey(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    static struct passkey out, one, two, three;
    one = new_passkey("one", alice);
    two = new_passkey("two", alice);
    three = new_passkey("three", bob);
    memset(one.credential, 'c', sizeof one.credential - 1); /* as long as can be */
    assert_ok(store_passkey_add(store, &one));
    assert_ok(store_passkey_add(store, &two));
    assert_ok(store_passkey_add(store, &three));
    assert_ok(store_passkey_find(store, one.credential, &out));
    assert_memory_equal(&out, &one, sizeof out);
    two.counter = 7;
    two.may_be_copied = true;
    two.last_used_at = NOW + 1;
    two.locked_at = NOW + 2;
    assert_ok(store_passkey_update(store, &two));
    assert_ok(store_passkey_get(store, two.id, &out));
    assert_memory_equal(&out, &two, sizeof out);
    assert_ok(store_passkey_remove(store, one.id));
    assert_string_equal(listed(store, alice), "two");
    assert_ok(store_passkey_remove_all(store, alice));
    assert_string_equal(listed(store, alice), "");
    assert_string_equal(listed(store, bob), "three");
    assert_ok(store_commit(store));
}

static size_t codes_of(struct store *store, entity_id account) {
    size_t count = 99;
    assert_ok(store_recovery_code_count(store, account, &count));
    return count;
}

static void test_recovery_code(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    struct recovery_code stranger = {99, "a"}, a = {alice, "a"}, b = {alice, "b"}, c = {bob, "a"};
    assert_fails(store_recovery_code_put(store, &stranger), ERR_NOT_FOUND);
    assert_fails(store_recovery_code_take(store, alice, "a"), ERR_NOT_FOUND);
    assert_int_equal(codes_of(store, alice), 0);
    assert_ok(store_recovery_code_put(store, &a));
    assert_ok(store_recovery_code_put(store, &b));
    assert_ok(store_recovery_code_put(store, &c));
    assert_int_equal(codes_of(store, alice), 2);
    assert_ok(store_mark(store));
    assert_ok(store_recovery_code_take(store, alice, "a"));
    assert_fails(store_recovery_code_take(store, alice, "a"), ERR_NOT_FOUND); /* good once */
    assert_ok(store_undo(store)); /* the call was refused after all */
    assert_ok(store_recovery_code_take(store, alice, "a"));
    assert_int_equal(codes_of(store, alice), 1);
    assert_ok(store_recovery_code_remove_all(store, alice));
    assert_int_equal(codes_of(store, alice), 0);
    assert_int_equal(codes_of(store, bob), 1);
    assert_ok(store_commit(store));
}

static void test_answered_challenge(void **state) {
    struct store *store = begun(state);
    const struct answered_challenge first = {"aa", NOW + 10}, second = {"bb", NOW + 11};
    assert_ok(store_answered_challenge_add(store, &first));
    assert_fails(store_answered_challenge_add(store, &first), ERR_EXISTS);
    assert_ok(store_mark(store));
    assert_ok(store_answered_challenge_add(store, &second));
    assert_ok(store_undo(store)); /* nothing came of the answer */
    assert_ok(store_answered_challenge_add(store, &second));
    assert_ok(store_answered_challenge_sweep(store, NOW + 9));
    assert_fails(store_answered_challenge_add(store, &first), ERR_EXISTS);
    assert_ok(store_answered_challenge_sweep(store, NOW + 10));
    assert_ok(store_answered_challenge_add(store, &first));
    assert_fails(store_answered_challenge_add(store, &second), ERR_EXISTS);
    assert_ok(store_commit(store));
}

int main(void) {
    static const struct store_test tests[] = {
        TEST(test_passkey_refused),
        TEST(test_passkey),
        TEST(test_recovery_code),
        TEST(test_answered_challenge),
    };
    return run_over_stores(tests, COUNT_OF(tests));
}
