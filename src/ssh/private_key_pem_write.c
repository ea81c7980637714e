/* Writing PKCS#8 (RFC 5958) and traditional PEM, through libcrypto. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "base/random.h"
#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"

/* OWASP's number for PBKDF2 with HMAC-SHA-256, of 2023: about 0.2 s. */
enum { ITERATIONS = 600 * 1000, SALT_BYTES = 16 };

static void bio_freep(BIO **bio) { BIO_free(*bio); }
static void algorithm_freep(X509_ALGOR **algorithm) { X509_ALGOR_free(*algorithm); }
static void sig_freep(X509_SIG **sig) { X509_SIG_free(*sig); }
static void pkcs8_freep(PKCS8_PRIV_KEY_INFO **info) { PKCS8_PRIV_KEY_INFO_free(*info); }

/* Ed25519 has no EVP_PKEY of its own: libsodium signs. */
static EVP_PKEY *pkey_of(const struct private_key *key) {
    if (key->pkey != NULL) {
        return EVP_PKEY_up_ref(key->pkey) == 1 ? key->pkey : NULL;
    }
    /* The seed and the point end the fields. */
    return EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519, NULL, key->fields.data + key->fields.len - CRYPTO_ED25519_SECRET_BYTES,
        CRYPTO_ED25519_SECRET_BYTES - CRYPTO_ED25519_POINT_BYTES);
}

static bool write_encrypted(BIO *bio, EVP_PKEY *pkey, const secret_t *passphrase) {
    uint8_t salt[SALT_BYTES];
    random_bytes(salt, sizeof salt);
    X509_ALGOR *pbe CLEANUP(algorithm_freep) = PKCS5_pbe2_set_iv(
        EVP_aes_256_cbc(), ITERATIONS, salt, sizeof salt, NULL, NID_hmacWithSHA256);
    PKCS8_PRIV_KEY_INFO *info CLEANUP(pkcs8_freep) = EVP_PKEY2PKCS8(pkey);
    if (pbe == NULL || info == NULL) {
        return false;
    }
    X509_SIG *sealed CLEANUP(sig_freep) =
        PKCS8_set0_pbe(passphrase->text, (int)passphrase->len, info, pbe);
    if (sealed == NULL) {
        return false;
    }
    pbe = NULL; /* sealed has it */
    return PEM_write_bio_PKCS8(bio, sealed) == 1;
}

static bool write_traditional(BIO *bio, EVP_PKEY *pkey, const secret_t *passphrase) {
    const EVP_CIPHER *cipher = passphrase == NULL ? NULL : EVP_aes_256_cbc();
    return PEM_write_bio_PrivateKey_traditional(
               bio, pkey, cipher, passphrase == NULL ? NULL : (const uint8_t *)passphrase->text,
               passphrase == NULL ? 0 : (int)passphrase->len, NULL, NULL) == 1;
}

err_t private_key_write_pem(const struct private_key *key, enum private_key_format format,
                            const secret_t *passphrase, struct buf *out) {
    bool pkcs8 = format == PRIVATE_KEY_PKCS8;
    bool ed25519 = key_type(key->public_key) == KEY_ED25519;
    if ((!pkcs8 && (format != PRIVATE_KEY_PEM || ed25519)) ||
        key_kind_is_security_key(key->public_key->kind)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (passphrase != NULL &&
        (passphrase->len == 0 || passphrase->len > LIMIT_PEM_PASSPHRASE_BYTES)) {
        return FAIL(ERR_RANGE);
    }
    EVP_PKEY *pkey CLEANUP(crypto_pkey_freep) = pkey_of(key);
    BIO *bio CLEANUP(bio_freep) = BIO_new(BIO_s_secmem());
    if (pkey == NULL || bio == NULL) {
        ERR_clear_error();
        return FAIL(ERR_MEMORY);
    }
    bool written = !pkcs8 ? write_traditional(bio, pkey, passphrase)
                   : passphrase == NULL
                       ? PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1
                       : write_encrypted(bio, pkey, passphrase);
    char *bytes = NULL;
    if (!written) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    long len = BIO_get_mem_data(bio, &bytes);
    return buf_add(out, span_of(bytes, (size_t)len));
}
