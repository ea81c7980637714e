/* What makers of authenticators sign, and what others sign in their name; and how long an answer
 * may be. */
#include "soft_authenticator.h"

#include <openssl/x509v3.h>

#include "base/limits.h"

static const uint8_t challenge_bytes[LIMIT_WEBAUTHN_CHALLENGE_BYTES + 1] = {1, 2, 3};
#define CHALLENGE span_of(challenge_bytes, LIMIT_WEBAUTHN_CHALLENGE_BYTES)

static const struct webauthn_expected expected = {
    SOFT_ORIGIN, SOFT_RP, {challenge_bytes, LIMIT_WEBAUTHN_CHALLENGE_BYTES}, true, SOFT_NOW};

static const uint8_t model[WEBAUTHN_AAGUID_BYTES] = {0xc5, 0xef, 0x55};

static err_t register_with(const struct soft_authenticator *soft, struct soft_answer *answer,
                           struct fault *fault) {
    struct soft_authenticator copy = *soft;
    struct webauthn_credential credential = {.counter = 99};
    struct webauthn_registration made = soft_register(&copy, CHALLENGE, answer);
    err_t err = webauthn_register(&expected, &made, &credential, fault);
    assert_true(!failed(err) || credential.counter == 99); /* nothing was given */
    return err;
}

/* ---- certificates of makers ---------------------------------------------------------------- */

enum { DAY = 24 * 3600 };

struct leaf {
    long version;                                     /* as X.509 counts: 2 is version 3 */
    const char *country, *organization, *unit, *name; /* NULL: left out */
    const char *second_unit;
    int64_t from, until;
    const char *constraints; /* as openssl.cnf has them; NULL: none */
    const uint8_t *model;    /* NULL: not told */
    int model_bytes;
    bool model_critical, model_twice;
};

static const struct leaf good = {.version = X509_VERSION_3,
                                 .country = "SE",
                                 .organization = "Maker",
                                 .unit = "Authenticator Attestation",
                                 .name = "Maker's keys",
                                 .from = SOFT_NOW - DAY,
                                 .until = SOFT_NOW + DAY,
                                 .constraints = "critical,CA:FALSE",
                                 .model = model,
                                 .model_bytes = sizeof model};

static void add_name(X509_NAME *subject, const char *field, const char *text) {
    if (text != NULL) {
        assert_int_equal(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                                    (const uint8_t *)text, -1, -1, 0),
                         1);
    }
}

static void add_extension(X509 *certificate, X509_EXTENSION *extension) {
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void add_model(X509 *certificate, const struct leaf *leaf) {
    uint8_t der[2 + 64] = {V_ASN1_OCTET_STRING, (uint8_t)leaf->model_bytes};
    memcpy(der + 2, leaf->model, (size_t)leaf->model_bytes);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *id = OBJ_txt2obj("1.3.6.1.4.1.45724.1.1.4", 1);
    assert_int_equal(ASN1_OCTET_STRING_set(value, der, 2 + leaf->model_bytes), 1);
    for (int i = 0; i <= leaf->model_twice; i++) {
        add_extension(certificate,
                      X509_EXTENSION_create_by_OBJ(NULL, id, leaf->model_critical, value));
    }
    ASN1_OBJECT_free(id);
    ASN1_OCTET_STRING_free(value);
}

/* In what is signed already: since OpenSSL 3.5 whatever has extensions is signed as version 3. */
static void set_version(struct buf *der, uint8_t version) {
    static const uint8_t version_3[] = {0xa0, 3, 2, 1, X509_VERSION_3};
    uint8_t *at = memmem(der->data, der->len, version_3, sizeof version_3);
    assert_non_null(at);
    at[sizeof version_3 - 1] = version;
}

/* A certificate of `key` by the maker's root, as DER. */
static void make_leaf(const struct leaf *leaf, EVP_PKEY *key, EVP_PKEY *root, struct buf *out) {
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    uint8_t *der = NULL;
    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7), 1);
    add_name(subject, "C", leaf->country);
    add_name(subject, "O", leaf->organization);
    add_name(subject, "OU", leaf->unit);
    add_name(subject, "OU", leaf->second_unit);
    add_name(subject, "CN", leaf->name);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(certificate), leaf->from));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(certificate), leaf->until));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    if (leaf->constraints != NULL) {
        add_extension(certificate,
                      X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, leaf->constraints));
    }
    if (leaf->model != NULL) {
        add_model(certificate, leaf);
    }
    assert_true(X509_sign(certificate, root, EVP_sha256()) > 0);
    int len = i2d_X509(certificate, &der);
    assert_true(len > 0);
    buf_clear(out);
    assert_ok(buf_add(out, span_of(der, (size_t)len)));
    set_version(out, (uint8_t)leaf->version);
    OPENSSL_free(der);
    X509_free(certificate);
}

