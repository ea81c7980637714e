#include "transport/mlkem_poly.h"

/* Fixed trip counts and 16-bit lanes: compilers make vector code of most loops here. */

enum {
    Q_INVERSE = -3327, /* q^-1 modulo 2^16 */
    MONTGOMERY = 1353, /* 2^32 modulo q */
    UNSCALE = 1441,    /* 2^32 / 128 modulo q: the NTT's scale, and the factor of mlkem_dot() */
};

/* 17^BitRev7(i) * 2^16 modulo q, and the same times Q_INVERSE modulo 2^16. */
static const int16_t zetas[128] = {
    -1044, -758,  -359,  -1517, 1493,  1422,  287,   202,   -171,  622,   1577,  182,   962,
    -1202, -1474, 1468,  573,   -1325, 264,   383,   -829,  1458,  -1602, -130,  -681,  1017,
    732,   608,   -1542, 411,   -205,  -1571, 1223,  652,   -552,  1015,  -1293, 1491,  -282,
    -1544, 516,   -8,    -320,  -666,  -1618, -1162, 126,   1469,  -853,  -90,   -271,  830,
    107,   -1421, -247,  -951,  -398,  961,   -1508, -725,  448,   -1065, 677,   -1275, -1103,
    430,   555,   843,   -1251, 871,   1550,  105,   422,   587,   177,   -235,  -291,  -460,
    1574,  1653,  -246,  778,   1159,  -147,  -777,  1483,  -602,  1119,  -1590, 644,   -872,
    349,   418,   329,   -156,  -75,   817,   1097,  603,   610,   1322,  -1285, -1465, 384,
    -1215, -136,  1218,  -1335, -874,  220,   -1187, -1659, -1185, -1530, -1278, 794,   -1510,
    -854,  -870,  478,   -108,  -308,  996,   991,   958,   -1460, 1522,  1628,
};
static const int16_t zetas_q[128] = {
    -20,    31498,  14745,  787,    13525,  -12402, 28191,  -16694, -20907, 27758,  -3799,  -15690,
    10690,  1358,   -11202, 31164,  -5827,  17363,  -26360, -29057, 5571,   -1102,  21438,  -26242,
    -28073, 24313,  -10532, 8800,   18426,  8859,   26675,  -16163, -5689,  -6516,  1496,   30967,
    -23565, 20179,  20710,  25080,  -12796, 26616,  16064,  -12442, 9134,   -650,   -25986, 27837,
    19883,  -28250, -15887, -8898,  -28309, 9075,   -30199, 18249,  13426,  14017,  -29156, -12757,
    16832,  4311,   -24155, -17915, -335,   11182,  -11477, 13387,  -32227, -14233, 20494,  -21655,
    -27738, 13131,  945,    -4587,  -14883, 23092,  6182,   5493,   32010,  -32502, 10631,  30317,
    29175,  -18741, -28762, 12639,  -18486, 20100,  17560,  18525,  -14430, 19529,  -5276,  -12619,
    -31183, 20297,  25435,  2146,   -7382,  15355,  24391,  -32384, -20927, -6280,  10946,  -14903,
    24214,  -11044, 16989,  14469,  10335,  -21498, -7934,  -20198, -22502, 23210,  10906,  -17442,
    31636,  -23860, 28644,  -20257, 23998,  7756,   -17422, 23132,
};

/*
 * Hides from the compiler what it could conclude about a secret bit, so that it does not make a
 * branch of arithmetic with it.
 */
static inline uint32_t hide(uint32_t value) {
    __asm__("" : "+r"(value));
    return value;
}

static inline int16_t high(int16_t a, int16_t b) { return (int16_t)((int32_t)a * b >> 16); }
static inline int16_t low(int16_t a, int16_t b) {
    return (int16_t)((uint16_t)a * (uint32_t)(uint16_t)b);
}

/* a * b / 2^16, reduced, for any a and a reduced b; b_q is b * Q_INVERSE. */
static inline int16_t multiply_by(int16_t a, int16_t b, int16_t b_q) {
    return (int16_t)(high(a, b) - high(low(a, b_q), MLKEM_Q));
}

/* a / 2^16, reduced, for |a| < q * 2^15. */
static inline int16_t montgomery(int32_t a) {
    int16_t t = low((int16_t)a, Q_INVERSE);
    return (int16_t)((a - (int32_t)t * MLKEM_Q) >> 16);
}

/* The residue next to zero, of any number (Barrett: 20159 is 2^26 / q). */
static inline int16_t centre(int16_t a) {
    int16_t t = (int16_t)((high(a, 20159) + 512) >> 10);
    return (int16_t)(a - t * MLKEM_Q);
}

