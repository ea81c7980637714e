#include "cli/doctor/redact.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "ssh/key.h"

enum {
    SECRET_CHARS_MIN = 8,
    RUN_CHARS_MIN = 26, /* 128 bits in base32 */
    BLOB_BYTES_MAX = 64 * 1024,
    TEXT_BYTES_MAX = 16 * 1024 * 1024,
};

struct reader {
    const struct redaction *how;
    struct buf *out;
    bool in_private;      /* between BEGIN and END of a private key */
    unsigned ppk_private; /* lines of a .ppk's private half that are still to come */
};

static bool starts(span_t text, const char *with) {
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.data, with, len) == 0;
}

/* --- words that a secret follows --- */

static const char *const telling[] = {
    "password", "passwd", "passphrase",    "secret", "token",  "access_token", "api_key", "api-key",
    "apikey",   "bearer", "authorization", "totp",   "cookie", "x-api-key",    "otp",
};

static bool ends_word(uint8_t c) { return !isalnum(c) && c != '_' && c != '-'; }

/* How long the telling word is with which the text starts; 0 when there is none. */
static size_t telling_word(span_t text) {
    for (size_t i = 0; i < COUNT_OF(telling); i++) {
        size_t len = strlen(telling[i]);
        if (text.len > len && strncasecmp((const char *)text.data, telling[i], len) == 0) {
            /* "POSTERN_API_KEY=", "hpc_password: " and "password_of_mine = " tell as well. */
            while (len < text.len && !ends_word(text.data[len])) {
                len++;
            }
            return len;
        }
    }
    return 0;
}

/* "password: hunter2", "token=…", "Bearer …": how long the secret is and where it starts. */
static bool secret_after(span_t text, size_t *start, size_t *len) {
    size_t word = telling_word(text);
    if (word == 0) {
        return false;
    }
    size_t at = word;
    bool by_blank = strncasecmp((const char *)text.data, "bearer", 6) == 0;
    at += at < text.len && (text.data[at] == '"' || text.data[at] == '\'') ? 1 : 0;
    while (at < text.len && text.data[at] == ' ') {
        at++;
    }
    if (at == text.len || (!by_blank && text.data[at] != '=' && text.data[at] != ':')) {
        return false;
    }
    at += text.data[at] == '=' || text.data[at] == ':' ? 1 : 0;
    while (at < text.len && text.data[at] == ' ') {
        at++;
    }
    *start = at;
    /* To the end of the line: a passphrase has blanks. */
    *len = text.len - at;
    return *len > 0;
}

/* --- long runs --- */

static bool is_run_char(uint8_t c) { return isalnum(c) || strchr("+/=_-.", c) != NULL; }

struct kinds {
    size_t upper, lower, digits, slashes, others;
};

static struct kinds kinds_of(span_t run) {
    struct kinds kinds = {0};
    for (size_t i = 0; i < run.len; i++) {
        uint8_t c = run.data[i];
        kinds.upper += isupper(c) ? 1 : 0;
        kinds.lower += islower(c) ? 1 : 0;
        kinds.digits += isdigit(c) ? 1 : 0;
        kinds.slashes += c == '/' ? 1 : 0;
        kinds.others += strchr("_-.", c) != NULL ? 1 : 0;
    }
    return kinds;
}

