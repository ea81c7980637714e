/* The ciphers that ssh-keygen -Z can put around a private key. We write aes256-ctr alone. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "ssh/private_key_internal.h"

static const struct private_cipher ciphers[] = {
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0},
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"chacha20-poly1305@openssh.com", "ChaCha20", 64, 0, 8, 16},
};

const struct private_cipher *private_cipher_by_name(span_t name) {
    for (size_t i = 0; i < COUNT_OF(ciphers); i++) {
        if (span_equal_str(name, ciphers[i].name)) {
            return &ciphers[i];
        }
    }
    return NULL;
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **context) { EVP_CIPHER_CTX_free(*context); }
static void cipher_freep(EVP_CIPHER **cipher) { EVP_CIPHER_free(*cipher); }

/* tag is given when decrypting with an AEAD cipher, NULL otherwise. */
static bool run(const struct private_cipher *cipher, const uint8_t *key, const uint8_t *iv,
                uint8_t *bytes, size_t len, const uint8_t *tag, int encrypt) {
    EVP_CIPHER *evp CLEANUP(cipher_freep) = EVP_CIPHER_fetch(NULL, cipher->algorithm, NULL);
    EVP_CIPHER_CTX *context CLEANUP(cipher_ctx_freep) = EVP_CIPHER_CTX_new();
    int done = 0;
    int last = 0;
    uint8_t expected[PRIVATE_CIPHER_TAG_BYTES_MAX];
    bool good = evp != NULL && context != NULL && len <= INT32_MAX &&
                EVP_CipherInit_ex2(context, evp, key, iv, encrypt, NULL) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, 0) == 1;
    if (good && tag != NULL) {
        memcpy(expected, tag, sizeof expected);
        good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof expected, expected) == 1;
    }
    good = good && EVP_CipherUpdate(context, bytes, &done, bytes, (int)len) == 1 &&
           EVP_CipherFinal_ex(context, bytes + done, &last) == 1;
    ERR_clear_error();
    return good;
}

/* PROTOCOL.chacha20poly1305 with sequence number 0 and no separate length: block 0 of the key
 * stream gives the Poly1305 key, the text starts at block 1. */
static bool chacha_poly(const struct private_cipher *cipher, const uint8_t *key, uint8_t *bytes,
                        size_t len, const uint8_t *tag) {
    static const uint8_t block_0[16] = {0};
    static const uint8_t block_1[16] = {1};
    uint8_t mac_key[32] = {0};
    uint8_t computed[PRIVATE_CIPHER_TAG_BYTES_MAX];
    size_t computed_len;
    bool good = run(cipher, key, block_0, mac_key, sizeof mac_key, NULL, 1) &&
                EVP_Q_mac(NULL, "POLY1305", NULL, NULL, NULL, mac_key, sizeof mac_key, bytes, len,
                          computed, sizeof computed, &computed_len) != NULL &&
                computed_len == sizeof computed &&
                CRYPTO_memcmp(computed, tag, sizeof computed) == 0;
    secret_wipe(mac_key, sizeof mac_key);
    return good && run(cipher, key, block_1, bytes, len, NULL, 0);
}

err_t private_cipher_decrypt(const struct private_cipher *cipher, const uint8_t *key_iv,
                             uint8_t *bytes, size_t len, const uint8_t *tag) {
    bool good = cipher->iv_len == 0 ? chacha_poly(cipher, key_iv, bytes, len, tag)
                                    : run(cipher, key_iv, key_iv + cipher->key_len, bytes, len,
                                          cipher->tag_len == 0 ? NULL : tag, 0);
    return good ? OK : FAIL(ERR_PASSPHRASE);
}

err_t private_cipher_encrypt(const struct private_cipher *cipher, const uint8_t *key_iv,
                             uint8_t *bytes, size_t len) {
    INVARIANT(cipher->tag_len == 0);
    return run(cipher, key_iv, key_iv + cipher->key_len, bytes, len, NULL, 1) ? OK
                                                                              : FAIL(ERR_CRYPTO);
}
