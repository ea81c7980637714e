#include "base/rate.h"

#define MINUTE_NS INT64_C(60000000000)

bool rate_take(struct rate *rate, uint32_t per_minute, int64_t now_ms) {
    if (per_minute == 0) {
        return true;
    }
    int64_t now_ns = now_ms * 1000000;
    int64_t one_ns = (MINUTE_NS + per_minute - 1) / per_minute; /* rounded up: never one too many */
    int64_t full_at_ns = (rate->full_at_ns > now_ns ? rate->full_at_ns : now_ns) + one_ns;
    if (full_at_ns > now_ns + one_ns * per_minute) {
        return false;
    }
    rate->full_at_ns = full_at_ns;
    return true;
}
