#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/jobs/scheduler.h"
#include "host/subprocess.h"

/* --- what a reader was told, as text: "1234 alice shared n1,n2 100-200", "! 1234 field" --- */

enum { TOLD_BYTES = 64 * 1024 };
static const char *const type_names[] = {"", "shared", "whole", "deploy", "cluster"};

static err_t on_job(void *context, const struct scheduler_job *job) {
    struct buf *told = context;
    const char *node = job->nodes;
    TRY(buf_add_format(told, "%s %s %s ", job->name, job->user, type_names[job->type]));
    for (size_t i = 0; i < job->node_count; i++, node += strlen(node) + 1) {
        TRY(buf_add_format(told, "%s%s", i > 0 ? "," : "", node));
    }
    return buf_add_format(told, " %lld-%lld\n", (long long)job->started_at,
                          (long long)job->ends_at);
}

static err_t on_ended(void *context, const char *job) {
    return buf_add_format(context, "%s ended\n", job);
}

static void on_skipped(void *context, const char *job, const struct fault *fault) {
    assert_ok(buf_add_format(context, "! %s %s\n", job, fault->field));
    assert_true(fault->reason[0] != '\0');
}

static err_t read_all(scheduler_parse *parse, const char *text, char out[TOLD_BYTES]) {
    struct buf told CLEANUP(buf_done) = BUF(TOLD_BYTES - 1);
    const struct scheduler_reader reader = {&told, on_job, on_ended, on_skipped};
    err_t err = parse(span_str(text), &reader);
    memcpy(out, told.data != NULL ? (const char *)told.data : "", told.len);
    out[told.len] = '\0';
    return err;
}

static void reads(scheduler_parse *parse, const char *text, const char *expected) {
    char told[TOLD_BYTES];
    assert_ok(read_all(parse, text, told));
    assert_string_equal(told, expected);
}

/* --- lists of nodes --- */

static void hostlists_that_are_none(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",         ",",        "n1,,n2",   "n[",     "n[1",        "n]1",
        "n[]",      "n[1-]",    "n[-1]",    "n[2-1]", "n[a]",       "n[1-2",
        "n[1,]x[",  "n[1--2]",  "n[1-2-3]", "n[1 ]",  "n[0x1]",     "n[1234567890]",
        "-n1",      "n 1",      "n1;rm",    "../n1",  "n[000x133]", "[1-2][1-2][1-2][1-2][1-2]",
        "n[1-2]/x", "n[[1-2]]", "n1\n",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct buf names CLEANUP(buf_done) = BUF(1024);
        size_t count = 77;
        assert_ok(buf_add_str(&names, "kept"));
        err_t err = hostlist_expand(span_str(refused[i]), &names, &count);
        if (!failed(err)) {
            fail_msg("\"%s\" was taken", refused[i]);
        }
        assert_int_equal(count, 77);
        assert_int_equal(names.len, 4);
    }
}

static void hostlists(void **state) {
    (void)state;
    static const struct {
        const char *text, *names;
    } lists[] = {
        {"n1", "n1"},
        {"n[1-3,7],m05", "n1,n2,n3,n7,m05"},
        {"nid[006554-006556]", "nid006554,nid006555,nid006556"},
        {"n[08-11]", "n08,n09,n10,n11"},
        {"n[8-11]", "n8,n9,n10,n11"},
        {"rack[0-1]n[08-09]-ib", "rack0n08-ib,rack0n09-ib,rack1n08-ib,rack1n09-ib"},
        {"a[1]b[2]c[3]d[4]", "a1b2c3d4"},
        {"gros-1.nancy.example", "gros-1.nancy.example"},
        {"n[1,1]", "n1,n1"},
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct buf names CLEANUP(buf_done) = BUF(1024);
        size_t count = 0;
        assert_ok(hostlist_expand(span_str(lists[i].text), &names, &count));
        for (size_t k = 0; k + 1 < names.len; k++) {
            names.data[k] = names.data[k] == 0 ? ',' : names.data[k];
        }
        assert_string_equal((const char *)names.data, lists[i].names);
    }
}

