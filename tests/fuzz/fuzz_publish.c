/* Frames of the feed's socket: what is taken off the front is put back to the same bytes, what is
 * refused is left alone, and one that is cut short anywhere is waited for. */
#include "fuzz.h"

#include "feed/publish.h"

static void check_cuts(span_t frame) {
    for (size_t len = 0; len < frame.len; len += frame.len / 16 + 1) {
        span_t cut = span_of(frame.data, len);
        span_t answer = span_of(NULL, 0);
        int64_t synced_at = -1;
        err_t err = publish_get(&cut, &synced_at, &answer);
        INVARIANT(err.code == ERR_TRUNCATED && cut.len == len && synced_at == -1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t stream = span_of(data, size);
    for (;;) {
        span_t before = stream;
        span_t answer = span_of(NULL, 0);
        int64_t synced_at = -1;
        err_t err = publish_get(&stream, &synced_at, &answer);
        if (failed(err)) {
            INVARIANT(stream.data == before.data && stream.len == before.len && synced_at == -1);
            INVARIANT(err.code == ERR_TRUNCATED || err.code == ERR_TOO_LONG ||
                      err.code == ERR_MALFORMED);
            return 0;
        }
        INVARIANT(synced_at >= 0 && answer.len > 0 && stream.len < before.len);
        struct buf again CLEANUP(buf_done) = BUF(size + 64);
        must(publish_put(&again, synced_at, answer));
        span_t taken = span_of(before.data, before.len - stream.len);
        INVARIANT(span_equal(buf_span(&again), taken));
        check_cuts(taken);
    }
}
