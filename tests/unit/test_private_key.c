/* ssh-keygen and openssl are the oracles, in both directions. */
#include "base/limits.h"
#include "base/text.h"
#include "fixture.h"
#include "ssh/bcrypt_pbkdf.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"

static char correct_text[] = "correct horse";
static char wrong_text[] = "wrong horse";
static const secret_t correct = {correct_text, sizeof correct_text - 1};
static const secret_t wrong = {wrong_text, sizeof wrong_text - 1};

static const struct {
    enum key_type type;
    unsigned bits;
    const char *options;
} kinds[] = {
    {KEY_ED25519, 256, "-t ed25519"},        {KEY_ECDSA_256, 256, "-t ecdsa -b 256"},
    {KEY_ECDSA_384, 384, "-t ecdsa -b 384"}, {KEY_ECDSA_521, 521, "-t ecdsa -b 521"},
    {KEY_RSA, 2048, "-t rsa -b 2048"},       {KEY_RSA, 3072, "-t rsa -b 3072"},
    {KEY_RSA, 4096, "-t rsa -b 4096"},
};

static err_t load(const char *path, const secret_t *passphrase, struct private_key **out) {
    struct buf file CLEANUP(buf_done) = BUF(1024 * 1024);
    fixture_read(path, &file);
    return private_key_load(buf_span(&file), passphrase, out, NULL);
}

static err_t inspect(const char *path, struct private_key_info *out) {
    struct buf file CLEANUP(buf_done) = BUF(1024 * 1024);
    fixture_read(path, &file);
    return private_key_inspect(buf_span(&file), out);
}

/* Signs what the public line beside the file verifies. */
static void assert_signs_for(const struct private_key *key, const char *public_path) {
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct key *public_key CLEANUP(key_freep) = NULL;
    fixture_read(public_path, &line);
    assert_ok(key_parse_line(buf_span(&line), &public_key, NULL));
    assert_true(key_equal(public_key, private_key_public(key)));
    static const enum rsa_hash hashes[] = {RSA_SHA512, RSA_SHA256};
    for (size_t i = 0; i < COUNT_OF(hashes); i++) {
        struct buf signature CLEANUP(buf_done) = BUF(8192);
        assert_ok(private_key_sign(key, SPAN_LITERAL("data"), hashes[i], &signature));
        assert_ok(key_verify(public_key, SPAN_LITERAL("data"), buf_span(&signature), NULL));
        assert_fails(key_verify(public_key, SPAN_LITERAL("datb"), buf_span(&signature), NULL),
                     ERR_SIGNATURE);
        for (size_t at = 0; at<signature.len; at += signature.len> 200 ? 7 : 1) {
            signature.data[at] ^= 1;
            assert_fails(key_verify(public_key, SPAN_LITERAL("data"), buf_span(&signature), NULL),
                         ERR_SIGNATURE);
            signature.data[at] ^= 1;
        }
    }
}

static void test_reads_keygen(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        assert_int_equal(fixture_run("rm -f k k.pub; ssh-keygen -q -N '' -C 'alice laptop' %s -f k",
                                     kinds[i].options),
                         0);
        struct buf file CLEANUP(buf_done) = BUF(65536);
        char *comment CLEANUP(freep) = NULL;
        fixture_read("k", &file);
        assert_ok(private_key_load(buf_span(&file), NULL, &key, &comment));
        assert_string_equal(comment, "alice laptop");
        assert_signs_for(key, "k.pub");
        struct private_key_info info;
        assert_ok(private_key_inspect(buf_span(&file), &info));
        assert_int_equal(info.format, PRIVATE_KEY_OPENSSH);
        assert_false(info.encrypted);
        assert_string_equal(info.cipher, "");
        assert_string_equal(info.kdf, "none");
        assert_int_equal(info.kdf_rounds, 0);
        assert_true(key_equal(info.public_key, private_key_public(key)));
        private_key_info_done(&info);
    }
}

