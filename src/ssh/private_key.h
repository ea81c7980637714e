/*
 * Private key files: openssh-key-v1 (PROTOCOL.key), PKCS#8, traditional PEM and PuTTY's .ppk, to
 * load, to sign, to write, and to tell how well one is protected. A private key is its own type,
 * wiped when freed; nothing here prints one except private_key_write() and its like.
 */
#ifndef POSTERN_SSH_PRIVATE_KEY_H
#define POSTERN_SSH_PRIVATE_KEY_H

#include "base/err.h"
#include "base/secret.h"
#include "ssh/key.h"

struct cert;
struct private_key;

enum private_key_format {
    PRIVATE_KEY_OPENSSH,
    PRIVATE_KEY_PKCS8,
    PRIVATE_KEY_PEM,
    PRIVATE_KEY_PPK,   /* version 3 */
    PRIVATE_KEY_PPK_2, /* version 2 */
};

struct private_key_info {
    enum private_key_format format;
    bool encrypted;
    char cipher[64];        /* "aes256-ctr"; "" when not encrypted or not told */
    char kdf[32];           /* "bcrypt", "none"; "pbkdf2", "scrypt" or "pem"; "argon2id", "sha1" */
    uint32_t kdf_rounds;    /* of bcrypt; iterations for pbkdf2, passes for Argon2; 0 where the
                               format tells none */
    struct key *public_key; /* owned; NULL where an encrypted file does not show it */
    char *comment;          /* owned; NULL unless a .ppk shows it */
    struct cert *cert;      /* owned; NULL unless a .ppk holds one, which is of public_key */
};

/* Looks without a passphrase. ERR_MALFORMED when it is no private key file, ERR_KEY_DSA,
 * ERR_KEY_RSA1, ERR_TOO_LONG. */
err_t private_key_inspect(span_t file, struct private_key_info *out);
void private_key_info_done(struct private_key_info *info);

/*
 * Loads. passphrase may be NULL: ERR_ENCRYPTED then for an encrypted file. ERR_PASSPHRASE when it
 * is wrong (both check integers; the tag or MAC where there is one). LIMIT_KDF_ROUNDS,
 * LIMIT_PBKDF2_ITERATIONS and LIMIT_ARGON2_* bound the work: ERR_RANGE. ERR_KEY_KDF for an Argon2
 * that libsodium does not have. ERR_KEY_INVALID when the halves do not match.
 * sk- keys load, and ERR_UNSUPPORTED is what signing says. *comment may be NULL; else the caller
 * frees it.
 */
err_t private_key_load(span_t file, const secret_t *passphrase, struct private_key **out,
                       char **comment);

/* A fresh key: Ed25519, ECDSA (bits 256, 384, 521) or RSA (bits 2048–16384). */
err_t private_key_generate(enum key_type type, unsigned bits, struct private_key **out);

void private_key_free(struct private_key *key);
void private_key_freep(struct private_key **key);
/* Borrowed from the private key. */
const struct key *private_key_public(const struct private_key *key);

/* Writes openssh-key-v1; encrypted with aes256-ctr and bcrypt of `rounds` when a passphrase is
 * given. */
err_t private_key_write(const struct private_key *key, const char *comment,
                        const secret_t *passphrase, uint32_t rounds, struct buf *out);

/*
 * Writes PRIVATE_KEY_PKCS8 or PRIVATE_KEY_PEM; encrypted when a passphrase is given: PKCS#8 with
 * PBKDF2 and AES-256-CBC, traditional PEM with a key that is MD5 once over it. ERR_UNSUPPORTED for
 * sk- keys, and for traditional PEM of Ed25519, which there is none of; ERR_RANGE for an empty
 * passphrase, or one beyond LIMIT_PEM_PASSPHRASE_BYTES.
 */
err_t private_key_write_pem(const struct private_key *key, enum private_key_format format,
                            const secret_t *passphrase, struct buf *out);

/*
 * Writes PuTTY's .ppk of version 2 or 3 (PuTTY 0.75 and later), with the certificate in it when
 * cert is not NULL (PuTTY 0.78 and later). Encrypted when a passphrase is given: with Argon2id, or
 * in version 2 with keys that are SHA-1 once over the passphrase. ERR_UNSUPPORTED for sk- keys,
 * which PuTTY does not know; ERR_KEY_INVALID when the certificate is of another key.
 */
err_t private_key_write_ppk(const struct private_key *key, unsigned version, const char *comment,
                            const struct cert *cert, const secret_t *passphrase, struct buf *out);

enum rsa_hash {
    RSA_SHA512,
    RSA_SHA256
}; /* rsa-sha2-512 is the default; SHA-1 does not exist here */

/* An SSH signature blob (string algorithm, string signature) over data, appended to *out. */
err_t private_key_sign(const struct private_key *key, span_t data, enum rsa_hash rsa_hash,
                       struct buf *out);

/* The agent's form (SSH_AGENTC_ADD_IDENTITY body: string type, then the type's fields, private ones
 * included). */
err_t private_key_put_wire(const struct private_key *key, struct buf *out);
err_t private_key_get_wire(span_t *from, struct private_key **out);

#endif