static void hostlists_are_bounded(void **state) {
    (void)state;
    struct buf names CLEANUP(buf_done) = BUF(8 * 1024 * 1024);
    size_t count = 0;
    char text[64];
    (void)snprintf(text, sizeof text, "n[1-%d]", LIMIT_JOB_NODES_COUNT);
    assert_ok(hostlist_expand(span_str(text), &names, &count));
    assert_int_equal(count, LIMIT_JOB_NODES_COUNT);
    (void)snprintf(text, sizeof text, "n[0-%d]", LIMIT_JOB_NODES_COUNT);
    assert_fails(hostlist_expand(span_str(text), &names, &count), ERR_TOO_LONG);
    buf_clear(&names);
    char *at = text + snprintf(text, sizeof text, "n");
    for (int i = 1; i <= LIMIT_HOSTLIST_BRACKETS_COUNT; i++) {
        at += snprintf(at, 8, "[%d]", i);
    }
    assert_ok(hostlist_expand(span_str(text), &names, &count));
    assert_string_equal((const char *)names.data, "n1234");
    (void)snprintf(at, 8, "[5]");
    assert_fails(hostlist_expand(span_str(text), &names, &count), ERR_MALFORMED);
    /* A few bytes that stand for as many names as there is no room for. */
    int64_t before = clock_monotonic_ms();
    assert_fails(
        hostlist_expand(SPAN_LITERAL("n[0-999999999][0-999999999][0-999999999]"), &names, &count),
        ERR_TOO_LONG);
    assert_true(clock_monotonic_ms() - before < 5000);
}

/* --- Slurm --- */

#define LINE(job, rest) job "|RUNNING|" rest "|.\n"
#define ALICE           "alice|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|n[1-2]"
#define GOOD            LINE("1", ALICE)
#define GOOD_TOLD       "1 alice shared n1,n2 1795275089-1795275689\n"

static void slurm_lists_that_are_none(void **state) {
    (void)state;
    static const char *const refused[] = {
        "slurm_load_jobs error: Unable to contact slurm controller\n",
        "1|alice\n",
        "1|RUNNING|" ALICE "\n",     /* cut */
        "1|RUNNING|" ALICE "|.|.\n", /* more fields than asked for */
        "\n",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char told[TOLD_BYTES];
        assert_fails(read_all(slurm_parse, refused[i], told), ERR_MALFORMED);
    }
}

/* One job that makes no sense leaves the others alone. */
static void slurm_jobs_that_make_no_sense(void **state) {
    (void)state;
    static const struct {
        const char *line, *told;
    } skipped[] = {
        {LINE("", ALICE), "! ? job\n"},
        {LINE("-1", ALICE), "! -1 job\n"},
        {LINE("1;2", ALICE), "! 1;2 job\n"},
        {LINE("\x1b[2J", ALICE), "! ? job\n"},
        {LINE("2", "root|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|n1"), "! 2 account\n"},
        {LINE("2", "../alice|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|n1"), "! 2 account\n"},
        {LINE("2", "-oProxyCommand=x|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|n1"),
         "! 2 account\n"},
        {LINE("2", "alice|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|"), "! 2 nodes\n"},
        {LINE("2", "alice|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|(null)"), "! 2 nodes\n"},
        {LINE("2", "alice|OK|2026-11-21T15:31:29|2026-11-21T15:41:29|n[1-20000]"), "! 2 nodes\n"},
        {LINE("2", "alice|OK|N/A|N/A|n1"), "! 2 start\n"},
        {LINE("2", "alice|OK|2026-11-21T15:31:29|2026-11-21T15:31:28|n1"), "! 2 end\n"},
        {"2|RUNNING|alice|OK\n", "! ? \n"},
    };
    for (size_t i = 0; i < COUNT_OF(skipped); i++) {
        char text[512];
        char expected[512];
        (void)snprintf(text, sizeof text, "%s%s", skipped[i].line, GOOD);
        (void)snprintf(expected, sizeof expected, "%s%s", skipped[i].told, GOOD_TOLD);
        reads(slurm_parse, text, expected);
    }
}

