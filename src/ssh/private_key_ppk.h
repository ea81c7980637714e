/*
 * What the files of PuTTY's .ppk share (PuTTY manual, appendix C "PPK file format"). Versions 2 and
 * 3; version 1 ended in 2002. Not for other modules.
 *
 * Both have the public blob in the clear, or a certificate's blob in its place, then the private
 * fields in an order of PuTTY's own, and a MAC over all of it. Version 2 derives its keys with
 * SHA-1 once over the passphrase; version 3 with Argon2.
 */
#ifndef POSTERN_SSH_PRIVATE_KEY_PPK_H
#define POSTERN_SSH_PRIVATE_KEY_PPK_H

#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"

enum { PPK_BLOCK_BYTES = 16, PPK_MAC_BYTES_MAX = 32 };

struct ppk_kdf {
    enum crypto_argon2 algorithm; /* none: not needed, or not known here */
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t lanes;
    struct buf salt;
};

/* A file whose keys and MAC are still to come. */
struct ppk {
    unsigned version;
    span_t type; /* of the public blob: a key's or a certificate's */
    span_t comment;
    bool encrypted; /* aes256-cbc is the one cipher there is */
    char kdf_name[16];
    struct ppk_kdf kdf; /* of version 3, when encrypted */
    struct buf public_blob;
    struct buf private_blob; /* as it stands in the file */
    struct buf mac;
};
struct ppk ppk_empty(void);
void ppk_done(struct ppk *ppk);

/* In the order in which version 3 derives them: the cipher's key and IV, then the MAC's key. */
struct ppk_keys {
    uint8_t cipher[32 + 16];
    uint8_t mac[PPK_MAC_BYTES_MAX];
    size_t mac_len; /* version 3 has an empty one when not encrypted */
};
void ppk_keys_done(struct ppk_keys *keys);

/* passphrase is looked at when the file is encrypted. ERR_KEY_KDF, ERR_RANGE beyond
 * LIMIT_ARGON2_*. */
err_t ppk_derive(const struct ppk *ppk, const secret_t *passphrase, struct ppk_keys *out);
/* Over the private fields in clear. Appends to *out. */
err_t ppk_mac(const struct ppk *ppk, const struct ppk_keys *keys, span_t plain, struct buf *out);
/* "aes256-cbc" or "none" */
const char *ppk_encryption(const struct ppk *ppk);

/* The private fields in PuTTY's order and in openssh-key-v1's, which has the public ones before
 * them. *from is left at what follows. */
err_t ppk_fields_get(const struct key *public_key, span_t *from, struct buf *out);
err_t ppk_fields_put(const struct private_key *key, struct buf *out);

bool private_key_is_ppk(span_t file);
err_t private_key_inspect_ppk(span_t file, struct private_key_info *out);
err_t private_key_load_ppk(span_t file, const secret_t *passphrase, struct private_key **out,
                           char **comment);

#endif
