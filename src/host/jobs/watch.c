/*
 * `postern-host slurm|oar|jobs watch`: keeps the authority's jobs of this cluster the same as the
 * scheduler's. Each round asks the scheduler what runs, and tells the authority what differs from
 * what it was told before; so a cluster where nothing happens costs the authority nothing, and
 * whatever a prologue or epilogue failed to tell is made up for within a round.
 *
 * What runs is believed as long as the scheduler answers. When it does not, no job is begun and
 * none is ended: each ends at the end that was told of it, at the latest. Therefore none is told
 * without an end: one without a limit of time gets an end of half a day to a day ahead, again and
 * again.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "host/host.h"
#include "host/jobs/job_client.h"
#include "host/jobs/jobs_host.h"
#include "net/notify.h"

enum {
    INTERVAL_S = 5,
    PATIENCE_S = 30,
    LOCK_WAIT_MS = 5000,
    SKIPPED_MAX = 100, /* jobs left out that are told of, in one list */
    /* After something was told, what was told is looked at again: an epilogue may have been faster
     * than the list that we told from. */
    CHECK_MS = 1000,
    LEARN_MS = 5 * 60 * 1000,   /* what the authority has, in case it has forgotten */
    REFUSED_MS = 5 * 60 * 1000, /* until a job that was refused is told again */
    LEASE_S = 12 * 3600,
};

struct watch {
    const struct scheduler *scheduler;
    const char *file; /* of scheduler_file */
    int64_t interval_ms, patience_ms;
    int lock;
    struct config config;
    struct identity identity;
    struct job_client client;

    struct buf list;        /* what the scheduler printed */
    struct job_table known; /* what the authority was told */
    int64_t learned_ms;     /* when it was asked what it has; 0: it is to be asked */
    struct job_table listed, ended, skipped;
    struct job_table ended_before, skipped_before;

    int64_t round_s;       /* the time of this round */
    struct job_table told; /* in this round, and not in `known` yet */
    size_t began, over;    /* told in this round */
    int64_t answered_ms;   /* when the scheduler last gave a list */
    bool failing, silent;  /* it does not; and so for longer than patience_ms */
    unsigned failures;     /* of the authority, in a row */
};

static void watch_done(struct watch *watch) {
    struct job_table *const tables[] = {&watch->known,         &watch->listed, &watch->ended,
                                        &watch->ended_before,  &watch->told,   &watch->skipped,
                                        &watch->skipped_before};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        job_table_done(tables[i]);
    }
    buf_done(&watch->list);
    job_client_done(&watch->client);
    identity_done(&watch->identity);
    config_done(&watch->config);
    fd_closep(&watch->lock);
}

/* --- what the scheduler says --- */

static struct scheduler_job with_end(const struct watch *watch, const struct scheduler_job *job) {
    struct scheduler_job out = *job;
    if (out.ends_at == 0) {
        out.ends_at = (watch->round_s / LEASE_S + 2) * LEASE_S;
    }
    return out;
}

static err_t add_name(struct job_table *table, const char *name, uint64_t print) {
    struct job_row row = {.print = print};
    (void)snprintf(row.name, sizeof row.name, "%s", name);
    return job_table_add(table, &row);
}

static err_t on_listed(void *context, const struct scheduler_job *job) {
    struct watch *watch = context;
    struct scheduler_job told = with_end(watch, job);
    return add_name(&watch->listed, job->name, job_print(&told));
}

static err_t on_ended(void *context, const char *job) {
    return add_name(&((struct watch *)context)->ended, job, 0);
}

/* Told once, not in each round; and not without end of a list that is full of them. */
static void on_skipped(void *context, const char *job, const struct fault *fault) {
    struct watch *watch = context;
    if (watch->skipped.count == SKIPPED_MAX) {
        return;
    }
    if (job_table_find(&watch->skipped_before, job) == NULL) {
        log_event(LOG_LEVEL_WARN, "job_left_out", "job", job, "field", fault->field, "reason",
                  fault->reason, NULL);
    }
    ignore_err(add_name(&watch->skipped, job, 0)); /* at worst it is told again */
}

