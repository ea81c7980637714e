/*
 * What cipher.c shares with the ciphers themselves: each is a struct cipher_method.
 */
#ifndef POSTERN_TRANSPORT_CIPHER_INTERNAL_H
#define POSTERN_TRANSPORT_CIPHER_INTERNAL_H

#include <openssl/evp.h>

#include "transport/cipher.h"

enum {
    CIPHER_GCM_IV_BYTES = 12,
    CIPHER_CHACHA_KEY_BYTES = 32,
    CIPHER_TAG_BYTES_MAX = 32,
};

struct cipher_method {
    enum cipher_id id;
    uint8_t key, iv, mac_key, block, tag; /* bytes */
    bool length_is_padded; /* the length field counts towards the multiple of the block */
    err_t (*init)(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                  const uint8_t *mac_key);
    /* NULL: packet_length is in the clear. */
    uint32_t (*packet_length)(const struct cipher *cipher, uint32_t sequence,
                              const uint8_t *packet);
    /* Both work on a whole packet of `len` bytes, tag included. */
    err_t (*seal)(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len);
    err_t (*open)(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len);
};

struct cipher {
    const struct cipher_method *method;
    bool seal;
    EVP_CIPHER_CTX *context; /* AES */
    EVP_MAC_CTX *mac;        /* HMAC */
    union {
        uint8_t iv[CIPHER_GCM_IV_BYTES];           /* AES-GCM: of the next packet */
        uint8_t keys[2 * CIPHER_CHACHA_KEY_BYTES]; /* ChaCha20: for payloads, for lengths */
    } secret;
};

extern const struct cipher_method cipher_aes128_gcm, cipher_aes256_gcm;
extern const struct cipher_method cipher_aes256_ctr_etm, cipher_aes256_ctr_hmac;
extern const struct cipher_method cipher_chacha20_poly1305;

/* libcrypto's failures are ERR_CRYPTO; the memory of what it did is cleared. */
err_t cipher_libcrypto_failed(void);
/* Encrypts or decrypts all of it, as the context has it; `out` NULL: it is authenticated only. */
bool cipher_update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t len);

uint32_t cipher_read_u32(const uint8_t *from);
void cipher_write_u32(uint8_t *to, uint32_t value);

#endif
