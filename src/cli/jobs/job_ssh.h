/* ssh with a key that is there for one run of it. */
#ifndef POSTERN_CLI_JOB_SSH_H
#define POSTERN_CLI_JOB_SSH_H

#include "cli/cli.h"
#include "cli/process/run_folder.h"
#include "ssh/private_key.h"

struct job_ssh {
    const char *user, *node, *address, *known_hosts; /* address "": the node's name is dialled */
    long long port;
    const struct arguments *arguments; /* ssh's options and the command; none: a shell */
};

/* The key and its certificate, in a folder made for them. */
err_t job_key_put(struct cli *cli, const struct private_key *key, const char *certificate,
                  const struct run_folder *folder);

/* With that key, as process_run(): the caller's folder is to be removed before *by_signal ends this
 * process. */
err_t job_ssh_run(struct cli *cli, const struct job_ssh *ssh, const struct run_folder *folder,
                  int *by_signal);

#endif
