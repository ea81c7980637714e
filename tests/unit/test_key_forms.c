/* RFC 4716 and PEM files: ssh-keygen, puttygen and openssl are the oracles, in both directions. */
#include "base/limits.h"
#include "fixture.h"
#include "ssh/private_key.h"

static char correct_text[] = "correct horse";
static const secret_t correct = {correct_text, sizeof correct_text - 1};
static char wrong_text[] = "wrong horse";
static const secret_t wrong = {wrong_text, sizeof wrong_text - 1};

static const struct {
    const char *options;
    bool rsa, ed25519;
} kinds[] = {
    {.options = "-t ed25519", .ed25519 = true},
    {.options = "-t ecdsa -b 256"},
    {.options = "-t ecdsa -b 384"},
    {.options = "-t ecdsa -b 521"},
    {.options = "-t rsa -b 2048", .rsa = true},
    {.options = "-t rsa -b 4096", .rsa = true},
};

/* Makes k and k.pub and loads them. */
static void make(const char *options, struct private_key **out) {
    struct buf file CLEANUP(buf_done) = BUF(65536);
    assert_int_equal(
        fixture_run("rm -f k k.pub; ssh-keygen -q -N '' -C 'alice laptop' %s -f k", options), 0);
    fixture_read("k", &file);
    assert_ok(private_key_load(buf_span(&file), NULL, out, NULL));
}

/* The file holds the line of this key, whatever the comment. */
static void assert_line_of(const char *path, const struct key *key) {
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct key *read CLEANUP(key_freep) = NULL;
    fixture_read(path, &line);
    assert_ok(key_parse_line(buf_span(&line), &read, NULL));
    assert_true(key_equal(read, key));
}

static void test_ssh2_refuses(void **state) {
    (void)state;
#define BEGIN "---- BEGIN SSH2 PUBLIC KEY ----\n"
#define BODY  "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYj\nJa8CGmj3B1Ea\n"
#define END   "---- END SSH2 PUBLIC KEY ----\n"
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"x" BEGIN BODY END, ERR_MALFORMED},
        {BEGIN, ERR_TRUNCATED},
        {BEGIN BODY, ERR_TRUNCATED},
        {BEGIN END, ERR_TRUNCATED},
        {BEGIN BODY END "more", ERR_TRAILING},
        {BEGIN "Comment:x\n" BODY END, ERR_MALFORMED},
        {BEGIN ": x\n" BODY END, ERR_MALFORMED},
        {BEGIN "Comment: x\\\n", ERR_TRUNCATED},
        {BEGIN "Comment: x\x1b[0m\n" BODY END, ERR_MALFORMED},
        {BEGIN BODY "Comment: x\n" END, ERR_MALFORMED},
        {BEGIN "!" BODY END, ERR_MALFORMED},
        {BEGIN "AAAAB3NzaC1kc3MAAAABAA==\n" END, ERR_KEY_DSA},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key *none = NULL;
        err_t err = key_parse_ssh2(span_str(cases[i].text), &none, NULL);
        if (err.code != cases[i].code) {
            print_error("%s: %s\n", cases[i].text, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
    }
    static const struct {
        const char *text, *comment;
    } good[] = {
        {BEGIN BODY END, ""},
        {BEGIN "Subject: alice\nCOMMENT: a b\n" BODY END "\n", "a b"},
        {BEGIN "Comment: \"a\\\nb\"\n" BODY END, "ab"},
        {"---- BEGIN SSH2 PUBLIC KEY ----\r\nComment: \"\"\r\n" BODY END, ""},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct key *key CLEANUP(key_freep) = NULL;
        char *comment CLEANUP(freep) = NULL;
        assert_ok(key_parse_ssh2(span_str(good[i].text), &key, &comment));
        assert_string_equal(comment, good[i].comment);
    }
    /* Tags of 64 and values of 1024 bytes are RFC 4716's limits. */
    for (size_t over = 0; over < 2; over++) {
        struct buf file CLEANUP(buf_done) = BUF(8192);
        struct key *key CLEANUP(key_freep) = NULL;
        assert_ok(
            buf_add_format(&file, BEGIN "%0*d: %0*d\n" BODY END, (int)(64 + over), 0, 1024, 0));
        assert_int_equal(key_parse_ssh2(buf_span(&file), &key, NULL).code,
                         over == 0 ? ERR_NONE : ERR_MALFORMED);
        key_free(TAKE(key));
        buf_clear(&file);
        assert_ok(buf_add_format(&file, BEGIN "x-a: %0*d\n" BODY END, (int)(1024 + over), 0));
        assert_int_equal(key_parse_ssh2(buf_span(&file), &key, NULL).code,
                         over == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
}

static void test_ssh2_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *private CLEANUP(private_key_freep) = NULL;
        make(kinds[i].options, &private);
        const struct key *key = private_key_public(private);
        static const char *const theirs[] = {"ssh-keygen -e -f k.pub > s",
                                             "puttygen k -O public -o s"};
        for (size_t j = 0; j < COUNT_OF(theirs); j++) {
            struct buf file CLEANUP(buf_done) = BUF(65536);
            struct key *read CLEANUP(key_freep) = NULL;
            char *comment CLEANUP(freep) = NULL;
            assert_int_equal(fixture_run("%s", theirs[j]), 0);
            fixture_read("s", &file);
            assert_ok(key_parse_ssh2(buf_span(&file), &read, &comment));
            assert_true(key_equal(read, key));
            if (j == 1) { /* ssh-keygen writes a comment of its own */
                assert_string_equal(comment, "alice laptop");
            }
        }
        /* A comment that needs more than one line. */
        char long_comment[LIMIT_KEY_COMMENT_CHARS + 1];
        memset(long_comment, 'c', sizeof long_comment);
        long_comment[1022] = '\0';
        const char *const comments[] = {"", "alice laptop", "al\"ice", long_comment};
        for (size_t j = 0; j < COUNT_OF(comments); j++) {
            struct buf file CLEANUP(buf_done) = BUF(65536);
            struct key *read CLEANUP(key_freep) = NULL;
            char *comment CLEANUP(freep) = NULL;
            assert_ok(key_print_ssh2(key, comments[j], &file));
            fixture_write("ours", buf_span(&file));
            assert_int_equal(fixture_run("ssh-keygen -i -f ours > line"), 0);
            assert_line_of("line", key);
            /* puttygen does not know that a header may go on in the next line. */
            if (comments[j] != long_comment) {
                assert_int_equal(fixture_run("puttygen ours -O public-openssh -o line"), 0);
                assert_line_of("line", key);
            }
            assert_ok(key_parse_ssh2(buf_span(&file), &read, &comment));
            assert_true(key_equal(read, key));
            assert_string_equal(comment, comments[j]);
        }
        struct buf none CLEANUP(buf_done) = BUF(65536);
        memset(long_comment, 'c', 1023);
        long_comment[1023] = '\0';
        assert_fails(key_print_ssh2(key, long_comment, &none), ERR_TOO_LONG);
        assert_fails(key_print_ssh2(key, "a\nb", &none), ERR_MALFORMED);
        assert_int_equal(none.len, 0);
    }
}