static struct { EVP_PKEY *root, *maker, *other; } keys;

static int make_keys(void **state) {
    (void)state;
    keys.root = EVP_EC_gen("P-256");
    keys.maker = EVP_EC_gen("P-256");
    keys.other = EVP_EC_gen("P-256");
    return keys.root == NULL || keys.maker == NULL || keys.other == NULL;
}

static int free_keys(void **state) {
    (void)state;
    EVP_PKEY_free(keys.root);
    EVP_PKEY_free(keys.maker);
    EVP_PKEY_free(keys.other);
    return 0;
}

static err_t register_by(const struct leaf *leaf, EVP_PKEY *certified, EVP_PKEY *signer,
                         int64_t algorithm, struct fault *fault) {
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct buf der CLEANUP(buf_done) = BUF(8192);
    make_leaf(leaf, certified, keys.root, &der);
    memcpy(soft.aaguid, model, sizeof model);
    soft.format = "packed";
    soft.maker = signer;
    soft.attest_algorithm = algorithm;
    soft.chain[0] = buf_span(&der);
    return register_with(&soft, &answer, fault);
}

static void certificates_refused(void **state) {
    (void)state;
    static const uint8_t other_model[WEBAUTHN_AAGUID_BYTES] = {0xee};
    struct leaf leaves[19];
    enum err_code codes[COUNT_OF(leaves)];
    size_t count = 0;
    for (; count < COUNT_OF(leaves); count++) {
        leaves[count] = good;
        codes[count] = ERR_REFUSED;
    }
    leaves[0].constraints = "critical,CA:TRUE";
    leaves[1].constraints = "CA:TRUE,pathlen:0";
    leaves[2].version = X509_VERSION_2;
    leaves[3].country = NULL;
    leaves[4].organization = NULL;
    leaves[5].unit = NULL;
    leaves[6].name = NULL;
    leaves[7].unit = "Authenticator attestation";
    leaves[8].second_unit = "Authenticator Attestation";
    leaves[9].model = other_model;
    leaves[10].model_bytes = sizeof model - 1;
    leaves[11].model_critical = true;
    leaves[12].model_twice = true;
    leaves[13].until = SOFT_NOW;
    leaves[14].until = SOFT_NOW - 1;
    leaves[15].from = SOFT_NOW + 1;
    leaves[16].second_unit = "Another";
    leaves[17].unit = "Another";
    leaves[17].second_unit = "Authenticator Attestation";
    leaves[18].version = X509_VERSION_1;
    codes[13] = codes[14] = codes[15] = ERR_EXPIRED;
    for (size_t i = 0; i < count; i++) {
        struct fault fault = {0};
        err_t err = register_by(&leaves[i], keys.maker, keys.maker, 0, &fault);
        if (err.code != codes[i]) {
            print_error("certificate %zu: %s\n", i, err_name(err));
        }
        assert_int_equal(err.code, codes[i]);
        assert_string_equal(fault.field, "attestation");
    }
}

