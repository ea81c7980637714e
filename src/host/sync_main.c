/* The executable for everything but a login; postern-host runs it, with its own path as argv[0]. */
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "host/sync_host.h"

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "enrol") == 0) {
        return command_enrol(argc - 1, argv + 1);
    }
    if (strcmp(command, "sync") == 0) {
        return command_sync(argc - 1, argv + 1);
    }
    if (strcmp(command, "status") == 0) {
        return command_status(argc - 1, argv + 1);
    }
    if (strcmp(command, "sshd-config") == 0) {
        return command_sshd_config(argv[0], argc - 1, argv + 1);
    }
    if (strcmp(command, "greet") == 0) {
        return command_greet();
    }
    (void)fprintf(stderr, "postern-host: there is no command \"%.64s\"; see postern-host --help\n",
                  command);
    return HOST_EXIT_USAGE;
}
