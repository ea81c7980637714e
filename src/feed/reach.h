/*
 * The clusters that an account reaches, as one text: ",daint,santis,"; "," for none. Names have no
 * comma (cluster_name_check).
 */
#ifndef POSTERN_FEED_REACH_H
#define POSTERN_FEED_REACH_H

#include "feed/change.h"

/* Appends the text, without a NUL. */
err_t reach_put(const struct change_list *clusters, struct buf *out);
bool reach_has(const char *reach, const char *cluster);
bool reach_is_empty(const char *reach);
/* Whether `next` has every cluster of `reach`. */
bool reach_is_within(const char *reach, const char *next);
/* In the order of the text. ERR_MALFORMED for what no reach_put() wrote. */
err_t reach_each(const char *reach, err_t (*each)(void *context, const char *cluster),
                 void *context);

#endif
