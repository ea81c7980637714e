#include "base/span.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/secret.h"

enum { BUF_SIZE_FIRST = 256 };

bool span_equal(span_t a, span_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_equal_str(span_t a, const char *text) { return span_equal(a, span_str(text)); }

const uint8_t *span_find_str(span_t span, const char *text) {
    return span.len == 0 ? NULL : memmem(span.data, span.len, text, strlen(text));
}

int span_compare(span_t a, span_t b) {
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

span_t span_until(span_t *text, uint8_t end) {
    const uint8_t *at = text->len > 0 ? memchr(text->data, end, text->len) : NULL;
    span_t piece = span_of(text->data, at != NULL ? (size_t)(at - text->data) : text->len);
    size_t past = piece.len + (at != NULL ? 1 : 0);
    if (past > 0) {
        *text = span_of(text->data + past, text->len - past);
    }
    return piece;
}

bool span_equal_secret(span_t a, span_t b) {
    if (a.len != b.len) {
        return false;
    }
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.len; i++) {
        difference |= a.data[i] ^ b.data[i];
    }
    return difference == 0;
}

err_t span_to_str(span_t span, char **out) {
    if (span.len != 0 && memchr(span.data, '\0', span.len) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    char *text = malloc(span.len + 1);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (span.len != 0) {
        memcpy(text, span.data, span.len);
    }
    text[span.len] = '\0';
    *out = text;
    return OK;
}

void buf_init(struct buf *buf, size_t len_max) { *buf = BUF(len_max); }

void buf_done(struct buf *buf) {
    if (buf->data != NULL) {
        secret_wipe(buf->data, buf->size);
        free(buf->data);
    }
    *buf = BUF(buf->len_max);
}

void buf_clear(struct buf *buf) { buf->len = 0; }

static err_t buf_reserve(struct buf *buf, size_t more) {
    if (more > buf->len_max || buf->len > buf->len_max - more) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t need = buf->len + more;
    if (need <= buf->size) {
        return OK;
    }
    size_t size = buf->size == 0 ? BUF_SIZE_FIRST : buf->size;
    while (size < need) {
        size = size > SIZE_MAX / 2 ? need : size * 2;
    }
    uint8_t *data = malloc(size);
    if (data == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (buf->data != NULL) {
        memcpy(data, buf->data, buf->len);
        secret_wipe(buf->data, buf->size);
        free(buf->data);
    }
    buf->data = data;
    buf->size = size;
    return OK;
}

err_t buf_extend(struct buf *buf, size_t len, uint8_t **out) {
    TRY(buf_reserve(buf, len));
    *out = buf->data == NULL ? NULL : buf->data + buf->len;
    buf->len += len;
    return OK;
}

err_t buf_add(struct buf *buf, span_t bytes) {
    if (bytes.len == 0) {
        return OK;
    }
    uint8_t *to;
    TRY(buf_extend(buf, bytes.len, &to));
    memcpy(to, bytes.data, bytes.len);
    return OK;
}

err_t buf_add_str(struct buf *buf, const char *text) { return buf_add(buf, span_str(text)); }

err_t buf_add_byte(struct buf *buf, uint8_t byte) { return buf_add(buf, span_of(&byte, 1)); }

err_t buf_add_format(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    err_t err = len < 0 ? FAIL(ERR_MALFORMED) : buf_reserve(buf, (size_t)len + 1);
    if (!failed(err)) {
        (void)vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    return err;
}
