/*
 * Challenges that authenticators have yet to answer (webauthn.h): each is good once, for five
 * minutes, and for whoever asked, a browser or a session. A newer one takes the place of the older
 * one of the same asker. No clock, no randomness.
 *
 * A table of fixed size, in which an asker's place is chosen by a secret: who asks in the names of
 * many costs no memory, and to drive out one other in the five minutes needs as many askers as
 * there are places.
 */
#ifndef POSTERN_IDENTITY_WEBAUTHN_CHALLENGE_H
#define POSTERN_IDENTITY_WEBAUTHN_CHALLENGE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "identity/throttle.h"
#include "model/entity.h"

enum { WEBAUTHN_CHALLENGE_S = 300, WEBAUTHN_CHALLENGES_COUNT = 16 * 1024 };

struct webauthn_challenge {
    uint8_t bytes[LIMIT_WEBAUTHN_CHALLENGE_BYTES];
    entity_id account_id; /* whose password was right before; 0: nobody's is known */
};

struct webauthn_challenges;

err_t webauthn_challenges_new(const uint8_t secret[THROTTLE_SECRET_BYTES],
                              struct webauthn_challenges **out);
void webauthn_challenges_free(struct webauthn_challenges *table);

void webauthn_challenges_put(struct webauthn_challenges *table, span_t asker,
                             const struct webauthn_challenge *challenge, int64_t now);
/* Takes it away. False when there is none, or none any more. */
bool webauthn_challenges_take(struct webauthn_challenges *table, span_t asker, int64_t now,
                              struct webauthn_challenge *out);

#endif