/* The residue from 0 to q - 1. */
static inline uint16_t canonical(int16_t a) {
    int16_t t = centre(a);
    return (uint16_t)(t + ((t >> 15) & MLKEM_Q));
}

static void centre_all(struct poly *poly) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        poly->c[i] = centre(poly->c[i]);
    }
}

/* --- the number-theoretic transform --- */

static inline __attribute__((always_inline)) void layer(int16_t *c, size_t len) {
    for (size_t block = 0; block < MLKEM_N / 2 / len; block++) {
        int16_t *at = c + 2 * len * block;
        int16_t zeta = zetas[MLKEM_N / 2 / len + block];
        int16_t zeta_q = zetas_q[MLKEM_N / 2 / len + block];
        for (size_t j = 0; j < len; j++) {
            int16_t t = multiply_by(at[j + len], zeta, zeta_q);
            at[j + len] = (int16_t)(at[j] - t);
            at[j] = (int16_t)(at[j] + t);
        }
    }
}

/* Each layer adds less than q, so seven of them stay below 8q, which is below 2^15. */
void mlkem_ntt(struct poly *poly) {
    layer(poly->c, 128);
    layer(poly->c, 64);
    layer(poly->c, 32);
    layer(poly->c, 16);
    layer(poly->c, 8);
    layer(poly->c, 4);
    layer(poly->c, 2);
    centre_all(poly);
}

static inline __attribute__((always_inline)) void inverse_layer(int16_t *c, size_t len) {
    for (size_t block = 0; block < MLKEM_N / 2 / len; block++) {
        int16_t *at = c + 2 * len * block;
        int16_t zeta = zetas[MLKEM_N / len - 1 - block];
        int16_t zeta_q = zetas_q[MLKEM_N / len - 1 - block];
        for (size_t j = 0; j < len; j++) {
            int16_t t = at[j];
            at[j] = centre((int16_t)(t + at[j + len]));
            at[j + len] = multiply_by((int16_t)(at[j + len] - t), zeta, zeta_q);
        }
    }
}

void mlkem_inverse_ntt(struct poly *poly) {
    inverse_layer(poly->c, 2);
    inverse_layer(poly->c, 4);
    inverse_layer(poly->c, 8);
    inverse_layer(poly->c, 16);
    inverse_layer(poly->c, 32);
    inverse_layer(poly->c, 64);
    inverse_layer(poly->c, 128);
    for (size_t i = 0; i < MLKEM_N; i++) {
        poly->c[i] = multiply_by(poly->c[i], UNSCALE, low(UNSCALE, Q_INVERSE));
    }
}

/* One pair is the product modulo X^2 - gamma. The sums are below 6 q^2, as montgomery() wants. */
void mlkem_dot(const struct vec *a, const struct vec *b, struct poly *out) {
    for (size_t i = 0; i < MLKEM_N; i += 2) {
        int32_t even = 0;
        int32_t odd = 0;
        int32_t top = 0;
        for (size_t k = 0; k < MLKEM_K; k++) {
            const int16_t *x = a->of[k].c + i;
            const int16_t *y = b->of[k].c + i;
            even += (int32_t)x[0] * y[0];
            odd += (int32_t)x[0] * y[1] + (int32_t)x[1] * y[0];
            top += (int32_t)x[1] * y[1];
        }
        int16_t zeta = zetas[64 + i / 4];
        int16_t gamma = (int16_t)(i % 4 == 0 ? zeta : -zeta);
        out->c[i] = montgomery(even + (int32_t)montgomery(top) * gamma);
        out->c[i + 1] = montgomery(odd);
    }
}

void mlkem_undo_dot(struct poly *poly) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        poly->c[i] = multiply_by(poly->c[i], MONTGOMERY, low(MONTGOMERY, Q_INVERSE));
    }
}

void mlkem_add(struct poly *to, const struct poly *from) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        to->c[i] = centre((int16_t)(to->c[i] + from->c[i]));
    }
}

void mlkem_subtract(struct poly *from, const struct poly *what) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        from->c[i] = centre((int16_t)(from->c[i] - what->c[i]));
    }
}

/* --- bytes --- */

void mlkem_encode(const struct poly *poly, uint8_t out[MLKEM_POLY_BYTES]) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        uint32_t pair = canonical(poly->c[2 * i]) | (uint32_t)canonical(poly->c[2 * i + 1]) << 12;
        out[3 * i] = (uint8_t)pair;
        out[3 * i + 1] = (uint8_t)(pair >> 8);
        out[3 * i + 2] = (uint8_t)(pair >> 16);
    }
}

