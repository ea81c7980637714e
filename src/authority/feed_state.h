/* What feed.c and site.c share. */
#ifndef POSTERN_AUTHORITY_FEED_STATE_H
#define POSTERN_AUTHORITY_FEED_STATE_H

#include "authority/authority.h"
#include "authority/feed_filter.h"
#include "authority/site.h"

/* Loop thread: how often feed_wake() was called. Whoever noted it before a look at the store can
 * tell afterwards whether what was seen may be old. */
uint64_t feed_wakes(const struct feed *feed);
struct site_document *feed_site(struct feed *feed);

/* Store thread: a snapshot without its end, as every host of the reader's role and cluster is told
 * it, and then what it alone is told. snapshot.c. */
err_t snapshot_begin(struct authority *authority, const struct feed_reader *reader,
                     uint64_t revision, int64_t now, struct buf *out);
err_t snapshot_add_own(struct authority *authority, const struct feed_reader *reader,
                       uint64_t revision, struct buf *out);

#endif