static void test_public_pem(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *private CLEANUP(private_key_freep) = NULL;
        make(kinds[i].options, &private);
        const struct key *key = private_key_public(private);
        struct buf pkcs8 CLEANUP(buf_done) = BUF(65536);
        struct buf ours CLEANUP(buf_done) = BUF(65536);
        assert_ok(private_key_write_pem(private, PRIVATE_KEY_PKCS8, NULL, &pkcs8));
        fixture_write("p8", buf_span(&pkcs8));
        assert_ok(key_print_pem(key, KEY_PEM_SPKI, &ours));
        fixture_write("ours", buf_span(&ours));
        assert_int_equal(fixture_run("openssl pkey -in p8 -pubout -out theirs && cmp ours theirs"),
                         0);
        if (!kinds[i].ed25519) { /* which ssh-keygen has no PKCS#8 of */
            assert_int_equal(fixture_run("ssh-keygen -i -m PKCS8 -f ours > line"), 0);
            assert_line_of("line", key);
        }
        struct key *read CLEANUP(key_freep) = NULL;
        assert_ok(key_parse_pem(buf_span(&ours), &read));
        assert_true(key_equal(read, key));

        struct buf rsa CLEANUP(buf_done) = BUF(65536);
        if (!kinds[i].rsa) {
            assert_fails(key_print_pem(key, KEY_PEM_PKCS1, &rsa), ERR_UNSUPPORTED);
            continue;
        }
        struct key *again CLEANUP(key_freep) = NULL;
        assert_ok(key_print_pem(key, KEY_PEM_PKCS1, &rsa));
        fixture_write("ours", buf_span(&rsa));
        assert_int_equal(fixture_run("ssh-keygen -e -m PEM -f k.pub > theirs && cmp ours theirs"),
                         0);
        assert_ok(key_parse_pem(buf_span(&rsa), &again));
        assert_true(key_equal(again, key));
    }
}

