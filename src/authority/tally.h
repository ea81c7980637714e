/*
 * Counts over time, of what the audit log is told. A batch counts in memory and adds its sums to
 * the store once, in its own transaction, so that a row costs nothing more. Store thread only.
 */
#ifndef POSTERN_AUTHORITY_TALLY_H
#define POSTERN_AUTHORITY_TALLY_H

#include "store/store.h"

/* Of the batch at work; zero: nothing yet. */
struct tallies {
    uint64_t counts[TALLY_KINDS_COUNT];
};

/* What a row counts as; 0: it is not counted. */
enum tally_kind tally_kind_of(const struct audit *audit);
void tally_count(struct tallies *tallies, const struct audit *audit);
/* Adds them to the stretches that `now` is in. */
err_t tally_write(const struct tallies *tallies, struct store *store, int64_t now);

#endif
