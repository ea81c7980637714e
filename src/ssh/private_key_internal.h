/* What the files of the private key module share. Not for other modules. */
#ifndef POSTERN_SSH_PRIVATE_KEY_INTERNAL_H
#define POSTERN_SSH_PRIVATE_KEY_INTERNAL_H

#include <openssl/evp.h>
#include <stdatomic.h>

#include "ssh/key_internal.h"
#include "ssh/private_key.h"

struct private_key {
    struct key *public_key;
    EVP_PKEY *pkey;    /* of ECDSA and RSA */
    struct buf fields; /* as they follow the type in openssh-key-v1 and the agent's form */
    _Atomic(EVP_MD_CTX *) context; /* taken out while in use */
};

/* Reads the fields of a kind from the front of `from`. The key has signed something that its public
 * half verifies. ERR_KEY_INVALID when it could not. */
err_t private_key_from_fields(const struct key_kind *kind, span_t *from, struct private_key **out);
/* private_key_numbers.c: libcrypto keys from the numbers in a file. */
err_t private_pkey_ec(const struct key_kind *kind, span_t point, span_t d, EVP_PKEY **out);
struct rsa_numbers {
    span_t n, e, d, iqmp, p, q;
};
err_t private_pkey_rsa(const struct rsa_numbers *numbers, EVP_PKEY **out);
/* The fields of a key that OpenSSL read or made; *kind too. ERR_KEY_DSA, ERR_UNSUPPORTED. */
err_t private_pkey_fields(EVP_PKEY *pkey, const struct key_kind **kind, struct buf *out);
/* The public key of one that OpenSSL read; the same errors, and key_parse()'s. */
err_t private_pkey_public(const EVP_PKEY *pkey, struct key **out);

/* openssh-key-v1 */
bool private_key_is_openssh(span_t file);
err_t private_key_inspect_openssh(span_t file, struct private_key_info *out);
err_t private_key_load_openssh(span_t file, const secret_t *passphrase, struct private_key **out,
                               char **comment);

/* PKCS#8 and traditional PEM */
err_t private_key_inspect_pem(span_t file, struct private_key_info *out);
err_t private_key_load_pem(span_t file, const secret_t *passphrase, struct private_key **out);

/* The ciphers of openssh-key-v1. */
struct private_cipher {
    const char *name;
    const char *algorithm; /* libcrypto's name */
    uint8_t key_len, iv_len, block_len, tag_len;
};
enum { PRIVATE_CIPHER_KEY_BYTES_MAX = 64 + 16, PRIVATE_CIPHER_TAG_BYTES_MAX = 16 };
const struct private_cipher *private_cipher_by_name(span_t name);
/* In place over len bytes; key_iv is the key followed by the IV. Decrypting gives ERR_PASSPHRASE
 * when the tag is not `tag`. */
err_t private_cipher_decrypt(const struct private_cipher *cipher, const uint8_t *key_iv,
                             uint8_t *bytes, size_t len, const uint8_t *tag);
err_t private_cipher_encrypt(const struct private_cipher *cipher, const uint8_t *key_iv,
                             uint8_t *bytes, size_t len);

#endif
