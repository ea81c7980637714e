/*
 * A set of 64-bit numbers kept as merged ranges: what a revocation list holds per CA.
 *
 * Invariants, except between serial_set_append() and serial_set_settle(): `settled` and `recent`
 * are each sorted, and no two ranges of one array overlap or touch. A number may be in both arrays.
 * Insertions out of order land in the small `recent` and are folded into `settled` when it is full,
 * so that building from unsorted numbers does not move the large array each time, while lookups
 * stay two binary searches and never write.
 */
#ifndef POSTERN_SSH_SERIAL_SET_H
#define POSTERN_SSH_SERIAL_SET_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct serial_range {
    uint64_t first, last; /* inclusive */
};

struct serial_set {
    struct serial_range *settled;
    size_t settled_count, settled_size;
    struct serial_range *recent;
    size_t recent_count;
};

void serial_set_done(struct serial_set *set);

/* first <= last. On failure (ERR_MEMORY) the set is as it was. */
err_t serial_set_add(struct serial_set *set, uint64_t first, uint64_t last);
bool serial_set_has(const struct serial_set *set, uint64_t serial);
/* Whether one range already holds all of it. */
bool serial_set_covers(const struct serial_set *set, uint64_t first, uint64_t last);
/* How many ranges are stored: at least as many as a walk gives. */
static inline size_t serial_set_stored(const struct serial_set *set) {
    return set->settled_count + set->recent_count;
}

/* Adding many at once: append in any order, then settle before anything else is called. */
err_t serial_set_append(struct serial_set *set, uint64_t first, uint64_t last);
void serial_set_settle(struct serial_set *set);

/* The ranges in order, merged: start from {.set = set}. The set must not change meanwhile. */
struct serial_walk {
    const struct serial_set *set;
    size_t settled, recent;
};
bool serial_walk_next(struct serial_walk *walk, struct serial_range *out);

#endif
