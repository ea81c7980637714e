#include "ssh/crypto.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <sodium.h>
#include <threads.h>

static EVP_MD *hashes[3];

static void fetch_hashes(void) {
    static const char *const names[] = {"SHA256", "SHA384", "SHA512"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        hashes[i] = EVP_MD_fetch(NULL, names[i], NULL);
        INVARIANT(hashes[i] != NULL);
    }
}

const EVP_MD *crypto_md(enum crypto_hash hash) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, fetch_hashes);
    return hashes[hash];
}

static void digest(enum crypto_hash hash, span_t bytes, uint8_t *out) {
    INVARIANT(EVP_Digest(bytes.data, bytes.len, out, NULL, crypto_md(hash), NULL) == 1);
}

void crypto_sha256(span_t bytes, uint8_t out[CRYPTO_SHA256_BYTES]) {
    digest(CRYPTO_SHA256, bytes, out);
}

void crypto_sha512(span_t bytes, uint8_t out[CRYPTO_SHA512_BYTES]) {
    digest(CRYPTO_SHA512, bytes, out);
}

static void start_sodium(void) { INVARIANT(sodium_init() >= 0); }

static void need_sodium(void) {
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, start_sodium);
}

void crypto_ed25519_sign(const uint8_t secret[CRYPTO_ED25519_SECRET_BYTES], span_t data,
                         uint8_t out[CRYPTO_ED25519_SIGNATURE_BYTES]) {
    static_assert(CRYPTO_ED25519_SECRET_BYTES == crypto_sign_ed25519_SECRETKEYBYTES, "libsodium's");
    need_sodium();
    INVARIANT(crypto_sign_ed25519_detached(out, NULL, data.data, data.len, secret) == 0);
}

err_t crypto_ed25519_verify(const uint8_t point[CRYPTO_ED25519_POINT_BYTES], span_t data,
                            const uint8_t signature[CRYPTO_ED25519_SIGNATURE_BYTES]) {
    need_sodium();
    bool good = crypto_sign_ed25519_verify_detached(signature, data.data, data.len, point) == 0;
    return good ? OK : FAIL(ERR_SIGNATURE);
}

err_t crypto_argon2(enum crypto_argon2 kind, span_t passphrase,
                    const uint8_t salt[CRYPTO_ARGON2_SALT_BYTES], uint32_t passes,
                    uint32_t memory_kib, uint8_t *out, size_t out_len) {
    static_assert(CRYPTO_ARGON2_SALT_BYTES == crypto_pwhash_SALTBYTES, "libsodium's");
    static const int algorithms[] = {[CRYPTO_ARGON2I] = crypto_pwhash_ALG_ARGON2I13,
                                     [CRYPTO_ARGON2ID] = crypto_pwhash_ALG_ARGON2ID13};
    need_sodium();
    errno = 0;
    if (crypto_pwhash(out, out_len, (const char *)passphrase.data, passphrase.len, salt, passes,
                      (size_t)memory_kib * 1024, algorithms[kind]) != 0) {
        return FAIL(errno == ENOMEM ? ERR_MEMORY : ERR_KEY_KDF);
    }
    return OK;
}

err_t crypto_pkey_verify(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                         span_t signature) {
    if (EVP_MD_CTX_reset(context) != 1 || EVP_DigestVerifyInit(context, NULL, md, NULL, key) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    int verdict = EVP_DigestVerify(context, signature.data, signature.len, data.data, data.len);
    ERR_clear_error();
    return verdict == 1 ? OK : FAIL(ERR_SIGNATURE);
}

err_t crypto_pkey_sign(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                       uint8_t *out, size_t *len) {
    if (EVP_MD_CTX_reset(context) != 1 || EVP_DigestSignInit(context, NULL, md, NULL, key) != 1 ||
        EVP_DigestSign(context, out, len, data.data, data.len) != 1) {
        (void)EVP_MD_CTX_reset(context);
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

void crypto_pkey_freep(EVP_PKEY **key) { EVP_PKEY_free(*key); }
void crypto_md_ctx_freep(EVP_MD_CTX **context) { EVP_MD_CTX_free(*context); }
