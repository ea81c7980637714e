#include "feed/publish.h"

#include "ssh/wire.h"

enum { HEAD_BYTES = 8 };

err_t publish_put(struct buf *out, int64_t synced_at, span_t answer) {
    INVARIANT(synced_at >= 0);
    if (answer.len > LIMIT_HTTP_ANSWER_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = out->len;
    err_t err = wire_put_u32(out, (uint32_t)(HEAD_BYTES + answer.len));
    if (!failed(err)) {
        err = wire_put_u64(out, (uint64_t)synced_at);
    }
    if (!failed(err)) {
        err = buf_add(out, answer);
    }
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

static err_t put_changes(struct buf *out, const struct change_answer *answer) {
    TRY(change_answer_begin(out, answer->revision, answer->snapshot));
    for (size_t i = 0; i < answer->count; i++) {
        struct change change = answer->changes[i];
        if (change.kind == CHANGE_REVOCATION && !change.gone) {
            change.revocation.account = "";
            change.revocation.reason = "";
        }
        TRY(change_answer_add_change(out, &change));
    }
    for (size_t i = 0; i < answer->cut_count; i++) {
        TRY(change_answer_add(out, answer->revision, CHANGE_CUT, answer->cuts[i], "{}"));
    }
    return change_answer_end(out);
}

err_t publish_put_answer(struct buf *out, int64_t synced_at, const struct change_answer *answer) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    TRY(put_changes(&text, answer));
    return publish_put(out, synced_at, buf_span(&text));
}

err_t publish_get(span_t *stream, int64_t *synced_at, span_t *answer) {
    span_t rest = *stream;
    uint32_t len = 0;
    uint64_t when = 0;
    TRY(wire_get_u32(&rest, &len));
    if (len > HEAD_BYTES + LIMIT_HTTP_ANSWER_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    if (len <= HEAD_BYTES) {
        return FAIL(ERR_MALFORMED);
    }
    if (rest.len < len) {
        return FAIL(ERR_TRUNCATED);
    }
    TRY(wire_get_u64(&rest, &when));
    if (when > INT64_MAX) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(wire_get_bytes(&rest, len - HEAD_BYTES, answer));
    *synced_at = (int64_t)when;
    *stream = rest;
    return OK;
}
