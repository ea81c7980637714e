/* Certificates, API keys, sessions and registered keys, over every store. */
#include "store_suite.h"

/* ---- certificates ---- */

static err_t each_issued(void *context, const struct issued *issued) {
    return collect_number(context, issued->serial);
}

static void test_issued(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    struct issued out, first = new_issued(INT64_MAX, alice, NOW), host = new_issued(7, 0, NOW);
    assert_fails(store_issued_get(store, INT64_MAX, &out), ERR_NOT_FOUND);
    assert_fails(store_issued_revoke(store, 7, NOW, "x"), ERR_NOT_FOUND);
    struct issued stranger = new_issued(8, 99, NOW);
    assert_fails(store_issued_add(store, &stranger), ERR_NOT_FOUND);
    assert_ok(store_issued_add(store, &first));
    assert_fails(store_issued_add(store, &first), ERR_EXISTS);
    host.host_id = 12; /* hosts go, their certificates stay on record */
    assert_ok(store_issued_add(store, &host));
    assert_ok(store_issued_get(store, INT64_MAX, &out));
    assert_memory_equal(&out, &first, sizeof out);
    assert_ok(store_issued_get(store, 7, &out));
    assert_memory_equal(&out, &host, sizeof out);

    char reason[LIMIT_REASON_CHARS + 2];
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    assert_fails(store_issued_revoke(store, 7, NOW, reason), ERR_TOO_LONG);
    assert_ok(store_issued_revoke(store, 7, NOW + 1, reason + 1));
    assert_fails(store_issued_revoke(store, 7, NOW + 2, "again"), ERR_CONFLICT);
    assert_ok(store_issued_get(store, 7, &out));
    assert_int_equal(out.revoked_at, NOW + 1);
    assert_string_equal(out.revoked_reason, reason + 1);
    assert_ok(store_commit(store));
}

struct facts {
    uint32_t count;
    bool valid;
};

static struct facts facts_of(struct store *store, entity_id account, const char *fingerprint,
                             int64_t since, int64_t now) {
    struct facts facts = {99, true};
    assert_ok(
        store_issued_facts(store, account, fingerprint, since, now, &facts.count, &facts.valid));
    return facts;
}

static void expect_facts(struct facts facts, uint32_t count, bool valid) {
    assert_int_equal(facts.count, count);
    assert_int_equal(facts.valid, valid);
}

static void test_facts(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    int64_t oldest = 42;
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), 0, NOW), 0, false);
    assert_fails(store_issued_oldest(store, alice, 0, &oldest), ERR_NOT_FOUND);
    add_issued(store, 10, alice, NOW - DAY);
    add_issued(store, 11, alice, NOW - 10);
    struct issued free_one = new_issued(12, alice, NOW - 5);
    free_one.counts = false;
    assert_ok(store_issued_add(store, &free_one));
    add_issued(store, 13, bob, NOW);
    /* a key that has one for a job, which nobody counted, is not free for others */
    struct issued for_job = new_issued(14, alice, NOW - 5);
    memcpy(for_job.fingerprint, FINGERPRINT("x"), sizeof FINGERPRINT("x"));
    (void)snprintf(for_job.key_id, sizeof for_job.key_id, "alice@test outside job:1@nancy");
    for_job.counts = false;
    assert_ok(store_issued_add(store, &for_job));
    /* issued_at >= since; those that do not count, and others', do not count */
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 2, true);
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY + 1, NOW), 1, true);
    expect_facts(facts_of(store, alice, FINGERPRINT("x"), NOW - DAY, NOW), 2, false);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    assert_ok(store_issued_oldest(store, alice, NOW - DAY, &oldest));
    assert_int_equal(oldest, NOW - DAY);
    assert_ok(store_issued_oldest(store, alice, NOW - DAY + 1, &oldest));
    assert_int_equal(oldest, NOW - 10);
    /* valid_before > now: not any more at its very second */
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW, NOW + DAY - 1), 1, true);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW, NOW + DAY), 1, false);
    /* revoking gives no quota back */
    assert_ok(store_issued_revoke(store, 13, NOW, "lost"));
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 1, false);
    assert_ok(store_commit(store));
}

