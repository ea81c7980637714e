/* openssh-key-v1 (OpenSSH PROTOCOL.key): reading and writing. */
#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"
#include "ssh/bcrypt_pbkdf.h"
#include "ssh/private_key_internal.h"
#include "ssh/wire.h"

static const char begin_mark[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char end_mark[] = "-----END OPENSSH PRIVATE KEY-----";
static const char magic[] = "openssh-key-v1"; /* with its NUL */

enum { LINE_CHARS = 70, SALT_BYTES = 16, PLAIN_BLOCK_BYTES = 8, PADDED_BYTES_MAX = 16 };

/* The clear outside of a file, borrowed from the decoded bytes. */
struct container {
    span_t cipher_name;
    const struct private_cipher *cipher; /* NULL: "none", or one not known here */
    span_t salt;
    uint32_t rounds; /* 0: kdf "none" */
    span_t public_blob;
    span_t sealed;
    span_t tag;
};

bool private_key_is_openssh(span_t file) { return span_find_str(file, begin_mark) != NULL; }

/* What stands between the marks, decoded. */
static err_t unarmour(span_t file, struct buf *out) {
    struct buf letters CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    const uint8_t *from = span_find_str(file, begin_mark);
    if (from == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    from += sizeof begin_mark - 1;
    span_t rest = span_of(from, file.len - (size_t)(from - file.data));
    const uint8_t *end = span_find_str(rest, end_mark);
    if (end == NULL) {
        return FAIL(ERR_TRUNCATED);
    }
    for (; from < end; from++) {
        if (strchr(" \t\r\n", *from) == NULL || *from == '\0') {
            TRY(buf_add_byte(&letters, *from));
        }
    }
    return base64_decode(buf_span(&letters), BASE64_STANDARD, out);
}

static err_t get_kdf(span_t *from, struct container *out) {
    span_t name;
    span_t options;
    TRY(wire_get_string(from, &name));
    TRY(wire_get_string(from, &options));
    bool encrypted = !span_equal_str(out->cipher_name, "none");
    if (span_equal_str(name, "none")) {
        /* A cipher without a key to it makes no sense, and neither does the reverse. */
        return encrypted || options.len != 0 ? FAIL(ERR_MALFORMED) : OK;
    }
    if (!span_equal_str(name, "bcrypt")) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(wire_get_string(&options, &out->salt));
    TRY(wire_get_u32(&options, &out->rounds));
    TRY(wire_expect_end(options));
    return !encrypted || out->rounds == 0 || out->salt.len == 0 ? FAIL(ERR_MALFORMED) : OK;
}

static err_t get_container(span_t from, struct container *out) {
    struct container found = {0};
    span_t start;
    uint32_t count;
    TRY(wire_get_bytes(&from, sizeof magic, &start));
    if (memcmp(start.data, magic, sizeof magic) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(wire_get_text(&from, &found.cipher_name));
    TRY(get_kdf(&from, &found));
    found.cipher = private_cipher_by_name(found.cipher_name);
    TRY(wire_get_u32(&from, &count));
    if (count != 1) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(wire_get_string(&from, &found.public_blob));
    TRY(wire_get_string(&from, &found.sealed));
    TRY(wire_get_bytes(&from, found.cipher == NULL ? 0 : found.cipher->tag_len, &found.tag));
    if (found.rounds == 0 || found.cipher != NULL) {
        TRY(wire_expect_end(from));
    }
    *out = found;
    return OK;
}

err_t private_key_inspect_openssh(span_t file, struct private_key_info *out) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key_info info = {.format = PRIVATE_KEY_OPENSSH};
    struct container container;
    TRY(unarmour(file, &bytes));
    TRY(get_container(buf_span(&bytes), &container));
    info.encrypted = container.rounds != 0;
    info.kdf_rounds = container.rounds;
    (void)stpcpy(info.kdf, info.encrypted ? "bcrypt" : "none");
    if (info.encrypted) {
        if (container.cipher_name.len >= sizeof info.cipher ||
            !text_is_printable(container.cipher_name)) {
            return FAIL(ERR_MALFORMED);
        }
        memcpy(info.cipher, container.cipher_name.data, container.cipher_name.len);
    }
    TRY(key_parse(container.public_blob, &info.public_key));
    *out = info;
    return OK;
}

static err_t unseal(const struct container *container, const secret_t *passphrase,
                    struct buf *out) {
    const struct private_cipher *cipher = container->cipher;
    TRY(buf_add(out, container->sealed));
    if (container->rounds == 0) {
        return out->len % PLAIN_BLOCK_BYTES == 0 ? OK : FAIL(ERR_MALFORMED);
    }
    if (passphrase == NULL) {
        return FAIL(ERR_ENCRYPTED);
    }
    if (cipher == NULL) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (out->len == 0 || out->len % cipher->block_len != 0) {
        return FAIL(ERR_MALFORMED);
    }
    if (container->rounds > LIMIT_KDF_ROUNDS) {
        return FAIL(ERR_RANGE);
    }
    if (passphrase->len == 0) {
        return FAIL(ERR_PASSPHRASE); /* ssh-keygen writes no such file */
    }
    uint8_t key_iv[PRIVATE_CIPHER_KEY_BYTES_MAX];
    TRY(bcrypt_pbkdf(secret_span(passphrase), container->salt, container->rounds, key_iv,
                     (size_t)cipher->key_len + cipher->iv_len));
    err_t err = private_cipher_decrypt(cipher, key_iv, out->data, out->len, container->tag.data);
    secret_wipe(key_iv, sizeof key_iv);
    return err;
}

/* "1, 2, 3, …": deterministic, and less than a block; PuTTY fills to 16 whatever the cipher. */
static err_t check_padding(span_t padding) {
    if (padding.len >= PADDED_BYTES_MAX) {
        return FAIL(ERR_TRAILING);
    }
    for (size_t i = 0; i < padding.len; i++) {
        if (padding.data[i] != i + 1) {
            return FAIL(ERR_MALFORMED);
        }
    }
    return OK;
}

static err_t get_private(span_t from, const struct container *container, struct private_key **out,
                         char **comment) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    uint32_t check_1;
    uint32_t check_2;
    span_t text;
    TRY(wire_get_u32(&from, &check_1));
    TRY(wire_get_u32(&from, &check_2));
    if (check_1 != check_2) {
        return FAIL(container->rounds == 0 ? ERR_MALFORMED : ERR_PASSPHRASE);
    }
    TRY(private_key_get_wire(&from, &key));
    TRY(wire_get_text(&from, &text));
    if (text.len > LIMIT_KEY_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(check_padding(from));
    if (!span_equal(container->public_blob, key_blob(key->public_key))) {
        return FAIL(ERR_KEY_INVALID);
    }
    if (comment != NULL) {
        TRY(span_to_str(text, comment));
    }
    *out = TAKE(key);
    return OK;
}

err_t private_key_load_openssh(span_t file, const secret_t *passphrase, struct private_key **out,
                               char **comment) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf plain CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct container container;
    TRY(unarmour(file, &bytes));
    TRY(get_container(buf_span(&bytes), &container));
    /* Tells a DSA key or a certificate before a passphrase is asked for. */
    struct key *shown CLEANUP(key_freep) = NULL;
    TRY(key_parse(container.public_blob, &shown));
    TRY(unseal(&container, passphrase, &plain));
    return get_private(buf_span(&plain), &container, out, comment);
}

static err_t put_private(const struct private_key *key, const char *comment, size_t block_len,
                         struct buf *out) {
    uint32_t check;
    random_bytes(&check, sizeof check);
    TRY(wire_put_u32(out, check));
    TRY(wire_put_u32(out, check));
    TRY(private_key_put_wire(key, out));
    TRY(wire_put_text(out, comment));
    for (uint8_t pad = 1; out->len % block_len != 0; pad++) {
        TRY(buf_add_byte(out, pad));
    }
    return OK;
}

static err_t put_sealed(const struct private_key *key, const char *comment,
                        const secret_t *passphrase, uint32_t rounds, struct buf *out) {
    struct buf plain CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    const struct private_cipher *cipher = private_cipher_by_name(SPAN_LITERAL("aes256-ctr"));
    size_t kdf_options;
    uint8_t salt[SALT_BYTES];
    uint8_t key_iv[PRIVATE_CIPHER_KEY_BYTES_MAX];
    random_bytes(salt, sizeof salt);
    TRY(wire_put_text(out, cipher->name));
    TRY(wire_put_text(out, "bcrypt"));
    TRY(wire_string_begin(out, &kdf_options));
    TRY(wire_put_string(out, span_of(salt, sizeof salt)));
    TRY(wire_put_u32(out, rounds));
    wire_string_end(out, kdf_options);
    TRY(wire_put_u32(out, 1));
    TRY(wire_put_string(out, key_blob(key->public_key)));
    TRY(put_private(key, comment, cipher->block_len, &plain));
    TRY(bcrypt_pbkdf(secret_span(passphrase), span_of(salt, sizeof salt), rounds, key_iv,
                     (size_t)cipher->key_len + cipher->iv_len));
    err_t err = private_cipher_encrypt(cipher, key_iv, plain.data, plain.len);
    secret_wipe(key_iv, sizeof key_iv);
    TRY(err);
    return wire_put_string(out, buf_span(&plain));
}

static err_t put_plain(const struct private_key *key, const char *comment, struct buf *out) {
    struct buf plain CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(wire_put_text(out, "none"));
    TRY(wire_put_text(out, "none"));
    TRY(wire_put_text(out, ""));
    TRY(wire_put_u32(out, 1));
    TRY(wire_put_string(out, key_blob(key->public_key)));
    TRY(put_private(key, comment, PLAIN_BLOCK_BYTES, &plain));
    return wire_put_string(out, buf_span(&plain));
}

static err_t armour(span_t bytes, struct buf *out) {
    struct buf letters CLEANUP(buf_done) = BUF(2 * LIMIT_KEY_FILE_BYTES);
    TRY(base64_encode(bytes, BASE64_STANDARD, &letters));
    TRY(buf_add_str(out, begin_mark));
    TRY(buf_add_byte(out, '\n'));
    for (size_t at = 0; at < letters.len; at += LINE_CHARS) {
        size_t len = letters.len - at < LINE_CHARS ? letters.len - at : LINE_CHARS;
        TRY(buf_add(out, span_of(letters.data + at, len)));
        TRY(buf_add_byte(out, '\n'));
    }
    TRY(buf_add_str(out, end_mark));
    return buf_add_byte(out, '\n');
}

err_t private_key_write(const struct private_key *key, const char *comment,
                        const secret_t *passphrase, uint32_t rounds, struct buf *out) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    const char *text = comment == NULL ? "" : comment;
    if (strlen(text) > LIMIT_KEY_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_add(&bytes, span_of(magic, sizeof magic)));
    if (passphrase == NULL) {
        TRY(put_plain(key, text, &bytes));
    } else {
        if (passphrase->len == 0 || rounds == 0 || rounds > LIMIT_KDF_ROUNDS) {
            return FAIL(ERR_RANGE);
        }
        TRY(put_sealed(key, text, passphrase, rounds, &bytes));
    }
    size_t before = out->len;
    err_t err = armour(buf_span(&bytes), out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
