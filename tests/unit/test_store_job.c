/* Jobs and their nodes, over every store: the refused cases first. */
#include "store_suite.h"

struct place {
    entity_id account;
    entity_id cluster;
};

static struct place new_place(struct store *store) {
    return (struct place){add_account(store, "alice"), add_cluster(store, "nancy")};
}

static struct job new_job(const char *name, entity_id account_id, entity_id cluster_id) {
    struct job job = {.account_id = account_id,
                      .cluster_id = cluster_id,
                      .user = "alice",
                      .type = JOB_SHARED,
                      .started_at = NOW};
    (void)snprintf(job.name, sizeof job.name, "%s", name);
    return job;
}

/* `nodes` is one name after another: "n1 n2". */
static entity_id add_job(struct store *store, const char *name, struct place place,
                         const char *nodes) {
    struct job job = new_job(name, place.account, place.cluster);
    char text[256], *left = text;
    const char *names[16];
    size_t count = 0;
    (void)snprintf(text, sizeof text, "%s", nodes);
    for (char *node = strtok_r(text, " ", &left); node != NULL; node = strtok_r(NULL, " ", &left)) {
        names[count++] = node;
    }
    assert_ok(store_job_put(store, &job, names, count));
    return job.id;
}

static err_t each_node(void *context, const char *node) { return collect(context, node); }

static err_t each_job(void *context, const struct job *job) { return collect(context, job->name); }

static err_t each_host(void *context, const struct host *host) {
    return collect(context, host->name);
}

static void expect_nodes(struct store *store, entity_id id, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_job_node_list(store, id, each_node, &listing));
    assert_string_equal(listing.text, expected);
}

static void expect_jobs(struct store *store, struct job_filter filter, const char *expected) {
    struct listing listing = {0};
    filter.max = filter.max == 0 ? SIZE_MAX : filter.max;
    assert_ok(store_job_list(store, &filter, each_job, &listing));
    assert_string_equal(listing.text, expected);
}

/* ---- putting ---- */

static void test_refused(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static struct job out, job; /* big */
    out = (struct job){.id = 77};
    assert_fails(store_job_get(store, 1, &out), ERR_NOT_FOUND);
    assert_fails(store_job_find(store, place.cluster, "1", &out), ERR_NOT_FOUND);
    assert_fails(store_job_end(store, 1, NOW), ERR_NOT_FOUND);
    assert_int_equal(out.id, 77); /* untouched by failures */
    expect_nodes(store, 1, "");

    const struct {
        struct place place;
        enum job_type type;
        entity_id id;
        enum err_code expected;
    } cases[] = {
        {{99, place.cluster}, JOB_SHARED, 0, ERR_NOT_FOUND},
        {{place.account, 99}, JOB_SHARED, 0, ERR_NOT_FOUND},
        {place, 0, 0, ERR_RANGE},
        {place, JOB_CLUSTER + 1, 0, ERR_RANGE},
        {place, JOB_SHARED, 99, ERR_NOT_FOUND}, /* to be changed, and not there */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        job = new_job("1", cases[i].place.account, cases[i].place.cluster);
        job.type = cases[i].type;
        job.id = cases[i].id;
        assert_fails(store_job_put(store, &job, &(const char *){"n1"}, 1), cases[i].expected);
        assert_int_equal(job.id, cases[i].id);
        assert_int_equal(job.node_count, 0);
    }
    job = new_job("1", place.account, place.cluster);
    job.ended_at = NOW; /* only store_job_end() ends one */
    assert_fails(store_job_put(store, &job, NULL, 0), ERR_CONFLICT);
    expect_jobs(store, (struct job_filter){.include_ended = true}, "");
    assert_ok(store_commit(store));
}

