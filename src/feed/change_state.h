/* The state that a change of each kind brings (change.h), and what its key may be. */
#ifndef POSTERN_FEED_CHANGE_STATE_H
#define POSTERN_FEED_CHANGE_STATE_H

#include "feed/member.h"

/* change->kind and change->key are set; the kind is known. */
err_t change_state_check_key(const struct member_place *at, const struct change *change);
/* Refuses a state that lists as critical what is not known here: ERR_UNSUPPORTED. Lists are the
 * change's, also on failure. */
err_t change_state_decode(const struct member_place *at, const json_t *state,
                          struct change *change);

#endif
