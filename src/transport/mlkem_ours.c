#include "transport/mlkem_ours.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <threads.h>

#include "base/secret.h"
#include "base/span.h"
#include "transport/mlkem_poly.h"

enum {
    SEED_BYTES = 32,
    VEC_BYTES = MLKEM_K * MLKEM_POLY_BYTES,
    U_BYTES = 320, /* one polynomial of a ciphertext's first part */
    HASH_BYTES = 32,
    /* Where the parts of a private key begin: the vector, the public key, its hash, z. */
    PRIVATE_PUBLIC = VEC_BYTES,
    PRIVATE_HASH = PRIVATE_PUBLIC + MLKEM768_PUBLIC_BYTES,
    PRIVATE_Z = PRIVATE_HASH + HASH_BYTES,
};

/* --- hashes --- */

static struct { EVP_MD *sha3_256, *sha3_512, *shake128, *shake256; } library;

static void library_fetch(void) {
    library.sha3_256 = EVP_MD_fetch(NULL, "SHA3-256", NULL);
    library.sha3_512 = EVP_MD_fetch(NULL, "SHA3-512", NULL);
    library.shake128 = EVP_MD_fetch(NULL, "SHAKE128", NULL);
    library.shake256 = EVP_MD_fetch(NULL, "SHAKE256", NULL);
    INVARIANT(library.sha3_256 != NULL && library.sha3_512 != NULL && library.shake128 != NULL &&
              library.shake256 != NULL);
}

/* What one operation hashes with. */
struct hashing {
    EVP_MD_CTX *fixed, *shake128, *shake256;
};

static void hashing_done(struct hashing *hashing) {
    EVP_MD_CTX_free(hashing->fixed); /* libcrypto wipes the states */
    EVP_MD_CTX_free(hashing->shake128);
    EVP_MD_CTX_free(hashing->shake256);
}

static err_t hashing_init(struct hashing *hashing) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, library_fetch);
    hashing->fixed = EVP_MD_CTX_new();
    hashing->shake128 = EVP_MD_CTX_new();
    hashing->shake256 = EVP_MD_CTX_new();
    bool ready = hashing->fixed != NULL && hashing->shake128 != NULL && hashing->shake256 != NULL;
    return ready ? OK : FAIL(ERR_MEMORY);
}

static void absorb(EVP_MD_CTX *context, const EVP_MD *md, span_t first, span_t second) {
    INVARIANT(EVP_DigestInit_ex2(context, md, NULL) == 1 &&
              EVP_DigestUpdate(context, first.data, first.len) == 1 &&
              EVP_DigestUpdate(context, second.data, second.len) == 1);
}

static void hash(struct hashing *hashing, const EVP_MD *md, span_t first, span_t second,
                 uint8_t *out) {
    absorb(hashing->fixed, md, first, second);
    INVARIANT(EVP_DigestFinal_ex(hashing->fixed, out, NULL) == 1);
}

/* H of FIPS 203. */
static void hash_h(struct hashing *hashing, const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                   uint8_t out[HASH_BYTES]) {
    hash(hashing, library.sha3_256, span_of(public_key, MLKEM768_PUBLIC_BYTES), (span_t){0}, out);
}

/* G of FIPS 203, whose two halves of 32 bytes are told apart by the caller. */
static void hash_g(struct hashing *hashing, span_t first, span_t second, uint8_t out[64]) {
    hash(hashing, library.sha3_512, first, second, out);
}

static void shake(EVP_MD_CTX *context, const EVP_MD *md, span_t first, span_t second, uint8_t *out,
                  size_t len) {
    absorb(context, md, first, second);
    INVARIANT(EVP_DigestFinalXOF(context, out, len) == 1);
}

/* An element of the matrix A. Libcrypto before 3.3 gives a stream in one piece only. Three blocks
 * do for 99 of 100 seeds; six are too few for one in 2^400, which nobody will find. */
static void sample_uniform(struct hashing *hashing, const uint8_t rho[SEED_BYTES], size_t row,
                           size_t column, struct poly *out) {
    enum { BLOCK_BYTES = 168 };
    const uint8_t place[2] = {(uint8_t)column, (uint8_t)row};
    uint8_t stream[6 * BLOCK_BYTES];
    size_t got = 0;
    for (size_t blocks = 3; got < MLKEM_N && blocks <= 6; blocks *= 2) {
        shake(hashing->shake128, library.shake128, span_of(rho, SEED_BYTES),
              span_of(place, sizeof place), stream, blocks * BLOCK_BYTES);
        got = mlkem_uniform(stream, blocks * BLOCK_BYTES, out);
    }
    INVARIANT(got == MLKEM_N);
}

static void sample_noise(struct hashing *hashing, const uint8_t seed[SEED_BYTES], uint8_t number,
                         struct poly *out) {
    uint8_t stream[MLKEM_NOISE_BYTES];
    shake(hashing->shake256, library.shake256, span_of(seed, SEED_BYTES), span_of(&number, 1),
          stream, sizeof stream);
    mlkem_noise(stream, out);
    secret_wipe(stream, sizeof stream);
}

