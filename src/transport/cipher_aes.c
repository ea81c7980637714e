#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <threads.h>

#include "transport/cipher_internal.h"

enum { GCM_IV_FIXED_BYTES = 4, CTR_IV_BYTES = 16 };

static struct {
    EVP_CIPHER *ciphers[CIPHER_IDS_COUNT];
    EVP_MAC *hmac;
} library;

static void library_fetch(void) {
    static const char *const names[CIPHER_IDS_COUNT] = {
        [CIPHER_AES128_GCM] = "AES-128-GCM",
        [CIPHER_AES256_GCM] = "AES-256-GCM",
        [CIPHER_AES256_CTR_ETM] = "AES-256-CTR",
        [CIPHER_AES256_CTR_HMAC] = "AES-256-CTR",
    };
    for (size_t id = 0; id < COUNT_OF(names); id++) {
        if (names[id] != NULL) {
            library.ciphers[id] = EVP_CIPHER_fetch(NULL, names[id], NULL);
            INVARIANT(library.ciphers[id] != NULL);
        }
    }
    library.hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    INVARIANT(library.hmac != NULL);
}

static void library_init(void) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, library_fetch);
}

static err_t init_aes(struct cipher *cipher, const uint8_t *key, const uint8_t *iv) {
    library_init();
    cipher->context = EVP_CIPHER_CTX_new();
    if (cipher->context == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (EVP_CipherInit_ex2(cipher->context, library.ciphers[cipher->method->id], key, iv,
                           cipher->seal, NULL) != 1) {
        return cipher_libcrypto_failed();
    }
    return OK;
}

/* --- AES-GCM --- */

static err_t init_gcm(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                      const uint8_t *mac_key) {
    (void)mac_key;
    memcpy(cipher->secret.iv, iv, CIPHER_GCM_IV_BYTES);
    return init_aes(cipher, key, iv);
}

/* Sets the packet's IV and counts the invocation (RFC 5647 section 7.1). */
static bool gcm_begin(struct cipher *cipher, const uint8_t *packet) {
    uint8_t *iv = cipher->secret.iv;
    if (EVP_CipherInit_ex2(cipher->context, NULL, NULL, iv, -1, NULL) != 1) {
        return false;
    }
    for (size_t i = CIPHER_GCM_IV_BYTES; i-- > GCM_IV_FIXED_BYTES;) {
        iv[i]++;
        if (iv[i] != 0) {
            break;
        }
    }
    return cipher_update(cipher->context, NULL, packet, CIPHER_LENGTH_BYTES);
}

static err_t seal_gcm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)sequence;
    size_t tag = cipher->method->tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    int rest = 0;
    if (!gcm_begin(cipher, packet) ||
        !cipher_update(cipher->context, text, text, len - CIPHER_LENGTH_BYTES - tag) ||
        EVP_EncryptFinal_ex(cipher->context, packet + len - tag, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, (int)tag, packet + len - tag) !=
            1) {
        return cipher_libcrypto_failed();
    }
    return OK;
}

static err_t open_gcm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)sequence;
    size_t tag = cipher->method->tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    int rest = 0;
    if (!gcm_begin(cipher, packet) ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, (int)tag, packet + len - tag) !=
            1 ||
        !cipher_update(cipher->context, text, text, len - CIPHER_LENGTH_BYTES - tag)) {
        return cipher_libcrypto_failed();
    }
    if (EVP_DecryptFinal_ex(cipher->context, packet + len - tag, &rest) != 1) {
        ERR_clear_error();
        return FAIL(ERR_SIGNATURE);
    }
    return OK;
}

/* --- AES-CTR with HMAC --- */

static err_t init_ctr(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                      const uint8_t *mac_key) {
    TRY(init_aes(cipher, key, iv));
    cipher->mac = EVP_MAC_CTX_new(library.hmac);
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    if (cipher->mac == NULL ||
        EVP_MAC_init(cipher->mac, mac_key, cipher->method->mac_key, params) != 1) {
        return cipher_libcrypto_failed();
    }
    return OK;
}

