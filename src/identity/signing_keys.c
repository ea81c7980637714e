#include "identity/signing_keys.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/secret.h"
#include "base/text.h"

enum {
    RSA_BITS = 2048, /* each signs for 90 days, and what it signed holds for an hour */
    PEM_CHARS_MAX = 8 * 1024,
    DOCUMENT_CHARS_MAX = 256 * 1024,
    NUMBER_BYTES_MAX = 1024,
};

struct signing_key {
    _Atomic unsigned holders;
    char id[2 * 8 + 1];
    EVP_PKEY *pair;
    int64_t created_at;
    int64_t retired_at; /* 0: it signs; of the set's thread alone */
};

struct signing_keys {
    size_t count;
    struct signing_key *keys[LIMIT_SIGNING_KEYS_COUNT]; /* newest first */
};

static void free_json(json_t **json) { json_decref(*json); }
static void free_bio(BIO **bio) { BIO_free_all(*bio); }
static void free_digest(EVP_MD_CTX **context) { EVP_MD_CTX_free(*context); }

/* ---- one key ------------------------------------------------------------------------------- */

void signing_key_release(struct signing_key *key) {
    if (key != NULL && atomic_fetch_sub(&key->holders, 1) == 1) {
        EVP_PKEY_free(key->pair);
        free(key);
    }
}

static void releasep(struct signing_key **key) { signing_key_release(*key); }

const char *signing_key_id(const struct signing_key *key) { return key->id; }

/* A public number, in base64url. */
static err_t number_of(const EVP_PKEY *pair, const char *name, struct buf *out) {
    BIGNUM *number = NULL;
    uint8_t bytes[NUMBER_BYTES_MAX];
    if (EVP_PKEY_get_bn_param(pair, name, &number) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    int len = BN_num_bytes(number) <= (int)sizeof bytes ? BN_bn2bin(number, bytes) : -1;
    BN_free(number);
    return len < 0 ? FAIL(ERR_TOO_LONG)
                   : base64_encode(span_of(bytes, (size_t)len), BASE64_URL, out);
}

/* The id is of the key itself, so that the same one never has two. */
static err_t take_pair(EVP_PKEY *pair, int64_t created_at, struct signing_key **out) {
    struct signing_key *key CLEANUP(releasep) = calloc(1, sizeof *key);
    struct buf modulus CLEANUP(buf_done) = BUF(2 * NUMBER_BYTES_MAX);
    uint8_t hash[crypto_hash_sha256_BYTES];
    if (key == NULL) {
        EVP_PKEY_free(pair);
        return FAIL(ERR_MEMORY);
    }
    key->holders = 1;
    key->pair = pair;
    key->created_at = created_at;
    if (EVP_PKEY_is_a(pair, "RSA") != 1) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(number_of(pair, OSSL_PKEY_PARAM_RSA_N, &modulus));
    (void)crypto_hash_sha256(hash, modulus.data, modulus.len); /* documented to always succeed */
    (void)sodium_bin2hex(key->id, sizeof key->id, hash, sizeof key->id / 2);
    *out = TAKE(key);
    return OK;
}

err_t signing_key_make(int64_t now, struct signing_key **out) {
    EVP_PKEY *pair = EVP_RSA_gen(RSA_BITS);
    return pair == NULL ? FAIL(ERR_CRYPTO) : take_pair(pair, now, out);
}

static err_t sign(const struct signing_key *key, span_t text, struct buf *out) {
    EVP_MD_CTX *context CLEANUP(free_digest) = EVP_MD_CTX_new();
    uint8_t signature[NUMBER_BYTES_MAX];
    size_t len = sizeof signature;
    if (context == NULL ||
        EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key->pair, NULL) != 1 ||
        EVP_DigestSign(context, signature, &len, text.data, text.len) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    return base64_encode(span_of(signature, len), BASE64_URL, out);
}

err_t signing_key_sign(const struct signing_key *key, const json_t *claims, struct buf *out) {
    char header[96];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS);
    char *body CLEANUP(freep) = json_dumps(claims, JSON_COMPACT);
    if (body == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}",
                   key->id);
    TRY(base64_encode(span_str(header), BASE64_URL, &text));
    TRY(buf_add_byte(&text, '.'));
    TRY(base64_encode(span_str(body), BASE64_URL, &text));
    struct buf signature CLEANUP(buf_done) = BUF(2 * NUMBER_BYTES_MAX);
    TRY(sign(key, buf_span(&text), &signature));
    TRY(buf_add_byte(&text, '.'));
    TRY(buf_add(&text, buf_span(&signature)));
    return buf_add(out, buf_span(&text));
}

/* ---- the set ------------------------------------------------------------------------------- */

err_t signing_keys_new(struct signing_keys **out) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

void signing_keys_free(struct signing_keys *keys) {
    for (size_t i = 0; keys != NULL && i < keys->count; i++) {
        signing_key_release(keys->keys[i]);
    }
    free(keys);
}

void signing_keys_freep(struct signing_keys **keys) { signing_keys_free(*keys); }

