/* Events, the audit log, small values, and transactions, over every store. */
#include "store_suite.h"

/* ---- events, audit, meta ---- */

static err_t each_event(void *context, const struct event *event) {
    char word[512];
    (void)snprintf(word, sizeof word, "%u:%s:%s:%s", (unsigned)event->revision, event->kind,
                   event->key, event->state);
    return collect(context, word);
}

static void expect_revisions(struct store *store, uint64_t newest, uint64_t oldest) {
    uint64_t got_newest = 99, got_oldest = 99;
    assert_ok(store_event_revision(store, &got_newest, &got_oldest));
    assert_int_equal(got_newest, newest);
    assert_int_equal(got_oldest, oldest);
}

static uint64_t append_event(struct store *store, const char *key) {
    uint64_t revision = 0;
    assert_ok(store_event_append(store, "account", key, "{}", NOW, &revision));
    return revision;
}

static void test_event(void **state) {
    struct store *store = begun(state);
    char long_key[LIMIT_HOST_NAME_CHARS + 2];
    uint64_t revision = 42;
    memset(long_key, 'x', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    expect_revisions(store, 0, 1);
    assert_fails(store_event_append(store, "account", long_key, "", NOW, &revision), ERR_TOO_LONG);
    assert_fails(store_event_append(store, "0123456789abcdef", "k", "", NOW, &revision),
                 ERR_TOO_LONG);
    assert_int_equal(revision, 42);
    assert_ok(store_event_append(store, "revocation", long_key + 1, "", NOW, &revision));
    assert_int_equal(revision, 1);
    assert_int_equal(append_event(store, "b"), 2);
    /* Neither undone nor rolled back events leave a gap. */
    assert_ok(store_mark(store));
    assert_int_equal(append_event(store, "undone"), 3);
    assert_ok(store_undo(store));
    assert_int_equal(append_event(store, "c"), 3);
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    assert_int_equal(append_event(store, "rolled-back"), 4);
    store_rollback(store);
    assert_ok(store_begin(store));
    assert_int_equal(append_event(store, "d"), 4);
    expect_revisions(store, 4, 1);

    struct listing listing = {0}, none = {0}, page = {0};
    assert_ok(store_event_list(store, 1, 2, each_event, &listing));
    assert_string_equal(listing.text, "2:account:b:{} 3:account:c:{}");
    assert_ok(store_event_list(store, 4, 9, each_event, &none));
    assert_ok(store_event_list(store, UINT64_MAX, 9, each_event, &none));
    assert_string_equal(none.text, "");
    assert_ok(store_event_prune(store, 2));
    expect_revisions(store, 4, 3);
    assert_ok(store_event_list(store, 0, 1, each_event, &page));
    assert_string_equal(page.text, "3:account:c:{}");
    assert_ok(store_event_prune(store, UINT64_MAX));
    expect_revisions(store, 4, 5);
    assert_int_equal(append_event(store, "e"), 5); /* also when all were pruned */
    assert_ok(store_commit(store));
}

static void test_event_skip(void **state) {
    struct store *store = begun(state);
    assert_fails(store_event_skip(store, 0), ERR_RANGE);
    assert_fails(store_event_skip(store, (uint64_t)INT64_MAX + 1), ERR_RANGE);
    assert_ok(store_event_skip(store, 7)); /* before the first */
    expect_revisions(store, 7, 8);
    assert_int_equal(append_event(store, "a"), 8);
    assert_fails(store_event_skip(store, 8), ERR_RANGE);
    assert_ok(store_mark(store));
    assert_ok(store_event_skip(store, 100));
    assert_ok(store_undo(store));
    expect_revisions(store, 8, 8);
    assert_ok(store_event_skip(store, (uint64_t)1 << 40));
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    struct listing listing = {0};
    expect_revisions(store, (uint64_t)1 << 40, ((uint64_t)1 << 40) + 1);
    assert_ok(store_event_list(store, 0, 9, each_event, &listing));
    assert_int_equal(listing.count, 0);
    assert_int_equal(append_event(store, "b"), ((uint64_t)1 << 40) + 1);
    assert_ok(store_commit(store));
}

static err_t each_audit(void *context, const struct audit *audit) {
    return collect_number(context, audit->sequence);
}

static err_t copy_audit(void *context, const struct audit *audit) {
    *(struct audit *)context = *audit;
    return OK;
}

static void append_audit(struct store *store, const char *actor, const char *action, int64_t at) {
    struct audit audit = {.sequence = 1, .at = at, .code = "ok", .allowed = true};
    (void)snprintf(audit.actor, sizeof audit.actor, "%s", actor);
    (void)snprintf(audit.action, sizeof audit.action, "%s", action);
    assert_ok(store_audit_append(store, &audit));
}

static void test_audit(void **state) {
    struct store *store = begun(state);
    struct audit out = {0}, audit = {.at = NOW,
                                     .actor = "alice",
                                     .action = "certificate.sign",
                                     .target = "42",
                                     .allowed = true,
                                     .code = "ok",
                                     .detail = "déjà vu",
                                     .source = "::1",
                                     .request_id = "r"};
    assert_ok(store_audit_append(store, &audit));
    assert_int_equal(audit.sequence, 1);
    struct audit_filter everything = {.max = 10};
    assert_ok(store_audit_list(store, &everything, copy_audit, &out));
    assert_memory_equal(&out, &audit, sizeof out);
    append_audit(store, "bob", "certificate.revoke", NOW + 1);
    append_audit(store, "bob", "account.add", NOW + 2);
    append_audit(store, "alice", "certificates", NOW + 3);
    const struct {
        struct audit_filter filter;
        const char *expected;
    } cases[] = {
        {{NULL, NULL, 0, 0, 0}, ""},
        {{NULL, NULL, 0, 0, 9}, "4 3 2 1"},
        {{NULL, NULL, 0, 0, 2}, "4 3"},
        {{NULL, NULL, 0, 3, 9}, "2 1"},
        {{"bob", NULL, 0, 0, 9}, "3 2"},
        {{"carol", NULL, 0, 0, 9}, ""},
        {{NULL, "certificate.", 0, 0, 9}, "2 1"},
        {{NULL, "certificate", 0, 0, 9}, ""},
        {{NULL, "certificate.sign", 0, 0, 9}, "1"},
        {{"bob", "certificate.", 0, 0, 9}, "2"},
        {{NULL, NULL, NOW + 2, 0, 9}, "4 3"},
        {{NULL, NULL, 0, 4, 9, 1}, "3 2"},
        {{"bob", NULL, 0, 0, 9, 2}, "3"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct listing listing = {0};
        assert_ok(store_audit_list(store, &cases[i].filter, each_audit, &listing));
        assert_string_equal(listing.text, cases[i].expected);
    }
    assert_ok(store_commit(store));
}

static err_t each_tally(void *context, const struct tally *tally) {
    char word[64];
    (void)snprintf(word, sizeof word, "%d:%d:%d", (int)tally->at, (int)tally->kind,
                   (int)tally->count);
    return collect(context, word);
}

static void add_tally(struct store *store, int64_t step_s, int64_t at, enum tally_kind kind) {
    assert_ok(store_tally_add(store, &(struct tally){step_s, at, kind, 2}));
}

static void test_tally(void **state) {
    struct store *store = begun(state);
    struct listing none = {0}, all = {0}, later = {0}, other = {0};
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 0, each_tally, &none));
    assert_string_equal(none.text, "");
    add_tally(store, TALLY_SHORT_S, 600, TALLY_SIGNING);
    add_tally(store, TALLY_SHORT_S, 600, TALLY_GATE_LOGIN);
    add_tally(store, TALLY_SHORT_S, 300, TALLY_SIGNING);
    add_tally(store, TALLY_LONG_S, 0, TALLY_REFUSAL);
    add_tally(store, TALLY_SHORT_S, 600, TALLY_SIGNING);
    assert_ok(store_mark(store));
    add_tally(store, TALLY_SHORT_S, 600, TALLY_SIGNING);
    assert_ok(store_undo(store));
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 0, each_tally, &all));
    assert_string_equal(all.text, "300:4:2 600:1:2 600:4:4");
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 301, each_tally, &later));
    assert_string_equal(later.text, "600:1:2 600:4:4");
    assert_ok(store_tally_list(store, TALLY_LONG_S, 0, each_tally, &other));
    assert_string_equal(other.text, "0:5:2");
    assert_ok(store_commit(store));
}

