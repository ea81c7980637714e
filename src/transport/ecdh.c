#include "transport/ecdh.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <sodium.h>
#include <threads.h>

#include "base/secret.h"

/* --- X25519: libsodium's, in three quarters of the time of OpenSSL 3.0 --- */

static_assert(ECDH_BYTES == crypto_scalarmult_curve25519_BYTES, "libsodium's");

static void x25519_start(void) { INVARIANT(sodium_init() >= 0); }

static void x25519_init(void) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, x25519_start);
}

static err_t x25519_generate(const struct randomness *random, uint8_t private_key[ECDH_BYTES],
                             uint8_t share[ECDH_SHARE_BYTES_MAX]) {
    x25519_init();
    random->fill(random->context, private_key, ECDH_BYTES);
    INVARIANT(crypto_scalarmult_curve25519_base(share, private_key) == 0);
    return OK;
}

static err_t x25519_agree(const uint8_t private_key[ECDH_BYTES], span_t share,
                          uint8_t result[ECDH_BYTES]) {
    x25519_init();
    uint8_t point[ECDH_BYTES];
    if (share.len != ECDH_BYTES ||
        crypto_scalarmult_curve25519(point, private_key, share.data) != 0) {
        return FAIL(ERR_KEY_INVALID); /* libsodium refuses an all-zero result */
    }
    memcpy(result, point, sizeof point);
    secret_wipe(point, sizeof point);
    return OK;
}

const struct ecdh ecdh_x25519 = {ECDH_BYTES, x25519_generate, x25519_agree};

/* --- P-256 --- */

enum { P256_SHARE_BYTES = 65 };

static EC_GROUP *p256;

static void p256_start(void) {
    p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    INVARIANT(p256 != NULL);
}

static const EC_GROUP *p256_group(void) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, p256_start);
    return p256;
}

/* What one operation needs of libcrypto. */
struct work {
    BN_CTX *context;
    BIGNUM *scalar;
    EC_POINT *point;
};

static void work_done(struct work *work) {
    EC_POINT_clear_free(work->point);
    BN_clear_free(work->scalar);
    BN_CTX_free(work->context);
    ERR_clear_error();
}

static bool work_init(struct work *work, const uint8_t private_key[ECDH_BYTES]) {
    work->context = BN_CTX_new();
    work->scalar = BN_new();
    work->point = EC_POINT_new(p256_group());
    if (work->context == NULL || work->scalar == NULL || work->point == NULL) {
        return false;
    }
    BN_set_flags(work->scalar, BN_FLG_CONSTTIME);
    return BN_bin2bn(private_key, ECDH_BYTES, work->scalar) != NULL;
}

/* From 1 to n - 1, which one random number in 2^32 is not; what that takes tells nothing of the
 * number that is kept. */
static bool is_p256_private(const uint8_t number[ECDH_BYTES]) {
    static const uint8_t zero[ECDH_BYTES];
    static const uint8_t order[ECDH_BYTES] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                              0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                              0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    return memcmp(number, order, sizeof order) < 0 && memcmp(number, zero, sizeof zero) != 0;
}

static err_t p256_generate(const struct randomness *random, uint8_t private_key[ECDH_BYTES],
                           uint8_t share[ECDH_SHARE_BYTES_MAX]) {
    do {
        random->fill(random->context, private_key, ECDH_BYTES);
    } while (!is_p256_private(private_key));
    struct work work CLEANUP(work_done) = {0};
    if (!work_init(&work, private_key)) {
        return FAIL(ERR_MEMORY);
    }
    if (EC_POINT_mul(p256_group(), work.point, work.scalar, NULL, NULL, work.context) != 1 ||
        EC_POINT_point2oct(p256_group(), work.point, POINT_CONVERSION_UNCOMPRESSED, share,
                           P256_SHARE_BYTES, work.context) != P256_SHARE_BYTES) {
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

/* The cofactor is 1: a point on the curve that is not at infinity has the full order. */
static err_t p256_agree(const uint8_t private_key[ECDH_BYTES], span_t share,
                        uint8_t result[ECDH_BYTES]) {
    if (share.len != P256_SHARE_BYTES || share.data[0] != POINT_CONVERSION_UNCOMPRESSED) {
        return FAIL(ERR_KEY_INVALID);
    }
    struct work work CLEANUP(work_done) = {0};
    if (!work_init(&work, private_key)) {
        return FAIL(ERR_MEMORY);
    }
    if (EC_POINT_oct2point(p256_group(), work.point, share.data, share.len, work.context) != 1) {
        return FAIL(ERR_KEY_INVALID);
    }
    uint8_t point[P256_SHARE_BYTES];
    if (EC_POINT_mul(p256_group(), work.point, NULL, work.point, work.scalar, work.context) != 1 ||
        EC_POINT_point2oct(p256_group(), work.point, POINT_CONVERSION_UNCOMPRESSED, point,
                           sizeof point, work.context) != sizeof point) {
        return FAIL(ERR_CRYPTO);
    }
    memcpy(result, point + 1, ECDH_BYTES);
    secret_wipe(point, sizeof point);
    return OK;
}

const struct ecdh ecdh_p256 = {P256_SHARE_BYTES, p256_generate, p256_agree};
