/*
 * What may stand at the end of a command line that is being typed, by the table of commands. Pure.
 */
#ifndef POSTERN_CLI_WANT_H
#define POSTERN_CLI_WANT_H

#include "base/span.h"
#include "cli/cli.h"

enum want_kind {
    WANT_NOTHING,
    WANT_COMMAND, /* a child of `command` */
    WANT_OPTION,  /* of `command`, or of every one */
    WANT_VALUE,   /* one of `values` */
};

enum { WANT_VALUES_MAX = 4 };

struct want {
    enum want_kind kind;
    const struct command *command;
    const struct option *option; /* whose value it is; NULL: a word of the command's */
    /* What the table calls the value: "FILE"; or what it can be: "yes|no". */
    span_t values[WANT_VALUES_MAX];
    size_t value_count;
    const char *site;   /* of --site further left; NULL: not given */
    span_t before;      /* what stays of the last word: "--to=" */
    const char *prefix; /* what the rest of it begins with so far */
};

/* words: what follows "postern"; the last one, which may be "", is being typed. count > 0. */
struct want want_of(const struct command *root, const struct option *shared, char *const *words,
                    size_t count);

#endif
