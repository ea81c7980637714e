/*
 * All that a gate or a host needs to know, for one whose revision is too old for events, page by
 * page; feed/change.h says what pages are and why they tell the truth together. Each is made from
 * where its cursor says, so that none keeps the store for long. Store thread only.
 */
#ifndef POSTERN_AUTHORITY_SNAPSHOT_H
#define POSTERN_AUTHORITY_SNAPSHOT_H

#include "authority/routes/feed_filter.h"

struct authority;

/* In this order; each goes through things in an order that does not change. */
enum snapshot_step {
    SNAPSHOT_CAS,
    SNAPSHOT_CLUSTERS,
    SNAPSHOT_HOSTS,
    SNAPSHOT_ACCOUNTS, /* each with its keys */
    SNAPSHOT_REVOCATIONS,
    SNAPSHOT_JOBS,
    SNAPSHOT_SELF, /* from here on what the reader alone is told */
    SNAPSHOT_OWN_JOBS,
    SNAPSHOT_EVENTS, /* what happened since the first page */
    SNAPSHOT_STEPS_COUNT
};

/*
 * Where a page begins. As text it is a step and a number of the store's own, which say nothing of
 * what a host is not told; whoever makes one up gets what the feed would tell it anyway.
 */
struct snapshot_cursor {
    uint64_t revision; /* of the first page; not in the text */
    enum snapshot_step step;
    uint64_t after; /* an id, a serial or a revision, by the step; 0: from its beginning */
};

enum { SNAPSHOT_CURSOR_CHARS = 32 };
void snapshot_cursor_print(const struct snapshot_cursor *cursor, char out[SNAPSHOT_CURSOR_CHARS]);
/* Sets step and after; ERR_MALFORMED. */
err_t snapshot_cursor_parse(span_t text, struct snapshot_cursor *out);

struct snapshot_page {
    struct snapshot_cursor cursor; /* where it begins, and then where the next does */
    size_t count;                  /* of changes */
    size_t seen;                   /* of things that were looked at, told or not */
    bool full;                     /* the next one goes on from the cursor */
};

/* Whether there is room for so many more changes. */
bool snapshot_page_has_room(const struct snapshot_page *page, size_t more, const struct buf *out);

/*
 * Adds to *out, which begins with the page, what comes from the cursor to before the step `end`.
 * Of the steps before SNAPSHOT_SELF every host of the reader's role and cluster is told the same.
 * ERR_NOT_FOUND when what the cursor stands at has been removed: it takes a new snapshot.
 */
err_t snapshot_add(struct authority *authority, const struct feed_reader *reader, int64_t now,
                   enum snapshot_step end, struct snapshot_page *page, struct buf *out);

#endif
