/*
 * A job whose limit of time has come ends by itself: hosts know when that is, but the registry has
 * to say so as well. job_due_at is never later than the next one's time: whoever puts a job lowers
 * it, and a failed look sets it back.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/job_change.h"
#include "base/clock.h"

enum { JOBS_AT_ONCE = 64 };

struct due {
    entity_id ids[JOBS_AT_ONCE];
    size_t count;
    int64_t next;
};

static err_t add_due(void *context, const struct job *job) {
    struct due *due = context;
    due->ids[due->count++] = job->id;
    return OK;
}

static err_t note_next(void *context, const struct job *job) {
    ((struct due *)context)->next = job->ends_at;
    return OK;
}

static void run(struct call *call) {
    struct due *due = call_own(call, sizeof *due, NULL);
    struct store *store = call_store(call);
    char target[32];
    if (!call_ok(call, store_job_list_due(store, call->now, JOBS_AT_ONCE, add_due, due),
                 "the jobs")) {
        return;
    }
    for (size_t i = 0; i < due->count; i++) {
        struct job job;
        if (!call_ok(call, store_job_get(store, due->ids[i], &job), "the job") ||
            !job_end(call, &job)) {
            return;
        }
    }
    if (due->count > 0) {
        (void)snprintf(target, sizeof target, "%zu jobs", due->count);
        call_audit(call, target, true, "ok", "their time had come");
    } else {
        call_unrecorded(call);
    }
    due->next = INT64_MAX;
    if (call_ok(call, store_job_list_due(store, INT64_MAX, 1, note_next, due), "the jobs")) {
        call->authority->job_due_at = due->next;
    }
}

static void finish(struct call *call) {
    call->authority->job_expiry_runs = false;
    if (call_refused(call)) {
        call->authority->job_due_at = 0; /* the look may have been undone */
    }
}

static const struct route expiry = {.access = ACCESS_PUBLIC,
                                    .method = HTTP_DELETE,
                                    .action = "job.expire",
                                    .run = run,
                                    .finish = finish};

void job_expiry_tick(struct authority *authority) {
    if (authority->job_expiry_runs || clock_now_s() < authority->job_due_at) {
        return;
    }
    authority->job_expiry_runs = !failed(call_system(authority, &expiry));
}
