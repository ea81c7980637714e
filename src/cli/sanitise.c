#include "cli/sanitise.h"

#include <string.h>

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629 section 4), 0 when it is none. */
static size_t utf8_decode(const uint8_t *at, size_t len, uint32_t *code) {
    uint8_t first = at[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || len < size) {
        return 0;
    }
    uint32_t value = first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code = value;
    return size;
}

static bool is_harmful(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c ||
           (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

err_t text_sanitise(span_t text, bool keep_newlines, struct buf *out) {
    size_t at = 0;
    while (at < text.len) {
        uint32_t code = 0;
        size_t size = utf8_decode(text.data + at, text.len - at, &code);
        bool keep = size != 0 && (!is_harmful(code) || (code == '\n' && keep_newlines));
        if (size == 0) {
            size = 1;
        }
        TRY(keep ? buf_add(out, span_of(text.data + at, size)) : buf_add_byte(out, '?'));
        at += size;
    }
    return OK;
}

static err_t sanitise_string(json_t *json, bool keep_newlines) {
    span_t text = span_of(json_string_value(json), json_string_length(json));
    struct buf clean CLEANUP(buf_done) = BUF(4 * text.len + 1);
    TRY(text_sanitise(text, keep_newlines, &clean));
    if (clean.len != text.len || memcmp(clean.data, text.data, text.len) != 0) {
        if (json_string_setn(json, (const char *)clean.data, clean.len) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return OK;
}

static err_t sanitise_value(json_t *json, bool keep_newlines) {
    if (json_is_string(json)) {
        return json_string_length(json) == 0 ? OK : sanitise_string(json, keep_newlines);
    }
    size_t index;
    json_t *value;
    json_array_foreach(json, index, value) { TRY(sanitise_value(value, false)); }
    const char *name;
    json_object_foreach(json, name, value) {
        /* Our names are ASCII: a member called otherwise means nothing to us. */
        for (const char *at = name; *at != '\0'; at++) {
            if (*at < 0x20 || *at > 0x7e) {
                return FAIL(ERR_PROTOCOL);
            }
        }
        TRY(sanitise_value(value, strcmp(name, "privateKey") == 0));
    }
    return OK;
}

err_t json_sanitise(json_t *json) { return sanitise_value(json, false); }
