#include "identity/cbor.h"

/* RFC 8949 section 3.1. */
enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
enum { ONE_BYTE = 24, EIGHT_BYTES = 27 };
enum { SIMPLE_FALSE = 20, SIMPLE_NULL = 22 };

static err_t take_head(span_t *rest, enum major *major, uint64_t *value) {
    if (rest->len == 0) {
        return FAIL(ERR_TRUNCATED);
    }
    unsigned information = rest->data[0] & 0x1f;
    size_t more = 0;
    uint64_t number = information;
    if (information > EIGHT_BYTES) {
        return FAIL(ERR_MALFORMED); /* reserved, or of indefinite length */
    }
    if (information >= ONE_BYTE) {
        more = (size_t)1 << (information - ONE_BYTE);
        number = 0;
    }
    if (rest->len < 1 + more) {
        return FAIL(ERR_TRUNCATED);
    }
    for (size_t i = 0; i < more; i++) {
        number = number << 8 | rest->data[1 + i];
    }
    /* "Integers must be encoded as small as possible", and so must lengths. */
    uint64_t longest_of_shorter = more <= 1 ? ONE_BYTE - 1 : (UINT64_C(1) << (4 * more)) - 1;
    if (more > 0 && number <= longest_of_shorter) {
        return FAIL(ERR_MALFORMED);
    }
    *major = (enum major)(rest->data[0] >> 5);
    *value = number;
    *rest = span_of(rest->data + 1 + more, rest->len - 1 - more);
    return OK;
}

static err_t take(span_t *rest, enum major expected, uint64_t *value) {
    enum major major;
    uint64_t number;
    span_t after = *rest;
    TRY(take_head(&after, &major, &number));
    if (major != expected) {
        return FAIL(ERR_MALFORMED);
    }
    *value = number;
    *rest = after;
    return OK;
}

static err_t take_string(span_t *rest, enum major expected, span_t *out) {
    uint64_t len;
    span_t after = *rest;
    TRY(take(&after, expected, &len));
    if (len > after.len) {
        return FAIL(ERR_TRUNCATED);
    }
    *out = span_of(after.data, (size_t)len);
    *rest = span_of(after.data + len, after.len - (size_t)len);
    return OK;
}

err_t cbor_take_bytes(span_t *rest, span_t *out) { return take_string(rest, BYTES, out); }
err_t cbor_take_text(span_t *rest, span_t *out) { return take_string(rest, TEXT, out); }

err_t cbor_take_int(span_t *rest, int64_t *out) {
    enum major major;
    uint64_t value;
    span_t after = *rest;
    TRY(take_head(&after, &major, &value));
    if (major > NEGATIVE) {
        return FAIL(ERR_MALFORMED);
    }
    if (value > INT64_MAX) {
        return FAIL(ERR_RANGE);
    }
    *out = major == UNSIGNED ? (int64_t)value : -1 - (int64_t)value;
    *rest = after;
    return OK;
}

/* A count is believed only as far as there are bytes for so many items. */
static err_t take_count(span_t *rest, enum major expected, size_t bytes_each, size_t *count) {
    uint64_t value;
    span_t after = *rest;
    TRY(take(&after, expected, &value));
    if (value > after.len / bytes_each) {
        return FAIL(ERR_TRUNCATED);
    }
    *count = (size_t)value;
    *rest = after;
    return OK;
}

err_t cbor_take_array(span_t *rest, size_t *count) { return take_count(rest, ARRAY, 1, count); }
err_t cbor_take_map(span_t *rest, size_t *pairs) { return take_count(rest, MAP, 2, pairs); }

static err_t skip(span_t *rest, unsigned depth);

static err_t skip_map(span_t *rest, unsigned depth) {
    size_t pairs;
    span_t last = {NULL, 0};
    TRY(cbor_take_map(rest, &pairs));
    for (size_t i = 0; i < pairs; i++) {
        TRY(cbor_take_key(rest, &last));
        TRY(skip(rest, depth + 1));
    }
    return OK;
}

static err_t skip_array(span_t *rest, unsigned depth) {
    size_t count;
    TRY(cbor_take_array(rest, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(skip(rest, depth + 1));
    }
    return OK;
}

static err_t skip_simple(span_t *rest) {
    uint64_t value;
    TRY(take(rest, SIMPLE, &value));
    return value >= SIMPLE_FALSE && value <= SIMPLE_NULL ? OK : FAIL(ERR_MALFORMED);
}

static err_t skip(span_t *rest, unsigned depth) {
    int64_t number;
    span_t bytes;
    if (depth > CBOR_DEPTH_MAX) {
        return FAIL(ERR_TOO_LONG);
    }
    if (rest->len == 0) {
        return FAIL(ERR_TRUNCATED);
    }
    switch ((enum major)(rest->data[0] >> 5)) {
    case UNSIGNED:
    case NEGATIVE:
        return cbor_take_int(rest, &number);
    case BYTES:
        return cbor_take_bytes(rest, &bytes);
    case TEXT:
        return cbor_take_text(rest, &bytes);
    case ARRAY:
        return skip_array(rest, depth);
    case MAP:
        return skip_map(rest, depth);
    case SIMPLE:
        return skip_simple(rest);
    case TAG:
        break;
    }
    return FAIL(ERR_MALFORMED);
}

err_t cbor_skip(span_t *rest) {
    span_t after = *rest;
    TRY(skip(&after, 0));
    *rest = after;
    return OK;
}

/* CTAP 2.1 section 8: by major type, then the shorter, then byte by byte. As lengths are shortest,
 * that is by the type, by the length of the encoded key, by its bytes. */
static int compare(span_t a, span_t b) {
    int by_type = (a.data[0] >> 5) - (b.data[0] >> 5);
    if (by_type != 0) {
        return by_type;
    }
    return a.len != b.len ? (a.len < b.len ? -1 : 1) : memcmp(a.data, b.data, a.len);
}

err_t cbor_take_key(span_t *rest, span_t *last) {
    span_t after = *rest;
    if (rest->len > 0 && (rest->data[0] >> 5 > TEXT || rest->data[0] >> 5 == BYTES)) {
        return FAIL(ERR_MALFORMED); /* numbers and texts alone are keys here */
    }
    TRY(cbor_skip(&after));
    span_t key = span_of(rest->data, rest->len - after.len);
    if (last->len > 0 && compare(*last, key) >= 0) {
        return FAIL(ERR_ORDER);
    }
    *last = key;
    *rest = after;
    return OK;
}
