#include "base/clock.h"
#include "host/jobs/scheduler.h"

enum { FIELDS = 8 };

/*
 * Jobs that hold their nodes now: while a job is configuring, its nodes are its own already and its
 * prologues run. One that is completing has lost them.
 */
#define HOLDING "CONFIGURING,RUNNING,SUSPENDED,STOPPED,SIGNALING,RESIZING"
/* Slurm tells of these for MinJobAge. So a job is known to have ended that began and ended between
 * two questions. */
#define ENDED                                                                                      \
    "COMPLETING,COMPLETED,CANCELLED,FAILED,TIMEOUT,PREEMPTED,NODE_FAIL,BOOT_FAIL,DEADLINE,"        \
    "OUT_OF_MEMORY"

static const char *const command[] = {"squeue", "--noheader", "--states=" HOLDING "," ENDED,
                                      "--format=%A|%T|%u|%h|%S|%e|%N|.", NULL};

const struct scheduler scheduler_slurm = {"slurm", command, slurm_parse};

/* "2026-11-21T15:41:29", in UTC. */
static err_t take_time(span_t text, int64_t *out) {
    char utc[24];
    if (text.len != 19) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(utc, text.data, 19);
    utc[19] = 'Z';
    return time_parse(span_of(utc, 20), out);
}

static bool split(span_t line, span_t fields[FIELDS]) {
    size_t count = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= line.len; i++) {
        if (i < line.len && line.data[i] != '|') {
            continue;
        }
        if (count == FIELDS) {
            return false;
        }
        fields[count++] = span_of(line.data + begin, i - begin);
        begin = i + 1;
    }
    /* The last field tells a whole line from one that was cut. */
    return count == FIELDS && span_equal_str(fields[FIELDS - 1], ".");
}

static bool holds_nodes(span_t state) {
    span_t holding = SPAN_LITERAL(HOLDING);
    while (holding.len > 0) {
        if (span_equal(span_until(&holding, ','), state)) {
            return true;
        }
    }
    return false;
}

static err_t take_line(struct scheduler_reading *reading, span_t line) {
    span_t fields[FIELDS] = {0};
    struct fault fault = {0};
    if (!split(line, fields)) {
        ignore_err(fault_set(&fault, ERR_MALFORMED, "", "the line has not the fields asked for"));
        scheduler_skip(reading, span_of(NULL, 0), &fault);
        return OK;
    }
    struct scheduler_record record = {
        .name = fields[0], .user = fields[2], .nodes = fields[6], .type = JOB_SHARED};
    record.ended = !holds_nodes(fields[1]);
    if (span_equal_str(fields[3], "NO")) {
        record.type = JOB_WHOLE;
    }
    /* A job without a limit has no end ("NONE"). */
    if (failed(take_time(fields[4], &record.started_at))) {
        record.started_at = 0;
    }
    if (failed(take_time(fields[5], &record.ends_at))) {
        record.ends_at = 0;
    }
    return scheduler_take(reading, &record);
}

err_t slurm_parse(span_t text, const struct scheduler_reader *reader) {
    struct scheduler_reading reading CLEANUP(scheduler_reading_done);
    scheduler_reading_begin(&reading, reader);
    while (text.len > 0) {
        TRY(take_line(&reading, span_until(&text, '\n')));
    }
    return scheduler_reading_end(&reading);
}
