/* Signed tokens: published vectors, every algorithm, and tokens that somebody made up. */
#include "check.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "identity/id_token.h"
#include "identity/jws.h"
#include "identity/signing_keys.h"

#define NOW 1800000000

/* ---- making tokens, as an issuer or an enemy would ---------------------------------------- */

struct pair {
    EVP_PKEY *key;
    char jwk[2048]; /* without braces */
};

static void add_number(const EVP_PKEY *key, const char *name, size_t bytes, struct buf *out) {
    BIGNUM *number = NULL;
    uint8_t raw[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    size_t len = bytes != 0 ? bytes : (size_t)BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, raw, (int)len), (int)len);
    BN_free(number);
    assert_ok(base64_encode(span_of(raw, len), BASE64_URL, out));
}

static void add_member(const EVP_PKEY *key, const char *member, const char *name, size_t bytes,
                       struct buf *out) {
    assert_ok(buf_add_format(out, ",\"%s\":\"", member));
    add_number(key, name, bytes, out);
    assert_ok(buf_add_byte(out, '"'));
}

static void end_pair(struct pair *pair, const struct buf *text) {
    assert_true(text->len < sizeof pair->jwk);
    memcpy(pair->jwk, text->data, text->len);
    pair->jwk[text->len] = '\0';
}

static void make_rsa(struct pair *pair, unsigned bits) {
    struct buf text CLEANUP(buf_done) = BUF(4096);
    pair->key = EVP_RSA_gen(bits);
    assert_non_null(pair->key);
    assert_ok(buf_add_str(&text, "\"kty\":\"RSA\""));
    add_member(pair->key, "n", OSSL_PKEY_PARAM_RSA_N, 0, &text);
    add_member(pair->key, "e", OSSL_PKEY_PARAM_RSA_E, 0, &text);
    end_pair(pair, &text);
}

static void make_ec(struct pair *pair, const char *curve, size_t bytes) {
    struct buf text CLEANUP(buf_done) = BUF(4096);
    pair->key = EVP_EC_gen(curve);
    assert_non_null(pair->key);
    assert_ok(buf_add_format(&text, "\"kty\":\"EC\",\"crv\":\"%s\"", curve));
    add_member(pair->key, "x", OSSL_PKEY_PARAM_EC_PUB_X, bytes, &text);
    add_member(pair->key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, bytes, &text);
    end_pair(pair, &text);
}

static void make_ed25519(struct pair *pair) {
    struct buf text CLEANUP(buf_done) = BUF(4096);
    uint8_t raw[32];
    size_t len = sizeof raw;
    pair->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_non_null(pair->key);
    assert_int_equal(EVP_PKEY_get_raw_public_key(pair->key, raw, &len), 1);
    assert_ok(buf_add_str(&text, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""));
    assert_ok(base64_encode(span_of(raw, len), BASE64_URL, &text));
    assert_ok(buf_add_byte(&text, '"'));
    end_pair(pair, &text);
}

/* OpenSSL's DER to R and S side by side. */
static size_t raw_of(const uint8_t *der, size_t len, size_t bytes, uint8_t *out) {
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
    assert_non_null(signature);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)bytes), (int)bytes);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + bytes, (int)bytes),
                     (int)bytes);
    ECDSA_SIG_free(signature);
    return 2 * bytes;
}

static void sign(const struct pair *pair, const char *algorithm, span_t text, struct buf *out) {
    char digest[8] = "SHA";
    bool ed = strcmp(algorithm, "EdDSA") == 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    uint8_t signature[1024], raw[1024];
    size_t len = sizeof signature;
    strcat(digest, algorithm + 2);
    assert_int_equal(EVP_DigestSignInit_ex(context, &parameters, ed ? NULL : digest, NULL, NULL,
                                           pair->key, NULL),
                     1);
    if (algorithm[0] == 'P') {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(context, signature, &len, text.data, text.len), 1);
    EVP_MD_CTX_free(context);
    const uint8_t *bytes = signature;
    if (algorithm[0] == 'E' && !ed) {
        len = raw_of(signature, len, ((size_t)EVP_PKEY_get_bits(pair->key) + 7) / 8, raw);
        bytes = raw;
    }
    assert_ok(base64_encode(span_of(bytes, len), BASE64_URL, out));
}

