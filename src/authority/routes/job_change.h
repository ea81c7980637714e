/* Jobs as they begin, change and end: store, hosts that come with them, and what is published. */
#ifndef POSTERN_AUTHORITY_JOB_CHANGE_H
#define POSTERN_AUTHORITY_JOB_CHANGE_H

#include "authority/routes/job_request.h"

/* Store thread, all of them. False: the call has a problem. */

/* The nodes of a job that is on record, appended. */
bool job_nodes_get(struct call *call, const struct job *job, struct node_names *out);

/*
 * The name that the feed has of a cluster's node: the host of that name, else the host of the
 * cluster whose first label it is, else what was told. `out` has LIMIT_HOST_NAME_CHARS + 1.
 */
bool job_node_resolve(struct call *call, const struct cluster *cluster, const char *told,
                      char *out);

/*
 * Puts the job (id 0: a new one) with these nodes, and publishes it. Hosts that came with nodes
 * which it has no more end. enrolments is NULL, or an array that gets a one-time token for each
 * node that is no host yet: [{"host","enrolmentToken","enrolmentExpireTime"}].
 */
bool job_put(struct call *call, struct job *job, const struct node_names *nodes,
             json_t *enrolments);

/* Ends it now, with the hosts that came with it, and publishes that. */
bool job_end(struct call *call, const struct job *job);

#endif
