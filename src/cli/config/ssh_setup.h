/* What this machine has for ssh: its version, and where a site's files are, as ssh writes paths. */
#ifndef POSTERN_CLI_SSH_SETUP_H
#define POSTERN_CLI_SSH_SETUP_H

#include "cli/config/ssh_config.h"
#include "cli/reach.h"

struct ssh_setup {
    struct ssh_config_options options; /* all but what a person may choose; borrows from below */
    bool same_home; /* ssh, which goes by the account's home directory, and $HOME mean the same */
    char *username, *key_file, *known_hosts, *refresh, *postern;
};
void ssh_setup_done(struct ssh_setup *setup);

/*
 * The site and reach are borrowed; `key` is a private key file as typed, NULL for the site's. Runs
 * `ssh -V`; a version that is not understood is warned of, and counts as today's. postern-refresh
 * is the one beside this program, by the name under which $PATH has it where it does; a path that
 * no line can hold is left out with a warning.
 */
err_t ssh_setup_make(const struct site *site, const struct reach *reach, const char *key,
                     struct ssh_setup *out);

/* Whether ssh, which goes by the account's home directory, and $HOME mean the same. */
bool ssh_setup_same_home(void);

/* "~/.ssh/key" stays where ssh takes it for the same file, else it becomes the whole path; a whole
 * path in the home becomes "~/…" there. The caller frees *out. */
err_t ssh_setup_path(bool same_home, const char *path, char **out);

#endif
