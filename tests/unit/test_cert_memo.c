/* What is remembered of a certificate spares work and changes no verdict. */
#include "base/limits.h"
#include "fixture.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"

enum { NOW = 1800000000 };

static int setup(void **state) {
    if (fixture_setup(state) != 0) {
        return -1;
    }
    return fixture_run("for name in ca stranger alice; do"
                       " ssh-keygen -q -N '' -C '' -t ed25519 -f $name || exit 1; done");
}

static struct private_key *read_private_key(const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(65536);
    struct private_key *key = NULL;
    fixture_read(path, &file);
    assert_ok(private_key_load(buf_span(&file), NULL, &key, NULL));
    return key;
}

static struct cert *make(const struct private_key *ca, const struct private_key *subject,
                         uint64_t serial) {
    struct cert *cert = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    assert_ok(cert_new(&cert));
    assert_ok(key_parse(key_blob(private_key_public(subject)), &cert->key));
    cert->serial = serial;
    cert->type = CERT_USER;
    cert->valid_after = NOW - 300;
    cert->valid_before = NOW + 300;
    assert_ok(cert_add_principal(cert, "alice"));
    assert_ok(cert_add_critical_option(cert, "source-address", "10.0.0.0/8"));
    assert_ok(cert_prepare(cert, private_key_public(ca)));
    assert_ok(private_key_sign(ca, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature_unchecked(cert, buf_span(&signature)));
    return cert;
}

/* How it is judged where nothing speaks against it but perhaps its signature. */
struct judge {
    struct inet_address source;
    const struct key *ca;
    struct cert_check check;
};

static void judge_init(struct judge *judge, const struct private_key *ca, struct cert_memo *memo) {
    assert_ok(inet_address_parse(span_str("10.1.2.3"), &judge->source));
    judge->ca = private_key_public(ca);
    judge->check = (struct cert_check){.type = CERT_USER,
                                       .ca_keys = &judge->ca,
                                       .ca_key_count = 1,
                                       .now = NOW,
                                       .principal = "alice",
                                       .source = &judge->source,
                                       .memo = memo};
}

static void test_refused_is_not_remembered(void **state) {
    (void)state;
    struct private_key *ca CLEANUP(private_key_freep) = read_private_key("ca");
    struct private_key *stranger CLEANUP(private_key_freep) = read_private_key("stranger");
    struct private_key *alice CLEANUP(private_key_freep) = read_private_key("alice");
    struct cert_memo *memo CLEANUP(cert_memo_freep) = NULL;
    struct judge judge;
    assert_ok(cert_memo_new(&memo));
    judge_init(&judge, ca, memo);

    struct cert *forged CLEANUP(cert_freep) = make(ca, alice, 1);
    forged->blob.data[forged->blob.len - 1] ^= 1;
    struct cert *foreign CLEANUP(cert_freep) = make(stranger, alice, 2);
    struct cert *good CLEANUP(cert_freep) = make(ca, alice, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cert_verify(forged, &judge.check).why, CERT_REFUSED_SIGNATURE);
        assert_int_equal(cert_verify(foreign, &judge.check).why, CERT_REFUSED_CA);
    }
    judge.check.principal = "bob";
    assert_int_equal(cert_verify(good, &judge.check).why, CERT_REFUSED_PRINCIPAL);
    enum cert_refusal why = CERT_ALLOWED;
    judge.check.principal = "alice";
    assert_true(cert_is_plausible(good, &judge.check, &why));
    assert_false(cert_memo_knows(memo, forged) || cert_memo_knows(memo, foreign) ||
                 cert_memo_knows(memo, good));
}