static void slurm_jobs(void **state) {
    (void)state;
    reads(slurm_parse, "", "");
    reads(slurm_parse, GOOD, GOOD_TOLD);
    reads(slurm_parse, LINE("7", "bob|NO|2026-11-21T15:31:29|2026-11-21T15:41:29|n1"),
          "7 bob whole n1 1795275089-1795275689\n");
    reads(slurm_parse, LINE("8", "bob|USER|2026-11-21T15:31:29|NONE|n1"),
          "8 bob shared n1 1795275089-0\n");
    reads(slurm_parse,
          "9|COMPLETING|bob|OK|N/A|N/A|n1|.\n9-|FAILED|||||n1|.\n10|CANCELLED|root|OK|N/A|N/A||.\n"
          "11|CONFIGURING|bob|OK|2026-11-21T15:31:29|NONE|n1|.\n-1|FAILED|||||n1|.\n",
          "9 ended\n9- ended\n10 ended\n11 bob shared n1 1795275089-0\n");
}

static err_t on_count(void *context, const struct scheduler_job *job) {
    (void)job;
    ++*(size_t *)context;
    return OK;
}

static void lists_are_bounded(void **state) {
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SCHEDULER_LIST_BYTES);
    size_t count = 0;
    const struct scheduler_reader reader = {&count, on_count, NULL, NULL};
    for (int i = 0; i < LIMIT_JOBS_COUNT; i++) {
        assert_ok(buf_add_str(&text, GOOD));
    }
    assert_ok(slurm_parse(buf_span(&text), &reader));
    assert_int_equal(count, LIMIT_JOBS_COUNT);
    assert_ok(buf_add_str(&text, GOOD));
    assert_fails(slurm_parse(buf_span(&text), &reader), ERR_TOO_LONG);
}

/* --- OAR --- */

#define OAR(name, members)                                                                         \
    "\"" name "\":{\"state\":\"Running\",\"owner\":\"alice\",\"startTime\":1000,\"walltime\":60,"  \
    "\"assigned_network_address\":[\"n1\",\"n1\",\"n2\"]," members "}"
#define WANTS(way) "\"wanted_resources\":\"-l \\\"" way ",walltime=1:0:0\\\" \""

static void oar_lists_that_are_none(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",
        "[]",
        "null",
        "{\"1\":",
        "oarstat: cannot connect\n",
        "{" OAR("1", "\"x\":1") "}{}",
        "{\"1\":{\"state\":\"Running\"}}",
        "{" OAR("1", "\"x\":1") "," OAR("1", "\"x\":1") "}",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char told[TOLD_BYTES];
        assert_fails(read_all(oar_parse, refused[i], told), ERR_MALFORMED);
    }
}

