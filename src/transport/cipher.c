#include "transport/cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <threads.h>

#include "base/secret.h"

enum {
    PADDING_BYTES_MIN = 4,
    /* packet_length of one byte of payload: padding_length, payload, padding */
    PACKET_LENGTH_MIN = 1 + 1 + PADDING_BYTES_MIN,
    GCM_IV_BYTES = 12,
    GCM_IV_FIXED_BYTES = 4,
    CHACHA_KEY_BYTES = 32,
    CHACHA_BLOCK_BYTES = 64,
    POLY1305_KEY_BYTES = 32,
    TAG_BYTES_MAX = 32,
};

struct method {
    const char *name; /* libcrypto's */
    uint8_t key, iv, mac_key, block, tag;
    bool length_is_padded; /* the length field counts towards the multiple of the block */
    err_t (*init)(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                  const uint8_t *mac_key);
    err_t (*packet_length)(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                           uint32_t *length);
    /* Both work on a whole packet of `len` bytes, tag included. */
    err_t (*seal)(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len);
    err_t (*open)(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len);
};

struct cipher {
    enum cipher_id id;
    bool seal;
    EVP_CIPHER_CTX *context; /* AES */
    EVP_MAC_CTX *mac;        /* HMAC */
    union {
        uint8_t iv[GCM_IV_BYTES];           /* AES-GCM: of the next packet */
        uint8_t keys[2 * CHACHA_KEY_BYTES]; /* ChaCha20: for the payload, for the length */
    } secret;
};

static err_t libcrypto_failed(void) {
    ERR_clear_error();
    return FAIL(ERR_CRYPTO);
}

static uint32_t read_u32(const uint8_t *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void write_u32(uint8_t *to, uint32_t value) {
    for (size_t i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* --- what is looked up once a process, and what a thread has --- */

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
    EVP_CIPHER *ciphers[CIPHER_IDS_COUNT];
    EVP_MAC *hmac, *poly1305;
    tss_t chacha;
} library;

static const struct method methods[CIPHER_IDS_COUNT];

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
    for (size_t id = 0; id < CIPHER_IDS_COUNT; id++) {
        if (methods[id].name != NULL) {
            library.ciphers[id] = EVP_CIPHER_fetch(NULL, methods[id].name, NULL);
            INVARIANT(library.ciphers[id] != NULL);
        }
    }
    library.hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    library.poly1305 = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_POLY1305, NULL);
    INVARIANT(library.hmac != NULL && library.poly1305 != NULL);
    INVARIANT(tss_create(&library.chacha, chacha_free) == thrd_success);
}

static void library_init(void) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, library_fetch);
}

static err_t chacha_of_thread(struct chacha **out) {
    struct chacha *known = tss_get(library.chacha);
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
        EVP_EncryptInit_ex2(chacha->stream, library.ciphers[CIPHER_CHACHA20_POLY1305], NULL, NULL,
                            NULL) != 1) {
        return libcrypto_failed();
    }
    if (tss_set(library.chacha, chacha) != thrd_success) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(chacha);
    return OK;
}

/* --- no cipher --- */

static err_t init_none(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                       const uint8_t *mac_key) {
    (void)cipher, (void)key, (void)iv, (void)mac_key;
    return OK;
}

static err_t packet_length_in_clear(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                                    uint32_t *length) {
    (void)cipher, (void)sequence;
    *length = read_u32(packet);
    return OK;
}

static err_t seal_none(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)cipher, (void)sequence, (void)packet, (void)len;
    return OK;
}

/* No tag says whether the length is the caller's. */
static err_t open_none(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)cipher, (void)sequence;
    return read_u32(packet) == len - CIPHER_LENGTH_BYTES ? OK : FAIL(ERR_MALFORMED);
}

/* --- AES --- */

static err_t init_aes(struct cipher *cipher, const uint8_t *key, const uint8_t *iv) {
    cipher->context = EVP_CIPHER_CTX_new();
    if (cipher->context == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (EVP_CipherInit_ex2(cipher->context, library.ciphers[cipher->id], key, iv, cipher->seal,
                           NULL) != 1) {
        return libcrypto_failed();
    }
    return OK;
}

static bool update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t len) {
    int done = 0;
    return EVP_CipherUpdate(context, out, &done, in, (int)len) == 1 && (size_t)done == len;
}

