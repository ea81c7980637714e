/* Names of nodes, as schedulers write them. Pure. */
#ifndef POSTERN_MODEL_HOSTLIST_H
#define POSTERN_MODEL_HOSTLIST_H

#include "base/err.h"
#include "base/span.h"

/*
 * Slurm's form of several nodes: "n[1-3,7],m05", "rack[0-1]n[08-10]-ib". Numbers are as wide as the
 * range's first, as Slurm writes them. Adds each name to *names, ended by NUL. ERR_TOO_LONG
 * beyond LIMIT_JOB_NODES_COUNT; ERR_MALFORMED, also for what is no host's name.
 */
err_t hostlist_expand(span_t text, struct buf *names, size_t *count);

#endif
