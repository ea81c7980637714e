#include "base/clock.h"
#include "host/jobs/scheduler.h"

enum { COLUMNS = 6 };

const struct scheduler scheduler_file = {"file", NULL, job_file_parse};

static size_t split(span_t line, span_t columns[COLUMNS + 1]) {
    size_t count = 0;
    size_t at = 0;
    while (count <= COLUMNS) {
        while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t')) {
            at++;
        }
        if (at == line.len || line.data[at] == '#') {
            break;
        }
        size_t begin = at;
        while (at < line.len && line.data[at] != ' ' && line.data[at] != '\t') {
            at++;
        }
        columns[count++] = span_of(line.data + begin, at - begin);
    }
    return count;
}

static err_t take_type(span_t text, enum job_type *out, struct fault *fault) {
    static const struct {
        const char *word;
        enum job_type type;
    } types[] = {{"shared", JOB_SHARED}, {"whole", JOB_WHOLE}, {"deploy", JOB_DEPLOY}};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (span_equal_str(text, types[i].word)) {
            *out = types[i].type;
            return OK;
        }
    }
    return fault_set(fault, ERR_MALFORMED, "type", "is neither shared, whole nor deploy");
}

static err_t take_time(span_t text, const char *field, int64_t *out, struct fault *fault) {
    err_t err = time_parse(text, out);
    return failed(err)
               ? fault_set(fault, err.code, field, "is no time; write it as 2026-04-01T14:15:20Z")
               : OK;
}

static err_t judge(const span_t columns[COLUMNS], size_t count, struct scheduler_record *out,
                   struct fault *fault) {
    if (count != COLUMNS) {
        return fault_set(fault, ERR_MALFORMED, "",
                         "the line has not six columns: job, user, type, nodes, start, end");
    }
    out->name = columns[0];
    out->user = columns[1];
    out->nodes = columns[3];
    TRY(take_type(columns[2], &out->type, fault));
    TRY(take_time(columns[4], "start", &out->started_at, fault));
    return span_equal_str(columns[5], "-") ? OK
                                           : take_time(columns[5], "end", &out->ends_at, fault);
}

static err_t take_line(struct scheduler_reading *reading, span_t line) {
    span_t columns[COLUMNS + 1] = {0};
    struct scheduler_record record = {0};
    struct fault fault = {0};
    size_t count = split(line, columns);
    if (count == 0) {
        return OK;
    }
    if (failed(judge(columns, count, &record, &fault))) {
        scheduler_skip(reading, columns[0], &fault);
        return OK;
    }
    return scheduler_take(reading, &record);
}

err_t job_file_parse(span_t text, const struct scheduler_reader *reader) {
    struct scheduler_reading reading CLEANUP(scheduler_reading_done);
    scheduler_reading_begin(&reading, reader);
    while (text.len > 0) {
        TRY(take_line(&reading, span_until(&text, '\n')));
    }
    return scheduler_reading_end(&reading);
}
