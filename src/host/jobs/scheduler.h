/*
 * What a scheduler says of the jobs that run: each of slurm.c, oar.c and job_file.c makes the same
 * list of it. The parsers are pure; scheduler_fetch() is the one part that asks.
 *
 * A list is of others' making, and a job's owner chooses parts of it. So it is bounded everywhere,
 * and a job that makes no sense is left out and told of, by itself: a slip in one job must neither
 * end all others nor keep them from beginning. A list of which nothing makes sense is no list
 * (ERR_MALFORMED), for an empty one would end every job.
 */
#ifndef POSTERN_HOST_SCHEDULER_H
#define POSTERN_HOST_SCHEDULER_H

#include "base/err.h"
#include "base/span.h"
#include "model/entity.h"
#include "model/hostlist.h"

struct scheduler_job {
    char name[LIMIT_JOB_NAME_CHARS + 1]; /* the scheduler's id */
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1];
    enum job_type type; /* JOB_SHARED, JOB_WHOLE or JOB_DEPLOY; 0: not known, of a hook's alone */
    const char *nodes;  /* their names one after the other, each ended by NUL; borrowed */
    size_t node_count;  /* 1 to LIMIT_JOB_NODES_COUNT */
    span_t hostlist;    /* the same in short; borrowed */
    int64_t started_at;
    int64_t ends_at; /* its limit of time; 0: it has none */
};

/* Who is told. A failure of job() ends the reading. */
struct scheduler_reader {
    void *context;
    err_t (*job)(void *context, const struct scheduler_job *job);
    /* One that ended a short while ago, where the scheduler tells. Or NULL. */
    err_t (*ended)(void *context, const char *job);
    /* One that was left out: its id as far as it is known, printable, and why. Or NULL. */
    void (*skipped)(void *context, const char *job, const struct fault *fault);
};

typedef err_t scheduler_parse(span_t text, const struct scheduler_reader *reader);

struct scheduler {
    const char *name; /* "slurm" */
    /* The program that prints the list, words ended by NULL; itself NULL: a file is read. */
    const char *const *command;
    scheduler_parse *parse;
};
extern const struct scheduler scheduler_slurm, scheduler_oar, scheduler_file;

/*
 * What the scheduler's program prints now, or what is in the file (`path`; of a command: NULL).
 * ERR_TIMEOUT after LIMIT_SCHEDULER_S, when the program is ended, ERR_TOO_LONG beyond
 * LIMIT_SCHEDULER_LIST_BYTES, ERR_IO for a status other than 0; the fault has what it said.
 * The program sees of our environment where it and its configuration are, and no more:
 * $SQUEUE_USERS alone would end the jobs of all others. Its times are UTC.
 */
err_t scheduler_fetch(const struct scheduler *scheduler, const char *path, struct buf *out,
                      struct fault *fault);

/*
 * `squeue --format` of slurm.c: a line a job, eight fields parted by "|". A job's id is Slurm's own
 * number: of a task of an array, and of a part of a heterogeneous job, each its own. A job that
 * shares its nodes with nobody (OverSubscribe NO) is whole; all others are shared.
 */
scheduler_parse slurm_parse;
/*
 * `oarstat --full --json`: an object by job id. Not the text form, in which a job's name may hold
 * what looks like another member. Whole is what asked for hosts and for no part of them; deploy
 * what is of type deploy and whole.
 */
scheduler_parse oar_parse;
/*
 * A table for sites without a scheduler, examples/postern-jobs. Blanks part the six columns, #
 * begins a comment.
 */
scheduler_parse job_file_parse;

/* --- what the three parsers share --- */

/* A job as the scheduler wrote it. Nodes are a hostlist. */
struct scheduler_record {
    span_t name, user, nodes;
    enum job_type type;
    int64_t started_at, ends_at;
    bool ended; /* then the name is all that counts */
};

struct scheduler_reading {
    const struct scheduler_reader *reader;
    struct buf nodes; /* of the job that is being read */
    size_t taken, skipped;
};
void scheduler_reading_begin(struct scheduler_reading *reading,
                             const struct scheduler_reader *reader);
void scheduler_reading_done(struct scheduler_reading *reading);
/* Judges the record, and tells the reader of it or that it was left out. */
err_t scheduler_take(struct scheduler_reading *reading, const struct scheduler_record *record);
/* Tells that one was left out. */
void scheduler_skip(struct scheduler_reading *reading, span_t name, const struct fault *fault);
/* ERR_MALFORMED when there were jobs and none made sense. */
err_t scheduler_reading_end(const struct scheduler_reading *reading);

#endif