static void swap(struct job_table *a, struct job_table *b) {
    struct job_table kept = *a;
    *a = *b;
    *b = kept;
}

static err_t read_list(struct watch *watch, struct fault *fault) {
    const struct scheduler_reader reader = {watch, on_listed, on_ended, on_skipped};
    TRY(scheduler_fetch(watch->scheduler, watch->file, &watch->list, fault));
    swap(&watch->skipped, &watch->skipped_before);
    swap(&watch->ended, &watch->ended_before);
    job_table_clear(&watch->skipped);
    job_table_clear(&watch->ended);
    job_table_clear(&watch->listed);
    err_t err = watch->scheduler->parse(buf_span(&watch->list), &reader);
    job_table_sort(&watch->skipped);
    if (failed(err)) {
        return fault_set(fault, err.code, watch->scheduler->name, "its list of jobs: %s",
                         err_text(err));
    }
    job_table_sort(&watch->listed);
    job_table_sort(&watch->ended);
    return OK;
}

/* Says once that the scheduler does not answer, once that this lasts, and once that it is over. */
static void note_scheduler(struct watch *watch, err_t err, const struct fault *fault) {
    int64_t now = clock_monotonic_ms();
    if (!failed(err)) {
        if (watch->failing) {
            log_event(LOG_LEVEL_INFO, "scheduler_back", "scheduler", watch->scheduler->name, NULL);
        }
        watch->failing = false;
        watch->silent = false;
        watch->answered_ms = now;
        return;
    }
    if (!watch->failing) {
        log_error("scheduler_failed", err, "scheduler", watch->scheduler->name, "field",
                  fault->field, "reason", fault->reason, NULL);
        watch->failing = true;
    }
    if (!watch->silent && now - watch->answered_ms >= watch->patience_ms) {
        log_error("scheduler_silent", err, "scheduler", watch->scheduler->name, "reason",
                  "no job begins, and those that run end at the end that was told of them", NULL);
        watch->silent = true;
    }
}

/* --- what the authority is told --- */

static bool is_there(void *context, const struct job_row *row) {
    (void)context;
    return !row->gone;
}

static err_t end_job(struct watch *watch, const char *job, struct fault *fault) {
    TRY(job_client_delete(&watch->client, job, fault));
    watch->over++;
    return OK;
}

/* What it was told of and what does not run any more. */
static err_t end_missing(struct watch *watch, struct fault *fault) {
    err_t err = OK;
    for (size_t i = 0; i < watch->known.count && !failed(err); i++) {
        struct job_row *row = &watch->known.rows[i];
        if (job_table_find(&watch->listed, row->name) == NULL) {
            err = end_job(watch, row->name, fault);
            row->gone = !failed(err);
        }
    }
    job_table_filter(&watch->known, is_there, NULL);
    return err;
}

/* What began and ended since the round before: its prologue may have told of it, and its epilogue
 * may have failed to. */
static err_t end_unseen(struct watch *watch, const struct job_table *known, struct fault *fault) {
    for (size_t i = 0; i < watch->ended.count; i++) {
        const char *job = watch->ended.rows[i].name;
        if (job_table_find(&watch->ended_before, job) == NULL &&
            job_table_find(known, job) == NULL && job_table_find(&watch->listed, job) == NULL) {
            TRY(end_job(watch, job, fault));
        }
    }
    return OK;
}

struct telling {
    struct watch *watch;
    struct fault *fault;
};

static bool is_told(const struct watch *watch, const char *name, uint64_t print) {
    const struct job_row *known = job_table_find(&watch->known, name);
    return known != NULL && known->print == print &&
           (known->refused_until_ms == 0 || clock_monotonic_ms() < known->refused_until_ms);
}

