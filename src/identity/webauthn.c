#include "identity/webauthn.h"

#include <jansson.h>
#include <openssl/sha.h>

#include "base/inet.h"
#include "base/text.h"
#include "identity/attestation.h"
#include "identity/cbor.h"
#include "identity/public_key.h"

/* Authenticator data, section 6.1. */
enum {
    FLAG_USER_PRESENT = 1 << 0,
    FLAG_USER_VERIFIED = 1 << 2,
    FLAG_BACKUP_ELIGIBLE = 1 << 3,
    FLAG_BACKUP_STATE = 1 << 4,
    FLAG_ATTESTED = 1 << 6,
    FLAG_EXTENSIONS = 1 << 7,
    RP_HASH_BYTES = 32,
    HEAD_BYTES = RP_HASH_BYTES + 1 + 4,
};

/* COSE_Key labels and values: RFC 9052 section 7.1, RFC 9053 section 7, RFC 8230 section 4. */
enum {
    COSE_KEY_TYPE = 1,
    COSE_ALGORITHM = 3,
    COSE_CURVE = -1,
    COSE_X = -2,
    COSE_Y = -3,
    COSE_RSA_N = -1,
    COSE_RSA_E = -2,
    COSE_TYPE_OKP = 1,
    COSE_TYPE_EC2 = 2,
    COSE_TYPE_RSA = 3,
    COSE_P256 = 1,
    COSE_ED25519 = 6,
    P256_BYTES = 32,
};

static err_t refuse(struct fault *fault, const char *field, const char *reason) {
    return fault_set(fault, ERR_REFUSED, field, "%s", reason);
}

static err_t malformed(struct fault *fault, err_t err, const char *field) {
    return fault_set(fault, err.code, field, "%s of the authenticator's answer: %s", field,
                     err_text(err));
}

static span_t after(span_t bytes, size_t count) {
    return span_of(bytes.data + count, bytes.len - count);
}

/* ---- client data (section 5.8.1) ----------------------------------------------------------- */

static void free_json(json_t **json) { json_decref(*json); }

static bool is_text(const json_t *object, const char *name, const char *expected) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) && json_string_length(value) == strlen(expected) &&
           strcmp(json_string_value(value), expected) == 0;
}

static err_t read_challenge(const json_t *object, struct buf *out) {
    const json_t *value = json_object_get(object, "challenge");
    return json_is_string(value)
               ? base64_decode(span_of(json_string_value(value), json_string_length(value)),
                               BASE64_URL, out)
               : FAIL(ERR_MALFORMED);
}

static bool is_challenge(const json_t *object, span_t expected) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CHALLENGE_BYTES);
    return expected.len > 0 && !failed(read_challenge(object, &bytes)) &&
           span_equal_secret(buf_span(&bytes), expected);
}

static err_t parse_client_data(span_t text, json_t **out, struct fault *fault) {
    if (text.len > LIMIT_WEBAUTHN_CLIENT_DATA_BYTES) {
        return malformed(fault, FAIL(ERR_TOO_LONG), "clientDataJSON");
    }
    *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(*out) ? OK : malformed(fault, FAIL(ERR_MALFORMED), "clientDataJSON");
}

err_t webauthn_client_challenge(span_t client_data, struct buf *out, struct fault *fault) {
    json_t *data CLEANUP(free_json) = NULL;
    TRY(parse_client_data(client_data, &data, fault));
    err_t err = read_challenge(data, out);
    return failed(err) ? malformed(fault, err, "challenge") : OK;
}

static err_t check_client_data(const struct webauthn_expected *expected, span_t text,
                               const char *type, struct fault *fault) {
    json_t *data CLEANUP(free_json) = NULL;
    TRY(parse_client_data(text, &data, fault));
    const json_t *cross = json_object_get(data, "crossOrigin");
    if (cross != NULL && !json_is_boolean(cross)) {
        return malformed(fault, FAIL(ERR_MALFORMED), "clientDataJSON");
    }
    if (!is_text(data, "type", type)) {
        return refuse(fault, "type", "the answer is to another kind of question");
    }
    if (!is_challenge(data, expected->challenge)) {
        return refuse(fault, "challenge", "the answer is to another challenge");
    }
    if (!is_text(data, "origin", expected->origin)) {
        return refuse(fault, "origin", "the answer was given to another site");
    }
    if (json_is_true(cross) || json_object_get(data, "topOrigin") != NULL) {
        return refuse(fault, "crossOrigin", "the answer was given inside another site's page");
    }
    return OK;
}