static void test_put(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static const char *const nodes[] = {"n2", "n10", "n1", "n10", "n2"};
    static struct job out, job; /* big */
    job = new_job("1234_7", place.account, place.cluster);
    job.type = JOB_CLUSTER;
    job.port = 65535;
    job.ends_at = NOW + DAY;
    job.node_count = 4711; /* what stands there before does not matter */
    memset(job.address, 'a', sizeof job.address - 1);
    memset(job.host_key_line, 'k', sizeof job.host_key_line - 1);
    memset(job.user, 'u', sizeof job.user - 1);
    assert_ok(store_job_put(store, &job, nodes, COUNT_OF(nodes)));
    assert_int_not_equal(job.id, 0);
    assert_int_equal(job.node_count, 3);
    expect_nodes(store, job.id, "n2 n10 n1"); /* each once, in the order in which they were told */
    assert_ok(store_job_get(store, job.id, &out));
    assert_memory_equal(&out, &job, sizeof out);
    assert_ok(store_job_find(store, place.cluster, "1234_7", &out));
    assert_memory_equal(&out, &job, sizeof out);
    assert_fails(store_job_find(store, place.cluster, "1234", &out), ERR_NOT_FOUND);
    assert_fails(store_job_find(store, place.cluster + 99, "1234_7", &out), ERR_NOT_FOUND);

    job.type = JOB_DEPLOY;
    job.ends_at = 0;
    assert_ok(store_job_put(store, &job, (const char *[]){"n7", "n2"}, 2));
    expect_nodes(store, job.id, "n7 n2");
    assert_ok(store_job_get(store, job.id, &out));
    assert_int_equal(out.node_count, 2);
    assert_memory_equal(&out, &job, sizeof out);
    expect_jobs(store, (struct job_filter){.node = "n1"}, "");
    assert_ok(store_job_put(store, &job, NULL, 0)); /* a job without nodes */
    expect_nodes(store, job.id, "");
    assert_ok(store_commit(store));
}

static void test_name_is_taken(void **state) {
    struct store *store = begun(state);
    struct place nancy = new_place(store);
    struct place lyon = {nancy.account, add_cluster(store, "lyon")};
    static struct job out, job; /* big */
    entity_id first = add_job(store, "1", nancy, "n1");
    add_job(store, "1", lyon, "n1"); /* a scheduler's ids are its cluster's */
    job = new_job("1", nancy.account, nancy.cluster);
    assert_fails(store_job_put(store, &job, NULL, 0), ERR_EXISTS);
    entity_id second = add_job(store, "2", nancy, "n2");
    assert_ok(store_job_get(store, second, &job));
    (void)snprintf(job.name, sizeof job.name, "1");
    assert_fails(store_job_put(store, &job, &(const char *){"n3"}, 1), ERR_EXISTS);
    expect_nodes(store, second, "n2"); /* a refusal changes nothing */

    assert_ok(store_job_end(store, first, NOW + 1));
    assert_fails(store_job_find(store, nancy.cluster, "1", &out), ERR_NOT_FOUND);
    entity_id again = add_job(store, "1", nancy, "n9"); /* an id that comes again */
    assert_ok(store_job_find(store, nancy.cluster, "1", &out));
    assert_int_equal(out.id, again);
    expect_jobs(store, (struct job_filter){.include_ended = true}, "1 1 2 1");
    assert_ok(store_commit(store));
}

static void test_end(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static struct job out; /* big */
    entity_id id = add_job(store, "1", place, "n1 n2");
    assert_ok(store_job_end(store, id, NOW - 5)); /* before it started: clocks differ */
    assert_fails(store_job_end(store, id, NOW), ERR_CONFLICT);
    assert_ok(store_job_get(store, id, &out));
    assert_int_equal(out.ended_at, NOW - 5);
    expect_nodes(store, id, "n1 n2"); /* it stays on record */
    assert_fails(store_job_put(store, &out, NULL, 0), ERR_CONFLICT);
    out.ended_at = 0; /* nor does it begin again */
    assert_fails(store_job_put(store, &out, NULL, 0), ERR_CONFLICT);
    expect_nodes(store, id, "n1 n2");
    assert_ok(store_commit(store));
}

