#include "net/http_message.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

size_t http_head_length(const char *text, size_t len, size_t *scanned) {
    /* The end may straddle what was looked at before. */
    size_t from = *scanned < 3 ? 0 : *scanned - 3;
    const char *end = len - from < 4 ? NULL : memmem(text + from, len - from, "\r\n\r\n", 4);
    *scanned = len;
    return end == NULL ? 0 : (size_t)(end - text) + 4;
}

/* RFC 9110 section 5.6.2. */
static bool is_token_char(unsigned char c) {
    static const bool table[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
        ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true,
        ['|'] = true,         ['~'] = true,
    };
    return table[c];
}

/* RFC 9110 section 5.5: visible characters, obs-text, blanks. */
static bool is_value_char(unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool http_field_name_ok(const char *name) {
    const char *at = name;
    while (is_token_char((unsigned char)*at)) {
        at++;
    }
    return at != name && *at == '\0';
}

bool http_field_value_ok(const char *value) {
    while (is_value_char((unsigned char)*value)) {
        value++;
    }
    return *value == '\0';
}

/* Cuts the line at *at out of the head; the head is known to end in CRLF CRLF. */
static err_t next_line(char **at, const char *end, char **line) {
    char *cr = memchr(*at, '\r', (size_t)(end - *at));
    if (cr == NULL || cr[1] != '\n' || memchr(*at, '\n', (size_t)(cr - *at)) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    *cr = '\0';
    *line = *at;
    *at = cr + 2;
    return OK;
}

static err_t parse_field(char *line, const char *line_end, struct http_field *out) {
    char *at = line;
    while (is_token_char((unsigned char)*at)) {
        at++;
    }
    /* RFC 9112 section 5.1: "No whitespace is allowed between the field name and colon"; a line
     * that begins with a blank (obs-fold, section 5.2) fails here as well. */
    if (at == line || *at != ':') {
        return FAIL(ERR_MALFORMED);
    }
    *at++ = '\0';
    while (is_blank(*at)) {
        at++;
    }
    char *value = at;
    while (is_value_char((unsigned char)*at)) {
        at++;
    }
    if (at != line_end) {
        return FAIL(ERR_MALFORMED); /* a control character, NUL among them */
    }
    while (at > value && is_blank(at[-1])) {
        *--at = '\0';
    }
    *out = (struct http_field){line, value};
    return OK;
}

enum known_field {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_CONNECTION,
    FIELD_EXPECT,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_TYPE,
    FIELD_AUTHORIZATION,
    FIELD_TRANSFER_ENCODING,
};

static enum known_field field_known(const char *name) {
    static const struct {
        const char *name;
        enum known_field known;
    } known[] = {
        [4] = {"host", FIELD_HOST},
        [6] = {"expect", FIELD_EXPECT},
        [10] = {"connection", FIELD_CONNECTION},
        [12] = {"content-type", FIELD_CONTENT_TYPE},
        [13] = {"authorization", FIELD_AUTHORIZATION},
        [14] = {"content-length", FIELD_CONTENT_LENGTH},
        [17] = {"transfer-encoding", FIELD_TRANSFER_ENCODING},
    };
    size_t len = strlen(name);
    if (len >= COUNT_OF(known) || known[len].name == NULL ||
        strcasecmp(name, known[len].name) != 0) {
        return FIELD_OTHER;
    }
    return known[len].known;
}

/* True when the comma-separated list has the word. */
static bool list_has(const char *list, const char *word) {
    size_t word_len = strlen(word);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, " \t,");
        if (len == word_len && strncasecmp(at, word, len) == 0) {
            return true;
        }
        at += len;
    }
    return false;
}

