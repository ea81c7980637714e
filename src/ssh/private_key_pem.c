/* PKCS#8 (RFC 5958) and traditional PEM, read by libcrypto; how they are protected, by us. */
#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "ssh/crypto.h"
#include "ssh/private_key_internal.h"

static void bio_freep(BIO **bio) { BIO_free(*bio); }
static void x509_sig_freep(X509_SIG **sig) { X509_SIG_free(*sig); }
static void pbe_freep(PBEPARAM **param) { PBEPARAM_free(*param); }
static void pbe2_freep(PBE2PARAM **param) { PBE2PARAM_free(*param); }
static void pbkdf2_freep(PBKDF2PARAM **param) { PBKDF2PARAM_free(*param); }

/* One PEM block: "-----BEGIN name-----", headers, and the bytes. */
struct block {
    char *name;
    char *header;
    uint8_t *data;
    long len;
    span_t text; /* where it stands in the file, no other block with it */
};

static void block_done(struct block *block) {
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    if (block->data != NULL) {
        secret_wipe(block->data, (size_t)block->len);
    }
    OPENSSL_free(block->data);
}

static size_t unread(BIO *bio) {
    int left = BIO_pending(bio);
    return left < 0 ? 0 : (size_t)left;
}

/* The first private key of the file; "EC PARAMETERS" may stand before it. */
static err_t find_block(span_t file, struct block *out) {
    BIO *bio CLEANUP(bio_freep) = BIO_new_mem_buf(file.data, (int)file.len);
    if (bio == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (;;) {
        struct block block CLEANUP(block_done) = {0};
        size_t from = file.len - unread(bio);
        if (PEM_read_bio(bio, &block.name, &block.header, &block.data, &block.len) != 1) {
            ERR_clear_error();
            return FAIL(ERR_MALFORMED);
        }
        if (strstr(block.name, "PRIVATE KEY") != NULL) {
            block.text = span_of(file.data + from, file.len - unread(bio) - from);
            *out = block;
            block = (struct block){0};
            return OK;
        }
    }
}

static err_t to_key(EVP_PKEY *pkey, struct private_key **out) {
    struct buf fields CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    const struct key_kind *kind = NULL;
    TRY(private_pkey_fields(pkey, &kind, &fields));
    span_t from = buf_span(&fields);
    return private_key_from_fields(kind, &from, out);
}

/* OpenSSL's names in the way OpenSSH writes them: "aes-256-cbc". */
static void set_cipher(struct private_key_info *info, const char *name) {
    size_t i = 0;
    for (; name[i] != '\0' && name[i] != ',' && i + 1 < sizeof info->cipher; i++) {
        info->cipher[i] = (char)tolower((unsigned char)name[i]);
    }
    info->cipher[i] = '\0';
}

static uint32_t iterations_of(const ASN1_INTEGER *number) {
    int64_t iterations = 0;
    if (number == NULL || ASN1_INTEGER_get_int64(&iterations, number) != 1 || iterations < 0 ||
        iterations > UINT32_MAX) {
        return UINT32_MAX; /* more than anybody runs */
    }
    return (uint32_t)iterations;
}

static void inspect_kdf(const X509_ALGOR *keyfunc, struct private_key_info *info) {
    int nid = OBJ_obj2nid(keyfunc->algorithm);
    (void)stpcpy(info->kdf, nid == NID_id_scrypt ? "scrypt" : "pem");
    if (nid != NID_id_pbkdf2) {
        return;
    }
    (void)stpcpy(info->kdf, "pbkdf2");
    PBKDF2PARAM *param CLEANUP(pbkdf2_freep) =
        ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), keyfunc->parameter);
    info->kdf_rounds = iterations_of(param == NULL ? NULL : param->iter);
}

