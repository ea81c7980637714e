/*
 * What a job opens, and to whom: one rule for the replica and the view. That the account is
 * enabled and reaches the cluster, and that the host is among the job's nodes and of its cluster,
 * is for the caller to see.
 */
#ifndef POSTERN_FEED_JOB_RIGHT_H
#define POSTERN_FEED_JOB_RIGHT_H

#include "model/entity.h"

struct job_right {
    enum job_type type;
    const char *account;
    const char *user;
    int64_t started_at;
    int64_t ends_at; /* 0: not known */
};

/* From its start until before its end. */
bool job_right_runs(const struct job_right *job, int64_t now);
/* Whether it opens hosts of that role: a job of type cluster its job hosts, any other compute
 * hosts. One whose user is neither its account's own name nor on a machine of its own opens
 * nothing. */
bool job_right_opens(const struct job_right *job, enum host_role role);
/* Whether its account may log in as `user` where it opens: as the job's user, and as "root" by a
 * deploy job alone. */
bool job_right_admits(const struct job_right *job, const char *user);

#endif