/* Facts are what the rows say, whatever became of the transaction that wrote them. */
static void test_facts_of_undone(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    add_issued(store, 10, alice, NOW);
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 0, false);
    assert_ok(store_mark(store));
    add_issued(store, 11, alice, NOW);
    add_issued(store, 12, bob, NOW);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    assert_ok(store_undo(store));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 0, false);
    assert_ok(store_mark(store));
    assert_ok(store_issued_revoke(store, 10, NOW, "lost"));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, false);
    assert_ok(store_undo(store));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    assert_ok(store_commit(store));

    assert_ok(store_begin(store));
    add_issued(store, 13, bob, NOW);
    add_issued(store, 9, bob, NOW); /* a clock that went back */
    assert_ok(store_issued_revoke(store, 10, NOW, "lost"));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, false);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 2, true);
    store_rollback(store);
    assert_ok(store_begin(store));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW - DAY, NOW), 1, true);
    expect_facts(facts_of(store, bob, FINGERPRINT("k"), NOW - DAY, NOW), 0, false);
    assert_ok(store_commit(store));
}

/* Several certificates of several keys; questions that go back in time too. */
static void test_facts_of_keys(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW + DAY, NOW + 3 * DAY), 0, false);
    add_issued(store, 1, alice, NOW);
    add_issued(store, 2, alice, NOW + DAY);
    struct issued other = new_issued(3, alice, NOW);
    memcpy(other.fingerprint, FINGERPRINT("o"), sizeof FINGERPRINT("o"));
    assert_ok(store_issued_add(store, &other));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW + DAY, NOW + DAY), 1, true);
    expect_facts(facts_of(store, alice, FINGERPRINT("o"), NOW + DAY, NOW + DAY), 1, false);
    expect_facts(facts_of(store, alice, FINGERPRINT("o"), NOW, NOW), 3, true);
    /* under the later certificate of the key lies the earlier */
    assert_ok(store_issued_revoke(store, 2, NOW, "lost"));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW, NOW), 3, true);
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW, NOW + DAY), 3, false);
    assert_ok(store_issued_revoke(store, 1, NOW, "lost"));
    expect_facts(facts_of(store, alice, FINGERPRINT("k"), NOW, NOW), 3, false);
    expect_facts(facts_of(store, alice, FINGERPRINT("o"), NOW, NOW), 3, true);
    /* many keys, of which the old ones expire */
    for (uint64_t i = 0; i < 64; i++) {
        struct issued issued = new_issued(10 + i, alice, NOW + (int64_t)i * DAY / 4);
        (void)snprintf(issued.fingerprint, sizeof issued.fingerprint, "SHA256:%02u", (unsigned)i);
        expect_facts(facts_of(store, alice, issued.fingerprint, issued.issued_at - DAY + 1,
                              issued.issued_at),
                     (uint32_t)(i < 4    ? i + 3
                                : i == 4 ? 4
                                : i < 8  ? 4
                                         : 3),
                     false);
        assert_ok(store_issued_add(store, &issued));
    }
    expect_facts(facts_of(store, alice, "SHA256:63", NOW, NOW + 16 * DAY), 67, true);
    expect_facts(facts_of(store, alice, "SHA256:60", NOW, NOW + 16 * DAY), 67, false);
    assert_ok(store_commit(store));
}

static void add_to_host(struct store *store, uint64_t serial, entity_id host_id, int64_t at) {
    struct issued issued = new_issued(serial, 0, at);
    issued.host_id = host_id;
    assert_ok(store_issued_add(store, &issued));
}

static void add_with_key(struct store *store, uint64_t serial, entity_id account_id,
                         entity_id api_key_id, int64_t at) {
    struct issued issued = new_issued(serial, account_id, at);
    issued.api_key_id = api_key_id;
    assert_ok(store_issued_add(store, &issued));
}