/* EncryptedPrivateKeyInfo: the algorithms are in the clear. */
static err_t inspect_pkcs8(const struct block *block, struct private_key_info *info) {
    const uint8_t *from = block->data;
    const X509_ALGOR *algorithm;
    X509_SIG *outer CLEANUP(x509_sig_freep) = d2i_X509_SIG(NULL, &from, block->len);
    if (outer == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    X509_SIG_get0(outer, &algorithm, NULL);
    (void)stpcpy(info->kdf, "pem");
    if (OBJ_obj2nid(algorithm->algorithm) != NID_pbes2) {
        const char *name = OBJ_nid2ln(OBJ_obj2nid(algorithm->algorithm));
        set_cipher(info, name == NULL ? "" : name);
        /* PKCS#5 version 1 and PKCS#12: salt and iterations. */
        PBEPARAM *old CLEANUP(pbe_freep) =
            ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
        info->kdf_rounds = iterations_of(old == NULL ? NULL : old->iter);
        return OK;
    }
    PBE2PARAM *param CLEANUP(pbe2_freep) =
        ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
    if (param == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    const char *name = OBJ_nid2ln(OBJ_obj2nid(param->encryption->algorithm));
    set_cipher(info, name == NULL ? "" : name);
    inspect_kdf(param->keyfunc, info);
    return OK;
}

/* "DEK-Info: AES-128-CBC,…" (RFC 1421): MD5 once over, which is no protection to speak of. */
static err_t inspect_traditional(const struct block *block, struct private_key_info *info) {
    static const char mark[] = "DEK-Info: ";
    const char *dek = strstr(block->header, mark);
    if (strstr(block->name, "DSA") != NULL) {
        return FAIL(ERR_KEY_DSA);
    }
    info->format = PRIVATE_KEY_PEM;
    (void)stpcpy(info->kdf, "none");
    if (strstr(block->header, "ENCRYPTED") != NULL) {
        info->encrypted = true;
        (void)stpcpy(info->kdf, "pem");
        set_cipher(info, dek == NULL ? "" : dek + sizeof mark - 1);
    }
    return OK;
}

/* Everything but the public key. *text is the block that all of it was told of. */
static err_t inspect(span_t file, struct private_key_info *info, span_t *text) {
    struct block block CLEANUP(block_done) = {0};
    err_t refusal = key_text_check(file);
    if (refusal.code != ERR_NONE && refusal.code != ERR_KEY_PRIVATE) {
        return refusal;
    }
    if (span_find_str(file, "SSH PRIVATE KEY FILE FORMAT") != NULL) {
        return FAIL(ERR_KEY_RSA1);
    }
    TRY(find_block(file, &block));
    *text = block.text;
    *info = (struct private_key_info){.format = PRIVATE_KEY_PKCS8};
    err_t err = OK;
    if (strcmp(block.name, "ENCRYPTED PRIVATE KEY") == 0) {
        info->encrypted = true;
        err = inspect_pkcs8(&block, info);
        ERR_clear_error();
    } else if (strcmp(block.name, "PRIVATE KEY") == 0) {
        (void)stpcpy(info->kdf, "none");
    } else {
        err = inspect_traditional(&block, info);
    }
    return err;
}

static int give_passphrase(char *to, int size, int writing, void *context) {
    const secret_t *passphrase = context;
    (void)writing;
    if (passphrase == NULL || passphrase->len == 0 || passphrase->len > (size_t)size) {
        return -1;
    }
    memcpy(to, passphrase->text, passphrase->len);
    return (int)passphrase->len;
}

static err_t load(span_t text, const struct private_key_info *info, const secret_t *passphrase,
                  struct private_key **out) {
    BIO *bio CLEANUP(bio_freep) = BIO_new_mem_buf(text.data, (int)text.len);
    if (bio == NULL) {
        return FAIL(ERR_MEMORY);
    }
    EVP_PKEY *pkey CLEANUP(crypto_pkey_freep) =
        PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)(uintptr_t)passphrase);
    ERR_clear_error();
    if (pkey == NULL) {
        return FAIL(info->encrypted ? ERR_PASSPHRASE : ERR_MALFORMED);
    }
    return to_key(pkey, out);
}

err_t private_key_load_pem(span_t file, const secret_t *passphrase, struct private_key **out) {
    struct private_key_info info;
    span_t text;
    TRY(inspect(file, &info, &text));
    if (info.encrypted && passphrase == NULL) {
        return FAIL(ERR_ENCRYPTED);
    }
    if (info.kdf_rounds > LIMIT_PBKDF2_ITERATIONS) {
        return FAIL(ERR_RANGE);
    }
    return load(text, &info, passphrase, out);
}

err_t private_key_inspect_pem(span_t file, struct private_key_info *out) {
    struct private_key_info info;
    span_t text;
    TRY(inspect(file, &info, &text));
    if (!info.encrypted) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        TRY(load(text, &info, NULL, &key));
        TRY(key_copy(private_key_public(key), &info.public_key));
    }
    *out = info;
    return OK;
}
