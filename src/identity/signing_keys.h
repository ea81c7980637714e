/*
 * The keys with which the embedded issuer signs ID tokens: RSA, RS256, which every OpenID provider
 * must offer (OpenID Connect Discovery 1.0 section 3). One signs, those before it stay published
 * until what they signed has ended. Kept as one document, which holds private keys.
 */
#ifndef POSTERN_IDENTITY_SIGNING_KEYS_H
#define POSTERN_IDENTITY_SIGNING_KEYS_H

#include <jansson.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "identity/jwk.h"

enum {
    SIGNING_KEY_SIGNS_S = 90 * 24 * 3600, /* then the next one is due */
    SIGNING_KEY_KEPT_S = 24 * 3600,       /* published after its last signature; see ID_TOKEN_S */
};

struct signing_keys;
struct signing_key; /* shared: may be used on any thread while it is held */

/* No keys yet: signing_keys_rotate() makes the first. */
err_t signing_keys_new(struct signing_keys **out);
/* A document that signing_keys_print() wrote; ERR_MALFORMED. */
err_t signing_keys_parse(const char *document, struct signing_keys **out);
void signing_keys_free(struct signing_keys *keys);
void signing_keys_freep(struct signing_keys **keys);
/* Appends the document: a secret. */
err_t signing_keys_print(const struct signing_keys *keys, struct buf *out);

/* Whether there is no key yet, or the one that signs has signed for long enough. */
bool signing_keys_due(const struct signing_keys *keys, int64_t now);
/* Makes a key (a second of CPU at worst). Of no set yet. */
err_t signing_key_make(int64_t now, struct signing_key **out);
/* It signs from now on; keys that were retired for long enough go, and so does the oldest beyond
 * LIMIT_SIGNING_KEYS_COUNT. The key is taken over. */
void signing_keys_rotate(struct signing_keys *keys, struct signing_key *key, int64_t now);

/* The one that signs; NULL before the first. The caller releases it. */
struct signing_key *signing_keys_current(const struct signing_keys *keys);
void signing_key_release(struct signing_key *key); /* takes NULL */
const char *signing_key_id(const struct signing_key *key);

/* Public keys as RFC 7517 has them; NULL: out of memory. */
json_t *signing_keys_public(const struct signing_keys *keys, int64_t now);
/* [{"kid":…,"created":…,"retired":…}], newest first. */
json_t *signing_keys_list(const struct signing_keys *keys, int64_t now);

/* Appends the compact form. */
err_t signing_key_sign(const struct signing_key *key, const json_t *claims, struct buf *out);
#define SIGNING_ALGORITHM JWS_RS256

#endif
