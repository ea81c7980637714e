/* PuTTY's key files: puttygen is the oracle, in both directions. */
#include "base/limits.h"
#include "fixture.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"

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
};

/* The folder's "pp" holds the passphrase, "none" nothing. */
static int setup(void **state) {
    if (fixture_setup(state) != 0) {
        return -1;
    }
    fixture_write("pp", SPAN_LITERAL("correct horse"));
    fixture_write("none", SPAN_LITERAL(""));
    return fixture_run("ssh-keygen -q -t ed25519 -N '' -C ca -f ca");
}

static err_t load(const char *path, const secret_t *passphrase, struct private_key **out) {
    struct buf file CLEANUP(buf_done) = BUF(FIXTURE_FILE_BYTES_MAX);
    fixture_read(path, &file);
    return private_key_load(buf_span(&file), passphrase, out, NULL);
}

static void assert_is(const struct private_key *key, const char *public_path) {
    struct buf line CLEANUP(buf_done) = BUF(FIXTURE_FILE_BYTES_MAX);
    struct key *public_key CLEANUP(key_freep) = NULL;
    fixture_read(public_path, &line);
    assert_ok(key_parse_line(buf_span(&line), &public_key, NULL));
    assert_true(key_equal(public_key, private_key_public(key)));
}

static void test_reads_puttygen(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        assert_int_equal(fixture_run("rm -f k k.pub; ssh-keygen -q -N '' -C 'alice laptop' %s -f k",
                                     kinds[i].options),
                         0);
        for (unsigned version = 2; version <= 3; version++) {
            for (int encrypted = 0; encrypted < 2; encrypted++) {
                struct private_key *key CLEANUP(private_key_freep) = NULL;
                struct private_key *none = NULL;
                struct private_key_info info CLEANUP(private_key_info_done) = {0};
                struct buf file CLEANUP(buf_done) = BUF(65536);
                char *comment CLEANUP(freep) = NULL;
                assert_int_equal(fixture_run("puttygen k -O private --ppk-param version=%u,time=10 "
                                             "--new-passphrase %s -o k.ppk",
                                             version, encrypted != 0 ? "pp" : "none"),
                                 0);
                fixture_read("k.ppk", &file);
                assert_ok(private_key_inspect(buf_span(&file), &info));
                assert_int_equal(info.format, version == 2 ? PRIVATE_KEY_PPK_2 : PRIVATE_KEY_PPK);
                assert_int_equal(info.encrypted, encrypted);
                assert_string_equal(info.cipher, encrypted != 0 ? "aes256-cbc" : "");
                assert_string_equal(info.kdf, encrypted == 0 ? "none"
                                              : version == 2 ? "sha1"
                                                             : "argon2id");
                assert_null(info.cert);
                if (encrypted != 0) {
                    assert_fails(load("k.ppk", NULL, &none), ERR_ENCRYPTED);
                    assert_fails(load("k.ppk", &(secret_t){0}, &none), ERR_PASSPHRASE);
                    assert_fails(load("k.ppk", &wrong, &none), ERR_PASSPHRASE);
                }
                assert_ok(private_key_load(buf_span(&file), encrypted != 0 ? &correct : NULL, &key,
                                           &comment));
                assert_is(key, "k.pub");
                assert_true(key_equal(info.public_key, private_key_public(key)));
                assert_string_equal(comment, "alice laptop");
            }
        }
    }
}

/* puttygen reads it, and what it makes of it ssh-keygen reads. */
static void assert_puttygen_reads(span_t file, const struct private_key *key, bool encrypted) {
    struct private_key *back CLEANUP(private_key_freep) = NULL;
    fixture_write("ours.ppk", file);
    assert_int_equal(
        fixture_run("rm -f back; puttygen ours.ppk -O private-openssh-new --old-passphrase %s "
                    "--new-passphrase none -o back && ssh-keygen -y -f back > back.pub",
                    encrypted ? "pp" : "none"),
        0);
    assert_is(key, "back.pub");
    assert_ok(load("back", NULL, &back));
    assert_is(back, "back.pub");
}

