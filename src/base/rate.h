/*
 * How often something may happen: a token bucket. It holds what may happen in a minute, is full at
 * the beginning, and fills evenly; so all of a minute may come at once, and further ones as it
 * fills: in a minute never more than twice as many, and over time no more than the limit.
 *
 * All it needs to know is when it is full again. So one that is full need not be remembered.
 */
#ifndef POSTERN_BASE_RATE_H
#define POSTERN_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_PER_MINUTE_MAX = 1000 * 1000 };

struct rate {
    int64_t full_at_ns; /* by the clock of now_ms, which is never negative; zero: it is full */
};

/* Takes one. False: there is none, and nothing changed. per_minute is at most RATE_PER_MINUTE_MAX;
 * zero: no limit. It may be another each time, as what was taken is kept as a part of a minute. */
bool rate_take(struct rate *rate, uint32_t per_minute, int64_t now_ms);

#endif
