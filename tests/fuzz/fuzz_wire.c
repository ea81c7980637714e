/* The input's first half of bytes are operations on the second. What is read, written again, is
 * what was there; what is refused moves nothing. */
#include "fuzz.h"

#include "ssh/wire.h"

static err_t get_one(uint8_t operation, span_t *from, struct buf *again) {
    uint8_t u8;
    uint32_t u32;
    uint64_t u64;
    span_t span;
    switch (operation % 7) {
    case 0:
        TRY(wire_get_u8(from, &u8));
        return wire_put_u8(again, u8);
    case 1:
        TRY(wire_get_u32(from, &u32));
        return wire_put_u32(again, u32);
    case 2:
        TRY(wire_get_u64(from, &u64));
        return wire_put_u64(again, u64);
    case 3:
        TRY(wire_get_string(from, &span));
        return wire_put_string(again, span);
    case 4:
        TRY(wire_get_text(from, &span));
        INVARIANT(span.len == 0 || memchr(span.data, 0, span.len) == NULL);
        return wire_put_string(again, span);
    case 5:
        TRY(wire_get_mpint(from, &span));
        return wire_put_mpint(again, span);
    default:
        TRY(wire_get_bytes(from, operation, &span));
        return buf_add(again, span);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t operations = span_of(data, size / 2);
    span_t from = span_of(data + size / 2, size - size / 2);
    struct buf again CLEANUP(buf_done) = BUF(1024 * 1024);
    for (size_t i = 0; i < operations.len; i++) {
        span_t before = from;
        buf_clear(&again);
        if (failed(get_one(operations.data[i], &from, &again))) {
            INVARIANT(from.data == before.data && from.len == before.len);
            INVARIANT(again.len == 0);
        } else {
            INVARIANT(from.data + from.len == before.data + before.len);
            INVARIANT(span_equal(buf_span(&again), span_of(before.data, before.len - from.len)));
        }
    }
    return 0;
}
