/* Starting and ending the agent that postern keeps (see agent_find.h for where). */
#ifndef POSTERN_CLI_AGENT_START_H
#define POSTERN_CLI_AGENT_START_H

#include "cli/cli.h"

/*
 * Starts ssh-agent unless it lives already. Of any number of processes that ask at once, one starts
 * it and all get the same. A socket that nobody listens at any more is removed first. The agent
 * outlives this process, its terminal and its session. *socket is the caller's to free.
 */
err_t agent_start(struct cli *cli, char **socket, bool *started);

/* Ends it and waits until it is gone; *ended is false when none ran. */
err_t agent_stop(struct cli *cli, bool *ended);

#endif