static err_t note_field(struct http_head *head, const struct http_field *field, unsigned *seen) {
    enum known_field known = field_known(field->name);
    if (known == FIELD_OTHER) {
        return OK;
    }
    bool again = (*seen & 1U << known) != 0;
    *seen |= 1U << known;
    if (known == FIELD_CONNECTION) {
        /* RFC 9112 section 9.3. */
        if (list_has(field->value, "close")) {
            head->keep_alive = false;
        } else if (head->minor == 0 && list_has(field->value, "keep-alive")) {
            head->keep_alive = true;
        }
        return OK;
    }
    if (again) {
        return FAIL(ERR_DUPLICATE);
    }
    switch (known) {
    case FIELD_CONTENT_LENGTH:
        head->has_length = true;
        head->framing = HTTP_BODY_LENGTH;
        return failed(u64_parse(span_str(field->value), &head->length)) ? FAIL(ERR_MALFORMED) : OK;
    case FIELD_TRANSFER_ENCODING:
        return strcasecmp(field->value, "chunked") == 0 ? OK : FAIL(ERR_UNSUPPORTED);
    case FIELD_EXPECT:
        head->expects_continue = head->minor > 0;
        return strcasecmp(field->value, "100-continue") == 0 ? OK : FAIL(ERR_UNSUPPORTED);
    default:
        return OK;
    }
}

/* RFC 9112 section 6.3, with its choices between answers and refusals all made for refusal. */
static err_t settle_framing(struct http_head *head, unsigned seen) {
    if ((seen & 1U << FIELD_TRANSFER_ENCODING) == 0) {
        return OK;
    }
    if (head->has_length) {
        return FAIL(ERR_CONFLICT);
    }
    if (head->minor == 0) {
        return FAIL(ERR_MALFORMED);
    }
    head->framing = HTTP_BODY_CHUNKED;
    return OK;
}

static err_t parse_fields(char *at, const char *end, struct http_head *head, unsigned *seen) {
    for (;;) {
        char *line;
        TRY(next_line(&at, end, &line));
        const char *line_end = at - 2;
        if (line == line_end) {
            return at == end ? settle_framing(head, *seen) : FAIL(ERR_MALFORMED);
        }
        if (head->field_count == COUNT_OF(head->fields)) {
            return FAIL(ERR_TOO_LONG);
        }
        struct http_field *field = &head->fields[head->field_count];
        TRY(parse_field(line, line_end, field));
        head->field_count++;
        TRY(note_field(head, field, seen));
    }
}

static err_t parse_version(const char *text, unsigned *minor) {
    if (strncmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' || text[6] != '.' ||
        text[7] < '0' || text[7] > '9') {
        return FAIL(ERR_MALFORMED);
    }
    if (text[5] != '1') {
        return FAIL(ERR_PROTOCOL);
    }
    *minor = text[7] == '0' ? 0 : 1;
    return OK;
}

err_t http_head_parse_request(char *text, size_t len, struct http_head *out) {
    char *at = text;
    char *line;
    TRY(next_line(&at, text + len, &line));
    out->field_count = 0;
    out->method = line;
    char *space = line;
    while (is_token_char((unsigned char)*space)) {
        space++;
    }
    if (space == line || *space != ' ') {
        return FAIL(ERR_MALFORMED);
    }
    *space = '\0';
    out->target = space + 1;
    char *target_end = out->target;
    while (*target_end > 0x20 && *target_end < 0x7f) {
        target_end++;
    }
    if (target_end == out->target || *target_end != ' ' || at - 2 - target_end != 9) {
        return FAIL(ERR_MALFORMED);
    }
    *target_end = '\0';
    TRY(parse_version(target_end + 1, &out->minor));
    out->status = 0;
    out->keep_alive = out->minor > 0;
    out->expects_continue = out->has_length = false;
    out->framing = HTTP_BODY_NONE;
    out->length = 0;
    unsigned seen = 0;
    TRY(parse_fields(at, text + len, out, &seen));
    /* RFC 9112 section 3.2: "A server MUST respond with a 400 … to any HTTP/1.1 request message
     * that lacks a Host header field". */
    return out->minor == 0 || (seen & 1U << FIELD_HOST) != 0 ? OK : FAIL(ERR_MALFORMED);
}

