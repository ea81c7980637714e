/*
 * The command line's grammar: options in any order, long (--file KEY, --file=KEY) and short
 * (-f KEY, -fKEY, bundled flags), "--" ends them. Pure: nothing here prints or exits.
 */
#ifndef POSTERN_CLI_OPTIONS_H
#define POSTERN_CLI_OPTIONS_H

#include "base/err.h"

struct option {
    char letter;       /* 0: long form only */
    const char *name;  /* NULL ends a table */
    const char *value; /* what --help calls the value; NULL for a flag */
    const char *help;
    bool many; /* may be given more than once */
};

/* In a table that may be NULL; NULL when it is not there. */
const struct option *option_by_name(const struct option *table, const char *name, size_t len);
const struct option *option_by_letter(const struct option *table, char letter);

enum { ARGUMENTS_GIVEN_MAX = 64, ARGUMENTS_WORDS_MAX = 16 };

struct arguments {
    const struct option *own;    /* of the command */
    const struct option *shared; /* of every command */
    struct {
        const struct option *option;
        const char *value;
    } given[ARGUMENTS_GIVEN_MAX];
    size_t given_count;
    const char *words[ARGUMENTS_WORDS_MAX];
    size_t word_count;
    bool takes_command;   /* the words after "--" are no words but a command */
    char *const *command; /* borrowed from argv */
    size_t command_count;
};

/*
 * Adds what argv holds to *out, whose tables the caller has set; *used is how many elements were
 * taken. With stop_at_word the first word that is no option ends the reading and is not taken.
 * ERR_MALFORMED with a fault that names the option.
 */
err_t arguments_parse(struct arguments *out, int argc, char *const *argv, bool stop_at_word,
                      int *used, struct fault *fault);

/* The last value of an option, NULL when absent. The name must be in one of the tables. */
const char *arguments_value(const struct arguments *arguments, const char *name);
bool arguments_has(const struct arguments *arguments, const char *name);
/* The value after *at, which starts at 0 and is moved on; NULL when there are no more. */
const char *arguments_next(const struct arguments *arguments, const char *name, size_t *at);

/* How many insertions, deletions, replacements and swaps of neighbours lead from a to b. */
size_t text_distance(const char *a, const char *b);
/* The name a mistyped word most likely meant: NULL when nothing is close. */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
