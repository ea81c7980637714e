#include "identity/attestation.h"

#include <openssl/x509v3.h>

#include "identity/cbor.h"
#include "identity/public_key.h"

/* ---- the object (section 6.5.4) ------------------------------------------------------------ */

static bool is_key(span_t key, const char *name) {
    span_t text;
    return !failed(cbor_take_text(&key, &text)) && span_equal_str(text, name);
}

static err_t take_name(span_t *rest, span_t *last, const char *name) {
    TRY(cbor_take_key(rest, last));
    return is_key(*last, name) ? OK : FAIL(ERR_MALFORMED);
}

err_t attestation_read(span_t bytes, struct attestation *out) {
    size_t pairs;
    struct attestation read;
    span_t last = {NULL, 0}, rest = bytes;
    if (bytes.len > LIMIT_WEBAUTHN_ANSWER_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(cbor_take_map(&rest, &pairs));
    if (pairs != 3) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(take_name(&rest, &last, "fmt"));
    TRY(cbor_take_text(&rest, &read.format));
    TRY(take_name(&rest, &last, "attStmt"));
    read.statement = rest;
    TRY(cbor_skip(&rest));
    read.statement.len -= rest.len;
    TRY(take_name(&rest, &last, "authData"));
    TRY(cbor_take_bytes(&rest, &read.authenticator_data));
    if (rest.len != 0) {
        return FAIL(ERR_TRAILING);
    }
    *out = read;
    return OK;
}

/* ---- a maker's certificate (section 8.2.1) ------------------------------------------------- */

static void free_certificate(X509 **certificate) { X509_free(*certificate); }

static err_t parse_certificate(span_t der, X509 **out) {
    const uint8_t *at = der.data;
    X509 *certificate CLEANUP(free_certificate) = d2i_X509(NULL, &at, (long)der.len);
    if (certificate == NULL || at != der.data + der.len) {
        return FAIL(ERR_MALFORMED);
    }
    *out = TAKE(certificate);
    return OK;
}

/* One of the subject's attributes: there once, and just this text, or with NULL any. */
static bool has_attribute(const X509 *certificate, int nid, const char *text) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, nid, at) >= 0) {
        return false;
    }
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    span_t found = span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return text != NULL ? span_equal_str(found, text) : found.len > 0;
}

static err_t check_subject(const X509 *certificate) {
    bool named =
        has_attribute(certificate, NID_countryName, NULL) &&
        has_attribute(certificate, NID_organizationName, NULL) &&
        has_attribute(certificate, NID_organizationalUnitName, "Authenticator Attestation") &&
        has_attribute(certificate, NID_commonName, NULL);
    return named ? OK : FAIL(ERR_REFUSED);
}

/* X509_cmp_time(): −1 for a time that was or is, 1 for one that comes, 0 for none. */
static err_t check_period(const X509 *certificate, int64_t now) {
    time_t at = (time_t)now;
    bool valid = X509_cmp_time(X509_get0_notBefore(certificate), &at) == -1 &&
                 X509_cmp_time(X509_get0_notAfter(certificate), &at) == 1;
    return valid ? OK : FAIL(ERR_EXPIRED);
}

static void free_object(ASN1_OBJECT **object) { ASN1_OBJECT_free(*object); }

/* id-fido-gen-ce-aaguid, where it is there: of the same model, and not critical. */
static err_t check_model(const X509 *certificate, const uint8_t aaguid[WEBAUTHN_AAGUID_BYTES]) {
    enum { HEAD_BYTES = 2 }; /* of an OCTET STRING inside the extension's own */
    static const uint8_t head[HEAD_BYTES] = {V_ASN1_OCTET_STRING, WEBAUTHN_AAGUID_BYTES};
    ASN1_OBJECT *id CLEANUP(free_object) = OBJ_txt2obj("1.3.6.1.4.1.45724.1.1.4", 1);
    if (id == NULL) {
        return FAIL(ERR_MEMORY);
    }
    int at = X509_get_ext_by_OBJ(certificate, id, -1);
    if (at < 0) {
        return OK;
    }
    X509_EXTENSION *extension = X509_get_ext(certificate, at);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    const uint8_t *bytes = ASN1_STRING_get0_data(value);
    bool same = X509_get_ext_by_OBJ(certificate, id, at) < 0 &&
                X509_EXTENSION_get_critical(extension) == 0 &&
                ASN1_STRING_length(value) == HEAD_BYTES + WEBAUTHN_AAGUID_BYTES &&
                memcmp(bytes, head, HEAD_BYTES) == 0 &&
                memcmp(bytes + HEAD_BYTES, aaguid, WEBAUTHN_AAGUID_BYTES) == 0;
    return same ? OK : FAIL(ERR_REFUSED);
}

