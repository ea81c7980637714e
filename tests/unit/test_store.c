/*
 * The conformance suite: the same tests over every store. Jobs are in test_store_job.c. What only
 * SQLite has (durability, the schema, full disks) is in test_store_sqlite.c.
 */
#include "store_suite.h"

/* ---- accounts ---- */

static err_t each_account(void *context, const struct account *account) {
    return collect(context, account->name);
}

static void test_account(void **state) {
    struct store *store = begun(state);
    struct account out = {.id = 77}, alice = new_account("alice"), service = new_account("robot");
    assert_fails(store_account_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_account_get(store, UINT64_MAX, &out), ERR_NOT_FOUND);
    assert_fails(store_account_find(store, "alice", &out), ERR_NOT_FOUND);
    assert_fails(store_account_update(store, &(struct account){.id = 5, .kind = 1}), ERR_NOT_FOUND);
    service.project_id = 9;
    assert_fails(store_account_add(store, &service), ERR_NOT_FOUND);
    service.project_id = 0;
    service.kind = 0;
    assert_fails(store_account_add(store, &service), ERR_RANGE);
    assert_int_equal(out.id, 77); /* untouched by failures */
    assert_int_equal(service.id, 0);

    (void)snprintf(alice.display_name, sizeof alice.display_name, "Alice Ångström");
    (void)snprintf(alice.email, sizeof alice.email, "alice@example.org");
    alice.administrator = true;
    alice.quota_per_day = UINT32_MAX;
    alice.subnets = subnets_of("10.0.0.0/8,2001:db8::/32");
    alice.id = 4711; /* what stands there before does not matter */
    assert_ok(store_account_add(store, &alice));
    assert_true(alice.id != 0 && alice.id != 4711);
    struct account again = new_account("alice");
    assert_fails(store_account_add(store, &again), ERR_EXISTS);
    assert_ok(store_account_get(store, alice.id, &out));
    assert_memory_equal(&out, &alice, sizeof alice);
    assert_ok(store_account_find(store, "alice", &out));
    assert_memory_equal(&out, &alice, sizeof alice);
    assert_fails(store_account_find(store, "Alice", &out), ERR_NOT_FOUND);

    service.kind = ACCOUNT_SERVICE;
    service.project_id = add_project(store, "p");
    assert_ok(store_account_add(store, &service));
    assert_ok(store_account_get(store, service.id, &out));
    assert_memory_equal(&out, &service, sizeof service);
    struct account renamed = service;
    (void)snprintf(renamed.name, sizeof renamed.name, "alice");
    assert_fails(store_account_update(store, &renamed), ERR_EXISTS);
    (void)snprintf(renamed.name, sizeof renamed.name, "zebra");
    renamed.disabled = true;
    assert_ok(store_account_update(store, &renamed));
    assert_fails(store_account_find(store, "robot", &out), ERR_NOT_FOUND);
    assert_ok(store_account_find(store, "zebra", &out));
    assert_true(out.disabled);
    assert_ok(store_commit(store));
}

static void test_account_list(void **state) {
    static const struct {
        const char *after;
        size_t max;
        const char *expected;
    } cases[] = {
        {NULL, 0, ""},        {NULL, SIZE_MAX, "_x alice bob carol"},
        {"", 2, "_x alice"},  {"alice", 10, "bob carol"},
        {"alicf", 1, "bob"},  {"carol", 10, ""},
        {"zz", SIZE_MAX, ""},
    };
    struct store *store = begun(state);
    add_account(store, "carol");
    add_account(store, "alice");
    add_account(store, "_x");
    add_account(store, "bob");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct listing listing = {0};
        assert_ok(store_account_list(store, cases[i].after, cases[i].max, each_account, &listing));
        assert_string_equal(listing.text, cases[i].expected);
    }
    struct listing stopped = {.fail_at = 2};
    assert_fails(store_account_list(store, NULL, 10, each_account, &stopped), ERR_CLOSED);
    assert_string_equal(stopped.text, "_x alice");
    /* An error of each() is the caller's own: the transaction goes on. */
    assert_ok(store_commit(store));
}

