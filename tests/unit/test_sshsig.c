/* Signatures over messages: ssh-keygen verifies what we sign, and we what it signs. */
#include "base/file.h"
#include "fixture.h"
#include "ssh/private_key.h"
#include "ssh/sshsig.h"

static const char namespace[] = "purpose@example.org";
static const char message[] = "what is to be proved\n";

static void make_key(const char *type) {
    assert_int_equal(fixture_run("rm -f key key.pub; ssh-keygen -q %s -N '' -C '' -f key", type),
                     0);
    fixture_write("message", span_str(message));
    fixture_run("rm -f message.sig");
}

static void sign(const char *space, const char *hash, struct buf *out) {
    assert_int_equal(fixture_run("rm -f message.sig; ssh-keygen -q -Y sign -f key -n %s -O "
                                 "hashalg=%s message 2>/dev/null",
                                 space, hash),
                     0);
    fixture_read("message.sig", out);
}

static const char *const types[] = {"-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 521",
                                    "-t rsa -b 2048"};

static void test_refused(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(65536);
    struct key *key = NULL;
    make_key(types[0]);
    sign(namespace, "sha512", &file);
    span_t whole = buf_span(&file);
    assert_fails(sshsig_verify(whole, "other@example.org", span_str(message), &key), ERR_CONFLICT);
    assert_fails(sshsig_verify(whole, namespace, span_str("something else"), &key), ERR_SIGNATURE);
    assert_fails(sshsig_verify(whole, namespace, SPAN_LITERAL(""), &key), ERR_SIGNATURE);
    assert_fails(sshsig_verify(SPAN_LITERAL(""), namespace, span_str(message), &key),
                 ERR_MALFORMED);
    for (size_t len = 0; len < whole.len - 1; len++) {
        assert_true(
            failed(sshsig_verify(span_of(whole.data, len), namespace, span_str(message), &key)));
    }
    for (size_t at = 0; at < whole.len; at++) { /* each bit of the letters counts */
        struct key *forged CLEANUP(key_freep) = NULL;
        file.data[at] ^= 1;
        err_t err = sshsig_verify(whole, namespace, span_str(message), &forged);
        assert_true(failed(err) || file.data[at] == '\n');
        file.data[at] ^= 1;
    }
    assert_ok(buf_add_str(&file, "more"));
    assert_fails(sshsig_verify(buf_span(&file), namespace, span_str(message), &key), ERR_TRAILING);
    assert_null(key);
}

static void test_theirs(void **state) {
    (void)state;
    static const char *const hashes[] = {"sha256", "sha512"};
    for (size_t i = 0; i < COUNT_OF(types) * COUNT_OF(hashes); i++) {
        struct buf file CLEANUP(buf_done) = BUF(65536), line CLEANUP(buf_done) = BUF(65536);
        struct key *signer CLEANUP(key_freep) = NULL, *known CLEANUP(key_freep) = NULL;
        make_key(types[i / COUNT_OF(hashes)]);
        sign(namespace, hashes[i % COUNT_OF(hashes)], &file);
        assert_ok(sshsig_verify(buf_span(&file), namespace, span_str(message), &signer));
        fixture_read("key.pub", &line);
        assert_ok(key_parse_line(buf_span(&line), &known, NULL));
        assert_true(key_equal(signer, known));
    }
}

static void test_ours(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct buf data CLEANUP(buf_done) = BUF(65536), signature CLEANUP(buf_done) = BUF(65536);
        struct buf file CLEANUP(buf_done) = BUF(65536), text CLEANUP(buf_done) = BUF(65536);
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct key *signer CLEANUP(key_freep) = NULL;
        make_key(types[i]);
        fixture_read("key", &text);
        assert_ok(private_key_load(buf_span(&text), NULL, &key, NULL));
        assert_ok(sshsig_put_data(namespace, span_str(message), &data));
        assert_ok(private_key_sign(key, buf_span(&data), RSA_SHA512, &signature));
        assert_ok(sshsig_print(private_key_public(key), namespace, buf_span(&signature), &file));
        assert_ok(sshsig_verify(buf_span(&file), namespace, span_str(message), &signer));
        fixture_write("message.sig", buf_span(&file));
        assert_int_equal(
            fixture_run("printf 'me %%s\\n' \"$(cat key.pub)\" >signers; ssh-keygen -q "
                        "-Y verify -f signers -I me -n %s -s message.sig <message "
                        ">/dev/null",
                        namespace),
            0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_theirs),
        cmocka_unit_test(test_ours),
    };
    return cmocka_run_group_tests_name("sshsig", tests, fixture_setup, fixture_teardown);
}