static void test_undone(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static struct job job; /* big */
    entity_id id = add_job(store, "1", place, "n1 n2");
    assert_ok(store_commit(store));
    assert_ok(store_begin(store));
    assert_ok(store_mark(store));
    assert_ok(store_job_get(store, id, &job));
    assert_ok(store_job_put(store, &job, &(const char *){"n3"}, 1));
    add_job(store, "2", place, "n1");
    assert_ok(store_job_end(store, id, NOW));
    expect_jobs(store, (struct job_filter){.node = "n1"}, "2");
    assert_ok(store_undo(store));
    expect_nodes(store, id, "n1 n2");
    expect_jobs(store, (struct job_filter){.node = "n1"}, "1");
    assert_ok(store_job_end(store, id, NOW));
    assert_ok(store_job_prune(store, NOW + 1, 9));
    store_rollback(store);
    assert_ok(store_begin(store));
    expect_nodes(store, id, "n1 n2");
    expect_jobs(store, (struct job_filter){.account_id = place.account}, "1");
    assert_ok(store_commit(store));
}

/* ---- listing ---- */

static void test_list(void **state) {
    struct store *store = begun(state);
    struct place alice = new_place(store);
    struct place bob = {add_account(store, "bob"), alice.cluster};
    struct place lyon = {alice.account, add_cluster(store, "lyon")};
    entity_id a = add_job(store, "a", alice, "n1 n2");
    entity_id b = add_job(store, "b", bob, "n2");
    entity_id c = add_job(store, "c", lyon, "n2 n3");
    add_job(store, "d", alice, "n2");
    assert_ok(store_job_end(store, a, NOW + 10));
    const struct {
        struct job_filter filter;
        const char *expected;
    } cases[] = {
        {{0}, "b c d"},
        {{.include_ended = true}, "a b c d"},
        {{.include_ended = true, .max = 2}, "a b"},
        {{.after_id = b}, "c d"},
        {{.after_id = b, .max = 1}, "c"},
        {{.after_id = UINT64_MAX}, ""},
        {{.account_id = alice.account}, "c d"},
        {{.account_id = alice.account, .include_ended = true}, "a c d"},
        {{.account_id = alice.account, .include_ended = true, .after_id = a, .max = 1}, "c"},
        {{.account_id = 99}, ""},
        {{.cluster_id = alice.cluster}, "b d"},
        {{.cluster_id = alice.cluster, .include_ended = true}, "a b d"},
        {{.cluster_id = alice.cluster, .after_id = c}, "d"},
        {{.cluster_id = alice.cluster, .account_id = bob.account}, "b"},
        {{.cluster_id = lyon.cluster, .account_id = bob.account}, ""},
        {{.node = "n1"}, ""},
        {{.node = "n1", .include_ended = true}, "a"},
        {{.node = "n2"}, "b c d"},
        {{.node = "n2", .include_ended = true}, "a b c d"},
        {{.node = "n2", .include_ended = true, .after_id = a, .max = 2}, "b c"},
        {{.node = "n2", .cluster_id = lyon.cluster}, "c"},
        {{.node = "n2", .account_id = alice.account}, "c d"},
        {{.node = "n2", .account_id = bob.account, .cluster_id = lyon.cluster}, ""},
        {{.node = "N2"}, ""},
        {{.node = ""}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        expect_jobs(store, cases[i].filter, cases[i].expected);
    }
    struct listing none = {0}, stopped = {.fail_at = 2}, nodes = {.fail_at = 1};
    assert_ok(store_job_list(store, &(struct job_filter){.max = 0}, each_job, &none));
    assert_int_equal(none.count, 0);
    struct job_filter all = {.max = 9};
    assert_fails(store_job_list(store, &all, each_job, &stopped), ERR_CLOSED);
    assert_fails(store_job_node_list(store, c, each_node, &nodes), ERR_CLOSED);
    assert_string_equal(nodes.text, "n2");
    assert_ok(store_commit(store));
}

/* ---- hosts of a job, and forgetting ---- */

static entity_id add_job_host(struct store *store, const char *name, struct place place,
                              entity_id job_id) {
    static struct host host; /* big */
    host = (struct host){.cluster_id = place.cluster, .role = HOST_JOB, .job_id = job_id};
    (void)snprintf(host.name, sizeof host.name, "%s", name);
    assert_ok(store_host_add(store, &host));
    return host.id;
}

static void expect_hosts(struct store *store, entity_id job_id, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_host_list_by_job(store, job_id, each_host, &listing));
    assert_string_equal(listing.text, expected);
}

