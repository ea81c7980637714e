/*
 * What the room asks of cryptographic libraries in more than one place: of libcrypto, and for
 * Ed25519 of libsodium, which signs and verifies in less than half the time of OpenSSL 3.0.
 *
 * Algorithms are fetched once a process: OpenSSL 3 looks them up by name at every implicit fetch,
 * which costs more than hashing a key.
 */
#ifndef POSTERN_SSH_CRYPTO_H
#define POSTERN_SSH_CRYPTO_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/span.h"

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384, CRYPTO_SHA512 };
enum {
    CRYPTO_SHA256_BYTES = 32,
    CRYPTO_SHA512_BYTES = 64,
    CRYPTO_ED25519_POINT_BYTES = 32,
    CRYPTO_ED25519_SECRET_BYTES = 64, /* the seed and the point, as in openssh-key-v1 */
    CRYPTO_ED25519_SIGNATURE_BYTES = 64,
    CRYPTO_ARGON2_SALT_BYTES = 16,
};

/* Never NULL, lives as long as the process. */
const EVP_MD *crypto_md(enum crypto_hash hash);

/* Never fail: a libcrypto that cannot hash ends the process. */
void crypto_sha256(span_t bytes, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_sha512(span_t bytes, uint8_t out[CRYPTO_SHA512_BYTES]);

/* RFC 8032. The halves of the secret must belong together. */
void crypto_ed25519_sign(const uint8_t secret[CRYPTO_ED25519_SECRET_BYTES], span_t data,
                         uint8_t out[CRYPTO_ED25519_SIGNATURE_BYTES]);
/* ERR_SIGNATURE; also for points of small order, under which a signature proves nothing. */
err_t crypto_ed25519_verify(const uint8_t point[CRYPTO_ED25519_POINT_BYTES], span_t data,
                            const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]);

enum crypto_argon2 { CRYPTO_ARGON2_NONE, CRYPTO_ARGON2I, CRYPTO_ARGON2ID };
/* RFC 9106, version 0x13 in one lane, with neither key nor associated data; the caller bounds the
 * work. ERR_MEMORY; ERR_KEY_KDF for passes or memory that libsodium does not run. */
err_t crypto_argon2(enum crypto_argon2 kind, span_t passphrase,
                    const uint8_t salt[CRYPTO_ARGON2_SALT_BYTES], uint32_t passes,
                    uint32_t memory_kib, uint8_t *out, size_t out_len);

/* One signature operation with a context that is made once and used again. */
err_t crypto_pkey_verify(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                         span_t signature);
/* ERR_CRYPTO; *len is the room in `out` and then what was written. */
err_t crypto_pkey_sign(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                       uint8_t *out, size_t *len);

void crypto_pkey_freep(EVP_PKEY **key);
void crypto_md_ctx_freep(EVP_MD_CTX **context);

#endif
