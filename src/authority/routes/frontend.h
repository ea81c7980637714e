/* What the frontends' calls share: who asks, and for whom. */
#ifndef POSTERN_AUTHORITY_FRONTEND_H
#define POSTERN_AUTHORITY_FRONTEND_H

#include "authority/call.h"

struct frontend {
    struct host host; /* that asks: a login host */
    struct cluster cluster;
    struct account account; /* of that name: enabled, and its projects reach the cluster */
};

/* Else a problem, and false. An account that is not there, is disabled or does not reach the
 * cluster is one and the same to a host. */
bool frontend_find(struct call *call, const char *username, struct frontend *out);
/* The host and its cluster alone. */
bool frontend_find_host(struct call *call, struct frontend *out);

#endif
