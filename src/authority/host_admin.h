/* Hosts, as other files show them. */
#ifndef POSTERN_AUTHORITY_HOST_ADMIN_H
#define POSTERN_AUTHORITY_HOST_ADMIN_H

#include "authority/call.h"

/* cluster_name "" for a jump host. NULL: out of memory. */
json_t *host_json(const struct host *host, const char *cluster_name);

const char *host_role_name(enum host_role role); /* "jump", "login", "compute" */

#endif
