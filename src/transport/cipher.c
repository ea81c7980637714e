#include "transport/cipher.h"

#include <openssl/err.h>

#include "base/secret.h"
#include "transport/cipher_internal.h"

enum {
    PADDING_BYTES_MIN = 4,
    /* packet_length of one byte of payload: padding_length, payload, padding */
    PACKET_LENGTH_MIN = 1 + 1 + PADDING_BYTES_MIN,
};

err_t cipher_libcrypto_failed(void) {
    ERR_clear_error();
    return FAIL(ERR_CRYPTO);
}

bool cipher_update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t len) {
    int done = 0;
    return EVP_CipherUpdate(context, out, &done, in, (int)len) == 1 && (size_t)done == len;
}

uint32_t cipher_read_u32(const uint8_t *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void cipher_write_u32(uint8_t *to, uint32_t value) {
    for (size_t i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static err_t init_none(struct cipher *cipher, const uint8_t *key, const uint8_t *iv,
                       const uint8_t *mac_key) {
    (void)cipher, (void)key, (void)iv, (void)mac_key;
    return OK;
}

static err_t seal_none(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)cipher, (void)sequence, (void)packet, (void)len;
    return OK;
}

/* No tag says whether the length is the caller's. */
static err_t open_none(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len) {
    (void)cipher, (void)sequence;
    return cipher_read_u32(packet) == len - CIPHER_LENGTH_BYTES ? OK : FAIL(ERR_MALFORMED);
}

static const struct cipher_method cipher_none = {
    .id = CIPHER_NONE,
    .block = 8,
    .length_is_padded = true,
    .init = init_none,
    .seal = seal_none,
    .open = open_none,
};

static const struct cipher_method *const methods[CIPHER_IDS_COUNT] = {
    [CIPHER_NONE] = &cipher_none,
    [CIPHER_AES128_GCM] = &cipher_aes128_gcm,
    [CIPHER_AES256_GCM] = &cipher_aes256_gcm,
    [CIPHER_CHACHA20_POLY1305] = &cipher_chacha20_poly1305,
    [CIPHER_AES256_CTR_ETM] = &cipher_aes256_ctr_etm,
    [CIPHER_AES256_CTR_HMAC] = &cipher_aes256_ctr_hmac,
};

size_t cipher_key_bytes(enum cipher_id id) { return methods[id]->key; }
size_t cipher_iv_bytes(enum cipher_id id) { return methods[id]->iv; }
size_t cipher_mac_key_bytes(enum cipher_id id) { return methods[id]->mac_key; }

err_t cipher_new(enum cipher_id id, bool seal, const uint8_t *key, const uint8_t *iv,
                 const uint8_t *mac_key, struct cipher **out) {
    struct cipher *cipher CLEANUP(cipher_freep) = calloc(1, sizeof *cipher);
    if (cipher == NULL) {
        return FAIL(ERR_MEMORY);
    }
    cipher->method = methods[id];
    cipher->seal = seal;
    TRY(cipher->method->init(cipher, key, iv, mac_key));
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
static size_t padding_len(const struct cipher_method *method, size_t payload_len) {
    size_t unpadded = payload_len + 1 + (method->length_is_padded ? CIPHER_LENGTH_BYTES : 0);
    size_t fill = method->block - unpadded % method->block;
    return fill >= PADDING_BYTES_MIN ? fill : fill + method->block;
}

size_t cipher_sealed_len(const struct cipher *cipher, size_t payload_len) {
    const struct cipher_method *method = cipher->method;
    return CIPHER_HEADER_BYTES + payload_len + padding_len(method, payload_len) + method->tag;
}

err_t cipher_seal(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t payload_len) {
    INVARIANT(cipher->seal && payload_len > 0);
    const struct cipher_method *method = cipher->method;
    size_t len = cipher_sealed_len(cipher, payload_len);
    if (len > LIMIT_PACKET_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t padding = padding_len(method, payload_len);
    cipher_write_u32(packet, (uint32_t)(1 + payload_len + padding));
    packet[CIPHER_LENGTH_BYTES] = (uint8_t)padding;
    memset(packet + CIPHER_HEADER_BYTES + payload_len, 0, padding);
    return method->seal(cipher, sequence, packet, len);
}

err_t cipher_packet_len(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                        size_t *len) {
    const struct cipher_method *method = cipher->method;
    uint32_t length = method->packet_length == NULL
                          ? cipher_read_u32(packet)
                          : method->packet_length(cipher, sequence, packet);
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
    const struct cipher_method *method = cipher->method;
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
