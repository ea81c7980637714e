/* The keys and the MAC of .ppk files, and the order of the private fields in them. */
#include <assert.h>
#include <openssl/err.h>
#include <stddef.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/private_key_ppk.h"
#include "ssh/wire.h"

enum { SHA1_BYTES = 20 };

struct ppk ppk_empty(void) {
    return (struct ppk){.kdf.salt = BUF(LIMIT_KEY_FILE_BYTES),
                        .public_blob = BUF(LIMIT_KEY_FILE_BYTES),
                        .private_blob = BUF(LIMIT_KEY_FILE_BYTES),
                        .mac = BUF(LIMIT_KEY_FILE_BYTES)};
}

void ppk_done(struct ppk *ppk) {
    buf_done(&ppk->kdf.salt);
    buf_done(&ppk->public_blob);
    buf_done(&ppk->private_blob);
    buf_done(&ppk->mac);
}

void ppk_keys_done(struct ppk_keys *keys) { secret_wipe(keys, sizeof *keys); }

const char *ppk_encryption(const struct ppk *ppk) { return ppk->encrypted ? "aes256-cbc" : "none"; }

/* SHA-1 of a prefix and the passphrase. */
static err_t hash_passphrase(span_t prefix, span_t passphrase, uint8_t out[SHA1_BYTES]) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(buf_add(&text, prefix));
    TRY(buf_add(&text, passphrase));
    if (EVP_Q_digest(NULL, "SHA1", NULL, text.data, text.len, out, NULL) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

static err_t derive_2(const struct ppk *ppk, span_t passphrase, struct ppk_keys *out) {
    static const uint8_t counters[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 1}};
    uint8_t halves[2 * SHA1_BYTES];
    out->mac_len = SHA1_BYTES;
    TRY(hash_passphrase(SPAN_LITERAL("putty-private-key-file-mac-key"), passphrase, out->mac));
    if (!ppk->encrypted) {
        return OK;
    }
    TRY(hash_passphrase(span_of(counters[0], 4), passphrase, halves));
    TRY(hash_passphrase(span_of(counters[1], 4), passphrase, halves + SHA1_BYTES));
    memcpy(out->cipher, halves, 32); /* and an IV of zeros: each passphrase has its own key */
    secret_wipe(halves, sizeof halves);
    return OK;
}

static err_t derive_3(const struct ppk *ppk, span_t passphrase, struct ppk_keys *out) {
    const struct ppk_kdf *kdf = &ppk->kdf;
    static_assert(offsetof(struct ppk_keys, mac) == sizeof out->cipher, "one derivation fills all");
    if (!ppk->encrypted) {
        return OK;
    }
    /* libsodium has one lane, salts of one length, and no Argon2d. */
    if (kdf->algorithm == CRYPTO_ARGON2_NONE || kdf->lanes != 1 ||
        kdf->salt.len != CRYPTO_ARGON2_SALT_BYTES) {
        return FAIL(ERR_KEY_KDF);
    }
    if (kdf->memory_kib > LIMIT_ARGON2_MEMORY_KIB ||
        (uint64_t)kdf->memory_kib * kdf->passes > LIMIT_ARGON2_WORK_KIB) {
        return FAIL(ERR_RANGE);
    }
    TRY(crypto_argon2(kdf->algorithm, passphrase, kdf->salt.data, kdf->passes, kdf->memory_kib,
                      (uint8_t *)out, sizeof out->cipher + sizeof out->mac));
    out->mac_len = sizeof out->mac;
    return OK;
}

err_t ppk_derive(const struct ppk *ppk, const secret_t *passphrase, struct ppk_keys *out) {
    struct ppk_keys keys CLEANUP(ppk_keys_done) = {0};
    span_t text = ppk->encrypted ? secret_span(passphrase) : (span_t){0};
    TRY(ppk->version == 2 ? derive_2(ppk, text, &keys) : derive_3(ppk, text, &keys));
    *out = keys;
    return OK;
}

