/* Hosts, as other files show them. */
#ifndef POSTERN_AUTHORITY_HOST_ADMIN_H
#define POSTERN_AUTHORITY_HOST_ADMIN_H

#include "authority/call.h"

/* cluster_name "" for a jump host. NULL: out of memory. */
json_t *host_json(const struct host *host, const char *cluster_name);

/*
 * Adds "warnings" to an answer when jump hosts now lead to where they hardly should; they lead to a
 * place's name and to its address. An administrator named it, so it holds all the same.
 */
err_t host_warn(json_t *answer, const char *name, const char *address);

/* Store thread: adds and publishes a host that takes nobody's name; the one-time token to enrol it
 * by is put into `answer`. False: the call has a problem. */
bool host_begin(struct call *call, struct host *host, json_t *answer);
/* Store thread: the host is gone, and its certificates are revoked; published. */
bool host_end(struct call *call, const struct host *host, size_t *revoked);

const char *host_role_name(enum host_role role); /* "jump", "login", "compute", "job" */

#endif