/* The token as a text; freed by the caller. `more` are further members of the header. */
static char *make_token(const struct pair *pair, const char *algorithm, const char *more,
                        const char *claims) {
    struct buf token CLEANUP(buf_done) = BUF(64 * 1024);
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    char header[4096], *text;
    (void)snprintf(header, sizeof header, "{\"alg\":\"%s\"%s}", algorithm, more);
    assert_ok(base64_encode(span_str(header), BASE64_URL, &token));
    assert_ok(buf_add_byte(&token, '.'));
    assert_ok(base64_encode(span_str(claims), BASE64_URL, &token));
    sign(pair, algorithm, buf_span(&token), &signature);
    assert_ok(buf_add_byte(&token, '.'));
    assert_ok(buf_add(&token, buf_span(&signature)));
    assert_ok(buf_to_str(&token, &text));
    return text;
}

__attribute__((format(printf, 1, 2))) static struct jwk_set *set_of(const char *format, ...) {
    char text[16 * 1024];
    struct jwk_set *set = NULL;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_ok(jwk_set_parse(span_str(text), &set));
    return set;
}

static err_t verify(const char *token, const struct jwk_set *set, uint32_t algorithms) {
    struct jws_header header = {.key_id = ""};
    json_t *claims = NULL;
    err_t err = jws_verify(span_str(token), set, algorithms, &header, &claims);
    assert_true(failed(err) == (claims == NULL));
    json_decref(claims);
    return err;
}

static struct pair rsa, small_rsa, p256, p384, p521, ed25519;

static int make_pairs(void **state) {
    (void)state;
    make_rsa(&rsa, 2048);
    make_rsa(&small_rsa, 1024);
    make_ec(&p256, "P-256", 32);
    make_ec(&p384, "P-384", 48);
    make_ec(&p521, "P-521", 66);
    make_ed25519(&ed25519);
    return 0;
}

static int free_pairs(void **state) {
    (void)state;
    struct pair *pairs[] = {&rsa, &small_rsa, &p256, &p384, &p521, &ed25519};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        EVP_PKEY_free(pairs[i]->key);
    }
    return 0;
}

/* ---- hostile tokens ----------------------------------------------------------------------- */

static void test_header_brings_key(void **state) {
    (void)state;
    struct jwk_set *set CLEANUP(jwk_set_freep) =
        set_of("{\"keys\":[{\"kid\":\"a\",%s}]}", p256.jwk);
    char embedded[4096];
    (void)snprintf(embedded, sizeof embedded, ",\"kid\":\"a\",\"jwk\":{%s}", p384.jwk);
    const char *const headers[] = {
        embedded,
        ",\"kid\":\"a\",\"jku\":\"https://evil.example/keys\"",
        ",\"kid\":\"a\",\"x5u\":\"https://evil.example/chain\"",
        ",\"kid\":\"a\",\"x5c\":[\"MIIB\"]",
        ",\"kid\":\"a\",\"crit\":[\"exp\"]",
        ",\"kid\":\"a\",\"b64\":false",
        ",\"kid\":\"a\",\"zip\":\"DEF\"",
        ",\"kid\":\"a\",\"typ\":\"at+jwt\"",
        ",\"kid\":\"a\",\"typ\":7",
        ",\"kid\":7",
        ",\"kid\":\"\"",
        ",\"kid\":\"a\",\"alg\":\"ES256\"", /* twice */
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        char *token CLEANUP(freep) = make_token(&p256, "ES256", headers[i], "{}");
        assert_fails(verify(token, set, JWS_ALL), ERR_MALFORMED);
    }
    char *right CLEANUP(freep) =
        make_token(&p256, "ES256", ",\"kid\":\"a\",\"x5t\":\"AA\",\"typ\":\"jwt\"", "{}");
    assert_ok(verify(right, set, JWS_ALL));
}