static void signatures_refused(void **state) {
    (void)state;
    struct fault fault = {0};
    /* by another key than the certificate's; in another algorithm's name; by one not known here */
    assert_fails(register_by(&good, keys.maker, keys.other, 0, &fault), ERR_SIGNATURE);
    assert_fails(register_by(&good, keys.maker, keys.maker, WEBAUTHN_RS256, &fault),
                 ERR_UNSUPPORTED);
    assert_fails(register_by(&good, keys.maker, keys.maker, WEBAUTHN_EDDSA, &fault),
                 ERR_UNSUPPORTED);
    assert_fails(register_by(&good, keys.maker, keys.maker, -35, &fault), ERR_UNSUPPORTED);
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"); /* that signs nothing */
    assert_fails(register_by(&good, weak, keys.maker, 0, &fault), ERR_UNSUPPORTED);
    EVP_PKEY_free(weak);
}

/* The credential's own key signs, in the name of a maker whose certificate anybody can copy. */
static void copied_certificate_refused(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct buf der CLEANUP(buf_done) = BUF(8192);
    struct fault fault = {0};
    make_leaf(&good, keys.maker, keys.root, &der);
    memcpy(soft.aaguid, model, sizeof model);
    soft.format = "packed";
    soft.maker = soft.key;
    soft.chain[0] = buf_span(&der);
    assert_fails(register_with(&soft, &answer, &fault), ERR_SIGNATURE);
    soft.maker = keys.maker;
    soft.attest_wrongly = true;
    assert_fails(register_with(&soft, &answer, &fault), ERR_SIGNATURE);
    soft.attest_wrongly = false;
    soft.chain[0] = span_of(NULL, 0); /* an empty list */
    assert_fails(register_with(&soft, &answer, &fault), ERR_MALFORMED);
    for (size_t len = 1; len < der.len; len++) {
        soft.chain[0] = span_of(der.data, len);
        assert_fails(register_with(&soft, &answer, &fault), ERR_MALFORMED);
    }
    assert_ok(buf_add_byte(&der, 0)); /* behind the certificate's end */
    soft.chain[0] = buf_span(&der);
    assert_fails(register_with(&soft, &answer, &fault), ERR_MALFORMED);
}

static void makers_of_every_algorithm(void **state) {
    (void)state;
    EVP_PKEY *makers[] = {keys.maker, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(2048)};
    struct fault fault = {0};
    for (size_t i = 0; i < COUNT_OF(makers); i++) {
        assert_ok(register_by(&good, makers[i], makers[i], 0, &fault));
    }
    struct leaf leaf = good;
    leaf.model = NULL; /* "if attestnCert contains an extension" */
    leaf.constraints = NULL;
    assert_ok(register_by(&leaf, keys.maker, keys.maker, 0, &fault));
    leaf.until = SOFT_NOW + 1;
    leaf.from = SOFT_NOW;
    assert_ok(register_by(&leaf, keys.maker, keys.maker, 0, &fault));
    EVP_PKEY_free(makers[1]);
    EVP_PKEY_free(makers[2]);
}

/* ---- how long answers may be ---------------------------------------------------------------- */

/* Filled up by what follows the leaf, to just so many bytes. */
static void answers_are_bounded(void **state) {
    (void)state;
    static uint8_t filling[LIMIT_WEBAUTHN_ANSWER_BYTES];
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_EDDSA);
    struct buf der CLEANUP(buf_done) = BUF(8192);
    struct fault fault = {0};
    EVP_PKEY *maker = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); /* signatures of one length */
    make_leaf(&good, maker, keys.root, &der);
    memcpy(soft.aaguid, model, sizeof model);
    soft.format = "packed";
    soft.maker = maker;
    soft.chain[0] = buf_span(&der);
    soft.chain[1] = span_of(filling, 1024);
    assert_ok(register_with(&soft, &answer, &fault));
    size_t room = LIMIT_WEBAUTHN_ANSWER_BYTES - answer.attestation.len;
    soft.chain[1].len += room;
    assert_ok(register_with(&soft, &answer, &fault));
    assert_int_equal(answer.attestation.len, LIMIT_WEBAUTHN_ANSWER_BYTES);
    soft.chain[1].len++;
    assert_fails(register_with(&soft, &answer, &fault), ERR_TOO_LONG);
    assert_string_equal(fault.field, "attestationObject");
    EVP_PKEY_free(maker);
}

