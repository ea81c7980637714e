#include "base/limits.h"
#include "base/text.h"
#include "fixture.h"
#include "ssh/key.h"
#include "ssh/wire.h"

static const char ed25519_line[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

static void test_line_refuses(void **state) {
    (void)state;
    static const struct {
        const char *line;
        enum err_code code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"\n", ERR_MALFORMED},
        {"ssh-ed25519", ERR_MALFORMED},
        {"ssh-ed25519 ", ERR_MALFORMED},
        {"ssh-ed25519 !!!!", ERR_MALFORMED},
        {"ssh-ed25519 AAAA", ERR_TRUNCATED},
        {"AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea", ERR_MALFORMED},
        {"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
         ERR_MALFORMED},
        {"no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
         ERR_MALFORMED},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea a\nb",
         ERR_MALFORMED},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea \33[2J",
         ERR_MALFORMED},
        /* One byte more behind the point, and one byte less. */
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaAA==",
         ERR_TRAILING},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E=",
         ERR_TRUNCATED},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH9damAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E=",
         ERR_KEY_INVALID},
        {"ssh-dss AAAAB3NzaC1kc3MAAACBAP", ERR_KEY_DSA},
        {"  ssh-dss AAAAB3NzaC1kc3M= x", ERR_KEY_DSA},
        {"ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
         ERR_KEY_IS_CERT},
        {"1024 65537 1234567890123456789 user@host", ERR_KEY_RSA1},
        {"2048 35 99999", ERR_KEY_RSA1},
        {"---- BEGIN SSH2 PUBLIC KEY ----\nComment: x\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
         ERR_KEY_RFC4716},
        {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", ERR_KEY_PPK},
        {"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 14\n", ERR_KEY_PPK},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA", ERR_KEY_PRIVATE},
        {" \t\r\n -----BEGIN OPENSSH PRIVATE KEY-----\n", ERR_KEY_PRIVATE},
        {"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE", ERR_KEY_PRIVATE},
        {"ssh-ed25519 b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE me", ERR_KEY_PRIVATE},
        {"-----BEGIN RSA PRIVATE KEY-----", ERR_KEY_PRIVATE},
        {"-----BEGIN DSA PRIVATE KEY-----", ERR_KEY_PRIVATE},
        {"-----BEGIN EC PRIVATE KEY-----", ERR_KEY_PRIVATE},
        {"-----BEGIN PRIVATE KEY-----", ERR_KEY_PRIVATE},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----", ERR_KEY_PRIVATE},
        {"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", ERR_KEY_PRIVATE},
        {"SSH PRIVATE KEY FILE FORMAT 1.1\n", ERR_KEY_PRIVATE},
        {"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v", ERR_KEY_PRIVATE},
        {"Private-Lines: 1\nAAAA", ERR_KEY_PRIVATE},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea me\n"
         "-----BEGIN OPENSSH PRIVATE KEY-----\n",
         ERR_KEY_PRIVATE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key *key = NULL;
        err_t err = key_parse_line(span_str(cases[i].line), &key, NULL);
        if (err.code != cases[i].code) {
            print_error("case %zu (%s): %s\n", i, cases[i].line, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
        assert_null(key);
    }
}

static void test_line_limits(void **state) {
    (void)state;
    struct buf line CLEANUP(buf_done) = BUF(4 * LIMIT_KEY_LINE_CHARS);
    struct key *key CLEANUP(key_freep) = NULL;
    uint8_t *pad;
    assert_ok(buf_add_str(&line, ed25519_line));
    assert_ok(buf_add_byte(&line, ' '));
    assert_ok(buf_extend(&line, LIMIT_KEY_COMMENT_CHARS, &pad));
    memset(pad, 'c', LIMIT_KEY_COMMENT_CHARS);
    assert_ok(key_parse_line(buf_span(&line), &key, NULL));
    assert_ok(buf_add_byte(&line, 'c'));
    struct key *none = NULL;
    assert_fails(key_parse_line(buf_span(&line), &none, NULL), ERR_TOO_LONG);
    /* White space counts towards the line. */
    buf_clear(&line);
    assert_ok(buf_add_str(&line, ed25519_line));
    assert_ok(buf_extend(&line, LIMIT_KEY_LINE_CHARS - line.len, &pad));
    memset(pad, ' ', LIMIT_KEY_LINE_CHARS - strlen(ed25519_line));
    key_free(TAKE(key));
    assert_ok(key_parse_line(buf_span(&line), &key, NULL));
    assert_ok(buf_add_byte(&line, ' '));
    assert_fails(key_parse_line(buf_span(&line), &none, NULL), ERR_TOO_LONG);
    /* A private key beyond every limit is still told as one. */
    assert_ok(buf_extend(&line, 2 * LIMIT_KEY_LINE_CHARS, &pad));
    memset(pad, ' ', 2 * LIMIT_KEY_LINE_CHARS);
    assert_ok(buf_add_str(&line, "-----BEGIN RSA PRIVATE KEY-----"));
    assert_fails(key_parse_line(buf_span(&line), &none, NULL), ERR_KEY_PRIVATE);
}

static void put_key(struct buf *blob, const char *name, const char *curve, span_t point) {
    buf_clear(blob);
    assert_ok(wire_put_text(blob, name));
    if (curve != NULL) {
        assert_ok(wire_put_text(blob, curve));
    }
    assert_ok(wire_put_string(blob, point));
}

/* The generator of P-256 (FIPS 186-4 D.1.2.3), and what is not quite it. */
static const char p256_point[] =
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

static void test_points(void **state) {
    (void)state;
    struct buf point CLEANUP(buf_done) = BUF(256);
    struct buf blob CLEANUP(buf_done) = BUF(1024);
    struct key *key CLEANUP(key_freep) = NULL;
    struct key *none = NULL;
    assert_ok(hex_decode(span_str(p256_point), &point));
    put_key(&blob, "ecdsa-sha2-nistp256", "nistp256", buf_span(&point));
    assert_ok(key_parse(buf_span(&blob), &key));
    assert_int_equal(key_type(key), KEY_ECDSA_256);

    put_key(&blob, "ecdsa-sha2-nistp256", "nistp384", buf_span(&point));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
    put_key(&blob, "ecdsa-sha2-nistp384", "nistp384", buf_span(&point));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
    put_key(&blob, "ecdsa-sha2-nistp256", "nistp256", span_of(point.data, 64));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
    put_key(&blob, "ecdsa-sha2-nistp256", "nistp256", SPAN_LITERAL("\0")); /* infinity */
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
    point.data[64] ^= 1; /* off the curve */
    put_key(&blob, "ecdsa-sha2-nistp256", "nistp256", buf_span(&point));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
    point.data[64] ^= 1;
    point.data[0] = 3; /* compressed */
    put_key(&blob, "ecdsa-sha2-nistp256", "nistp256", span_of(point.data, 33));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_KEY_INVALID);
}

