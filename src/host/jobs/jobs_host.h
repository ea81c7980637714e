/* The commands that tell the authority which jobs run. */
#ifndef POSTERN_HOST_JOBS_HOST_H
#define POSTERN_HOST_JOBS_HOST_H

#include "host/jobs/scheduler.h"

/* watch.c: the options of all three watchers. argv[0] is "watch". */
int watch_run(const struct scheduler *scheduler, const char *usage, int argc, char **argv);

/*
 * hook.c: what slurmd runs as root where a job's node is, as Prolog and Epilog. A failure of either
 * takes the node away from the users. So the result is always 0, and comes within
 * LIMIT_SCHEDULER_HOOK_S; what went wrong is in the log, and a watcher makes up for it. argv[0] is
 * "prolog" or "epilog". Environment: SLURM_JOB_ID, SLURM_JOB_USER, SLURMD_NODENAME, and
 * SLURM_JOB_END_TIME where Slurm tells it.
 */
int hook_run(int argc, char **argv);

/* job_commands.c; argv[0] is the command. */
int command_slurm(int argc, char **argv);
int command_oar(int argc, char **argv);
int command_jobs(int argc, char **argv);
extern const char slurm_usage[], oar_usage[], jobs_usage[];

#endif
