/* Reading PuTTY's .ppk files. Lines come in one order, each "Name: value". */
#include "ssh/private_key_ppk.h"
#include "base/limits.h"
#include "base/text.h"
#include "ssh/cert.h"
#include "ssh/wire.h"

static const char head[] = "PuTTY-User-Key-File-";

enum { LINE_CHARS_MAX = 64 }; /* of base64 */

bool private_key_is_ppk(span_t file) {
    return file.len >= sizeof head - 1 && memcmp(file.data, head, sizeof head - 1) == 0;
}

static err_t get_line(span_t *from, span_t *out) {
    if (from->len == 0) {
        return FAIL(ERR_TRUNCATED);
    }
    span_t line = span_until(from, '\n');
    if (line.len != 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    *out = line;
    return OK;
}

/* "name: value" */
static err_t get_value(span_t *from, const char *name, span_t *out) {
    span_t line;
    size_t len = strlen(name);
    TRY(get_line(from, &line));
    if (line.len < len + 2 || memcmp(line.data, name, len) != 0 ||
        memcmp(line.data + len, ": ", 2) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    *out = span_of(line.data + len + 2, line.len - len - 2);
    return OK;
}

static err_t get_number(span_t *from, const char *name, uint32_t *out) {
    span_t text;
    uint64_t number;
    TRY(get_value(from, name, &text));
    TRY(u64_parse(text, &number));
    if (number > UINT32_MAX) {
        return FAIL(ERR_RANGE);
    }
    *out = (uint32_t)number;
    return OK;
}

static err_t get_hex(span_t *from, const char *name, struct buf *out) {
    span_t text;
    TRY(get_value(from, name, &text));
    return hex_decode(text, out);
}

/* A count, and so many lines of base64. */
static err_t get_blob(span_t *from, const char *name, struct buf *out) {
    struct buf letters CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    uint32_t count;
    TRY(get_number(from, name, &count));
    for (uint32_t i = 0; i < count; i++) {
        span_t line;
        TRY(get_line(from, &line));
        if (line.len == 0 || line.len > LINE_CHARS_MAX) {
            return FAIL(ERR_MALFORMED);
        }
        TRY(buf_add(&letters, line));
    }
    return base64_decode(buf_span(&letters), BASE64_STANDARD, out);
}

static err_t get_kdf(span_t *from, struct ppk *out) {
    static const struct {
        const char *name, *shown;
        enum crypto_argon2 algorithm;
    } kdfs[] = {{"Argon2id", "argon2id", CRYPTO_ARGON2ID},
                {"Argon2i", "argon2i", CRYPTO_ARGON2I},
                {"Argon2d", "argon2d", CRYPTO_ARGON2_NONE}};
    span_t name;
    TRY(get_value(from, "Key-Derivation", &name));
    for (size_t i = 0; i < COUNT_OF(kdfs); i++) {
        if (span_equal_str(name, kdfs[i].name)) {
            (void)stpcpy(out->kdf_name, kdfs[i].shown);
            out->kdf.algorithm = kdfs[i].algorithm;
            TRY(get_number(from, "Argon2-Memory", &out->kdf.memory_kib));
            TRY(get_number(from, "Argon2-Passes", &out->kdf.passes));
            TRY(get_number(from, "Argon2-Parallelism", &out->kdf.lanes));
            return get_hex(from, "Argon2-Salt", &out->kdf.salt);
        }
    }
    return FAIL(ERR_KEY_KDF);
}

static err_t get_encryption(span_t *from, struct ppk *out) {
    span_t name;
    TRY(get_value(from, "Encryption", &name));
    out->encrypted = span_equal_str(name, "aes256-cbc");
    if (!out->encrypted && !span_equal_str(name, "none")) {
        return FAIL(ERR_UNSUPPORTED);
    }
    (void)stpcpy(out->kdf_name, out->encrypted ? "sha1" : "none");
    return OK;
}

/* *out is ppk_empty() and done by the caller, whatever comes. */
static err_t get_file(span_t from, struct ppk *out) {
    bool version_2 = from.len >= sizeof head && from.data[sizeof head - 1] == '2';
    out->version = version_2 ? 2 : 3;
    TRY(get_value(&from, version_2 ? "PuTTY-User-Key-File-2" : "PuTTY-User-Key-File-3",
                  &out->type));
    TRY(get_encryption(&from, out));
    TRY(get_value(&from, "Comment", &out->comment));
    if (out->comment.len > LIMIT_KEY_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(get_blob(&from, "Public-Lines", &out->public_blob));
    if (out->encrypted && !version_2) {
        TRY(get_kdf(&from, out));
    }
    TRY(get_blob(&from, "Private-Lines", &out->private_blob));
    if (out->encrypted &&
        (out->private_blob.len == 0 || out->private_blob.len % PPK_BLOCK_BYTES != 0)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(get_hex(&from, "Private-MAC", &out->mac));
    return wire_expect_end(from);
}

/* *cert is NULL for a plain key. */
static err_t get_public(const struct ppk *ppk, struct key **key, struct cert **cert) {
    span_t blob = buf_span(&ppk->public_blob);
    span_t rest = blob;
    span_t inside;
    TRY(wire_get_string(&rest, &inside));
    if (!span_equal(inside, ppk->type)) {
        return FAIL(ERR_MALFORMED);
    }
    if (!key_name_is_cert(inside)) {
        TRY(key_parse(blob, key));
        *cert = NULL;
        return OK;
    }
    struct cert *held CLEANUP(cert_freep) = NULL;
    TRY(cert_parse(blob, &held));
    TRY(key_copy(held->key, key));
    *cert = TAKE(held);
    return OK;
}

err_t private_key_inspect_ppk(span_t file, struct private_key_info *out) {
    struct ppk ppk CLEANUP(ppk_done) = ppk_empty();
    TRY(get_file(file, &ppk));
    struct private_key_info info = {.format =
                                        ppk.version == 2 ? PRIVATE_KEY_PPK_2 : PRIVATE_KEY_PPK,
                                    .encrypted = ppk.encrypted,
                                    .kdf_rounds = ppk.kdf.passes};
    (void)stpcpy(info.cipher, ppk.encrypted ? ppk_encryption(&ppk) : "");
    (void)stpcpy(info.kdf, ppk.kdf_name);
    TRY(span_to_str(ppk.comment, &info.comment));
    err_t err = get_public(&ppk, &info.public_key, &info.cert);
    if (failed(err)) {
        private_key_info_done(&info);
        return err;
    }
    *out = info;
    return OK;
}

/* Decrypts ppk->private_blob in place and checks that the file is whole. */
static err_t unseal(struct ppk *ppk, const secret_t *passphrase) {
    struct ppk_keys keys CLEANUP(ppk_keys_done) = {0};
    struct buf mac CLEANUP(buf_done) = BUF(PPK_MAC_BYTES_MAX);
    struct buf *private = &ppk->private_blob;
    if (ppk->encrypted && passphrase == NULL) {
        return FAIL(ERR_ENCRYPTED);
    }
    if (ppk->encrypted && passphrase->len == 0) {
        return FAIL(ERR_PASSPHRASE); /* PuTTY writes no such file */
    }
    TRY(ppk_derive(ppk, passphrase, &keys));
    if (ppk->encrypted) {
        const struct private_cipher *cipher = private_cipher_by_name(SPAN_LITERAL("aes256-cbc"));
        TRY(private_cipher_decrypt(cipher, keys.cipher, private->data, private->len, NULL));
    }
    TRY(ppk_mac(ppk, &keys, buf_span(private), &mac));
    if (!span_equal_secret(buf_span(&mac), buf_span(&ppk->mac))) {
        return FAIL(ppk->encrypted ? ERR_PASSPHRASE : ERR_MALFORMED);
    }
    return OK;
}

err_t private_key_load_ppk(span_t file, const secret_t *passphrase, struct private_key **out,
                           char **comment) {
    struct ppk ppk CLEANUP(ppk_done) = ppk_empty();
    struct key *public_key CLEANUP(key_freep) = NULL;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf fields CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(get_file(file, &ppk));
    TRY(get_public(&ppk, &public_key, &cert));
    TRY(unseal(&ppk, passphrase));
    span_t rest = buf_span(&ppk.private_blob);
    TRY(ppk_fields_get(public_key, &rest, &fields));
    if (rest.len >= (ppk.encrypted ? PPK_BLOCK_BYTES : 1)) {
        return FAIL(ERR_TRAILING); /* what is less fills the last block, and the MAC covers it */
    }
    span_t from = buf_span(&fields);
    TRY(private_key_from_fields(public_key->kind, &from, &key));
    if (!key_equal(key->public_key, public_key)) {
        return FAIL(ERR_KEY_INVALID);
    }
    if (comment != NULL) {
        TRY(span_to_str(ppk.comment, comment));
    }
    *out = TAKE(key);
    return OK;
}
