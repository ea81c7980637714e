/*
 * Where a person wants to go, as ssh is told: a cluster, a host inside, or the node of a running
 * job, which the authority's registry of jobs knows.
 */
#ifndef POSTERN_CLI_DESTINATION_H
#define POSTERN_CLI_DESTINATION_H

#include "cli/connect/ssh_file.h"
#include "cli/process/command_line.h"

struct destination {
    char *host; /* as the configuration of ssh_file.h knows it */
    char *node; /* as people call it */
    char *cluster;
    bool direct; /* not through a jump host */
    json_t *job; /* the running job by which one may go there, as GET /api/v1/jobs tells it; NULL:
                    none is needed, or nobody is signed in to ask */
};
void destination_done(struct destination *out);

/* A cluster, a login or compute host, a jump host; and "job-ID" as with destination_of_job(). */
err_t destination_of_host(struct cli *cli, struct ssh_file *file, const char *host,
                          struct destination *out);
/* One of the caller's running jobs, "4711" or "4711@daint"; node NULL: its first. */
err_t destination_of_job(struct cli *cli, struct ssh_file *file, const char *job, const char *node,
                         struct destination *out);
/* A host of a cluster. Where jobs open its nodes, a running job of the caller's must be there. */
err_t destination_of_node(struct cli *cli, struct ssh_file *file, const char *cluster,
                          const char *node, struct destination *out);

/* Appends ssh's options for it. The host itself is the caller's to add, behind its own. */
err_t destination_add_options(struct cli *cli, const struct ssh_file *file,
                              const struct destination *destination, struct command_line *line);

/*
 * The configuration for programs that take such options by a file alone: that of `file`, or where
 * the destination has options one beside it that has them first. The caller frees *out.
 */
err_t destination_config(struct cli *cli, const struct ssh_file *file,
                         const struct destination *destination, char **out);

/* "4711@daint" of a job; the caller frees *out. */
err_t destination_job_name(const struct destination *destination, char **out);

#endif