static void test_keygen_reads_ours(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        for (int encrypted = 0; encrypted < 2; encrypted++) {
            struct private_key *key CLEANUP(private_key_freep) = NULL;
            struct private_key *again CLEANUP(private_key_freep) = NULL;
            struct buf file CLEANUP(buf_done) = BUF(65536);
            struct buf told CLEANUP(buf_done) = BUF(65536);
            struct buf line CLEANUP(buf_done) = BUF(65536);
            const secret_t *passphrase = encrypted != 0 ? &correct : NULL;
            assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &key));
            assert_int_equal(key_bits(private_key_public(key)), kinds[i].bits);
            assert_ok(private_key_write(key, "alice laptop", passphrase, 16, &file));
            fixture_write("ours", buf_span(&file));
            assert_int_equal(fixture_run("ssh-keygen -y -P '%s' -f ours > told",
                                         encrypted != 0 ? correct_text : ""),
                             0);
            fixture_read("told", &told);
            assert_ok(key_print_line(private_key_public(key), "alice laptop", &line));
            assert_ok(buf_add_byte(&line, '\n'));
            assert_true(span_equal(buf_span(&line), buf_span(&told)));
            fixture_write("ours.pub", buf_span(&line));
            assert_ok(load("ours", passphrase, &again));
            assert_signs_for(again, "ours.pub");
        }
    }
}

