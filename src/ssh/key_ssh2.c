/* Public key files of RFC 4716, the "SSH2" form: what ssh.com's tools, some appliances and
 * PuTTYgen's "Save public key" write. */
#include "base/limits.h"
#include "base/text.h"
#include "ssh/key_internal.h"

static const char begin_mark[] = "---- BEGIN SSH2 PUBLIC KEY ----";
static const char end_mark[] = "---- END SSH2 PUBLIC KEY ----";

/* Section 3.3: a tag of 64 bytes, a value of 1024; section 3.1: lines of 72. */
enum { TAG_CHARS_MAX = 64, VALUE_CHARS_MAX = 1024, LINE_CHARS = 72, BODY_LINE_CHARS = 64 };

static bool starts_with(span_t text, const char *part) {
    size_t len = strlen(part);
    return text.len >= len && memcmp(text.data, part, len) == 0;
}

static span_t trim_end(span_t line) {
    while (line.len != 0 && strchr(" \t\r\n", line.data[line.len - 1]) != NULL) {
        line.len--;
    }
    return line;
}

static err_t get_line(span_t *from, span_t *out) {
    if (from->len == 0) {
        return FAIL(ERR_TRUNCATED);
    }
    *out = trim_end(span_until(from, '\n'));
    return OK;
}

/* A value goes on in the next line where it ends with a backslash. */
static err_t get_value(span_t *from, span_t first, struct buf *out) {
    span_t part = first;
    while (part.len != 0 && part.data[part.len - 1] == '\\') {
        TRY(buf_add(out, span_of(part.data, part.len - 1)));
        TRY(get_line(from, &part));
    }
    return buf_add(out, part);
}

/* "Comment" in any case; the quotes around it are no part of it (section 3.3.2). */
static err_t take_header(span_t line, span_t *from, struct buf *comment) {
    static const char name[] = "comment";
    struct buf value CLEANUP(buf_done) = BUF(VALUE_CHARS_MAX);
    span_t rest = line;
    span_t tag = span_until(&rest, ':');
    if (tag.len == 0 || tag.len > TAG_CHARS_MAX || rest.len == 0 || rest.data[0] != ' ') {
        return FAIL(ERR_MALFORMED);
    }
    TRY(get_value(from, span_of(rest.data + 1, rest.len - 1), &value));
    if (tag.len != sizeof name - 1 ||
        strncasecmp((const char *)tag.data, name, sizeof name - 1) != 0) {
        return OK;
    }
    span_t text = buf_span(&value);
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"') {
        text = span_of(text.data + 1, text.len - 2);
    }
    buf_clear(comment);
    return buf_add(comment, text);
}

err_t key_parse_ssh2(span_t file, struct key **out, char **comment) {
    struct buf letters CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct buf text CLEANUP(buf_done) = BUF(VALUE_CHARS_MAX);
    struct key *key CLEANUP(key_freep) = NULL;
    span_t line;
    if (!key_is_ssh2(file)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(get_line(&file, &line));
    if (!span_equal_str(line, begin_mark)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(get_line(&file, &line));
    while (line.len != 0 && memchr(line.data, ':', line.len) != NULL) {
        TRY(take_header(line, &file, &text));
        TRY(get_line(&file, &line));
    }
    while (!span_equal_str(line, end_mark)) {
        TRY(buf_add(&letters, line));
        TRY(get_line(&file, &line));
    }
    if (trim_end(file).len != 0) {
        return FAIL(ERR_TRAILING);
    }
    TRY(base64_decode(buf_span(&letters), BASE64_STANDARD, &blob));
    TRY(key_parse(buf_span(&blob), &key));
    TRY(key_comment_check(buf_span(&text)));
    if (comment != NULL) {
        TRY(buf_to_str(&text, comment));
    }
    *out = TAKE(key);
    return OK;
}

bool key_is_ssh2(span_t file) { return starts_with(file, begin_mark); }

static err_t put_comment(span_t comment, struct buf *out) {
    struct buf line CLEANUP(buf_done) = BUF(VALUE_CHARS_MAX + TAG_CHARS_MAX);
    TRY(buf_add_str(&line, "Comment: \""));
    TRY(buf_add(&line, comment));
    TRY(buf_add_byte(&line, '"'));
    size_t at = 0;
    for (; line.len - at > LINE_CHARS; at += LINE_CHARS - 1) {
        TRY(buf_add(out, span_of(line.data + at, LINE_CHARS - 1)));
        TRY(buf_add_str(out, "\\\n"));
    }
    TRY(buf_add(out, span_of(line.data + at, line.len - at)));
    return buf_add_byte(out, '\n');
}

static err_t put_file(const struct key *key, span_t comment, struct buf *out) {
    struct buf letters CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    TRY(base64_encode(key_blob(key), BASE64_STANDARD, &letters));
    TRY(buf_add_format(out, "%s\n", begin_mark));
    TRY(comment.len != 0 ? put_comment(comment, out) : OK);
    for (size_t at = 0; at < letters.len; at += BODY_LINE_CHARS) {
        size_t left = letters.len - at;
        TRY(buf_add(out, span_of(letters.data + at,
                                 left < BODY_LINE_CHARS ? left : (size_t)BODY_LINE_CHARS)));
        TRY(buf_add_byte(out, '\n'));
    }
    return buf_add_format(out, "%s\n", end_mark);
}

err_t key_print_ssh2(const struct key *key, const char *comment, struct buf *out) {
    span_t text = comment == NULL ? (span_t){0} : span_str(comment);
    TRY(key_comment_check(text));
    if (text.len > VALUE_CHARS_MAX - 2) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = out->len;
    err_t err = put_file(key, text, out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}
