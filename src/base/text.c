#include "base/text.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *alphabet_of(enum base64_alphabet alphabet) {
    return alphabet == BASE64_URL ? url : standard;
}

err_t base64_encode(span_t bytes, enum base64_alphabet alphabet, struct buf *out) {
    const char *letters = alphabet_of(alphabet);
    size_t rest = bytes.len % 3;
    size_t tail = rest == 0 ? 0 : alphabet == BASE64_STANDARD ? 4 : rest + 1;
    uint8_t *to;
    TRY(buf_extend(out, bytes.len / 3 * 4 + tail, &to));
    const uint8_t *from = bytes.data;
    for (size_t i = 0; i < bytes.len / 3; i++, from += 3) {
        uint32_t group = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = (uint8_t)letters[group >> 18];
        *to++ = (uint8_t)letters[group >> 12 & 63];
        *to++ = (uint8_t)letters[group >> 6 & 63];
        *to++ = (uint8_t)letters[group & 63];
    }
    if (rest != 0) {
        uint32_t group = (uint32_t)from[0] << 16 | (rest == 2 ? (uint32_t)from[1] << 8 : 0);
        *to++ = (uint8_t)letters[group >> 18];
        *to++ = (uint8_t)letters[group >> 12 & 63];
        if (rest == 2) {
            *to++ = (uint8_t)letters[group >> 6 & 63];
        }
        if (alphabet == BASE64_STANDARD) {
            *to++ = '=';
            if (rest == 1) {
                *to++ = '=';
            }
        }
    }
    return OK;
}

/* The value of a letter, or 64. Branches on public text only: no secret is decoded where timing
 * could be seen. */
static uint32_t letter_value(uint8_t letter, enum base64_alphabet alphabet) {
    if (letter >= 'A' && letter <= 'Z') {
        return (uint32_t)(letter - 'A');
    }
    if (letter >= 'a' && letter <= 'z') {
        return (uint32_t)(letter - 'a') + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return (uint32_t)(letter - '0') + 52;
    }
    const char *letters = alphabet_of(alphabet);
    return letter == (uint8_t)letters[62] ? 62 : letter == (uint8_t)letters[63] ? 63 : 64;
}

err_t base64_decode(span_t text, enum base64_alphabet alphabet, struct buf *out) {
    if (alphabet == BASE64_STANDARD) {
        if (text.len % 4 != 0) {
            return FAIL(ERR_MALFORMED);
        }
        for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++) {
            text.len--;
        }
    }
    size_t rest = text.len % 4;
    if (rest == 1) {
        return FAIL(ERR_MALFORMED);
    }
    size_t before = out->len;
    size_t len = text.len / 4 * 3 + (rest == 0 ? 0 : rest - 1);
    if (len == 0) {
        return OK;
    }
    uint8_t *to;
    TRY(buf_extend(out, len, &to));
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t value = letter_value(text.data[i], alphabet);
        if (value > 63) {
            out->len = before;
            return FAIL(ERR_MALFORMED);
        }
        group = (group << 6 | value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (uint8_t)(group >> bits);
        }
    }
    if ((group & ((1U << bits) - 1)) != 0) {
        out->len = before;
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

err_t hex_encode(span_t bytes, struct buf *out) {
    static const char digits[] = "0123456789abcdef";
    uint8_t *to;
    TRY(buf_extend(out, bytes.len * 2, &to));
    for (size_t i = 0; i < bytes.len; i++) {
        *to++ = (uint8_t)digits[bytes.data[i] >> 4];
        *to++ = (uint8_t)digits[bytes.data[i] & 15];
    }
    return OK;
}

static int hex_value(uint8_t digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

err_t hex_decode(span_t text, struct buf *out) {
    if (text.len % 2 != 0) {
        return FAIL(ERR_MALFORMED);
    }
    size_t before = out->len;
    uint8_t *to;
    TRY(buf_extend(out, text.len / 2, &to));
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.data[i]);
        int low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0) {
            out->len = before;
            return FAIL(ERR_MALFORMED);
        }
        *to++ = (uint8_t)(high << 4 | low);
    }
    return OK;
}

err_t u64_parse(span_t text, uint64_t *out) {
    uint64_t value = 0;
    if (text.len == 0 || (text.len > 1 && text.data[0] == '0')) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return FAIL(ERR_MALFORMED);
        }
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value)) {
            return FAIL(ERR_RANGE);
        }
    }
    *out = value;
    return OK;
}

bool text_is_printable(span_t text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

bool text_is_utf8(span_t text) {
    for (size_t i = 0; i < text.len;) {
        uint8_t first = text.data[i];
        size_t more = first < 0x80                    ? 0
                      : first >= 0xc2 && first < 0xe0 ? 1
                      : first < 0xf0 && first >= 0xe0 ? 2
                      : first >= 0xf0 && first < 0xf5 ? 3
                                                      : SIZE_MAX;
        if (more == SIZE_MAX || more >= text.len - i) {
            return false;
        }
        uint32_t point = more == 0 ? first : first & (0x3fU >> more);
        for (size_t j = 1; j <= more; j++) {
            if ((text.data[i + j] & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (text.data[i + j] & 0x3fU);
        }
        /* Control characters, overlong forms, surrogates and what lies beyond Unicode. */
        if (point < 0x20 || (point >= 0x7f && point < 0xa0) || (more == 2 && point < 0x800) ||
            (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
            (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

err_t percent_encode(span_t text, struct buf *out) {
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        bool plain = memchr(unreserved, text.data[i], sizeof unreserved - 1) != NULL;
        TRY(plain ? buf_add_byte(out, text.data[i])
                  : buf_add_format(out, "%%%02X", (unsigned)text.data[i]));
    }
    return OK;
}
