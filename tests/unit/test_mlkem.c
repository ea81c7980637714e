/* ML-KEM-768 against published vectors: libcrypto's where that has it, and always ours. */
#include "fixture.h"

#include "base/text.h"
#include "ssh/crypto.h"
#include "transport/mlkem_ours.h"

struct kem {
    err_t (*keygen)(const uint8_t *seed, uint8_t *public_key, uint8_t *private_key);
    err_t (*encaps)(const uint8_t *public_key, const uint8_t *seed, uint8_t *ciphertext,
                    uint8_t *secret);
    err_t (*decaps)(const uint8_t *private_key, const uint8_t *ciphertext, uint8_t *secret);
};
static const struct kem chosen = {mlkem768_keygen, mlkem768_encaps, mlkem768_decaps};
static const struct kem ours = {mlkem768_ours_keygen, mlkem768_ours_encaps, mlkem768_ours_decaps};

struct pair {
    uint8_t public_key[MLKEM768_PUBLIC_BYTES];
    uint8_t private_key[MLKEM768_PRIVATE_BYTES];
};

struct sealed {
    uint8_t ciphertext[MLKEM768_CIPHERTEXT_BYTES];
    uint8_t secret[MLKEM768_SECRET_BYTES];
};

static void assert_hash(span_t bytes, span_t expected) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    crypto_sha256(bytes, hash);
    assert_int_equal(expected.len, sizeof hash);
    assert_memory_equal(hash, expected.data, sizeof hash);
}

static void check_keygen(const struct kem *kem, span_t seed, span_t expected) {
    struct pair pair;
    assert_int_equal(seed.len, MLKEM768_KEYGEN_SEED_BYTES);
    assert_ok(kem->keygen(seed.data, pair.public_key, pair.private_key));
    assert_hash(span_of(&pair, sizeof pair), expected);
}

/* `key` is a public key, or the seed that it comes from: then the secret is got back as well. */
static void check_encaps(const struct kem *kem, bool valid, span_t key, span_t m, span_t expected) {
    struct pair pair;
    struct sealed sealed;
    bool seeded = key.len == MLKEM768_KEYGEN_SEED_BYTES;
    if (seeded) {
        assert_ok(kem->keygen(key.data, pair.public_key, pair.private_key));
    } else {
        assert_int_equal(key.len, sizeof pair.public_key);
        memcpy(pair.public_key, key.data, key.len);
    }
    assert_int_equal(m.len, MLKEM768_ENCAPS_SEED_BYTES);
    err_t err = kem->encaps(pair.public_key, m.data, sealed.ciphertext, sealed.secret);
    if (!valid) {
        assert_fails(err, ERR_KEY_INVALID);
        return;
    }
    assert_ok(err);
    assert_hash(span_of(&sealed, sizeof sealed), expected);
    if (seeded) {
        uint8_t secret[MLKEM768_SECRET_BYTES];
        assert_ok(kem->decaps(pair.private_key, sealed.ciphertext, secret));
        assert_memory_equal(secret, sealed.secret, sizeof secret);
    }
}

/* `key` is a private key, or the seed that it comes from. */
static void check_decaps(const struct kem *kem, bool valid, span_t key, span_t ciphertext,
                         span_t expected) {
    struct pair pair;
    if (key.len == MLKEM768_KEYGEN_SEED_BYTES) {
        assert_ok(kem->keygen(key.data, pair.public_key, pair.private_key));
    } else {
        assert_int_equal(key.len, sizeof pair.private_key);
        memcpy(pair.private_key, key.data, key.len);
    }
    uint8_t secret[MLKEM768_SECRET_BYTES];
    assert_int_equal(ciphertext.len, MLKEM768_CIPHERTEXT_BYTES);
    err_t err = kem->decaps(pair.private_key, ciphertext.data, secret);
    if (!valid) {
        assert_fails(err, ERR_KEY_INVALID);
        return;
    }
    assert_ok(err);
    assert_int_equal(expected.len, sizeof secret);
    assert_memory_equal(secret, expected.data, sizeof secret);
}

