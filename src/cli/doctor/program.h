/*
 * Running a program to see what it says: without a terminal, so that it can ask nobody, and not for
 * longer than it was given.
 */
#ifndef POSTERN_CLI_PROGRAM_H
#define POSTERN_CLI_PROGRAM_H

#include "base/err.h"
#include "base/span.h"

enum { PROGRAM_NOT_FOUND = 127, PROGRAM_TIMED_OUT = -1 };

/*
 * words ends with NULL. What it writes goes to *out (both streams as they come) as far as that has
 * room; the rest is read and forgotten. *status is its exit status, 128 + N for signal N,
 * PROGRAM_NOT_FOUND, or PROGRAM_TIMED_OUT, when it and what it started were ended.
 */
err_t program_run(const char *const *words, int timeout_ms, struct buf *out, int *status);

/* As program_run(), but at this terminal, where it may ask, and for as long as it takes. What it
 * prints goes to standard error: standard output is for what the caller has to say. */
err_t program_run_here(const char *const *words, int *status);

#endif
