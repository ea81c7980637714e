/* Public keys that verify signatures, made of their numbers as JWK (RFC 7518) and COSE (RFC 9053)
 * have them. A key that is made was checked: its point is on the curve, its modulus is large
 * enough. */
#ifndef POSTERN_IDENTITY_PUBLIC_KEY_H
#define POSTERN_IDENTITY_PUBLIC_KEY_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/span.h"

enum {
    PUBLIC_KEY_RSA_BITS_MIN = 2048,
    PUBLIC_KEY_RSA_BITS_MAX = 8192,
    PUBLIC_KEY_ED25519_BYTES = 32
};

/* Unsigned, big-endian. ERR_KEY_SIZE; ERR_KEY_INVALID. */
err_t public_key_rsa(span_t modulus, span_t exponent, EVP_PKEY **out);
/* group: OpenSSL's name of the curve; coordinates of its full length. ERR_KEY_INVALID. */
err_t public_key_ec(const char *group, span_t x, span_t y, EVP_PKEY **out);
err_t public_key_ed25519(span_t x, EVP_PKEY **out);

void public_key_freep(EVP_PKEY **key);

/* Whether the signature over input is by this key; digest NULL for Ed25519, which has its own.
 * RSA is PKCS #1 v1.5. ERR_SIGNATURE. */
err_t public_key_verify(EVP_PKEY *key, const char *digest, span_t input, span_t signature);

#endif
