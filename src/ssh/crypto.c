#include "ssh/crypto.h"

#include <openssl/err.h>
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

err_t crypto_verify(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data,
                    span_t signature) {
    if (EVP_MD_CTX_reset(context) != 1 || EVP_DigestVerifyInit(context, NULL, md, NULL, key) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    int verdict = EVP_DigestVerify(context, signature.data, signature.len, data.data, data.len);
    ERR_clear_error();
    return verdict == 1 ? OK : FAIL(ERR_SIGNATURE);
}

err_t crypto_sign(EVP_MD_CTX *context, EVP_PKEY *key, const EVP_MD *md, span_t data, uint8_t *out,
                  size_t *len) {
    /* Without a digest (Ed25519) a context that signed before keeps what it looked up for the key:
     * no key given means the same again. */
    bool again = md == NULL && EVP_MD_CTX_get_pkey_ctx(context) != NULL;
    if ((!again && EVP_MD_CTX_reset(context) != 1) ||
        EVP_DigestSignInit(context, NULL, md, NULL, again ? NULL : key) != 1 ||
        EVP_DigestSign(context, out, len, data.data, data.len) != 1) {
        (void)EVP_MD_CTX_reset(context);
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return OK;
}

void crypto_pkey_freep(EVP_PKEY **key) { EVP_PKEY_free(*key); }
void crypto_md_ctx_freep(EVP_MD_CTX **context) { EVP_MD_CTX_free(*context); }
