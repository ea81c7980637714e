/* Who tells of a cluster's jobs: schedulers, administrators, and a compute host of itself alone, so
 * that a token stolen from one opens no other. */
#ifndef POSTERN_AUTHORITY_JOB_TELLER_H
#define POSTERN_AUTHORITY_JOB_TELLER_H

#include "authority/call.h"

struct job_teller {
    struct cluster cluster; /* of the path */
    const char *node;       /* a compute host: its name; NULL: it may tell of any job there */
    struct host host;
};
/* Store thread. False with a problem. *out stays where it is: node points into it. */
bool job_teller_find(struct call *call, struct job_teller *out);

#endif
