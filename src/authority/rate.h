/*
 * What one caller, signed in or enrolled, may use up: quotas bound certificates that count, these
 * bound all else that takes disk, time or the attention of every host. Store thread only.
 */
#ifndef POSTERN_AUTHORITY_RATE_H
#define POSTERN_AUTHORITY_RATE_H

#include "authority/call.h"

enum rate {
    RATE_CALLS,             /* calls that leave a row */
    RATE_CERTIFICATES,      /* of an account: signing a key again is free, its rows are not */
    RATE_HOST_CERTIFICATES, /* of a host */
    RATE_JOB_CERTIFICATES,  /* for jobs, that a host asks for: one for each `postern job run` */
    RATE_NODE_JOBS,         /* changes of a job that a compute host tells, by the job's nodes */
    RATE_IMPERSONATIONS,    /* certificates of others that a portal asks for: one a connection */
    RATE_KEY_PAIRS,         /* made here: an RSA pair takes a second of the threads that sign in */
    RATE_SNAPSHOTS,         /* of the feed, that are begun: each is the whole site's */
    RATE_PAGES,             /* of such, but for the first */
    RATE_EVENTS,            /* batches that a gate tells: its rows are strangers' doing */
    RATE_SESSIONS,          /* batches of what a gate tells of its sessions */
    RATE_WINDOWS,           /* passwords that a gate asks about: each takes 20 ms and 19 MiB */
    RATES_COUNT,
};

struct rates;

err_t rates_new(struct rates **out);
void rates_free(struct rates *rates);

/* Takes one of the caller's; when there is none, a problem (429) that leaves no row, in place of
 * any other problem. True for callers that are nobody: they have throttles of their own. */
bool rate_spend(struct call *call, enum rate rate);
/* The same, for a call that nobody's bearer came with and that turned out to be this account's,
 * which is the caller from now on. */
bool rate_spend_of(struct call *call, const struct account *account, enum rate rate);

#endif
