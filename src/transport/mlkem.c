#include "transport/mlkem.h"

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER >= 0x30500000L

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

static const char name[] = "ML-KEM-768";

static void pkey_freep(EVP_PKEY **key) { EVP_PKEY_free(*key); }

static void context_freep(EVP_PKEY_CTX **context) {
    EVP_PKEY_CTX_free(*context);
    ERR_clear_error();
}

/* The bytes of `from` as the one parameter of this name; libcrypto only reads them. */
static void one_param(const char *key, const uint8_t *from, size_t len, OSSL_PARAM out[2]) {
    union {
        const uint8_t *from;
        void *to;
    } bytes = {.from = from};
    out[0] = OSSL_PARAM_construct_octet_string(key, bytes.to, len);
    out[1] = OSSL_PARAM_construct_end();
}

static bool octets_of(const EVP_PKEY *key, const char *param, uint8_t *out, size_t len) {
    size_t got = 0;
    return EVP_PKEY_get_octet_string_param(key, param, out, len, &got) == 1 && got == len;
}

err_t mlkem768_keygen(const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES],
                      uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      uint8_t private_key[MLKEM768_PRIVATE_BYTES]) {
    EVP_PKEY_CTX *context CLEANUP(context_freep) = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
    EVP_PKEY *key CLEANUP(pkey_freep) = NULL;
    OSSL_PARAM params[2];
    one_param(OSSL_PKEY_PARAM_ML_KEM_SEED, seed, MLKEM768_KEYGEN_SEED_BYTES, params);
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
        EVP_PKEY_CTX_set_params(context, params) != 1 || EVP_PKEY_generate(context, &key) != 1 ||
        !octets_of(key, OSSL_PKEY_PARAM_PUB_KEY, public_key, MLKEM768_PUBLIC_BYTES) ||
        !octets_of(key, OSSL_PKEY_PARAM_PRIV_KEY, private_key, MLKEM768_PRIVATE_BYTES)) {
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

err_t mlkem768_encaps(const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                      const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES],
                      uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]) {
    EVP_PKEY *key CLEANUP(pkey_freep) =
        EVP_PKEY_new_raw_public_key_ex(NULL, name, NULL, public_key, MLKEM768_PUBLIC_BYTES);
    if (key == NULL) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    EVP_PKEY_CTX *context CLEANUP(context_freep) = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    size_t ciphertext_len = MLKEM768_CIPHERTEXT_BYTES;
    size_t secret_len = MLKEM768_SECRET_BYTES;
    OSSL_PARAM params[2];
    one_param(OSSL_KEM_PARAM_IKME, seed, MLKEM768_ENCAPS_SEED_BYTES, params);
    if (context == NULL || EVP_PKEY_encapsulate_init(context, params) != 1 ||
        EVP_PKEY_encapsulate(context, ciphertext, &ciphertext_len, secret, &secret_len) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

err_t mlkem768_decaps(const uint8_t private_key[MLKEM768_PRIVATE_BYTES],
                      const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                      uint8_t secret[MLKEM768_SECRET_BYTES]) {
    EVP_PKEY *key CLEANUP(pkey_freep) =
        EVP_PKEY_new_raw_private_key_ex(NULL, name, NULL, private_key, MLKEM768_PRIVATE_BYTES);
    if (key == NULL) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    EVP_PKEY_CTX *context CLEANUP(context_freep) = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    size_t secret_len = MLKEM768_SECRET_BYTES;
    if (context == NULL || EVP_PKEY_decapsulate_init(context, NULL) != 1 ||
        EVP_PKEY_decapsulate(context, secret, &secret_len, ciphertext, MLKEM768_CIPHERTEXT_BYTES) !=
            1) {
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

#else

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

#endif
