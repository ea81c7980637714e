#include "host/jobs/scheduler.h"

#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "host/subprocess.h"

/* Nodes that fit LIMIT_JOB_NODES_COUNT, each with its NUL. */
enum { NODES_BYTES_MAX = LIMIT_JOB_NODES_COUNT * (LIMIT_HOST_NAME_CHARS + 1) };

void scheduler_reading_begin(struct scheduler_reading *reading,
                             const struct scheduler_reader *reader) {
    *reading = (struct scheduler_reading){.reader = reader, .nodes = BUF(NODES_BYTES_MAX)};
}

void scheduler_reading_done(struct scheduler_reading *reading) { buf_done(&reading->nodes); }

void scheduler_skip(struct scheduler_reading *reading, span_t name, const struct fault *fault) {
    char printable[LIMIT_JOB_NAME_CHARS + 1] = "?";
    if (name.len > 0 && name.len < sizeof printable && text_is_printable(name)) {
        memcpy(printable, name.data, name.len);
        printable[name.len] = '\0';
    }
    reading->skipped++;
    if (reading->reader->skipped != NULL) {
        reading->reader->skipped(reading->reader->context, printable, fault);
    }
}

/* Both are checked before, so they fit. */
static void copy_text(span_t from, char *out) {
    memcpy(out, from.data, from.len);
    out[from.len] = '\0';
}

static err_t judge(const struct scheduler_record *record, struct buf *nodes,
                   struct scheduler_job *job, struct fault *fault) {
    TRY(job_name_check(record->name, fault));
    TRY(account_name_check(record->user, fault));
    if (record->started_at <= 0) {
        return fault_set(fault, ERR_RANGE, "start", "it has no time at which it started");
    }
    if (record->ends_at != 0 && record->ends_at <= record->started_at) {
        return fault_set(fault, ERR_ORDER, "end", "it ends before it starts");
    }
    buf_clear(nodes);
    err_t err = hostlist_expand(record->nodes, nodes, &job->node_count);
    if (failed(err)) {
        return fault_set(fault, err.code, "nodes", "%s", err_text(err));
    }
    copy_text(record->name, job->name);
    copy_text(record->user, job->user);
    job->type = record->type;
    job->nodes = (const char *)nodes->data;
    job->hostlist = record->nodes;
    job->started_at = record->started_at;
    job->ends_at = record->ends_at;
    return OK;
}

static err_t take_ended(struct scheduler_reading *reading, span_t name) {
    char job[LIMIT_JOB_NAME_CHARS + 1];
    if (reading->reader->ended == NULL || failed(job_name_check(name, NULL))) {
        return OK;
    }
    copy_text(name, job);
    return reading->reader->ended(reading->reader->context, job);
}

err_t scheduler_take(struct scheduler_reading *reading, const struct scheduler_record *record) {
    struct scheduler_job job = {0};
    struct fault fault = {0};
    if (record->ended) {
        return take_ended(reading, record->name);
    }
    err_t err = judge(record, &reading->nodes, &job, &fault);
    if (err.code == ERR_MEMORY) {
        return err;
    }
    if (failed(err)) {
        scheduler_skip(reading, record->name, &fault);
        return OK;
    }
    if (reading->taken == LIMIT_JOBS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    reading->taken++;
    return reading->reader->job(reading->reader->context, &job);
}

err_t scheduler_reading_end(const struct scheduler_reading *reading) {
    return reading->taken == 0 && reading->skipped > 0 ? FAIL(ERR_MALFORMED) : OK;
}

/* Where the program and its configuration are, then what makes the program's output ours to read.
 */
static void make_environment(char *const *ours, const char *out[8]) {
    static const char *const kept[] = {"PATH=", "SLURM_CONF=", "OARCONFFILE="};
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        for (char *const *variable = ours; *variable != NULL; variable++) {
            if (strncmp(*variable, kept[i], strlen(kept[i])) == 0) {
                out[count++] = *variable;
                break;
            }
        }
    }
    out[count++] = "LC_ALL=C";
    out[count++] = "TZ=UTC";
    out[count++] = "SLURM_TIME_FORMAT=standard";
    out[count] = NULL;
}

err_t scheduler_fetch(const struct scheduler *scheduler, const char *path, struct buf *out,
                      struct fault *fault) {
    const char *environment[8];
    buf_clear(out);
    if (scheduler->command == NULL) {
        err_t err = file_read(path, out);
        return failed(err) ? fault_set(fault, err.code, path, "%s", err_text(err)) : OK;
    }
    make_environment(environ, environment);
    const struct subprocess run = {.words = scheduler->command,
                                   .environment = environment,
                                   .timeout_ms = LIMIT_SCHEDULER_S * 1000};
    return subprocess_run(&run, out, fault);
}
