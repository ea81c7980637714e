/* An authenticator in software, for tests: makes credentials and assertions as CTAP 2.1 has them,
 * and lets a test spoil each part. */
#ifndef POSTERN_TESTS_UNIT_SOFT_AUTHENTICATOR_H
#define POSTERN_TESTS_UNIT_SOFT_AUTHENTICATOR_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "check.h"
#include "identity/webauthn.h"

#define SOFT_ORIGIN "https://authority.example"
#define SOFT_RP     "authority.example"
#define SOFT_NOW    1800000000

struct soft_authenticator {
    EVP_PKEY *key;
    enum webauthn_algorithm algorithm;
    uint8_t id[LIMIT_PASSKEY_ID_BYTES + 1];
    size_t id_bytes;
    uint32_t counter;
    uint8_t aaguid[WEBAUTHN_AAGUID_BYTES];
    /* of its maker, where "packed" is not signed by the key itself; borrowed */
    EVP_PKEY *maker;
    span_t chain[2]; /* certificates */
    /* what the next answer says */
    const char *type, *origin, *rp_id, *format;
    const char *client_data_more; /* ",\"crossOrigin\":true" */
    unsigned flags;
    int64_t attest_algorithm; /* 0: the one that fits the key */
    bool attest_wrongly;
};

/* One answer; the spans of webauthn.h borrow from it. */
struct soft_answer {
    struct buf client_data, authenticator_data, attestation, signature, public_key;
};

enum { UP = 1, UV = 4, BE = 8, BS = 16, AT = 64, ED = 128 };

static inline struct soft_authenticator soft_new(enum webauthn_algorithm algorithm) {
    struct soft_authenticator soft = {.algorithm = algorithm,
                                      .origin = SOFT_ORIGIN,
                                      .rp_id = SOFT_RP,
                                      .format = "none",
                                      .client_data_more = "",
                                      .flags = UP | UV};
    soft.key = algorithm == WEBAUTHN_ES256   ? EVP_EC_gen("P-256")
               : algorithm == WEBAUTHN_RS256 ? EVP_RSA_gen(2048)
                                             : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(soft.key);
    memset(soft.id, 7, sizeof soft.id);
    soft.id_bytes = 32;
    return soft;
}

static inline void soft_done(struct soft_authenticator *soft) { EVP_PKEY_free(soft->key); }

static inline struct soft_answer soft_answer_new(void) {
    return (struct soft_answer){BUF(32768), BUF(32768), BUF(32768), BUF(8192), BUF(8192)};
}

static inline void soft_answer_done(struct soft_answer *answer) {
    buf_done(&answer->client_data);
    buf_done(&answer->authenticator_data);
    buf_done(&answer->attestation);
    buf_done(&answer->signature);
    buf_done(&answer->public_key);
}

/* ---- CBOR ---- */

static inline void put_head(struct buf *out, unsigned major, uint64_t value) {
    unsigned top = major << 5;
    if (value < 24) {
        assert_ok(buf_add_byte(out, (uint8_t)(top | value)));
    } else if (value < 256) {
        assert_ok(buf_add_byte(out, (uint8_t)(top | 24)));
        assert_ok(buf_add_byte(out, (uint8_t)value));
    } else {
        assert_ok(buf_add_byte(out, (uint8_t)(top | 25)));
        assert_ok(buf_add_byte(out, (uint8_t)(value >> 8)));
        assert_ok(buf_add_byte(out, (uint8_t)value));
    }
}

static inline void put_int(struct buf *out, int64_t value) {
    put_head(out, value < 0, (uint64_t)(value < 0 ? -1 - value : value));
}

static inline void put_bytes(struct buf *out, span_t bytes) {
    put_head(out, 2, bytes.len);
    assert_ok(buf_add(out, bytes));
}

static inline void put_text(struct buf *out, const char *text) {
    put_head(out, 3, strlen(text));
    assert_ok(buf_add_str(out, text));
}

static inline void put_number_of(struct buf *out, const EVP_PKEY *key, const char *name,
                                 size_t bytes) {
    BIGNUM *number = NULL;
    uint8_t raw[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    size_t len = bytes != 0 ? bytes : (size_t)BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, raw, (int)len), (int)len);
    BN_free(number);
    put_bytes(out, span_of(raw, len));
}