static void test_meta(void **state) {
    struct store *store = begun(state);
    char *value CLEANUP(freep) = NULL;
    assert_fails(store_meta_get(store, "site_id", &value), ERR_NOT_FOUND);
    assert_null(value);
    assert_ok(store_meta_put(store, "site_id", "one"));
    assert_ok(store_meta_put(store, "site_id", "two"));
    assert_ok(store_meta_put(store, "empty", ""));
    assert_ok(store_meta_get(store, "site_id", &value));
    assert_string_equal(value, "two");
    free(TAKE(value));
    assert_ok(store_meta_get(store, "empty", &value));
    assert_string_equal(value, "");
    assert_ok(store_commit(store));
}

/* ---- transactions ---- */

static err_t each_account(void *context, const struct account *account) {
    return collect(context, account->name);
}

static err_t each_cluster(void *context, const struct cluster *cluster) {
    return collect(context, cluster->name);
}

static void expect_accounts(struct store *store, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_account_list(store, NULL, 99, each_account, &listing));
    assert_string_equal(listing.text, expected);
}

static void test_rollback(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice");
    assert_ok(store_meta_put(store, "m", "before"));
    add_issued(store, 5, alice, NOW);
    assert_ok(store_commit(store));
    store_rollback(store); /* without a transaction: nothing */

    assert_ok(store_begin(store));
    add_account(store, "bob");
    struct account renamed = new_account("zoe");
    renamed.id = alice;
    assert_ok(store_account_update(store, &renamed));
    assert_ok(store_meta_put(store, "m", "after"));
    assert_ok(store_meta_put(store, "n", "new"));
    assert_ok(store_issued_revoke(store, 5, NOW, "r"));
    append_event(store, "x");
    append_audit(store, "alice", "a.b", NOW);
    assert_ok(store_event_prune(store, UINT64_MAX));
    expect_accounts(store, "bob zoe"); /* its own writes are seen */
    store_rollback(store);

    assert_ok(store_begin(store));
    char *value CLEANUP(freep) = NULL;
    struct issued issued;
    struct listing audits = {0};
    expect_accounts(store, "alice");
    assert_fails(store_meta_get(store, "n", &value), ERR_NOT_FOUND);
    assert_ok(store_meta_get(store, "m", &value));
    assert_string_equal(value, "before");
    assert_ok(store_issued_get(store, 5, &issued));
    assert_int_equal(issued.revoked_at, 0);
    expect_revisions(store, 0, 1);
    assert_ok(store_audit_list(store, &(struct audit_filter){.max = 9}, each_audit, &audits));
    assert_string_equal(audits.text, "");
    assert_ok(store_commit(store));
}