static void check_line(const struct kem *kem, span_t line) {
    span_t word[6] = {{0}};
    struct buf bytes[3] = {BUF(4096), BUF(4096), BUF(4096)};
    size_t count = 0;
    while (count < COUNT_OF(word) && fixture_word(&line, &word[count])) {
        count++;
    }
    assert_true(count >= 5);
    for (size_t i = 3; i < count; i++) {
        assert_ok(hex_decode(word[i], &bytes[i - 3]));
    }
    bool valid = span_equal_str(word[2], "valid");
    if (span_equal_str(word[0], "keygen")) {
        assert_true(valid);
        check_keygen(kem, buf_span(&bytes[0]), buf_span(&bytes[1]));
    } else if (span_equal_str(word[0], "encaps")) {
        check_encaps(kem, valid, buf_span(&bytes[0]), buf_span(&bytes[1]), buf_span(&bytes[2]));
    } else {
        assert_true(span_equal_str(word[0], "decaps"));
        check_decaps(kem, valid, buf_span(&bytes[0]), buf_span(&bytes[1]), buf_span(&bytes[2]));
    }
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        buf_done(&bytes[i]);
    }
}

static void check_vectors(const struct kem *kem) {
    struct buf file CLEANUP(buf_done) = BUF(1024 * 1024);
    fixture_read_vectors("wycheproof_mlkem768.txt", &file);
    span_t rest = buf_span(&file);
    span_t line;
    size_t count = 0;
    while (fixture_line(&rest, &line)) {
        check_line(kem, line);
        count++;
    }
    assert_int_equal(count, 279);
}

static void test_vectors_chosen(void **state) {
    (void)state;
    check_vectors(&chosen);
}

static void test_vectors_ours(void **state) {
    (void)state;
    check_vectors(&ours);
}

/* Whatever bit of a ciphertext is wrong, another secret comes out, and no error. */
static void test_implicit_rejection(void **state) {
    (void)state;
    static const uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES] = {1, 2, 3};
    struct pair pair;
    struct sealed sealed;
    uint8_t secret[MLKEM768_SECRET_BYTES];
    assert_ok(ours.keygen(seed, pair.public_key, pair.private_key));
    assert_ok(ours.encaps(pair.public_key, seed, sealed.ciphertext, sealed.secret));
    for (size_t bit = 0; bit < sizeof sealed.ciphertext * 8; bit += 3) {
        sealed.ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_ok(ours.decaps(pair.private_key, sealed.ciphertext, secret));
        assert_memory_not_equal(secret, sealed.secret, sizeof secret);
        sealed.ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_ok(ours.decaps(pair.private_key, sealed.ciphertext, secret));
    assert_memory_equal(secret, sealed.secret, sizeof secret);
}

/* Long chains, in which each step feeds the next, so that rare numbers come up too. */
static void test_both_agree(void **state) {
    (void)state;
    uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES] = {0};
    for (size_t i = 0; i < 200; i++) {
        struct pair pair[2];
        struct sealed sealed[2];
        uint8_t secret[2][MLKEM768_SECRET_BYTES];
        const struct kem *const kems[] = {&chosen, &ours};
        for (size_t k = 0; k < 2; k++) {
            assert_ok(kems[k]->keygen(seed, pair[k].public_key, pair[k].private_key));
            assert_ok(
                kems[k]->encaps(pair[k].public_key, seed, sealed[k].ciphertext, sealed[k].secret));
            sealed[k].ciphertext[i] ^= (uint8_t)(i & 1); /* every other one is wrong */
            assert_ok(kems[k]->decaps(pair[k].private_key, sealed[k].ciphertext, secret[k]));
        }
        assert_memory_equal(&pair[0], &pair[1], sizeof pair[0]);
        assert_memory_equal(&sealed[0], &sealed[1], sizeof sealed[0]);
        assert_memory_equal(secret[0], secret[1], sizeof secret[0]);
        assert_int_equal(memcmp(secret[0], sealed[0].secret, sizeof secret[0]) != 0, i & 1);
        crypto_sha512(span_of(secret[0], sizeof secret[0]), seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_chosen),
        cmocka_unit_test(test_vectors_ours),
        cmocka_unit_test(test_implicit_rejection),
        cmocka_unit_test(test_both_agree),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
