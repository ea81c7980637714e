/*
 * Reading CBOR (RFC 8949) as authenticators write it: the canonical form of CTAP 2.1 section 8,
 * and nothing else. Lengths are definite and as short as can be; there are no tags and no floats;
 * what is skipped nests no deeper than CBOR_DEPTH_MAX. Nothing is allocated: what is read borrows
 * from the input.
 *
 * By hand and not by libcbor: that one takes longer forms, indefinite lengths and keys that are
 * there twice, and allocates what a length only claims.
 *
 * Each takes one item off the front of *rest. ERR_TRUNCATED; ERR_MALFORMED for another type or
 * form.
 */
#ifndef POSTERN_IDENTITY_CBOR_H
#define POSTERN_IDENTITY_CBOR_H

#include "base/err.h"
#include "base/span.h"

enum { CBOR_DEPTH_MAX = 4 };

err_t cbor_take_int(span_t *rest, int64_t *out);
err_t cbor_take_bytes(span_t *rest, span_t *out);
err_t cbor_take_text(span_t *rest, span_t *out);
err_t cbor_take_array(span_t *rest, size_t *count);
err_t cbor_take_map(span_t *rest, size_t *pairs);
err_t cbor_skip(span_t *rest);

/*
 * The next key of a map as it is encoded. It must stand after the one before (*last, empty at
 * first, moves on), so that none is there twice: ERR_ORDER.
 */
err_t cbor_take_key(span_t *rest, span_t *last);

#endif