/* A token of one part is no token, nor are those without a signature. */
static void test_none_and_shared(void **state) {
    (void)state;
    struct jwk_set *set CLEANUP(jwk_set_freep) = set_of("{\"keys\":[{%s}]}", rsa.jwk);
    static const struct {
        const char *token;
        enum err_code code;
    } cases[] = {
        {"", ERR_MALFORMED},
        {"..", ERR_MALFORMED},
        {"eyJhbGciOiJub25lIn0.e30.", ERR_MALFORMED},     /* none */
        {"eyJhbGciOiJub25lIn0.e30.AA", ERR_UNSUPPORTED}, /* none */
        {"eyJhbGciOiJOb25lIn0.e30.AA", ERR_UNSUPPORTED}, /* None */
        {"eyJhbGciOiJIUzI1NiJ9.e30.AA",
         ERR_UNSUPPORTED}, /* HS256, with the RSA key as the secret */
        {"eyJhbGciOiJFUzI1NksifQ.e30.AA", ERR_UNSUPPORTED}, /* ES256K */
        {"eyJhbGciOjF9.e30.AA", ERR_MALFORMED},
        {"e30.e30.AA", ERR_MALFORMED},
        {"W10.e30.AA", ERR_MALFORMED},
        {"eyJhbGciOiJSUzI1NiJ9.e30.AA.AA", ERR_MALFORMED},
        {"eyJhbGciOiJSUzI1NiJ9.e30.AA.AA.AA", ERR_MALFORMED}, /* encrypted */
        {"eyJhbGciOiJSUzI1NiJ9.e30.A+==", ERR_MALFORMED},
        {"eyJhbGciOiJSUzI1NiJ9.e30.AA", ERR_SIGNATURE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_fails(verify(cases[i].token, set, JWS_ALL), cases[i].code);
    }
}

static void test_every_algorithm(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const struct pair *pair;
    } cases[] = {{"RS256", &rsa},  {"RS384", &rsa},    {"RS512", &rsa},  {"PS256", &rsa},
                 {"PS384", &rsa},  {"PS512", &rsa},    {"ES256", &p256}, {"ES384", &p384},
                 {"ES512", &p521}, {"EdDSA", &ed25519}};
    struct jwk_set *all CLEANUP(jwk_set_freep) =
        set_of("{\"keys\":[{%s},{%s},{%s},{%s},{%s}]}", rsa.jwk, p256.jwk, p384.jwk, p521.jwk,
               ed25519.jwk);
    assert_int_equal(jwk_set_count(all), 5);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum jws_algorithm algorithm;
        assert_ok(jws_algorithm_parse(cases[i].name, &algorithm));
        char *token CLEANUP(freep) = make_token(cases[i].pair, cases[i].name, "", "{\"a\":1}");
        assert_fails(verify(token, all, JWS_ALL & ~JWS_BIT(algorithm)), ERR_UNSUPPORTED);
        assert_fails(verify(token, all, 0), ERR_UNSUPPORTED);
        assert_ok(verify(token, all, JWS_BIT(algorithm)));
        /* A key that says what it is for is for nothing else. */
        struct jwk_set *other CLEANUP(jwk_set_freep) =
            set_of("{\"keys\":[{\"alg\":\"%s\",%s}]}", i % 2 == 0 ? "PS384" : "RS384", rsa.jwk);
        assert_true(verify(token, other, JWS_ALL).code ==
                    (strcmp(cases[i].name, i % 2 == 0 ? "PS384" : "RS384") == 0 ? ERR_NONE
                                                                                : ERR_NOT_FOUND));
        /* Any bit that changes is seen. */
        char *dot = strrchr(token, '.');
        dot[5] = dot[5] == 'A' ? 'B' : 'A';
        assert_fails(verify(token, all, JWS_ALL), ERR_SIGNATURE);
        dot[5] = dot[5] == 'A' ? 'B' : 'A';
        char *middle = strchr(token, '.');
        middle[3] = middle[3] == 'J' ? 'K' : 'J';
        assert_fails(verify(token, all, JWS_ALL), ERR_SIGNATURE);
    }
}

