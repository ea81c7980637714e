/* The passphrase of a private key that is about to be written. */
#ifndef POSTERN_CLI_PASSPHRASE_H
#define POSTERN_CLI_PASSPHRASE_H

#include "base/err.h"
#include "base/secret.h"
#include "cli/cli.h"

/*
 * Judges how easily it is guessed by who has copied the key file. ERR_REFUSED with a fault that
 * says why: short (LIMIT_PASSPHRASE_CHARS_MIN), repeated, a run of neighbouring keys, or a common
 * one.
 */
err_t passphrase_judge(const secret_t *passphrase, struct fault *fault);

/*
 * Asks at the terminal until a good one was typed twice the same. demander: who insists on one
 * (a site's name); NULL lets it be empty, and *out is then. Without a terminal the trouble is to
 * type `otherwise`, which may be NULL.
 */
err_t passphrase_ask_new(struct cli *cli, const char *demander, const char *otherwise,
                         secret_t *out);

#endif