/* ---- authenticator data (section 6.1) ------------------------------------------------------ */

struct authenticator_data {
    unsigned flags;
    uint32_t counter;
    span_t rest;
};

static err_t read_head(const struct webauthn_expected *expected, span_t data,
                       struct authenticator_data *out, struct fault *fault) {
    uint8_t hash[RP_HASH_BYTES];
    if (data.len < HEAD_BYTES) {
        return malformed(fault, FAIL(ERR_TRUNCATED), "authenticatorData");
    }
    if (data.len > LIMIT_WEBAUTHN_ANSWER_BYTES) {
        return malformed(fault, FAIL(ERR_TOO_LONG), "authenticatorData");
    }
    (void)SHA256((const uint8_t *)expected->rp_id, strlen(expected->rp_id), hash);
    if (memcmp(hash, data.data, sizeof hash) != 0) {
        return refuse(fault, "rpIdHash", "the answer was given for another site");
    }
    unsigned flags = data.data[RP_HASH_BYTES];
    if ((flags & FLAG_USER_PRESENT) == 0) {
        return refuse(fault, "flags", "nobody touched the authenticator");
    }
    if (expected->user_verified && (flags & FLAG_USER_VERIFIED) == 0) {
        return refuse(fault, "flags",
                      "the authenticator did not verify its user by a PIN or a finger");
    }
    /* "If the BE bit is not set, verify that the BS bit is not set." */
    if ((flags & FLAG_BACKUP_STATE) != 0 && (flags & FLAG_BACKUP_ELIGIBLE) == 0) {
        return refuse(fault, "flags", "the authenticator contradicts itself");
    }
    const uint8_t *count = data.data + RP_HASH_BYTES + 1;
    *out = (struct authenticator_data){
        .flags = flags,
        .counter = (uint32_t)count[0] << 24 | (uint32_t)count[1] << 16 | (uint32_t)count[2] << 8 |
                   count[3],
        .rest = after(data, HEAD_BYTES),
    };
    return OK;
}

/* Extensions were not asked for; what is there must be a map, and be all. */
static err_t check_end(const struct authenticator_data *data, span_t rest) {
    size_t pairs;
    if ((data->flags & FLAG_EXTENSIONS) != 0) {
        span_t map = rest;
        TRY(cbor_take_map(&map, &pairs));
        TRY(cbor_skip(&rest));
    }
    return rest.len == 0 ? OK : FAIL(ERR_TRAILING);
}

/* ---- the public key ------------------------------------------------------------------------ */

/* A key of the map and its value, a number. */
static err_t take_label(span_t *rest, span_t *last, int64_t expected) {
    span_t key;
    int64_t label;
    TRY(cbor_take_key(rest, last));
    key = *last;
    TRY(cbor_take_int(&key, &label));
    return label == expected ? OK : FAIL(ERR_MALFORMED);
}

static err_t take_number(span_t *rest, span_t *last, int64_t label, int64_t *out) {
    TRY(take_label(rest, last, label));
    return cbor_take_int(rest, out);
}

static err_t take_coordinate(span_t *rest, span_t *last, int64_t label, span_t *out) {
    TRY(take_label(rest, last, label));
    return cbor_take_bytes(rest, out);
}

static err_t take_ec(span_t *rest, span_t *last, EVP_PKEY **out) {
    int64_t curve;
    span_t x, y;
    TRY(take_number(rest, last, COSE_CURVE, &curve));
    TRY(take_coordinate(rest, last, COSE_X, &x));
    TRY(take_coordinate(rest, last, COSE_Y, &y));
    if (curve != COSE_P256) {
        return FAIL(ERR_UNSUPPORTED);
    }
    return x.len == P256_BYTES ? public_key_ec("P-256", x, y, out) : FAIL(ERR_KEY_INVALID);
}

static err_t take_ed25519(span_t *rest, span_t *last, EVP_PKEY **out) {
    int64_t curve;
    span_t x;
    TRY(take_number(rest, last, COSE_CURVE, &curve));
    TRY(take_coordinate(rest, last, COSE_X, &x));
    return curve == COSE_ED25519 ? public_key_ed25519(x, out) : FAIL(ERR_UNSUPPORTED);
}

