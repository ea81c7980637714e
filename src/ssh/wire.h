/*
 * The SSH wire codec (RFC 4251 section 5): byte, boolean, uint32, uint64, string, mpint, name-list.
 *
 * Reading consumes from the front of a span_t cursor; on failure the cursor and the output are
 * untouched. What is read borrows from the input. Writing appends to a struct buf; on failure the
 * buffer is as it was before the call.
 */
#ifndef POSTERN_SSH_WIRE_H
#define POSTERN_SSH_WIRE_H

#include "base/err.h"
#include "base/span.h"

/* Reading: ERR_TRUNCATED when the input ends early. */
err_t wire_get_u8(span_t *from, uint8_t *out);
err_t wire_get_bool(span_t *from, bool *out); /* any non-zero byte is true */
err_t wire_get_u32(span_t *from, uint32_t *out);
err_t wire_get_u64(span_t *from, uint64_t *out);
err_t wire_get_bytes(span_t *from, size_t len, span_t *out);
/* ERR_TOO_LONG beyond LIMIT_WIRE_STRING_BYTES. */
err_t wire_get_string(span_t *from, span_t *out);
/* A string without NUL bytes, for what becomes a C string. */
err_t wire_get_text(span_t *from, span_t *out);
/*
 * A non-negative mpint in its shortest form; *out is the magnitude without the leading zero byte
 * (empty for 0). ERR_RANGE for a negative number, ERR_MALFORMED for needless leading zeros.
 */
err_t wire_get_mpint(span_t *from, span_t *out);
/* ERR_TRAILING unless everything was consumed. */
err_t wire_expect_end(span_t from);

err_t wire_put_u8(struct buf *to, uint8_t value);
err_t wire_put_bool(struct buf *to, bool value);
err_t wire_put_u32(struct buf *to, uint32_t value);
err_t wire_put_u64(struct buf *to, uint64_t value);
err_t wire_put_string(struct buf *to, span_t bytes);
err_t wire_put_text(struct buf *to, const char *text);
/* Magnitude, big-endian; leading zeros are dropped and one is put back where the top bit is set. */
err_t wire_put_mpint(struct buf *to, span_t magnitude);

/* A string that is written in place: begin reserves the length, end fills it in. `mark` is what
 * begin gave. */
err_t wire_string_begin(struct buf *to, size_t *mark);
void wire_string_end(struct buf *to, size_t mark);

#endif