static void oar_jobs(void **state) {
    (void)state;
    static const struct {
        const char *way, *types, *told;
    } ways[] = {
        {"{type = 'default'}/host=2", "[]", "whole"},
        {"/nodes=2", "[]", "whole"},
        {"/cluster=1/host=2", "[]", "whole"},
        {"/host=1/core=2", "[]", "shared"},
        {"/core=2", "[]", "shared"},
        {"/host=1+/core=1", "[]", "shared"},
        {"/host=1+/host=2", "[]", "whole"},
        {"{comment = '/host=1'}/core=2", "[]", "shared"},
        {"{x = '}/core=1", "[]", "shared"},
        /* A filter's text that hides a way to a core from whoever only counts braces. */
        {"{x = '}/host=1,{{'}/core=1+{x = '}}'}/host=1", "[\"deploy\"]", "shared"},
        {"{x = '}/host=1,{'}/core=1", "[\"deploy\"]", "shared"},
        {"/host=1}", "[\"deploy\"]", "shared"},
        {"/hostess=2", "[]", "shared"},
        /* A condition that leaves one core of a host, and calls that a host. */
        {"{core < 2}/host=1", "[\"deploy\"]", "shared"},
        {"{cluster = 'a' and core<2}/host=1", "[\"deploy\"]", "shared"},
        {"{resources.core in (1)}/host=1", "[\"deploy\"]", "shared"},
        {"{cluster = 'a' -- ' \\n and core<2 -- '}/host=1", "[\"deploy\"]", "shared"},
        {"{cluster = 'a\\\\' and core<2 or type=\\\\''}/host=1", "[\"deploy\"]", "shared"},
        {"{cluster = 'a' and host in (select core)}/host=1", "[\"deploy\"]", "shared"},
        {"{type = 'default' and (cluster = 'grisou' OR host IN ('n1','n2'))}/host=2",
         "[\"deploy\"]", "deploy"},
        {"{memnode >= 65536 and cluster like 'gr%'}/cluster=1/host=2", "[\"deploy\"]", "deploy"},
        {"", "[]", "shared"},
        {"/host=2", "[\"besteffort\",\"deploy\"]", "deploy"},
        {"/host=2", "[\"deployed\"]", "whole"},
        {"/core=2", "[\"deploy\"]", "shared"}, /* it does not have the node to itself */
    };
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        char text[1024];
        char expected[128];
        (void)snprintf(text, sizeof text, "{" OAR("1", WANTS("%s") ",\"types\":%s") "}",
                       ways[i].way, ways[i].types);
        (void)snprintf(expected, sizeof expected, "1 alice %s n1,n2 1000-1060\n", ways[i].told);
        reads(oar_parse, text, expected);
    }
    static const struct {
        const char *properties, *told;
    } conditions[] = {
        {"core<2", "shared"},
        {"(core<2) AND deploy = 'YES'", "shared"},
        {"deploy = 'YES' AND maintenance = 'NO'", "deploy"},
        {"", "deploy"},
    };
    for (size_t i = 0; i < COUNT_OF(conditions); i++) {
        char text[1024];
        char expected[128];
        (void)snprintf(
            text, sizeof text,
            "{" OAR("1", WANTS("/host=2") ",\"types\":[\"deploy\"],\"properties\":\"%s\"") "}",
            conditions[i].properties);
        (void)snprintf(expected, sizeof expected, "1 alice %s n1,n2 1000-1060\n",
                       conditions[i].told);
        reads(oar_parse, text, expected);
    }
    reads(oar_parse, "{}", "");
    reads(oar_parse, "{\"1\":{\"state\":\"Waiting\"},\"2\":{\"state\":\"Terminated\"}}", "");
    reads(oar_parse,
          "{\"1\":{\"state\":\"Running\",\"owner\":\"alice\",\"startTime\":\"1000\","
          "\"assigned_network_address\":[\"n1\"],\"name\":\"x\\n    owner = bob\"},"
          "\"2\":{\"state\":\"Running\",\"owner\":\"oar;\",\"startTime\":1000,"
          "\"assigned_network_address\":[\"n1\"]},"
          "\"3\":{\"state\":\"Running\",\"owner\":\"bob\",\"startTime\":1000,"
          "\"assigned_network_address\":[1]}}",
          "1 alice shared n1 1000-0\n! 2 account\n! 3 assigned_network_address\n");
}

/* --- the table --- */

static void tables(void **state) {
    (void)state;
    char told[TOLD_BYTES];
    reads(job_file_parse, "", "");
    reads(job_file_parse, "# nothing\n\n  # but a comment", "");
    reads(job_file_parse,
          "open-1\talice  whole n[1-2] 2026-11-21T15:31:29Z 2026-11-21T15:41:29Z # lab\n"
          "2 bob deploy n3 2026-11-21T15:31:29Z -\n"
          "3 bob often n3 2026-11-21T15:31:29Z -\n"
          "4 bob shared n3 today -\n"
          "5 bob shared n3 2026-11-21T15:31:29Z never\n"
          "6 bob shared n3 2026-11-21T15:31:29Z - more\n"
          "7 bob shared\n",
          "open-1 alice whole n1,n2 1795275089-1795275689\n"
          "2 bob deploy n3 1795275089-0\n"
          "! 3 type\n! 4 start\n! 5 end\n! 6 \n! 7 \n");
    assert_fails(read_all(job_file_parse, "nonsense\n", told), ERR_MALFORMED);
}