static void test_which_key(void **state) {
    (void)state;
    struct pair other;
    make_ec(&other, "P-256", 32);
    struct jwk_set *two CLEANUP(jwk_set_freep) =
        set_of("{\"keys\":[{\"kid\":\"a\",%s},{\"kid\":\"b\",%s}]}", p256.jwk, other.jwk);
    char *none CLEANUP(freep) = make_token(&p256, "ES256", "", "{}");
    char *right CLEANUP(freep) = make_token(&p256, "ES256", ",\"kid\":\"a\"", "{}");
    char *wrong CLEANUP(freep) = make_token(&p256, "ES256", ",\"kid\":\"b\"", "{}");
    char *gone CLEANUP(freep) = make_token(&p256, "ES256", ",\"kid\":\"c\"", "{}");
    assert_fails(verify(none, two, JWS_ALL), ERR_NOT_FOUND); /* whose it is is not for us to try */
    assert_fails(verify(wrong, two, JWS_ALL), ERR_SIGNATURE);
    assert_fails(verify(gone, two, JWS_ALL), ERR_NOT_FOUND);
    assert_ok(verify(right, two, JWS_ALL));
    EVP_PKEY_free(other.key);
}

/* A longer id than LIMIT_JWK_ID_CHARS is nobody's: such a key is left out, and no token names it.
 */
static void test_key_ids(void **state) {
    (void)state;
    for (size_t chars = LIMIT_JWK_ID_CHARS; chars <= LIMIT_JWK_ID_CHARS + 1; chars++) {
        char id[LIMIT_JWK_ID_CHARS + 2] = "", header[sizeof id + 16];
        bool fits = chars <= LIMIT_JWK_ID_CHARS;
        memset(id, 'k', chars);
        (void)snprintf(header, sizeof header, ",\"kid\":\"%s\"", id);
        struct jwk_set *set CLEANUP(jwk_set_freep) =
            set_of("{\"keys\":[{\"kid\":\"%s\",%s}]}", id, p256.jwk);
        char *token CLEANUP(freep) = make_token(&p256, "ES256", header, "{}");
        assert_int_equal(jwk_set_count(set), fits ? 1 : 0);
        assert_fails(verify(token, set, JWS_ALL), fits ? ERR_NONE : ERR_MALFORMED);
    }
}

static void test_key_sets(void **state) {
    (void)state;
    static const char *const refused[] = {"",
                                          "[]",
                                          "{}",
                                          "{\"keys\":{}}",
                                          "{\"keys\":[1]}",
                                          "{\"keys\":[],\"keys\":[]}",
                                          "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
                                          "{\"keys\":[{\"kty\":\"RSA\",\"d\":\"AAAA\"}]}"};
    struct jwk_set *set = NULL;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(jwk_set_parse(span_str(refused[i]), &set), ERR_MALFORMED);
    }
    /* Left out: for something else, too weak, off its curve, of a kind not known. */
    struct jwk_set *left CLEANUP(jwk_set_freep) = set_of(
        "{\"keys\":[{\"use\":\"enc\",%s},{%s},{\"key_ops\":[\"sign\"],%s},{\"alg\":\"HS256\",%s},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"},"
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\"},{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"},"
        "{\"kty\":\"new\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        rsa.jwk, small_rsa.jwk, p256.jwk, p256.jwk, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_int_equal(jwk_set_count(left), 0);

    struct buf text CLEANUP(buf_done) = BUF(2 * LIMIT_JWK_SET_BYTES);
    assert_ok(buf_add_str(&text, "{\"keys\":["));
    for (int i = 0; i < LIMIT_JWK_SET_KEYS_COUNT; i++) {
        assert_ok(buf_add_format(&text, "%s{%s}", i > 0 ? "," : "", ed25519.jwk));
    }
    size_t len = text.len;
    assert_ok(buf_add_str(&text, "]}"));
    struct jwk_set *full CLEANUP(jwk_set_freep) = NULL;
    assert_ok(jwk_set_parse(buf_span(&text), &full));
    assert_int_equal(jwk_set_count(full), LIMIT_JWK_SET_KEYS_COUNT);
    text.len = len;
    assert_ok(buf_add_format(&text, ",{%s}]}", ed25519.jwk));
    assert_fails(jwk_set_parse(buf_span(&text), &set), ERR_TOO_LONG);
    text.len = 0;
    assert_ok(buf_add_str(&text, "{\"keys\":[]}"));
    while (text.len < LIMIT_JWK_SET_BYTES) {
        assert_ok(buf_add_byte(&text, ' '));
    }
    struct jwk_set *long_set CLEANUP(jwk_set_freep) = NULL;
    assert_ok(jwk_set_parse(buf_span(&text), &long_set));
    assert_ok(buf_add_byte(&text, ' '));
    assert_fails(jwk_set_parse(buf_span(&text), &set), ERR_TOO_LONG);
}

