/* What authenticators answer, and what somebody made up. */
#include "soft_authenticator.h"

#include "identity/cbor.h"
#include "identity/recovery.h"
#include "identity/webauthn_challenge.h"

static const uint8_t challenge_bytes[32] = {1, 2, 3};
static const uint8_t other_bytes[32] = {3, 2, 1};
#define CHALLENGE span_of(challenge_bytes, sizeof challenge_bytes)
#define OTHER     span_of(other_bytes, sizeof other_bytes)

static const struct webauthn_expected expected = {
    SOFT_ORIGIN, SOFT_RP, {challenge_bytes, sizeof challenge_bytes}, false, SOFT_NOW};
static const struct webauthn_expected expected_verified = {
    SOFT_ORIGIN, SOFT_RP, {challenge_bytes, sizeof challenge_bytes}, true, SOFT_NOW};

static const enum webauthn_algorithm algorithms[] = {WEBAUTHN_ES256, WEBAUTHN_EDDSA,
                                                     WEBAUTHN_RS256};

/* ---- what is spoilt ------------------------------------------------------------------------ */

struct spoil {
    const char *field; /* that the fault names */
    void (*spoil)(struct soft_authenticator *soft);
};

static void other_type(struct soft_authenticator *soft) { soft->type = "payment.get"; }
static void other_origin(struct soft_authenticator *soft) {
    soft->origin = "https://authority.example.evil";
}
static void other_port(struct soft_authenticator *soft) {
    soft->origin = "https://authority.example:8443";
}
static void plain_origin(struct soft_authenticator *soft) {
    soft->origin = "http://authority.example";
}
static void other_rp(struct soft_authenticator *soft) { soft->rp_id = "example"; }
static void nobody_there(struct soft_authenticator *soft) { soft->flags = UV; }
static void not_verified(struct soft_authenticator *soft) { soft->flags = UP; }
static void backed_up_though_not_eligible(struct soft_authenticator *soft) {
    soft->flags = UP | UV | BS;
}
static void cross_origin(struct soft_authenticator *soft) {
    soft->client_data_more = ",\"crossOrigin\":true";
}
static void top_origin(struct soft_authenticator *soft) {
    soft->client_data_more = ",\"topOrigin\":\"https://evil.example\"";
}
static void second_origin(struct soft_authenticator *soft) {
    soft->client_data_more = ",\"origin\":\"https://evil.example\"";
}
static void odd_cross_origin(struct soft_authenticator *soft) {
    soft->client_data_more = ",\"crossOrigin\":\"no\"";
}

static const struct spoil spoils[] = {
    {"type", other_type},
    {"origin", other_origin},
    {"origin", other_port},
    {"origin", plain_origin},
    {"rpIdHash", other_rp},
    {"flags", nobody_there},
    {"flags", not_verified},
    {"flags", backed_up_though_not_eligible},
    {"crossOrigin", cross_origin},
    {"crossOrigin", top_origin},
    {"clientDataJSON", second_origin},
    {"clientDataJSON", odd_cross_origin},
};

static void test_spoilt_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    for (size_t i = 0; i < COUNT_OF(spoils); i++) {
        struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
        struct webauthn_credential credential = {.counter = 99};
        struct webauthn_proof proof = {.counter = 99};
        struct fault fault = {0};
        spoils[i].spoil(&soft);
        struct webauthn_registration made = soft_register(&soft, CHALLENGE, &answer);
        assert_true(failed(webauthn_register(&expected_verified, &made, &credential, &fault)));
        assert_string_equal(fault.field, spoils[i].field);
        struct webauthn_assertion shown = soft_assert(&soft, CHALLENGE, &answer);
        assert_true(failed(webauthn_verify(&expected_verified, buf_span(&answer.public_key), &shown,
                                           &proof, &fault)));
        assert_string_equal(fault.field, spoils[i].field);
        assert_int_equal(credential.counter, 99); /* nothing was given */
        assert_int_equal(proof.counter, 99);
    }
}

