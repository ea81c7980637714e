#include "transport/mlkem.h"

#include "transport/mlkem_ours.h"

err_t mlkem768_keygen(const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES],
                      uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      uint8_t private_key[MLKEM768_PRIVATE_BYTES]) {
    return mlkem768_ours_keygen(seed, public_key, private_key);
}

err_t mlkem768_encaps(const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES],
                      uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]) {
    return mlkem768_ours_encaps(public_key, seed, ciphertext, secret);
}

err_t mlkem768_decaps(const uint8_t private_key[MLKEM768_PRIVATE_BYTES],
                      const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]) {
    return mlkem768_ours_decaps(private_key, ciphertext, secret);
}
