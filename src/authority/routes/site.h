/* The site document, kept ready until something that it shows changes. */
#ifndef POSTERN_AUTHORITY_SITE_H
#define POSTERN_AUTHORITY_SITE_H

#include "base/span.h"

/* Part of struct feed, which knows when something changed. Loop thread. */
struct site_document {
    struct buf text;
    bool ready;
    uint64_t wakes;   /* feed_wakes() before it was built */
    int64_t built_at; /* the policy may change without an event: it is built again after a while */
};

#endif
