/* What feed.c and site.c share. */
#ifndef POSTERN_AUTHORITY_FEED_STATE_H
#define POSTERN_AUTHORITY_FEED_STATE_H

#include "authority/authority.h"
#include "authority/site.h"

/* Loop thread: how often feed_wake() was called. Whoever noted it before a look at the store can
 * tell afterwards whether what was seen may be old. */
uint64_t feed_wakes(const struct feed *feed);
struct site_document *feed_site(struct feed *feed);

/* Store thread: the whole of a snapshot, as an answer of the feed. snapshot.c. */
err_t snapshot_build(struct authority *authority, uint64_t revision, int64_t now, struct buf *out);

#endif
