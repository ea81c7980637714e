/*
 * Answers of the feed as bytes. Most hosts ask for the same: those of one role and cluster share an
 * answer, which is encoded once, but for what one of them alone is told. Store thread only.
 */
#ifndef POSTERN_AUTHORITY_FEED_ANSWER_H
#define POSTERN_AUTHORITY_FEED_ANSWER_H

#include "authority/routes/feed_filter.h"
#include "authority/routes/snapshot.h"

struct authority;
struct feed_answers;

err_t feed_answers_new(struct feed_answers **out);
void feed_answers_free(struct feed_answers *answers);

enum feed_outcome {
    FEED_NOTHING, /* none of it concerns the reader */
    FEED_EVENTS,  /* the answer is in *out */
    FEED_ANEW,    /* the reader itself is another than it was: it needs a snapshot */
};

/* What changed after `since` up to `newest`, at most LIMIT_FEED_EVENTS_COUNT changes. */
err_t feed_answer_events(struct authority *authority, struct feed_answers *answers,
                         const struct feed_reader *reader, uint64_t since, uint64_t newest,
                         enum feed_outcome *outcome, struct buf *out);
enum { FEED_NEXT_CHARS = 32 + SNAPSHOT_CURSOR_CHARS };
/*
 * A page of a snapshot: what comes at the cursor (NULL: the first page) and, as the last of it,
 * what changed up to `newest`. The first may have the revision of one that another host began with
 * lately. *next is the query that brings the page after it, "" after the last. ERR_NOT_FOUND as
 * snapshot_add().
 */
err_t feed_answer_page(struct authority *authority, struct feed_answers *answers,
                       const struct feed_reader *reader, const struct snapshot_cursor *cursor,
                       uint64_t newest, int64_t now, char next[FEED_NEXT_CHARS], struct buf *out);

#endif
