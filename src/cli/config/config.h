/* What the forms of `postern config` share: ssh's own, PuTTY's, AiiDA's and Visual Studio Code's.
 */
#ifndef POSTERN_CLI_CONFIG_H
#define POSTERN_CLI_CONFIG_H

#include "cli/cli.h"
#include "cli/config/ssh_setup.h"
#include "cli/reach.h"

struct config_call {
    struct cli *cli;
    const struct arguments *arguments;
    struct site *site;
    struct reach *reach;
    struct ssh_setup setup; /* with what the arguments chose */
};

err_t config_putty(struct config_call *call);
err_t config_aiida(struct config_call *call, const char *host);
err_t config_vscode(struct config_call *call);

/* Removes what config_putty() wrote for the site. */
err_t config_putty_remove(struct cli *cli, const char *site);

#endif
