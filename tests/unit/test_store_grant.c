/* Grants, tickets and what they obtained, over every store. */
#include "store_suite.h"

static struct cluster_list clusters_of(const char *text) {
    struct cluster_list list;
    assert_ok(cluster_list_parse(span_str(text), &list));
    return list;
}

static err_t each_grant(void *context, const struct grant *grant) {
    return collect(context, grant->name);
}

static struct grant new_grant(const char *name, const char *fingerprint, entity_id account) {
    struct grant grant = {
        .account_id = account, .duration_s = 60, .created_at = NOW, .expires_at = NOW + DAY};
    (void)snprintf(grant.name, sizeof grant.name, "%s", name);
    (void)snprintf(grant.fingerprint, sizeof grant.fingerprint, "%s", fingerprint);
    return grant;
}

static void test_grant_refused(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    static struct grant out, grant; /* big */
    grant = new_grant("stranger", "f1", 99);
    assert_fails(store_grant_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_grant_add(store, &grant), ERR_NOT_FOUND);
    assert_fails(store_grant_update(store, &grant), ERR_NOT_FOUND);
    grant = new_grant("endless", "f1", alice);
    grant.duration_s = 0;
    assert_fails(store_grant_add(store, &grant), ERR_RANGE);
    assert_int_equal(grant.id, 0);
    struct listing none = {0};
    assert_ok(store_grant_list(store, 0, each_grant, &none));
    assert_string_equal(none.text, "");
    assert_ok(store_commit(store));
}

static void test_grant(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    static struct grant out, one, two, three; /* big */
    one = new_grant("nightly", "f1", alice);
    one.clusters = clusters_of("daint,santis");
    assert_ok(subnet_list_parse(span_str("192.0.2.0/24"), &one.subnets));
    memset(one.force_command, 'x', LIMIT_GRANT_COMMAND_CHARS);
    two = new_grant("weekly", "f2", alice);
    three = new_grant("other", "f1", bob);
    assert_ok(store_grant_add(store, &one));
    assert_ok(store_grant_add(store, &two));
    assert_ok(store_grant_add(store, &three)); /* two accounts may trust one machine */
    assert_ok(store_grant_get(store, one.id, &out));
    assert_memory_equal(&out, &one, sizeof out);
    one.last_used_at = NOW + 5;
    one.last_proof_ms = (NOW + 5) * 1000LL;
    memcpy(one.last_source, "192.0.2.7", sizeof "192.0.2.7");
    one.revoked_at = NOW + 9;
    one.clusters = (struct cluster_list){0};
    assert_ok(store_grant_update(store, &one));
    assert_ok(store_grant_get(store, one.id, &out));
    assert_memory_equal(&out, &one, sizeof out);
    struct listing of_alice = {0}, all = {0}, of_key = {0}, of_none = {0};
    assert_ok(store_grant_list(store, alice, each_grant, &of_alice));
    assert_string_equal(of_alice.text, "nightly weekly");
    assert_ok(store_grant_list(store, 0, each_grant, &all));
    assert_string_equal(all.text, "nightly weekly other");
    assert_ok(store_grant_list_by_key(store, "f1", each_grant, &of_key));
    assert_string_equal(of_key.text, "nightly other");
    assert_ok(store_grant_list_by_key(store, "f", each_grant, &of_none));
    assert_string_equal(of_none.text, "");
    assert_ok(store_commit(store));
}

static struct ticket new_ticket(const char *hash, entity_id account, entity_id key, int64_t end) {
    struct ticket ticket = {.account_id = account, .api_key_id = key, .expires_at = end};
    (void)snprintf(ticket.hash, sizeof ticket.hash, "%s", hash);
    return ticket;
}