static void test_encrypted_by_keygen(void **state) {
    (void)state;
    static const struct {
        const char *cipher;
        uint32_t rounds;
    } cases[] = {
        {"aes256-ctr", 16},
        {"aes256-ctr", 100},
        {"aes192-ctr", 1},
        {"aes128-ctr", 1},
        {"aes256-cbc", 1},
        {"aes192-cbc", 1},
        {"aes128-cbc", 1},
        {"3des-cbc", 1},
        {"aes256-gcm@openssh.com", 1},
        {"aes128-gcm@openssh.com", 1},
        {"chacha20-poly1305@openssh.com", 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct private_key *none = NULL;
        struct private_key_info info;
        assert_int_equal(fixture_run("rm -f k k.pub; ssh-keygen -q -t ed25519 -N '%s' -Z %s -a %u "
                                     "-C alice -f k",
                                     correct_text, cases[i].cipher, cases[i].rounds),
                         0);
        assert_ok(inspect("k", &info));
        assert_true(info.encrypted);
        assert_string_equal(info.cipher, cases[i].cipher);
        assert_string_equal(info.kdf, "bcrypt");
        assert_int_equal(info.kdf_rounds, cases[i].rounds);
        assert_non_null(info.public_key);
        private_key_info_done(&info);
        assert_fails(load("k", NULL, &none), ERR_ENCRYPTED);
        assert_fails(load("k", &(secret_t){0}, &none), ERR_PASSPHRASE);
        assert_fails(load("k", &wrong, &none), ERR_PASSPHRASE);
        assert_ok(load("k", &correct, &key));
        assert_signs_for(key, "k.pub");
    }
}

static void test_pem_by_openssl(void **state) {
    (void)state;
    static const struct {
        const char *make; /* writes "p" */
        const char *cipher, *kdf;
        uint32_t rounds;
        enum private_key_format format;
        bool encrypted;
    } cases[] = {
        {"openssl genpkey -algorithm ed25519 -out p", "", "none", 0, PRIVATE_KEY_PKCS8, false},
        {"openssl genpkey -quiet -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out p 2>/dev/null || "
         "openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out p 2>/dev/null",
         "", "none", 0, PRIVATE_KEY_PKCS8, false},
        {"openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384 -out p", "", "none", 0,
         PRIVATE_KEY_PKCS8, false},
        {"openssl ecparam -genkey -name prime256v1 -out p", "", "none", 0, PRIVATE_KEY_PEM, false},
        {"openssl ecparam -genkey -name secp521r1 -conv_form compressed -out p", "", "none", 0,
         PRIVATE_KEY_PEM, false},
        {"openssl genrsa -traditional 2048 > p 2>/dev/null", "", "none", 0, PRIVATE_KEY_PEM, false},
        {"openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 5000 "
         "-passout 'pass:correct horse' -out p",
         "aes-256-cbc", "pbkdf2", 5000, PRIVATE_KEY_PKCS8, true},
        {"openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -scrypt "
         "-passout 'pass:correct horse' -out p",
         "aes-256-cbc", "scrypt", 0, PRIVATE_KEY_PKCS8, true},
        {"openssl ecparam -genkey -name prime256v1 | openssl ec -aes128 "
         "-passout 'pass:correct horse' -out p 2>/dev/null",
         "aes-128-cbc", "pem", 0, PRIVATE_KEY_PEM, true},
        {"openssl genrsa -traditional -aes256 -passout 'pass:correct horse' 2048 > p 2>/dev/null",
         "aes-256-cbc", "pem", 0, PRIVATE_KEY_PEM, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct private_key *none = NULL;
        struct private_key_info info;
        assert_int_equal(fixture_run("%s", cases[i].make), 0);
        assert_ok(inspect("p", &info));
        assert_int_equal(info.format, cases[i].format);
        assert_int_equal(info.encrypted, cases[i].encrypted);
        assert_string_equal(info.cipher, cases[i].cipher);
        assert_string_equal(info.kdf, cases[i].kdf);
        assert_int_equal(info.kdf_rounds, cases[i].rounds);
        assert_int_equal(info.public_key == NULL, cases[i].encrypted);
        private_key_info_done(&info);
        if (cases[i].encrypted) {
            assert_fails(load("p", NULL, &none), ERR_ENCRYPTED);
            assert_fails(load("p", &wrong, &none), ERR_PASSPHRASE);
            assert_fails(load("p", &(secret_t){0}, &none), ERR_PASSPHRASE);
        }
        assert_ok(load("p", cases[i].encrypted ? &correct : NULL, &key));
        /* ssh-keygen does not read every form that openssl writes; it reads what we make of it. */
        struct buf file CLEANUP(buf_done) = BUF(65536);
        assert_ok(private_key_write(key, NULL, NULL, 0, &file));
        fixture_write("q", buf_span(&file));
        assert_int_equal(fixture_run("ssh-keygen -y -f q > q.pub"), 0);
        assert_signs_for(key, "q.pub");
    }
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"nothing", ERR_MALFORMED},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
         ERR_MALFORMED},
        {"PuTTY-User-Key-File-3: ssh-ed25519\n", ERR_TRUNCATED},
        {"SSH PRIVATE KEY FILE FORMAT 1.1\n", ERR_KEY_RSA1},
        {"-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n", ERR_KEY_DSA},
        {"-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n", ERR_MALFORMED},
        {"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", ERR_MALFORMED},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
         ERR_MALFORMED},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n", ERR_TRUNCATED},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
         ERR_TRUNCATED},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\n!!!!\n-----END OPENSSH PRIVATE KEY-----\n",
         ERR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct private_key *none = NULL;
        struct private_key_info info;
        err_t err = private_key_inspect(span_str(cases[i].text), &info);
        if (err.code != cases[i].code) {
            print_error("%s: %s\n", cases[i].text, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
        assert_fails(private_key_load(span_str(cases[i].text), NULL, &none, NULL), cases[i].code);
    }
    struct buf large CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES + 1);
    struct private_key *none = NULL;
    uint8_t *pad;
    assert_ok(buf_extend(&large, LIMIT_KEY_FILE_BYTES + 1, &pad));
    memset(pad, ' ', large.len);
    assert_fails(private_key_load(buf_span(&large), NULL, &none, NULL), ERR_TOO_LONG);
    large.len--;
    assert_fails(private_key_load(buf_span(&large), NULL, &none, NULL), ERR_MALFORMED);
    assert_int_equal(fixture_run("openssl dsaparam -genkey 1024 2>/dev/null | "
                                 "openssl pkcs8 -topk8 -nocrypt -out d"),
                     0);
    assert_fails(load("d", NULL, &none), ERR_KEY_DSA);
    assert_int_equal(fixture_run("openssl genpkey -algorithm x25519 -out d"), 0);
    assert_fails(load("d", NULL, &none), ERR_UNSUPPORTED);
    assert_fails(private_key_generate(KEY_RSA, 1024, &none), ERR_KEY_SIZE);
    assert_fails(private_key_generate(KEY_ECDSA_256, 384, &none), ERR_KEY_SIZE);
    assert_fails(private_key_generate(KEY_SK_ED25519, 256, &none), ERR_UNSUPPORTED);
}

