/*
 * The conformance suite: the same tests over every store. Here are people and machines;
 * credentials, jobs, the record and transactions have files of their own (test_store_*.c). What
 * only SQLite has (the schema, durability, full disks) is in test_store_schema.c and
 * test_store_sqlite.c.
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

static const struct store_test tests[] = {
    TEST(test_account), TEST(test_account_list), TEST(test_login),   TEST(test_project),
    TEST(test_member),  TEST(test_reach),        TEST(test_cluster), TEST(test_host),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