static void test_lengths(void **state) {
    (void)state;
    struct jwk_set *set CLEANUP(jwk_set_freep) = set_of("{\"keys\":[{%s}]}", ed25519.jwk);
    for (size_t chars = 12000; chars < 12400; chars++) {
        char claims[12500];
        (void)snprintf(claims, sizeof claims, "{\"a\":\"%*s\"}", (int)chars, "");
        char *token CLEANUP(freep) = make_token(&ed25519, "EdDSA", "", claims);
        assert_fails(verify(token, set, JWS_ALL),
                     strlen(token) <= LIMIT_JWS_CHARS ? ERR_NONE : ERR_TOO_LONG);
    }
}

/* ---- published vectors -------------------------------------------------------------------- */

static void test_vectors(void **state) {
    (void)state;
    static const struct {
        const char *key, *algorithm, *input, *signature;
    } vectors[] = {
        /* RFC 8037 appendix A.4 */
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
         "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
         "EdDSA", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
         "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
        /* RFC 7515 appendix A.2 */
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26m"
         "PddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47s"
         "oMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMT"
         "BQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD"
         "TW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}]}",
         "RS256",
         "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
         "mNvbS9pc19yb290Ijp0cnVlfQ",
         "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
         "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
         "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
         "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
        /* RFC 7515 appendix A.3 */
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
         "ES256",
         "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL"
         "mNvbS9pc19yb290Ijp0cnVlfQ",
         "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    };
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct jwk_set *set CLEANUP(jwk_set_freep) = set_of("%s", vectors[i].key);
        struct buf signature CLEANUP(buf_done) = BUF(1024);
        enum jws_algorithm algorithm;
        assert_ok(jws_algorithm_parse(vectors[i].algorithm, &algorithm));
        assert_ok(base64_decode(span_str(vectors[i].signature), BASE64_URL, &signature));
        assert_ok(
            jwk_set_verify(set, "", algorithm, span_str(vectors[i].input), buf_span(&signature)));
        signature.data[9] ^= 1;
        assert_fails(
            jwk_set_verify(set, "", algorithm, span_str(vectors[i].input), buf_span(&signature)),
            ERR_SIGNATURE);
    }
}

/* ---- claims ------------------------------------------------------------------------------- */

#define RIGHT "\"iss\":\"https://op.example\",\"sub\":\"42\",\"exp\":1800000300,\"iat\":1799999990"

static err_t judge(const char *members, const struct id_token_rules *rules, struct fault *fault) {
    char text[2048];
    struct id_token token;
    (void)snprintf(text, sizeof text, "{%s}", members);
    json_t *claims = json_loads(text, 0, NULL);
    assert_non_null(claims);
    *fault = (struct fault){.field = ""};
    err_t err = id_token_judge(claims, JWS_RS256, rules, NOW, &token, fault);
    json_decref(claims);
    return err;
}

