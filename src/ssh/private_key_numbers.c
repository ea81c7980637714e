/* Between the numbers of a private key as SSH writes them and libcrypto's keys. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"
#include "ssh/wire.h"

enum { NUMBER_BYTES_MAX = LIMIT_RSA_BITS_MAX / 8, ED25519_BYTES = 32, EC_BYTES_MAX = 66 };

static void bn_freep(BIGNUM **number) { BN_clear_free(*number); }
static void bn_ctx_freep(BN_CTX **context) { BN_CTX_free(*context); }
static void pkey_ctx_freep(EVP_PKEY_CTX **context) { EVP_PKEY_CTX_free(*context); }
static void param_bld_freep(OSSL_PARAM_BLD **builder) { OSSL_PARAM_BLD_free(*builder); }
static void params_freep(OSSL_PARAM **params) { OSSL_PARAM_free(*params); }

static BIGNUM *load(span_t magnitude) {
    /* Secure memory where the program has set it up; constant-time operations in any case. */
    BIGNUM *number = BN_secure_new();
    if (number == NULL || BN_bin2bn(magnitude.data, (int)magnitude.len, number) == NULL) {
        BN_clear_free(number);
        return NULL;
    }
    BN_set_flags(number, BN_FLG_CONSTTIME);
    return number;
}

static err_t from_params(const char *algorithm, OSSL_PARAM_BLD *builder, EVP_PKEY **out) {
    OSSL_PARAM *params CLEANUP(params_freep) = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context CLEANUP(pkey_ctx_freep) =
        EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_KEYPAIR, params) != 1) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    return OK;
}

err_t private_pkey_ec(const struct key_kind *kind, span_t point, span_t d, EVP_PKEY **out) {
    if (d.len == 0 || d.len > (kind->bits + 7) / 8) {
        return FAIL(ERR_KEY_INVALID);
    }
    OSSL_PARAM_BLD *builder CLEANUP(param_bld_freep) = OSSL_PARAM_BLD_new();
    BIGNUM *secret CLEANUP(bn_freep) = load(d);
    if (builder == NULL || secret == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, kind->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) !=
            1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret) != 1) {
        return FAIL(ERR_MEMORY);
    }
    return from_params("EC", builder, out);
}

struct rsa_bns {
    BIGNUM *n, *e, *d, *iqmp, *p, *q, *dmp1, *dmq1;
};

static void rsa_bns_done(struct rsa_bns *bns) {
    BIGNUM **all[] = {&bns->n, &bns->e, &bns->d,    &bns->iqmp,
                      &bns->p, &bns->q, &bns->dmp1, &bns->dmq1};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        BN_clear_free(*all[i]);
    }
}

/* d mod (prime - 1), which SSH leaves out. */
static BIGNUM *exponent_of(const BIGNUM *d, const BIGNUM *prime, BN_CTX *context) {
    BIGNUM *less CLEANUP(bn_freep) = BN_dup(prime);
    BIGNUM *exponent = BN_secure_new();
    if (less == NULL || exponent == NULL || BN_sub_word(less, 1) != 1) {
        BN_clear_free(exponent);
        return NULL;
    }
    BN_set_flags(less, BN_FLG_CONSTTIME);
    if (BN_mod(exponent, d, less, context) != 1) {
        BN_clear_free(exponent);
        return NULL;
    }
    return exponent;
}

static bool factors_fit(const struct rsa_bns *bns, BN_CTX *context) {
    BIGNUM *product CLEANUP(bn_freep) = BN_new();
    return product != NULL && BN_is_odd(bns->p) && BN_is_odd(bns->q) && !BN_is_one(bns->p) &&
           !BN_is_one(bns->q) && BN_mul(product, bns->p, bns->q, context) == 1 &&
           BN_cmp(product, bns->n) == 0 && BN_cmp(bns->iqmp, bns->p) < 0 &&
           BN_cmp(bns->d, bns->n) < 0;
}

err_t private_pkey_rsa(const struct rsa_numbers *numbers, EVP_PKEY **out) {
    const span_t all[] = {numbers->d, numbers->iqmp, numbers->p, numbers->q};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (all[i].len == 0 || all[i].len > numbers->n.len) {
            return FAIL(ERR_KEY_INVALID);
        }
    }
    struct rsa_bns bns CLEANUP(rsa_bns_done) = {.n = load(numbers->n),
                                                .e = load(numbers->e),
                                                .d = load(numbers->d),
                                                .iqmp = load(numbers->iqmp),
                                                .p = load(numbers->p),
                                                .q = load(numbers->q)};
    BN_CTX *context CLEANUP(bn_ctx_freep) = BN_CTX_secure_new();
    OSSL_PARAM_BLD *builder CLEANUP(param_bld_freep) = OSSL_PARAM_BLD_new();
    if (bns.n == NULL || bns.e == NULL || bns.d == NULL || bns.iqmp == NULL || bns.p == NULL ||
        bns.q == NULL || context == NULL || builder == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (!factors_fit(&bns, context)) {
        return FAIL(ERR_KEY_INVALID);
    }
    bns.dmp1 = exponent_of(bns.d, bns.p, context);
    bns.dmq1 = exponent_of(bns.d, bns.q, context);
    const struct {
        const char *name;
        const BIGNUM *number;
    } params[] = {
        {OSSL_PKEY_PARAM_RSA_N, bns.n},
        {OSSL_PKEY_PARAM_RSA_E, bns.e},
        {OSSL_PKEY_PARAM_RSA_D, bns.d},
        {OSSL_PKEY_PARAM_RSA_FACTOR1, bns.p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, bns.q},
        {OSSL_PKEY_PARAM_RSA_EXPONENT1, bns.dmp1},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, bns.dmq1},
        {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, bns.iqmp},
    };
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        if (params[i].number == NULL ||
            OSSL_PARAM_BLD_push_BN(builder, params[i].name, params[i].number) != 1) {
            return FAIL(ERR_MEMORY);
        }
    }
    return from_params("RSA", builder, out);
}