static bool is_hex(span_t run) {
    for (size_t i = 0; i < run.len; i++) {
        if (!isxdigit(run.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_web_token(span_t run) {
    const uint8_t *dot = memchr(run.data, '.', run.len);
    return starts(run, "eyJ") && dot != NULL;
}

static bool is_ours(span_t run) {
    return run.len > 12 && starts(run, "pg") && islower(run.data[2]) && run.data[3] == '_';
}

/* Random text has letters of both cases and digits in it, and is no path or list of algorithms. */
static bool is_random(span_t run) {
    if (run.len < RUN_CHARS_MIN || run.data[0] == '/') {
        return false;
    }
    struct kinds kinds = kinds_of(run);
    if (is_hex(run)) {
        return run.len >= 32;
    }
    bool base32 = kinds.lower == 0 && kinds.slashes == 0 && kinds.others == 0 && kinds.digits > 0;
    bool mixed = kinds.upper >= 3 && kinds.lower >= 3 && kinds.digits >= 1;
    return base32 || (mixed && kinds.others * 8 <= run.len && kinds.slashes * 8 <= run.len);
}

/* A public key or certificate is told by its fingerprint. */
static bool put_key(span_t run, struct buf *out, err_t *err) {
    struct buf blob CLEANUP(buf_done) = BUF(BLOB_BYTES_MAX);
    char fingerprint[FINGERPRINT_CHARS];
    if (!starts(run, "AAAA") || failed(base64_decode(run, BASE64_STANDARD, &blob))) {
        return false;
    }
    key_fingerprint_blob(buf_span(&blob), fingerprint);
    *err = buf_add_format(out, "[%s]", fingerprint);
    return true;
}

/* Part by part. */
static err_t put_path(span_t run, struct buf *out) {
    for (bool first = true; run.len > 0 || first; first = false) {
        bool more = memchr(run.data, '/', run.len) != NULL;
        span_t part = span_until(&run, '/');
        TRY(is_random(part) ? buf_add_format(out, "[%zu characters removed]", part.len)
                            : buf_add(out, part));
        TRY(more ? buf_add_byte(out, '/') : OK);
    }
    return OK;
}

static err_t put_run(span_t run, span_t before, struct buf *out) {
    err_t err = OK;
    bool fingerprint = before.len >= 7 && memcmp(before.data + before.len - 7, "SHA256:", 7) == 0;
    if (fingerprint && run.len <= 44) {
        return buf_add(out, run);
    }
    if (put_key(run, out, &err)) {
        return err;
    }
    if (is_ours(run) || is_web_token(run)) {
        return buf_add_str(out, "[token removed]");
    }
    return is_random(run) ? buf_add_format(out, "[%zu characters removed]", run.len)
                          : put_path(run, out);
}

/* --- a line --- */

/* "https://alice:secret@host": from after "://" to the '@'. */
static size_t user_of_url(span_t text) {
    for (size_t i = 0; i < text.len && !isspace(text.data[i]) && text.data[i] != '/'; i++) {
        if (text.data[i] == '@') {
            return memchr(text.data, ':', i) != NULL ? i : 0;
        }
    }
    return 0;
}

static size_t secret_at(const struct redaction *how, span_t text) {
    for (size_t i = 0; i < how->secret_count; i++) {
        size_t len = strlen(how->secrets[i]);
        if (len >= SECRET_CHARS_MIN && starts(text, how->secrets[i])) {
            return len;
        }
    }
    return 0;
}

static size_t home_at(const struct redaction *how, span_t text) {
    size_t len = how->home == NULL ? 0 : strlen(how->home);
    bool is_home = len > 1 && starts(text, how->home) &&
                   (text.len == len || text.data[len] == '/' || !is_run_char(text.data[len]));
    return is_home ? len : 0;
}

/* How much stands at the front of the text that is told in another form than its own. */
static size_t special_at(const struct redaction *how, span_t text) {
    size_t start, len;
    if ((len = secret_at(how, text)) > 0 || (len = home_at(how, text)) > 0) {
        return len;
    }
    return secret_after(text, &start, &len) ? start + len : 0;
}

static size_t run_at(const struct redaction *how, span_t text) {
    size_t len = 0;
    while (len < text.len && is_run_char(text.data[len]) &&
           (len == 0 || special_at(how, span_of(text.data + len, text.len - len)) == 0)) {
        len++;
    }
    return len;
}

/* The word that tells, which may itself be grown together with a secret. */
static err_t put_word(const struct reader *reader, span_t word) {
    while (word.len > 0) {
        size_t len = secret_at(reader->how, word);
        TRY(len > 0 ? buf_add_str(reader->out, "[secret removed]")
                    : buf_add_byte(reader->out, word.data[0]));
        len = len > 0 ? len : 1;
        word = span_of(word.data + len, word.len - len);
    }
    return OK;
}

static err_t put_special(const struct reader *reader, span_t text) {
    size_t start, len;
    if (secret_at(reader->how, text) > 0) {
        return buf_add_str(reader->out, "[secret removed]");
    }
    if (home_at(reader->how, text) > 0) {
        return buf_add_byte(reader->out, '~');
    }
    (void)secret_after(text, &start, &len);
    TRY(put_word(reader, span_of(text.data, start)));
    return buf_add_str(reader->out, "[removed]");
}

/* What stands at the front of *rest is put in its form and taken off. */
static err_t step(const struct reader *reader, span_t line, span_t *rest) {
    span_t text = *rest;
    span_t before = span_of(line.data, line.len - text.len);
    size_t len = special_at(reader->how, text);
    if (len > 0) {
        *rest = span_of(text.data + len, text.len - len);
        return put_special(reader, text);
    }
    if (starts(text, "://") && (len = user_of_url(span_of(text.data + 3, text.len - 3))) > 0) {
        *rest = span_of(text.data + 3 + len, text.len - 3 - len);
        return buf_add_str(reader->out, "://[removed]");
    }
    if (starts(text, "sshpass ")) {
        *rest = span_of(text.data + text.len, 0);
        return buf_add_str(reader->out, "sshpass [removed]");
    }
    len = run_at(reader->how, text);
    if (len > 0) {
        *rest = span_of(text.data + len, text.len - len);
        return put_run(span_of(text.data, len), before, reader->out);
    }
    uint8_t c = text.data[0];
    *rest = span_of(text.data + 1, text.len - 1);
    return buf_add_byte(reader->out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : c);
}

/* "SetEnv FOO=bar BAZ=x", in ssh's configuration and in what `ssh -G` prints. */
static bool sets_environment(span_t line) {
    while (line.len > 0 && isspace(line.data[0])) {
        line = span_of(line.data + 1, line.len - 1);
    }
    return line.len > 7 && strncasecmp((const char *)line.data, "setenv", 6) == 0 &&
           (isspace(line.data[6]) || line.data[6] == '=');
}

static err_t put_line(const struct reader *reader, span_t line) {
    if (sets_environment(line)) {
        return buf_add_str(reader->out, "SetEnv [removed]");
    }
    span_t rest = line;
    while (rest.len > 0) {
        TRY(step(reader, line, &rest));
    }
    return OK;
}

/* True when the line is of a private key and was dealt with. */
static bool skip_private(struct reader *reader, span_t line) {
    if (reader->in_private) {
        reader->in_private =
            !(span_find_str(line, "-----END ") != NULL || span_find_str(line, "---- END ") != NULL);
        return true;
    }
    if (reader->ppk_private > 0) {
        reader->ppk_private--;
        return true;
    }
    return false;
}

static err_t read_line(struct reader *reader, span_t line) {
    if (skip_private(reader, line)) {
        return OK;
    }
    if ((span_find_str(line, "-----BEGIN ") != NULL ||
         span_find_str(line, "---- BEGIN ") != NULL) &&
        span_find_str(line, "PRIVATE KEY") != NULL) {
        reader->in_private = span_find_str(line, "-----END ") == NULL;
        return buf_add_str(reader->out, "[private key removed]\n");
    }
    if (starts(line, "SSH PRIVATE KEY FILE FORMAT 1")) {
        reader->in_private = true;
        return buf_add_str(reader->out, "[private key removed]\n");
    }
    if (starts(line, "Private-Lines: ")) {
        reader->ppk_private = 64; /* no .ppk has more, and the MAC follows them */
        return buf_add_str(reader->out, "[private key removed]\n");
    }
    TRY(put_line(reader, line));
    return buf_add_byte(reader->out, '\n');
}

err_t redact(span_t text, const struct redaction *how, struct buf *out) {
    struct buf clean CLEANUP(buf_done) = BUF(TEXT_BYTES_MAX);
    struct reader reader = {.how = how, .out = &clean};
    while (text.len > 0) {
        span_t line = span_until(&text, '\n');
        line.len -= line.len > 0 && line.data[line.len - 1] == '\r' ? 1 : 0;
        TRY(read_line(&reader, line));
    }
    return buf_add(out, buf_span(&clean));
}