static void test_issued_list(void **state) {
    static const uint64_t revoked[] = {4, 6, 9, 12};
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    add_issued(store, 1, alice, NOW - 2 * DAY); /* expired */
    add_issued(store, 2, bob, NOW);
    add_issued(store, 3, alice, NOW);
    add_issued(store, 4, alice, NOW); /* revoked */
    add_to_host(store, 5, 7, NOW);
    add_issued(store, 6, alice, NOW - 2 * DAY); /* expired and revoked */
    add_issued(store, 7, alice, NOW);
    add_to_host(store, 8, 7, NOW - 2 * DAY); /* expired */
    add_to_host(store, 9, 7, NOW);           /* revoked */
    add_with_key(store, 10, alice, 3, NOW);
    add_with_key(store, 11, alice, 3, NOW - 2 * DAY); /* expired */
    add_with_key(store, 12, alice, 3, NOW);           /* revoked */
    for (size_t i = 0; i < COUNT_OF(revoked); i++) {
        assert_ok(store_issued_revoke(store, revoked[i], NOW, "lost"));
    }
    const struct {
        struct issued_filter filter;
        const char *expected;
    } cases[] = {
        {{alice, 0, 0, 0, 0, NOW, false, false, 0, 0}, ""},
        {{alice, 0, 0, 0, 0, NOW, false, false, 0, 9}, "10 7 3"},
        {{alice, 0, 0, 0, 0, NOW, true, false, 0, 9}, "11 10 7 3 1"},
        {{alice, 0, 0, 0, 0, NOW, false, true, 0, 9}, "12 10 7 4 3"},
        {{alice, 0, 0, 0, 0, NOW, true, true, 0, 9}, "12 11 10 7 6 4 3 1"},
        {{alice, 0, 0, 0, 0, NOW, true, true, 0, 2}, "12 11"},
        {{alice, 0, 0, 0, 0, NOW, true, true, 6, 2}, "4 3"},
        {{alice, 0, 0, 0, 0, NOW, true, true, 1, 2}, ""},
        {{alice, 0, 0, 0, 0, NOW, true, true, UINT64_MAX, SIZE_MAX}, "12 11 10 7 6 4 3 1"},
        {{bob, 0, 0, 0, 0, NOW + DAY, false, false, 0, 9}, ""},
        {{0, 0, 0, 0, 0, NOW, false, false, 0, 9}, "10 7 5 3 2"},
        {{0, 0, 0, 0, 0, NOW, true, true, 5, 2}, "4 3"},
        {{99, 0, 0, 0, 0, NOW, true, true, 0, 9}, ""},
        {{0, 7, 0, 0, 0, NOW, false, false, 0, 9}, "5"},
        {{0, 7, 0, 0, 0, NOW, true, true, 0, 9}, "9 8 5"},
        {{0, 7, 0, 0, 0, NOW, true, true, 9, 1}, "8"},
        {{0, 6, 0, 0, 0, NOW, true, true, 0, 9}, ""},
        {{alice, 7, 0, 0, 0, NOW, true, true, 0, 9}, ""},
        {{alice, 0, 3, 0, 0, NOW, false, false, 0, 9}, "10"},
        {{alice, 0, 3, 0, 0, NOW, true, true, 0, 9}, "12 11 10"},
        {{0, 0, 3, 0, 0, NOW, true, true, 12, 1}, "11"},
        {{bob, 0, 3, 0, 0, NOW, true, true, 0, 9}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct listing listing = {0};
        assert_ok(store_issued_list(store, &cases[i].filter, each_issued, &listing));
        assert_string_equal(listing.text, cases[i].expected);
    }
    struct listing listing = {0};
    assert_ok(store_revoked_list(store, NOW - 2 * DAY, 0, SIZE_MAX >> 1, each_issued, &listing));
    assert_string_equal(listing.text, "4 6 9 12");
    listing = (struct listing){0};
    assert_ok(store_revoked_list(store, NOW, 0, SIZE_MAX >> 1, each_issued, &listing));
    assert_string_equal(listing.text, "4 9 12");
    listing = (struct listing){0};
    assert_ok(store_revoked_list(store, NOW, 4, 1, each_issued, &listing));
    assert_string_equal(listing.text, "9");
    listing = (struct listing){0};
    assert_ok(store_revoked_list(store, NOW, 12, 1, each_issued, &listing));
    assert_string_equal(listing.text, "");
    assert_ok(store_commit(store));
}

/* ---- API keys, sessions, registered keys ---- */

static err_t each_api_key(void *context, const struct api_key *key) {
    return collect(context, key->hash);
}

static void test_api_key(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    struct api_key out, one = {.account_id = 99, .name = "ci", .hash = "h1", .hint = "pg_abc"};
    struct api_key two = {.account_id = bob, .name = "ci", .hash = "h2"};
    assert_fails(store_api_key_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_api_key_find(store, "h1", &out), ERR_NOT_FOUND);
    assert_fails(store_api_key_add(store, &one), ERR_NOT_FOUND);
    assert_fails(store_api_key_update(store, &one), ERR_NOT_FOUND);
    one.account_id = alice;
    one.subnets = subnets_of("192.0.2.0/24,2001:db8::/32");
    assert_ok(store_api_key_add(store, &one));
    assert_ok(store_api_key_add(store, &two));
    struct api_key same = {.account_id = bob, .hash = "h1"};
    assert_fails(store_api_key_add(store, &same), ERR_EXISTS);
    assert_ok(store_api_key_find(store, "h1", &out));
    assert_memory_equal(&out, &one, sizeof out);
    one.last_used_at = NOW;
    one.revoked_at = NOW + 1;
    one.subnets = (struct subnet_list){0};
    assert_ok(store_api_key_update(store, &one));
    assert_ok(store_api_key_get(store, one.id, &out));
    assert_memory_equal(&out, &one, sizeof out);
    struct listing listing = {0}, all = {0};
    assert_ok(store_api_key_list(store, bob, each_api_key, &listing));
    assert_string_equal(listing.text, "h2");
    assert_ok(store_api_key_list(store, 0, each_api_key, &all));
    assert_string_equal(all.text, "h1 h2");
    assert_ok(store_commit(store));
}

static struct session new_session(const char *hash, entity_id account, entity_id key,
                                  int64_t expires_at) {
    struct session session = {.account_id = account, .api_key_id = key, .expires_at = expires_at};
    (void)snprintf(session.hash, sizeof session.hash, "%s", hash);
    return session;
}

static void expect_sessions(struct store *store, const char *present) {
    static const char *const names[] = {"a1", "a2", "ak", "b1", "bx"};
    struct listing found = {0};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct session out;
        err_t err = store_session_find(store, names[i], &out);
        if (err.code != ERR_NOT_FOUND) {
            assert_ok(err);
            assert_ok(collect(&found, names[i]));
        }
    }
    assert_string_equal(found.text, present);
}

