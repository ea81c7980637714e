/*
 * ML-KEM-768 of our own, for a libcrypto that has none; the contract is mlkem.h's. Built and tested
 * everywhere.
 */
#ifndef POSTERN_TRANSPORT_MLKEM_OURS_H
#define POSTERN_TRANSPORT_MLKEM_OURS_H

#include "transport/mlkem.h"

err_t mlkem768_ours_keygen(const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES],
                           uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                           uint8_t private_key[MLKEM768_PRIVATE_BYTES]);
err_t mlkem768_ours_encaps(const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                           const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES],
                           uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                           uint8_t secret[MLKEM768_SECRET_BYTES]);
err_t mlkem768_ours_decaps(const uint8_t private_key[MLKEM768_PRIVATE_BYTES],
                           const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                           uint8_t secret[MLKEM768_SECRET_BYTES]);

#endif