static void test_hosts(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static struct host out; /* big */
    out = (struct host){.name = "c1", .role = HOST_JOB, .job_id = 99};
    assert_fails(store_host_add(store, &out), ERR_NOT_FOUND);
    entity_id job = add_job(store, "1", place, "n1"), other = add_job(store, "2", place, "n1");
    add_job_host(store, "c2", place, job);
    entity_id first = add_job_host(store, "c1", place, job);
    add_job_host(store, "c3", place, other);
    struct host login = {.name = "ln1", .role = HOST_LOGIN, .cluster_id = place.cluster};
    assert_ok(store_host_add(store, &login));
    expect_hosts(store, job, "c1 c2");
    expect_hosts(store, other, "c3");
    expect_hosts(store, 99, "");
    expect_hosts(store, 0, "");
    assert_ok(store_host_get(store, first, &out));
    assert_int_equal(out.job_id, job);
    out.job_id = 0;
    assert_fails(store_host_update(store, &out), ERR_RANGE);
    assert_ok(store_commit(store));
}

static void expect_roles(struct store *store, enum host_role role, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_host_list_by_role(store, role, each_host, &listing));
    assert_string_equal(listing.text, expected);
}

static void test_roles(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static struct host host; /* big */
    const char *const jump_hosts[] = {"gate2", "gate1"};
    for (size_t i = 0; i < COUNT_OF(jump_hosts); i++) {
        host = (struct host){.role = HOST_JUMP};
        (void)snprintf(host.name, sizeof host.name, "%s", jump_hosts[i]);
        assert_ok(store_host_add(store, &host));
    }
    (void)add_job_host(store, "c1", place, add_job(store, "1", place, "c1"));
    expect_roles(store, HOST_JUMP, "gate1 gate2");
    expect_roles(store, HOST_JOB, "c1");
    expect_roles(store, HOST_LOGIN, "");
    assert_ok(store_commit(store));
}

static void expect_due(struct store *store, int64_t at, size_t max, const char *expected) {
    struct listing listing = {0};
    assert_ok(store_job_list_due(store, at, max, each_job, &listing));
    assert_string_equal(listing.text, expected);
}

static void test_due(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    static const struct {
        const char *name;
        int64_t ends_at;
    } jobs[] = {{"late", NOW + 20}, {"b", NOW + 10}, {"never", 0}, {"c", NOW + 10}, {"over", NOW}};
    static struct job job; /* big */
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        job = new_job(jobs[i].name, place.account, place.cluster);
        job.ends_at = jobs[i].ends_at;
        assert_ok(store_job_put(store, &job, NULL, 0));
    }
    assert_ok(store_job_end(store, job.id, NOW - 1));
    size_t running = 0;
    assert_ok(store_job_count(store, place.cluster, &running));
    assert_int_equal(running, COUNT_OF(jobs) - 1);
    assert_ok(store_job_count(store, place.cluster + 1, &running));
    assert_int_equal(running, 0);
    expect_due(store, NOW + 9, 9, "");
    expect_due(store, NOW + 10, 9, "b c");
    expect_due(store, INT64_MAX, 9, "b c late");
    expect_due(store, INT64_MAX, 1, "b");
    assert_ok(store_commit(store));
}