static void test_login(void **state) {
    struct store *store = begun(state);
    struct login out, login = {.account_id = 3};
    assert_fails(store_login_get(store, 3, &out), ERR_NOT_FOUND);
    assert_fails(store_login_find_invitation(store, "", &out), ERR_NOT_FOUND);
    assert_fails(store_login_put(store, &login), ERR_NOT_FOUND);
    login.account_id = add_account(store, "alice");
    assert_ok(store_login_put(store, &login));
    assert_fails(store_login_find_invitation(store, "", &out), ERR_NOT_FOUND);
    memset(login.totp_secret, 0xa5, sizeof login.totp_secret);
    login.totp_secret[3] = 0;
    login.totp_secret_bytes = sizeof login.totp_secret;
    login.totp_last_step = INT64_MAX;
    login.failures = 3;
    login.locked_until = NOW;
    login.window_until = NOW + 2 * DAY;
    login.invitation_expires_at = NOW + 1;
    memset(login.password_hash, 'h', sizeof login.password_hash - 1);
    memset(login.invitation_hash, 'i', sizeof login.invitation_hash - 1);
    memset(login.pending_password_hash, 'p', sizeof login.pending_password_hash - 1);
    memset(login.pending_totp_hex, 'a', sizeof login.pending_totp_hex - 1);
    assert_ok(store_login_put(store, &login));
    assert_ok(store_login_get(store, login.account_id, &out));
    assert_memory_equal(&out, &login, sizeof login);
    assert_ok(store_login_find_invitation(store, login.invitation_hash, &out));
    assert_int_equal(out.account_id, login.account_id);
    assert_ok(store_commit(store));
}

/* ---- projects, clusters ---- */

static err_t each_project(void *context, const struct project *project) {
    return collect(context, project->name);
}

static err_t each_membership(void *context, const struct membership *membership) {
    char word[64];
    (void)snprintf(word, sizeof word, "%u:%u:%d", (unsigned)membership->project_id,
                   (unsigned)membership->account_id, (int)membership->role);
    return collect(context, word);
}

static err_t each_cluster(void *context, const struct cluster *cluster) {
    return collect(context, cluster->name);
}

static void test_project(void **state) {
    struct store *store = begun(state);
    struct project out, project = {.name = "climate", .display_name = "Climate"};
    assert_fails(store_project_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_project_find(store, "climate", &out), ERR_NOT_FOUND);
    assert_ok(store_project_add(store, &project));
    assert_fails(store_project_add(store, &(struct project){.name = "climate"}), ERR_EXISTS);
    assert_ok(store_project_get(store, project.id, &out));
    assert_memory_equal(&out, &project, sizeof out);
    add_project(store, "atoms");
    struct listing listing = {0};
    assert_ok(store_project_list(store, NULL, 9, each_project, &listing));
    assert_string_equal(listing.text, "atoms climate");
    listing = (struct listing){0};
    assert_ok(store_project_list(store, "atoms", 1, each_project, &listing));
    assert_string_equal(listing.text, "climate");
    assert_ok(store_commit(store));
}

static void expect_members(struct store *store, entity_id project, entity_id account,
                           const struct membership *expected, size_t count) {
    struct listing wanted = {0}, listing = {0};
    for (size_t i = 0; i < count; i++) {
        assert_ok(each_membership(&wanted, &expected[i]));
    }
    assert_ok(store_member_list(store, project, account, each_membership, &listing));
    assert_string_equal(listing.text, wanted.text);
}

