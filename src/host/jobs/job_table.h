/* Jobs by name and what was told of each, in short: for the watcher, which compares what runs with
 * what the authority has been told. Pure. */
#ifndef POSTERN_HOST_JOB_TABLE_H
#define POSTERN_HOST_JOB_TABLE_H

#include "host/jobs/scheduler.h"

struct job_row {
    char name[LIMIT_JOB_NAME_CHARS + 1];
    uint64_t print;
    int64_t refused_until_ms; /* the authority would not have it; 0: it has it */
    bool gone;                /* to be dropped */
};

/* Sorted by name once job_table_sort() was called; the rest asks for that. */
struct job_table {
    struct job_row *rows;
    size_t count, room;
};
void job_table_done(struct job_table *table);
void job_table_clear(struct job_table *table);
err_t job_table_add(struct job_table *table, const struct job_row *row);
/* Of rows of the same name just one stays. */
void job_table_sort(struct job_table *table);
struct job_row *job_table_find(const struct job_table *table, const char *name);
/* Drops the rows for which keep() is false; the order stays. */
void job_table_filter(struct job_table *table,
                      bool (*keep)(void *context, const struct job_row *row), void *context);

/*
 * 64 bits that two jobs share when nothing the authority is told of them differs, but their names.
 * The order of the nodes does not count, and neither do their domains, which the authority may add.
 */
uint64_t job_print(const struct scheduler_job *job);

/*
 * {"username":"alice","type":"shared","nodes":["n1"],"startTime":"…Z","endTime":"…Z"}, the body by
 * which the authority is told of a job. type and endTime are left out where they are not known. Of
 * so many nodes that the body would be longer than LIMIT_HTTP_BODY_BYTES, the hostlist is told.
 */
err_t job_put_json(struct buf *out, const struct scheduler_job *job);
/* The name and the print of a job as the authority tells it. ERR_MALFORMED, ERR_TOO_LONG. */
struct json_t;
err_t job_row_from_json(const struct json_t *json, struct job_row *out);

#endif
