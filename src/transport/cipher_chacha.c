#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sodium.h>
#include <threads.h>

#include "base/secret.h"
#include "transport/cipher_internal.h"

enum { CHACHA_BLOCK_BYTES = 64, POLY1305_KEY_BYTES = 32, POLY1305_TAG_BYTES = 16 };

/*
 * ChaCha20 and Poly1305 have no key schedule worth keeping, but contexts of libcrypto that are many
 * times the size of the key. So a thread has one of each for all its packets, and they hold no key
 * between two calls.
 */
struct chacha {
    EVP_CIPHER_CTX *stream;
    EVP_MAC_CTX *poly1305;
};

static struct {
    EVP_CIPHER *chacha20;
    EVP_MAC *poly1305;
    tss_t scratch;
} library;

static void chacha_free(void *data) {
    struct chacha *chacha = data;
    if (chacha != NULL) {
        EVP_CIPHER_CTX_free(chacha->stream);
        EVP_MAC_CTX_free(chacha->poly1305);
        free(chacha);
    }
}

static void chacha_freep(struct chacha **chacha) { chacha_free(*chacha); }

static void library_fetch(void) {
    library.chacha20 = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
    library.poly1305 = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_POLY1305, NULL);
    INVARIANT(library.chacha20 != NULL && library.poly1305 != NULL);
    INVARIANT(tss_create(&library.scratch, chacha_free) == thrd_success);
    INVARIANT(sodium_init() >= 0);
}

static err_t chacha_of_thread(struct chacha **out) {
    struct chacha *known = tss_get(library.scratch);
    if (known != NULL) {
        *out = known;
        return OK;
    }
    struct chacha *chacha CLEANUP(chacha_freep) = calloc(1, sizeof *chacha);
    if (chacha == NULL) {
        return FAIL(ERR_MEMORY);
    }
    chacha->stream = EVP_CIPHER_CTX_new();
    chacha->poly1305 = EVP_MAC_CTX_new(library.poly1305);
    if (chacha->stream == NULL || chacha->poly1305 == NULL ||
        EVP_EncryptInit_ex2(chacha->stream, library.chacha20, NULL, NULL, NULL) != 1) {
        return cipher_libcrypto_failed();
    }
    if (tss_set(library.scratch, chacha) != thrd_success) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(chacha);
    return OK;
}

static err_t init_chacha(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                         const uint8_t *mac_key) {
    (void)iv, (void)mac_key;
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, library_fetch);
    memcpy(cipher->secret.keys, key, sizeof cipher->secret.keys);
    return OK;
}

/* The key stream from block 0 on. libcrypto's IV is the block counter, little-endian, and then the
 * nonce, which is the sequence number as a uint64. */
static bool chacha_begin(struct chacha *chacha, const uint8_t key[CIPHER_CHACHA_KEY_BYTES],
                         uint32_t sequence) {
    uint8_t iv[16] = {0};
    cipher_write_u32(iv + 12, sequence);
    return EVP_CipherInit_ex2(chacha->stream, NULL, key, iv, -1, NULL) == 1;
}

/* Leaves neither the key nor key stream in the thread's context. */
static void chacha_end(struct chacha *chacha) {
    static const uint8_t zero[CIPHER_CHACHA_KEY_BYTES];
    uint8_t ignored;
    INVARIANT(chacha_begin(chacha, zero, 0) && cipher_update(chacha->stream, &ignored, zero, 1));
}

/* libsodium's keeps nothing, which for four bytes is faster than a context. */
static void crypt_length(const struct cipher *cipher, uint32_t sequence, const uint8_t *in,
                         uint8_t *out) {
    uint8_t nonce[8] = {0};
    cipher_write_u32(nonce + 4, sequence);
    (void)crypto_stream_chacha20_xor_ic(out, in, CIPHER_LENGTH_BYTES, nonce, 0,
                                        cipher->secret.keys + CIPHER_CHACHA_KEY_BYTES);
}

/* Gives the packet's key for Poly1305, which is the start of block 0; the payload's key stream
 * begins with block 1. */
static bool chacha_payload(struct chacha *chacha, const struct cipher *cipher, uint32_t sequence,
                           uint8_t block0[CHACHA_BLOCK_BYTES]) {
    memset(block0, 0, CHACHA_BLOCK_BYTES);
    return chacha_begin(chacha, cipher->secret.keys, sequence) &&
           cipher_update(chacha->stream, block0, block0, CHACHA_BLOCK_BYTES);
}

/* libcrypto forgets the key with the last step. */
static bool chacha_tag(struct chacha *chacha, const uint8_t *key, const uint8_t *data, size_t len,
                       uint8_t *out) {
    size_t written = 0;
    return EVP_MAC_init(chacha->poly1305, key, POLY1305_KEY_BYTES, NULL) == 1 &&
           EVP_MAC_update(chacha->poly1305, data, len) == 1 &&
           EVP_MAC_final(chacha->poly1305, out, &written, POLY1305_TAG_BYTES) == 1;
}

static uint32_t packet_length_chacha(const struct cipher *cipher, uint32_t sequence,
                                     const uint8_t *packet) {
    uint8_t clear[CIPHER_LENGTH_BYTES];
    crypt_length(cipher, sequence, packet, clear);
    return cipher_read_u32(clear);
}

static err_t seal_chacha(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    struct chacha *chacha;
    TRY(chacha_of_thread(&chacha));
    size_t tagged = len - POLY1305_TAG_BYTES;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    uint8_t block0[CHACHA_BLOCK_BYTES];
    crypt_length(cipher, sequence, packet, packet);
    bool done = chacha_payload(chacha, cipher, sequence, block0) &&
                cipher_update(chacha->stream, text, text, tagged - CIPHER_LENGTH_BYTES) &&
                chacha_tag(chacha, block0, packet, tagged, packet + tagged);
    chacha_end(chacha);
    secret_wipe(block0, sizeof block0);
    return done ? OK : cipher_libcrypto_failed();
}

static err_t open_chacha(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    struct chacha *chacha;
    TRY(chacha_of_thread(&chacha));
    size_t tagged = len - POLY1305_TAG_BYTES;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    uint8_t block0[CHACHA_BLOCK_BYTES];
    uint8_t tag[POLY1305_TAG_BYTES];
    bool done = chacha_payload(chacha, cipher, sequence, block0) &&
                chacha_tag(chacha, block0, packet, tagged, tag);
    bool authentic = done && CRYPTO_memcmp(tag, packet + tagged, POLY1305_TAG_BYTES) == 0;
    if (authentic) {
        done = cipher_update(chacha->stream, text, text, tagged - CIPHER_LENGTH_BYTES);
    }
    chacha_end(chacha);
    secret_wipe(block0, sizeof block0);
    if (!done) {
        return cipher_libcrypto_failed();
    }
    return authentic ? OK : FAIL(ERR_SIGNATURE);
}

const struct cipher_method cipher_chacha20_poly1305 = {
    .id = CIPHER_CHACHA20_POLY1305,
    .key = 2 * CIPHER_CHACHA_KEY_BYTES,
    .block = 8,
    .tag = POLY1305_TAG_BYTES,
    .init = init_chacha,
    .packet_length = packet_length_chacha,
    .seal = seal_chacha,
    .open = open_chacha,
};