static void test_ticket(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), portal = add_account(store, "portal");
    struct api_key key = {.account_id = portal, .name = "ci", .hash = "h1"};
    assert_ok(store_api_key_add(store, &key));
    struct ticket out, one = new_ticket("t1", alice, key.id, NOW + 60);
    struct ticket stranger = new_ticket("t2", 99, key.id, NOW), keyless = one;
    keyless.api_key_id = 99;
    assert_fails(store_ticket_add(store, &stranger), ERR_NOT_FOUND);
    assert_fails(store_ticket_add(store, &keyless), ERR_NOT_FOUND);
    assert_fails(store_ticket_find(store, "t1", &out), ERR_NOT_FOUND);
    assert_fails(store_ticket_remove(store, "t1"), ERR_NOT_FOUND);
    assert_ok(store_ticket_add(store, &one));
    assert_fails(store_ticket_add(store, &one), ERR_EXISTS);
    assert_ok(store_ticket_find(store, "t1", &out));
    assert_memory_equal(&out, &one, sizeof out);
    assert_ok(store_ticket_sweep(store, NOW + 59));
    assert_ok(store_ticket_find(store, "t1", &out));
    assert_ok(store_ticket_sweep(store, NOW + 60)); /* not any more at its very second */
    assert_fails(store_ticket_find(store, "t1", &out), ERR_NOT_FOUND);
    assert_ok(store_ticket_add(store, &one));
    assert_ok(store_ticket_remove(store, "t1"));
    assert_fails(store_ticket_remove(store, "t1"), ERR_NOT_FOUND);
    assert_ok(store_commit(store));
}

/* What a key and an account are bound to comes back as it was put. */
static void test_bounds(void **state) {
    struct store *store = begun(state);
    struct account out, portal = new_account("portal");
    portal.kind = ACCOUNT_SERVICE;
    portal.impersonates = true;
    assert_ok(store_account_add(store, &portal));
    assert_ok(store_account_get(store, portal.id, &out));
    assert_memory_equal(&out, &portal, sizeof out);
    struct api_key found, key = {.account_id = portal.id,
                                 .hash = "h",
                                 .clusters = clusters_of("daint"),
                                 .duration_max_s = 60};
    assert_ok(store_api_key_add(store, &key));
    assert_ok(store_api_key_get(store, key.id, &found));
    assert_memory_equal(&found, &key, sizeof found);
    key.clusters = clusters_of("daint,eiger");
    assert_ok(store_api_key_update(store, &key));
    assert_ok(store_api_key_find(store, "h", &found));
    assert_memory_equal(&found, &key, sizeof found);
    assert_ok(store_commit(store));
}

static err_t each_issued(void *context, const struct issued *issued) {
    return collect_number(context, issued->serial);
}

static void expect_issued(struct store *store, struct issued_filter filter, const char *serials) {
    struct listing listing = {0};
    filter.now = NOW;
    filter.max = filter.max == 0 ? 10 : filter.max;
    assert_ok(store_issued_list(store, &filter, each_issued, &listing));
    assert_string_equal(listing.text, serials);
}

static void test_obtained(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    enum { PORTAL = 77, GRANT = 5, KEY = 9 };
    struct issued rows[] = {new_issued(1, alice, NOW), new_issued(2, alice, NOW),
                            new_issued(3, bob, NOW), new_issued(4, alice, NOW - 2 * DAY)};
    rows[0].grant_id = GRANT;
    rows[1].by_id = rows[2].by_id = rows[3].by_id = PORTAL;
    rows[1].api_key_id = KEY;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_ok(store_issued_add(store, &rows[i]));
        struct issued out;
        assert_ok(store_issued_get(store, rows[i].serial, &out));
        assert_memory_equal(&out, &rows[i], sizeof out);
    }
    for (int round = 0; round < 2; round++) { /* uncommitted, and committed */
        expect_issued(store, (struct issued_filter){.account_id = alice, .grant_id = GRANT}, "1");
        expect_issued(store, (struct issued_filter){.account_id = bob, .grant_id = GRANT}, "");
        expect_issued(store, (struct issued_filter){.grant_id = GRANT}, "1");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL}, "3 2");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL, .max = 1}, "3");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL, .before_serial = 3}, "2");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL, .api_key_id = KEY}, "2");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL, .account_id = bob}, "3");
        expect_issued(store, (struct issued_filter){.by_id = PORTAL, .include_expired = true},
                      "4 3 2");
        expect_issued(store, (struct issued_filter){.by_id = 78}, "");
        assert_ok(store_commit(store));
        assert_ok(store_begin(store));
    }
    assert_ok(store_issued_revoke(store, 3, NOW, "lost"));
    expect_issued(store, (struct issued_filter){.by_id = PORTAL}, "2");
    assert_ok(store_commit(store));
}

static const struct store_test tests[] = {
    TEST(test_grant_refused), TEST(test_grant),    TEST(test_ticket),
    TEST(test_bounds),        TEST(test_obtained),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
