#include "identity/jwk.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/text.h"
#include "identity/public_key.h"

enum {
    COORDINATE_BYTES_MAX = 66,
};

enum key_type { TYPE_NONE, TYPE_RSA, TYPE_EC, TYPE_OKP };

struct curve {
    const char *name;  /* RFC 7518 section 6.2.1.1 */
    const char *group; /* OpenSSL's */
    size_t coordinate_bytes;
};
static const struct curve curves[] = {
    {"P-256", "P-256", 32}, {"P-384", "P-384", 48}, {"P-521", "P-521", 66}};

struct algorithm {
    const char *name;
    enum key_type type;
    const char *digest;
    const struct curve *curve;
    bool pss;
};
static const struct algorithm algorithms[JWS_ALGORITHMS_END] = {
    [JWS_RS256] = {"RS256", TYPE_RSA, "SHA256", NULL, false},
    [JWS_RS384] = {"RS384", TYPE_RSA, "SHA384", NULL, false},
    [JWS_RS512] = {"RS512", TYPE_RSA, "SHA512", NULL, false},
    [JWS_PS256] = {"PS256", TYPE_RSA, "SHA256", NULL, true},
    [JWS_PS384] = {"PS384", TYPE_RSA, "SHA384", NULL, true},
    [JWS_PS512] = {"PS512", TYPE_RSA, "SHA512", NULL, true},
    [JWS_ES256] = {"ES256", TYPE_EC, "SHA256", &curves[0], false},
    [JWS_ES384] = {"ES384", TYPE_EC, "SHA384", &curves[1], false},
    [JWS_ES512] = {"ES512", TYPE_EC, "SHA512", &curves[2], false},
    [JWS_EDDSA] = {"EdDSA", TYPE_OKP, NULL, NULL, false},
};

struct jwk {
    char id[JWK_ID_CHARS]; /* "" without */
    uint32_t algorithms;   /* that its type, curve and "alg" leave */
    const struct curve *curve;
    EVP_PKEY *key;
};

struct jwk_set {
    size_t count;
    struct jwk keys[LIMIT_JWK_SET_KEYS_COUNT];
};

err_t jws_algorithm_parse(const char *name, enum jws_algorithm *out) {
    for (unsigned i = JWS_RS256; i < JWS_ALGORITHMS_END; i++) {
        if (strcmp(algorithms[i].name, name) == 0) {
            *out = (enum jws_algorithm)i;
            return OK;
        }
    }
    return FAIL(ERR_UNSUPPORTED);
}

const char *jws_algorithm_name(enum jws_algorithm algorithm) { return algorithms[algorithm].name; }

/* ---- reading keys -------------------------------------------------------------------------- */

static void free_json(json_t **json) { json_decref(*json); }

/* A member that is base64url. */
static err_t read_bytes(const json_t *key, const char *name, struct buf *out) {
    const char *text = json_string_value(json_object_get(key, name));
    return text == NULL ? FAIL(ERR_MALFORMED) : base64_decode(span_str(text), BASE64_URL, out);
}

static err_t read_rsa(const json_t *json, struct jwk *out) {
    struct buf n CLEANUP(buf_done) = BUF(PUBLIC_KEY_RSA_BITS_MAX / 8);
    struct buf e CLEANUP(buf_done) = BUF(8);
    TRY(read_bytes(json, "n", &n));
    TRY(read_bytes(json, "e", &e));
    TRY(public_key_rsa(buf_span(&n), buf_span(&e), &out->key));
    for (unsigned i = JWS_RS256; i <= JWS_PS512; i++) {
        out->algorithms |= JWS_BIT(i);
    }
    return OK;
}

static err_t read_ec(const json_t *json, struct jwk *out) {
    const char *name = json_string_value(json_object_get(json, "crv"));
    for (size_t i = 0; i < COUNT_OF(curves) && name != NULL; i++) {
        out->curve = strcmp(curves[i].name, name) == 0 ? &curves[i] : out->curve;
    }
    if (out->curve == NULL) {
        return FAIL(ERR_UNSUPPORTED);
    }
    struct buf x CLEANUP(buf_done) = BUF(COORDINATE_BYTES_MAX);
    struct buf y CLEANUP(buf_done) = BUF(COORDINATE_BYTES_MAX);
    TRY(read_bytes(json, "x", &x));
    TRY(read_bytes(json, "y", &y));
    if (x.len != out->curve->coordinate_bytes || y.len != x.len) {
        return FAIL(ERR_KEY_INVALID);
    }
    TRY(public_key_ec(out->curve->group, buf_span(&x), buf_span(&y), &out->key));
    for (unsigned i = JWS_ES256; i <= JWS_ES512; i++) {
        out->algorithms |= algorithms[i].curve == out->curve ? JWS_BIT(i) : 0;
    }
    return OK;
}

static err_t read_okp(const json_t *json, struct jwk *out) {
    const char *name = json_string_value(json_object_get(json, "crv"));
    if (name == NULL || strcmp(name, "Ed25519") != 0) {
        return FAIL(ERR_UNSUPPORTED);
    }
    struct buf x CLEANUP(buf_done) = BUF(PUBLIC_KEY_ED25519_BYTES);
    TRY(read_bytes(json, "x", &x));
    out->algorithms = JWS_BIT(JWS_EDDSA);
    return public_key_ed25519(buf_span(&x), &out->key);
}

/* "use" and "key_ops" (RFC 7517 sections 4.2 and 4.3), where they are there. */
static bool is_for_signatures(const json_t *json) {
    const json_t *use = json_object_get(json, "use");
    const json_t *operations = json_object_get(json, "key_ops");
    const char *text = json_string_value(use);
    bool verifies = operations == NULL;
    size_t i;
    const json_t *operation;
    json_array_foreach(operations, i, operation) {
        const char *name = json_string_value(operation);
        verifies |= name != NULL && strcmp(name, "verify") == 0;
    }
    return verifies && (use == NULL || (text != NULL && strcmp(text, "sig") == 0));
}

