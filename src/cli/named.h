/* The one of several things that a person means by a word. */
#ifndef POSTERN_CLI_NAMED_H
#define POSTERN_CLI_NAMED_H

#include "cli/cli.h"

struct named {
    const json_t
        *things;      /* an array of an answer's: each has "id" and "name", some "fingerprint" */
    const char *kind; /* "grant" */
    const char *list; /* the command that shows them: "postern grant list" */
    const char *fingerprint; /* what the word means as well, of a file that it names; or NULL */
};

/* By its id, name or fingerprint; *out borrows. EXIT_MISSING; EXIT_USAGE: it is more than one's. */
err_t named_find(struct cli *cli, const struct named *named, const char *word, const json_t **out);

#endif
