#include "ssh/bcrypt_pbkdf.h"

#include "base/secret.h"
#include "ssh/blowfish_pi.h"
#include "ssh/crypto.h"

enum { P_WORDS = 18, S_WORDS = 4 * 256, HASH_BYTES = 32, HASH_WORDS = HASH_BYTES / 4 };
enum { COST = 64, ENCRYPTIONS = 64 };

/* The subkeys: P and then the four S-boxes, filled in this order by the key schedule. */
struct blowfish {
    uint32_t p[P_WORDS];
    uint32_t s[S_WORDS];
};

static inline uint32_t feistel(const struct blowfish *state, uint32_t x) {
    const uint32_t *s = state->s;
    return ((s[x >> 24] + s[256 + (x >> 16 & 255)]) ^ s[512 + (x >> 8 & 255)]) + s[768 + (x & 255)];
}

static void encipher(const struct blowfish *state, uint32_t block[2]) {
    uint32_t left = block[0] ^ state->p[0];
    uint32_t right = block[1];
    for (size_t i = 1; i <= 16; i += 2) {
        right ^= feistel(state, left) ^ state->p[i];
        left ^= feistel(state, right) ^ state->p[i + 1];
    }
    block[0] = right ^ state->p[17];
    block[1] = left;
}

static uint32_t load_be32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Key and salt are SHA-512 values: 16 words each, read around. */
enum { INPUT_WORDS = CRYPTO_SHA512_BYTES / 4 };

struct input {
    uint32_t words[INPUT_WORDS];
};

static void load_input(struct input *input, const uint8_t bytes[CRYPTO_SHA512_BYTES]) {
    for (size_t i = 0; i < INPUT_WORDS; i++) {
        input->words[i] = load_be32(bytes + 4 * i);
    }
}

/* EksBlowfish's ExpandKey; salt NULL is the plain Blowfish schedule. */
static void expand(struct blowfish *state, const struct input *salt, const struct input *key) {
    static const struct input no_salt;
    const uint32_t *mix = salt == NULL ? no_salt.words : salt->words;
    uint32_t block[2] = {0};
    size_t at = 0;
    for (size_t i = 0; i < P_WORDS; i++) {
        state->p[i] ^= key->words[i % INPUT_WORDS];
    }
    for (size_t i = 0; i < P_WORDS + S_WORDS; i += 2, at = (at + 2) % INPUT_WORDS) {
        block[0] ^= mix[at];
        block[1] ^= mix[at + 1];
        encipher(state, block);
        uint32_t *to = i < P_WORDS ? state->p + i : state->s + (i - P_WORDS);
        to[0] = block[0];
        to[1] = block[1];
    }
}

static void bcrypt_hash(const struct input *pass, const uint8_t salt_hash[CRYPTO_SHA512_BYTES],
                        uint8_t out[HASH_BYTES]) {
    static const char text[HASH_BYTES + 1] = "OxychromaticBlowfishSwatDynamite";
    struct blowfish state;
    struct input salt;
    uint32_t words[HASH_WORDS];
    load_input(&salt, salt_hash);
    memcpy(state.p, pi_words, sizeof state.p);
    memcpy(state.s, pi_words + P_WORDS, sizeof state.s);
    expand(&state, &salt, pass);
    for (int i = 0; i < COST; i++) {
        expand(&state, NULL, &salt);
        expand(&state, NULL, pass);
    }
    for (size_t i = 0; i < HASH_WORDS; i++) {
        words[i] = load_be32((const uint8_t *)text + 4 * i);
    }
    for (int i = 0; i < ENCRYPTIONS; i++) {
        for (size_t j = 0; j < HASH_WORDS; j += 2) {
            encipher(&state, words + j);
        }
    }
    /* Read big-endian, written little-endian: so it is. */
    for (size_t i = 0; i < HASH_BYTES; i++) {
        out[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
    }
    secret_wipe(&state, sizeof state);
    secret_wipe(&salt, sizeof salt);
    secret_wipe(words, sizeof words);
}

/* One block of PBKDF2: the rounds' hashes, each salted with the one before, added up. */
static void derive_block(const struct input *pass, span_t salt, uint32_t count, uint32_t rounds,
                         uint8_t out[HASH_BYTES]) {
    uint8_t counted[BCRYPT_PBKDF_SALT_BYTES_MAX + 4];
    uint8_t salt_hash[CRYPTO_SHA512_BYTES];
    uint8_t hash[HASH_BYTES];
    memcpy(counted, salt.data, salt.len);
    for (unsigned i = 0; i < 4; i++) {
        counted[salt.len + i] = (uint8_t)(count >> (24 - 8 * i));
    }
    crypto_sha512(span_of(counted, salt.len + 4), salt_hash);
    bcrypt_hash(pass, salt_hash, hash);
    memcpy(out, hash, HASH_BYTES);
    for (uint32_t round = 1; round < rounds; round++) {
        crypto_sha512(span_of(hash, sizeof hash), salt_hash);
        bcrypt_hash(pass, salt_hash, hash);
        for (size_t i = 0; i < HASH_BYTES; i++) {
            out[i] ^= hash[i];
        }
    }
    secret_wipe(salt_hash, sizeof salt_hash);
    secret_wipe(hash, sizeof hash);
}

err_t bcrypt_pbkdf(span_t passphrase, span_t salt, uint32_t rounds, uint8_t *out, size_t out_len) {
    if (passphrase.len == 0 || salt.len == 0 || salt.len > BCRYPT_PBKDF_SALT_BYTES_MAX ||
        rounds == 0 || out_len == 0 || out_len > BCRYPT_PBKDF_BYTES_MAX) {
        return FAIL(ERR_RANGE);
    }
    uint8_t pass_hash[CRYPTO_SHA512_BYTES];
    uint8_t block[HASH_BYTES];
    struct input pass;
    crypto_sha512(passphrase, pass_hash);
    load_input(&pass, pass_hash);
    /* Unlike PBKDF2, a block's bytes are spread over the whole output. */
    size_t stride = (out_len + HASH_BYTES - 1) / HASH_BYTES;
    size_t each = (out_len + stride - 1) / stride;
    for (size_t at = 0; at < stride; at++) {
        derive_block(&pass, salt, (uint32_t)at + 1, rounds, block);
        for (size_t i = 0; i < each && i * stride + at < out_len; i++) {
            out[i * stride + at] = block[i];
        }
    }
    secret_wipe(pass_hash, sizeof pass_hash);
    secret_wipe(block, sizeof block);
    secret_wipe(&pass, sizeof pass);
    return OK;
}
