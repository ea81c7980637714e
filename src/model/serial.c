#include "model/policy.h"

enum { REPLICA_BITS = 10, COUNTER_BITS = 12, TIME_BITS = 41 };

static const int64_t epoch_ms = 1577836800000; /* 2020-01-01T00:00:00Z */
static const uint64_t counter_mask = (1U << COUNTER_BITS) - 1;

/*
 * The time part never goes back: while the clock stands still or runs behind, the counter goes on,
 * and when the counter is used up, the time part of the serial runs ahead of the clock by a
 * millisecond. It starts at 1, so no serial is 0.
 */
uint64_t serial_next(struct serial_source *source, int64_t now_ms) {
    INVARIANT(source->replica < 1U << REPLICA_BITS);
    uint64_t time = now_ms > epoch_ms ? (uint64_t)(now_ms - epoch_ms) : 1;
    uint64_t counter = 0;
    uint64_t time_last = source->last >> (REPLICA_BITS + COUNTER_BITS);
    if (time <= time_last) {
        time = time_last;
        counter = (source->last & counter_mask) + 1;
        if (counter > counter_mask) {
            time++;
            counter = 0;
        }
    }
    INVARIANT(time < 1ULL << TIME_BITS); /* until 2089 */
    source->last =
        time << (REPLICA_BITS + COUNTER_BITS) | (uint64_t)source->replica << COUNTER_BITS | counter;
    return source->last;
}
