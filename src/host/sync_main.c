/* The executable for everything but a login; postern-host runs it, with its own path as argv[0]. */
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "host/jobs/jobs_host.h"
#include "host/sync_host.h"

static const char greet_usage[] = "usage: postern-host greet\n";

static int greet(int argc, char **argv) {
    (void)argv;
    if (argc != 1) {
        (void)fputs(greet_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    return command_greet();
}

static const char *self; /* the path of postern-host */

static int sshd_config(int argc, char **argv) { return command_sshd_config(self, argc, argv); }

static const struct {
    const char *name;
    const char *usage;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"enrol", enrol_usage, command_enrol},
    {"sync", sync_usage, command_sync},
    {"sessions", sessions_usage, command_sessions},
    {"status", status_usage, command_status},
    {"sshd-config", sshd_config_usage, sshd_config},
    {"check", check_usage, command_check},
    {"greet", greet_usage, greet},
    {"slurm", slurm_usage, command_slurm},
    {"oar", oar_usage, command_oar},
    {"jobs", jobs_usage, command_jobs},
    {"internal-keys", internal_keys_usage, command_internal_keys},
    {"ssh-config", ssh_config_usage, command_ssh_config},
};

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    self = argv[0];
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, name) != 0) {
            continue;
        }
        if (asks_for_help(argc - 1, argv + 1)) {
            return fputs(commands[i].usage, stdout) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "postern-host: there is no command \"%.64s\"; see postern-host --help\n",
                  name);
    return HOST_EXIT_USAGE;
}
