/*
 * Where the words come from that a shell may put in: what is kept of the site, or the authority,
 * which gets a second for its answer.
 *
 * An authority may be hostile and a shell gullible: a candidate has letters, digits and . _ : @ / +
 * - alone, does not begin with a hyphen unless it is an option of ours, and everything else is left
 * out.
 */
#ifndef POSTERN_CLI_CANDIDATES_H
#define POSTERN_CLI_CANDIDATES_H

#include "cli/completion/want.h"

/* True for what may reach a shell. Pure. */
bool candidate_is_safe(const char *text);

/* Prints them, a line each: the word, a tab, and what it is. ":files" asks for the shell's own
 * completion of file names. Prints nothing about what goes wrong. */
err_t candidates_print(struct cli *cli, const struct want *want);

#endif
