/*
 * Bytes: span_t is borrowed and never owns; struct buf owns and has a hard maximum.
 */
#ifndef POSTERN_BASE_SPAN_H
#define POSTERN_BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

typedef struct span {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
} span_t;

static inline span_t span_of(const void *data, size_t len) { return (span_t){data, len}; }
static inline span_t span_str(const char *text) {
    return (span_t){(const uint8_t *)text, strlen(text)};
}
#define SPAN_LITERAL(text) ((span_t){(const uint8_t *)(text), sizeof(text) - 1})

/* Not for secrets: returns at the first difference. */
bool span_equal(span_t a, span_t b);
bool span_equal_str(span_t a, const char *text);
/* Where the text begins in it; NULL: nowhere. */
const uint8_t *span_find_str(span_t span, const char *text);
/* Byte order, then length, as memcmp: <0, 0, >0. */
int span_compare(span_t a, span_t b);
/* Time depends on the lengths alone. */
bool span_equal_secret(span_t a, span_t b);

/* Takes what stands before the first `end`, or all, off the front of *text, and `end` with it. */
span_t span_until(span_t *text, uint8_t end);

/* A copy ended by NUL; ERR_MALFORMED if the span has a NUL inside. The caller frees *out. */
err_t span_to_str(span_t span, char **out);

/*
 * Owned, growing bytes. The bytes are wiped when the buffer is done or moves, so it may hold
 * secrets. A zeroed struct buf is not usable: it must go through buf_init(), which sets the
 * maximum.
 */
struct buf {
    uint8_t *data;
    size_t len;
    size_t size;
    size_t len_max;
};

#define BUF(max) ((struct buf){.len_max = (max)})

void buf_init(struct buf *buf, size_t len_max);
void buf_done(struct buf *buf);  /* wipes, frees and leaves an empty buffer with the same maximum */
void buf_clear(struct buf *buf); /* empties without giving the memory back */

/* ERR_TOO_LONG beyond len_max, ERR_MEMORY; on failure the buffer is as it was. */
err_t buf_add(struct buf *buf, span_t bytes);
err_t buf_add_str(struct buf *buf, const char *text);
err_t buf_add_byte(struct buf *buf, uint8_t byte);
err_t buf_add_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Lengthens by len uninitialised bytes and points *out at them; valid until the next call. */
err_t buf_extend(struct buf *buf, size_t len, uint8_t **out);

static inline span_t buf_span(const struct buf *buf) { return (span_t){buf->data, buf->len}; }
/* A NUL-terminated copy, freed by the caller; ERR_MALFORMED if a NUL is inside. */
static inline err_t buf_to_str(const struct buf *buf, char **out) {
    return span_to_str(buf_span(buf), out);
}

#endif