static void test_other_challenge_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct webauthn_credential credential;
    struct webauthn_proof proof;
    struct fault fault;
    struct webauthn_registration made = soft_register(&soft, OTHER, &answer);
    assert_fails(webauthn_register(&expected, &made, &credential, &fault), ERR_REFUSED);
    assert_string_equal(fault.field, "challenge");
    struct webauthn_assertion shown = soft_assert(&soft, OTHER, &answer);
    assert_fails(webauthn_verify(&expected, buf_span(&answer.public_key), &shown, &proof, &fault),
                 ERR_REFUSED);
    assert_string_equal(fault.field, "challenge");
    /* No challenge is open: none of length 0 is answered either. */
    struct webauthn_expected closed = expected;
    closed.challenge = span_of(NULL, 0);
    shown = soft_assert(&soft, span_of(NULL, 0), &answer);
    assert_fails(webauthn_verify(&closed, buf_span(&answer.public_key), &shown, &proof, &fault),
                 ERR_REFUSED);
}

/* An assertion is not a registration, nor the other way round. */
static void test_swapped_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_EDDSA);
    struct webauthn_proof proof;
    struct fault fault;
    soft.type = "webauthn.get";
    (void)soft_register(&soft, CHALLENGE, &answer);
    soft_sign(&soft, &answer);
    struct webauthn_assertion shown = {buf_span(&answer.client_data),
                                       buf_span(&answer.authenticator_data),
                                       buf_span(&answer.signature)};
    assert_fails(webauthn_verify(&expected, buf_span(&answer.public_key), &shown, &proof, &fault),
                 ERR_MALFORMED);
    assert_string_equal(fault.field, "authenticatorData");
}

static void test_other_key_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        struct soft_authenticator soft CLEANUP(soft_done) = soft_new(algorithms[i]);
        struct soft_authenticator other CLEANUP(soft_done) = soft_new(algorithms[i]);
        struct webauthn_proof proof;
        struct fault fault;
        struct buf theirs CLEANUP(buf_done) = BUF(1024);
        soft_public_key(&other, &theirs);
        struct webauthn_assertion shown = soft_assert(&soft, CHALLENGE, &answer);
        assert_fails(webauthn_verify(&expected, buf_span(&theirs), &shown, &proof, &fault),
                     ERR_SIGNATURE);
    }
}

static err_t verify_again(const struct soft_answer *answer, span_t key) {
    struct webauthn_assertion shown = {buf_span(&answer->client_data),
                                       buf_span(&answer->authenticator_data),
                                       buf_span(&answer->signature)};
    struct webauthn_proof proof;
    struct fault fault;
    return webauthn_verify(&expected, key, &shown, &proof, &fault);
}

/* Every byte of what is signed, and of the signature. */
static void test_flipped_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct buf key CLEANUP(buf_done) = BUF(1024);
    soft_public_key(&soft, &key);
    (void)soft_assert(&soft, CHALLENGE, &answer);
    assert_ok(verify_again(&answer, buf_span(&key)));
    struct buf *const parts[] = {&answer.client_data, &answer.authenticator_data,
                                 &answer.signature};
    for (size_t part = 0; part < COUNT_OF(parts); part++) {
        for (size_t i = 0; i < parts[part]->len; i++) {
            parts[part]->data[i] ^= 1;
            assert_true(failed(verify_again(&answer, buf_span(&key))));
            parts[part]->data[i] ^= 1;
        }
    }
    assert_ok(verify_again(&answer, buf_span(&key)));
}

/* Every beginning of an attestation, in memory that ends there; and bytes after its end. */
static void test_truncated_refused(void **state) {
    (void)state;
    static const char *const formats[] = {"none", "packed"};
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct webauthn_credential credential;
    struct fault fault;
    for (size_t format = 0; format < COUNT_OF(formats); format++) {
        struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
        soft.format = formats[format];
        struct webauthn_registration made = soft_register(&soft, CHALLENGE, &answer);
        size_t whole = made.attestation.len;
        for (size_t len = 0; len < whole; len++) {
            uint8_t *copy = malloc(len + 1);
            memcpy(copy, answer.attestation.data, len);
            made.attestation = span_of(copy, len);
            assert_true(failed(webauthn_register(&expected, &made, &credential, &fault)));
            free(copy);
        }
        assert_ok(buf_add_byte(&answer.attestation, 0));
        made.attestation = buf_span(&answer.attestation);
        assert_fails(webauthn_register(&expected, &made, &credential, &fault), ERR_TRAILING);
    }
}

