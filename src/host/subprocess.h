/* Runs a program without a shell, bounded in time and in what it may say. */
#ifndef POSTERN_HOST_SUBPROCESS_H
#define POSTERN_HOST_SUBPROCESS_H

#include "base/err.h"
#include "base/span.h"

struct subprocess {
    const char *const *words;       /* ended by NULL; the first is searched for in $PATH */
    const char *const *environment; /* the same; NULL: ours */
    int timeout_ms;
};

/*
 * Takes its standard output into *output, whose maximum bounds it; NULL: it is no more than what
 * the program says on standard error, the beginning of which the fault has. Output that is not
 * asked for does not hold the program up. When it leaves by itself, what it left running stays.
 *
 * ERR_TIMEOUT or ERR_TOO_LONG when it was ended, with all that it started; ERR_IO for a status
 * other than 0, also when it could not be started. On failure *output holds what came until then.
 */
err_t subprocess_run(const struct subprocess *run, struct buf *output, struct fault *fault);

#endif
