/*
 * Challenges that authenticators answer (webauthn.h): each is for whoever asked, a browser or a
 * session, and for five minutes. No clock, no randomness.
 *
 * Nothing is kept of one until it is answered, so that pages with a sign-in cost strangers' visits
 * nothing, and whichever authority has the secret can judge the answer: a challenge says when it
 * was made and what for, and a MAC over that and its asker shows that it was made here. That each
 * is answered once is the store's to know (store_answered_challenge_add()).
 */
#ifndef POSTERN_IDENTITY_WEBAUTHN_CHALLENGE_H
#define POSTERN_IDENTITY_WEBAUTHN_CHALLENGE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "model/entity.h"

enum {
    WEBAUTHN_CHALLENGE_S = 300,
    WEBAUTHN_CHALLENGE_SECRET_BYTES = 32,
    WEBAUTHN_CHALLENGE_RANDOM_BYTES = 4, /* two of one asker in the same second are different */
};

struct webauthn_challenge {
    uint8_t bytes[LIMIT_WEBAUTHN_CHALLENGE_BYTES];
    int64_t made_at;
    entity_id account_id; /* whose password was right before; 0: nobody's is known */
};

void webauthn_challenge_make(const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES],
                             const uint8_t random[WEBAUTHN_CHALLENGE_RANDOM_BYTES], span_t asker,
                             entity_id account_id, int64_t now, struct webauthn_challenge *out);
/* ERR_REFUSED for what was not made with this secret for this asker, ERR_EXPIRED for what was made
 * more than five minutes ago. */
err_t webauthn_challenge_read(const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES], span_t asker,
                              span_t bytes, int64_t now, struct webauthn_challenge *out);

#endif
