#include "ssh/key.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdatomic.h>
#include <threads.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

enum { ED25519_BYTES = 32, RSA_EXPONENT_BYTES_MAX = 8, TYPE_NAME_CHARS_MAX = 64 };

static const struct key_kind kinds[] = {
    {KEY_ED25519, 256, "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "ED25519", NULL, NULL},
    {KEY_ECDSA_256, 256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", "ECDSA",
     "nistp256", "P-256"},
    {KEY_ECDSA_384, 384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "ECDSA",
     "nistp384", "P-384"},
    {KEY_ECDSA_521, 521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "ECDSA",
     "nistp521", "P-521"},
    {KEY_RSA, 0, "ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "RSA", NULL, NULL},
    {KEY_SK_ED25519, 256, "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com",
     "ED25519-SK", NULL, NULL},
    {KEY_SK_ECDSA_256, 256, "sk-ecdsa-sha2-nistp256@openssh.com",
     "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ECDSA-SK", "nistp256", "P-256"},
};

const struct key_kind *key_kind_by_name(span_t name) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_equal_str(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const struct key_kind *key_kind_by_cert_name(span_t name) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_equal_str(name, kinds[i].cert_name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const struct key_kind *key_kind_of(enum key_type type) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

bool key_kind_is_security_key(const struct key_kind *kind) {
    return kind->type == KEY_SK_ED25519 || kind->type == KEY_SK_ECDSA_256;
}

bool key_name_is_cert(span_t name) { return span_find_str(name, "-cert-v0") != NULL; }

/* The curves, made once: checking that a point is on one of them needs no EVP_PKEY. */
static EC_GROUP *groups[3];

static void make_groups(void) {
    static const int nids[] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};
    for (size_t i = 0; i < COUNT_OF(nids); i++) {
        groups[i] = EC_GROUP_new_by_curve_name(nids[i]);
        INVARIANT(groups[i] != NULL);
    }
}

static err_t check_point(const struct key_kind *kind, span_t point) {
    size_t coordinate = (kind->bits + 7) / 8;
    /* RFC 5656 section 3.1 allows compressed points; nobody writes them and OpenSSH refuses them.
     */
    if (point.len != 1 + 2 * coordinate || point.data[0] != POINT_CONVERSION_UNCOMPRESSED) {
        return FAIL(ERR_KEY_INVALID);
    }
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, make_groups);
    const EC_GROUP *group = groups[kind->bits == 256 ? 0 : kind->bits == 384 ? 1 : 2];
    EC_POINT *parsed = EC_POINT_new(group);
    if (parsed == NULL) {
        return FAIL(ERR_MEMORY);
    }
    /* Refuses what is not on the curve; the cofactor is 1, so every other point will do. */
    bool valid = EC_POINT_oct2point(group, parsed, point.data, point.len, NULL) == 1;
    EC_POINT_free(parsed);
    return valid ? OK : FAIL(ERR_KEY_INVALID);
}

static size_t magnitude_bits(span_t magnitude) {
    if (magnitude.len == 0) {
        return 0;
    }
    return magnitude.len * 8 - (size_t)(__builtin_clz(magnitude.data[0]) - 24);
}

static bool is_odd(span_t magnitude) {
    return magnitude.len != 0 && (magnitude.data[magnitude.len - 1] & 1) != 0;
}

static err_t get_rsa(span_t *from, struct key_fields *out) {
    TRY(wire_get_mpint(from, &out->rsa_e));
    TRY(wire_get_mpint(from, &out->rsa_n));
    /* OpenSSL bounds the exponent of large moduli to 64 bits, and nobody makes longer ones. */
    if (!is_odd(out->rsa_e) || magnitude_bits(out->rsa_e) < 2 ||
        out->rsa_e.len > RSA_EXPONENT_BYTES_MAX || !is_odd(out->rsa_n)) {
        return FAIL(ERR_KEY_INVALID);
    }
    size_t bits = magnitude_bits(out->rsa_n);
    if (bits < LIMIT_RSA_BITS_MIN || bits > LIMIT_RSA_BITS_MAX) {
        return FAIL(ERR_KEY_SIZE);
    }
    return OK;
}

static err_t get_ecdsa(const struct key_kind *kind, span_t *from, struct key_fields *out) {
    span_t curve;
    TRY(wire_get_string(from, &curve));
    if (!span_equal_str(curve, kind->curve)) {
        return FAIL(ERR_KEY_INVALID);
    }
    TRY(wire_get_string(from, &out->point));
    return check_point(kind, out->point);
}

static err_t get_ed25519(span_t *from, struct key_fields *out) {
    TRY(wire_get_string(from, &out->point));
    return out->point.len == ED25519_BYTES ? OK : FAIL(ERR_KEY_INVALID);
}

err_t key_fields_get(const struct key_kind *kind, span_t *from, struct key_fields *out) {
    struct key_fields fields = {0};
    span_t rest = *from;
    if (kind->type == KEY_RSA) {
        TRY(get_rsa(&rest, &fields));
    } else if (kind->curve != NULL) {
        TRY(get_ecdsa(kind, &rest, &fields));
    } else {
        TRY(get_ed25519(&rest, &fields));
    }
    if (key_kind_is_security_key(kind)) {
        TRY(wire_get_text(&rest, &fields.application));
    }
    *from = rest;
    *out = fields;
    return OK;
}

static void rebase(span_t *span, const uint8_t *from, const uint8_t *to) {
    if (span->data != NULL) {
        span->data = to + (span->data - from);
    }
}

/* The last part of every constructor: `name` and `fields` make the blob; `kind` may be NULL. */
static err_t new_key(const struct key_kind *kind, span_t name, span_t fields,
                     const struct key_fields *parsed, struct key **out) {
    size_t blob_len = 4 + name.len + fields.len;
    /* After the blob comes the name once more, as a C string. */
    struct key *key = malloc(sizeof *key + blob_len + name.len + 1);
    if (key == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *key = (struct key){.kind = kind, .blob_len = blob_len, .name_len = name.len};
    atomic_init(&key->holders, 1);
    for (unsigned i = 0; i < 4; i++) {
        key->blob[i] = (uint8_t)(name.len >> (24 - 8 * i));
    }
    uint8_t *at = key->blob + 4;
    memcpy(at, name.data, name.len);
    at += name.len;
    if (fields.len != 0) {
        memcpy(at, fields.data, fields.len);
    }
    memcpy(key->blob + blob_len, name.data, name.len);
    key->blob[blob_len + name.len] = '\0';
    if (kind != NULL) {
        key->fields = *parsed;
        rebase(&key->fields.point, fields.data, at);
        rebase(&key->fields.rsa_e, fields.data, at);
        rebase(&key->fields.rsa_n, fields.data, at);
        rebase(&key->fields.application, fields.data, at);
        key->bits = kind->bits != 0 ? kind->bits : (unsigned)magnitude_bits(parsed->rsa_n);
    }
    *out = key;
    return OK;
}

err_t key_from_fields(const struct key_kind *kind, span_t *from, struct key **out) {
    span_t rest = *from;
    struct key_fields fields;
    TRY(key_fields_get(kind, &rest, &fields));
    span_t bytes = span_of(from->data, from->len - rest.len);
    TRY(new_key(kind, span_str(kind->name), bytes, &fields, out));
    *from = rest;
    return OK;
}

/* RFC 4250 section 4.6.1: names are printable US-ASCII without white space and commas, of at most
 * 64 characters. */
static bool is_type_name(span_t name) {
    if (name.len == 0 || name.len > TYPE_NAME_CHARS_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f || name.data[i] == ',') {
            return false;
        }
    }
    return true;
}

err_t key_parse(span_t blob, struct key **out) {
    if (blob.len > LIMIT_KEY_BLOB_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    span_t name;
    TRY(wire_get_string(&blob, &name));
    if (!is_type_name(name)) {
        return FAIL(ERR_MALFORMED);
    }
    const struct key_kind *kind = key_kind_by_name(name);
    if (kind == NULL) {
        return span_equal_str(name, "ssh-dss") ? FAIL(ERR_KEY_DSA)
               : key_name_is_cert(name)        ? FAIL(ERR_KEY_IS_CERT)
                                               : new_key(NULL, name, blob, NULL, out);
    }
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(key_from_fields(kind, &blob, &key));
    TRY(wire_expect_end(blob));
    *out = TAKE(key);
    return OK;
}

/* A key never changes, so that a copy is one more holder; what it caches is made for it alone and
 * handed over atomically. */
static struct key *shared(const struct key *key) { return (struct key *)(uintptr_t)key; }

err_t key_copy(const struct key *key, struct key **out) {
    struct key *copy = shared(key);
    atomic_fetch_add_explicit(&copy->holders, 1, memory_order_relaxed);
    *out = copy;
    return OK;
}

void key_free(struct key *key) {
    if (key == NULL || atomic_fetch_sub_explicit(&key->holders, 1, memory_order_acq_rel) != 1) {
        return;
    }
    EVP_PKEY_free(atomic_load(&key->pkey));
    EVP_MD_CTX_free(atomic_load(&key->context));
    free(key);
}

void key_freep(struct key **key) { key_free(*key); }

enum key_type key_type(const struct key *key) {
    return key->kind == NULL ? KEY_UNKNOWN : key->kind->type;
}

const char *key_type_name(const struct key *key) { return (const char *)key->blob + key->blob_len; }

const char *key_type_display(const struct key *key) {
    return key->kind == NULL ? "unknown" : key->kind->display;
}

unsigned key_bits(const struct key *key) { return key->bits; }

span_t key_blob(const struct key *key) { return span_of(key->blob, key->blob_len); }

span_t key_blob_fields(const struct key *key) {
    size_t before = 4 + key->name_len;
    return span_of(key->blob + before, key->blob_len - before);
}

bool key_equal(const struct key *a, const struct key *b) {
    return a == b || span_equal(key_blob(a), key_blob(b));
}

bool key_is_security_key(const struct key *key) {
    return key->kind != NULL && key_kind_is_security_key(key->kind);
}

span_t key_application(const struct key *key) { return key->fields.application; }

void key_fingerprint_blob(span_t blob, char out[FINGERPRINT_CHARS]) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    /* One zero byte behind the hash fills the last group; its letter is not printed. */
    uint8_t hash[CRYPTO_SHA256_BYTES + 1] = {0};
    crypto_sha256(blob, hash);
    char *to = stpcpy(out, "SHA256:");
    for (size_t i = 0; i < sizeof hash; i += 3) {
        unsigned group = (unsigned)hash[i] << 16 | (unsigned)hash[i + 1] << 8 | hash[i + 2];
        for (unsigned shift = 18; shift <= 18; shift -= 6) {
            *to++ = letters[group >> shift & 63];
        }
    }
    to[-1] = '\0';
}

void key_fingerprint(const struct key *key, char out[FINGERPRINT_CHARS]) {
    key_fingerprint_blob(key_blob(key), out);
}

err_t key_print_line(const struct key *key, const char *comment, struct buf *out) {
    return key_line_print(key_type_name(key), key_blob(key), comment, out);
}

err_t key_parse_line(span_t line, struct key **out, span_t *comment) {
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    span_t name;
    span_t text;
    TRY(key_line_split(line, LIMIT_KEY_LINE_CHARS, &name, &blob, &text));
    TRY(key_parse(buf_span(&blob), out));
    if (comment != NULL) {
        *comment = text;
    }
    return OK;
}
