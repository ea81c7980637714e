/* Revocation of certificates, for routes that end access as a side effect (disabling an account,
 * removing a host). */
#ifndef POSTERN_AUTHORITY_REVOKE_H
#define POSTERN_AUTHORITY_REVOKE_H

#include "authority/call.h"

/* Whose certificates: an account's, a host's, or those that a service account (by_id) asked for in
 * the place of others (of that account alone where it is set as well). But for hosts, the API key
 * or grant that they were asked for with may be set too. */
struct revoke_scope {
    entity_id account_id, host_id, by_id, api_key_id, grant_id;
};

/* Store thread: revokes every valid certificate of the scope and publishes each; *count is how many
 * they were. False: a problem is set on the call. */
bool revoke_all(struct call *call, struct revoke_scope scope, const char *reason, size_t *count);

#endif