static void test_marks(void **state) {
    struct store *store = begun(state);
    add_account(store, "a");
    assert_ok(store_mark(store)); /* nothing written: nothing to undo */
    expect_accounts(store, "a");
    assert_ok(store_undo(store));
    assert_ok(store_mark(store));
    assert_ok(store_keep(store));
    assert_ok(store_mark(store));
    add_account(store, "b");
    add_account(store, "c");
    assert_ok(store_undo(store));
    expect_accounts(store, "a");
    assert_ok(store_mark(store));
    add_account(store, "d");
    assert_ok(store_keep(store));
    assert_ok(store_mark(store));
    add_account(store, "e");
    /* A refusal inside leaves the rest of the request in place. */
    struct account again = new_account("d");
    assert_fails(store_account_add(store, &again), ERR_EXISTS);
    expect_accounts(store, "a d e");
    assert_ok(store_undo(store));
    expect_accounts(store, "a d");
    add_account(store, "f"); /* outside of marks */
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    expect_accounts(store, "a d f");
    assert_ok(store_mark(store)); /* a rollback takes the mark away */
    add_account(store, "g");
    store_rollback(store);
    assert_ok(store_begin(store));
    assert_ok(store_mark(store));
    assert_ok(store_keep(store));
    expect_accounts(store, "a d f");
    assert_ok(store_commit(store));
}

/* Numbered ids would hide a mix-up of kinds; each() may call other getters and listings. */
static err_t each_membership_find(void *context, const struct membership *membership) {
    struct store *store = context;
    struct account account;
    struct listing reach = {0};
    TRY(store_account_get(store, membership->account_id, &account));
    TRY(store_reach_list(store, membership->account_id, each_cluster, &reach));
    assert_string_equal(reach.text, "daint");
    return OK;
}

static void test_nested_listing(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), p = add_project(store, "p");
    assert_ok(store_member_put(store, &(struct membership){p, alice, MEMBER, NOW}));
    assert_ok(store_project_cluster_put(store, p, add_cluster(store, "daint")));
    assert_ok(store_member_list(store, 0, 0, each_membership_find, store));
    assert_ok(store_commit(store));
}

static const struct store_test tests[] = {
    TEST(test_event), TEST(test_event_skip), TEST(test_audit), TEST(test_tally),
    TEST(test_meta),  TEST(test_rollback),   TEST(test_marks), TEST(test_nested_listing),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
