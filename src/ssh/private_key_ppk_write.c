/* Writing PuTTY's .ppk files. */
#include <openssl/err.h>

#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"
#include "ssh/cert.h"
#include "ssh/private_key_ppk.h"

/* RFC 9106 section 4, for machines with little memory, but in one lane: about 0.2 s. */
enum { LINE_CHARS = 64, MEMORY_KIB = 64 * 1024, PASSES = 4 };

static err_t put_blob(const char *name, span_t blob, struct buf *out) {
    struct buf letters CLEANUP(buf_done) = BUF(2 * LIMIT_KEY_FILE_BYTES);
    TRY(base64_encode(blob, BASE64_STANDARD, &letters));
    TRY(buf_add_format(out, "%s: %zu\n", name, (letters.len + LINE_CHARS - 1) / LINE_CHARS));
    for (size_t at = 0; at < letters.len; at += LINE_CHARS) {
        size_t len = letters.len - at < LINE_CHARS ? letters.len - at : LINE_CHARS;
        TRY(buf_add(out, span_of(letters.data + at, len)));
        TRY(buf_add_byte(out, '\n'));
    }
    return OK;
}

static err_t put_kdf(const struct ppk_kdf *kdf, struct buf *out) {
    TRY(buf_add_format(out,
                       "Key-Derivation: Argon2id\nArgon2-Memory: %u\nArgon2-Passes: %u\n"
                       "Argon2-Parallelism: %u\nArgon2-Salt: ",
                       kdf->memory_kib, kdf->passes, kdf->lanes));
    TRY(hex_encode(buf_span(&kdf->salt), out));
    return buf_add_byte(out, '\n');
}

/* Fills the last block: version 2 with the fields' SHA-1, version 3 at random. */
static err_t pad(unsigned version, struct buf *plain) {
    uint8_t filling[EVP_MAX_MD_SIZE];
    size_t len = (PPK_BLOCK_BYTES - plain->len % PPK_BLOCK_BYTES) % PPK_BLOCK_BYTES;
    if (version == 3) {
        random_bytes(filling, PPK_BLOCK_BYTES);
    } else if (EVP_Q_digest(NULL, "SHA1", NULL, plain->data, plain->len, filling, NULL) != 1) {
        ERR_clear_error();
        return FAIL(ERR_CRYPTO);
    }
    return buf_add(plain, span_of(filling, len));
}

static err_t set_kdf(struct ppk *ppk) {
    uint8_t salt[CRYPTO_ARGON2_SALT_BYTES];
    random_bytes(salt, sizeof salt);
    ppk->kdf.algorithm = CRYPTO_ARGON2ID;
    ppk->kdf.memory_kib = MEMORY_KIB;
    ppk->kdf.passes = PASSES;
    ppk->kdf.lanes = 1;
    return buf_add(&ppk->kdf.salt, span_of(salt, sizeof salt));
}

/* Makes private_blob and mac of what else is in *ppk. */
static err_t seal(struct ppk *ppk, const struct private_key *key, const secret_t *passphrase) {
    struct ppk_keys keys CLEANUP(ppk_keys_done) = {0};
    struct buf *private = &ppk->private_blob;
    TRY(ppk_fields_put(key, private));
    if (ppk->encrypted) {
        TRY(ppk->version == 3 ? set_kdf(ppk) : OK);
        TRY(pad(ppk->version, private));
    }
    TRY(ppk_derive(ppk, passphrase, &keys));
    TRY(ppk_mac(ppk, &keys, buf_span(private), &ppk->mac));
    if (ppk->encrypted) {
        const struct private_cipher *cipher = private_cipher_by_name(SPAN_LITERAL("aes256-cbc"));
        TRY(private_cipher_encrypt(cipher, keys.cipher, private->data, private->len));
    }
    return OK;
}

static err_t put_file(const struct ppk *ppk, struct buf *out) {
    TRY(buf_add_format(out, "PuTTY-User-Key-File-%u: ", ppk->version));
    TRY(buf_add(out, ppk->type));
    TRY(buf_add_format(out, "\nEncryption: %s\nComment: ", ppk_encryption(ppk)));
    TRY(buf_add(out, ppk->comment));
    TRY(buf_add_byte(out, '\n'));
    TRY(put_blob("Public-Lines", buf_span(&ppk->public_blob), out));
    if (ppk->kdf.algorithm != CRYPTO_ARGON2_NONE) {
        TRY(put_kdf(&ppk->kdf, out));
    }
    TRY(put_blob("Private-Lines", buf_span(&ppk->private_blob), out));
    TRY(buf_add_str(out, "Private-MAC: "));
    TRY(hex_encode(buf_span(&ppk->mac), out));
    return buf_add_byte(out, '\n');
}

static err_t check(const struct private_key *key, unsigned version, span_t comment,
                   const struct cert *cert, const secret_t *passphrase) {
    if ((version != 2 && version != 3) || (passphrase != NULL && passphrase->len == 0)) {
        return FAIL(ERR_RANGE);
    }
    if (comment.len > LIMIT_KEY_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    for (size_t i = 0; i < comment.len; i++) {
        if (comment.data[i] == '\n' || comment.data[i] == '\r') {
            return FAIL(ERR_MALFORMED); /* it is a line of the file */
        }
    }
    return cert != NULL && !key_equal(cert->key, key->public_key) ? FAIL(ERR_KEY_INVALID) : OK;
}

err_t private_key_write_ppk(const struct private_key *key, unsigned version, const char *comment,
                            const struct cert *cert, const secret_t *passphrase, struct buf *out) {
    struct ppk ppk CLEANUP(ppk_done) = ppk_empty();
    ppk.version = version;
    ppk.comment = comment == NULL ? (span_t){0} : span_str(comment);
    ppk.encrypted = passphrase != NULL;
    TRY(check(key, version, ppk.comment, cert, passphrase));
    ppk.type =
        span_str(cert == NULL ? key->public_key->kind->name : key->public_key->kind->cert_name);
    TRY(buf_add(&ppk.public_blob,
                cert == NULL ? key_blob(key->public_key) : buf_span(&cert->blob)));
    TRY(seal(&ppk, key, passphrase));
    size_t before = out->len;
    err_t err = put_file(&ppk, out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