static void test_attestation_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct webauthn_credential credential;
    struct fault fault;
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    soft.format = "tpm";
    struct webauthn_registration made = soft_register(&soft, CHALLENGE, &answer);
    assert_fails(webauthn_register(&expected, &made, &credential, &fault), ERR_UNSUPPORTED);
    soft.format = "packed";
    soft.attest_wrongly = true;
    made = soft_register(&soft, CHALLENGE, &answer);
    assert_fails(webauthn_register(&expected, &made, &credential, &fault), ERR_SIGNATURE);
    assert_string_equal(fault.field, "attestation");
}

/* ---- what is right ------------------------------------------------------------------------- */

static void test_every_algorithm(void **state) {
    (void)state;
    static const char *const formats[] = {"none", "packed"};
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        struct soft_authenticator soft CLEANUP(soft_done) = soft_new(algorithms[i]);
        struct webauthn_credential credential;
        struct webauthn_proof proof;
        struct fault fault;
        soft.format = formats[i % 2];
        soft.flags = UP | UV | BE | BS;
        soft.client_data_more = ",\"crossOrigin\":false,\"other_keys\":\"may be added\"";
        struct webauthn_registration made = soft_register(&soft, CHALLENGE, &answer);
        assert_ok(webauthn_register(&expected_verified, &made, &credential, &fault));
        assert_int_equal(credential.algorithm, algorithms[i]);
        assert_int_equal(credential.id.len, soft.id_bytes);
        assert_memory_equal(credential.id.data, soft.id, soft.id_bytes);
        assert_true(credential.may_be_copied && credential.user_verified);
        assert_true(span_equal(credential.public_key, buf_span(&answer.public_key)));
        soft.counter = 0x01020304;
        soft.flags = UP;
        struct webauthn_assertion shown = soft_assert(&soft, CHALLENGE, &answer);
        assert_ok(webauthn_verify(&expected, buf_span(&answer.public_key), &shown, &proof, &fault));
        assert_int_equal(proof.counter, 0x01020304);
        assert_false(proof.user_verified);
    }
}

static void test_counter(void **state) {
    (void)state;
    assert_false(webauthn_counter_moved(5, 4));
    assert_false(webauthn_counter_moved(5, 5));
    assert_false(webauthn_counter_moved(5, 0));
    assert_true(webauthn_counter_moved(5, 6));
    assert_true(webauthn_counter_moved(0, 0)); /* it has none */
    assert_true(webauthn_counter_moved(0, 1));
}

static void test_site(void **state) {
    (void)state;
    static const struct {
        const char *url, *rp_id, *origin;
    } good[] = {
        {"https://authority.example", "authority.example", "https://authority.example"},
        {"https://authority.example:443/", "authority.example", "https://authority.example"},
        {"https://authority.example:8443", "authority.example", "https://authority.example:8443"},
        {"http://localhost:80", "localhost", "http://localhost"},
        {"http://localhost:8080", "localhost", "http://localhost:8080"},
    };
    static const char *const bad[] = {"https://127.0.0.1:8443", "https://[::1]:8443",
                                      "http://authority.example", "ftp://authority.example",
                                      "https://"};
    char rp_id[WEBAUTHN_RP_ID_CHARS], origin[WEBAUTHN_ORIGIN_CHARS];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(webauthn_rp_id(bad[i], rp_id), ERR_UNSUPPORTED);
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_ok(webauthn_rp_id(good[i].url, rp_id));
        assert_ok(webauthn_origin(good[i].url, origin));
        assert_string_equal(rp_id, good[i].rp_id);
        assert_string_equal(origin, good[i].origin);
    }
}

/* ---- CBOR ---------------------------------------------------------------------------------- */

