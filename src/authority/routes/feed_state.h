/* What feed.c and site.c share. */
#ifndef POSTERN_AUTHORITY_FEED_STATE_H
#define POSTERN_AUTHORITY_FEED_STATE_H

#include "authority/authority.h"
#include "authority/routes/feed_filter.h"
#include "authority/routes/site.h"

/* Loop thread: how often feed_wake() was called. Whoever noted it before a look at the store can
 * tell afterwards whether what was seen may be old. */
uint64_t feed_wakes(const struct feed *feed);
struct site_document *feed_site(struct feed *feed);

#endif
