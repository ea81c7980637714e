/*
 * Bytes that could not be moved on yet. Most of the time there are none, and then no memory is
 * held: what a session or a channel owns while idle is this struct.
 */
#ifndef POSTERN_GATE_HELD_H
#define POSTERN_GATE_HELD_H

#include "base/span.h"

struct held {
    uint8_t *data;
    size_t at, len; /* the bytes are data[at .. at + len) */
    size_t size;
};

/* Appends; ERR_MEMORY. *total grows and shrinks with the memory that is held. */
err_t held_add(struct held *held, span_t bytes, size_t *total);
/* Drops the first `len` bytes; the last one gives the memory back. */
void held_drop(struct held *held, size_t len, size_t *total);
void held_done(struct held *held, size_t *total);

static inline span_t held_span(const struct held *held) {
    return span_of(held->len == 0 ? NULL : held->data + held->at, held->len);
}

#endif