static void test_member(void **state) {
    struct store *store = begun(state);
    entity_id alice = add_account(store, "alice"), bob = add_account(store, "bob");
    entity_id p = add_project(store, "p"), q = add_project(store, "q");
    struct membership out, rows[] = {
                               {p, alice, MEMBER_MANAGER, NOW},
                               {p, bob, MEMBER, NOW},
                               {q, alice, MEMBER, NOW},
                           };
    assert_fails(store_member_get(store, p, alice, &out), ERR_NOT_FOUND);
    assert_fails(store_member_remove(store, p, alice), ERR_NOT_FOUND);
    assert_fails(store_member_put(store, &(struct membership){99, alice, MEMBER, 0}),
                 ERR_NOT_FOUND);
    assert_fails(store_member_put(store, &(struct membership){p, 99, MEMBER, 0}), ERR_NOT_FOUND);
    assert_fails(store_member_put(store, &(struct membership){p, alice, 0, 0}), ERR_RANGE);
    for (size_t i = COUNT_OF(rows); i > 0; i--) {
        assert_ok(store_member_put(store, &rows[i - 1]));
    }
    expect_members(store, 0, 0, rows, 3);
    expect_members(store, p, 0, rows, 2);
    expect_members(store, 0, bob, rows + 1, 1);
    expect_members(store, q, alice, rows + 2, 1);
    expect_members(store, q, bob, rows, 0);
    rows[0].role = MEMBER; /* a second put replaces */
    assert_ok(store_member_put(store, &rows[0]));
    assert_ok(store_member_get(store, p, alice, &out));
    assert_memory_equal(&out, &rows[0], sizeof out);
    assert_ok(store_member_remove(store, p, alice));
    expect_members(store, 0, 0, rows + 1, 2);
    assert_ok(store_commit(store));
}

static void expect_reach(struct store *store, entity_id account, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_reach_list(store, account, each_cluster, &listing));
    assert_string_equal(listing.text, expected);
}

static void test_reach(void **state) {
    struct store *store = begun(state);
    entity_id p = add_project(store, "p"), q = add_project(store, "q");
    entity_id eiger = add_cluster(store, "eiger"), daint = add_cluster(store, "daint");
    entity_id alps = add_cluster(store, "alps"), alice = add_account(store, "alice");
    struct account robot = new_account("robot");
    robot.kind = ACCOUNT_SERVICE;
    robot.project_id = q;
    assert_ok(store_account_add(store, &robot));
    assert_fails(store_project_cluster_put(store, 99, eiger), ERR_NOT_FOUND);
    assert_fails(store_project_cluster_put(store, p, 99), ERR_NOT_FOUND);
    assert_fails(store_project_cluster_remove(store, p, eiger), ERR_NOT_FOUND);
    expect_reach(store, alice, "");
    expect_reach(store, 99, "");
    assert_ok(store_project_cluster_put(store, p, eiger));
    assert_ok(store_project_cluster_put(store, p, eiger)); /* again is the same */
    assert_ok(store_project_cluster_put(store, p, daint));
    assert_ok(store_project_cluster_put(store, q, daint));
    assert_ok(store_project_cluster_put(store, q, alps));
    expect_reach(store, alice, "");
    expect_reach(store, robot.id, "alps daint");
    assert_ok(store_member_put(store, &(struct membership){p, alice, MEMBER, NOW}));
    expect_reach(store, alice, "daint eiger");
    assert_ok(store_member_put(store, &(struct membership){q, alice, MEMBER, NOW}));
    expect_reach(store, alice, "alps daint eiger"); /* daint once */
    /* A service account reaches what its project reaches, whatever it is a member of. */
    assert_ok(store_member_put(store, &(struct membership){p, robot.id, MEMBER, NOW}));
    expect_reach(store, robot.id, "alps daint");
    struct listing listing = {0};
    assert_ok(store_project_cluster_list(store, p, each_cluster, &listing));
    assert_string_equal(listing.text, "daint eiger");
    assert_ok(store_project_cluster_remove(store, p, eiger));
    expect_reach(store, alice, "alps daint");
    assert_ok(store_commit(store));
}