static void test_prune(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    struct job_filter all = {.include_ended = true};
    entity_id a = add_job(store, "a", place, "n1 n2"), b = add_job(store, "b", place, "n1");
    entity_id c = add_job(store, "c", place, "n1"), d = add_job(store, "d", place, "n1");
    entity_id host = add_job_host(store, "c1", place, c);
    assert_ok(store_job_end(store, a, NOW + 1));
    assert_ok(store_job_end(store, b, NOW + 2));
    assert_ok(store_job_end(store, c, NOW + 1));
    assert_ok(store_job_prune(store, NOW + 1, 9)); /* before, not at */
    expect_jobs(store, all, "a b c d");
    assert_ok(store_job_prune(store, NOW + 2, 0));
    expect_jobs(store, all, "a b c d");
    assert_ok(store_job_prune(store, NOW + 2, 9)); /* but for those that hosts belong to */
    expect_jobs(store, all, "b c d");
    expect_nodes(store, a, "");
    expect_nodes(store, d, "n1");
    assert_ok(store_host_remove(store, host));
    assert_ok(store_job_prune(store, INT64_MAX, 1));
    struct listing left = {0};
    all.max = 9;
    assert_ok(store_job_list(store, &all, each_job, &left));
    assert_int_equal(left.count, 2); /* one of the two that ended is gone */
    assert_ok(store_job_prune(store, INT64_MAX, 1));
    expect_jobs(store, all, "d"); /* that runs */
    entity_id e = add_job(store, "e", place, "");
    assert_ok(store_job_end(store, e, NOW));
    assert_ok(store_job_prune(store, INT64_MAX, SIZE_MAX));
    assert_true(add_job(store, "f", place, "") != e); /* an id is never given twice */
    assert_ok(store_commit(store));
}

/* ---- limits ---- */

static void test_limits(void **state) {
    struct store *store = begun(state);
    struct place place = new_place(store);
    enum { MAX = LIMIT_JOB_NODES_COUNT };
    static char names[MAX + 1][16];
    static const char *nodes[MAX + 1];
    char long_name[LIMIT_HOST_NAME_CHARS + 2];
    static struct job job; /* big */
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i * 7919 % COUNT_OF(nodes));
        nodes[i] = names[i];
    }
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    job = new_job("1", place.account, place.cluster);
    assert_fails(store_job_put(store, &job, nodes, MAX + 1), ERR_TOO_LONG);
    assert_fails(store_job_put(store, &job, &(const char *){long_name}, 1), ERR_TOO_LONG);
    assert_int_equal(job.id, 0);
    assert_ok(store_job_put(store, &job, &(const char *){long_name + 1}, 1));
    expect_jobs(store, (struct job_filter){.node = long_name + 1}, "1");
    assert_ok(store_job_put(store, &job, nodes, MAX));
    assert_int_equal(job.node_count, MAX);
    expect_jobs(store, (struct job_filter){.node = names[MAX - 1]}, "1");
    expect_jobs(store, (struct job_filter){.node = names[MAX]}, "");
    struct listing listing = {.fail_at = 3};
    assert_fails(store_job_node_list(store, job.id, each_node, &listing), ERR_CLOSED);
    assert_string_equal(listing.text, "n0 n7919 n5837");
    assert_ok(store_commit(store));
}

static const struct store_test tests[] = {
    TEST(test_refused), TEST(test_put),   TEST(test_name_is_taken), TEST(test_end),
    TEST(test_undone),  TEST(test_list),  TEST(test_hosts),         TEST(test_roles),
    TEST(test_due),     TEST(test_prune), TEST(test_limits),
};

int main(void) { return run_over_stores(tests, COUNT_OF(tests)); }