/* --- K-PKE --- */

static void vec_wipe(struct vec *vec) { secret_wipe(vec, sizeof *vec); }
static void poly_wipe(struct poly *poly) { secret_wipe(poly, sizeof *poly); }

static void vec_noise(struct hashing *hashing, const uint8_t seed[SEED_BYTES], uint8_t number,
                      struct vec *out) {
    for (size_t i = 0; i < MLKEM_K; i++) {
        sample_noise(hashing, seed, (uint8_t)(number + i), &out->of[i]);
    }
}

static void vec_ntt(struct vec *vec) {
    for (size_t i = 0; i < MLKEM_K; i++) {
        mlkem_ntt(&vec->of[i]);
    }
}

static void vec_encode(const struct vec *vec, uint8_t out[VEC_BYTES]) {
    for (size_t i = 0; i < MLKEM_K; i++) {
        mlkem_encode(&vec->of[i], out + i * MLKEM_POLY_BYTES);
    }
}

static void vec_decode(const uint8_t in[VEC_BYTES], struct vec *out) {
    for (size_t i = 0; i < MLKEM_K; i++) {
        mlkem_decode(in + i * MLKEM_POLY_BYTES, &out->of[i]);
    }
}

/* Algorithm 13. */
static void pke_keygen(struct hashing *hashing, const uint8_t d[SEED_BYTES],
                       uint8_t public_key[MLKEM768_PUBLIC_BYTES], uint8_t private_key[VEC_BYTES]) {
    const uint8_t rank = MLKEM_K;
    uint8_t seeds[2 * SEED_BYTES]; /* rho, sigma */
    hash_g(hashing, span_of(d, SEED_BYTES), span_of(&rank, 1), seeds);
    struct vec s CLEANUP(vec_wipe);
    struct vec e CLEANUP(vec_wipe);
    vec_noise(hashing, seeds + SEED_BYTES, 0, &s);
    vec_noise(hashing, seeds + SEED_BYTES, MLKEM_K, &e);
    vec_ntt(&s);
    vec_ntt(&e);
    for (size_t row = 0; row < MLKEM_K; row++) {
        struct vec a;
        struct poly t;
        for (size_t column = 0; column < MLKEM_K; column++) {
            sample_uniform(hashing, seeds, row, column, &a.of[column]);
        }
        mlkem_dot(&a, &s, &t);
        mlkem_undo_dot(&t);
        mlkem_add(&t, &e.of[row]);
        mlkem_encode(&t, public_key + row * MLKEM_POLY_BYTES);
    }
    memcpy(public_key + VEC_BYTES, seeds, SEED_BYTES);
    vec_encode(&s, private_key);
    secret_wipe(seeds, sizeof seeds);
}

/* Algorithm 14. */
static void pke_encrypt(struct hashing *hashing, const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                        const uint8_t message[SEED_BYTES], const uint8_t seed[SEED_BYTES],
                        uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES]) {
    const uint8_t *rho = public_key + VEC_BYTES;
    struct vec y CLEANUP(vec_wipe);
    struct poly sum CLEANUP(poly_wipe);
    struct poly noise CLEANUP(poly_wipe);
    vec_noise(hashing, seed, 0, &y);
    vec_ntt(&y);
    struct vec row;
    for (size_t i = 0; i < MLKEM_K; i++) {
        for (size_t j = 0; j < MLKEM_K; j++) {
            sample_uniform(hashing, rho, j, i, &row.of[j]); /* A, transposed */
        }
        mlkem_dot(&row, &y, &sum);
        mlkem_inverse_ntt(&sum);
        sample_noise(hashing, seed, (uint8_t)(MLKEM_K + i), &noise);
        mlkem_add(&sum, &noise);
        mlkem_compress_10(&sum, ciphertext + i * U_BYTES);
    }
    vec_decode(public_key, &row);
    mlkem_dot(&row, &y, &sum);
    mlkem_inverse_ntt(&sum);
    sample_noise(hashing, seed, 2 * MLKEM_K, &noise);
    mlkem_add(&sum, &noise);
    mlkem_decompress_1(message, &noise);
    mlkem_add(&sum, &noise);
    mlkem_compress_4(&sum, ciphertext + MLKEM_K * U_BYTES);
}

/* Algorithm 15. */
static void pke_decrypt(const uint8_t private_key[VEC_BYTES],
                        const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                        uint8_t message[SEED_BYTES]) {
    struct vec u;
    for (size_t i = 0; i < MLKEM_K; i++) {
        mlkem_decompress_10(ciphertext + i * U_BYTES, &u.of[i]);
    }
    vec_ntt(&u);
    struct vec s CLEANUP(vec_wipe);
    struct poly masked CLEANUP(poly_wipe);
    struct poly product CLEANUP(poly_wipe);
    vec_decode(private_key, &s);
    mlkem_dot(&s, &u, &product);
    mlkem_inverse_ntt(&product);
    mlkem_decompress_4(ciphertext + MLKEM_K * U_BYTES, &masked);
    mlkem_subtract(&masked, &product);
    mlkem_compress_1(&masked, message);
}