static void test_public_pem_refuses(void **state) {
    (void)state;
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    struct key *none = NULL;
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES + 1);
    static const struct {
        const char *make;
        enum err_code code;
    } cases[] = {
        {"echo nothing > p", ERR_MALFORMED},
        {"openssl genpkey -algorithm ed25519 -out p", ERR_KEY_PRIVATE},
        {"openssl genpkey -algorithm x25519 | openssl pkey -pubout -out p", ERR_UNSUPPORTED},
        {"openssl ecparam -genkey -name secp256k1 | openssl pkey -pubout -out p", ERR_UNSUPPORTED},
        {"openssl dsaparam -genkey 1024 2>/dev/null | openssl pkey -pubout -out p", ERR_KEY_DSA},
        {"openssl genrsa 1024 2>/dev/null | openssl pkey -pubout -out p", ERR_KEY_SIZE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&file);
        assert_int_equal(fixture_run("%s", cases[i].make), 0);
        fixture_read("p", &file);
        err_t err = key_parse_pem(buf_span(&file), &none);
        if (err.code != cases[i].code) {
            print_error("%s: %s\n", cases[i].make, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
    }
    make("-t ed25519", &private);
    buf_clear(&file);
    assert_ok(key_print_pem(private_key_public(private), KEY_PEM_SPKI, &file));
    size_t len = file.len;
    uint8_t *pad;
    assert_ok(buf_extend(&file, LIMIT_KEY_FILE_BYTES + 1 - len, &pad));
    memset(pad, '\n', file.len - len);
    assert_fails(key_parse_pem(buf_span(&file), &none), ERR_TOO_LONG);
    file.len--;
    assert_ok(key_parse_pem(buf_span(&file), &none));
    key_free(none);
}

static void test_private_pem(void **state) {
    (void)state;
    static const enum private_key_format formats[] = {PRIVATE_KEY_PKCS8, PRIVATE_KEY_PEM};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        make(kinds[i].options, &key);
        for (size_t j = 0; j < 2 * COUNT_OF(formats); j++) {
            const secret_t *passphrase = j % 2 == 0 ? NULL : &correct;
            enum private_key_format format = formats[j / 2];
            struct buf file CLEANUP(buf_done) = BUF(65536);
            struct private_key *again CLEANUP(private_key_freep) = NULL;
            struct private_key *none = NULL;
            err_t err = private_key_write_pem(key, format, passphrase, &file);
            if (format == PRIVATE_KEY_PEM && kinds[i].ed25519) {
                assert_int_equal(err.code, ERR_UNSUPPORTED);
                continue;
            }
            assert_ok(err);
            fixture_write("ours", buf_span(&file));
            struct private_key_info info CLEANUP(private_key_info_done) = {0};
            assert_ok(private_key_inspect(buf_span(&file), &info));
            assert_int_equal(info.format, format);
            assert_int_equal(info.encrypted, passphrase != NULL);
            assert_ok(private_key_load(buf_span(&file), passphrase, &again, NULL));
            assert_true(key_equal(private_key_public(again), private_key_public(key)));
            if (passphrase != NULL) {
                assert_fails(private_key_load(buf_span(&file), &wrong, &none, NULL),
                             ERR_PASSPHRASE);
            }
            assert_int_equal(
                fixture_run("openssl pkey -in ours -passin 'pass:correct horse' -noout -check"
                            " > /dev/null"),
                0);
            if (!kinds[i].ed25519) {
                assert_int_equal(fixture_run("ssh-keygen -y -P '%s' -f ours > line",
                                             passphrase == NULL ? "" : correct_text),
                                 0);
                assert_line_of("line", private_key_public(key));
            }
        }
    }
}

static void test_private_pem_refuses(void **state) {
    (void)state;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf file CLEANUP(buf_done) = BUF(65536);
    char text[LIMIT_PEM_PASSPHRASE_BYTES + 2];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    make("-t ecdsa", &key);
    assert_fails(private_key_write_pem(key, PRIVATE_KEY_OPENSSH, NULL, &file), ERR_UNSUPPORTED);
    assert_fails(private_key_write_pem(key, PRIVATE_KEY_PKCS8, &(secret_t){0}, &file), ERR_RANGE);
    assert_fails(private_key_write_pem(key, PRIVATE_KEY_PKCS8,
                                       &(secret_t){text, LIMIT_PEM_PASSPHRASE_BYTES + 1}, &file),
                 ERR_RANGE);
    assert_int_equal(file.len, 0);
    text[LIMIT_PEM_PASSPHRASE_BYTES] = '\0';
    secret_t longest = {text, LIMIT_PEM_PASSPHRASE_BYTES};
    struct private_key *again CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_write_pem(key, PRIVATE_KEY_PKCS8, &longest, &file));
    assert_ok(private_key_load(buf_span(&file), &longest, &again, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ssh2_refuses),        cmocka_unit_test(test_public_pem_refuses),
        cmocka_unit_test(test_private_pem_refuses), cmocka_unit_test(test_ssh2_both_ways),
        cmocka_unit_test(test_public_pem),          cmocka_unit_test(test_private_pem),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