static err_t tell(void *context, const struct scheduler_job *listed) {
    const struct telling *telling = context;
    struct watch *watch = telling->watch;
    struct scheduler_job job = with_end(watch, listed);
    struct job_row row = {.print = job_print(&job)};
    const struct job_row *chosen = job_table_find(&watch->listed, job.name);
    /* Of two jobs with one name the list holds one. */
    if (chosen == NULL || chosen->print != row.print || is_told(watch, job.name, row.print)) {
        return OK;
    }
    err_t err = job_client_put(&watch->client, &job, telling->fault);
    if (err.code == ERR_CONFLICT) {
        log_event(LOG_LEVEL_WARN, "job_refused", "job", job.name, "user", job.user, "reason",
                  telling->fault->reason, NULL);
        row.refused_until_ms = clock_monotonic_ms() + REFUSED_MS;
    } else {
        TRY(err);
        watch->began++;
    }
    memcpy(row.name, job.name, sizeof row.name);
    return job_table_add(&watch->told, &row);
}

/* Moves what was told in this round to what is known. */
static err_t keep_told(struct watch *watch) {
    for (size_t i = 0; i < watch->told.count; i++) {
        struct job_row *known = job_table_find(&watch->known, watch->told.rows[i].name);
        if (known != NULL) {
            *known = watch->told.rows[i];
            watch->told.rows[i].gone = true;
        }
    }
    job_table_filter(&watch->told, is_there, NULL);
    for (size_t i = 0; i < watch->told.count; i++) {
        TRY(job_table_add(&watch->known, &watch->told.rows[i]));
    }
    job_table_clear(&watch->told);
    job_table_sort(&watch->known);
    return OK;
}

static err_t tell_changes(struct watch *watch, struct fault *fault) {
    struct telling telling = {watch, fault};
    const struct scheduler_reader reader = {&telling, tell, NULL, NULL};
    err_t err = watch->scheduler->parse(buf_span(&watch->list), &reader);
    TRY(keep_told(watch));
    return err;
}

static err_t learn(struct watch *watch, struct fault *fault) {
    int64_t now = clock_monotonic_ms();
    if (watch->learned_ms == 0 || now - watch->learned_ms >= LEARN_MS) {
        TRY(job_client_list(&watch->client, &watch->known, fault));
        watch->learned_ms = now;
    }
    return OK;
}

static void log_told(const struct watch *watch) {
    char began[24];
    char over[24];
    if (watch->began + watch->over > 0) {
        (void)snprintf(began, sizeof began, "%zu", watch->began);
        (void)snprintf(over, sizeof over, "%zu", watch->over);
        log_event(LOG_LEVEL_INFO, "jobs_told", "began", began, "ended", over, NULL);
    }
}

static err_t tell_all(struct watch *watch, bool first, struct fault *fault) {
    watch->began = 0;
    watch->over = 0;
    /* Before those that ended are forgotten: it need not be told of them twice. */
    if (!first) {
        TRY(end_unseen(watch, &watch->known, fault));
    }
    TRY(end_missing(watch, fault));
    return tell_changes(watch, fault);
}

/* ERR_BUSY when the scheduler gave no list, which is told here; other failures are the authority's.
 * What is learnt is older than the list: a job that it lacks, and that was told of before the list
 * was asked for, has ended. */
static err_t take_round(struct watch *watch, struct fault *fault) {
    bool first = watch->learned_ms == 0;
    struct fault why = {0};
    watch->round_s = clock_now_s();
    TRY(learn(watch, fault));
    err_t err = read_list(watch, &why);
    note_scheduler(watch, err, &why);
    if (failed(err)) {
        *fault = why;
        return FAIL(ERR_BUSY);
    }
    err = tell_all(watch, first, fault);
    log_told(watch);
    return err;
}

/* --- the command --- */

