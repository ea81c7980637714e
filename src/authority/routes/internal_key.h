/*
 * Internal keys: pairs without passphrase that frontends keep in homes (postern-host
 * internal-keys), good at hosts and from the inside networks alone.
 */
#ifndef POSTERN_AUTHORITY_INTERNAL_KEY_H
#define POSTERN_AUTHORITY_INTERNAL_KEY_H

#include "authority/call.h"

/* Store thread: forgets all of an account, and tells hosts. host NULL: those of every frontend.
 * False: the call has a problem. */
bool internal_key_drop(struct call *call, entity_id account_id, const struct host *host,
                       size_t *count);

#endif