/* --- ML-KEM --- */

err_t mlkem768_ours_keygen(const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES],
                           uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                           uint8_t private_key[MLKEM768_PRIVATE_BYTES]) {
    struct hashing hashing CLEANUP(hashing_done) = {0};
    TRY(hashing_init(&hashing));
    pke_keygen(&hashing, seed, public_key, private_key);
    memcpy(private_key + PRIVATE_PUBLIC, public_key, MLKEM768_PUBLIC_BYTES);
    hash_h(&hashing, public_key, private_key + PRIVATE_HASH);
    memcpy(private_key + PRIVATE_Z, seed + SEED_BYTES, SEED_BYTES);
    return OK;
}

err_t mlkem768_ours_encaps(const uint8_t public_key[MLKEM768_PUBLIC_BYTES],
                           const uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES],
                           uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                           uint8_t secret[MLKEM768_SECRET_BYTES]) {
    for (size_t i = 0; i < MLKEM_K; i++) {
        if (!mlkem_is_reduced(public_key + i * MLKEM_POLY_BYTES)) {
            return FAIL(ERR_KEY_INVALID);
        }
    }
    struct hashing hashing CLEANUP(hashing_done) = {0};
    TRY(hashing_init(&hashing));
    uint8_t public_hash[HASH_BYTES];
    uint8_t both[MLKEM768_SECRET_BYTES + SEED_BYTES]; /* K, r */
    hash_h(&hashing, public_key, public_hash);
    hash_g(&hashing, span_of(seed, SEED_BYTES), span_of(public_hash, HASH_BYTES), both);
    pke_encrypt(&hashing, public_key, seed, both + MLKEM768_SECRET_BYTES, ciphertext);
    memcpy(secret, both, MLKEM768_SECRET_BYTES);
    secret_wipe(both, sizeof both);
    return OK;
}

/* `yes` where the ciphertexts are equal, and else `no`; nobody can tell which. */
static void choose(const uint8_t *one, const uint8_t *other, const uint8_t *yes, const uint8_t *no,
                   uint8_t out[MLKEM768_SECRET_BYTES]) {
    uint32_t differ = (uint32_t)CRYPTO_memcmp(one, other, MLKEM768_CIPHERTEXT_BYTES);
    uint32_t mask = (differ | (0 - differ)) >> 31; /* 0, or 1 where they differ */
    mask = 0 - mask;
    __asm__("" : "+r"(mask)); /* the compiler is not to make a branch of it */
    for (size_t i = 0; i < MLKEM768_SECRET_BYTES; i++) {
        out[i] = (uint8_t)(yes[i] ^ (mask & (uint32_t)(yes[i] ^ no[i])));
    }
}

err_t mlkem768_ours_decaps(const uint8_t private_key[MLKEM768_PRIVATE_BYTES],
                           const uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES],
                           uint8_t secret[MLKEM768_SECRET_BYTES]) {
    const uint8_t *public_key = private_key + PRIVATE_PUBLIC;
    const uint8_t *known_hash = private_key + PRIVATE_HASH;
    struct hashing hashing CLEANUP(hashing_done) = {0};
    TRY(hashing_init(&hashing));
    uint8_t public_hash[HASH_BYTES];
    hash_h(&hashing, public_key, public_hash);
    if (memcmp(public_hash, known_hash, HASH_BYTES) != 0) {
        return FAIL(ERR_KEY_INVALID);
    }
    uint8_t message[SEED_BYTES];
    uint8_t both[MLKEM768_SECRET_BYTES + SEED_BYTES]; /* K', r' */
    uint8_t rejected[MLKEM768_SECRET_BYTES];
    uint8_t again[MLKEM768_CIPHERTEXT_BYTES];
    pke_decrypt(private_key, ciphertext, message);
    hash_g(&hashing, span_of(message, SEED_BYTES), span_of(known_hash, HASH_BYTES), both);
    shake(hashing.shake256, library.shake256, span_of(private_key + PRIVATE_Z, SEED_BYTES),
          span_of(ciphertext, MLKEM768_CIPHERTEXT_BYTES), rejected, sizeof rejected);
    pke_encrypt(&hashing, public_key, message, both + MLKEM768_SECRET_BYTES, again);
    choose(ciphertext, again, both, rejected, secret);
    secret_wipe(message, sizeof message);
    secret_wipe(both, sizeof both);
    secret_wipe(rejected, sizeof rejected);
    secret_wipe(again, sizeof again);
    return OK;
}
