/*
 * What our commands need to run ssh, whether or not `postern config` has been run: the site, what
 * the account reaches, and a configuration of its own for `ssh -F`, in
 * $XDG_STATE_HOME/posterngate/SITE/ssh_config.
 */
#ifndef POSTERN_CLI_SSH_FILE_H
#define POSTERN_CLI_SSH_FILE_H

#include "cli/cli.h"
#include "cli/keys/key_file.h"
#include "cli/process/command_line.h"
#include "cli/reach.h"
#include "cli/site.h"

struct ssh_file {
    struct site *site;
    struct reach *reach;
    struct user_key key; /* the paths alone */
    char *config;        /* the file */
    char *known_hosts;   /* the site's own */
};
void ssh_file_done(struct ssh_file *file);

/* through_login: to compute hosts by way of their cluster's login host. */
err_t ssh_file_open(struct cli *cli, bool through_login, struct ssh_file *out);

/* "ssh -F FILE" */
err_t ssh_file_add(const struct ssh_file *file, struct command_line *line);

/*
 * A certificate that has expired is renewed where that needs nobody. Where it cannot be, that is
 * said, and it is not an error: a registered key may do.
 */
void ssh_file_renew(struct cli *cli, const struct ssh_file *file);

#endif
