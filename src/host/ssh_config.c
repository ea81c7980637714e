/*
 * `postern-host ssh-config`: what /etc/ssh/ssh_config.d needs on a frontend, so that plain ssh
 * finds the internal key and knows every host of the site.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "host/host.h"
#include "host/sync_host.h"

/* A single IdentityFile takes the place of the defaults, so those are told as well. */
static const char lines[] =
    "# From postern-host ssh-config. Users' own settings come before these.\n"
    "Host *\n"
    "    IdentityFile ~/.ssh/id_rsa\n"
    "    IdentityFile ~/.ssh/id_ecdsa\n"
    "    IdentityFile ~/.ssh/id_ecdsa_sk\n"
    "    IdentityFile ~/.ssh/id_ed25519\n"
    "    IdentityFile ~/.ssh/id_ed25519_sk\n"
    "    IdentityFile ~/.ssh/%s\n"
    "    GlobalKnownHostsFile /etc/ssh/ssh_known_hosts "
    "/etc/ssh/ssh_known_hosts2 %.*s/known_hosts\n";

const char ssh_config_usage[] = "usage: postern-host ssh-config [--config FILE]\n";

int command_ssh_config(int argc, char **argv) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *path = NULL;
    bool usable = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        path = option == 'c' ? optarg : path;
        usable = usable && option != '?';
    }
    if (!usable || optind != argc) {
        (void)fputs(ssh_config_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    struct config config CLEANUP(config_done) = {0};
    struct fault fault = {0};
    err_t err = command_config(path, NULL, &config, &fault);
    if (!failed(err) && strpbrk(config.job_socket, " \t\"%\\") != NULL) {
        err = fault_set(
            &fault, ERR_MALFORMED, "job_socket",
            "ssh's configuration cannot hold a path with blanks, quotes or percent signs");
    }
    if (failed(err)) {
        return command_failed("print ssh's configuration", err, &fault);
    }
    const char *slash = strrchr(config.job_socket, '/');
    int printed = printf(lines, config.internal_key_file, (int)(slash - config.job_socket),
                         config.job_socket);
    return printed > 0 && fflush(stdout) == 0 ? HOST_EXIT_OK : HOST_EXIT_INTERNAL;
}
