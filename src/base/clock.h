/*
 * Time. Pure code takes `now` as a parameter; only programs read the clock, through these two
 * functions.
 */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/span.h"

int64_t clock_now_s(void);        /* seconds since 1970, UTC */
int64_t clock_now_ms(void);       /* the same in milliseconds */
int64_t clock_monotonic_ms(void); /* for deadlines */

/*
 * A duration as people write it: a number and a unit, or several run together: "1d", "1min", "90s",
 * "12h", "1h30min", "2w". Units: s, sec, m, min, h, d, w. A bare number is refused, since nobody
 * remembers which unit is meant. ERR_MALFORMED, or ERR_RANGE for zero or more than
 * LIMIT_DURATION_S.
 */
err_t duration_parse(span_t text, int64_t *seconds);

enum { DURATION_CHARS = 32, TIME_CHARS = 40 };

/* The shortest exact form: 86400 → "1d", 90 → "1min30s". out has DURATION_CHARS. */
void duration_print(int64_t seconds, char out[DURATION_CHARS]);
/* How far `when` is from `now`, for people: "in a day", "in 3 hours", "2 minutes ago". out has
 * DURATION_CHARS. */
void duration_print_relative(int64_t when, int64_t now, char out[DURATION_CHARS]);

/* RFC 3339 in UTC: "2026-04-01T14:15:20Z". out has TIME_CHARS. */
void time_print_utc(int64_t when, char out[TIME_CHARS]);
/* Local time with its offset, as `postern list` shows it: "2026-04-01 16:15:20 +02:00". out has
 * TIME_CHARS. */
void time_print_local(int64_t when, char out[TIME_CHARS]);
/* RFC 3339 with "Z" or an offset, fractions dropped; ERR_MALFORMED, or ERR_RANGE for no day or hour
 * of the calendar and for years before 1970. */
err_t time_parse(span_t text, int64_t *when);

#endif
