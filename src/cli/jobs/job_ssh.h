/* ssh with a key that is there for one run of it. */
#ifndef POSTERN_CLI_JOB_SSH_H
#define POSTERN_CLI_JOB_SSH_H

#include "cli/cli.h"
#include "ssh/private_key.h"

struct job_ssh {
    const char *user, *node, *address, *known_hosts; /* address "": the node's name is dialled */
    long long port;
    const char *const *options; /* further ones of ssh, as they are typed */
    size_t option_count;
    char *const *command; /* none: a shell */
    size_t command_count;
};

/* A folder of the user's alone for key and certificate: in $XDG_RUNTIME_DIR, else in /tmp. */
struct job_folder {
    char path[128];
};
err_t job_folder_make(struct cli *cli, const struct private_key *key, const char *certificate,
                      struct job_folder *out);
void job_folder_remove(struct job_folder *folder); /* with what is in it; harmless when not made */

/*
 * Runs it and waits; cli->exit is its status. What ends a process is passed on to it, and when a
 * signal ended it, *by_signal says which: the caller's folder is to be removed before the same ends
 * this process.
 */
err_t job_ssh_run(struct cli *cli, const struct job_ssh *ssh, const struct job_folder *folder,
                  int *by_signal);

#endif