static err_t append_hash(void *context, const struct session *session) {
    char *list = context;
    size_t chars = strlen(list);
    (void)snprintf(list + chars, 64 - chars, " %s", session->hash);
    return OK;
}

/* What came of one sign-in ends together, and nothing else with it. */
static void test_session_family(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    struct session out,
        rows[] = {new_session("a1", alice, 0, NOW + 9), new_session("a2", alice, 0, NOW + 9),
                  new_session("ak", alice, 0, NOW + 9), new_session("b1", alice, 0, NOW + 9)};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rows[i].use = i == 0 ? SESSION_REFRESH : SESSION_BEARER;
        (void)snprintf(rows[i].family, sizeof rows[i].family, "%s", i < 2 ? "f" : i < 3 ? "g" : "");
        assert_ok(store_session_add(store, &rows[i]));
    }
    rows[0].used_at = NOW;
    rows[0].authenticated_at = NOW - 1;
    (void)snprintf(rows[0].client, sizeof rows[0].client, "posterngate-cli");
    (void)snprintf(rows[0].methods, sizeof rows[0].methods, "pwd otp mfa");
    assert_ok(store_session_update(store, &rows[0]));
    assert_ok(store_session_find(store, "a1", &out));
    assert_memory_equal(&out, &rows[0], sizeof out);
    struct session none = new_session("bx", alice, 0, NOW + 9);
    assert_fails(store_session_update(store, &none), ERR_NOT_FOUND);
    assert_ok(store_session_remove_family(store, "nobody's"));
    assert_ok(store_session_remove_family(store, ""));
    expect_sessions(store, "a1 a2 ak b1");
    char list[64] = "";
    assert_ok(store_session_list(store, alice, append_hash, list));
    assert_string_equal(list, " a1 a2 ak b1");
    list[0] = '\0';
    assert_ok(store_session_list(store, add_account(store, "bob"), append_hash, list));
    assert_string_equal(list, "");
    assert_ok(store_session_remove_family(store, "f"));
    expect_sessions(store, "ak b1");
    assert_ok(store_commit(store));
}