static err_t init_gcm(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                      const uint8_t *mac_key) {
    (void)mac_key;
    memcpy(cipher->secret.iv, iv, GCM_IV_BYTES);
    return init_aes(cipher, key, iv);
}

/* Sets the packet's IV and counts the invocation (RFC 5647 section 7.1). */
static bool gcm_begin(struct cipher *cipher, const uint8_t *packet) {
    uint8_t *iv = cipher->secret.iv;
    if (EVP_CipherInit_ex2(cipher->context, NULL, NULL, iv, -1, NULL) != 1) {
        return false;
    }
    for (size_t i = GCM_IV_BYTES; i-- > GCM_IV_FIXED_BYTES;) {
        iv[i]++;
        if (iv[i] != 0) {
            break;
        }
    }
    return update(cipher->context, NULL, packet, CIPHER_LENGTH_BYTES);
}

static err_t seal_gcm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)sequence;
    size_t tag = methods[cipher->id].tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    int rest = 0;
    if (!gcm_begin(cipher, packet) ||
        !update(cipher->context, text, text, len - CIPHER_LENGTH_BYTES - tag) ||
        EVP_EncryptFinal_ex(cipher->context, packet + len - tag, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, (int)tag, packet + len - tag) !=
            1) {
        return libcrypto_failed();
    }
    return OK;
}

static err_t open_gcm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)sequence;
    size_t tag = methods[cipher->id].tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    int rest = 0;
    if (!gcm_begin(cipher, packet) ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, (int)tag, packet + len - tag) !=
            1 ||
        !update(cipher->context, text, text, len - CIPHER_LENGTH_BYTES - tag)) {
        return libcrypto_failed();
    }
    if (EVP_DecryptFinal_ex(cipher->context, packet + len - tag, &rest) != 1) {
        ERR_clear_error();
        return FAIL(ERR_SIGNATURE);
    }
    return OK;
}

static err_t init_ctr_etm(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                          const uint8_t *mac_key) {
    TRY(init_aes(cipher, key, iv));
    cipher->mac = EVP_MAC_CTX_new(library.hmac);
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    if (cipher->mac == NULL ||
        EVP_MAC_init(cipher->mac, mac_key, methods[cipher->id].mac_key, params) != 1) {
        return libcrypto_failed();
    }
    return OK;
}

static err_t ctr_etm_tag(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                         size_t len, uint8_t out[TAG_BYTES_MAX]) {
    uint8_t number[4];
    write_u32(number, sequence);
    size_t written = 0;
    if (EVP_MAC_init(cipher->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(cipher->mac, number, sizeof number) != 1 ||
        EVP_MAC_update(cipher->mac, packet, len) != 1 ||
        EVP_MAC_final(cipher->mac, out, &written, TAG_BYTES_MAX) != 1) {
        return libcrypto_failed();
    }
    return OK;
}

static err_t ctr_etm_crypt(struct cipher *cipher, uint8_t *packet, size_t len) {
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    return update(cipher->context, text, text, len - CIPHER_LENGTH_BYTES) ? OK : libcrypto_failed();
}

static err_t seal_ctr_etm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - methods[cipher->id].tag;
    TRY(ctr_etm_crypt(cipher, packet, tagged));
    return ctr_etm_tag(cipher, sequence, packet, tagged, packet + tagged);
}

static err_t open_ctr_etm(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    size_t tagged = len - methods[cipher->id].tag;
    uint8_t tag[TAG_BYTES_MAX];
    TRY(ctr_etm_tag(cipher, sequence, packet, tagged, tag));
    if (CRYPTO_memcmp(tag, packet + tagged, methods[cipher->id].tag) != 0) {
        return FAIL(ERR_SIGNATURE);
    }
    return ctr_etm_crypt(cipher, packet, tagged);
}

/* --- chacha20-poly1305@openssh.com --- */

static err_t init_chacha(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                         const uint8_t *mac_key) {
    (void)iv, (void)mac_key;
    memcpy(cipher->secret.keys, key, sizeof cipher->secret.keys);
    return OK;
}

/* The key stream from block 0 on. libcrypto's IV is the block counter, little-endian, and then the
 * nonce, which is the sequence number as a uint64. */
static bool chacha_begin(struct chacha *chacha, const uint8_t key[CHACHA_KEY_BYTES],
                         uint32_t sequence) {
    uint8_t iv[16] = {0};
    write_u32(iv + 12, sequence);
    return EVP_CipherInit_ex2(chacha->stream, NULL, key, iv, -1, NULL) == 1;
}