static err_t read_key(const json_t *json, struct jwk *out) {
    struct jwk key = {.algorithms = 0};
    const char *type = json_string_value(json_object_get(json, "kty"));
    const json_t *id = json_object_get(json, "kid"), *algorithm = json_object_get(json, "alg");
    if (type == NULL || !is_for_signatures(json)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (id != NULL) {
        size_t chars = json_string_length(id);
        if (!json_is_string(id) || chars == 0 || chars >= sizeof key.id) {
            return FAIL(ERR_UNSUPPORTED);
        }
        memcpy(key.id, json_string_value(id), chars + 1);
    }
    enum jws_algorithm only = JWS_ALGORITHMS_END;
    if (algorithm != NULL) {
        const char *name = json_string_value(algorithm);
        TRY(jws_algorithm_parse(name != NULL ? name : "", &only));
    }
    TRY(strcmp(type, "RSA") == 0   ? read_rsa(json, &key)
        : strcmp(type, "EC") == 0  ? read_ec(json, &key)
        : strcmp(type, "OKP") == 0 ? read_okp(json, &key)
                                   : FAIL(ERR_UNSUPPORTED));
    key.algorithms &= only != JWS_ALGORITHMS_END ? JWS_BIT(only) : JWS_ALL;
    *out = key;
    return OK;
}

/* A provider that publishes a private or a shared key has lost it: whatever it signs is anybody's.
 */
static bool is_secret(const json_t *json) {
    return json_object_get(json, "d") != NULL || json_object_get(json, "k") != NULL;
}

err_t jwk_set_parse(span_t text, struct jwk_set **out) {
    if (text.len > LIMIT_JWK_SET_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    json_t *json CLEANUP(free_json) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keys = json_object_get(json, "keys"), *key;
    if (!json_is_array(keys)) {
        return FAIL(ERR_MALFORMED);
    }
    if (json_array_size(keys) > LIMIT_JWK_SET_KEYS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    struct jwk_set *set CLEANUP(jwk_set_freep) = calloc(1, sizeof *set);
    if (set == NULL) {
        return FAIL(ERR_MEMORY);
    }
    size_t i;
    json_array_foreach(keys, i, key) {
        if (!json_is_object(key) || is_secret(key)) {
            return FAIL(ERR_MALFORMED);
        }
        err_t err = read_key(key, &set->keys[set->count]);
        if (err.code == ERR_MEMORY) {
            return err;
        }
        set->count += !failed(err);
    }
    *out = TAKE(set);
    return OK;
}

void jwk_set_free(struct jwk_set *set) {
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        EVP_PKEY_free(set->keys[i].key);
    }
    free(set);
}

void jwk_set_freep(struct jwk_set **set) { jwk_set_free(*set); }
size_t jwk_set_count(const struct jwk_set *set) { return set->count; }

/* ---- verifying ----------------------------------------------------------------------------- */

static void free_digest(EVP_MD_CTX **context) { EVP_MD_CTX_free(*context); }
static void free_ecdsa(ECDSA_SIG **signature) { ECDSA_SIG_free(*signature); }

/* RFC 7518 section 3.4: R and S side by side, each of the curve's length, to what OpenSSL reads. */
static err_t der_of(span_t signature, size_t coordinate_bytes, struct buf *out) {
    if (signature.len != 2 * coordinate_bytes) {
        return FAIL(ERR_SIGNATURE);
    }
    ECDSA_SIG *numbers CLEANUP(free_ecdsa) = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, (int)coordinate_bytes, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + coordinate_bytes, (int)coordinate_bytes, NULL);
    if (numbers == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(numbers, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return FAIL(ERR_MEMORY);
    }
    uint8_t *der = NULL;
    int len = i2d_ECDSA_SIG(numbers, &der);
    err_t err = len <= 0 ? FAIL(ERR_CRYPTO) : buf_add(out, span_of(der, (size_t)len));
    OPENSSL_free(der);
    return err;
}

static err_t verify(const struct jwk *key, const struct algorithm *algorithm, span_t input,
                    span_t signature) {
    struct buf der CLEANUP(buf_done) = BUF(16 + 2 * (COORDINATE_BYTES_MAX + 4));
    if (algorithm->type == TYPE_EC) {
        TRY(der_of(signature, algorithm->curve->coordinate_bytes, &der));
        signature = buf_span(&der);
    }
    EVP_MD_CTX *context CLEANUP(free_digest) = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    if (context == NULL || EVP_DigestVerifyInit_ex(context, &parameters, algorithm->digest, NULL,
                                                   NULL, key->key, NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    if (algorithm->pss &&
        (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1)) {
        return FAIL(ERR_CRYPTO);
    }
    return EVP_DigestVerify(context, signature.data, signature.len, input.data, input.len) == 1
               ? OK
               : FAIL(ERR_SIGNATURE);
}

err_t jwk_set_verify(const struct jwk_set *set, const char *id, enum jws_algorithm algorithm,
                     span_t input, span_t signature) {
    const struct jwk *found = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct jwk *key = &set->keys[i];
        if ((key->algorithms & JWS_BIT(algorithm)) == 0 ||
            (id[0] != '\0' && strcmp(key->id, id) != 0)) {
            continue;
        }
        if (found != NULL) {
            return FAIL(ERR_NOT_FOUND);
        }
        found = key;
    }
    return found == NULL ? FAIL(ERR_NOT_FOUND)
                         : verify(found, &algorithms[algorithm], input, signature);
}