bool signing_keys_due(const struct signing_keys *keys, int64_t now) {
    return keys->count == 0 || keys->keys[0]->created_at + SIGNING_KEY_SIGNS_S <= now;
}

static bool is_over(const struct signing_key *key, int64_t now) {
    return key->retired_at != 0 && key->retired_at + SIGNING_KEY_KEPT_S <= now;
}

void signing_keys_rotate(struct signing_keys *keys, struct signing_key *key, int64_t now) {
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        struct signing_key *old = keys->keys[i];
        old->retired_at = old->retired_at == 0 ? now : old->retired_at;
        if (is_over(old, now) || kept == LIMIT_SIGNING_KEYS_COUNT - 1) {
            signing_key_release(old);
        } else {
            keys->keys[kept++] = old;
        }
    }
    for (size_t i = kept; i > 0; i--) {
        keys->keys[i] = keys->keys[i - 1];
    }
    keys->keys[0] = key;
    keys->count = kept + 1;
}

struct signing_key *signing_keys_current(const struct signing_keys *keys) {
    if (keys->count == 0) {
        return NULL;
    }
    atomic_fetch_add(&keys->keys[0]->holders, 1);
    return keys->keys[0];
}

static err_t public_of(const struct signing_key *key, json_t *list) {
    struct buf n CLEANUP(buf_done) = BUF(2 * NUMBER_BYTES_MAX);
    struct buf e CLEANUP(buf_done) = BUF(16);
    TRY(number_of(key->pair, OSSL_PKEY_PARAM_RSA_N, &n));
    TRY(number_of(key->pair, OSSL_PKEY_PARAM_RSA_E, &e));
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s%}", "kty", "RSA", "use", "sig", "alg",
                             "RS256", "kid", key->id, "n", (const char *)n.data, n.len, "e",
                             (const char *)e.data, e.len);
    return json_array_append_new(list, json) == 0 ? OK : FAIL(ERR_MEMORY);
}

json_t *signing_keys_public(const struct signing_keys *keys, int64_t now) {
    json_t *list CLEANUP(free_json) = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        if (!is_over(keys->keys[i], now) && failed(public_of(keys->keys[i], list))) {
            return NULL;
        }
    }
    return json_pack("{s:O}", "keys", list);
}

json_t *signing_keys_list(const struct signing_keys *keys, int64_t now) {
    json_t *list = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        const struct signing_key *key = keys->keys[i];
        if (!is_over(key, now)) {
            (void)json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "kid", key->id,
                                                        "created", (json_int_t)key->created_at,
                                                        "retired", (json_int_t)key->retired_at));
        }
    }
    return list;
}

/* ---- the document -------------------------------------------------------------------------- */

static err_t print_key(const struct signing_key *key, json_t *list) {
    BIO *bio CLEANUP(free_bio) = BIO_new(BIO_s_secmem());
    char *text = NULL;
    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key->pair, NULL, NULL, 0, NULL, NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    long len = BIO_get_mem_data(bio, &text);
    json_t *json = json_pack("{s:I, s:I, s:s%}", "created", (json_int_t)key->created_at, "retired",
                             (json_int_t)key->retired_at, "private", text, (size_t)len);
    return json_array_append_new(list, json) == 0 ? OK : FAIL(ERR_MEMORY);
}

err_t signing_keys_print(const struct signing_keys *keys, struct buf *out) {
    json_t *list CLEANUP(free_json) = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        TRY(print_key(keys->keys[i], list));
    }
    char *text = json_dumps(list, JSON_COMPACT);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = buf_add_str(out, text);
    secret_wipe(text, strlen(text));
    free(text);
    return err;
}

static err_t parse_key(const json_t *json, struct signing_key **out) {
    const char *text = json_string_value(json_object_get(json, "private"));
    json_int_t created = json_integer_value(json_object_get(json, "created"));
    json_int_t retired = json_integer_value(json_object_get(json, "retired"));
    if (text == NULL || strlen(text) > PEM_CHARS_MAX || created < 0 || retired < 0) {
        return FAIL(ERR_MALFORMED);
    }
    BIO *bio CLEANUP(free_bio) = BIO_new_mem_buf(text, -1);
    EVP_PKEY *pair = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (pair == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(take_pair(pair, created, out));
    (*out)->retired_at = retired;
    return OK;
}

err_t signing_keys_parse(const char *document, struct signing_keys **out) {
    struct signing_keys *keys CLEANUP(signing_keys_freep) = NULL;
    json_t *list CLEANUP(free_json) = strlen(document) > DOCUMENT_CHARS_MAX
                                          ? NULL
                                          : json_loads(document, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(list) || json_array_size(list) > LIMIT_SIGNING_KEYS_COUNT) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(signing_keys_new(&keys));
    size_t i;
    const json_t *key;
    json_array_foreach(list, i, key) {
        TRY(parse_key(key, &keys->keys[i]));
        keys->count++;
    }
    *out = TAKE(keys);
    return OK;
}
