#include "identity/public_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

enum { COORDINATE_BYTES_MAX = 66 };

static void free_builder(OSSL_PARAM_BLD **builder) { OSSL_PARAM_BLD_free(*builder); }
static void free_params(OSSL_PARAM **params) { OSSL_PARAM_free(*params); }
static void free_context(EVP_PKEY_CTX **context) { EVP_PKEY_CTX_free(*context); }
static void free_number(BIGNUM **number) { BN_free(*number); }
static void free_digest(EVP_MD_CTX **context) { EVP_MD_CTX_free(*context); }

void public_key_freep(EVP_PKEY **key) { EVP_PKEY_free(*key); }

static err_t build(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **out) {
    OSSL_PARAM *params CLEANUP(free_params) = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context CLEANUP(free_context) = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key CLEANUP(public_key_freep) = NULL;
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    if (EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return FAIL(ERR_KEY_INVALID);
    }
    EVP_PKEY_CTX *check CLEANUP(free_context) = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (check == NULL || EVP_PKEY_public_check(check) != 1) {
        return FAIL(ERR_KEY_INVALID);
    }
    *out = TAKE(key);
    return OK;
}

err_t public_key_rsa(span_t modulus, span_t exponent, EVP_PKEY **out) {
    if (modulus.len > PUBLIC_KEY_RSA_BITS_MAX / 8 || exponent.len > 8) {
        return FAIL(ERR_KEY_SIZE);
    }
    BIGNUM *n CLEANUP(free_number) = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    BIGNUM *e CLEANUP(free_number) = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
    OSSL_PARAM_BLD *builder CLEANUP(free_builder) = OSSL_PARAM_BLD_new();
    if (n == NULL || e == NULL || builder == NULL ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1) {
        return FAIL(ERR_MEMORY);
    }
    return BN_num_bits(n) < PUBLIC_KEY_RSA_BITS_MIN ? FAIL(ERR_KEY_SIZE)
                                                    : build("RSA", builder, out);
}

err_t public_key_ec(const char *group, span_t x, span_t y, EVP_PKEY **out) {
    struct buf point CLEANUP(buf_done) = BUF(1 + 2 * COORDINATE_BYTES_MAX);
    if (x.len != y.len) {
        return FAIL(ERR_KEY_INVALID);
    }
    TRY(buf_add_byte(&point, POINT_CONVERSION_UNCOMPRESSED));
    TRY(buf_add(&point, x));
    TRY(buf_add(&point, y));
    OSSL_PARAM_BLD *builder CLEANUP(free_builder) = OSSL_PARAM_BLD_new();
    if (builder == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) !=
            1) {
        return FAIL(ERR_MEMORY);
    }
    return build("EC", builder, out);
}

err_t public_key_ed25519(span_t x, EVP_PKEY **out) {
    if (x.len != PUBLIC_KEY_ED25519_BYTES) {
        return FAIL(ERR_KEY_INVALID);
    }
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
    if (key == NULL) {
        return FAIL(ERR_KEY_INVALID);
    }
    *out = key;
    return OK;
}

err_t public_key_verify(EVP_PKEY *key, const char *digest, span_t input, span_t signature) {
    EVP_MD_CTX *context CLEANUP(free_digest) = EVP_MD_CTX_new();
    if (context == NULL ||
        EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key, NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    return EVP_DigestVerify(context, signature.data, signature.len, input.data, input.len) == 1
               ? OK
               : FAIL(ERR_SIGNATURE);
}