static err_t check_certificate(X509 *certificate, const struct attested *attested) {
    if (X509_get_version(certificate) != X509_VERSION_3 ||
        (X509_get_extension_flags(certificate) & (EXFLAG_INVALID | EXFLAG_CA)) != 0) {
        return FAIL(ERR_REFUSED);
    }
    TRY(check_subject(certificate));
    TRY(check_period(certificate, attested->now));
    return check_model(certificate, attested->credential->aaguid);
}

/* ---- "packed" (section 8.2) ---------------------------------------------------------------- */

struct packed {
    int64_t algorithm;
    span_t signature;
    span_t certificate; /* the first; empty: signed by the credential itself */
};

static err_t read_packed(span_t rest, struct packed *out) {
    size_t pairs, count;
    span_t last = {NULL, 0};
    *out = (struct packed){.algorithm = 0};
    TRY(cbor_take_map(&rest, &pairs));
    TRY(take_name(&rest, &last, "alg"));
    TRY(cbor_take_int(&rest, &out->algorithm));
    TRY(take_name(&rest, &last, "sig"));
    TRY(cbor_take_bytes(&rest, &out->signature));
    if (pairs == 2) {
        return OK;
    }
    if (pairs != 3) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(take_name(&rest, &last, "x5c"));
    TRY(cbor_take_array(&rest, &count));
    if (count == 0) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(cbor_take_bytes(&rest, &out->certificate));
    return out->certificate.len > 0 ? OK : FAIL(ERR_MALFORMED);
}

/* By one of our algorithms, with a key that fits it. */
static err_t verify_by(EVP_PKEY *key, int64_t algorithm, span_t input, span_t signature) {
    static const struct {
        enum webauthn_algorithm algorithm;
        int key_type;
        const char *digest;
    } known[] = {
        {WEBAUTHN_ES256, EVP_PKEY_EC, "SHA256"},
        {WEBAUTHN_EDDSA, EVP_PKEY_ED25519, NULL},
        {WEBAUTHN_RS256, EVP_PKEY_RSA, "SHA256"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (algorithm == known[i].algorithm && EVP_PKEY_get_base_id(key) == known[i].key_type) {
            return public_key_verify(key, known[i].digest, input, signature);
        }
    }
    return FAIL(ERR_UNSUPPORTED);
}

static err_t verify_packed(const struct attestation *attestation, const struct attested *attested) {
    struct packed packed;
    X509 *certificate CLEANUP(free_certificate) = NULL;
    TRY(read_packed(attestation->statement, &packed));
    if (packed.certificate.len == 0) {
        return packed.algorithm == attested->credential->algorithm
                   ? verify_by(attested->key, packed.algorithm, attested->signed_data,
                               packed.signature)
                   : FAIL(ERR_MALFORMED);
    }
    TRY(parse_certificate(packed.certificate, &certificate));
    EVP_PKEY *signer = X509_get0_pubkey(certificate);
    if (signer == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(verify_by(signer, packed.algorithm, attested->signed_data, packed.signature));
    return check_certificate(certificate, attested);
}

err_t attestation_verify(const struct attestation *attestation, const struct attested *attested) {
    size_t pairs;
    span_t statement = attestation->statement;
    if (span_equal_str(attestation->format, "packed")) {
        return verify_packed(attestation, attested);
    }
    if (!span_equal_str(attestation->format, "none")) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(cbor_take_map(&statement, &pairs)); /* section 8.7: "an empty CBOR map" */
    return pairs == 0 ? OK : FAIL(ERR_MALFORMED);
}
