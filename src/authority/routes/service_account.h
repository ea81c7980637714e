/* Service accounts, as routes of other files need them. */
#ifndef POSTERN_AUTHORITY_SERVICE_ACCOUNT_H
#define POSTERN_AUTHORITY_SERVICE_ACCOUNT_H

#include "authority/call.h"

/* Store thread: how many API keys it has that are neither revoked nor expired. False with a
 * problem. */
bool service_account_count_keys(struct call *call, const struct account *account, size_t *out);

#endif