static void test_cbor_refused(void **state) {
    (void)state;
    static const struct {
        const char *hex;
        enum err_code code;
    } bad[] = {
        {"", ERR_TRUNCATED},
        {"1817", ERR_MALFORMED},               /* 23 in two bytes */
        {"190018", ERR_MALFORMED},             /* 24 in three */
        {"1a0000ffff", ERR_MALFORMED},         /* 65535 in five */
        {"1b00000000ffffffff", ERR_MALFORMED}, /* 2^32 - 1 in nine */
        {"1bffffffffffffffff", ERR_RANGE},
        {"19ff", ERR_TRUNCATED},
        {"1c", ERR_MALFORMED},       /* reserved */
        {"5f4101ff", ERR_MALFORMED}, /* of indefinite length */
        {"9f01ff", ERR_MALFORMED},
        {"bf0101ff", ERR_MALFORMED},
        {"4201", ERR_TRUNCATED},
        {"5b7fffffffffffffff00", ERR_TRUNCATED},
        {"9b7fffffffffffffff00", ERR_TRUNCATED},
        {"bb7fffffffffffffff00", ERR_TRUNCATED},
        {"a201010101", ERR_ORDER}, /* the same key twice */
        {"a202010101", ERR_ORDER},
        {"a2200101f4", ERR_ORDER},   /* a negative key before a positive one */
        {"a14101f5", ERR_MALFORMED}, /* bytes as a key do not occur */
        {"a180f5", ERR_MALFORMED},
        {"c000", ERR_MALFORMED},        /* a tag */
        {"f93c00", ERR_MALFORMED},      /* a float */
        {"f7", ERR_MALFORMED},          /* undefined */
        {"818181818100", ERR_TOO_LONG}, /* five deep */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf bytes CLEANUP(buf_done) = BUF(64);
        assert_ok(hex_decode(span_str(bad[i].hex), &bytes));
        span_t rest = buf_span(&bytes);
        assert_fails(cbor_skip(&rest), bad[i].code);
        assert_int_equal(rest.len, bytes.len); /* nothing was taken */
    }
}

static void test_cbor(void **state) {
    (void)state;
    /* RFC 8949 appendix A, what is canonical of it. */
    static const char *const good[] = {"00",
                                       "17",
                                       "1818",
                                       "1903e8",
                                       "1a000f4240",
                                       "1b000000e8d4a51000",
                                       "20",
                                       "3863",
                                       "3903e7",
                                       "f4",
                                       "f5",
                                       "f6",
                                       "40",
                                       "4401020304",
                                       "60",
                                       "6449455446",
                                       "80",
                                       "83010203",
                                       "8301820203820405",
                                       "a0",
                                       "a201020304",
                                       "a26161016162820203",
                                       "8181818100"};
    int64_t number;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct buf bytes CLEANUP(buf_done) = BUF(64);
        assert_ok(hex_decode(span_str(good[i]), &bytes));
        span_t rest = buf_span(&bytes);
        assert_ok(cbor_skip(&rest));
        assert_int_equal(rest.len, 0);
    }
    span_t rest = span_of("\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
    assert_ok(cbor_take_int(&rest, &number));
    assert_true(number == INT64_MIN);
}

/* ---- challenges and recovery codes --------------------------------------------------------- */

