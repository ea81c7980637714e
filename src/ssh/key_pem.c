/* Public keys as X.509's SubjectPublicKeyInfo (RFC 5280, RFC 8410) and PKCS#1 (RFC 8017) have them,
 * in PEM (RFC 7468). */
#include <openssl/bio.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"

static void bio_freep(BIO **bio) { BIO_free(*bio); }
static void encoder_freep(OSSL_ENCODER_CTX **context) { OSSL_ENCODER_CTX_free(*context); }

err_t key_parse_pem(span_t file, struct key **out) {
    if (file.len > LIMIT_KEY_FILE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(key_text_check(file)); /* libcrypto would take the public half of a private key, too */
    BIO *bio CLEANUP(bio_freep) = BIO_new_mem_buf(file.data, (int)file.len);
    if (bio == NULL) {
        return FAIL(ERR_MEMORY);
    }
    EVP_PKEY *pkey CLEANUP(crypto_pkey_freep) = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    ERR_clear_error();
    return pkey == NULL ? FAIL(ERR_MALFORMED) : private_pkey_public(pkey, out);
}

err_t key_print_pem(const struct key *key, enum key_pem form, struct buf *out) {
    if (key->kind == NULL || key_kind_is_security_key(key->kind) ||
        (form == KEY_PEM_PKCS1 && key->kind->type != KEY_RSA)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    EVP_PKEY *pkey CLEANUP(crypto_pkey_freep) = NULL;
    TRY(key_pkey_new(key, &pkey));
    BIO *bio CLEANUP(bio_freep) = BIO_new(BIO_s_mem());
    OSSL_ENCODER_CTX *context CLEANUP(encoder_freep) = OSSL_ENCODER_CTX_new_for_pkey(
        pkey, EVP_PKEY_PUBLIC_KEY, "PEM",
        form == KEY_PEM_PKCS1 ? "type-specific" : "SubjectPublicKeyInfo", NULL);
    char *bytes = NULL;
    if (bio == NULL || context == NULL || OSSL_ENCODER_to_bio(context, bio) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    long len = BIO_get_mem_data(bio, &bytes);
    return buf_add(out, span_of(bytes, (size_t)len));
}