static err_t take_rsa(span_t *rest, span_t *last, EVP_PKEY **out) {
    span_t modulus, exponent;
    TRY(take_coordinate(rest, last, COSE_RSA_N, &modulus));
    TRY(take_coordinate(rest, last, COSE_RSA_E, &exponent));
    return modulus.len <= WEBAUTHN_RSA_BITS_MAX / 8 ? public_key_rsa(modulus, exponent, out)
                                                    : FAIL(ERR_KEY_SIZE);
}

static const struct cose_algorithm {
    enum webauthn_algorithm algorithm;
    int64_t key_type;
    size_t pairs;
    const char *digest;
    err_t (*take)(span_t *rest, span_t *last, EVP_PKEY **out);
} cose_algorithms[] = {
    {WEBAUTHN_ES256, COSE_TYPE_EC2, 5, "SHA256", take_ec},
    {WEBAUTHN_EDDSA, COSE_TYPE_OKP, 4, NULL, take_ed25519},
    {WEBAUTHN_RS256, COSE_TYPE_RSA, 4, "SHA256", take_rsa},
};

/* Takes a COSE_Key; its algorithm must be one of ours and fit the key. */
static err_t take_key(span_t *rest, const struct cose_algorithm **algorithm, EVP_PKEY **out) {
    size_t pairs;
    int64_t type, number;
    span_t last = {NULL, 0};
    TRY(cbor_take_map(rest, &pairs));
    TRY(take_number(rest, &last, COSE_KEY_TYPE, &type));
    TRY(take_number(rest, &last, COSE_ALGORITHM, &number));
    for (size_t i = 0; i < COUNT_OF(cose_algorithms); i++) {
        const struct cose_algorithm *at = &cose_algorithms[i];
        if (number == at->algorithm && type == at->key_type && pairs == at->pairs) {
            *algorithm = at;
            return at->take(rest, &last, out);
        }
    }
    return FAIL(ERR_UNSUPPORTED);
}

/* What is signed: the authenticator's data, and the hash of the client's. */
static err_t signed_data(span_t authenticator_data, span_t client_data, struct buf *out) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    (void)SHA256(client_data.data, client_data.len, hash);
    TRY(buf_add(out, authenticator_data));
    return buf_add(out, span_of(hash, sizeof hash));
}

/* ---- registration (section 7.1) ------------------------------------------------------------ */

/* Section 6.5.1. */
static err_t read_credential(const struct authenticator_data *data,
                             const struct cose_algorithm **algorithm, EVP_PKEY **key,
                             struct webauthn_credential *out) {
    span_t rest = data->rest;
    if ((data->flags & FLAG_ATTESTED) == 0) {
        return FAIL(ERR_MALFORMED);
    }
    if (rest.len < WEBAUTHN_AAGUID_BYTES + 2) {
        return FAIL(ERR_TRUNCATED);
    }
    memcpy(out->aaguid, rest.data, WEBAUTHN_AAGUID_BYTES);
    rest = after(rest, WEBAUTHN_AAGUID_BYTES);
    size_t id_bytes = (size_t)rest.data[0] << 8 | rest.data[1];
    rest = after(rest, 2);
    if (id_bytes > rest.len) {
        return FAIL(ERR_TRUNCATED);
    }
    if (id_bytes == 0 || id_bytes > LIMIT_PASSKEY_ID_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    out->id = span_of(rest.data, id_bytes);
    rest = after(rest, id_bytes);
    out->public_key = rest;
    TRY(take_key(&rest, algorithm, key));
    out->public_key.len -= rest.len;
    if (out->public_key.len > LIMIT_PASSKEY_KEY_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    out->algorithm = (*algorithm)->algorithm;
    return check_end(data, rest);
}

static err_t check_attestation(const struct attestation *attestation, span_t client_data,
                               const struct attested *of) {
    struct attested attested = *of;
    struct buf input CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_ANSWER_BYTES + SHA256_DIGEST_LENGTH);
    TRY(signed_data(attestation->authenticator_data, client_data, &input));
    attested.signed_data = buf_span(&input);
    return attestation_verify(attestation, &attested);
}

err_t webauthn_register(const struct webauthn_expected *expected,
                        const struct webauthn_registration *from, struct webauthn_credential *out,
                        struct fault *fault) {
    struct attestation attestation;
    struct authenticator_data data;
    struct webauthn_credential credential = {.counter = 0};
    const struct cose_algorithm *algorithm;
    EVP_PKEY *key CLEANUP(public_key_freep) = NULL;
    TRY(check_client_data(expected, from->client_data, "webauthn.create", fault));
    err_t err = attestation_read(from->attestation, &attestation);
    if (failed(err)) {
        return malformed(fault, err, "attestationObject");
    }
    TRY(read_head(expected, attestation.authenticator_data, &data, fault));
    err = read_credential(&data, &algorithm, &key, &credential);
    if (failed(err)) {
        return malformed(fault, err, "authenticatorData");
    }
    err = check_attestation(
        &attestation, from->client_data,
        &(struct attested){.credential = &credential, .key = key, .now = expected->now});
    if (failed(err)) {
        return malformed(fault, err, "attestation");
    }
    credential.counter = data.counter;
    credential.user_verified = (data.flags & FLAG_USER_VERIFIED) != 0;
    credential.may_be_copied = (data.flags & FLAG_BACKUP_ELIGIBLE) != 0;
    *out = credential;
    return OK;
}

/* ---- signing in (section 7.2) -------------------------------------------------------------- */

static err_t verify(const struct webauthn_assertion *from, span_t public_key) {
    const struct cose_algorithm *algorithm;
    EVP_PKEY *key CLEANUP(public_key_freep) = NULL;
    struct buf input CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_ANSWER_BYTES + SHA256_DIGEST_LENGTH);
    TRY(take_key(&public_key, &algorithm, &key));
    TRY(signed_data(from->authenticator_data, from->client_data, &input));
    return public_key_verify(key, algorithm->digest, buf_span(&input), from->signature);
}

