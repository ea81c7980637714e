/* Revocation of certificates, for routes that end access as a side effect (disabling an account).
 */
#ifndef POSTERN_AUTHORITY_REVOKE_H
#define POSTERN_AUTHORITY_REVOKE_H

#include "authority/call.h"

/* Store thread: revokes every valid certificate of the account and publishes each; problems are set
 * on the call. */
void revoke_all(struct call *call, const struct account *account, const char *reason,
                size_t *count);

#endif
