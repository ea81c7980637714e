/* The jobs of `postern agent`, one a file. */
#ifndef POSTERN_CLI_AGENT_H
#define POSTERN_CLI_AGENT_H

#include "cli/agent/agent_contents.h"
#include "cli/agent/agent_find.h"
#include "cli/agent/start_file.h"
#include "cli/cli.h"

/* --list */
err_t agent_list(struct cli *cli, const struct agent_place *place);

/*
 * Puts the key `given` (NULL: the site's) into the agent with its certificate, which says how long.
 * asked: a key without a certificate is taken as well, the passphrase is asked for, and what is
 * missing is trouble; otherwise only what needs no question happens. *path is the key that was
 * added, NULL when none was; the caller frees it.
 */
err_t agent_load(struct cli *cli, struct agent_client *agent, const char *given, bool asked,
                 char **path);

/* --write, --remove: the marked lines in the shell's start file. */
err_t agent_write(struct cli *cli, const struct shell *shell, bool remove);

#endif