err_t webauthn_verify(const struct webauthn_expected *expected, span_t public_key,
                      const struct webauthn_assertion *from, struct webauthn_proof *out,
                      struct fault *fault) {
    struct authenticator_data data;
    TRY(check_client_data(expected, from->client_data, "webauthn.get", fault));
    TRY(read_head(expected, from->authenticator_data, &data, fault));
    err_t err =
        (data.flags & FLAG_ATTESTED) != 0 ? FAIL(ERR_MALFORMED) : check_end(&data, data.rest);
    if (failed(err)) {
        return malformed(fault, err, "authenticatorData");
    }
    err = verify(from, public_key);
    if (failed(err)) {
        return fault_set(fault, err.code, "signature", "%s", err_text(err));
    }
    *out = (struct webauthn_proof){
        .counter = data.counter,
        .user_verified = (data.flags & FLAG_USER_VERIFIED) != 0,
    };
    return OK;
}

bool webauthn_counter_moved(uint32_t last, uint32_t now) {
    return now > last || (now == 0 && last == 0);
}

/* ---- this site ----------------------------------------------------------------------------- */

static err_t split(const char *url, bool *https, span_t *host, span_t *port) {
    span_t rest = span_str(url);
    *https = strncmp(url, "https://", 8) == 0;
    if (!*https && strncmp(url, "http://", 7) != 0) {
        return FAIL(ERR_UNSUPPORTED);
    }
    rest = after(rest, *https ? 8 : 7);
    rest = span_until(&rest, '/');
    if (rest.len > 0 && rest.data[0] == '[') {
        return FAIL(ERR_UNSUPPORTED);
    }
    *port = rest;
    *host = span_until(port, ':');
    return host->len > 0 && host->len < WEBAUTHN_RP_ID_CHARS ? OK : FAIL(ERR_UNSUPPORTED);
}

err_t webauthn_rp_id(const char *url, char out[WEBAUTHN_RP_ID_CHARS]) {
    bool https;
    span_t host, port;
    struct inet_address address;
    TRY(split(url, &https, &host, &port));
    if (!failed(inet_address_parse(host, &address)) ||
        (!https && !span_equal_str(host, "localhost"))) {
        return FAIL(ERR_UNSUPPORTED);
    }
    memcpy(out, host.data, host.len);
    out[host.len] = '\0';
    return OK;
}

err_t webauthn_origin(const char *url, char out[WEBAUTHN_ORIGIN_CHARS]) {
    bool https;
    span_t host, port;
    TRY(split(url, &https, &host, &port));
    bool bare = port.len == 0 || span_equal_str(port, https ? "443" : "80");
    if (port.len > 5) {
        return FAIL(ERR_UNSUPPORTED);
    }
    struct buf text CLEANUP(buf_done) = BUF(WEBAUTHN_ORIGIN_CHARS - 1);
    TRY(buf_add_str(&text, https ? "https://" : "http://"));
    TRY(buf_add(&text, host));
    if (!bare) {
        TRY(buf_add_byte(&text, ':'));
        TRY(buf_add(&text, port));
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return OK;
}