static err_t parse_rsa(const char *exponent, size_t bits, uint8_t last) {
    struct buf blob CLEANUP(buf_done) = BUF(16384);
    uint8_t modulus[4096] = {0};
    size_t len = (bits + 7) / 8;
    modulus[0] = (uint8_t)(1U << ((bits - 1) % 8));
    modulus[len - 1] = last;
    assert_ok(wire_put_text(&blob, "ssh-rsa"));
    assert_ok(wire_put_mpint(&blob, span_str(exponent)));
    assert_ok(wire_put_mpint(&blob, span_of(modulus, len)));
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(key_parse(buf_span(&blob), &key));
    assert_int_equal(key_bits(key), bits);
    return OK;
}

/* Under the neutral element as key, one signature is good for every message, by the equation of RFC
 * 8032 alone. The other points here are those of order 2 and 4. */
static void test_points_of_small_order(void **state) {
    (void)state;
    static const uint8_t points[][32] = {
        {1},
        {0},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    static const uint8_t neutral_and_zero[64] = {1};
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        struct buf blob CLEANUP(buf_done) = BUF(256);
        struct buf signature CLEANUP(buf_done) = BUF(256);
        struct key *key CLEANUP(key_freep) = NULL;
        assert_ok(wire_put_text(&blob, "ssh-ed25519"));
        assert_ok(wire_put_string(&blob, span_of(points[i], sizeof points[i])));
        assert_ok(wire_put_text(&signature, "ssh-ed25519"));
        assert_ok(wire_put_string(&signature, span_of(neutral_and_zero, 64)));
        assert_ok(key_parse(buf_span(&blob), &key));
        for (char message = 'a'; message < 'q'; message++) {
            assert_fails(key_verify(key, span_of(&message, 1), buf_span(&signature), NULL),
                         ERR_SIGNATURE);
        }
    }
}