err_t http_head_parse_answer(char *text, size_t len, bool to_connect, struct http_head *out) {
    char *at = text;
    char *line;
    TRY(next_line(&at, text + len, &line));
    memset(out, 0, sizeof *out);
    /* "HTTP/1.1 200" and then a space and a reason, which may be empty; some leave out the space.
     */
    if (at - 2 - line < 12 || line[8] != ' ' || (line[12] != ' ' && line[12] != '\0')) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(parse_version(line, &out->minor));
    uint64_t status;
    TRY(u64_parse(span_of(line + 9, 3), &status));
    if (status < 100) {
        return FAIL(ERR_MALFORMED);
    }
    out->status = (unsigned)status;
    out->keep_alive = out->minor > 0;
    out->framing = HTTP_BODY_UNTIL_CLOSE;
    unsigned seen = 0;
    TRY(parse_fields(at, text + len, out, &seen));
    if (status < 200 || status == 204 || status == 304 || (to_connect && status < 300)) {
        out->framing = HTTP_BODY_NONE;
    } else if (out->framing == HTTP_BODY_UNTIL_CLOSE) {
        out->keep_alive = false;
    }
    return OK;
}

const char *http_head_field(const struct http_head *head, const char *name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, name) == 0) {
            return head->fields[i].value;
        }
    }
    return NULL;
}

/* "1a;name=value": the size, and extensions that are ignored (RFC 9112 section 7.1.1). */
static err_t parse_chunk_size(const struct http_chunks *chunks, uint64_t *size) {
    uint64_t value = 0;
    size_t i = 0;
    size_t len = chunks->line_len < sizeof chunks->line ? chunks->line_len : sizeof chunks->line;
    for (; i < len; i++) {
        char c = chunks->line[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16) {
            break;
        }
        if (i == 8) {
            return FAIL(ERR_TOO_LONG); /* 4 GiB is beyond every limit here */
        }
        value = value << 4 | digit;
    }
    if (i == 0 || (i < len && chunks->line[i] != ';' && !is_blank(chunks->line[i]))) {
        return FAIL(ERR_MALFORMED);
    }
    *size = value;
    return OK;
}

/* Gathers a line up to its CRLF; *whole tells whether it is there. */
static err_t take_line(struct http_chunks *chunks, span_t *input, bool *whole) {
    *whole = false;
    while (input->len > 0 && !*whole) {
        char c = (char)input->data[0];
        *input = span_of(input->data + 1, input->len - 1);
        if (++chunks->overhead > LIMIT_HTTP_CHUNK_OVERHEAD_BYTES) {
            return FAIL(ERR_TOO_LONG);
        }
        if ((c == '\n') != chunks->after_cr ||
            (c != '\n' && c != '\r' && !is_value_char((unsigned char)c))) {
            return FAIL(ERR_MALFORMED);
        }
        *whole = c == '\n';
        chunks->after_cr = c == '\r';
        if (c != '\n' && c != '\r') {
            if (chunks->line_len < sizeof chunks->line) {
                chunks->line[chunks->line_len] = c;
            }
            chunks->line_len++;
        }
    }
    return OK;
}

static err_t take_data(struct http_chunks *chunks, span_t *input, struct buf *body) {
    size_t len = input->len < chunks->left ? input->len : (size_t)chunks->left;
    TRY(buf_add(body, span_of(input->data, len)));
    *input = span_of(input->data + len, input->len - len);
    chunks->left -= len;
    if (chunks->left == 0) {
        chunks->state = HTTP_CHUNK_DATA_END;
    }
    return OK;
}

/* What a whole line means where it stands. */
static err_t on_line(struct http_chunks *chunks) {
    switch (chunks->state) {
    case HTTP_CHUNK_SIZE:
        TRY(parse_chunk_size(chunks, &chunks->left));
        chunks->state = chunks->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
        break;
    case HTTP_CHUNK_DATA_END:
        if (chunks->line_len > 0) {
            return FAIL(ERR_MALFORMED);
        }
        chunks->state = HTTP_CHUNK_SIZE;
        chunks->overhead = 0;
        break;
    case HTTP_CHUNK_TRAILER:
        chunks->finished = chunks->line_len == 0;
        break;
    default:
        INVARIANT(false);
    }
    chunks->line_len = 0;
    return OK;
}

err_t http_chunks_take(struct http_chunks *chunks, span_t *input, struct buf *body) {
    while (input->len > 0 && !chunks->finished) {
        if (chunks->state == HTTP_CHUNK_DATA) {
            TRY(take_data(chunks, input, body));
            continue;
        }
        bool whole;
        TRY(take_line(chunks, input, &whole));
        if (whole) {
            TRY(on_line(chunks));
        }
    }
    return OK;
}
