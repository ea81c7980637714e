/* What a listing of jobs looks like: one's own and an administrator's. */
#ifndef POSTERN_CLI_JOBS_H
#define POSTERN_CLI_JOBS_H

#include "cli/cli.h"

/* The answer itself with --json, else a table of its "jobs". */
err_t jobs_show(struct cli *cli, const json_t *answer);

#endif
