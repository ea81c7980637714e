#include "ssh/private_key.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/limits.h"
#include "ssh/cert.h"
#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"
#include "ssh/private_key_ppk.h"
#include "ssh/wire.h"

enum { SIGNATURE_BYTES_MAX = LIMIT_RSA_BITS_MAX / 8 };

void private_key_free(struct private_key *key) {
    if (key == NULL) {
        return;
    }
    key_free(key->public_key);
    EVP_PKEY_free(key->pkey);
    EVP_MD_CTX_free(atomic_load(&key->context));
    buf_done(&key->fields);
    free(key);
}

void private_key_freep(struct private_key **key) { private_key_free(*key); }

const struct key *private_key_public(const struct private_key *key) { return key->public_key; }

static err_t get_ed25519(span_t *from, struct private_key *key) {
    span_t both;
    span_t point = key->public_key->fields.point;
    TRY(wire_get_string(from, &both));
    /* The seed, and the public key once more. */
    if (both.len != CRYPTO_ED25519_SECRET_BYTES ||
        !span_equal(span_of(both.data + both.len - point.len, point.len), point)) {
        return FAIL(ERR_KEY_INVALID);
    }
    return OK;
}

static err_t get_ecdsa(const struct key_kind *kind, span_t *from, struct private_key *key) {
    span_t d;
    TRY(wire_get_mpint(from, &d));
    return private_pkey_ec(kind, key->public_key->fields.point, d, &key->pkey);
}

static err_t get_security_key(span_t *from) {
    uint8_t flags;
    span_t handle;
    span_t reserved;
    TRY(wire_get_u8(from, &flags));
    TRY(wire_get_string(from, &handle));
    return wire_get_string(from, &reserved);
}

static err_t get_rsa(span_t *from, struct private_key *key) {
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    struct rsa_numbers numbers;
    TRY(wire_get_mpint(from, &numbers.n));
    TRY(wire_get_mpint(from, &numbers.e));
    TRY(wire_get_mpint(from, &numbers.d));
    TRY(wire_get_mpint(from, &numbers.iqmp));
    TRY(wire_get_mpint(from, &numbers.p));
    TRY(wire_get_mpint(from, &numbers.q));
    TRY(wire_put_text(&blob, "ssh-rsa"));
    TRY(wire_put_mpint(&blob, numbers.e));
    TRY(wire_put_mpint(&blob, numbers.n));
    TRY(key_parse(buf_span(&blob), &key->public_key));
    return private_pkey_rsa(&numbers, &key->pkey);
}

/* A private key whose halves do not belong together would sign what nobody can verify, or, with
 * RSA's CRT, tell its factors. */
static err_t check_pair(const struct private_key *key) {
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    static const char text[] = "posterngate key pair check";
    if (key_kind_is_security_key(key->public_key->kind)) {
        return OK;
    }
    err_t err = private_key_sign(key, SPAN_LITERAL(text), RSA_SHA512, &signature);
    if (!failed(err)) {
        err = key_verify(key->public_key, SPAN_LITERAL(text), buf_span(&signature), NULL);
    }
    return failed(err) && err.code != ERR_MEMORY ? FAIL(ERR_KEY_INVALID) : err;
}

err_t private_key_from_fields(const struct key_kind *kind, span_t *from, struct private_key **out) {
    span_t rest = *from;
    struct private_key *key CLEANUP(private_key_freep) = calloc(1, sizeof *key);
    if (key == NULL) {
        return FAIL(ERR_MEMORY);
    }
    buf_init(&key->fields, LIMIT_KEY_FILE_BYTES);
    if (kind->type == KEY_RSA) {
        TRY(get_rsa(&rest, key));
    } else {
        TRY(key_from_fields(kind, &rest, &key->public_key));
        if (key_kind_is_security_key(kind)) {
            TRY(get_security_key(&rest));
        } else if (kind->curve != NULL) {
            TRY(get_ecdsa(kind, &rest, key));
        } else {
            TRY(get_ed25519(&rest, key));
        }
    }
    TRY(buf_add(&key->fields, span_of(from->data, from->len - rest.len)));
    TRY(check_pair(key));
    *from = rest;
    *out = TAKE(key);
    return OK;
}

err_t private_key_get_wire(span_t *from, struct private_key **out) {
    span_t rest = *from;
    span_t name;
    TRY(wire_get_string(&rest, &name));
    const struct key_kind *kind = key_kind_by_name(name);
    if (kind == NULL) {
        return FAIL(span_equal_str(name, "ssh-dss") ? ERR_KEY_DSA
                    : key_name_is_cert(name)        ? ERR_KEY_IS_CERT
                                                    : ERR_KEY_TYPE);
    }
    TRY(private_key_from_fields(kind, &rest, out));
    *from = rest;
    return OK;
}

