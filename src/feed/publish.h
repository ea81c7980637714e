/*
 * How `postern-host sync` tells others on the same machine what the feed says: a Unix stream socket
 * in its state directory (PUBLISH_SOCKET, mode 0660, the replica's group). Whoever connects gets
 * frames and says nothing:
 *
 *   uint32  length of what follows
 *   uint64  when the authority was last heard, seconds since 1970; 0: never
 *   bytes   an answer of the feed (change.h)
 *
 * The first is a snapshot of the replica; then one for every answer as it arrives, those without
 * changes included, which say that the authority is alive. A snapshot may come at any time. Who is
 * too slow is cut off and connects anew.
 */
#ifndef POSTERN_FEED_PUBLISH_H
#define POSTERN_FEED_PUBLISH_H

#include "feed/replica.h"

#define PUBLISH_SOCKET "feed.sock"

/* Appends a frame. */
err_t publish_put(struct buf *out, int64_t synced_at, span_t answer);
/* Takes one whole frame off the front: ERR_TRUNCATED to wait for more, ERR_TOO_LONG beyond
 * LIMIT_HTTP_ANSWER_BYTES, ERR_MALFORMED. */
err_t publish_get(span_t *stream, int64_t *synced_at, span_t *answer);

/* The frame of an answer. Revocations carry neither account nor reason, as in the replica: whoever
 * may connect need not know why, or whose. */
err_t publish_put_answer(struct buf *out, int64_t synced_at, const struct change_answer *answer);

/* Everything that is in the replica, as the answer of a feed: a snapshot. Revocations carry neither
 * account nor reason there. */
err_t replica_snapshot(struct replica *replica, struct buf *out);

#endif
