/* Signatures: RFC 8709 (Ed25519), RFC 5656 section 3.1.2 (ECDSA), RFC 8332 (RSA), OpenSSH
 * PROTOCOL.u2f (security keys). */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

enum { RSA_BYTES_MAX = LIMIT_RSA_BITS_MAX / 8 };
enum { SK_USER_PRESENT = 0x01 };

static void bn_freep(BIGNUM **number) { BN_free(*number); }
static void ecdsa_sig_freep(ECDSA_SIG **signature) { ECDSA_SIG_free(*signature); }
static void pkey_ctx_freep(EVP_PKEY_CTX **context) { EVP_PKEY_CTX_free(*context); }
static void param_bld_freep(OSSL_PARAM_BLD **builder) { OSSL_PARAM_BLD_free(*builder); }
static void params_freep(OSSL_PARAM **params) { OSSL_PARAM_free(*params); }

err_t key_ecdsa_to_der(span_t signature, uint8_t out[KEY_ECDSA_DER_BYTES], size_t *len) {
    span_t r;
    span_t s;
    TRY(wire_get_mpint(&signature, &r));
    TRY(wire_get_mpint(&signature, &s));
    TRY(wire_expect_end(signature));
    enum { SCALAR_BYTES_MAX = 66 };
    if (r.len > SCALAR_BYTES_MAX || s.len > SCALAR_BYTES_MAX) {
        return FAIL(ERR_RANGE);
    }
    ECDSA_SIG *pair CLEANUP(ecdsa_sig_freep) = ECDSA_SIG_new();
    BIGNUM *bn_r CLEANUP(bn_freep) = BN_bin2bn(r.data, (int)r.len, NULL);
    BIGNUM *bn_s CLEANUP(bn_freep) = BN_bin2bn(s.data, (int)s.len, NULL);
    if (pair == NULL || bn_r == NULL || bn_s == NULL || ECDSA_SIG_set0(pair, bn_r, bn_s) != 1) {
        return FAIL(ERR_MEMORY);
    }
    bn_r = NULL;
    bn_s = NULL;
    int need = i2d_ECDSA_SIG(pair, NULL);
    if (need <= 0 || need > KEY_ECDSA_DER_BYTES) {
        return FAIL(ERR_RANGE);
    }
    uint8_t *to = out;
    *len = (size_t)i2d_ECDSA_SIG(pair, &to);
    return OK;
}

static err_t put_bn(struct buf *out, const BIGNUM *number) {
    uint8_t bytes[KEY_ECDSA_DER_BYTES];
    int len = BN_num_bytes(number);
    INVARIANT(len >= 0 && (size_t)len <= sizeof bytes);
    (void)BN_bn2bin(number, bytes);
    return wire_put_mpint(out, span_of(bytes, (size_t)len));
}

err_t key_ecdsa_from_der(span_t der, struct buf *out) {
    const uint8_t *from = der.data;
    ECDSA_SIG *pair CLEANUP(ecdsa_sig_freep) = d2i_ECDSA_SIG(NULL, &from, (long)der.len);
    if (pair == NULL) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    TRY(put_bn(out, ECDSA_SIG_get0_r(pair)));
    return put_bn(out, ECDSA_SIG_get0_s(pair));
}

static err_t pkey_from_params(const char *algorithm, OSSL_PARAM *params, EVP_PKEY **out) {
    EVP_PKEY_CTX *context CLEANUP(pkey_ctx_freep) =
        EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

static err_t ec_pkey(const struct key *key, EVP_PKEY **out) {
    OSSL_PARAM_BLD *builder CLEANUP(param_bld_freep) = OSSL_PARAM_BLD_new();
    if (builder == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, key->kind->group, 0) !=
            1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, key->fields.point.data,
                                         key->fields.point.len) != 1) {
        return FAIL(ERR_MEMORY);
    }
    OSSL_PARAM *params CLEANUP(params_freep) = OSSL_PARAM_BLD_to_param(builder);
    return params == NULL ? FAIL(ERR_MEMORY) : pkey_from_params("EC", params, out);
}

static err_t rsa_pkey(const struct key *key, EVP_PKEY **out) {
    span_t n = key->fields.rsa_n;
    span_t e = key->fields.rsa_e;
    OSSL_PARAM_BLD *builder CLEANUP(param_bld_freep) = OSSL_PARAM_BLD_new();
    BIGNUM *bn_n CLEANUP(bn_freep) = BN_bin2bn(n.data, (int)n.len, NULL);
    BIGNUM *bn_e CLEANUP(bn_freep) = BN_bin2bn(e.data, (int)e.len, NULL);
    if (builder == NULL || bn_n == NULL || bn_e == NULL ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, bn_n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, bn_e) != 1) {
        return FAIL(ERR_MEMORY);
    }
    OSSL_PARAM *params CLEANUP(params_freep) = OSSL_PARAM_BLD_to_param(builder);
    return params == NULL ? FAIL(ERR_MEMORY) : pkey_from_params("RSA", params, out);
}

err_t key_pkey_new(const struct key *key, EVP_PKEY **out) {
    if (key->kind->type == KEY_ED25519) {
        *out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->fields.point.data,
                                           key->fields.point.len);
        return *out == NULL ? FAIL(ERR_CRYPTO) : OK;
    }
    return key->kind->type == KEY_RSA ? rsa_pkey(key, out) : ec_pkey(key, out);
}