static void client_data_is_bounded(void **state) {
    (void)state;
    char more[LIMIT_WEBAUTHN_CLIENT_DATA_BYTES];
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct fault fault = {0};
    assert_ok(register_with(&soft, &answer, &fault));
    size_t room = LIMIT_WEBAUTHN_CLIENT_DATA_BYTES - answer.client_data.len;
    memset(more, ' ', room + 1);
    more[room + 1] = '\0';
    soft.client_data_more = more;
    assert_fails(register_with(&soft, &answer, &fault), ERR_TOO_LONG);
    assert_string_equal(fault.field, "clientDataJSON");
    more[room] = '\0';
    assert_ok(register_with(&soft, &answer, &fault));
    assert_int_equal(answer.client_data.len, LIMIT_WEBAUTHN_CLIENT_DATA_BYTES);
}

static void ids_are_bounded(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct fault fault = {0};
    soft.id_bytes = 0;
    assert_fails(register_with(&soft, &answer, &fault), ERR_TOO_LONG);
    soft.id_bytes = LIMIT_PASSKEY_ID_BYTES + 1;
    assert_fails(register_with(&soft, &answer, &fault), ERR_TOO_LONG);
    soft.id_bytes = LIMIT_PASSKEY_ID_BYTES;
    assert_ok(register_with(&soft, &answer, &fault));
}

/* One that begins like the one that was asked, and is longer. */
static void challenges_are_bounded(void **state) {
    (void)state;
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_ES256);
    struct webauthn_credential credential;
    struct fault fault = {0};
    const span_t longer = span_of(challenge_bytes, LIMIT_WEBAUTHN_CHALLENGE_BYTES + 1);
    struct webauthn_expected asked = expected;
    asked.challenge = longer; /* no such one is ever made: its answer cannot be read */
    struct webauthn_registration made = soft_register(&soft, longer, &answer);
    assert_fails(webauthn_register(&expected, &made, &credential, &fault), ERR_REFUSED);
    assert_fails(webauthn_register(&asked, &made, &credential, &fault), ERR_REFUSED);
    made = soft_register(&soft, CHALLENGE, &answer);
    assert_ok(webauthn_register(&expected, &made, &credential, &fault));
}

static EVP_PKEY *make_rsa(unsigned bits, const char *exponent) {
    EVP_PKEY *key = NULL;
    BIGNUM *e = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(BN_hex2bn(&e, exponent) > 0);
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* The longest key there can be is the limit: whatever makes one longer is refused for itself. */
static void keys_are_bounded(void **state) {
    (void)state;
    static const struct {
        unsigned bits;
        const char *exponent;
        enum err_code code;
    } cases[] = {
        {WEBAUTHN_RSA_BITS_MAX + 8, "10001", ERR_KEY_SIZE},
        {2048, "010000000000000001", ERR_KEY_SIZE},
        {WEBAUTHN_RSA_BITS_MAX, "FFFFFFFFFFFFFFC5", ERR_NONE},
    };
    struct soft_answer answer CLEANUP(soft_answer_done) = soft_answer_new();
    struct fault fault = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct soft_authenticator soft CLEANUP(soft_done) = soft_new(WEBAUTHN_RS256);
        EVP_PKEY_free(soft.key);
        soft.key = make_rsa(cases[i].bits, cases[i].exponent);
        assert_fails(register_with(&soft, &answer, &fault), cases[i].code);
    }
    assert_int_equal(answer.public_key.len, LIMIT_PASSKEY_KEY_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_refused),
        cmocka_unit_test(signatures_refused),
        cmocka_unit_test(copied_certificate_refused),
        cmocka_unit_test(makers_of_every_algorithm),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(client_data_is_bounded),
        cmocka_unit_test(ids_are_bounded),
        cmocka_unit_test(challenges_are_bounded),
        cmocka_unit_test(keys_are_bounded),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
