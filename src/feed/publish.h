/*
 * How `postern-host sync` tells others on the same machine what the feed says: a Unix stream socket
 * in its state directory (PUBLISH_SOCKET, mode 0660, the replica's group). Whoever connects gets
 * frames and says nothing:
 *
 *   uint32  length of what follows
 *   uint64  when the authority was last heard, seconds since 1970; 0: never
 *   bytes   an answer of the feed (change.h)
 *
 * First comes a snapshot of the replica, a frame for each of its pages; then a frame for every
 * answer as it arrives, those without changes included, which say that the authority is alive. A
 * snapshot may come at any time, also in place of the rest of one. Who is too slow is cut off and
 * connects anew.
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

/*
 * Everything that is in the replica at one moment, told as the authority would tell it: a snapshot,
 * in pages where it is long. Revocations carry neither account nor reason there. The replica is
 * lent for a reading transaction: until the pages are freed it is good for nothing else.
 */
struct replica_pages;
err_t replica_pages_begin(struct replica *replica, struct replica_pages **out);
void replica_pages_free(struct replica_pages *pages); /* takes NULL */
void replica_pages_freep(struct replica_pages **pages);
/* When the authority had last been heard; 0: never. */
int64_t replica_pages_synced_at(const struct replica_pages *pages);
/* Appends the next page; *more: another follows. After a failure no page follows. */
err_t replica_pages_next(struct replica_pages *pages, struct buf *out, bool *more);

#endif
