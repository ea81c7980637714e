#include "authority/batch.h"

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/metrics.h"
#include "authority/plumbing.h"
#include "base/clock.h"
#include "base/log.h"

void batch_before(void *context) {
    struct authority *authority = context;
    authority->batch_calls = NULL;
    authority->tallies = (struct tallies){0};
    authority->batch_err = authority->late ? FAIL(ERR_BUSY) : store_begin(authority->store);
}

bool batch_published(const struct authority *authority) {
    const struct call *call = authority->batch_calls;
    while (call != NULL && !call->published) {
        call = call->batch_next;
    }
    return call != NULL;
}

/* What the batch, when it is committed, will have let hosts know; 0: nothing new. */
static err_t get_published(struct authority *authority, uint64_t *revision) {
    uint64_t oldest;
    return batch_published(authority) ? store_event_revision(authority->store, revision, &oldest)
                                      : OK;
}

/* The calls of the lost batch; each is as good as never run. */
static void lose_batch(struct authority *authority, err_t err) {
    log_error("batch_lost", err, NULL);
    store_rollback(authority->store);
    bearer_cache_forget(authority->bearers); /* it may have seen what is now undone */
    for (struct call *call = authority->batch_calls; call != NULL; call = call->batch_next) {
        /* Who has locked the store still has it, and each try waits for its time-out. */
        bool locked = err.code == ERR_BUSY || authority->late;
        authority->batch_err = locked ? err : store_begin(authority->store);
        if (failed(authority->batch_err) || !call_run_alone(call) || failed(authority->batch_err)) {
            call_lost(call, err);
        }
        store_rollback(authority->store);
    }
}

void batch_after(void *context) {
    struct authority *authority = context;
    size_t count = 0;
    for (const struct call *call = authority->batch_calls; call != NULL; call = call->batch_next) {
        count++;
    }
    uint64_t revision = 0;
    err_t err = authority->batch_err;
    if (!failed(err)) {
        err = get_published(authority, &revision);
    }
    if (!failed(err)) {
        err = tally_write(&authority->tallies, authority->store, clock_now_s());
    }
    if (!failed(err)) {
        err = store_commit(authority->store);
    }
    if (!failed(err) && revision > 0) {
        feed_revision_note(authority, revision);
    }
    metrics_count_batch(authority->metrics, count, !failed(err));
    if (failed(err)) {
        lose_batch(authority, err);
    }
}
