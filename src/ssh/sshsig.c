#include "ssh/sshsig.h"

#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "ssh/crypto.h"
#include "ssh/wire.h"

static const char begin_mark[] = "-----BEGIN SSH SIGNATURE-----";
static const char end_mark[] = "-----END SSH SIGNATURE-----";

/* Not a string of the wire: six bytes and no length. */
#define MAGIC SPAN_LITERAL("SSHSIG")

enum { VERSION = 1, LINE_CHARS = 70, FILE_BYTES_MAX = LIMIT_KEY_LINE_CHARS };

static err_t put_data(const char *namespace, const char *hash_name, span_t hash, struct buf *out) {
    TRY(buf_add(out, MAGIC));
    TRY(wire_put_text(out, namespace));
    TRY(wire_put_text(out, "")); /* reserved */
    TRY(wire_put_text(out, hash_name));
    return wire_put_string(out, hash);
}

err_t sshsig_put_data(const char *namespace, span_t message, struct buf *out) {
    uint8_t hash[CRYPTO_SHA512_BYTES];
    size_t before = out->len;
    crypto_sha512(message, hash);
    err_t err = put_data(namespace, "sha512", span_of(hash, sizeof hash), out);
    out->len = failed(err) ? before : out->len;
    return err;
}

static err_t put_blob(const struct key *key, const char *namespace, span_t signature,
                      struct buf *out) {
    TRY(buf_add(out, MAGIC));
    TRY(wire_put_u32(out, VERSION));
    TRY(wire_put_string(out, key_blob(key)));
    TRY(wire_put_text(out, namespace));
    TRY(wire_put_text(out, ""));
    TRY(wire_put_text(out, "sha512"));
    return wire_put_string(out, signature);
}

static err_t put_file(span_t letters, struct buf *out) {
    TRY(buf_add_format(out, "%s\n", begin_mark));
    for (size_t at = 0; at < letters.len; at += LINE_CHARS) {
        size_t left = letters.len - at;
        TRY(buf_add(out, span_of(letters.data + at, left < LINE_CHARS ? left : LINE_CHARS)));
        TRY(buf_add_byte(out, '\n'));
    }
    return buf_add_format(out, "%s\n", end_mark);
}

err_t sshsig_print(const struct key *key, const char *namespace, span_t signature,
                   struct buf *out) {
    struct buf blob CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    struct buf letters CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    size_t before = out->len;
    TRY(put_blob(key, namespace, signature, &blob));
    TRY(base64_encode(buf_span(&blob), BASE64_STANDARD, &letters));
    err_t err = put_file(buf_span(&letters), out);
    out->len = failed(err) ? before : out->len;
    return err;
}

static span_t take_line(span_t *from) {
    span_t line = span_until(from, '\n');
    line.len -= line.len > 0 && line.data[line.len - 1] == '\r';
    return line;
}

static err_t get_letters(span_t file, struct buf *out) {
    if (!span_equal_str(take_line(&file), begin_mark)) {
        return FAIL(ERR_MALFORMED);
    }
    for (;;) {
        TRY(file.len == 0 ? FAIL(ERR_TRUNCATED) : OK);
        span_t line = take_line(&file);
        if (span_equal_str(line, end_mark)) {
            return wire_expect_end(file);
        }
        TRY(buf_add(out, line));
    }
}

/* Fields of the blob, borrowed from it. */
struct fields {
    span_t key, namespace, hash_name, signature;
};

static err_t get_fields(span_t blob, struct fields *out) {
    span_t magic, reserved;
    uint32_t version;
    TRY(wire_get_bytes(&blob, MAGIC.len, &magic));
    TRY(span_equal(magic, MAGIC) ? OK : FAIL(ERR_MALFORMED));
    TRY(wire_get_u32(&blob, &version));
    TRY(version == VERSION ? OK : FAIL(ERR_UNSUPPORTED));
    TRY(wire_get_string(&blob, &out->key));
    TRY(wire_get_string(&blob, &out->namespace));
    TRY(wire_get_string(&blob, &reserved)); /* "ignored if not empty" */
    TRY(wire_get_string(&blob, &out->hash_name));
    TRY(wire_get_string(&blob, &out->signature));
    return wire_expect_end(blob);
}

static err_t put_data_of(const struct fields *fields, const char *namespace, span_t message,
                         struct buf *out) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    if (span_equal_str(fields->hash_name, "sha512")) {
        return sshsig_put_data(namespace, message, out);
    }
    TRY(span_equal_str(fields->hash_name, "sha256") ? OK : FAIL(ERR_UNSUPPORTED));
    crypto_sha256(message, hash);
    return put_data(namespace, "sha256", span_of(hash, sizeof hash), out);
}

err_t sshsig_verify(span_t file, const char *namespace, span_t message, struct key **out) {
    struct buf letters CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    struct buf blob CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    struct buf data CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    struct key *key CLEANUP(key_freep) = NULL;
    struct fields fields;
    TRY(get_letters(file, &letters));
    TRY(base64_decode(buf_span(&letters), BASE64_STANDARD, &blob));
    TRY(get_fields(buf_span(&blob), &fields));
    TRY(span_equal_str(fields.namespace, namespace) ? OK : FAIL(ERR_CONFLICT));
    TRY(key_parse(fields.key, &key));
    TRY(put_data_of(&fields, namespace, message, &data));
    TRY(key_verify(key, buf_span(&data), fields.signature, NULL));
    *out = TAKE(key);
    return OK;
}
