/* Which of one's jobs a host name means, as a gate has it. */
#include <string.h>

#include "check.h"
#include "cli/cli.h"
#include "cli/jobs/job_name.h"

static const char listed[] =
    "[{\"job\": \"12\", \"cluster\": \"daint\", \"startTime\": \"2026-01-01T00:00:00Z\","
    "  \"nodes\": [\"n1.site\", \"n2.site\"], \"address\": \"\"},"
    " {\"job\": \"12\", \"cluster\": \"nancy\", \"startTime\": \"2026-01-02T00:00:00Z\","
    "  \"nodes\": [\"graphite-1.nancy\"], \"address\": \"\"},"
    " {\"job\": \"12.n2\", \"cluster\": \"daint\", \"startTime\": \"2025-01-01T00:00:00Z\","
    "  \"nodes\": [\"n9\"], \"address\": \"\"},"
    " {\"job\": \"aB\", \"cluster\": \"own\", \"startTime\": \"2026-01-01T00:00:00Z\","
    "  \"nodes\": [\"w1\"], \"address\": \"203.0.113.7\"},"
    " {\"job\": \"13\", \"cluster\": \"daint\", \"startTime\": \"2026-01-01T00:00:00Z\","
    "  \"nodes\": [], \"address\": \"\"}]";

static void found(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *cluster; /* NULL: nothing is meant */
        const char *node;    /* NULL: the job's address */
    } cases[] = {
        {"", NULL, NULL},
        {"12", NULL, NULL},
        {"job-", NULL, NULL},
        {"job-1", NULL, NULL},
        {"job-123", NULL, NULL},
        {"job-12@elsewhere", NULL, NULL},
        {"job-12@daint.n3", NULL, NULL},
        {"job-12@daint.n", NULL, NULL},
        {"job-13", NULL, NULL},
        {"job-12", "nancy", "graphite-1.nancy"},
        {"JOB-12@Daint", "daint", "n1.site"},
        {"job-12@daint.n2", "daint", "n2.site"},
        {"job-12@daint.n2.site", "daint", "n2.site"},
        {"job-12.n2", "daint", "n9"},
        {"job-ab", "own", NULL},
        {"job-AB.w1", "own", "w1"},
    };
    json_t *jobs CLEANUP(json_freep) = json_loads(listed, 0, NULL);
    assert_non_null(jobs);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const json_t *job = NULL;
        const char *node = "untouched";
        err_t err = job_name_find(jobs, cases[i].name, &job, &node);
        if (cases[i].cluster == NULL) {
            assert_int_equal(err.code, ERR_NOT_FOUND);
            assert_null(job);
            assert_string_equal(node, "untouched");
            continue;
        }
        assert_ok(err);
        assert_string_equal(member_text(job, "cluster"), cases[i].cluster);
        assert_int_equal(node == NULL, cases[i].node == NULL);
        assert_true(node == NULL || strcmp(node, cases[i].node) == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(found)};
    return cmocka_run_group_tests_name("job_name", tests, NULL, NULL);
}
