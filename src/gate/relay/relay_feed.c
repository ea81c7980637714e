#include <errno.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "feed/publish.h"
#include "gate/relay/relay_process.h"

enum {
    READ_BYTES = 256 * 1024,
    HEAD_BYTES = 4 + 8,
    KEPT_BYTES = 1024 * 1024, /* of an empty buffer; a snapshot's is given back */
};

void relay_feed_init(struct relay_feed *feed) {
    *feed = (struct relay_feed){.fd = -1};
    buf_init(&feed->input, LIMIT_HTTP_ANSWER_BYTES + HEAD_BYTES + READ_BYTES);
}

void relay_feed_set(struct relay_feed *feed, int fd) {
    fd_closep(&feed->fd);
    feed->fd = fd;
    buf_done(&feed->input);
}

void relay_feed_done(struct relay_feed *feed) { relay_feed_set(feed, -1); }

static err_t apply(struct relay *relay, int64_t synced_at, span_t text) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct fault fault = {.reason = ""};
    err_t err = change_answer_decode(text, &answer, &fault);
    if (!failed(err)) {
        err = relay_apply(relay, answer, synced_at);
    }
    if (failed(err)) {
        log_error("feed_refused", err, "field", fault.field, "reason", fault.reason, NULL);
    }
    return err;
}

static err_t apply_whole(struct relay_feed *feed, struct relay *relay, size_t *applied) {
    span_t stream = buf_span(&feed->input), answer;
    int64_t synced_at;
    err_t err;
    while (!failed(err = publish_get(&stream, &synced_at, &answer))) {
        TRY(apply(relay, synced_at, answer));
        ++*applied;
    }
    if (err.code != ERR_TRUNCATED) {
        return err;
    }
    if (stream.len == 0 && feed->input.size > KEPT_BYTES) {
        buf_done(&feed->input);
    } else if (stream.len > 0) {
        memmove(feed->input.data, stream.data, stream.len);
    }
    feed->input.len = stream.len;
    return OK;
}

err_t relay_feed_read(struct relay_feed *feed, struct relay *relay, size_t *applied) {
    uint8_t *place;
    *applied = 0;
    size_t before = feed->input.len;
    TRY(buf_extend(&feed->input, READ_BYTES, &place));
    ssize_t got = recv(feed->fd, place, READ_BYTES, MSG_DONTWAIT);
    feed->input.len = before + (got > 0 ? (size_t)got : 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return OK;
    }
    return got > 0 ? apply_whole(feed, relay, applied) : FAIL(ERR_CLOSED);
}