/* Leaves neither the key nor key stream in the thread's context. */
static void chacha_end(struct chacha *chacha) {
    static const uint8_t zero[CHACHA_KEY_BYTES];
    uint8_t ignored;
    INVARIANT(chacha_begin(chacha, zero, 0) && update(chacha->stream, &ignored, zero, 1));
}

static bool chacha_length(struct chacha *chacha, const struct cipher *cipher, uint32_t sequence,
                          const uint8_t *in, uint8_t *out) {
    return chacha_begin(chacha, cipher->secret.keys + CHACHA_KEY_BYTES, sequence) &&
           update(chacha->stream, out, in, CIPHER_LENGTH_BYTES);
}

/* Gives the packet's key for Poly1305, which is the start of block 0; the payload's key stream
 * begins with block 1. */
static bool chacha_payload(struct chacha *chacha, const struct cipher *cipher, uint32_t sequence,
                           uint8_t block0[CHACHA_BLOCK_BYTES]) {
    memset(block0, 0, CHACHA_BLOCK_BYTES);
    return chacha_begin(chacha, cipher->secret.keys, sequence) &&
           update(chacha->stream, block0, block0, CHACHA_BLOCK_BYTES);
}

/* libcrypto forgets the key with the last step. */
static bool chacha_tag(struct chacha *chacha, const uint8_t *key, const uint8_t *data, size_t len,
                       uint8_t *out) {
    size_t written = 0;
    return EVP_MAC_init(chacha->poly1305, key, POLY1305_KEY_BYTES, NULL) == 1 &&
           EVP_MAC_update(chacha->poly1305, data, len) == 1 &&
           EVP_MAC_final(chacha->poly1305, out, &written, methods[CIPHER_CHACHA20_POLY1305].tag) ==
               1;
}

static err_t packet_length_chacha(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                                  uint32_t *length) {
    struct chacha *chacha;
    TRY(chacha_of_thread(&chacha));
    uint8_t clear[CIPHER_LENGTH_BYTES];
    bool done = chacha_length(chacha, cipher, sequence, packet, clear);
    chacha_end(chacha);
    if (!done) {
        return libcrypto_failed();
    }
    *length = read_u32(clear);
    return OK;
}

static err_t seal_chacha(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    struct chacha *chacha;
    TRY(chacha_of_thread(&chacha));
    size_t tagged = len - methods[cipher->id].tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    uint8_t block0[CHACHA_BLOCK_BYTES];
    bool done = chacha_length(chacha, cipher, sequence, packet, packet) &&
                chacha_payload(chacha, cipher, sequence, block0) &&
                update(chacha->stream, text, text, tagged - CIPHER_LENGTH_BYTES) &&
                chacha_tag(chacha, block0, packet, tagged, packet + tagged);
    chacha_end(chacha);
    secret_wipe(block0, sizeof block0);
    return done ? OK : libcrypto_failed();
}

static err_t open_chacha(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    struct chacha *chacha;
    TRY(chacha_of_thread(&chacha));
    size_t tagged = len - methods[cipher->id].tag;
    uint8_t *text = packet + CIPHER_LENGTH_BYTES;
    uint8_t block0[CHACHA_BLOCK_BYTES];
    uint8_t tag[TAG_BYTES_MAX];
    bool done = chacha_payload(chacha, cipher, sequence, block0) &&
                chacha_tag(chacha, block0, packet, tagged, tag);
    bool authentic = done && CRYPTO_memcmp(tag, packet + tagged, methods[cipher->id].tag) == 0;
    if (authentic) {
        done = update(chacha->stream, text, text, tagged - CIPHER_LENGTH_BYTES);
    }
    chacha_end(chacha);
    secret_wipe(block0, sizeof block0);
    if (!done) {
        return libcrypto_failed();
    }
    return authentic ? OK : FAIL(ERR_SIGNATURE);
}

/* --- */

