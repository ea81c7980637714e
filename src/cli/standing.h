/* What `postern` alone does. */
#ifndef POSTERN_CLI_STANDING_H
#define POSTERN_CLI_STANDING_H

#include "cli/cli.h"

/* Says of each site, or of --site, who is signed in, what the certificate is worth and what to type
 * next; of none how to begin. Opens no connection. */
err_t standing_run(struct cli *cli, const struct arguments *arguments);

#endif
