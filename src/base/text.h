/*
 * Text forms of bytes: base64 (RFC 4648), hexadecimal, decimal numbers. Strict: no whitespace, no
 * missing padding.
 */
#ifndef POSTERN_BASE_TEXT_H
#define POSTERN_BASE_TEXT_H

#include "base/err.h"
#include "base/span.h"

enum base64_alphabet {
    BASE64_STANDARD,      /* +/ with padding (RFC 4648 section 4) */
    BASE64_STANDARD_BARE, /* +/ without padding, as in "SHA256:…" fingerprints */
    BASE64_URL,           /* -_ without padding (section 5) */
};

err_t base64_encode(span_t bytes, enum base64_alphabet alphabet, struct buf *out);
/* Refuses characters outside the alphabet, wrong padding and non-zero unused bits. */
err_t base64_decode(span_t text, enum base64_alphabet alphabet, struct buf *out);

err_t hex_encode(span_t bytes, struct buf *out); /* lower case */
err_t hex_decode(span_t text, struct buf *out);

/* "%2F" for "/", and likewise for all but the unreserved characters (RFC 3986 section 2.3). */
err_t percent_encode(span_t text, struct buf *out);

/* Decimal digits alone, no sign, no leading zeros, no overflow. */
err_t u64_parse(span_t text, uint64_t *out);

/* True when every byte is printable ASCII (0x20–0x7e), so that text can stand in a log line or a
 * terminal. */
bool text_is_printable(span_t text);
/* True when the bytes are well-formed UTF-8 without control characters (C0, DEL, C1). */
bool text_is_utf8(span_t text);

#endif
