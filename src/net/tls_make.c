/* The self-made CA of a fresh installation (RFC 5280 profiles). */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/inet.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"
#include "net/tls.h"

enum {
    NAMES_COUNT = 64, /* of a certificate that is renewed */
    PEM_BYTES = 64 * 1024,
    SERIAL_BYTES = 16,
    CA_DAYS = 3650,
    SERVER_DAYS = 365,
    DAY_S = 24 * 3600,
    SKEW_S = 3600,          /* how far a client's clock may be behind */
    COMMON_NAME_CHARS = 64, /* RFC 5280 appendix A.1: ub-common-name */
};

static void bio_freep(BIO **bio) { (void)BIO_free(*bio); }
static void x509_freep(X509 **x509) { X509_free(*x509); }
static void pkey_freep(EVP_PKEY **pkey) { EVP_PKEY_free(*pkey); }
static void general_names_freep(GENERAL_NAMES **names) { GENERAL_NAMES_free(*names); }
static void general_name_freep(GENERAL_NAME **name) { GENERAL_NAME_free(*name); }

/* OpenSSL's 1 for success. */
static err_t crypto_ok(int returned) { return returned == 1 ? OK : FAIL(ERR_CRYPTO); }

static err_t set_serial(X509 *x509) {
    uint8_t bytes[SERIAL_BYTES];
    random_bytes(bytes, sizeof bytes);
    /* RFC 5280 section 4.1.2.2: positive, at most 20 octets; the second bit keeps all 16. */
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
    BN_free(number);
    return done ? OK : FAIL(ERR_CRYPTO);
}

static err_t set_validity(X509 *x509, int64_t now, int days) {
    time_t base = (time_t)now;
    bool done = X509_time_adj_ex(X509_getm_notBefore(x509), 0, -SKEW_S, &base) != NULL &&
                X509_time_adj_ex(X509_getm_notAfter(x509), days, 0, &base) != NULL;
    return done ? OK : FAIL(ERR_CRYPTO);
}

static err_t set_common_name(X509 *x509, const char *common_name) {
    /* A longer name stands in subjectAltName, where alone it counts (RFC 9525 section 2). */
    int len = (int)strnlen(common_name, COMMON_NAME_CHARS);
    if (len == 0 || !text_is_utf8(span_str(common_name))) {
        return FAIL(ERR_MALFORMED);
    }
    return crypto_ok(X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName,
                                                MBSTRING_UTF8, (const unsigned char *)common_name,
                                                len, -1, 0));
}

static err_t add_extension(X509 *x509, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int added = extension == NULL ? 0 : X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    return crypto_ok(added);
}

static bool host_name_ok(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
                                  "*_";
    size_t len = strlen(name);
    return len > 0 && len <= LIMIT_HOST_NAME_CHARS && strspn(name, allowed) == len;
}

static err_t add_name(GENERAL_NAMES *names, const char *text) {
    struct inet_address address;
    bool is_address = !failed(inet_address_parse(span_str(text), &address));
    if (!is_address && !host_name_ok(text)) {
        return FAIL(ERR_MALFORMED);
    }
    ASN1_STRING *value = ASN1_STRING_type_new(is_address ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    GENERAL_NAME *name CLEANUP(general_name_freep) = GENERAL_NAME_new();
    const void *bytes = is_address ? (const void *)address.bytes : text;
    int len = is_address ? address.family_bits / 8 : (int)strlen(text);
    if (value == NULL || name == NULL || ASN1_STRING_set(value, bytes, len) != 1) {
        ASN1_STRING_free(value);
        return FAIL(ERR_MEMORY);
    }
    GENERAL_NAME_set0_value(name, is_address ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        return FAIL(ERR_MEMORY);
    }
    name = NULL;
    return OK;
}

static err_t add_names(X509 *x509, const char *const *texts, size_t count) {
    GENERAL_NAMES *names CLEANUP(general_names_freep) = GENERAL_NAMES_new();
    if (names == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(add_name(names, texts[i]));
    }
    return crypto_ok(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0));
}

