/* The authority's side of jobs, as a host that may tell of them calls it. */
#ifndef POSTERN_HOST_JOB_CLIENT_H
#define POSTERN_HOST_JOB_CLIENT_H

#include "host/jobs/job_table.h"
#include "host/sync_host.h"

struct job_client {
    struct http_client *http;
    char *cluster;
    int timeout_ms; /* of one call; 0: the client's own */
    struct http_response response;
    struct buf body;
};
/* Of an enrolled host; the fault says what to do when its identity names no cluster. */
err_t job_client_new(const struct identity *identity, struct job_client *out, struct fault *fault);
void job_client_done(struct job_client *client);

/*
 * ERR_CONFLICT when the authority will not have this job, and will have others: the fault has its
 * reason. Any other failure is as likely of the next call: it cannot be reached, or the host may
 * not tell of jobs.
 */
err_t job_client_put(struct job_client *client, const struct scheduler_job *job,
                     struct fault *fault);
/* A job that is not there has ended. */
err_t job_client_delete(struct job_client *client, const char *job, struct fault *fault);
/* Every job that the authority has of the cluster, sorted. */
err_t job_client_list(struct job_client *client, struct job_table *out, struct fault *fault);

#endif