static inline void soft_public_key(const struct soft_authenticator *soft, struct buf *out) {
    uint8_t raw[32];
    size_t len = sizeof raw;
    bool ec = soft->algorithm == WEBAUTHN_ES256, rsa = soft->algorithm == WEBAUTHN_RS256;
    put_head(out, 5, ec ? 5 : 4);
    put_int(out, 1);
    put_int(out, ec ? 2 : rsa ? 3 : 1);
    put_int(out, 3);
    put_int(out, soft->algorithm);
    put_int(out, -1);
    if (rsa) {
        put_number_of(out, soft->key, OSSL_PKEY_PARAM_RSA_N, 0);
        put_int(out, -2);
        put_number_of(out, soft->key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (ec) {
        put_int(out, 1);
        put_int(out, -2);
        put_number_of(out, soft->key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
        put_int(out, -3);
        put_number_of(out, soft->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    } else {
        assert_int_equal(EVP_PKEY_get_raw_public_key(soft->key, raw, &len), 1);
        put_int(out, 6);
        put_int(out, -2);
        put_bytes(out, span_of(raw, len));
    }
}

/* ---- answers ---- */

static inline void soft_client_data(const struct soft_authenticator *soft, const char *type,
                                    span_t challenge, struct buf *out) {
    buf_clear(out);
    assert_ok(buf_add_format(out, "{\"type\":\"%s\",\"challenge\":\"",
                             soft->type != NULL ? soft->type : type));
    assert_ok(base64_encode(challenge, BASE64_URL, out));
    assert_ok(buf_add_format(out, "\",\"origin\":\"%s\"%s}", soft->origin, soft->client_data_more));
}

static inline void soft_head(const struct soft_authenticator *soft, unsigned flags,
                             struct buf *out) {
    uint8_t hash[32];
    buf_clear(out);
    (void)SHA256((const uint8_t *)soft->rp_id, strlen(soft->rp_id), hash);
    assert_ok(buf_add(out, span_of(hash, sizeof hash)));
    assert_ok(buf_add_byte(out, (uint8_t)flags));
    for (int shift = 24; shift >= 0; shift -= 8) {
        assert_ok(buf_add_byte(out, (uint8_t)(soft->counter >> shift)));
    }
}

static inline void soft_sign_by(EVP_PKEY *key, struct soft_answer *answer) {
    uint8_t hash[32], signature[1024];
    size_t len = sizeof signature;
    struct buf input CLEANUP(buf_done) = BUF(32 * 1024);
    (void)SHA256(answer->client_data.data, answer->client_data.len, hash);
    assert_ok(buf_add(&input, buf_span(&answer->authenticator_data)));
    assert_ok(buf_add(&input, span_of(hash, sizeof hash)));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const char *digest = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : "SHA256";
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &len, input.data, input.len), 1);
    EVP_MD_CTX_free(context);
    buf_clear(&answer->signature);
    assert_ok(buf_add(&answer->signature, span_of(signature, len)));
}

static inline void soft_sign(const struct soft_authenticator *soft, struct soft_answer *answer) {
    soft_sign_by(soft->key, answer);
}

/* The algorithm that fits the key. */
static inline int64_t soft_algorithm_of(const EVP_PKEY *key) {
    int type = EVP_PKEY_get_base_id(key);
    return type == EVP_PKEY_EC        ? WEBAUTHN_ES256
           : type == EVP_PKEY_ED25519 ? WEBAUTHN_EDDSA
                                      : WEBAUTHN_RS256;
}

static inline void soft_put_packed(const struct soft_authenticator *soft,
                                   struct soft_answer *answer) {
    struct buf *out = &answer->attestation;
    EVP_PKEY *signer = soft->maker != NULL ? soft->maker : soft->key;
    soft_sign_by(signer, answer);
    answer->signature.data[8] ^= soft->attest_wrongly;
    put_head(out, 5, soft->maker != NULL ? 3 : 2);
    put_text(out, "alg");
    put_int(out, soft->attest_algorithm != 0 ? soft->attest_algorithm : soft_algorithm_of(signer));
    put_text(out, "sig");
    put_bytes(out, buf_span(&answer->signature));
    if (soft->maker != NULL) {
        put_text(out, "x5c");
        put_head(out, 4, (size_t)(soft->chain[0].len > 0) + (size_t)(soft->chain[1].len > 0));
        for (size_t i = 0; i < COUNT_OF(soft->chain) && soft->chain[i].len > 0; i++) {
            put_bytes(out, soft->chain[i]);
        }
    }
}

static inline struct webauthn_registration
soft_register(struct soft_authenticator *soft, span_t challenge, struct soft_answer *answer) {
    struct buf *data = &answer->authenticator_data, *out = &answer->attestation;
    soft_client_data(soft, "webauthn.create", challenge, &answer->client_data);
    soft_head(soft, soft->flags | AT, data);
    assert_ok(buf_add(data, span_of(soft->aaguid, sizeof soft->aaguid)));
    assert_ok(buf_add_byte(data, (uint8_t)(soft->id_bytes >> 8)));
    assert_ok(buf_add_byte(data, (uint8_t)soft->id_bytes));
    assert_ok(buf_add(data, span_of(soft->id, soft->id_bytes)));
    buf_clear(&answer->public_key);
    soft_public_key(soft, &answer->public_key);
    assert_ok(buf_add(data, buf_span(&answer->public_key)));
    buf_clear(out);
    put_head(out, 5, 3);
    put_text(out, "fmt");
    put_text(out, soft->format);
    put_text(out, "attStmt");
    if (strcmp(soft->format, "packed") == 0) {
        soft_put_packed(soft, answer);
    } else {
        put_head(out, 5, 0);
    }
    put_text(out, "authData");
    put_bytes(out, buf_span(data));
    return (struct webauthn_registration){buf_span(&answer->client_data), buf_span(out)};
}

static inline struct webauthn_assertion soft_assert(struct soft_authenticator *soft,
                                                    span_t challenge, struct soft_answer *answer) {
    soft_client_data(soft, "webauthn.get", challenge, &answer->client_data);
    soft_head(soft, soft->flags, &answer->authenticator_data);
    soft_sign(soft, answer);
    return (struct webauthn_assertion){buf_span(&answer->client_data),
                                       buf_span(&answer->authenticator_data),
                                       buf_span(&answer->signature)};
}

#endif