static void test_puttygen_reads_ours(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &key));
        for (unsigned version = 2; version <= 3; version++) {
            for (int encrypted = 0; encrypted < 2; encrypted++) {
                struct private_key *again CLEANUP(private_key_freep) = NULL;
                struct private_key *none = NULL;
                struct buf file CLEANUP(buf_done) = BUF(65536);
                const secret_t *passphrase = encrypted != 0 ? &correct : NULL;
                assert_ok(
                    private_key_write_ppk(key, version, "alice laptop", NULL, passphrase, &file));
                assert_puttygen_reads(buf_span(&file), key, encrypted != 0);
                assert_ok(private_key_load(buf_span(&file), passphrase, &again, NULL));
                if (encrypted != 0) {
                    assert_fails(private_key_load(buf_span(&file), &wrong, &none, NULL),
                                 ERR_PASSPHRASE);
                }
            }
        }
    }
}

/* Byte for byte what puttygen writes of the same key, where nothing is random. */
static void test_same_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        for (unsigned version = 2; version <= 3; version++) {
            struct private_key *key CLEANUP(private_key_freep) = NULL;
            struct buf theirs CLEANUP(buf_done) = BUF(65536);
            struct buf ours CLEANUP(buf_done) = BUF(65536);
            bool encrypted = version == 2; /* which has no salt */
            assert_int_equal(
                fixture_run("rm -f k k.pub; ssh-keygen -q -N '' -C alice %s -f k && puttygen k "
                            "-O private --ppk-param version=%u --new-passphrase %s -o k.ppk",
                            kinds[i].options, version, encrypted ? "pp" : "none"),
                0);
            fixture_read("k.ppk", &theirs);
            assert_ok(load("k", NULL, &key));
            assert_ok(private_key_write_ppk(key, version, "alice", NULL,
                                            encrypted ? &correct : NULL, &ours));
            assert_true(span_equal(buf_span(&theirs), buf_span(&ours)));
        }
    }
}

/* PuTTY takes the seed for a number in little-endian order. */
static void test_short_seed(void **state) {
    (void)state;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf wire CLEANUP(buf_done) = BUF(1024);
    do {
        private_key_free(TAKE(key));
        buf_clear(&wire);
        assert_ok(private_key_generate(KEY_ED25519, 256, &key));
        assert_ok(private_key_put_wire(key, &wire));
    } while (wire.data[wire.len - 33] != 0); /* before the public key's 32 bytes */
    struct buf file CLEANUP(buf_done) = BUF(65536);
    struct private_key *again CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_write_ppk(key, 3, "", NULL, NULL, &file));
    assert_puttygen_reads(buf_span(&file), key, false);
    assert_int_equal(
        fixture_run("puttygen ours.ppk --reencrypt --new-passphrase none -o theirs.ppk && "
                    "cmp ours.ppk theirs.ppk"),
        0);
    assert_ok(load("theirs.ppk", NULL, &again));
    assert_true(key_equal(private_key_public(again), private_key_public(key)));
}

static void test_certificates(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        for (unsigned version = 2; version <= 3; version++) {
            struct private_key *key CLEANUP(private_key_freep) = NULL;
            struct private_key *again CLEANUP(private_key_freep) = NULL;
            struct private_key *other CLEANUP(private_key_freep) = NULL;
            struct cert *cert CLEANUP(cert_freep) = NULL;
            struct buf line CLEANUP(buf_done) = BUF(65536);
            struct buf theirs CLEANUP(buf_done) = BUF(65536);
            struct buf ours CLEANUP(buf_done) = BUF(65536);
            assert_int_equal(
                fixture_run("rm -f k k.pub; ssh-keygen -q -N '' -C alice %s -f k && "
                            "ssh-keygen -q -s ca -I alice -n alice k.pub && puttygen k -O private "
                            "--certificate k-cert.pub --ppk-param version=%u "
                            "--new-passphrase none -o k.ppk",
                            kinds[i].options, version),
                0);
            fixture_read("k.ppk", &theirs);
            fixture_read("k-cert.pub", &line);
            assert_ok(cert_parse_line(buf_span(&line), &cert, NULL));
            struct private_key_info info CLEANUP(private_key_info_done) = {0};
            assert_ok(private_key_inspect(buf_span(&theirs), &info));
            assert_non_null(info.cert);
            assert_true(span_equal(buf_span(&info.cert->blob), buf_span(&cert->blob)));
            assert_ok(private_key_load(buf_span(&theirs), NULL, &again, NULL));
            assert_is(again, "k.pub");

            assert_ok(load("k", NULL, &key));
            assert_ok(private_key_write_ppk(key, version, "alice", cert, NULL, &ours));
            assert_true(span_equal(buf_span(&ours), buf_span(&theirs)));
            assert_ok(private_key_generate(KEY_ED25519, 256, &other));
            assert_fails(private_key_write_ppk(other, version, "alice", cert, NULL, &ours),
                         ERR_KEY_INVALID);
        }
    }
}

