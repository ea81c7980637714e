/*
 * bcrypt_pbkdf, the key derivation of openssh-key-v1: PBKDF2's shape around bcrypt's expensive
 * Blowfish key schedule (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999) with
 * SHA-512 before it. libcrypto has Blowfish without the salted schedule, so the cipher is here too.
 */
#ifndef POSTERN_SSH_BCRYPT_PBKDF_H
#define POSTERN_SSH_BCRYPT_PBKDF_H

#include "base/err.h"
#include "base/span.h"

enum { BCRYPT_PBKDF_BYTES_MAX = 1024, BCRYPT_PBKDF_SALT_BYTES_MAX = 1024 };

/* ERR_RANGE for no passphrase, no salt, no rounds, or an output or salt beyond the maxima. The
 * caller bounds the rounds. */
err_t bcrypt_pbkdf(span_t passphrase, span_t salt, uint32_t rounds, uint8_t *out, size_t out_len);

#endif
