/* Key exchange: shares that must be refused, vectors, and values that pyca/cryptography computed.
 */
#include "fixture.h"

#include "base/text.h"
#include "transport/ecdh.h"
#include "transport/mlkem.h"

static const enum kex_id methods[] = {KEX_MLKEM768_X25519, KEX_CURVE25519, KEX_ECDH_NISTP256};

/* Bytes that count up, so that every run makes the same keys. */
static void fill_counting(void *context, void *out, size_t len) {
    uint8_t *next = context;
    uint8_t *to = out;
    for (size_t i = 0; i < len; i++) {
        to[i] = (*next)++;
    }
}

struct exchange {
    uint8_t client_next, server_next;
    struct kex_client *client;
    struct buf client_share, server_share;
    struct kex_secret client_secret, server_secret;
};

static void exchange_done(struct exchange *exchange) {
    kex_client_free(exchange->client);
    buf_done(&exchange->client_share);
    buf_done(&exchange->server_share);
}

/* As far as the client's share. */
static void begin(enum kex_id id, struct exchange *out) {
    *out = (struct exchange){.server_next = 0x80,
                             .client_share = BUF(KEX_SHARE_BYTES_MAX),
                             .server_share = BUF(KEX_SHARE_BYTES_MAX)};
    const struct randomness random = {fill_counting, &out->client_next};
    assert_ok(kex_client_begin(id, &random, &out->client, &out->client_share));
}

static err_t serve(enum kex_id id, struct exchange *exchange, span_t client_share) {
    const struct randomness random = {fill_counting, &exchange->server_next};
    return kex_server(id, &random, client_share, &exchange->server_share, &exchange->server_secret);
}

/* Neither a share nor a secret comes of it. */
static void assert_server_refuses(enum kex_id id, span_t share) {
    struct exchange exchange CLEANUP(exchange_done) = {.server_share = BUF(KEX_SHARE_BYTES_MAX)};
    assert_fails(serve(id, &exchange, share), ERR_KEY_INVALID);
    assert_int_equal(exchange.server_share.len, 0);
    assert_int_equal(exchange.server_secret.len, 0);
}

static void assert_client_refuses(const struct kex_client *client, span_t share) {
    struct kex_secret secret = {.len = 0};
    assert_fails(kex_client_finish(client, share, &secret), ERR_KEY_INVALID);
    assert_int_equal(secret.len, 0);
}

static void assert_hex(span_t bytes, const char *expected) {
    struct buf decoded CLEANUP(buf_done) = BUF(4096);
    assert_ok(hex_decode(span_str(expected), &decoded));
    assert_int_equal(bytes.len, decoded.len);
    assert_memory_equal(bytes.data, decoded.data, decoded.len);
}

static void test_lengths(void **state) {
    (void)state;
    for (size_t m = 0; m < COUNT_OF(methods); m++) {
        struct exchange exchange CLEANUP(exchange_done);
        begin(methods[m], &exchange);
        assert_ok(serve(methods[m], &exchange, buf_span(&exchange.client_share)));
        span_t client = buf_span(&exchange.client_share);
        span_t server = buf_span(&exchange.server_share);
        for (size_t len = 0; len < client.len; len++) {
            assert_server_refuses(methods[m], span_of(client.data, len));
        }
        for (size_t len = 0; len < server.len; len++) {
            assert_client_refuses(exchange.client, span_of(server.data, len));
        }
        uint8_t longer[KEX_SHARE_BYTES_MAX + 1] = {0};
        memcpy(longer, client.data, client.len);
        assert_server_refuses(methods[m], span_of(longer, client.len + 1));
        memcpy(longer, server.data, server.len);
        assert_client_refuses(exchange.client, span_of(longer, server.len + 1));
    }
}

static void test_p256_points(void **state) {
    (void)state;
    struct exchange exchange CLEANUP(exchange_done);
    begin(KEX_ECDH_NISTP256, &exchange);
    uint8_t point[65];
    assert_int_equal(exchange.client_share.len, sizeof point);
    for (size_t at = 0; at < sizeof point; at++) { /* off the curve, and forms but 04 */
        memcpy(point, exchange.client_share.data, sizeof point);
        point[at] ^= 1;
        assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, sizeof point));
        assert_client_refuses(exchange.client, span_of(point, sizeof point));
    }
    memcpy(point, exchange.client_share.data, sizeof point);
    point[0] = (uint8_t)(2 + (point[64] & 1)); /* compressed */
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, 33));
    point[0] = (uint8_t)(6 + (point[64] & 1)); /* both */
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, sizeof point));
    memset(point, 0, sizeof point); /* at infinity, as SEC 1 writes it and padded */
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, 1));
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, sizeof point));
    point[0] = 4;
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, sizeof point));
    memset(point + 1, 0xff, 64); /* coordinates beyond the field */
    assert_server_refuses(KEX_ECDH_NISTP256, span_of(point, sizeof point));
}