/* What of Argon2 libsodium has, and what it has not. */
static void test_derivations(void **state) {
    (void)state;
    static const struct {
        const char *param;
        enum err_code code;
    } cases[] = {
        {"kdf=argon2d", ERR_KEY_KDF},
        {"kdf=argon2id,parallelism=2", ERR_KEY_KDF},
        {"kdf=argon2i,passes=2", ERR_KEY_KDF},
        {"kdf=argon2i,passes=3", ERR_NONE},
        {"kdf=argon2id,passes=1,memory=8", ERR_NONE},
        {"kdf=argon2id,passes=3,memory=1023", ERR_NONE},
    };
    assert_int_equal(fixture_run("rm -f k; ssh-keygen -q -t ed25519 -N '' -C alice -f k"), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        assert_int_equal(fixture_run("puttygen k -O private --ppk-param %s --new-passphrase pp "
                                     "-o k.ppk",
                                     cases[i].param),
                         0);
        err_t err = load("k.ppk", &correct, &key);
        if (err.code != cases[i].code) {
            print_error("%s: %s\n", cases[i].param, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
    }
}

/* Replaces what stands behind "name: " in a file. */
static void change(struct buf *file, const char *name, const char *value) {
    struct buf changed CLEANUP(buf_done) = BUF(65536);
    uint8_t *at = memmem(file->data, file->len, name, strlen(name));
    assert_non_null(at);
    size_t before = (size_t)(at - file->data) + strlen(name) + 2;
    const uint8_t *end = memchr(at, '\n', file->len - (size_t)(at - file->data));
    assert_non_null(end);
    assert_ok(buf_add(&changed, span_of(file->data, before)));
    assert_ok(buf_add_str(&changed, value));
    assert_ok(buf_add(&changed, span_of(end, file->len - (size_t)(end - file->data))));
    buf_clear(file);
    assert_ok(buf_add(file, buf_span(&changed)));
}

static void test_work_is_bounded(void **state) {
    (void)state;
    static const struct {
        uint64_t memory, passes;
        enum err_code code;
    } cases[] = {
        {LIMIT_ARGON2_MEMORY_KIB + 1, 1, ERR_RANGE},
        {LIMIT_ARGON2_MEMORY_KIB, LIMIT_ARGON2_WORK_KIB / LIMIT_ARGON2_MEMORY_KIB + 1, ERR_RANGE},
        {8, LIMIT_ARGON2_WORK_KIB / 8 + 1, ERR_RANGE},
        {UINT32_MAX, UINT32_MAX, ERR_RANGE},
        {UINT32_MAX + 1ULL, 1, ERR_RANGE},
        /* Runs: the MAC is then another. */
        {LIMIT_ARGON2_MEMORY_KIB, 1, ERR_PASSPHRASE},
        {7, 1, ERR_KEY_KDF},
        {0, 0, ERR_KEY_KDF},
    };
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct private_key *none = NULL;
        struct buf file CLEANUP(buf_done) = BUF(65536);
        char number[32];
        assert_ok(private_key_write_ppk(key, 3, "", NULL, &correct, &file));
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)cases[i].memory);
        change(&file, "Argon2-Memory", number);
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)cases[i].passes);
        change(&file, "Argon2-Passes", number);
        assert_fails(private_key_load(buf_span(&file), &correct, &none, NULL), cases[i].code);
    }
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        enum err_code code;
    } cases[] = {
        {"PuTTY-User-Key-File-3", "ssh-dss", ERR_MALFORMED},
        {"PuTTY-User-Key-File-3", "ssh-rsa", ERR_MALFORMED},
        {"Encryption", "aes256-cbc", ERR_MALFORMED},
        {"Encryption", "aes128-cbc", ERR_UNSUPPORTED},
        {"Comment", "bob", ERR_MALFORMED}, /* by the MAC */
        {"Public-Lines", "1", ERR_MALFORMED},
        {"Public-Lines", "3", ERR_MALFORMED},
        {"Public-Lines", "4294967295", ERR_MALFORMED},
        {"Public-Lines", "4294967296", ERR_RANGE},
        {"Public-Lines", "-1", ERR_MALFORMED},
        {"Private-Lines", "0", ERR_MALFORMED},
        {"Private-MAC", "00", ERR_MALFORMED},
        {"Private-MAC", "", ERR_MALFORMED},
    };
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct private_key *none = NULL;
    struct buf whole CLEANUP(buf_done) = BUF(65536);
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    assert_ok(private_key_write_ppk(key, 3, "alice", NULL, NULL, &whole));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf file CLEANUP(buf_done) = BUF(65536);
        assert_ok(buf_add(&file, buf_span(&whole)));
        change(&file, cases[i].name, cases[i].value);
        err_t err = private_key_load(buf_span(&file), &correct, &none, NULL);
        if (err.code != cases[i].code) {
            print_error("%s: %s: %s\n", cases[i].name, cases[i].value, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
    }
    assert_fails(
        private_key_load(SPAN_LITERAL("PuTTY-User-Key-File-1: ssh-rsa\n"), NULL, &none, NULL),
        ERR_MALFORMED);
    assert_int_equal(fixture_run("puttygen -t dsa -b 1024 -O private --new-passphrase none "
                                 "-o d.ppk 2>/dev/null >/dev/null"),
                     0);
    assert_fails(load("d.ppk", NULL, &none), ERR_KEY_DSA);
    assert_int_equal(fixture_run("puttygen -t ed448 -O private --new-passphrase none "
                                 "-o d.ppk 2>/dev/null >/dev/null"),
                     0);
    assert_fails(load("d.ppk", NULL, &none), ERR_KEY_TYPE);

    whole.len = 0;
    assert_fails(private_key_write_ppk(key, 1, "", NULL, NULL, &whole), ERR_RANGE);
    assert_fails(private_key_write_ppk(key, 3, "", NULL, &(secret_t){0}, &whole), ERR_RANGE);
    assert_fails(private_key_write_ppk(key, 3, "a\nb", NULL, NULL, &whole), ERR_MALFORMED);
    char comment[LIMIT_KEY_COMMENT_CHARS + 2];
    memset(comment, 'x', sizeof comment);
    comment[LIMIT_KEY_COMMENT_CHARS + 1] = '\0';
    assert_fails(private_key_write_ppk(key, 3, comment, NULL, NULL, &whole), ERR_TOO_LONG);
    assert_int_equal(whole.len, 0);
    comment[LIMIT_KEY_COMMENT_CHARS] = '\0';
    assert_ok(private_key_write_ppk(key, 3, comment, NULL, NULL, &whole));
    assert_ok(private_key_load(buf_span(&whole), NULL, &none, NULL));
    private_key_free(none);
}

