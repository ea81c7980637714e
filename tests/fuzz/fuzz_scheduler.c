/* What schedulers print: the first byte chooses which parser reads the rest. Whatever is listed has
 * names that may stand in a path, a command line and a log. */
#include "fuzz.h"

#include <string.h>

#include "host/jobs/scheduler.h"

static err_t on_job(void *context, const struct scheduler_job *job) {
    const char *node = job->nodes;
    must(job_name_check(span_str(job->name), NULL));
    must(account_name_check(span_str(job->user), NULL));
    INVARIANT(job->type == JOB_SHARED || job->type == JOB_WHOLE || job->type == JOB_DEPLOY);
    INVARIANT(job->started_at > 0 && (job->ends_at == 0 || job->ends_at > job->started_at));
    INVARIANT(job->node_count > 0 && job->node_count <= LIMIT_JOB_NODES_COUNT);
    for (size_t i = 0; i < job->node_count; i++, node += strlen(node) + 1) {
        must(host_name_check(span_str(node), "node", NULL));
    }
    ++*(size_t *)context;
    return OK;
}

static err_t on_ended(void *context, const char *job) {
    (void)context;
    must(job_name_check(span_str(job), NULL));
    return OK;
}

static void on_skipped(void *context, const char *job, const struct fault *fault) {
    (void)context;
    INVARIANT(job[0] != '\0' && fault->reason[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static scheduler_parse *const parsers[] = {slurm_parse, oar_parse, job_file_parse};
    size_t jobs = 0;
    const struct scheduler_reader reader = {&jobs, on_job, on_ended, on_skipped};
    if (size == 0) {
        return 0;
    }
    if (data[0] % 4 == COUNT_OF(parsers)) {
        struct buf names CLEANUP(buf_done) = BUF(4 * 1024 * 1024);
        size_t count = 0;
        if (!failed(hostlist_expand(span_of(data + 1, size - 1), &names, &count))) {
            INVARIANT(count > 0 && count <= LIMIT_JOB_NODES_COUNT);
        }
        return 0;
    }
    ignore_err(parsers[data[0] % 4](span_of(data + 1, size - 1), &reader));
    return 0;
}
