#include "ssh/wire.h"

#include "base/limits.h"

static uint64_t load_be(const uint8_t *bytes, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void store_be(uint8_t *to, size_t len, uint64_t value) {
    for (size_t i = len; i > 0; i--, value >>= 8) {
        to[i - 1] = (uint8_t)value;
    }
}

err_t wire_get_bytes(span_t *from, size_t len, span_t *out) {
    if (len > from->len) {
        return FAIL(ERR_TRUNCATED);
    }
    *out = span_of(from->data, len);
    *from = span_of(len == 0 ? from->data : from->data + len, from->len - len);
    return OK;
}

err_t wire_get_u8(span_t *from, uint8_t *out) {
    span_t bytes;
    TRY(wire_get_bytes(from, 1, &bytes));
    *out = bytes.data[0];
    return OK;
}

err_t wire_get_bool(span_t *from, bool *out) {
    uint8_t byte;
    TRY(wire_get_u8(from, &byte));
    *out = byte != 0;
    return OK;
}

err_t wire_get_u32(span_t *from, uint32_t *out) {
    span_t bytes;
    TRY(wire_get_bytes(from, 4, &bytes));
    *out = (uint32_t)load_be(bytes.data, 4);
    return OK;
}

err_t wire_get_u64(span_t *from, uint64_t *out) {
    span_t bytes;
    TRY(wire_get_bytes(from, 8, &bytes));
    *out = load_be(bytes.data, 8);
    return OK;
}

err_t wire_get_string(span_t *from, span_t *out) {
    span_t rest = *from;
    uint32_t len;
    TRY(wire_get_u32(&rest, &len));
    if (len > LIMIT_WIRE_STRING_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_bytes(&rest, len, out));
    *from = rest;
    return OK;
}

err_t wire_get_text(span_t *from, span_t *out) {
    span_t rest = *from;
    span_t text;
    TRY(wire_get_string(&rest, &text));
    if (text.len != 0 && memchr(text.data, '\0', text.len) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    *from = rest;
    *out = text;
    return OK;
}

err_t wire_get_mpint(span_t *from, span_t *out) {
    span_t rest = *from;
    span_t bytes;
    TRY(wire_get_string(&rest, &bytes));
    if (bytes.len > 0 && (bytes.data[0] & 0x80) != 0) {
        return FAIL(ERR_RANGE);
    }
    if (bytes.len > 0 && bytes.data[0] == 0) {
        /* RFC 4251: "Unnecessary leading bytes with the value 0 or 255 MUST NOT be included." */
        if (bytes.len == 1 || (bytes.data[1] & 0x80) == 0) {
            return FAIL(ERR_MALFORMED);
        }
        bytes = span_of(bytes.data + 1, bytes.len - 1);
    }
    *from = rest;
    *out = bytes;
    return OK;
}

err_t wire_expect_end(span_t from) { return from.len == 0 ? OK : FAIL(ERR_TRAILING); }

static err_t put_be(struct buf *to, size_t len, uint64_t value) {
    uint8_t *at;
    TRY(buf_extend(to, len, &at));
    store_be(at, len, value);
    return OK;
}

err_t wire_put_u8(struct buf *to, uint8_t value) { return put_be(to, 1, value); }
err_t wire_put_bool(struct buf *to, bool value) { return put_be(to, 1, value ? 1 : 0); }
err_t wire_put_u32(struct buf *to, uint32_t value) { return put_be(to, 4, value); }
err_t wire_put_u64(struct buf *to, uint64_t value) { return put_be(to, 8, value); }

err_t wire_put_string(struct buf *to, span_t bytes) {
    uint8_t *at;
    if (bytes.len > UINT32_MAX) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_extend(to, 4 + bytes.len, &at));
    store_be(at, 4, bytes.len);
    if (bytes.len > 0) {
        memcpy(at + 4, bytes.data, bytes.len);
    }
    return OK;
}

err_t wire_put_text(struct buf *to, const char *text) {
    return wire_put_string(to, span_str(text));
}

err_t wire_put_mpint(struct buf *to, span_t magnitude) {
    while (magnitude.len > 0 && magnitude.data[0] == 0) {
        magnitude = span_of(magnitude.data + 1, magnitude.len - 1);
    }
    size_t zero = magnitude.len > 0 && (magnitude.data[0] & 0x80) != 0 ? 1 : 0;
    uint8_t *at;
    if (magnitude.len >= UINT32_MAX) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_extend(to, 4 + zero + magnitude.len, &at));
    store_be(at, 4, zero + magnitude.len);
    if (zero != 0) {
        at[4] = 0;
    }
    if (magnitude.len > 0) {
        memcpy(at + 4 + zero, magnitude.data, magnitude.len);
    }
    return OK;
}

err_t wire_string_begin(struct buf *to, size_t *mark) {
    TRY(wire_put_u32(to, 0));
    *mark = to->len;
    return OK;
}

void wire_string_end(struct buf *to, size_t mark) {
    INVARIANT(mark >= 4 && mark <= to->len && to->len - mark <= UINT32_MAX);
    store_be(to->data + mark - 4, 4, to->len - mark);
}