/* What both certificates share. */
static err_t x509_begin(const char *common_name, EVP_PKEY *key, int64_t now, int days, X509 **out) {
    X509 *x509 CLEANUP(x509_freep) = X509_new();
    if (x509 == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(crypto_ok(X509_set_version(x509, X509_VERSION_3)));
    TRY(set_serial(x509));
    TRY(set_validity(x509, now, days));
    TRY(set_common_name(x509, common_name));
    TRY(crypto_ok(X509_set_pubkey(x509, key)));
    *out = TAKE(x509);
    return OK;
}

static err_t x509_sign(X509 *x509, X509 *issuer, EVP_PKEY *issuer_key) {
    TRY(crypto_ok(X509_set_issuer_name(x509, X509_get_subject_name(issuer))));
    return X509_sign(x509, issuer_key, EVP_sha256()) > 0 ? OK : FAIL(ERR_CRYPTO);
}

static err_t make_ca(const char *common_name, EVP_PKEY *key, int64_t now, X509 **out) {
    X509 *x509 CLEANUP(x509_freep) = NULL;
    TRY(x509_begin(common_name, key, now, CA_DAYS, &x509));
    TRY(add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    TRY(add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign"));
    TRY(add_extension(x509, x509, NID_subject_key_identifier, "hash"));
    TRY(x509_sign(x509, x509, key));
    *out = TAKE(x509);
    return OK;
}

static err_t make_server(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, const char *const *names,
                         size_t name_count, int64_t now, X509 **out) {
    if (name_count == 0) {
        return FAIL(ERR_MALFORMED);
    }
    X509 *x509 CLEANUP(x509_freep) = NULL;
    TRY(x509_begin(names[0], key, now, SERVER_DAYS, &x509));
    TRY(add_extension(x509, ca, NID_basic_constraints, "critical,CA:FALSE"));
    TRY(add_extension(x509, ca, NID_key_usage, "critical,digitalSignature"));
    TRY(add_extension(x509, ca, NID_ext_key_usage, "serverAuth"));
    TRY(add_extension(x509, ca, NID_subject_key_identifier, "hash"));
    TRY(add_extension(x509, ca, NID_authority_key_identifier, "keyid:always"));
    TRY(add_names(x509, names, name_count));
    TRY(x509_sign(x509, ca, ca_key));
    *out = TAKE(x509);
    return OK;
}

static err_t bio_take(BIO *bio, struct buf *out) {
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    return len <= 0 ? FAIL(ERR_CRYPTO) : buf_add(out, span_of(data, (size_t)len));
}

static err_t put_cert(X509 *x509, struct buf *out) {
    BIO *bio CLEANUP(bio_freep) = BIO_new(BIO_s_mem());
    TRY(crypto_ok(bio == NULL ? 0 : PEM_write_bio_X509(bio, x509)));
    return bio_take(bio, out);
}

/* A BIO of secure memory: it wipes what it frees. */
static err_t put_key(EVP_PKEY *key, struct buf *out) {
    BIO *bio CLEANUP(bio_freep) = BIO_new(BIO_s_secmem());
    TRY(crypto_ok(
        bio == NULL ? 0 : PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)));
    return bio_take(bio, out);
}

static void made_init(struct tls_made *made) {
    buf_init(&made->ca_pem, PEM_BYTES);
    buf_init(&made->ca_key_pem, PEM_BYTES);
    buf_init(&made->chain_pem, PEM_BYTES);
    buf_init(&made->key_pem, PEM_BYTES);
}

void tls_made_done(struct tls_made *made) {
    buf_done(&made->ca_pem);
    buf_done(&made->ca_key_pem);
    buf_done(&made->chain_pem);
    buf_done(&made->key_pem);
}

static err_t issue(X509 *ca, EVP_PKEY *ca_key, const char *const *names, size_t name_count,
                   int64_t now, struct tls_made *out) {
    EVP_PKEY *key CLEANUP(pkey_freep) = EVP_EC_gen("P-256");
    X509 *server CLEANUP(x509_freep) = NULL;
    struct tls_made made CLEANUP(tls_made_done);
    made_init(&made);
    if (key == NULL) {
        return FAIL(ERR_CRYPTO);
    }
    TRY(make_server(ca, ca_key, key, names, name_count, now, &server));
    TRY(put_cert(ca, &made.ca_pem));
    TRY(put_key(ca_key, &made.ca_key_pem));
    TRY(put_cert(server, &made.chain_pem));
    TRY(put_cert(ca, &made.chain_pem));
    TRY(put_key(key, &made.key_pem));
    *out = made;
    made_init(&made); /* moved */
    return OK;
}

err_t tls_make(const char *common_name, const char *const *names, size_t name_count, int64_t now,
               struct tls_made *out) {
    EVP_PKEY *key CLEANUP(pkey_freep) = EVP_EC_gen("P-256");
    X509 *ca CLEANUP(x509_freep) = NULL;
    if (key == NULL) {
        return FAIL(ERR_CRYPTO);
    }
    TRY(make_ca(common_name, key, now, &ca));
    return issue(ca, key, names, name_count, now, out);
}

static err_t read_cert(span_t pem, X509 **out) {
    BIO *bio CLEANUP(bio_freep) =
        pem.len > PEM_BYTES ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *x509 = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ERR_clear_error();
    if (x509 == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    *out = x509;
    return OK;
}

static int no_passphrase(char *out, int size, int writing, void *context) {
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static err_t read_key(span_t pem, EVP_PKEY **out) {
    BIO *bio CLEANUP(bio_freep) =
        pem.len > PEM_BYTES ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    if (key == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    *out = key;
    return OK;
}

err_t tls_renew(span_t ca_pem, span_t ca_key_pem, const char *const *names, size_t name_count,
                int64_t now, struct tls_made *out) {
    X509 *ca CLEANUP(x509_freep) = NULL;
    EVP_PKEY *key CLEANUP(pkey_freep) = NULL;
    TRY(read_cert(ca_pem, &ca));
    TRY(read_key(ca_key_pem, &key));
    if (X509_check_private_key(ca, key) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CONFLICT);
    }
    if (X509_check_ca(ca) != 1) {
        return FAIL(ERR_MALFORMED);
    }
    return issue(ca, key, names, name_count, now, out);
}

struct names {
    char texts[NAMES_COUNT][LIMIT_HOST_NAME_CHARS + 1];
    const char *pointers[NAMES_COUNT];
    size_t count;
};

static err_t read_name(const GENERAL_NAME *name, char out[LIMIT_HOST_NAME_CHARS + 1]) {
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const uint8_t *bytes =
        type == GEN_DNS || type == GEN_IPADD ? ASN1_STRING_get0_data(value) : NULL;
    size_t len = bytes == NULL ? 0 : (size_t)ASN1_STRING_length(value);
    if (type == GEN_IPADD && (len == 4 || len == 16)) {
        return inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, out, INET_CHARS) != NULL
                   ? OK
                   : FAIL(ERR_MALFORMED);
    }
    if (type != GEN_DNS || len == 0 || len > LIMIT_HOST_NAME_CHARS ||
        memchr(bytes, '\0', len) != NULL) {
        return FAIL(ERR_UNSUPPORTED);
    }
    memcpy(out, bytes, len);
    out[len] = '\0';
    return OK;
}

static err_t read_names(X509 *x509, struct names *names) {
    GENERAL_NAMES *list CLEANUP(general_names_freep) =
        X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = list == NULL ? 0 : sk_GENERAL_NAME_num(list);
    ERR_clear_error();
    if (count <= 0 || count > NAMES_COUNT) {
        return FAIL(ERR_UNSUPPORTED);
    }
    names->count = (size_t)count;
    for (size_t i = 0; i < names->count; i++) {
        TRY(read_name(sk_GENERAL_NAME_value(list, (int)i), names->texts[i]));
        names->pointers[i] = names->texts[i];
    }
    return OK;
}

err_t tls_renew_chain(span_t ca_pem, span_t ca_key_pem, span_t chain_pem, int64_t now,
                      struct tls_made *out) {
    X509 *ca CLEANUP(x509_freep) = NULL;
    X509 *old CLEANUP(x509_freep) = NULL;
    struct names names = {.count = 0};
    TRY(read_cert(ca_pem, &ca));
    TRY(read_cert(chain_pem, &old));
    bool ours = X509_verify(old, X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    if (!ours) {
        return FAIL(ERR_REFUSED);
    }
    TRY(read_names(old, &names));
    return tls_renew(ca_pem, ca_key_pem, names.pointers, names.count, now, out);
}

err_t tls_chain_expiry(span_t chain_pem, int64_t *not_after) {
    X509 *x509 CLEANUP(x509_freep) = NULL;
    TRY(read_cert(chain_pem, &x509));
    struct tm utc;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x509), &utc) != 1) {
        return FAIL(ERR_MALFORMED);
    }
    *not_after = (int64_t)timegm(&utc);
    return OK;
}