static void test_session(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    struct api_key key = {.account_id = alice, .hash = "h"};
    assert_ok(store_api_key_add(store, &key));
    struct session out, stranger = new_session("s", 99, 0, NOW + 9);
    assert_fails(store_session_find(store, "s", &out), ERR_NOT_FOUND);
    assert_fails(store_session_remove(store, "s"), ERR_NOT_FOUND);
    assert_fails(store_session_add(store, &stranger), ERR_NOT_FOUND);
    stranger = new_session("s", alice, 99, NOW + 9);
    assert_fails(store_session_add(store, &stranger), ERR_NOT_FOUND);
    struct session rows[] = {
        new_session("a1", alice, 0, NOW + 9),
        new_session("a2", alice, 0, NOW + 9),
        new_session("ak", alice, key.id, NOW + 9),
        new_session("b1", bob, 0, NOW + 9),
        new_session("bx", bob, 0, NOW),
    };
    rows[2].subnets = subnets_of("192.0.2.0/24");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_ok(store_session_add(store, &rows[i]));
    }
    assert_fails(store_session_add(store, &rows[0]), ERR_EXISTS);
    assert_ok(store_session_find(store, "ak", &out));
    assert_memory_equal(&out, &rows[2], sizeof out);
    assert_ok(store_session_remove(store, "a1"));
    expect_sessions(store, "a2 ak b1 bx");
    assert_ok(store_session_sweep(store, NOW - 1));
    expect_sessions(store, "a2 ak b1 bx");
    assert_ok(store_session_remove_all(store, 0, key.id, NOW - 1));
    expect_sessions(store, "a2 b1 bx");
    assert_ok(store_session_remove_all(store, alice, 0, NOW)); /* and the expired one of bob */
    expect_sessions(store, "b1");
    assert_ok(store_session_remove_all(store, bob, key.id, NOW)); /* both must match */
    expect_sessions(store, "b1");
    assert_ok(store_session_remove_all(store, 0, 0, NOW));
    expect_sessions(store, "");
    rows[0].use = SESSION_SPENT;
    assert_ok(store_session_add(store, &rows[0]));
    assert_ok(store_session_remove_all(store, 0, 0, NOW));
    expect_sessions(store, "a1"); /* its token must not be good again */
    assert_ok(store_session_remove(store, "a1"));
    assert_ok(store_session_add(store, &rows[4]));
    assert_ok(store_session_sweep(store, NOW));
    expect_sessions(store, "");
    assert_ok(store_commit(store));
}

static err_t each_registered_key(void *context, const struct registered_key *key) {
    return collect(context, key->name);
}

static void test_registered_key_refused(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), daint = add_cluster(store, "daint");
    static struct registered_key out; /* big */
    static const struct {
        enum key_use use;
        bool in_cluster;
    } refused[] = {{0, false}, {3, false}, {KEY_USE_PERSON, true}, {KEY_USE_INTERNAL, false}};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        out = (struct registered_key){.account_id = alice,
                                      .use = refused[i].use,
                                      .cluster_id = refused[i].in_cluster ? daint : 0};
        assert_fails(store_registered_key_add(store, &out), ERR_RANGE);
    }
    out = (struct registered_key){.account_id = 99, .use = KEY_USE_PERSON};
    assert_fails(store_registered_key_add(store, &out), ERR_NOT_FOUND);
    out = (struct registered_key){.account_id = alice, .use = KEY_USE_INTERNAL, .cluster_id = 99};
    assert_fails(store_registered_key_add(store, &out), ERR_NOT_FOUND);
    assert_fails(store_registered_key_remove(store, 1), ERR_NOT_FOUND);
    assert_fails(store_registered_key_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_registered_key_find(store, "f1", &out), ERR_NOT_FOUND);
    assert_int_equal(out.cluster_id, 99); /* untouched by failures */
    assert_ok(store_commit(store));
}