/* Each byte of one that is remembered, its signature's and CA key's among them. */
static void test_every_flip_is_another(void **state) {
    (void)state;
    struct private_key *ca CLEANUP(private_key_freep) = read_private_key("ca");
    struct private_key *alice CLEANUP(private_key_freep) = read_private_key("alice");
    struct cert *good CLEANUP(cert_freep) = make(ca, alice, 1);
    struct cert_memo *memo CLEANUP(cert_memo_freep) = NULL;
    struct judge judge;
    assert_ok(cert_memo_new(&memo));
    judge_init(&judge, ca, memo);
    assert_true(cert_verify(good, &judge.check).allowed);
    assert_true(cert_memo_knows(memo, good));
    size_t parsed = 0;
    for (size_t i = 0; i < good->blob.len; i++) {
        struct cert *other CLEANUP(cert_freep) = NULL;
        good->blob.data[i] ^= 1;
        if (!failed(cert_parse(buf_span(&good->blob), &other))) {
            parsed++;
            assert_false(cert_verify(other, &judge.check).allowed);
            assert_false(cert_memo_knows(memo, other));
        }
        good->blob.data[i] ^= 1;
    }
    assert_true(parsed > 100); /* the nonce, the keys, the signature, … */
    assert_true(cert_memo_knows(memo, good));
}

/* All but the signature is asked again. */
static void test_remembered_is_judged(void **state) {
    (void)state;
    struct private_key *ca CLEANUP(private_key_freep) = read_private_key("ca");
    struct private_key *stranger CLEANUP(private_key_freep) = read_private_key("stranger");
    struct private_key *alice CLEANUP(private_key_freep) = read_private_key("alice");
    struct cert *cert CLEANUP(cert_freep) = make(ca, alice, 1);
    struct cert_memo *memo CLEANUP(cert_memo_freep) = NULL;
    struct inet_address elsewhere;
    struct judge judge;
    assert_ok(cert_memo_new(&memo));
    assert_ok(inet_address_parse(span_str("192.0.2.1"), &elsewhere));
    judge_init(&judge, ca, memo);
    assert_true(cert_verify(cert, &judge.check).allowed);
    assert_true(cert_memo_knows(memo, cert));

    struct cert_check check = judge.check;
    const struct key *other = private_key_public(stranger);
    check.ca_keys = &other;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_CA);
    check.ca_key_count = 0;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_CA);
    check = judge.check;
    check.now = NOW + 300;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_EXPIRED);
    check.now = NOW - 301;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_NOT_YET);
    check = judge.check;
    check.principal = "bob";
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_PRINCIPAL);
    check = judge.check;
    check.type = CERT_HOST;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_TYPE);
    check = judge.check;
    check.source = &elsewhere;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_SOURCE);
    assert_true(cert_verify(cert, &judge.check).allowed);
}

/* The last comer is known whatever came before, and never more than there are places. */
static void test_limit(void **state) {
    (void)state;
    enum { COUNT = LIMIT_CERT_MEMO_COUNT + 1 };
    struct private_key *ca CLEANUP(private_key_freep) = read_private_key("ca");
    struct private_key *alice CLEANUP(private_key_freep) = read_private_key("alice");
    struct cert **certs = calloc(COUNT, sizeof(struct cert *));
    struct cert_memo *memo CLEANUP(cert_memo_freep) = NULL;
    struct judge judge;
    assert_non_null(certs);
    assert_ok(cert_memo_new(&memo));
    judge_init(&judge, ca, memo);
    for (size_t i = 0; i < COUNT; i++) {
        certs[i] = make(ca, alice, i + 1);
        assert_true(cert_verify(certs[i], &judge.check).allowed);
        assert_true(cert_memo_knows(memo, certs[i]));
    }
    size_t known = 0;
    for (size_t i = 0; i < COUNT; i++) {
        known += cert_memo_knows(memo, certs[i]) ? 1 : 0;
    }
    /* As digests are spread at random, 1 - 1/e of the places are taken. */
    assert_true(known <= LIMIT_CERT_MEMO_COUNT && known > LIMIT_CERT_MEMO_COUNT / 2);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(cert_verify(certs[i], &judge.check).allowed); /* also what was forgotten */
        cert_free(certs[i]);
    }
    free(certs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_is_not_remembered),
        cmocka_unit_test(test_every_flip_is_another),
        cmocka_unit_test(test_remembered_is_judged),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