static void test_rsa_numbers(void **state) {
    (void)state;
    assert_ok(parse_rsa("\3", LIMIT_RSA_BITS_MIN, 1));
    assert_ok(parse_rsa("\3", LIMIT_RSA_BITS_MAX, 1));
    assert_fails(parse_rsa("\3", LIMIT_RSA_BITS_MIN - 1, 1), ERR_KEY_SIZE);
    assert_fails(parse_rsa("\3", LIMIT_RSA_BITS_MAX + 1, 1), ERR_KEY_SIZE);
    assert_fails(parse_rsa("\3", 2048, 2), ERR_KEY_INVALID);
    assert_fails(parse_rsa("\1", 2048, 1), ERR_KEY_INVALID);
    assert_fails(parse_rsa("\4", 2048, 1), ERR_KEY_INVALID);
    assert_fails(parse_rsa("", 2048, 1), ERR_KEY_INVALID);
    assert_fails(parse_rsa("123456781", 2048, 1), ERR_KEY_INVALID);
    assert_ok(parse_rsa("12345671", 2048, 1));
}

static void test_unknown_type_is_carried(void **state) {
    (void)state;
    struct buf blob CLEANUP(buf_done) = BUF(16384);
    struct key *key CLEANUP(key_freep) = NULL;
    struct key *none = NULL;
    assert_ok(wire_put_text(&blob, "ssh-future@example.com"));
    assert_ok(buf_add_str(&blob, "anything"));
    assert_ok(key_parse(buf_span(&blob), &key));
    assert_int_equal(key_type(key), KEY_UNKNOWN);
    assert_string_equal(key_type_name(key), "ssh-future@example.com");
    assert_true(span_equal(key_blob(key), buf_span(&blob)));
    assert_fails(key_verify(key, SPAN_LITERAL("x"), SPAN_LITERAL("y"), NULL), ERR_SIGNATURE);

    uint8_t *pad;
    assert_ok(buf_extend(&blob, LIMIT_KEY_BLOB_BYTES - blob.len, &pad));
    struct key *largest CLEANUP(key_freep) = NULL;
    assert_ok(key_parse(buf_span(&blob), &largest));
    assert_ok(buf_add_byte(&blob, 0));
    assert_fails(key_parse(buf_span(&blob), &none), ERR_TOO_LONG);
    static const char *const names[] = {"", "a b", "a,b", "a\n", "\x80"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        buf_clear(&blob);
        assert_ok(wire_put_text(&blob, names[i]));
        assert_fails(key_parse(buf_span(&blob), &none), ERR_MALFORMED);
    }
}

static void check_against_keygen(const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s.pub", name);
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct buf told CLEANUP(buf_done) = BUF(65536);
    struct buf ours CLEANUP(buf_done) = BUF(65536);
    fixture_read(path, &line);
    struct key *key CLEANUP(key_freep) = NULL;
    span_t comment;
    assert_ok(key_parse_line(buf_span(&line), &key, &comment));
    assert_true(span_equal_str(comment, "alice@laptop"));
    assert_ok(key_print_line(key, "alice@laptop", &ours));
    fixture_write("printed.pub", buf_span(&ours));
    assert_ok(buf_add_byte(&ours, '\n'));
    assert_true(span_equal(buf_span(&ours), buf_span(&line)));

    assert_int_equal(fixture_run("ssh-keygen -lf printed.pub > told"), 0);
    fixture_read("told", &told);
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(key, fingerprint);
    buf_clear(&ours);
    assert_ok(buf_add_format(&ours, "%u %s alice@laptop (%s)\n", key_bits(key), fingerprint,
                             key_type_display(key)));
    assert_true(span_equal(buf_span(&ours), buf_span(&told)));

    /* Every truncation of the blob is refused; no flipped byte makes it another known key that
     * claims to be the same. */
    span_t blob = key_blob(key);
    struct key *none = NULL;
    for (size_t len = 0; len < blob.len; len++) {
        assert_true(failed(key_parse(span_of(blob.data, len), &none)));
    }
    uint8_t copy[LIMIT_KEY_BLOB_BYTES];
    memcpy(copy, blob.data, blob.len);
    for (size_t i = 0; i < blob.len; i++) {
        copy[i] ^= 0x01;
        struct key *other CLEANUP(key_freep) = NULL;
        if (!failed(key_parse(span_of(copy, blob.len), &other))) {
            assert_false(key_equal(key, other));
            assert_true(span_equal(key_blob(other), span_of(copy, blob.len)));
        }
        copy[i] ^= 0x01;
    }
}

