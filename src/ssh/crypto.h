/*
 * What the room asks of libcrypto in more than one place. Algorithms are fetched once a process:
 * OpenSSL 3 looks them up by name at every implicit fetch, which costs more than hashing a key.
 */
#ifndef POSTERN_SSH_CRYPTO_H
#define POSTERN_SSH_CRYPTO_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/span.h"

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384, CRYPTO_SHA512 };
enum { CRYPTO_SHA256_BYTES = 32, CRYPTO_SHA512_BYTES = 64 };

/* Never NULL, lives as long as the process. */
const EVP_MD *crypto_md(enum crypto_hash hash);

/* Never fail: a libcrypto that cannot hash ends the process. */
void crypto_sha256(span_t bytes, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_sha512(span_t bytes, uint8_t out[CRYPTO_SHA512_BYTES]);

/* One signature operation with a context that is made once and used again. */
err_t crypto_verify(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                    span_t signature);
/* ERR_CRYPTO; *len is the room in `out` and then what was written. */
err_t crypto_sign(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data, uint8_t *out,
                  size_t *len);

void crypto_pkey_freep(EVP_PKEY **key);
void crypto_md_ctx_freep(EVP_MD_CTX **context);

#endif
