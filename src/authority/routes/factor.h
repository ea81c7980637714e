/* What routes over a person's own factors share. */
#ifndef POSTERN_AUTHORITY_FACTOR_H
#define POSTERN_AUTHORITY_FACTOR_H

#include "authority/call.h"

/*
 * Store thread: whether who signed in then may change how they sign in: a person, with a password
 * here (whoever comes by another issuer keeps their factors there, or could go around it), by a
 * sign-in of a moment ago. False with a problem.
 */
bool factor_may_change(struct call *call, const struct account *account, int64_t signed_in_at,
                       struct login *login);

/* Store thread: takes away what lets in besides the password and one-time code: passkeys and
 * recovery codes. False with a problem. */
bool factor_drop_others(struct call *call, entity_id account_id);

#endif