static void test_keygen_agrees(void **state) {
    (void)state;
    static const char *const kinds[] = {
        "-t ed25519",     "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521",
        "-t rsa -b 2048", "-t rsa -b 3072",  "-t rsa -b 4096",
    };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "key%zu", i);
        assert_int_equal(
            fixture_run("ssh-keygen -q -N '' -C alice@laptop %s -f %s", kinds[i], name), 0);
        check_against_keygen(name);
    }
}

static void test_security_keys_agree(void **state) {
    (void)state;
    struct buf point CLEANUP(buf_done) = BUF(256);
    struct buf blob CLEANUP(buf_done) = BUF(1024);
    struct buf line CLEANUP(buf_done) = BUF(4096);
    assert_ok(hex_decode(span_str(p256_point), &point));
    for (int i = 0; i < 2; i++) {
        struct key *key CLEANUP(key_freep) = NULL;
        put_key(&blob, i == 0 ? "sk-ecdsa-sha2-nistp256@openssh.com" : "sk-ssh-ed25519@openssh.com",
                i == 0 ? "nistp256" : NULL,
                i == 0 ? buf_span(&point) : span_of(point.data + 1, 32));
        struct key *none = NULL;
        assert_fails(key_parse(buf_span(&blob), &none), ERR_TRUNCATED);
        assert_ok(wire_put_text(&blob, "ssh:"));
        assert_ok(key_parse(buf_span(&blob), &key));
        assert_true(key_is_security_key(key));
        assert_true(span_equal_str(key_application(key), "ssh:"));
        buf_clear(&line);
        assert_ok(key_print_line(key, "alice@laptop", &line));
        assert_ok(buf_add_byte(&line, '\n'));
        fixture_write("sk.pub", buf_span(&line));
        check_against_keygen("sk");
    }
}

static void test_surroundings(void **state) {
    (void)state;
    static const char *const formats[] = {"%s", "%s\n", "%s\r\n", " \t%s \n", "\n%s\n\n"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct buf line CLEANUP(buf_done) = BUF(1024);
        struct key *key CLEANUP(key_freep) = NULL;
        span_t comment;
        char text[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, formats[i], ed25519_line);
#pragma GCC diagnostic pop
        assert_ok(key_parse_line(span_str(text), &key, &comment));
        assert_int_equal(comment.len, 0);
        assert_ok(key_print_line(key, NULL, &line));
        assert_true(span_equal_str(buf_span(&line), ed25519_line));
        assert_fails(key_print_line(key, "a\nb", &line), ERR_MALFORMED);
        assert_true(span_equal_str(buf_span(&line), ed25519_line));
        struct key *copy CLEANUP(key_freep) = NULL;
        assert_ok(key_copy(key, &copy));
        assert_true(key_equal(key, copy));
    }
}

static void test_wycheproof(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(1024 * 1024);
    fixture_read_vectors("wycheproof_signatures.txt", &file);
    span_t rest = buf_span(&file);
    span_t line;
    size_t valid = 0;
    size_t invalid = 0;
    while (fixture_line(&rest, &line)) {
        span_t word[6];
        struct buf bytes[3] = {BUF(4096), BUF(4096), BUF(4096)};
        struct key *key CLEANUP(key_freep) = NULL;
        for (size_t i = 0; i < COUNT_OF(word); i++) {
            assert_true(fixture_word(&line, &word[i]));
        }
        for (size_t i = 0; i < COUNT_OF(bytes); i++) {
            assert_ok(hex_decode(word[3 + i], &bytes[i]));
        }
        assert_ok(key_parse(buf_span(&bytes[0]), &key));
        bool expected = span_equal_str(word[2], "valid");
        bool good = !failed(key_verify(key, buf_span(&bytes[1]), buf_span(&bytes[2]), NULL));
        if (good != expected) {
            print_error("%.*s %.*s\n", (int)word[0].len, (const char *)word[0].data,
                        (int)word[1].len, (const char *)word[1].data);
        }
        assert_int_equal(good, expected);
        *(expected ? &valid : &invalid) += 1;
        for (size_t i = 0; i < COUNT_OF(bytes); i++) {
            buf_done(&bytes[i]);
        }
    }
    assert_int_equal(valid, 8);
    assert_int_equal(invalid, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_refuses),  cmocka_unit_test(test_line_limits),
        cmocka_unit_test(test_points),        cmocka_unit_test(test_points_of_small_order),
        cmocka_unit_test(test_rsa_numbers),   cmocka_unit_test(test_unknown_type_is_carried),
        cmocka_unit_test(test_keygen_agrees), cmocka_unit_test(test_security_keys_agree),
        cmocka_unit_test(test_surroundings),  cmocka_unit_test(test_wycheproof),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
