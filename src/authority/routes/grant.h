/* Automation grants, as routes of other files need them. */
#ifndef POSTERN_AUTHORITY_GRANT_H
#define POSTERN_AUTHORITY_GRANT_H

#include "authority/call.h"

/* Store thread: revokes every grant of an account that has not ended, and what it obtained; with
 * certificates NULL without that, which the caller revokes with all others. False with a problem.
 */
bool grant_end_all(struct call *call, entity_id account_id, size_t *count, size_t *certificates);

/* The same for those that are bound to clusters of which the account reaches none any more. */
bool grant_end_unreached(struct call *call, const struct account *account, size_t *count);

#endif