static void test_cluster(void **state) {
    struct store *store = begun(state);
    struct cluster out, cluster = new_cluster("daint"), again = cluster;
    (void)snprintf(cluster.address, sizeof cluster.address, "daint.example.org");
    cluster.port = 65535;
    assert_fails(store_cluster_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_cluster_find(store, "daint", &out), ERR_NOT_FOUND);
    assert_fails(store_cluster_update(store, &cluster), ERR_NOT_FOUND);
    static const struct {
        enum node_access node_access;
        unsigned credentials;
    } refused[] = {{0, 3}, {3, 3}, {NODE_ACCESS_JOB, 0}, {NODE_ACCESS_JOB, 4}};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cluster.node_access = refused[i].node_access;
        cluster.credentials = refused[i].credentials;
        assert_fails(store_cluster_add(store, &cluster), ERR_RANGE);
    }
    cluster.node_access = NODE_ACCESS_JOB;
    cluster.credentials = CREDENTIALS_KEYS;
    assert_ok(store_cluster_add(store, &cluster));
    entity_id other = add_cluster(store, "alps");
    assert_fails(store_cluster_add(store, &again), ERR_EXISTS);
    struct cluster renamed = again;
    renamed.id = other;
    assert_fails(store_cluster_update(store, &renamed), ERR_EXISTS);
    cluster.port = 2222;
    cluster.credentials = 0;
    assert_fails(store_cluster_update(store, &cluster), ERR_RANGE);
    cluster.credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS;
    assert_ok(store_cluster_update(store, &cluster));
    assert_ok(store_cluster_find(store, "daint", &out));
    assert_memory_equal(&out, &cluster, sizeof out);
    struct listing listing = {0};
    assert_ok(store_cluster_list(store, "a", 2, each_cluster, &listing));
    assert_string_equal(listing.text, "alps daint");
    assert_ok(store_commit(store));
}

static err_t each_host(void *context, const struct host *host) {
    return collect(context, host->name);
}