/* Every truncation and every flipped bit of a file is refused: the MAC covers all but itself. */
static void test_every_byte_counts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i += 4) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct private_key *none = NULL;
        struct buf file CLEANUP(buf_done) = BUF(65536);
        assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &key));
        assert_ok(private_key_write_ppk(key, 3, "alice", NULL, NULL, &file));
        for (size_t len = 0; len + 1 < file.len; len++) {
            assert_true(failed(private_key_load(span_of(file.data, len), NULL, &none, NULL)));
        }
        for (size_t at = 0; at < file.len - 1; at++) {
            for (int bit = 0; bit < 8; bit++) {
                file.data[at] ^= (uint8_t)(1 << bit);
                err_t err = private_key_load(buf_span(&file), NULL, &none, NULL);
                /* Hexadecimal may have either case. */
                if (!failed(err)) {
                    assert_true(bit == 5 && at > file.len - 66);
                    private_key_free(TAKE(none));
                }
                file.data[at] ^= (uint8_t)(1 << bit);
            }
        }
        assert_ok(buf_add_byte(&file, '\n'));
        assert_fails(private_key_load(buf_span(&file), NULL, &none, NULL), ERR_TRAILING);
    }
}

/* As files come from Windows. */
static void test_line_ends(void **state) {
    (void)state;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    assert_int_equal(fixture_run("rm -f k; ssh-keygen -q -t ed25519 -N '' -C alice -f k && "
                                 "puttygen k -O private --new-passphrase none -o k.ppk && "
                                 "sed -i 's/$/\\r/' k.ppk"),
                     0);
    assert_ok(load("k.ppk", NULL, &key));
    assert_is(key, "k.pub");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),         cmocka_unit_test(test_derivations),
        cmocka_unit_test(test_work_is_bounded), cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_reads_puttygen),  cmocka_unit_test(test_puttygen_reads_ours),
        cmocka_unit_test(test_same_bytes),      cmocka_unit_test(test_short_seed),
        cmocka_unit_test(test_certificates),    cmocka_unit_test(test_line_ends),
    };
    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