static err_t hmac_tag(struct cipher *cipher, uint32_t sequence, const uint8_t *packet, size_t len,
                      uint8_t out[CIPHER_TAG_BYTES_MAX]) {
    uint8_t number[4];
    cipher_write_u32(number, sequence);
    size_t written = 0;
    if (EVP_MAC_init(cipher->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(cipher->mac, number, sizeof number) != 1 ||
        EVP_MAC_update(cipher->mac, packet, len) != 1 ||
        EVP_MAC_final(cipher->mac, out, &written, CIPHER_TAG_BYTES_MAX) != 1) {
        return cipher_libcrypto_failed();
    }
    return OK;
}

static err_t hmac_check(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                        size_t tagged) {
    uint8_t tag[CIPHER_TAG_BYTES_MAX];
    TRY(hmac_tag(cipher, sequence, packet, tagged, tag));
    return CRYPTO_memcmp(tag, packet + tagged, cipher->method->tag) == 0 ? OK : FAIL(ERR_SIGNATURE);
}

static err_t ctr_crypt(struct cipher *cipher, uint8_t *text, size_t len) {
    return cipher_update(cipher->context, text, text, len) ? OK : cipher_libcrypto_failed();
}

/* Encrypt-then-MAC: the length is in the clear, and the tag over what was encrypted. */

static err_t seal_ctr_etm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - cipher->method->tag;
    TRY(ctr_crypt(cipher, packet + CIPHER_LENGTH_BYTES, tagged - CIPHER_LENGTH_BYTES));
    return hmac_tag(cipher, sequence, packet, tagged, packet + tagged);
}

static err_t open_ctr_etm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - cipher->method->tag;
    TRY(hmac_check(cipher, sequence, packet, tagged));
    return ctr_crypt(cipher, packet + CIPHER_LENGTH_BYTES, tagged - CIPHER_LENGTH_BYTES);
}

/*
 * Encrypt-and-MAC: the length is encrypted with the rest, and the tag is over the plaintext. What
 * was decrypted means nothing to anybody before the tag was compared: whatever a stranger changes,
 * the padding too, all of the packet is decrypted and tagged, and the error is the same. Only the
 * length is known earlier, as with ChaCha20-Poly1305.
 */
static err_t seal_ctr_hmac(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - cipher->method->tag;
    TRY(hmac_tag(cipher, sequence, packet, tagged, packet + tagged));
    return ctr_crypt(cipher, packet, tagged);
}

static err_t open_ctr_hmac(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - cipher->method->tag;
    TRY(ctr_crypt(cipher, packet, tagged));
    return hmac_check(cipher, sequence, packet, tagged);
}

/* The stream goes back to where it was, the start of the packet, which is that of a block. */
static uint32_t packet_length_ctr_hmac(const struct cipher *cipher, uint32_t sequence,
                                       const uint8_t *packet) {
    (void)sequence;
    uint8_t counter[CTR_IV_BYTES];
    uint8_t clear[CIPHER_LENGTH_BYTES];
    INVARIANT(EVP_CIPHER_CTX_get_updated_iv(cipher->context, counter, sizeof counter) == 1 &&
              cipher_update(cipher->context, clear, packet, sizeof clear) &&
              EVP_CipherInit_ex2(cipher->context, NULL, NULL, counter, -1, NULL) == 1);
    return cipher_read_u32(clear);
}

const struct cipher_method cipher_aes128_gcm = {
    .id = CIPHER_AES128_GCM,
    .key = 16,
    .iv = CIPHER_GCM_IV_BYTES,
    .block = 16,
    .tag = 16,
    .init = init_gcm,
    .seal = seal_gcm,
    .open = open_gcm,
};

const struct cipher_method cipher_aes256_gcm = {
    .id = CIPHER_AES256_GCM,
    .key = 32,
    .iv = CIPHER_GCM_IV_BYTES,
    .block = 16,
    .tag = 16,
    .init = init_gcm,
    .seal = seal_gcm,
    .open = open_gcm,
};

const struct cipher_method cipher_aes256_ctr_etm = {
    .id = CIPHER_AES256_CTR_ETM,
    .key = 32,
    .iv = CTR_IV_BYTES,
    .mac_key = 32,
    .block = 16,
    .tag = 32,
    .init = init_ctr,
    .seal = seal_ctr_etm,
    .open = open_ctr_etm,
};

const struct cipher_method cipher_aes256_ctr_hmac = {
    .id = CIPHER_AES256_CTR_HMAC,
    .key = 32,
    .iv = CTR_IV_BYTES,
    .mac_key = 32,
    .block = 16,
    .tag = 32,
    .length_is_padded = true,
    .init = init_ctr,
    .packet_length = packet_length_ctr_hmac,
    .seal = seal_ctr_hmac,
    .open = open_ctr_hmac,
};
