#include "authority/rate.h"

#include "authority/authority.h"
#include "base/clock.h"

enum { CALLERS_COUNT = 4096 };

static const struct {
    unsigned burst;
    int64_t interval_ms;
} rows[RATES_COUNT] = {
    [RATE_CALLS] = {5000, 50},
    [RATE_CERTIFICATES] = {2000, 10 * 1000},
    [RATE_HOST_CERTIFICATES] = {60, 60 * 1000},
    [RATE_JOB_CERTIFICATES] = {4000, 100},
    [RATE_NODE_JOBS] = {2000, 500},
    [RATE_IMPERSONATIONS] = {2000, 500},
    [RATE_KEY_PAIRS] = {10, 20 * 1000},
    [RATE_SNAPSHOTS] = {60, 5 * 1000},
    [RATE_PAGES] = {LIMIT_FEED_PAGES_COUNT, 50},
    [RATE_EVENTS] = {60, 2500},   /* LIMIT_AUDIT_EVENTS_COUNT each: 20 rows a second */
    [RATE_SESSIONS] = {600, 100}, /* LIMIT_GATE_SESSIONS_TOLD_COUNT each */
    [RATE_WINDOWS] = {100, 200},
};

struct rates {
    struct throttle *throttles[RATES_COUNT];
};

err_t rates_new(struct rates **out) {
    struct rates *rates = calloc(1, sizeof *rates);
    if (rates == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < RATES_COUNT; i++) {
        err_t err =
            throttle_new(CALLERS_COUNT, rows[i].burst, rows[i].interval_ms, &rates->throttles[i]);
        if (failed(err)) {
            rates_free(rates);
            return err;
        }
    }
    *out = rates;
    return OK;
}

void rates_free(struct rates *rates) {
    if (rates != NULL) {
        for (size_t i = 0; i < RATES_COUNT; i++) {
            throttle_free(rates->throttles[i]);
        }
        free(rates);
    }
}

bool rate_spend(struct call *call, enum rate rate) {
    const struct caller *caller = &call->caller;
    if (!caller->is_account && !caller->is_host) {
        return true;
    }
    const uint64_t who[2] = {caller->is_host ? 1 : 0,
                             caller->is_host ? caller->host_id : caller->account.id};
    int wait_s = 0;
    if (throttle_allow(call->authority->rates->throttles[rate], span_of(who, sizeof who),
                       clock_monotonic_ms(), &wait_s)) {
        return true;
    }
    call->problem.status = 0;
    call_problem(call, 429, "too_many_requests", NULL,
                 "that is too often in a short time; wait %d seconds and try again", wait_s);
    call_retry_after(call, wait_s);
    call->unrecorded = true; /* who is throttled must not be able to fill the disk */
    return false;
}

bool rate_spend_of(struct call *call, const struct account *account, enum rate rate) {
    call->caller.is_account = true;
    call->caller.account = *account;
    return rate_spend(call, rate);
}