static void the_example(void **state) {
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF(64 * 1024);
    struct buf told CLEANUP(buf_done) = BUF(TOLD_BYTES);
    const struct scheduler_reader reader = {&told, on_job, on_ended, on_skipped};
    assert_ok(file_read("examples/postern-jobs", &text));
    assert_ok(job_file_parse(buf_span(&text), &reader));
    assert_true(told.len > 0);
    assert_null(memchr(told.data, '!', told.len));
}

/* --- programs --- */

static err_t run(const char *script, int timeout_ms, struct buf *output, struct fault *fault) {
    const char *const words[] = {"sh", "-c", script, NULL};
    const struct subprocess subprocess = {.words = words, .timeout_ms = timeout_ms};
    return subprocess_run(&subprocess, output, fault);
}

static void programs_that_fail(void **state) {
    (void)state;
    struct buf output CLEANUP(buf_done) = BUF(100);
    struct fault fault = {0};
    int64_t before = clock_monotonic_ms();
    assert_fails(run("echo some; exec sleep 60", 300, &output, &fault), ERR_TIMEOUT);
    assert_true(clock_monotonic_ms() - before < 30000);
    assert_string_equal(fault.field, "sh");
    buf_clear(&output);
    assert_fails(run("echo 'no such controller' >&2; exit 3", 10000, &output, &fault), ERR_IO);
    assert_string_equal(fault.reason, "ended with status 3: no such controller ");
    assert_fails(run("while :; do echo 0123456789; done", 10000, &output, &fault), ERR_TOO_LONG);
    const char *const words[] = {"/no/such/program", NULL};
    const struct subprocess absent = {.words = words, .timeout_ms = 10000};
    assert_fails(subprocess_run(&absent, &output, &fault), ERR_IO);
    assert_non_null(strstr(fault.reason, "cannot be started"));
}

/* A list of nothing, as long as a list may be, and longer. */
static void output_is_bounded(void **state) {
    (void)state;
    struct buf output CLEANUP(buf_done) = BUF(LIMIT_SCHEDULER_LIST_BYTES);
    struct fault fault = {0};
    for (size_t more = 0; more < 2; more++) {
        char count[24];
        (void)snprintf(count, sizeof count, "%zu", LIMIT_SCHEDULER_LIST_BYTES + more);
        const char *const words[] = {"head", "-c", count, "/dev/zero", NULL};
        const struct scheduler scheduler = {.command = words};
        assert_fails(scheduler_fetch(&scheduler, NULL, &output, &fault),
                     more > 0 ? ERR_TOO_LONG : ERR_NONE);
    }
}

static void programs(void **state) {
    (void)state;
    struct buf output CLEANUP(buf_done) = BUF(1024 * 1024);
    struct fault fault = {0};
    assert_ok(run("echo out; echo err >&2", 10000, &output, &fault));
    assert_true(span_equal_str(buf_span(&output), "out\n"));
    buf_clear(&output);
    assert_ok(run("head -c 1048576 /dev/zero", 10000, &output, &fault));
    assert_int_equal(output.len, 1048576);
    buf_clear(&output);
    /* What it leaves running holds nobody up. */
    int64_t before = clock_monotonic_ms();
    assert_ok(run("echo out; sleep 20 & exit 0", 10000, &output, &fault));
    assert_true(clock_monotonic_ms() - before < 9000);
    assert_true(span_equal_str(buf_span(&output), "out\n"));
    buf_clear(&output);
    const char *const words[] = {"/usr/bin/env", NULL};
    const char *const environment[] = {"LC_ALL=C", NULL};
    const struct subprocess alone = {words, environment, 10000};
    assert_ok(subprocess_run(&alone, &output, &fault));
    assert_true(span_equal_str(buf_span(&output), "LC_ALL=C\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostlists_that_are_none),
        cmocka_unit_test(hostlists),
        cmocka_unit_test(hostlists_are_bounded),
        cmocka_unit_test(slurm_lists_that_are_none),
        cmocka_unit_test(slurm_jobs_that_make_no_sense),
        cmocka_unit_test(slurm_jobs),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(oar_lists_that_are_none),
        cmocka_unit_test(oar_jobs),
        cmocka_unit_test(tables),
        cmocka_unit_test(the_example),
        cmocka_unit_test(programs_that_fail),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