/* Made once; of two threads that make it at the same time, one throws its own away. */
static err_t get_pkey(struct key *key, EVP_PKEY **out) {
    EVP_PKEY *pkey = atomic_load(&key->pkey);
    if (pkey == NULL) {
        EVP_PKEY *made = NULL;
        TRY(key_pkey_new(key, &made));
        if (atomic_compare_exchange_strong(&key->pkey, &pkey, made)) {
            pkey = made;
        } else {
            EVP_PKEY_free(made);
        }
    }
    *out = pkey;
    return OK;
}

static err_t verify_with(const struct key *key, const EVP_MD *md, span_t data, span_t signature) {
    struct key *cache = (struct key *)(uintptr_t)key;
    EVP_PKEY *pkey;
    TRY(get_pkey(cache, &pkey));
    EVP_MD_CTX *context = atomic_exchange(&cache->context, NULL);
    if (context == NULL) {
        context = EVP_MD_CTX_new();
    }
    if (context == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = crypto_pkey_verify(context, pkey, md, data, signature);
    EVP_MD_CTX_free(atomic_exchange(&cache->context, context));
    return err;
}

static const EVP_MD *ecdsa_md(const struct key *key) {
    /* RFC 5656 section 6.2.1: the hash goes by the curve's size. */
    return crypto_md(key->kind->bits <= 256   ? CRYPTO_SHA256
                     : key->kind->bits <= 384 ? CRYPTO_SHA384
                                              : CRYPTO_SHA512);
}

static err_t verify_ecdsa(const struct key *key, span_t data, span_t signature) {
    uint8_t der[KEY_ECDSA_DER_BYTES];
    size_t len;
    TRY(key_ecdsa_to_der(signature, der, &len));
    return verify_with(key, ecdsa_md(key), data, span_of(der, len));
}

static err_t verify_ed25519(const struct key *key, span_t data, span_t signature) {
    if (signature.len != CRYPTO_ED25519_SIGNATURE_BYTES) {
        return FAIL(ERR_SIGNATURE);
    }
    return crypto_ed25519_verify(key->fields.point.data, data, signature.data);
}

static err_t verify_rsa(const struct key *key, span_t algorithm, span_t data, span_t signature) {
    const EVP_MD *md = NULL;
    /* SHA-1 ("ssh-rsa") is no algorithm here. */
    if (span_equal_str(algorithm, "rsa-sha2-512")) {
        md = crypto_md(CRYPTO_SHA512);
    } else if (span_equal_str(algorithm, "rsa-sha2-256")) {
        md = crypto_md(CRYPTO_SHA256);
    }
    size_t len = key->fields.rsa_n.len;
    if (md == NULL || signature.len == 0 || signature.len > len) {
        return FAIL(ERR_SIGNATURE);
    }
    /* Some signers leave out leading zeros; OpenSSH puts them back as well. */
    uint8_t padded[RSA_BYTES_MAX];
    memset(padded, 0, len - signature.len);
    memcpy(padded + len - signature.len, signature.data, signature.len);
    return verify_with(key, md, data, span_of(padded, len));
}

/* What a token signs: SHA-256 of the application, its flags and counter, SHA-256 of the message. */
static err_t verify_sk(const struct key *key, span_t data, span_t signature, span_t rest,
                       uint8_t *flags) {
    uint8_t signed_data[CRYPTO_SHA256_BYTES + 5 + CRYPTO_SHA256_BYTES];
    span_t tail = rest;
    uint32_t counter;
    TRY(wire_get_u8(&rest, flags));
    TRY(wire_get_u32(&rest, &counter));
    TRY(wire_expect_end(rest));
    if ((*flags & SK_USER_PRESENT) == 0) {
        return FAIL(ERR_SIGNATURE);
    }
    crypto_sha256(key->fields.application, signed_data);
    memcpy(signed_data + CRYPTO_SHA256_BYTES, tail.data, 5);
    crypto_sha256(data, signed_data + CRYPTO_SHA256_BYTES + 5);
    span_t whole = span_of(signed_data, sizeof signed_data);
    return key->kind->type == KEY_SK_ED25519 ? verify_ed25519(key, whole, signature)
                                             : verify_ecdsa(key, whole, signature);
}

static err_t verify(const struct key *key, span_t data, span_t blob, uint8_t *flags) {
    span_t algorithm;
    span_t signature;
    TRY(wire_get_string(&blob, &algorithm));
    TRY(wire_get_string(&blob, &signature));
    if (key->kind->type == KEY_RSA) {
        TRY(wire_expect_end(blob));
        return verify_rsa(key, algorithm, data, signature);
    }
    if (!span_equal_str(algorithm, key->kind->name)) {
        return FAIL(ERR_SIGNATURE);
    }
    if (key_kind_is_security_key(key->kind)) {
        return verify_sk(key, data, signature, blob, flags);
    }
    TRY(wire_expect_end(blob));
    return key->kind->curve != NULL ? verify_ecdsa(key, data, signature)
                                    : verify_ed25519(key, data, signature);
}

err_t key_verify(const struct key *key, span_t data, span_t signature, uint8_t *sk_flags) {
    uint8_t flags = 0;
    if (key->kind == NULL) {
        return FAIL(ERR_SIGNATURE);
    }
    err_t err = verify(key, data, signature, &flags);
    if (failed(err)) {
        /* Whatever is wrong with it, it is the signature; what is wrong with the machine is told
         * apart. */
        return err.code == ERR_MEMORY || err.code == ERR_CRYPTO ? err : FAIL(ERR_SIGNATURE);
    }
    if (sk_flags != NULL) {
        *sk_flags = flags;
    }
    return OK;
}