static void test_work_is_bounded(void **state) {
    (void)state;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct private_key *none = NULL;
    struct buf file CLEANUP(buf_done) = BUF(65536);
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    assert_fails(private_key_write(key, "", &correct, 0, &file), ERR_RANGE);
    assert_fails(private_key_write(key, "", &correct, LIMIT_KDF_ROUNDS + 1, &file), ERR_RANGE);
    assert_fails(private_key_write(key, "", &(secret_t){0}, 16, &file), ERR_RANGE);
    assert_int_equal(file.len, 0);
    /* The rounds stand at a fixed place of the file: behind magic, names and salt. */
    assert_ok(private_key_write(key, "", &correct, 1, &file));
    struct buf letters CLEANUP(buf_done) = BUF(65536);
    struct buf bytes CLEANUP(buf_done) = BUF(65536);
    for (size_t at = 36; at < file.len && file.data[at] != '-'; at++) {
        if (file.data[at] != '\n') {
            assert_ok(buf_add_byte(&letters, file.data[at]));
        }
    }
    assert_ok(base64_decode(buf_span(&letters), BASE64_STANDARD, &bytes));
    size_t rounds_at = 15 + 4 + 10 + 4 + 6 + 4 + 4 + 16;
    assert_int_equal(bytes.data[rounds_at + 3], 1);
    bytes.data[rounds_at + 2] = (LIMIT_KDF_ROUNDS + 1) >> 8;
    bytes.data[rounds_at + 3] = (LIMIT_KDF_ROUNDS + 1) & 0xff;
    buf_clear(&file);
    assert_ok(buf_add_str(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    assert_ok(base64_encode(buf_span(&bytes), BASE64_STANDARD, &file));
    assert_ok(buf_add_str(&file, "\n-----END OPENSSH PRIVATE KEY-----\n"));
    assert_fails(private_key_load(buf_span(&file), &correct, &none, NULL), ERR_RANGE);
    /* PKCS#8: 65537 iterations, turned into 8388607 (both are INTEGERs of three bytes). */
    assert_int_equal(fixture_run("openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 "
                                 "-iter 65537 -passout 'pass:correct horse' -outform DER -out der"),
                     0);
    private_key_free(TAKE(key));
    assert_int_equal(fixture_run("openssl pkcs8 -topk8 -inform DER -outform PEM -in der -out p "
                                 "-iter 65537 -passin 'pass:correct horse' "
                                 "-passout 'pass:correct horse'"),
                     0);
    assert_ok(load("p", &correct, &key));
    struct private_key_info info;
    buf_clear(&bytes);
    buf_clear(&file);
    fixture_read("der", &bytes);
    uint8_t *iterations = memmem(bytes.data, bytes.len, "\2\3\1\0\1", 5);
    assert_non_null(iterations);
    memcpy(iterations + 2, "\x7f\xff\xff", 3);
    assert_ok(buf_add_str(&file, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    buf_clear(&letters);
    assert_ok(base64_encode(buf_span(&bytes), BASE64_STANDARD, &letters));
    for (size_t at = 0; at < letters.len; at += 64) {
        size_t len = letters.len - at < 64 ? letters.len - at : 64;
        assert_ok(buf_add(&file, span_of(letters.data + at, len)));
        assert_ok(buf_add_byte(&file, '\n'));
    }
    assert_ok(buf_add_str(&file, "-----END ENCRYPTED PRIVATE KEY-----\n"));
    assert_ok(private_key_inspect(buf_span(&file), &info));
    assert_int_equal(info.kdf_rounds, 0x7fffff);
    assert_fails(private_key_load(buf_span(&file), &correct, &none, NULL), ERR_RANGE);
}

/* PKCS#12's way to derive a key counts as PBKDF2 does, and traditional PEM's reader must not be led
 * on to a block that was not looked at. */
static void test_other_work_is_bounded(void **state) {
    (void)state;
    struct private_key *none = NULL;
    struct private_key_info info;
    struct buf file CLEANUP(buf_done) = BUF(65536);
    secret_t secret CLEANUP(secret_done) = {0};
    assert_ok(secret_copy(SPAN_LITERAL("correct horse"), 64, &secret));
    assert_int_equal(fixture_run("openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 "
                                 "-v1 PBE-SHA1-3DES -iter 4000001 -passout 'pass:correct horse' "
                                 "-out v1 && { echo '-----BEGIN X PRIVATE KEY-----'; echo AAAA; "
                                 "echo '-----END X PRIVATE KEY-----'; cat v1; } > second"),
                     0);
    fixture_read("v1", &file);
    assert_ok(private_key_inspect(buf_span(&file), &info));
    assert_true(info.encrypted);
    assert_int_equal(info.kdf_rounds, LIMIT_PBKDF2_ITERATIONS + 1);
    assert_fails(private_key_load(buf_span(&file), &secret, &none, NULL), ERR_RANGE);
    buf_clear(&file);
    fixture_read("second", &file);
    assert_true(failed(private_key_load(buf_span(&file), &secret, &none, NULL)));
}

static void test_wire_flips(void **state) {
    (void)state;
    for (size_t i = 0; i < 5; i += 1) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct buf wire CLEANUP(buf_done) = BUF(65536);
        assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &key));
        assert_ok(private_key_put_wire(key, &wire));
        span_t from = buf_span(&wire);
        struct private_key *again CLEANUP(private_key_freep) = NULL;
        assert_ok(private_key_get_wire(&from, &again));
        assert_int_equal(from.len, 0);
        assert_true(key_equal(private_key_public(key), private_key_public(again)));
        for (size_t len = 0; len < wire.len; len++) {
            struct private_key *none = NULL;
            from = span_of(wire.data, len);
            assert_true(failed(private_key_get_wire(&from, &none)));
            assert_int_equal(from.len, len);
        }
        /* A flipped byte never gives a key that signs for the same public key wrongly: it is
         * refused, or it is the other half of another key. RSA's iqmp is checked by use. */
        for (size_t at = 0; at < wire.len; at += i == 4 ? 13 : 1) {
            wire.data[at] ^= 1;
            struct private_key *other CLEANUP(private_key_freep) = NULL;
            from = buf_span(&wire);
            if (!failed(private_key_get_wire(&from, &other))) {
                struct buf signature CLEANUP(buf_done) = BUF(8192);
                assert_ok(private_key_sign(other, SPAN_LITERAL("x"), RSA_SHA256, &signature));
                assert_ok(key_verify(private_key_public(other), SPAN_LITERAL("x"),
                                     buf_span(&signature), NULL));
            }
            wire.data[at] ^= 1;
        }
    }
}

/* A token's signature made with a key we hold: PROTOCOL.u2f over SHA-256 of both. */
static void test_security_keys(void **state) {
    (void)state;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct key *public_key CLEANUP(key_freep) = NULL;
    struct buf blob CLEANUP(buf_done) = BUF(1024);
    struct buf wire CLEANUP(buf_done) = BUF(1024);
    struct private_key *handle CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    span_t plain = key_blob(private_key_public(key));
    assert_ok(wire_put_text(&blob, "sk-ssh-ed25519@openssh.com"));
    assert_ok(buf_add(&blob, span_of(plain.data + 15, plain.len - 15)));
    assert_ok(wire_put_text(&blob, "ssh:"));
    assert_ok(key_parse(buf_span(&blob), &public_key));
    assert_int_equal(key_type(public_key), KEY_SK_ED25519);

    assert_ok(buf_add(&wire, buf_span(&blob)));
    assert_ok(wire_put_u8(&wire, 1));
    assert_ok(wire_put_text(&wire, "key handle"));
    assert_ok(wire_put_text(&wire, ""));
    span_t from = buf_span(&wire);
    assert_ok(private_key_get_wire(&from, &handle));
    struct buf none CLEANUP(buf_done) = BUF(1024);
    assert_fails(private_key_sign(handle, SPAN_LITERAL("x"), RSA_SHA512, &none), ERR_UNSUPPORTED);
    struct buf file CLEANUP(buf_done) = BUF(65536);
    assert_ok(private_key_write(handle, "token", NULL, 0, &file));
    fixture_write("sk", buf_span(&file));
    assert_int_equal(
        fixture_run("ssh-keygen -y -f sk > sk.pub && ssh-keygen -lf sk.pub > /dev/null"), 0);
    struct private_key *again CLEANUP(private_key_freep) = NULL;
    assert_ok(load("sk", NULL, &again));
    assert_true(key_equal(private_key_public(again), public_key));

    /* PuTTY and PEM know no such keys; RFC 4716 holds any public one. */
    struct buf other CLEANUP(buf_done) = BUF(65536);
    assert_fails(private_key_write_ppk(again, 3, "token", NULL, NULL, &other), ERR_UNSUPPORTED);
    assert_fails(private_key_write_pem(again, PRIVATE_KEY_PKCS8, NULL, &other), ERR_UNSUPPORTED);
    assert_fails(key_print_pem(public_key, KEY_PEM_SPKI, &other), ERR_UNSUPPORTED);
    assert_int_equal(other.len, 0);
    assert_ok(key_print_ssh2(public_key, "token", &other));
    fixture_write("sk.ssh2", buf_span(&other));
    assert_int_equal(fixture_run("[ \"$(ssh-keygen -i -f sk.ssh2 | cut -d' ' -f1,2)\" = "
                                 "\"$(cut -d' ' -f1,2 sk.pub)\" ]"),
                     0);

    static const struct {
        uint8_t flags;
        bool good;
    } cases[] = {{0x01, true}, {0x05, true}, {0x00, false}, {0x04, false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf signed_data CLEANUP(buf_done) = BUF(1024);
        struct buf raw CLEANUP(buf_done) = BUF(1024);
        struct buf signature CLEANUP(buf_done) = BUF(1024);
        uint8_t flags = 0xaa;
        /* SHA-256 of "ssh:" and of "message". */
        assert_ok(
            hex_decode(span_str("e30610e8a162115960fe1ec223e6529c9f4b6e80200dcb5e5c321c8af1e2b1bf"),
                       &signed_data));
        assert_ok(wire_put_u8(&signed_data, cases[i].flags));
        assert_ok(wire_put_u32(&signed_data, 7));
        assert_ok(
            hex_decode(span_str("ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d"),
                       &signed_data));
        assert_ok(private_key_sign(key, buf_span(&signed_data), RSA_SHA512, &raw));
        assert_ok(wire_put_text(&signature, "sk-ssh-ed25519@openssh.com"));
        assert_ok(buf_add(&signature, span_of(raw.data + 15, raw.len - 15)));
        assert_ok(wire_put_u8(&signature, cases[i].flags));
        assert_ok(wire_put_u32(&signature, 7));
        err_t err = key_verify(public_key, SPAN_LITERAL("message"), buf_span(&signature), &flags);
        assert_int_equal(failed(err), !cases[i].good);
        assert_int_equal(flags, cases[i].good ? cases[i].flags : 0xaa);
        signature.len--;
        assert_fails(key_verify(public_key, SPAN_LITERAL("message"), buf_span(&signature), NULL),
                     ERR_SIGNATURE);
    }
}

static void test_bcrypt_pbkdf_refuses(void **state) {
    (void)state;
    uint8_t out[BCRYPT_PBKDF_BYTES_MAX + 1];
    span_t text = SPAN_LITERAL("x");
    assert_fails(bcrypt_pbkdf(span_of(NULL, 0), text, 1, out, 1), ERR_RANGE);
    assert_fails(bcrypt_pbkdf(text, span_of(NULL, 0), 1, out, 1), ERR_RANGE);
    assert_fails(bcrypt_pbkdf(text, text, 0, out, 1), ERR_RANGE);
    assert_fails(bcrypt_pbkdf(text, text, 1, out, 0), ERR_RANGE);
    assert_fails(bcrypt_pbkdf(text, text, 1, out, sizeof out), ERR_RANGE);
    assert_ok(bcrypt_pbkdf(text, text, 1, out, 33));
}

static void test_golden_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *public_name;
        bool encrypted;
    } cases[] = {
        {"openssh_ed25519_16_rounds", "openssh_ed25519_16_rounds.pub", true},
        {"openssh_ecdsa", "openssh_ecdsa.pub", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf file CLEANUP(buf_done) = BUF(65536);
        struct buf line CLEANUP(buf_done) = BUF(65536);
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        const secret_t *passphrase = cases[i].encrypted ? &correct : NULL;
        fixture_read_vectors(cases[i].name, &file);
        fixture_read_vectors(cases[i].public_name, &line);
        fixture_write("golden.pub", buf_span(&line));
        assert_ok(private_key_load(buf_span(&file), passphrase, &key, NULL));
        assert_signs_for(key, "golden.pub");
        for (size_t len = 0; len + 2 < file.len; len++) {
            struct private_key *none = NULL;
            assert_true(failed(private_key_load(span_of(file.data, len), passphrase, &none, NULL)));
        }
        /* Whatever still loads after a change is the same key, but for its comment. */
        for (size_t at = 0; at < file.len; at += cases[i].encrypted ? 31 : 1) {
            struct private_key *other CLEANUP(private_key_freep) = NULL;
            file.data[at] ^= 1;
            if (!failed(private_key_load(buf_span(&file), passphrase, &other, NULL))) {
                assert_true(key_equal(private_key_public(key), private_key_public(other)));
            }
            file.data[at] ^= 1;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_bcrypt_pbkdf_refuses),
        cmocka_unit_test(test_reads_keygen),
        cmocka_unit_test(test_keygen_reads_ours),
        cmocka_unit_test(test_encrypted_by_keygen),
        cmocka_unit_test(test_pem_by_openssl),
        cmocka_unit_test(test_golden_files),
        cmocka_unit_test(test_other_work_is_bounded),
        cmocka_unit_test(test_wire_flips),
        cmocka_unit_test(test_security_keys),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
