/*
 * Rate limits and lock-out against guessing: token buckets by key (an address, an account) in a
 * table of fixed size, without clock or I/O. When the table is full the least recently used bucket
 * is reused, so a flood of addresses costs no memory.
 */
#ifndef POSTERN_IDENTITY_THROTTLE_H
#define POSTERN_IDENTITY_THROTTLE_H

#include "base/err.h"
#include "base/span.h"

struct throttle;

/* burst events at once, then one each interval_ms. */
err_t throttle_new(size_t buckets, unsigned burst, int64_t interval_ms, struct throttle **out);
void throttle_free(struct throttle *throttle);
/* Takes one token; when there is none, false and *retry_after_s (rounded up, at least 1). */
bool throttle_allow(struct throttle *throttle, span_t key, int64_t now_ms, int *retry_after_s);
/* Gives a token back: a success does not count as a guess. */
void throttle_credit(struct throttle *throttle, span_t key);

/* Where a name stands in a table of `places`, by a secret of this process (SipHash-2-4): nobody can
 * choose two names that meet. */
enum { THROTTLE_SECRET_BYTES = 16 };
size_t throttle_place(const uint8_t secret[THROTTLE_SECRET_BYTES], span_t name, size_t places);

/*
 * Lock-out after failures in a row: from the 5th on the account is locked for 30 s, doubling to at
 * most 15 min, so that guessing is hopeless and nobody can be locked out for long. Gives
 * locked_until for the count of failures, 0 for none.
 */
int64_t lockout_until(unsigned failures, int64_t now);

#endif