/* Gives numbers that are no private key of P-256 first. */
static void fill_unlucky(void *context, void *out, size_t len) {
    static const char *const numbers[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", /* the order */
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", /* the largest one */
    };
    size_t *next = context;
    struct buf number CLEANUP(buf_done) = BUF(32);
    assert_in_range(*next, 0, COUNT_OF(numbers) - 1);
    assert_ok(hex_decode(span_str(numbers[(*next)++]), &number));
    assert_int_equal(len, number.len);
    memcpy(out, number.data, len);
}

static void test_p256_private_keys(void **state) {
    (void)state;
    size_t next = 0;
    const struct randomness random = {fill_unlucky, &next};
    uint8_t private_key[ECDH_BYTES];
    uint8_t share[ECDH_SHARE_BYTES_MAX];
    assert_ok(ecdh_p256.generate(&random, private_key, share));
    assert_int_equal(next, 4);
    /* The generator, mirrored. */
    assert_hex(span_of(share, ecdh_p256.share_len),
               "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
               "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a");
}

static void test_x25519_vectors(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(64 * 1024);
    fixture_read_vectors("wycheproof_x25519.txt", &file);
    span_t rest = buf_span(&file);
    span_t line;
    size_t valid = 0;
    size_t invalid = 0;
    while (fixture_line(&rest, &line)) {
        span_t word[5];
        struct buf bytes[3] = {BUF(32), BUF(32), BUF(32)};
        for (size_t i = 0; i < COUNT_OF(word); i++) {
            assert_true(fixture_word(&line, &word[i]));
        }
        for (size_t i = 0; i < COUNT_OF(bytes); i++) {
            assert_ok(hex_decode(word[2 + i], &bytes[i]));
            assert_int_equal(bytes[i].len, 32);
        }
        uint8_t result[ECDH_BYTES];
        err_t err = ecdh_x25519.agree(bytes[0].data, buf_span(&bytes[1]), result);
        if (span_equal_str(word[1], "valid")) {
            assert_ok(err);
            assert_memory_equal(result, bytes[2].data, sizeof result);
            valid++;
        } else {
            assert_fails(err, ERR_KEY_INVALID);
            assert_server_refuses(KEX_CURVE25519, buf_span(&bytes[1]));
            invalid++;
        }
        for (size_t i = 0; i < COUNT_OF(bytes); i++) {
            buf_done(&bytes[i]);
        }
    }
    assert_int_equal(valid, 22);
    assert_int_equal(invalid, 31);
}

/* Each half of the hybrid is checked by itself. */
static void test_hybrid_halves(void **state) {
    (void)state;
    struct exchange exchange CLEANUP(exchange_done);
    begin(KEX_MLKEM768_X25519, &exchange);
    assert_ok(serve(KEX_MLKEM768_X25519, &exchange, buf_span(&exchange.client_share)));

    uint8_t share[MLKEM768_PUBLIC_BYTES + 32];
    memcpy(share, exchange.client_share.data, sizeof share);
    memset(share + MLKEM768_PUBLIC_BYTES, 0, 32);
    assert_server_refuses(KEX_MLKEM768_X25519, span_of(share, sizeof share));
    memcpy(share, exchange.client_share.data, sizeof share);
    share[0] = 0x01; /* 3329, just not reduced */
    share[1] = (uint8_t)((share[1] & 0xf0) | 0x0d);
    assert_server_refuses(KEX_MLKEM768_X25519, span_of(share, sizeof share));

    uint8_t reply[MLKEM768_CIPHERTEXT_BYTES + 32];
    memcpy(reply, exchange.server_share.data, sizeof reply);
    memset(reply + MLKEM768_CIPHERTEXT_BYTES, 0, 32);
    assert_client_refuses(exchange.client, span_of(reply, sizeof reply));
    memcpy(reply, exchange.server_share.data, sizeof reply);
    reply[0] ^= 1; /* rejected without a word: the secrets differ */
    assert_ok(
        kex_client_finish(exchange.client, span_of(reply, sizeof reply), &exchange.client_secret));
    assert_memory_not_equal(exchange.client_secret.encoded, exchange.server_secret.encoded,
                            exchange.server_secret.len);
}

static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        enum kex_id id;
        const char *client_share_hash, *server_share_hash, *secret;
    } cases[] = {
        {KEX_MLKEM768_X25519, "d99e4496af749b54ee4a2d270c8057450624ecc5dc0866295ffc504a26134ad4",
         "3a974acc1e860aeccb0e36dc9ec8f82a73bea387edbeaa065df1549201601b6f",
         "00000020cd030db3a4226b991d728883a6940665f7cf50b2df99bb5b0da74f8cb48c0c02"},
        {KEX_CURVE25519, "eedd883da0a9451593dc0a38e583fb770fa27dbbed209c20404e075e68c4f0c9",
         "51600d1bad28ef936e05af768bbb0247569501717d98b463e8a88ce5cefeb3a7",
         "0000002074b43a90417395b74f29f89461d912822d9e7c2e60a899d47504fe4a367fb47f"},
        {KEX_ECDH_NISTP256, "c6f4e212a3ac26051c507ab582c041f01044b2d140d5ee018c4f950acd061460",
         "4010759ea4331f4ccaacd00dcdf705ce85bd9f40cf912b701ce7c2a61c19b401",
         "0000002100818c0474644bb2a0954c849fe51a3d7675c32cd6413f45827ac41849117e01f1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct exchange exchange CLEANUP(exchange_done);
        uint8_t hash[CRYPTO_SHA256_BYTES];
        begin(cases[i].id, &exchange);
        crypto_sha256(buf_span(&exchange.client_share), hash);
        assert_hex(span_of(hash, sizeof hash), cases[i].client_share_hash);
        assert_ok(serve(cases[i].id, &exchange, buf_span(&exchange.client_share)));
        crypto_sha256(buf_span(&exchange.server_share), hash);
        assert_hex(span_of(hash, sizeof hash), cases[i].server_share_hash);
        assert_ok(kex_client_finish(exchange.client, buf_span(&exchange.server_share),
                                    &exchange.client_secret));
        assert_hex(span_of(exchange.client_secret.encoded, exchange.client_secret.len),
                   cases[i].secret);
        assert_hex(span_of(exchange.server_secret.encoded, exchange.server_secret.len),
                   cases[i].secret);
    }
}

