#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "host/jobs/job_table.h"

enum { BODY_BYTES = 64 * 1024 };

static struct scheduler_job make_job(void) {
    static const char nodes[] = "n1\0n2\0n3";
    return (struct scheduler_job){.name = "1234",
                                  .user = "alice",
                                  .type = JOB_SHARED,
                                  .nodes = nodes,
                                  .node_count = 3,
                                  .started_at = 1795275089,
                                  .ends_at = 1795275689};
}

/* What the authority would tell of a job that was put: the body, and the job's id. */
static json_t *told_of(const struct scheduler_job *job) {
    struct buf body CLEANUP(buf_done) = BUF(BODY_BYTES);
    assert_ok(job_put_json(&body, job));
    json_t *json = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_set_new(json, "job", json_string(job->name)), 0);
    return json;
}

static void answers_that_are_none(void **state) {
    (void)state;
    static const char *const refused[] = {
        "{}",
        "[]",
        "{\"job\":1,\"username\":\"alice\"}",
        "{\"job\":\"1\"}",
        "{\"job\":\"1\",\"username\":\"alice\",\"startTime\":\"today\"}",
        "{\"job\":\"1\",\"username\":\"alice\",\"nodes\":[1]}",
        "{\"job\":\"1\",\"username\":\"a-name-that-is-longer-than-account-names-are\"}",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct job_row row = {.print = 77};
        json_t *json = json_loads(refused[i], 0, NULL);
        err_t err = job_row_from_json(json, &row);
        if (!failed(err)) {
            fail_msg("%s was taken", refused[i]);
        }
        assert_int_equal(row.print, 77);
        json_decref(json);
    }
}

static void the_same_job_has_the_same_print(void **state) {
    (void)state;
    struct scheduler_job job = make_job();
    struct job_row row = {0};
    json_t *json = told_of(&job);
    assert_ok(job_row_from_json(json, &row));
    assert_string_equal(row.name, "1234");
    assert_true(row.print == job_print(&job));
    /* The authority may tell the nodes in another order. */
    json_t *nodes = json_object_get(json, "nodes");
    assert_int_equal(json_array_insert_new(nodes, 0, json_string("n3")), 0);
    assert_int_equal(json_array_remove(nodes, 3), 0);
    assert_ok(job_row_from_json(json, &row));
    assert_true(row.print == job_print(&job));
    json_decref(json);
    job.ends_at = 0;
    json = told_of(&job);
    assert_null(json_object_get(json, "endTime"));
    assert_ok(job_row_from_json(json, &row));
    assert_true(row.print == job_print(&job));
    json_decref(json);
}

/* The authority knows hosts by their whole names, and schedulers by the first label. */
static void domains_make_no_difference(void **state) {
    (void)state;
    struct scheduler_job job = make_job();
    uint64_t print = job_print(&job);
    job.nodes = "n1.daint.example\0n2\0n3.daint.example";
    assert_true(job_print(&job) == print);
    job.node_count = 1;
    job.nodes = "10.0.0.1";
    print = job_print(&job);
    job.nodes = "10.0.0.2";
    assert_true(job_print(&job) != print);
}

static void many_nodes_are_told_in_short(void **state) {
    (void)state;
    struct buf body CLEANUP(buf_done) = BUF(4 * 1024 * 1024);
    struct buf nodes CLEANUP(buf_done) = BUF(4 * 1024 * 1024);
    struct scheduler_job job = make_job();
    job.hostlist = SPAN_LITERAL("nid[000001-010000]");
    assert_ok(hostlist_expand(job.hostlist, &nodes, &job.node_count));
    assert_int_equal(job.node_count, LIMIT_JOB_NODES_COUNT);
    job.nodes = (const char *)nodes.data;
    assert_ok(job_put_json(&body, &job));
    assert_true(body.len < 1024);
    assert_non_null(memmem(body.data, body.len, "[\"nid[000001-010000]\"]", 22));
    /* As many as fit are told by name: 12 bytes each. */
    job.node_count = LIMIT_HTTP_BODY_BYTES / 12 - 20;
    buf_clear(&body);
    assert_ok(job_put_json(&body, &job));
    assert_true(body.len > 60 * 1024 && body.len <= LIMIT_HTTP_BODY_BYTES);
    job.node_count += 40;
    buf_clear(&body);
    assert_ok(job_put_json(&body, &job));
    assert_true(body.len < 1024);
}

static void another_job_has_another(void **state) {
    (void)state;
    static const char other_nodes[] = "n1\0n2\0n4";
    static const char joined_nodes[] = "n1\0n2n3";
    const struct scheduler_job job = make_job();
    struct scheduler_job others[8];
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        others[i] = job;
    }
    (void)snprintf(others[0].user, sizeof others[0].user, "bob");
    others[1].type = JOB_WHOLE;
    others[2].nodes = other_nodes;
    others[3].node_count = 2;
    others[4].started_at++;
    others[5].ends_at++;
    others[6].ends_at = 0;
    others[7].nodes = joined_nodes;
    others[7].node_count = 2;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_true(job_print(&others[i]) != job_print(&job));
        for (size_t k = 0; k < i; k++) {
            assert_true(job_print(&others[i]) != job_print(&others[k]));
        }
    }
    /* Of another name alone, the same: rows have the name beside it. */
    struct scheduler_job renamed = job;
    (void)snprintf(renamed.name, sizeof renamed.name, "1235");
    assert_true(job_print(&renamed) == job_print(&job));
}

static bool is_odd(void *context, const struct job_row *row) {
    (void)context;
    return row->print % 2 == 1;
}

static void tables(void **state) {
    (void)state;
    struct job_table table CLEANUP(job_table_done) = {0};
    job_table_sort(&table);
    assert_null(job_table_find(&table, "1"));
    for (unsigned i = 0; i < 1000; i++) {
        struct job_row row = {.print = i};
        (void)snprintf(row.name, sizeof row.name, "%u", (i * 7919) % 1000);
        assert_ok(job_table_add(&table, &row));
    }
    struct job_row again = {.name = "500"};
    assert_ok(job_table_add(&table, &again));
    job_table_sort(&table);
    assert_int_equal(table.count, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        const struct job_row *row = job_table_find(&table, name);
        assert_non_null(row);
        assert_string_equal(row->name, name);
    }
    assert_null(job_table_find(&table, "1000"));
    job_table_filter(&table, is_odd, NULL);
    assert_true(table.count == 500 || table.count == 499);
    assert_non_null(job_table_find(&table, "919")); /* 1 * 7919 */
    assert_null(job_table_find(&table, "838"));
    job_table_clear(&table);
    assert_null(job_table_find(&table, "919"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(the_same_job_has_the_same_print),
        cmocka_unit_test(domains_make_no_difference),
        cmocka_unit_test(many_nodes_are_told_in_short),
        cmocka_unit_test(another_job_has_another),
        cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
