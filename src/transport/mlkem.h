/*
 * ML-KEM-768 (FIPS 203), from OpenSSL where that has it (3.5 and later) and else ours: constant
 * time in everything secret. Randomness is a parameter.
 */
#ifndef POSTERN_TRANSPORT_MLKEM_H
#define POSTERN_TRANSPORT_MLKEM_H

#include <stdint.h>

#include "base/err.h"

enum {
    MLKEM768_PUBLIC_BYTES = 1184,
    MLKEM768_PRIVATE_BYTES = 2400, /* dk of FIPS 203 */
    MLKEM768_CIPHERTEXT_BYTES = 1088,
    MLKEM768_SECRET_BYTES = 32,
    MLKEM768_KEYGEN_SEED_BYTES = 64, /* d || z */
    MLKEM768_ENCAPS_SEED_BYTES = 32, /* m */
};

/* ML-KEM.KeyGen_internal(d, z). */
err_t mlkem768_keygen(const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES],
                      uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      uint8_t private_key[MLKEM768_PRIVATE_BYTES]);
/* ML-KEM.Encaps_internal(ek, m) after the modulus check of section 7.2: ERR_KEY_INVALID. */
err_t mlkem768_encaps(const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES],
                      uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]);
/* ML-KEM.Decaps_internal: never fails on a wrong ciphertext (implicit rejection). ERR_KEY_INVALID
 * when the private key's own hash of its public part is wrong (section 7.3). */
err_t mlkem768_decaps(const uint8_t private_key[MLKEM768_PRIVATE_BYTES],
                      const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]);

#endif