/* A number that begins with a zero byte is a shorter mpint. */
static void test_short_number(void **state) {
    (void)state;
    struct exchange exchange CLEANUP(exchange_done) = {.server_next = 0x80,
                                                       .server_share = BUF(KEX_SHARE_BYTES_MAX)};
    struct buf share CLEANUP(buf_done) = BUF(32);
    assert_ok(hex_decode(
        span_str("70944a225ac83d8131b534326ad3f422cf0c628e8c3ef29707a9c6b7ea83ed48"), &share));
    assert_ok(serve(KEX_CURVE25519, &exchange, buf_span(&share)));
    assert_hex(span_of(exchange.server_secret.encoded, exchange.server_secret.len),
               "0000001f6352c2fc217c1ed22c94d9b1154eeee1f07a47011bafbbc803142c8d7f6812");
}

static void test_agree(void **state) {
    (void)state;
    for (size_t m = 0; m < COUNT_OF(methods); m++) {
        struct kex_secret before = {.len = 0};
        for (size_t i = 0; i < 300; i++) {
            struct kex_client *client CLEANUP(kex_client_freep) = NULL;
            struct buf there CLEANUP(buf_done) = BUF(KEX_SHARE_BYTES_MAX);
            struct buf back CLEANUP(buf_done) = BUF(KEX_SHARE_BYTES_MAX);
            struct kex_secret ours;
            struct kex_secret theirs;
            assert_ok(kex_client_begin(methods[m], &randomness_of_kernel, &client, &there));
            assert_ok(
                kex_server(methods[m], &randomness_of_kernel, buf_span(&there), &back, &ours));
            assert_ok(kex_client_finish(client, buf_span(&back), &theirs));
            assert_int_equal(ours.len, theirs.len);
            assert_memory_equal(ours.encoded, theirs.encoded, ours.len);
            assert_false(before.len == ours.len &&
                         memcmp(before.encoded, ours.encoded, ours.len) == 0);
            before = ours;
        }
    }
}

/* From hashlib, over the secret of curve25519-sha256 above. */
static void test_derivation(void **state) {
    (void)state;
    struct kex_secret secret = {.len = 0};
    struct buf encoded CLEANUP(buf_done) = BUF(64);
    assert_ok(hex_decode(
        span_str("0000002074b43a90417395b74f29f89461d912822d9e7c2e60a899d47504fe4a367fb47f"),
        &encoded));
    memcpy(secret.encoded, encoded.data, encoded.len);
    secret.len = encoded.len;
    static const struct {
        char letter;
        const char *expected;
    } cases[] = {
        {'A', "1b5aad91b6a5a86c1f4f3289"},
        {'C', "2ee8b8a59b548bf0f0d9c1dcb5fd567e4045da7f23b41bc2764cd2955284425668c4b7a179a44dbcc0"
              "42090cc85540a4d79b818c133e2b1ad9ae2b771b3c6f62"},
        {'D', "52768f65c2592fde4b215cd15b524fa47fafe9c542957cf550f59b8571ec45e4e696468794fa047c8e"
              "440c7c5acfd5c1532633cbd1d956575163976c8135a87af67363d80829fc93d6c3ac39c40787ddb1de"
              "ab942b86fcb9a2a3a2b0a78279398f6b0483"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t out[128];
        memset(out, 0xee, sizeof out);
        size_t len = strlen(cases[i].expected) / 2;
        kex_derive(kex_hash(KEX_CURVE25519), &secret, SPAN_LITERAL("exchange hash"),
                   cases[i].letter, SPAN_LITERAL("session id"), out, len);
        assert_hex(span_of(out, len), cases[i].expected);
        assert_int_equal(out[len], 0xee);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),           cmocka_unit_test(test_p256_points),
        cmocka_unit_test(test_p256_private_keys), cmocka_unit_test(test_x25519_vectors),
        cmocka_unit_test(test_hybrid_halves),     cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_short_number),      cmocka_unit_test(test_agree),
        cmocka_unit_test(test_derivation),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
