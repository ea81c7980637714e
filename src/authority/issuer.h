/*
 * The embedded issuer: an OpenID provider for public clients, whose access tokens are our bearers.
 * Store thread, but for what is marked.
 */
#ifndef POSTERN_AUTHORITY_ISSUER_H
#define POSTERN_AUTHORITY_ISSUER_H

#include "authority/call.h"
#include "identity/signing_keys.h"

enum {
    ISSUER_ID_TOKEN_S = 3600,
    ISSUER_ACCESS_S = 3600, /* of a bearer that a refresh token renews */
};
_Static_assert((int)SIGNING_KEY_KEPT_S > (int)ISSUER_ID_TOKEN_S, "keys outlive what they signed");

#define ISSUER_CLIENT "posterngate-cli"

struct issuer {
    struct signing_keys *keys;
};

/* Before the threads start, inside a transaction: reads the keys, or makes the first. */
err_t issuer_new(struct store *store, int64_t now, struct issuer **out);
void issuer_free(struct issuer *issuer);

/* Takes the key over, on failure as well, and keeps it before it signs anything. */
err_t issuer_rotate(struct issuer *issuer, struct store *store, struct signing_key *key,
                    int64_t now);
/* Makes the next key when that is due. */
err_t issuer_rotate_if_due(struct issuer *issuer, struct store *store, int64_t now);

/* Any thread: a client that may ask for tokens here. */
bool issuer_has_client(const struct authority *authority, const char *client);

#endif
