/*
 * What went wrong, as a person reads it: what happened, what to type next, and the exit code that a
 * script sees. Commands fill it beside the err_t they return; main() prints it once.
 */
#ifndef POSTERN_CLI_TROUBLE_H
#define POSTERN_CLI_TROUBLE_H

#include <stdio.h>

#include "base/err.h"

/* Part of the interface: postern(1) lists them. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_INTERNAL = 1,
    EXIT_USAGE = 2,
    EXIT_LOGIN = 3,
    EXIT_REFUSED = 4,
    EXIT_QUOTA = 5,
    EXIT_NETWORK = 6,
    EXIT_AUTHORITY = 7,
    EXIT_MISSING = 8,
    EXIT_CONFLICT = 9,
    EXIT_INTERRUPTED = 130,
};

struct trouble {
    enum exit_code exit;
    char what[768]; /* "" when nothing was said */
    char next[768]; /* commands to type, a line each; "" when there is none */
};

/* Returns FAIL(ERR_REFUSED), so that `return trouble_set(…)` ends a command. */
err_t trouble_set(struct trouble *trouble, enum exit_code exit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "FORMAT: the text of err", with the exit code of err; returns err. */
err_t trouble_of(struct trouble *trouble, err_t err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What to type next; kept by a later trouble_set(). */
void trouble_next(struct trouble *trouble, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum exit_code exit_of_err(err_t err);
/* Of an HTTP status that is no success. */
enum exit_code exit_of_status(unsigned status);

/* "postern: what happened" and the next steps, each indented by two; control characters never
 * reach the stream. */
void trouble_print(const struct trouble *trouble, FILE *to);

#endif