static int delay_after(struct watch *watch, err_t err, const struct fault *fault) {
    int interval_ms = (int)watch->interval_ms;
    if (failed(err) && err.code != ERR_BUSY) {
        /* The first failure and then every eighth: an authority that is away is no news. */
        if (watch->failures % 8 == 0) {
            log_error("jobs_not_told", err, "url", watch->identity.url, "field", fault->field,
                      "reason", fault->reason, NULL);
        }
        watch->learned_ms = 0;
        int backoff_ms = sync_backoff_ms(watch->failures++, random_u64());
        return backoff_ms > interval_ms ? backoff_ms : interval_ms;
    }
    if (!failed(err) && watch->failures > 0) {
        log_event(LOG_LEVEL_INFO, "authority_back", "url", watch->identity.url, NULL);
        watch->failures = 0;
    }
    return !failed(err) && watch->began > 0 && interval_ms > CHECK_MS ? CHECK_MS : interval_ms;
}

static _Noreturn void follow(struct watch *watch) {
    notify_send("READY=1\nSTATUS=following the scheduler");
    for (;;) {
        struct fault fault = {0};
        err_t err = take_round(watch, &fault);
        int delay_ms = delay_after(watch, err, &fault);
        struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000L};
        (void)nanosleep(&delay, NULL);
    }
}

static err_t watch_open(struct watch *watch, const char *config, const char *state,
                        struct fault *fault) {
    char *lock CLEANUP(freep) = NULL;
    TRY(command_config(config, state, &watch->config, fault));
    TRY(identity_load(watch->config.state_dir, &watch->identity, fault));
    TRY(path_join(watch->config.state_dir, "jobs.lock", &lock));
    err_t err = file_lock(lock, LOCK_WAIT_MS, &watch->lock);
    if (failed(err)) {
        return fault_set(fault, err.code, lock, "another postern-host watches jobs");
    }
    watch->answered_ms = clock_monotonic_ms();
    return job_client_new(&watch->identity, &watch->client, fault);
}

struct options {
    const char *config, *state, *file;
    int64_t interval_s, patience_s;
    bool once;
};

static bool take_options(int argc, char **argv, struct options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},
        {"file", required_argument, NULL, 'f'},
        {"interval", required_argument, NULL, 'i'},
        {"patience", required_argument, NULL, 'p'},
        {"once", no_argument, NULL, '1'},
        {0},
    };
    err_t err = OK;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 's':
            options->state = optarg;
            break;
        case 'f':
            options->file = optarg;
            break;
        case 'i':
            err = duration_parse(span_str(optarg), &options->interval_s);
            break;
        case 'p':
            err = duration_parse(span_str(optarg), &options->patience_s);
            break;
        case '1':
            options->once = true;
            break;
        default:
            return false;
        }
        if (failed(err) || options->interval_s > 3600) {
            (void)fprintf(stderr, "postern-host: %s: write it as 5s; an interval is at most 1h\n",
                          optarg);
            return false;
        }
    }
    return optind == argc;
}

int watch_run(const struct scheduler *scheduler, const char *usage, int argc, char **argv) {
    struct options options = {.interval_s = INTERVAL_S, .patience_s = PATIENCE_S};
    struct fault fault = {0};
    if (!take_options(argc, argv, &options) ||
        (options.file != NULL) != (scheduler->command == NULL)) {
        (void)fputs(usage, stderr);
        return HOST_EXIT_USAGE;
    }
    struct watch watch CLEANUP(watch_done) = {.scheduler = scheduler,
                                              .file = options.file,
                                              .interval_ms = options.interval_s * 1000,
                                              .patience_ms = options.patience_s * 1000,
                                              .lock = -1,
                                              .list = BUF(LIMIT_SCHEDULER_LIST_BYTES)};
    err_t err = watch_open(&watch, options.config, options.state, &fault);
    if (!failed(err) && !options.once) {
        follow(&watch);
    }
    if (!failed(err)) {
        err = take_round(&watch, &fault);
    }
    return failed(err) ? command_failed("watch jobs", err, &fault) : HOST_EXIT_OK;
}