/* Two numbers of 12 bits from three bytes. */
static inline void read_pair(const uint8_t *from, uint16_t out[2]) {
    out[0] = (uint16_t)(from[0] | (from[1] & 0x0f) << 8);
    out[1] = (uint16_t)(from[1] >> 4 | from[2] << 4);
}

void mlkem_decode(const uint8_t in[MLKEM_POLY_BYTES], struct poly *out) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        uint16_t pair[2];
        read_pair(in + 3 * i, pair);
        out->c[2 * i] = centre((int16_t)pair[0]);
        out->c[2 * i + 1] = centre((int16_t)pair[1]);
    }
}

bool mlkem_is_reduced(const uint8_t in[MLKEM_POLY_BYTES]) {
    bool reduced = true;
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        uint16_t pair[2];
        read_pair(in + 3 * i, pair);
        reduced = reduced && pair[0] < MLKEM_Q && pair[1] < MLKEM_Q;
    }
    return reduced;
}

/* --- compression --- */

/* Compress: a division by q, rounded, as a multiplication by 2^29 / q. Exact for every residue. */
static inline uint32_t compress(int16_t a, unsigned bits) {
    uint64_t scaled = ((uint64_t)canonical(a) << bits) + MLKEM_Q / 2;
    return (uint32_t)(scaled * 161271 >> 29) & ((1U << bits) - 1);
}

static inline int16_t decompress(uint32_t a, unsigned bits) {
    return (int16_t)((a * MLKEM_Q + (1U << (bits - 1))) >> bits);
}

void mlkem_compress_10(const struct poly *poly, uint8_t out[320]) {
    for (size_t i = 0; i < MLKEM_N / 4; i++) {
        uint64_t four = 0;
        for (size_t j = 0; j < 4; j++) {
            four |= (uint64_t)compress(poly->c[4 * i + j], 10) << (10 * j);
        }
        for (size_t j = 0; j < 5; j++) {
            out[5 * i + j] = (uint8_t)(four >> (8 * j));
        }
    }
}

void mlkem_decompress_10(const uint8_t in[320], struct poly *out) {
    for (size_t i = 0; i < MLKEM_N / 4; i++) {
        uint64_t four = 0;
        for (size_t j = 0; j < 5; j++) {
            four |= (uint64_t)in[5 * i + j] << (8 * j);
        }
        for (size_t j = 0; j < 4; j++) {
            out->c[4 * i + j] = decompress((uint32_t)(four >> (10 * j)) & 0x3ff, 10);
        }
    }
}

void mlkem_compress_4(const struct poly *poly, uint8_t out[128]) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        out[i] = (uint8_t)(compress(poly->c[2 * i], 4) | compress(poly->c[2 * i + 1], 4) << 4);
    }
}

void mlkem_decompress_4(const uint8_t in[128], struct poly *out) {
    for (size_t i = 0; i < MLKEM_N / 2; i++) {
        out->c[2 * i] = decompress(in[i] & 0x0f, 4);
        out->c[2 * i + 1] = decompress(in[i] >> 4, 4);
    }
}

void mlkem_compress_1(const struct poly *poly, uint8_t out[32]) {
    for (size_t i = 0; i < MLKEM_N / 8; i++) {
        uint32_t byte = 0;
        for (size_t j = 0; j < 8; j++) {
            byte |= compress(poly->c[8 * i + j], 1) << j;
        }
        out[i] = (uint8_t)byte;
    }
}

void mlkem_decompress_1(const uint8_t in[32], struct poly *out) {
    for (size_t i = 0; i < MLKEM_N; i++) {
        out->c[i] = decompress(hide(in[i / 8] >> (i % 8) & 1), 1);
    }
}

/* --- sampling --- */

size_t mlkem_uniform(const uint8_t *stream, size_t len, struct poly *out) {
    size_t count = 0;
    for (size_t i = 0; i + 3 <= len && count < MLKEM_N; i += 3) {
        uint16_t pair[2];
        read_pair(stream + i, pair);
        for (size_t j = 0; j < 2 && count < MLKEM_N; j++) {
            out->c[count] = (int16_t)pair[j];
            count += pair[j] < MLKEM_Q;
        }
    }
    return count;
}

/* Four bits are a coefficient: the first two, counted, less the last two, counted. */
void mlkem_noise(const uint8_t stream[MLKEM_NOISE_BYTES], struct poly *out) {
    for (size_t i = 0; i < MLKEM_NOISE_BYTES; i++) {
        uint32_t counts = (stream[i] & 0x55U) + (stream[i] >> 1 & 0x55U);
        out->c[2 * i] = (int16_t)((int)(counts & 3) - (int)(counts >> 2 & 3));
        out->c[2 * i + 1] = (int16_t)((int)(counts >> 4 & 3) - (int)(counts >> 6));
    }
}
