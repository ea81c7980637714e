/* The hosts that ssh goes through to a site's clusters. Pure. */
#ifndef POSTERN_CLI_WAY_IN_H
#define POSTERN_CLI_WAY_IN_H

#include "cli/reach.h"

enum { WAY_IN_HOPS_MAX = 8 };

/* First hosts of the person's own, then the site's jump hosts; borrowed. */
struct way_in {
    const char *front[WAY_IN_HOPS_MAX]; /* "[user@]host[:port]" */
    size_t front_count;
    const struct reach_host *own[WAY_IN_HOPS_MAX];
    size_t own_count;
};

/*
 * By these hops; where none of them is a jump host of the site, its first one is the last. With a
 * fault of "jump" ERR_TOO_LONG for too many, ERR_MALFORMED for one that ssh -J would not take, and
 * ERR_NOT_FOUND for one that is no jump host of the site behind one that is.
 */
err_t way_in_find(const struct reach *reach, const char *const *hops, size_t count,
                  struct way_in *out, struct fault *fault);

/* The name of the last before the clusters; NULL without any. */
const char *way_in_last(const struct way_in *way);

#endif