/* One number of a key, as an mpint. */
static err_t put_number(const EVP_PKEY *pkey, const char *name, struct buf *out) {
    BIGNUM *number CLEANUP(bn_freep) = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1 ||
        BN_num_bytes(number) > NUMBER_BYTES_MAX) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    uint8_t bytes[NUMBER_BYTES_MAX];
    size_t len = (size_t)BN_bn2bin(number, bytes);
    err_t err = wire_put_mpint(out, span_of(bytes, len));
    secret_wipe(bytes, len);
    return err;
}

static err_t put_rsa(const EVP_PKEY *pkey, struct buf *out) {
    static const char *const names[] = {
        OSSL_PKEY_PARAM_RSA_N,       OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,       OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        TRY(put_number(pkey, names[i], out));
    }
    return OK;
}

static err_t put_ed25519(const EVP_PKEY *pkey, struct buf *out) {
    uint8_t both[2 * ED25519_BYTES];
    size_t seed_len = ED25519_BYTES;
    size_t point_len = ED25519_BYTES;
    if (EVP_PKEY_get_raw_private_key(pkey, both, &seed_len) != 1 ||
        EVP_PKEY_get_raw_public_key(pkey, both + ED25519_BYTES, &point_len) != 1) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    err_t err = wire_put_string(out, span_of(both + ED25519_BYTES, ED25519_BYTES));
    if (!failed(err)) {
        err = wire_put_string(out, span_of(both, sizeof both));
    }
    secret_wipe(both, sizeof both);
    return err;
}

/* By its coordinates, since a file may hold the point compressed. */
static err_t put_point(const EVP_PKEY *pkey, const struct key_kind *kind, struct buf *out) {
    size_t each = (kind->bits + 7) / 8;
    uint8_t point[1 + 2 * EC_BYTES_MAX] = {0x04};
    BIGNUM *x CLEANUP(bn_freep) = NULL;
    BIGNUM *y CLEANUP(bn_freep) = NULL;
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1 ||
        BN_bn2binpad(x, point + 1, (int)each) < 0 ||
        BN_bn2binpad(y, point + 1 + each, (int)each) < 0) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    return wire_put_string(out, span_of(point, 1 + 2 * each));
}

/* NULL for a curve that SSH has not. */
static const struct key_kind *ec_kind(const EVP_PKEY *pkey) {
    static const struct {
        const char *group;
        enum key_type type;
    } groups[] = {
        {"prime256v1", KEY_ECDSA_256}, {"secp384r1", KEY_ECDSA_384}, {"secp521r1", KEY_ECDSA_521}};
    char group[64];
    if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       NULL) != 1) {
        ERR_clear_error();
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        if (strcmp(group, groups[i].group) == 0) {
            return key_kind_of(groups[i].type);
        }
    }
    return NULL;
}

/* The public fields alone. */
static err_t put_ec(const EVP_PKEY *pkey, const struct key_kind *kind, struct buf *out) {
    TRY(wire_put_text(out, kind->curve));
    return put_point(pkey, kind, out);
}

err_t private_pkey_fields(EVP_PKEY *pkey, const struct key_kind **kind, struct buf *out) {
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        *kind = key_kind_of(KEY_ED25519);
        return put_ed25519(pkey, out);
    }
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *kind = key_kind_of(KEY_RSA);
        return put_rsa(pkey, out);
    }
    const struct key_kind *curve = EVP_PKEY_is_a(pkey, "EC") ? ec_kind(pkey) : NULL;
    if (curve == NULL) {
        return FAIL(EVP_PKEY_is_a(pkey, "DSA") ? ERR_KEY_DSA : ERR_UNSUPPORTED);
    }
    *kind = curve;
    TRY(put_ec(pkey, curve, out));
    return put_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, out);
}

static err_t put_public_fields(const EVP_PKEY *pkey, const struct key_kind *kind, struct buf *out) {
    uint8_t point[ED25519_BYTES];
    size_t len = sizeof point;
    if (kind->type == KEY_RSA) {
        TRY(put_number(pkey, OSSL_PKEY_PARAM_RSA_E, out));
        return put_number(pkey, OSSL_PKEY_PARAM_RSA_N, out);
    }
    if (kind->curve != NULL) {
        return put_ec(pkey, kind, out);
    }
    if (EVP_PKEY_get_raw_public_key(pkey, point, &len) != 1) {
        ERR_clear_error();
        return FAIL(ERR_KEY_INVALID);
    }
    return wire_put_string(out, span_of(point, len));
}

err_t private_pkey_public(const EVP_PKEY *pkey, struct key **out) {
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    const struct key_kind *kind = EVP_PKEY_is_a(pkey, "ED25519") ? key_kind_of(KEY_ED25519)
                                  : EVP_PKEY_is_a(pkey, "RSA")   ? key_kind_of(KEY_RSA)
                                  : EVP_PKEY_is_a(pkey, "EC")    ? ec_kind(pkey)
                                                                 : NULL;
    if (kind == NULL) {
        return FAIL(EVP_PKEY_is_a(pkey, "DSA") ? ERR_KEY_DSA : ERR_UNSUPPORTED);
    }
    TRY(wire_put_text(&blob, kind->name));
    TRY(put_public_fields(pkey, kind, &blob));
    return key_parse(buf_span(&blob), out);
}