static const struct method methods[CIPHER_IDS_COUNT] = {
    [CIPHER_NONE] = {NULL, 0, 0, 0, 8, 0, true, init_none, packet_length_in_clear, seal_none,
                     open_none},
    [CIPHER_AES128_GCM] = {"AES-128-GCM", 16, GCM_IV_BYTES, 0, 16, 16, false, init_gcm,
                           packet_length_in_clear, seal_gcm, open_gcm},
    [CIPHER_AES256_GCM] = {"AES-256-GCM", 32, GCM_IV_BYTES, 0, 16, 16, false, init_gcm,
                           packet_length_in_clear, seal_gcm, open_gcm},
    [CIPHER_CHACHA20_POLY1305] = {"ChaCha20", 2 * CHACHA_KEY_BYTES, 0, 0, 8, 16, false, init_chacha,
                                  packet_length_chacha, seal_chacha, open_chacha},
    [CIPHER_AES256_CTR_ETM] = {"AES-256-CTR", 32, 16, 32, 16, 32, false, init_ctr_etm,
                               packet_length_in_clear, seal_ctr_etm, open_ctr_etm},
};

size_t cipher_key_bytes(enum cipher_id id) { return methods[id].key; }
size_t cipher_iv_bytes(enum cipher_id id) { return methods[id].iv; }
size_t cipher_mac_key_bytes(enum cipher_id id) { return methods[id].mac_key; }

err_t cipher_new(enum cipher_id id, bool seal, const uint8_t *key, const uint8_t *iv,
                 const uint8_t *mac_key, struct cipher **out) {
    library_init();
    struct cipher *cipher CLEANUP(cipher_freep) = calloc(1, sizeof *cipher);
    if (cipher == NULL) {
        return FAIL(ERR_MEMORY);
    }
    cipher->id = id;
    cipher->seal = seal;
    TRY(methods[id].init(cipher, key, iv, mac_key));
    *out = TAKE(cipher);
    return OK;
}

void cipher_free(struct cipher *cipher) {
    if (cipher != NULL) {
        EVP_CIPHER_CTX_free(cipher->context);
        EVP_MAC_CTX_free(cipher->mac);
        secret_wipe(cipher, sizeof *cipher);
        free(cipher);
    }
}

void cipher_freep(struct cipher **cipher) { cipher_free(*cipher); }

/* Of a packet, at least PADDING_BYTES_MIN. */
static size_t padding_len(const struct method *method, size_t payload_len) {
    size_t unpadded = payload_len + 1 + (method->length_is_padded ? CIPHER_LENGTH_BYTES : 0);
    size_t fill = method->block - unpadded % method->block;
    return fill >= PADDING_BYTES_MIN ? fill : fill + method->block;
}

size_t cipher_sealed_len(const struct cipher *cipher, size_t payload_len) {
    const struct method *method = &methods[cipher->id];
    return CIPHER_HEADER_BYTES + payload_len + padding_len(method, payload_len) + method->tag;
}

err_t cipher_seal(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t payload_len) {
    INVARIANT(cipher->seal && payload_len > 0);
    const struct method *method = &methods[cipher->id];
    size_t len = cipher_sealed_len(cipher, payload_len);
    if (len > LIMIT_PACKET_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t padding = padding_len(method, payload_len);
    write_u32(packet, (uint32_t)(1 + payload_len + padding));
    packet[CIPHER_LENGTH_BYTES] = (uint8_t)padding;
    memset(packet + CIPHER_HEADER_BYTES + payload_len, 0, padding);
    return method->seal(cipher, sequence, packet, len);
}

err_t cipher_packet_len(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                        size_t *len) {
    const struct method *method = &methods[cipher->id];
    uint32_t length;
    TRY(method->packet_length(cipher, sequence, packet, &length));
    size_t padded = (size_t)length + (method->length_is_padded ? CIPHER_LENGTH_BYTES : 0);
    size_t whole = CIPHER_LENGTH_BYTES + (size_t)length + method->tag;
    if (whole > LIMIT_PACKET_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    if (length < PACKET_LENGTH_MIN || padded % method->block != 0) {
        return FAIL(ERR_MALFORMED);
    }
    *len = whole;
    return OK;
}

err_t cipher_open(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len,
                  span_t *payload) {
    INVARIANT(!cipher->seal);
    const struct method *method = &methods[cipher->id];
    if (len < (size_t)CIPHER_LENGTH_BYTES + PACKET_LENGTH_MIN + method->tag) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(method->open(cipher, sequence, packet, len));
    size_t inner = len - CIPHER_HEADER_BYTES - method->tag; /* payload and padding */
    size_t padding = packet[CIPHER_LENGTH_BYTES];
    if (padding < PADDING_BYTES_MIN || padding >= inner) {
        return FAIL(ERR_MALFORMED);
    }
    *payload = span_of(packet + CIPHER_HEADER_BYTES, inner - padding);
    return OK;
}
