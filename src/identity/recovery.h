/*
 * Recovery codes: ten, shown once, each good once in place of the second factor. 100 bits of
 * randomness need no slow hash; what is kept is bound to the account.
 */
#ifndef POSTERN_IDENTITY_RECOVERY_H
#define POSTERN_IDENTITY_RECOVERY_H

#include "base/err.h"
#include "base/span.h"
#include "model/entity.h"

enum { RECOVERY_RANDOM_BYTES = 20, RECOVERY_CHARS = 23 + 1 };

/* "K7M2P-…" in Crockford's base32, which has no letters that look alike. */
void recovery_make(const uint8_t random[RECOVERY_RANDOM_BYTES], char out[RECOVERY_CHARS]);
/* Of a code as people type it: in either case, hyphens and blanks where they like, O for 0 and I or
 * L for 1. ERR_MALFORMED for what is no such code. */
err_t recovery_hash(span_t typed, entity_id account_id, char hash[HASH_CHARS]);

#endif