static void test_challenges(void **state) {
    (void)state;
    enum { MADE_AT = 1800000000 };
    const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES] = {9}, other[sizeof secret] = {8};
    const uint8_t random[][WEBAUTHN_CHALLENGE_RANDOM_BYTES] = {{1}, {2}};
    const span_t laptop = SPAN_LITERAL("laptop"), phone = SPAN_LITERAL("phone");
    struct webauthn_challenge made, twin, out = {.account_id = 99};
    webauthn_challenge_make(secret, random[0], laptop, 7, MADE_AT, &made);
    const span_t bytes = span_of(made.bytes, sizeof made.bytes);
    assert_fails(webauthn_challenge_read(secret, phone, bytes, MADE_AT, &out), ERR_REFUSED);
    assert_fails(webauthn_challenge_read(other, laptop, bytes, MADE_AT, &out), ERR_REFUSED);
    assert_fails(webauthn_challenge_read(secret, laptop, span_of(made.bytes, 31), MADE_AT, &out),
                 ERR_REFUSED);
    assert_fails(webauthn_challenge_read(secret, laptop, SPAN_LITERAL(""), MADE_AT, &out),
                 ERR_REFUSED);
    assert_fails(
        webauthn_challenge_read(secret, laptop, bytes, MADE_AT + WEBAUTHN_CHALLENGE_S, &out),
        ERR_EXPIRED);
    for (size_t i = 0; i < 8 * sizeof made.bytes; i++) { /* neither time nor account are chosen */
        struct webauthn_challenge forged = made;
        forged.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_fails(webauthn_challenge_read(
                         secret, laptop, span_of(forged.bytes, sizeof forged.bytes), MADE_AT, &out),
                     ERR_REFUSED);
    }
    assert_int_equal(out.account_id, 99);
    assert_ok(
        webauthn_challenge_read(secret, laptop, bytes, MADE_AT + WEBAUTHN_CHALLENGE_S - 1, &out));
    assert_memory_equal(&out, &made, sizeof out);
    assert_int_equal(out.account_id, 7);
    assert_int_equal(out.made_at, MADE_AT);
    webauthn_challenge_make(secret, random[1], laptop, 7, MADE_AT, &twin);
    assert_memory_not_equal(twin.bytes, made.bytes, sizeof made.bytes);
}

static void test_client_challenge(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"challenge\":7}",
                                      "{\"challenge\":\"*\"}",
                                      "{\"challenge\":\"AA\",\"challenge\":\"AA\"}"};
    struct buf out CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CHALLENGE_BYTES);
    struct fault fault;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(webauthn_client_challenge(span_str(bad[i]), &out, &fault), ERR_MALFORMED);
    }
    assert_fails(
        webauthn_client_challenge(/* 33 bytes */
                                  SPAN_LITERAL(
                                      "{\"challenge\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"),
                                  &out, &fault),
        ERR_TOO_LONG);
    buf_clear(&out);
    assert_ok(webauthn_client_challenge(SPAN_LITERAL("{\"challenge\":\"AQID\"}"), &out, &fault));
    assert_true(span_equal(buf_span(&out), SPAN_LITERAL("\1\2\3")));
}

static void test_recovery(void **state) {
    (void)state;
    uint8_t random[RECOVERY_RANDOM_BYTES];
    char code[RECOVERY_CHARS], hash[HASH_CHARS], other[HASH_CHARS];
    static const char *const bad[] = {"",
                                      "123456",
                                      "0123456789ABCDEFGHJ",
                                      "0123456789ABCDEFGHJKM",
                                      "0123456789ABCDEFGHJ!",
                                      "0123456789ABCDEFGHJU"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(recovery_hash(span_str(bad[i]), 1, hash), ERR_MALFORMED);
    }
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (uint8_t)(i * 13);
    }
    recovery_make(random, code);
    assert_int_equal(strlen(code), RECOVERY_CHARS - 1);
    assert_ok(recovery_hash(span_str(code), 1, hash));
    assert_ok(recovery_hash(span_str(code), 2, other));
    assert_string_not_equal(hash, other); /* it is one account's */
    assert_ok(recovery_hash(SPAN_LITERAL("0123456789ABCDEFGH10"), 1, hash));
    assert_ok(recovery_hash(SPAN_LITERAL("o123 456 789-abcdefgh-Lo"), 1, other));
    assert_string_equal(hash, other); /* as people type it */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spoilt_refused),
        cmocka_unit_test(test_other_challenge_refused),
        cmocka_unit_test(test_swapped_refused),
        cmocka_unit_test(test_other_key_refused),
        cmocka_unit_test(test_flipped_refused),
        cmocka_unit_test(test_truncated_refused),
        cmocka_unit_test(test_attestation_refused),
        cmocka_unit_test(test_every_algorithm),
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_site),
        cmocka_unit_test(test_cbor_refused),
        cmocka_unit_test(test_cbor),
        cmocka_unit_test(test_challenges),
        cmocka_unit_test(test_client_challenge),
        cmocka_unit_test(test_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
