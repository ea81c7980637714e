/*
 * Sign-ins that a client has asked for and not yet got: authorization codes (RFC 6749 section 4.1,
 * with PKCE as RFC 7636 has it, S256 alone) and device grants (RFC 8628). How each is made and
 * moves on, without clock, I/O or randomness; codes are kept as hashes. Where they are kept, and
 * how many: authority/authorizations.h.
 *
 * Invariants:
 *   1. A code is redeemed once, by the client and with the redirect URI and the secret of whoever
 *      asked for it; one wrong try ends it.
 *   2. Only what an account approved is given, and only until it expires.
 */
#ifndef POSTERN_IDENTITY_AUTHORIZATION_H
#define POSTERN_IDENTITY_AUTHORIZATION_H

#include "base/err.h"
#include "base/limits.h"
#include "identity/token.h"
#include "model/entity.h"

enum {
    AUTHORIZATION_CODE_S = 60,
    AUTHORIZATION_DEVICE_S = 600,
    AUTHORIZATION_INTERVAL_S = 5,          /* between two polls of a device */
    AUTHORIZATION_KEPT_S = 60,             /* what expired, for its device to be told so */
    AUTHORIZATION_USER_CODE_CHARS = 9 + 1, /* "BCDF-GHJK" */
    AUTHORIZATION_RANDOM_BYTES = TOKEN_RANDOM_BYTES + 16 + 8,
};

/* The code is to be wiped after it was shown. */
err_t authorization_make_code(const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS], struct authorization *out);
err_t authorization_make_device(const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS],
                                struct authorization *out);

/* A user code as people type it, in either case and with or without its hyphen; and as it was
 * shown, "BCDF-GHJK". ERR_MALFORMED unless it could be one. */
err_t authorization_hash_user_code(const char *typed, char hash[HASH_CHARS]);
err_t authorization_print_user_code(const char *typed, char out[AUTHORIZATION_USER_CODE_CHARS]);

/* Expired, and long enough ago that nobody need be told: as good as not there. */
bool authorization_is_gone(const struct authorization *authorization, int64_t now);
/* Whether somebody can still decide. */
bool authorization_waits(const struct authorization *authorization, int64_t now);

/*
 * A client comes with the code of this one. ERR_NOT_FOUND when it is over; ERR_REFUSED when it is
 * not for this client, redirect URI or verifier; after either it is to be removed. ERR_DUPLICATE
 * when it was redeemed before: whoever has the tokens that it became may have stolen it.
 */
err_t authorization_redeem(struct authorization *authorization, const char *client,
                           const char *redirect_uri, const char *verifier, int64_t now);

/* Of one that waits; approval NULL: denied. */
void authorization_decide(struct authorization *authorization,
                          const struct authorization_approval *approval);

enum authorization_poll {
    POLL_UNKNOWN = 0, /* such a code there is not, or it is not this client's */
    POLL_PENDING,
    POLL_SLOW_DOWN, /* asked too early: 5 s more between two from now on */
    POLL_DENIED,
    POLL_EXPIRED,
    POLL_APPROVED, /* once */
};
/* A client comes with the device code of this one, which moves on with all but POLL_UNKNOWN and
 * POLL_EXPIRED. */
enum authorization_poll authorization_poll(struct authorization *authorization, const char *client,
                                           int64_t now);

/* RFC 7636 section 4.2: BASE64URL(SHA256(verifier)), of a verifier of 43 to 128 unreserved
 * characters. ERR_MALFORMED. */
err_t authorization_challenge(const char *verifier, char out[AUTHORIZATION_CHALLENGE_CHARS]);
/* RFC 8252 section 7.3: http:// to 127.0.0.1 or [::1], whichever port and path. */
bool authorization_is_loopback(const char *uri);

#endif
