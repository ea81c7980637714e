/* The line of a public key file, and telling apart what people paste in its place. */
#include "base/limits.h"
#include "base/text.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

static bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }
static bool is_space(uint8_t byte) { return is_blank(byte) || byte == '\r' || byte == '\n'; }
static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static span_t trim(span_t text) {
    while (text.len != 0 && is_space(text.data[0])) {
        text = span_of(text.data + 1, text.len - 1);
    }
    while (text.len != 0 && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Cuts the first word off; the blanks behind it go as well. */
static span_t take_word(span_t *text) {
    span_t word = span_of(text->data, 0);
    while (word.len < text->len && !is_blank(text->data[word.len])) {
        word.len++;
    }
    size_t next = word.len;
    while (next < text->len && is_blank(text->data[next])) {
        next++;
    }
    *text = span_of(next == 0 ? text->data : text->data + next, text->len - next);
    return word;
}

static bool is_private(span_t text) {
    static const char *const marks[] = {
        "PRIVATE KEY-----", /* PEM: traditional, PKCS#8, openssh-key-v1 */
        "PRIVATE KEY ----", /* ssh.com */
        "BEGIN OPENSSH PRIVATE",
        "BEGIN RSA PRIVATE",
        "BEGIN EC PRIVATE",
        "BEGIN DSA PRIVATE",
        "BEGIN ENCRYPTED PRIVATE",
        "BEGIN PRIVATE KEY",
        "SSH PRIVATE KEY FILE FORMAT", /* protocol 1 */
        "b3BlbnNzaC1rZXktdjEA",        /* openssh-key-v1 whose first line was not copied */
        "MC4CAQAwBQYDK2VwBCIEI",       /* the whole PKCS#8 head of an Ed25519 key */
        "Private-Lines:",              /* the lower part of a .ppk */
    };
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        if (span_find_str(text, marks[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* "bits exponent modulus", all decimal. */
static bool is_rsa1(span_t text) {
    text = trim(text);
    for (int i = 0; i < 3; i++) {
        span_t word = take_word(&text);
        if (word.len == 0) {
            return false;
        }
        for (size_t j = 0; j < word.len; j++) {
            if (!is_digit(word.data[j])) {
                return false;
            }
        }
    }
    return true;
}

err_t key_text_check(span_t text) {
    if (span_find_str(text, "PuTTY-User-Key-File-") != NULL) {
        return FAIL(ERR_KEY_PPK);
    }
    if (is_private(text)) {
        return FAIL(ERR_KEY_PRIVATE);
    }
    if (span_find_str(text, "---- BEGIN SSH2 PUBLIC KEY") != NULL) {
        return FAIL(ERR_KEY_RFC4716);
    }
    return is_rsa1(text) ? FAIL(ERR_KEY_RSA1) : OK;
}

/* No UTF-8 is asked for: older comments may be in another encoding. */
err_t key_comment_check(span_t comment) {
    if (comment.len > LIMIT_KEY_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    for (size_t i = 0; i < comment.len; i++) {
        if ((comment.data[i] < ' ' && comment.data[i] != '\t') || comment.data[i] == 0x7f) {
            return FAIL(ERR_MALFORMED);
        }
    }
    return OK;
}

err_t key_line_split(span_t line, size_t line_chars_max, span_t *name, struct buf *blob,
                     span_t *comment) {
    /* First of all: a private key is longer than many limits, and must still be told as one. */
    TRY(key_text_check(line));
    if (line.len > line_chars_max) {
        return FAIL(ERR_TOO_LONG);
    }
    span_t rest = trim(line);
    span_t first = take_word(&rest);
    if (span_equal_str(first, "ssh-dss")) {
        return FAIL(ERR_KEY_DSA);
    }
    span_t letters = take_word(&rest);
    if (first.len == 0 || letters.len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(key_comment_check(rest));
    TRY(base64_decode(letters, BASE64_STANDARD, blob));
    span_t bytes = buf_span(blob);
    span_t inside;
    TRY(wire_get_string(&bytes, &inside));
    if (!span_equal(first, inside)) {
        return FAIL(ERR_MALFORMED);
    }
    *name = first;
    *comment = rest;
    return OK;
}

err_t key_line_print(const char *name, span_t blob, const char *comment, struct buf *out) {
    span_t text = comment == NULL ? span_of(NULL, 0) : span_str(comment);
    TRY(key_comment_check(text));
    size_t before = out->len;
    err_t err = buf_add_str(out, name);
    if (!failed(err)) {
        err = buf_add_byte(out, ' ');
    }
    if (!failed(err)) {
        err = base64_encode(blob, BASE64_STANDARD, out);
    }
    if (!failed(err) && text.len != 0) {
        err = buf_add_byte(out, ' ');
    }
    if (!failed(err)) {
        err = buf_add(out, text);
    }
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