static void test_claims(void **state) {
    (void)state;
    static const char *const mfa[] = {"mfa", "otp"};
    const struct id_token_rules rules = {.issuer = "https://op.example",
                                         .audience = "postern",
                                         .nonce = "n-0S6_WzA2Mj",
                                         .access_token =
                                             "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
                                         .skew_s = 60,
                                         .age_max_s = 600,
                                         .amr = mfa,
                                         .amr_count = 2};
#define GOOD RIGHT ",\"aud\":\"postern\",\"nonce\":\"n-0S6_WzA2Mj\",\"amr\":[\"pwd\",\"otp\"]"
    static const struct {
        const char *claims, *field;
        enum err_code code;
    } cases[] = {
        {GOOD, "", ERR_NONE},
        /* OpenID Connect Core 1.0 appendix A.3 */
        {GOOD ",\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RQ\"", "", ERR_NONE},
        {GOOD ",\"at_hash\":\"77QmUPtjPfzWtF2AnpK9RR\"", "at_hash", ERR_REFUSED},
        {GOOD ",\"at_hash\":7", "at_hash", ERR_REFUSED},
        {GOOD ",\"azp\":\"postern\"", "", ERR_NONE},
        {GOOD ",\"azp\":\"other\"", "azp", ERR_REFUSED},
        {GOOD ",\"nbf\":1800000060", "", ERR_NONE},
        {GOOD ",\"nbf\":1800000061", "iat", ERR_REFUSED},
        {GOOD ",\"nbf\":\"now\"", "nbf", ERR_REFUSED},
        {GOOD ",\"auth_time\":-1", "auth_time", ERR_REFUSED},
        {"\"sub\":\"42\"", "iss", ERR_REFUSED},
        {"\"iss\":\"https://op.example/\"", "iss", ERR_REFUSED},
        {RIGHT, "aud", ERR_REFUSED},
        {RIGHT ",\"aud\":\"posterns\"", "aud", ERR_REFUSED},
        {RIGHT ",\"aud\":[\"other\"]", "aud", ERR_REFUSED},
        {RIGHT ",\"aud\":[\"postern\",\"other\"]", "azp", ERR_REFUSED},
        {RIGHT ",\"aud\":\"postern\"", "nonce", ERR_REFUSED},
        {RIGHT ",\"aud\":\"postern\",\"nonce\":\"other\"", "nonce", ERR_REFUSED},
        {RIGHT ",\"aud\":\"postern\",\"nonce\":\"n-0S6_WzA2Mj\"", "amr", ERR_REFUSED},
        {RIGHT ",\"aud\":\"postern\",\"nonce\":\"n-0S6_WzA2Mj\",\"amr\":[\"pwd\"]", "amr",
         ERR_REFUSED},
        {RIGHT ",\"aud\":\"postern\",\"nonce\":\"n-0S6_WzA2Mj\",\"amr\":\"otp\"", "amr",
         ERR_REFUSED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fault fault;
        assert_fails(judge(cases[i].claims, &rules, &fault), cases[i].code);
        assert_string_equal(fault.field, cases[i].field);
    }
#undef GOOD
}

static void test_times(void **state) {
    (void)state;
    const struct id_token_rules rules = {
        .issuer = "i", .audience = "a", .skew_s = 60, .age_max_s = 600};
    static const struct {
        const char *times;
        enum err_code code;
    } cases[] = {
        {"\"iat\":1800000060,\"exp\":1800000100", ERR_NONE},
        {"\"iat\":1800000061,\"exp\":1800000100", ERR_REFUSED},
        {"\"iat\":1799999990,\"exp\":1799999941", ERR_NONE},
        {"\"iat\":1799999990,\"exp\":1799999940", ERR_EXPIRED},
        {"\"iat\":1799999340,\"exp\":1800000100", ERR_NONE},
        {"\"iat\":1799999339,\"exp\":1800000100", ERR_EXPIRED},
        {"\"iat\":1799999990", ERR_REFUSED},
        {"\"exp\":1800000100", ERR_REFUSED},
        {"\"iat\":1799999990,\"exp\":\"1800000100\"", ERR_REFUSED},
        {"\"iat\":1799999990,\"exp\":1e300", ERR_REFUSED},
        {"\"iat\":-5,\"exp\":1800000100", ERR_REFUSED},
        {"\"iat\":1799999990.5,\"exp\":1800000100.5", ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        struct fault fault;
        (void)snprintf(text, sizeof text, "\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",%s",
                       cases[i].times);
        assert_fails(judge(text, &rules, &fault), cases[i].code);
    }
    struct fault fault;
    assert_fails(
        judge("\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"\",\"iat\":1,\"exp\":2", &rules, &fault),
        ERR_REFUSED);
    assert_fails(judge("\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",\"nonce\":\"x\"", &rules, &fault),
                 ERR_REFUSED); /* a nonce that nobody asked for */
}

static void test_subject_is_bounded(void **state) {
    (void)state;
    const struct id_token_rules rules = {
        .issuer = "i", .audience = "a", .skew_s = 60, .age_max_s = 600};
    for (int chars = LIMIT_SUBJECT_CHARS; chars <= LIMIT_SUBJECT_CHARS + 1; chars++) {
        char text[LIMIT_SUBJECT_CHARS + 100];
        struct fault fault;
        (void)snprintf(text, sizeof text,
                       "\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"%0*d\",\"iat\":1799999990,"
                       "\"exp\":1800000100",
                       chars, 7);
        assert_fails(judge(text, &rules, &fault),
                     chars == LIMIT_SUBJECT_CHARS ? ERR_NONE : ERR_REFUSED);
    }
}

/* Sessions count from the sign-in: one of the future would never end. */
static void test_when_signed_in(void **state) {
    (void)state;
    const struct id_token_rules rules = {
        .issuer = "i", .audience = "a", .skew_s = 60, .age_max_s = 600};
    static const struct {
        int64_t told, taken;
        enum err_code code;
    } cases[] = {
        {NOW + 61, 0, ERR_REFUSED}, {NOW + 315360000, 0, ERR_REFUSED},    {NOW + 60, NOW, ERR_NONE},
        {NOW, NOW, ERR_NONE},       {NOW - 86400, NOW - 86400, ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct id_token token = {.authenticated_at = 0};
        struct fault fault;
        json_t *claims = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "iss", "i", "aud", "a", "sub", "s",
                                   "iat", (json_int_t)NOW, "exp", (json_int_t)NOW + 100,
                                   "auth_time", (json_int_t)cases[i].told);
        assert_non_null(claims);
        assert_fails(id_token_judge(claims, JWS_RS256, &rules, NOW, &token, &fault), cases[i].code);
        assert_int_equal(token.authenticated_at, cases[i].taken);
        json_decref(claims);
    }
}

/* ---- our own keys ------------------------------------------------------------------------- */

static err_t verify_ours(const struct signing_keys *keys, const char *token, int64_t now) {
    json_t *public = signing_keys_public(keys, now);
    char *text CLEANUP(freep) = json_dumps(public, 0);
    struct jwk_set *set CLEANUP(jwk_set_freep) = NULL;
    json_decref(public);
    assert_null(strstr(text, "\"d\""));
    assert_ok(jwk_set_parse(span_str(text), &set));
    return verify(token, set, JWS_BIT(SIGNING_ALGORITHM));
}

static char *sign_ours(const struct signing_keys *keys) {
    struct signing_key *key = signing_keys_current(keys);
    struct buf token CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS);
    json_t *claims = json_pack("{s:s}", "sub", "42");
    char *text;
    assert_ok(signing_key_sign(key, claims, &token));
    assert_ok(buf_to_str(&token, &text));
    json_decref(claims);
    signing_key_release(key);
    return text;
}

static void rotate(struct signing_keys *keys, int64_t now) {
    struct signing_key *key = NULL;
    assert_ok(signing_key_make(now, &key));
    signing_keys_rotate(keys, key, now);
}

static void test_rotation(void **state) {
    (void)state;
    struct signing_keys *keys CLEANUP(signing_keys_freep) = NULL;
    assert_ok(signing_keys_new(&keys));
    assert_true(signing_keys_due(keys, NOW));
    assert_null(signing_keys_current(keys));
    rotate(keys, NOW);
    assert_false(signing_keys_due(keys, NOW + SIGNING_KEY_SIGNS_S - 1));
    assert_true(signing_keys_due(keys, NOW + SIGNING_KEY_SIGNS_S));
    char *first CLEANUP(freep) = sign_ours(keys);
    rotate(keys, NOW + 100);
    char *second CLEANUP(freep) = sign_ours(keys);
    assert_ok(verify_ours(keys, first, NOW + 100 + SIGNING_KEY_KEPT_S - 1));
    assert_fails(verify_ours(keys, first, NOW + 100 + SIGNING_KEY_KEPT_S), ERR_NOT_FOUND);
    assert_ok(verify_ours(keys, second, NOW + 100 + SIGNING_KEY_KEPT_S));

    /* What is kept is read again, and is the same. */
    struct buf document CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct signing_keys *again CLEANUP(signing_keys_freep) = NULL;
    char *text CLEANUP(freep) = NULL;
    assert_ok(signing_keys_print(keys, &document));
    assert_ok(buf_to_str(&document, &text));
    assert_ok(signing_keys_parse(text, &again));
    assert_ok(verify_ours(again, first, NOW + 200));
    char *third CLEANUP(freep) = sign_ours(again);
    assert_ok(verify_ours(keys, third, NOW + 200));
    static const char *const broken[] = {"", "{}", "[1]", "[{\"private\":\"x\"}]"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct signing_keys *none = NULL;
        assert_fails(signing_keys_parse(broken[i], &none), ERR_MALFORMED);
    }
}

static void print_keys(const struct signing_keys *keys, char **out) {
    struct buf document CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    assert_ok(signing_keys_print(keys, &document));
    assert_ok(buf_to_str(&document, out));
}

/* Rotated more often than keys are kept: the oldest goes before its time, and the document with all
 * of them is read again; one with one more is none. */
static void test_signing_keys_are_bounded(void **state) {
    (void)state;
    struct signing_keys *keys CLEANUP(signing_keys_freep) = NULL;
    struct signing_keys *again CLEANUP(signing_keys_freep) = NULL;
    assert_ok(signing_keys_new(&keys));
    rotate(keys, NOW);
    char *first CLEANUP(freep) = sign_ours(keys);
    for (int i = 1; i < LIMIT_SIGNING_KEYS_COUNT; i++) {
        rotate(keys, NOW + i);
    }
    char *full CLEANUP(freep) = NULL;
    print_keys(keys, &full);
    assert_ok(verify_ours(keys, first, NOW + LIMIT_SIGNING_KEYS_COUNT));
    assert_ok(signing_keys_parse(full, &again));
    assert_ok(verify_ours(again, first, NOW + LIMIT_SIGNING_KEYS_COUNT));
    rotate(keys, NOW + LIMIT_SIGNING_KEYS_COUNT);
    assert_fails(verify_ours(keys, first, NOW + LIMIT_SIGNING_KEYS_COUNT), ERR_NOT_FOUND);

    json_t *list = json_loads(full, 0, NULL);
    assert_int_equal(json_array_size(list), LIMIT_SIGNING_KEYS_COUNT);
    assert_int_equal(json_array_append(list, json_array_get(list, 0)), 0);
    char *longer CLEANUP(freep) = json_dumps(list, 0);
    struct signing_keys *none = NULL;
    assert_fails(signing_keys_parse(longer, &none), ERR_MALFORMED);
    json_decref(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_brings_key),
        cmocka_unit_test(test_none_and_shared),
        cmocka_unit_test(test_every_algorithm),
        cmocka_unit_test(test_which_key),
        cmocka_unit_test(test_key_ids),
        cmocka_unit_test(test_key_sets),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_subject_is_bounded),
        cmocka_unit_test(test_when_signed_in),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_signing_keys_are_bounded),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
