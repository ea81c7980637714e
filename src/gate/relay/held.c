#include "gate/relay/held.h"

enum { HELD_BYTES_MIN = 512 };

/* Room behind the bytes: what was dropped in front is used again before the memory grows. */
static err_t make_room(struct held *held, size_t more, size_t *total) {
    if (held->size - held->at - held->len >= more) {
        return OK;
    }
    if (held->size - held->len >= more) {
        memmove(held->data, held->data + held->at, held->len);
        held->at = 0;
        return OK;
    }
    size_t size = held->len + more;
    if (held->len > 0) {
        size += size / 2; /* it grows, so it will go on growing */
    }
    size = size < HELD_BYTES_MIN ? HELD_BYTES_MIN : size;
    uint8_t *data = malloc(size);
    if (data == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (held->len > 0) {
        memcpy(data, held->data + held->at, held->len);
    }
    free(held->data);
    *total += size - held->size;
    *held = (struct held){.data = data, .len = held->len, .size = size};
    return OK;
}

err_t held_add(struct held *held, span_t bytes, size_t *total) {
    if (bytes.len == 0) {
        return OK;
    }
    TRY(make_room(held, bytes.len, total));
    memcpy(held->data + held->at + held->len, bytes.data, bytes.len);
    held->len += bytes.len;
    return OK;
}

void held_drop(struct held *held, size_t len, size_t *total) {
    INVARIANT(len <= held->len);
    held->at += len;
    held->len -= len;
    if (held->len == 0) {
        held_done(held, total);
    }
}

void held_done(struct held *held, size_t *total) {
    *total -= held->size;
    free(held->data);
    *held = (struct held){0};
}