static void test_registered_key(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    static struct registered_key out, one, two, same; /* big */
    one = (struct registered_key){
        .account_id = alice, .use = KEY_USE_PERSON, .name = "laptop", .fingerprint = "f1"};
    two = (struct registered_key){.account_id = bob,
                                  .use = KEY_USE_INTERNAL,
                                  .cluster_id = add_cluster(store, "daint"),
                                  .name = "frontends",
                                  .fingerprint = "f2"};
    same = (struct registered_key){
        .account_id = bob, .use = KEY_USE_PERSON, .name = "copy", .fingerprint = "f1"};
    one.subnets = subnets_of("10.0.0.0/8");
    assert_ok(store_registered_key_add(store, &one));
    assert_ok(store_registered_key_add(store, &two));
    assert_fails(store_registered_key_add(store, &same), ERR_EXISTS);
    assert_ok(store_registered_key_get(store, one.id, &out));
    assert_memory_equal(&out, &one, sizeof out);
    assert_ok(store_registered_key_find(store, "f2", &out));
    assert_memory_equal(&out, &two, sizeof out);
    struct listing of_bob = {0}, all = {0}, left = {0};
    assert_ok(store_registered_key_list(store, bob, each_registered_key, &of_bob));
    assert_string_equal(of_bob.text, "frontends");
    assert_ok(store_registered_key_list(store, 0, each_registered_key, &all));
    assert_string_equal(all.text, "laptop frontends");
    assert_ok(store_registered_key_remove(store, one.id));
    assert_fails(store_registered_key_find(store, "f1", &out), ERR_NOT_FOUND);
    assert_ok(store_registered_key_list(store, 0, each_registered_key, &left));
    assert_string_equal(left.text, "frontends");
    assert_ok(store_registered_key_add(store, &same)); /* the fingerprint is free again */
    assert_ok(store_commit(store));
}

static struct external_identity new_identity(entity_id account, const char *issuer,
                                             const char *subject) {
    struct external_identity identity = {.account_id = account, .since = NOW};
    (void)snprintf(identity.issuer, sizeof identity.issuer, "%s", issuer);
    (void)snprintf(identity.subject, sizeof identity.subject, "%s", subject);
    return identity;
}

static void test_identity(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    static struct external_identity out, one, two, row;
    assert_fails(store_identity_get(store, alice, "https://a", &out), ERR_NOT_FOUND);
    row = new_identity(99, "https://a", "1");
    assert_fails(store_identity_add(store, &row), ERR_NOT_FOUND);
    one = new_identity(alice, "https://a", "1");
    memset(one.subject, 's', sizeof one.subject - 1); /* as long as can be */
    assert_ok(store_identity_add(store, &one));
    row = new_identity(alice, "https://a", "2"); /* an account is one person there */
    assert_fails(store_identity_add(store, &row), ERR_EXISTS);
    row = one; /* and a person one account */
    row.account_id = bob;
    assert_fails(store_identity_add(store, &row), ERR_EXISTS);
    two = new_identity(alice, "https://b", one.subject);
    assert_ok(store_identity_add(store, &two));
    row = new_identity(bob, "https://a", "2");
    assert_ok(store_identity_add(store, &row));
    assert_ok(store_identity_get(store, alice, "https://a", &out));
    assert_memory_equal(&out, &one, sizeof out);
    assert_ok(store_identity_get(store, alice, "https://b", &out));
    assert_memory_equal(&out, &two, sizeof out);
    assert_ok(store_identity_remove_all(store, alice));
    assert_fails(store_identity_get(store, alice, "https://b", &out), ERR_NOT_FOUND);
    assert_ok(store_identity_get(store, bob, "https://a", &out));
    one.account_id = bob;
    assert_fails(store_identity_add(store, &one), ERR_EXISTS); /* bob is another there */
    assert_ok(store_commit(store));
}

static const struct store_test tests[] = {
    TEST(test_identity),       TEST(test_issued),
    TEST(test_facts),          TEST(test_facts_of_undone),
    TEST(test_facts_of_keys),  TEST(test_issued_list),
    TEST(test_api_key),        TEST(test_session),
    TEST(test_session_family), TEST(test_registered_key_refused),
    TEST(test_registered_key),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
