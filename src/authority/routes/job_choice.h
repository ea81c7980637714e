/* A running job, as people name it, and the certificate that is good for it alone. Store thread. */
#ifndef POSTERN_AUTHORITY_JOB_CHOICE_H
#define POSTERN_AUTHORITY_JOB_CHOICE_H

#include "authority/call.h"

enum {
    JOB_KEY_CHARS = LIMIT_JOB_NAME_CHARS + 1 + LIMIT_CLUSTER_NAME_CHARS, /* "1234@daint" */
    JOB_PRINCIPAL_CHARS = JOB_KEY_CHARS + sizeof "job:",
};

struct job_choice {
    bool found; /* else none of that name runs */
    struct job job;
    struct cluster cluster;
};

/*
 * The account's job of the name "1234" or "1234@daint". False after a problem: 409 "conflict" where
 * it has one of that name on several clusters, and "no_credential" where the job's takes no
 * certificates.
 */
bool job_choice_find(struct call *call, const char *name, const struct account *account,
                     struct job_choice *out);
/* The same on one cluster, whosever the job is; a name of another cluster's finds none. */
bool job_choice_find_on(struct call *call, const char *name, const struct cluster *cluster,
                        struct job_choice *out);

/* "job:1234@daint", which no account is called. */
void job_choice_principal(const struct job_choice *choice, char out[JOB_PRINCIPAL_CHARS]);

#endif
