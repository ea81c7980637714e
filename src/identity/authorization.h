/*
 * Sign-ins that a client has asked for and not yet got: authorization codes (RFC 6749 section 4.1,
 * with PKCE as RFC 7636 has it, S256 alone) and device grants (RFC 8628). A bounded table without
 * clock, I/O or randomness; codes are kept as hashes.
 *
 * Invariants:
 *   1. A code is redeemed once, by the client and with the redirect URI and the secret of whoever
 *      asked for it; one wrong try ends it.
 *   2. Only what an account approved is given, and only until it expires.
 *   3. Whoever asks without being signed in (device grants) drives out others like it and nothing
 *      that an account approved.
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
    AUTHORIZATION_INTERVAL_S = 5, /* between two polls of a device */
    AUTHORIZATION_TEXT_CHARS = LIMIT_OAUTH_TEXT_CHARS + 1,
    AUTHORIZATION_CHALLENGE_CHARS = 43 + 1,
    AUTHORIZATION_USER_CODE_CHARS = 9 + 1, /* "BCDF-GHJK" */
    AUTHORIZATION_RANDOM_BYTES = TOKEN_RANDOM_BYTES + 16 + 8,
};

/* What a client asks for. */
struct authorization_request {
    char client[CLIENT_CHARS];
    char redirect_uri[AUTHORIZATION_TEXT_CHARS]; /* "" for devices, as the challenge */
    char challenge[AUTHORIZATION_CHALLENGE_CHARS];
    char nonce[AUTHORIZATION_TEXT_CHARS]; /* "" without */
    bool offline;                         /* a refresh token as well */
    char source[INET_CHARS];              /* of a device: the address that asked */
};

/* Who approved it, and how they had proved who they are. */
struct authorization_approval {
    entity_id account_id; /* 0: nobody did */
    int64_t authenticated_at;
    char methods[SESSION_METHODS_CHARS];
};

struct authorization {
    struct authorization_request request;
    struct authorization_approval approval;
    char family[SESSION_FAMILY_CHARS]; /* of the tokens that come of it */
};

struct authorizations;

err_t authorizations_new(struct authorizations **out);
void authorizations_free(struct authorizations *table);

/* ERR_BUSY when an account has approved LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT of these and those
 * below, or the table is full of such. */
err_t authorizations_add_code(struct authorizations *table,
                              const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS]);

/*
 * ERR_NOT_FOUND for a code that is unknown or over; ERR_REFUSED for one that is not for this
 * client, redirect URI or verifier; ERR_DUPLICATE for one that was redeemed before: *out says then
 * which tokens it became, and whoever has them may have stolen it.
 */
err_t authorizations_redeem(struct authorizations *table, span_t code, const char *client,
                            const char *redirect_uri, const char *verifier, int64_t now,
                            struct authorization *out);

err_t authorizations_add_device(struct authorizations *table,
                                const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS]);
/* A user code as people type it, in either case and with or without its hyphen. ERR_NOT_FOUND for
 * one that is unknown, over or decided already. */
err_t authorizations_find_user_code(const struct authorizations *table, const char *typed,
                                    int64_t now, struct authorization_request *out);
/* approval NULL: denied. The same errors, and ERR_BUSY as above. */
err_t authorizations_decide(struct authorizations *table, const char *typed,
                            const struct authorization_approval *approval, int64_t now);

/* The account's access ended: what it approved and nobody has fetched yet ends as well. */
void authorizations_forget(struct authorizations *table, entity_id account_id);

enum authorization_poll {
    POLL_UNKNOWN = 0, /* such a code there is not, or it is not this client's */
    POLL_PENDING,
    POLL_SLOW_DOWN, /* asked too early: 5 s more between two from now on */
    POLL_DENIED,
    POLL_EXPIRED,
    POLL_APPROVED, /* once */
};
enum authorization_poll authorizations_poll(struct authorizations *table, span_t device_code,
                                            const char *client, int64_t now,
                                            struct authorization *out);

/* RFC 7636 section 4.2: BASE64URL(SHA256(verifier)), of a verifier of 43 to 128 unreserved
 * characters. ERR_MALFORMED. */
err_t authorization_challenge(const char *verifier, char out[AUTHORIZATION_CHALLENGE_CHARS]);
/* RFC 8252 section 7.3: http:// to 127.0.0.1 or [::1], whichever port and path. */
bool authorization_is_loopback(const char *uri);

#endif
