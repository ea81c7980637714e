#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "host/jobs/jobs_host.h"

#define WATCH_OPTIONS                                                                              \
    "[--interval 5s] [--patience 30s] [--once]\n"                                                  \
    "                          [--config FILE] [--state DIR]\n"

const char slurm_usage[] = "usage: postern-host slurm watch " WATCH_OPTIONS
                           "       postern-host slurm prolog|epilog [--config FILE] [--state DIR]\n"
                           "\n"
                           "  watch            tell the authority what squeue says\n"
                           "  prolog, epilog   for Prolog and Epilog in slurm.conf\n";
const char oar_usage[] = "usage: postern-host oar watch " WATCH_OPTIONS "\n"
                         "  watch   tell the authority what oarstat says\n";
const char jobs_usage[] = "usage: postern-host jobs watch --file FILE " WATCH_OPTIONS "\n"
                          "  watch   tell the authority what a table says\n";

static int refuse(const char *usage) {
    (void)fputs(usage, stderr);
    return HOST_EXIT_USAGE;
}

static bool asks(int argc, char **argv, const char *command) {
    return argc >= 2 && strcmp(argv[1], command) == 0;
}

int command_slurm(int argc, char **argv) {
    if (asks(argc, argv, "prolog") || asks(argc, argv, "epilog")) {
        return hook_run(argc - 1, argv + 1);
    }
    return asks(argc, argv, "watch") ? watch_run(&scheduler_slurm, slurm_usage, argc - 1, argv + 1)
                                     : refuse(slurm_usage);
}

int command_oar(int argc, char **argv) {
    return asks(argc, argv, "watch") ? watch_run(&scheduler_oar, oar_usage, argc - 1, argv + 1)
                                     : refuse(oar_usage);
}

int command_jobs(int argc, char **argv) {
    return asks(argc, argv, "watch") ? watch_run(&scheduler_file, jobs_usage, argc - 1, argv + 1)
                                     : refuse(jobs_usage);
}
