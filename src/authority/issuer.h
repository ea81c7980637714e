/*
 * The embedded issuer: an OpenID provider for public clients, whose access tokens are our bearers.
 * Store thread, but for what is marked.
 */
#ifndef POSTERN_AUTHORITY_ISSUER_H
#define POSTERN_AUTHORITY_ISSUER_H

#include "authority/call.h"
#include "authority/config.h"
#include "identity/signing_keys.h"

enum {
    ISSUER_ID_TOKEN_S = 3600,
    ISSUER_ACCESS_S = 3600, /* of a bearer that a refresh token renews */
};
_Static_assert((int)SIGNING_KEY_KEPT_S > (int)ISSUER_ID_TOKEN_S, "keys outlive what they signed");

#define ISSUER_CLIENT "posterngate-cli"

struct issuer {
    char *path; /* where the keys are kept */
    struct signing_keys *keys;
};

/*
 * Before the threads start: reads the keys from their file beside the store (store_file.h), or
 * makes the first. They are not in the store, for whoever gets hold of a backup could sign as
 * anybody; and nothing is lost with them but an hour of ID tokens.
 */
err_t issuer_new(const struct config *config, int64_t now, struct issuer **out,
                 struct fault *fault);
void issuer_free(struct issuer *issuer);

/* Takes the key over, on failure as well, and keeps it before it signs anything. */
err_t issuer_rotate(struct issuer *issuer, struct signing_key *key, int64_t now);
/* Makes the next key when that is due. */
err_t issuer_rotate_if_due(struct issuer *issuer, int64_t now);

/* Any thread: a client that may ask for tokens here. */
bool issuer_has_client(const struct authority *authority, const char *client);

#endif
