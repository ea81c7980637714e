/* What lets a person in besides how they sign in: it outlives a new password, so who sets one is
 * told of it. */
#ifndef POSTERN_AUTHORITY_HOLDINGS_H
#define POSTERN_AUTHORITY_HOLDINGS_H

#include "authority/call.h"

/* All of it still good. */
struct holdings {
    size_t certificates, registered_keys, grants, passkeys;
};

/* Store thread. False with a problem. */
bool holdings_count(struct call *call, entity_id account_id, struct holdings *out);
/* {"certificates":1,"registeredKeys":0,…}; NULL: out of memory. */
json_t *holdings_json(const struct holdings *holdings);

#endif