static void test_host(void **state) {
    struct store *store = begun(state);
    static struct host out, one, two; /* big */
    one = (struct host){.name = "ln2", .role = HOST_LOGIN, .port = 22, .seen_at = 5};
    two = (struct host){.name = "jump", .role = HOST_JUMP};
    memset(one.key_line, 'k', sizeof one.key_line - 1);
    assert_fails(store_host_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_host_find(store, "ln2", &out), ERR_NOT_FOUND);
    assert_fails(store_host_update(store, &one), ERR_NOT_FOUND);
    assert_fails(store_host_remove(store, 1), ERR_NOT_FOUND);
    one.cluster_id = 99;
    assert_fails(store_host_add(store, &one), ERR_NOT_FOUND);
    one.cluster_id = add_cluster(store, "daint");
    one.role = 0;
    assert_fails(store_host_add(store, &one), ERR_RANGE);
    one.role = HOST_JOB; /* without a job */
    assert_fails(store_host_add(store, &one), ERR_RANGE);
    one.role = 5;
    assert_fails(store_host_add(store, &one), ERR_RANGE);
    one.role = HOST_LOGIN;
    one.job_id = 99;
    assert_fails(store_host_add(store, &one), ERR_RANGE);
    one.job_id = 0;
    one.scheduler = true;
    assert_ok(store_host_add(store, &one));
    assert_ok(store_host_add(store, &two)); /* empty hashes are not alike */
    assert_fails(store_host_add(store, &(struct host){.name = "ln2", .role = 1}), ERR_EXISTS);
    /* Nobody is found by no token. */
    assert_fails(store_host_find_enrol(store, "", &out), ERR_NOT_FOUND);
    assert_fails(store_host_find_token(store, "", &out), ERR_NOT_FOUND);
    memset(one.enrol_hash, 'e', sizeof one.enrol_hash - 1);
    memset(one.token_hash, 't', sizeof one.token_hash - 1);
    assert_ok(store_host_update(store, &one));
    assert_ok(store_host_find_enrol(store, one.enrol_hash, &out));
    assert_memory_equal(&out, &one, sizeof out);
    assert_ok(store_host_find_token(store, one.token_hash, &out));
    assert_int_equal(out.id, one.id);
    assert_fails(store_host_find_token(store, one.enrol_hash, &out), ERR_NOT_FOUND);
    memset(two.token_hash, 't', sizeof two.token_hash - 1);
    assert_fails(store_host_update(store, &two), ERR_EXISTS);
    struct listing listing = {0};
    assert_ok(store_host_list(store, NULL, 5, each_host, &listing));
    assert_string_equal(listing.text, "jump ln2");
    assert_ok(store_host_remove(store, two.id));
    listing = (struct listing){0};
    assert_ok(store_host_list(store, NULL, 5, each_host, &listing));
    assert_string_equal(listing.text, "ln2");
    static struct host third;
    third = (struct host){.name = "jump", .role = HOST_JUMP};
    assert_ok(store_host_add(store, &third));
    assert_true(third.id != two.id); /* an id is never given twice */
    assert_ok(store_commit(store));
}

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
        {{alice, 0, 0, NOW, false, false, 0, 0}, ""},
        {{alice, 0, 0, NOW, false, false, 0, 9}, "10 7 3"},
        {{alice, 0, 0, NOW, true, false, 0, 9}, "11 10 7 3 1"},
        {{alice, 0, 0, NOW, false, true, 0, 9}, "12 10 7 4 3"},
        {{alice, 0, 0, NOW, true, true, 0, 9}, "12 11 10 7 6 4 3 1"},
        {{alice, 0, 0, NOW, true, true, 0, 2}, "12 11"},
        {{alice, 0, 0, NOW, true, true, 6, 2}, "4 3"},
        {{alice, 0, 0, NOW, true, true, 1, 2}, ""},
        {{alice, 0, 0, NOW, true, true, UINT64_MAX, SIZE_MAX}, "12 11 10 7 6 4 3 1"},
        {{bob, 0, 0, NOW + DAY, false, false, 0, 9}, ""},
        {{0, 0, 0, NOW, false, false, 0, 9}, "10 7 5 3 2"},
        {{0, 0, 0, NOW, true, true, 5, 2}, "4 3"},
        {{99, 0, 0, NOW, true, true, 0, 9}, ""},
        {{0, 7, 0, NOW, false, false, 0, 9}, "5"},
        {{0, 7, 0, NOW, true, true, 0, 9}, "9 8 5"},
        {{0, 7, 0, NOW, true, true, 9, 1}, "8"},
        {{0, 6, 0, NOW, true, true, 0, 9}, ""},
        {{alice, 7, 0, NOW, true, true, 0, 9}, ""},
        {{alice, 0, 3, NOW, false, false, 0, 9}, "10"},
        {{alice, 0, 3, NOW, true, true, 0, 9}, "12 11 10"},
        {{0, 0, 3, NOW, true, true, 12, 1}, "11"},
        {{bob, 0, 3, NOW, true, true, 0, 9}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct listing listing = {0};
        assert_ok(store_issued_list(store, &cases[i].filter, each_issued, &listing));
        assert_string_equal(listing.text, cases[i].expected);
    }
    struct listing listing = {0};
    assert_ok(store_revoked_list(store, NOW - 2 * DAY, each_issued, &listing));
    assert_string_equal(listing.text, "4 6 9 12");
    listing = (struct listing){0};
    assert_ok(store_revoked_list(store, NOW, each_issued, &listing));
    assert_string_equal(listing.text, "4 9 12");
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
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct listing listing = {0};
        assert_ok(store_audit_list(store, &cases[i].filter, each_audit, &listing));
        assert_string_equal(listing.text, cases[i].expected);
    }
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
    TEST(test_account),
    TEST(test_account_list),
    TEST(test_login),
    TEST(test_project),
    TEST(test_member),
    TEST(test_reach),
    TEST(test_cluster),
    TEST(test_host),
    TEST(test_issued),
    TEST(test_facts),
    TEST(test_facts_of_undone),
    TEST(test_facts_of_keys),
    TEST(test_issued_list),
    TEST(test_api_key),
    TEST(test_session),
    TEST(test_registered_key_refused),
    TEST(test_registered_key),
    TEST(test_event),
    TEST(test_event_skip),
    TEST(test_audit),
    TEST(test_meta),
    TEST(test_rollback),
    TEST(test_marks),
    TEST(test_nested_listing),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