err_t private_key_put_wire(const struct private_key *key, struct buf *out) {
    size_t before = out->len;
    err_t err = wire_put_text(out, key_type_name(key->public_key));
    if (!failed(err)) {
        err = buf_add(out, buf_span(&key->fields));
    }
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

err_t private_key_load(span_t file, const secret_t *passphrase, struct private_key **out,
                       char **comment) {
    if (file.len > LIMIT_KEY_FILE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    if (file.len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    if (private_key_is_openssh(file)) {
        return private_key_load_openssh(file, passphrase, out, comment);
    }
    if (private_key_is_ppk(file)) {
        return private_key_load_ppk(file, passphrase, out, comment);
    }
    TRY(private_key_load_pem(file, passphrase, out));
    if (comment != NULL) {
        *comment = NULL; /* these formats have none */
    }
    return OK;
}

err_t private_key_inspect(span_t file, struct private_key_info *out) {
    if (file.len > LIMIT_KEY_FILE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    if (file.len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    return private_key_is_openssh(file) ? private_key_inspect_openssh(file, out)
           : private_key_is_ppk(file)   ? private_key_inspect_ppk(file, out)
                                        : private_key_inspect_pem(file, out);
}

void private_key_info_done(struct private_key_info *info) {
    key_free(info->public_key);
    cert_free(info->cert);
    free(info->comment);
    info->public_key = NULL;
    info->comment = NULL;
    info->cert = NULL;
}

static EVP_PKEY *generate(const struct key_kind *kind, unsigned bits) {
    if (kind->type == KEY_RSA) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    }
    return kind->curve != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->group)
                               : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

err_t private_key_generate(enum key_type type, unsigned bits, struct private_key **out) {
    const struct key_kind *kind = key_kind_of(type);
    if (kind == NULL || key_kind_is_security_key(kind)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    bool size_good = type == KEY_RSA ? bits >= LIMIT_RSA_BITS_MIN && bits <= LIMIT_RSA_BITS_MAX
                                     : bits == kind->bits;
    if (!size_good) {
        return FAIL(ERR_KEY_SIZE);
    }
    EVP_PKEY *pkey CLEANUP(crypto_pkey_freep) = generate(kind, bits);
    struct buf fields CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    if (pkey == NULL) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    TRY(private_pkey_fields(pkey, &kind, &fields));
    span_t from = buf_span(&fields);
    return private_key_from_fields(kind, &from, out);
}

/* The bare signature, as libcrypto makes it. */
static err_t sign_raw(const struct private_key *key, const EVP_MD *md, span_t data, uint8_t *out,
                      size_t *len) {
    struct private_key *cache = (struct private_key *)(uintptr_t)key;
    EVP_MD_CTX *context = atomic_exchange(&cache->context, NULL);
    if (context == NULL) {
        context = EVP_MD_CTX_new();
    }
    if (context == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = crypto_pkey_sign(context, key->pkey, md, data, out, len);
    EVP_MD_CTX_free(atomic_exchange(&cache->context, context));
    return err;
}

static err_t sign_ecdsa(const struct private_key *key, span_t data, struct buf *out) {
    const struct key_kind *kind = key->public_key->kind;
    uint8_t der[KEY_ECDSA_DER_BYTES];
    size_t len = sizeof der;
    size_t mark;
    enum crypto_hash hash = kind->bits == 256   ? CRYPTO_SHA256
                            : kind->bits == 384 ? CRYPTO_SHA384
                                                : CRYPTO_SHA512;
    TRY(sign_raw(key, crypto_md(hash), data, der, &len));
    TRY(wire_put_text(out, kind->name));
    TRY(wire_string_begin(out, &mark));
    TRY(key_ecdsa_from_der(span_of(der, len), out));
    wire_string_end(out, mark);
    return OK;
}

/* The secret is the last field, and a string. */
static err_t sign_ed25519(const struct private_key *key, span_t data, struct buf *out) {
    uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES];
    INVARIANT(key->fields.len > CRYPTO_ED25519_SECRET_BYTES);
    crypto_ed25519_sign(key->fields.data + key->fields.len - CRYPTO_ED25519_SECRET_BYTES, data,
                        signature);
    TRY(wire_put_text(out, "ssh-ed25519"));
    return wire_put_string(out, span_of(signature, sizeof signature));
}

static err_t sign_rsa(const struct private_key *key, span_t data, enum rsa_hash hash,
                      struct buf *out) {
    uint8_t signature[SIGNATURE_BYTES_MAX];
    size_t len = sizeof signature;
    const EVP_MD *md = crypto_md(hash == RSA_SHA256 ? CRYPTO_SHA256 : CRYPTO_SHA512);
    TRY(sign_raw(key, md, data, signature, &len));
    TRY(wire_put_text(out, hash == RSA_SHA256 ? "rsa-sha2-256" : "rsa-sha2-512"));
    return wire_put_string(out, span_of(signature, len));
}

err_t private_key_sign(const struct private_key *key, span_t data, enum rsa_hash rsa_hash,
                       struct buf *out) {
    size_t before = out->len;
    const struct key_kind *kind = key->public_key->kind;
    if (key_kind_is_security_key(kind)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    err_t err = kind->type == KEY_RSA ? sign_rsa(key, data, rsa_hash, out)
                : kind->curve != NULL ? sign_ecdsa(key, data, out)
                                      : sign_ed25519(key, data, out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