err_t ppk_mac(const struct ppk *ppk, const struct ppk_keys *keys, span_t plain, struct buf *out) {
    struct buf covered CLEANUP(buf_done) = BUF(4 * LIMIT_KEY_FILE_BYTES);
    uint8_t mac[PPK_MAC_BYTES_MAX];
    size_t len = 0;
    TRY(wire_put_string(&covered, ppk->type));
    TRY(wire_put_text(&covered, ppk_encryption(ppk)));
    TRY(wire_put_string(&covered, ppk->comment));
    TRY(wire_put_string(&covered, buf_span(&ppk->public_blob)));
    TRY(wire_put_string(&covered, plain));
    if (EVP_Q_mac(NULL, "HMAC", NULL, ppk->version == 2 ? "SHA1" : "SHA256", NULL, keys->mac,
                  keys->mac_len, covered.data, covered.len, mac, sizeof mac, &len) == NULL) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return buf_add(out, span_of(mac, len));
}

/* d, p, q, iqmp */
static err_t get_rsa(const struct key *public_key, span_t *from, struct buf *out) {
    span_t d;
    span_t p;
    span_t q;
    span_t iqmp;
    TRY(wire_get_mpint(from, &d));
    TRY(wire_get_mpint(from, &p));
    TRY(wire_get_mpint(from, &q));
    TRY(wire_get_mpint(from, &iqmp));
    const span_t numbers[] = {public_key->fields.rsa_n, public_key->fields.rsa_e, d, iqmp, p, q};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        TRY(wire_put_mpint(out, numbers[i]));
    }
    return OK;
}

/* The seed is a little-endian number to PuTTY, which takes it without the zeros at its end, too. */
static err_t get_ed25519(const struct key *public_key, span_t *from, struct buf *out) {
    uint8_t *both;
    size_t mark;
    span_t seed;
    span_t point = public_key->fields.point;
    size_t seed_max = CRYPTO_ED25519_SECRET_BYTES - point.len;
    TRY(wire_get_string(from, &seed));
    if (seed.len == 0 || seed.len > seed_max) {
        return FAIL(ERR_KEY_INVALID);
    }
    TRY(buf_add(out, key_blob_fields(public_key)));
    TRY(wire_string_begin(out, &mark));
    TRY(buf_extend(out, CRYPTO_ED25519_SECRET_BYTES, &both));
    memset(both, 0, seed_max);
    memcpy(both, seed.data, seed.len);
    memcpy(both + seed_max, point.data, point.len);
    wire_string_end(out, mark);
    return OK;
}

err_t ppk_fields_get(const struct key *public_key, span_t *from, struct buf *out) {
    if (key_type(public_key) == KEY_UNKNOWN || key_is_security_key(public_key)) {
        return FAIL(ERR_KEY_TYPE);
    }
    if (key_type(public_key) == KEY_RSA) {
        return get_rsa(public_key, from, out);
    }
    if (key_type(public_key) == KEY_ED25519) {
        return get_ed25519(public_key, from, out);
    }
    span_t d;
    TRY(wire_get_mpint(from, &d));
    TRY(buf_add(out, key_blob_fields(public_key)));
    return wire_put_mpint(out, d);
}

static err_t put_rsa(span_t from, struct buf *out) {
    span_t numbers[6]; /* n, e, d, iqmp, p, q */
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        TRY(wire_get_mpint(&from, &numbers[i]));
    }
    static const size_t order[] = {2, 4, 5, 3};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        TRY(wire_put_mpint(out, numbers[order[i]]));
    }
    return OK;
}

static err_t put_ed25519(span_t from, struct buf *out) {
    span_t both;
    TRY(wire_get_string(&from, &both));
    return wire_put_string(out, span_of(both.data, both.len / 2));
}

err_t ppk_fields_put(const struct private_key *key, struct buf *out) {
    const struct key *public_key = key->public_key;
    if (key_is_security_key(public_key)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    span_t from = buf_span(&key->fields);
    if (key_type(public_key) == KEY_RSA) {
        return put_rsa(from, out);
    }
    /* The others have what stands in the public blob in front. */
    span_t public_fields;
    TRY(wire_get_bytes(&from, key_blob_fields(public_key).len, &public_fields));
    return key_type(public_key) == KEY_ED25519 ? put_ed25519(from, out) : buf_add(out, from);
}
