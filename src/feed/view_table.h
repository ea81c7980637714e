/*
 * A hash table of things that carry their own links, so that one thing can stand in two tables and
 * to add one never needs memory that was not reserved before. Several things of one hash are next
 * to each other and told apart by whoever asks.
 *
 * The hash has no secret: what is put in is named by the authority, which has simpler ways to slow
 * a gate down, and what a stranger asks for makes nothing longer.
 */
#ifndef POSTERN_FEED_VIEW_TABLE_H
#define POSTERN_FEED_VIEW_TABLE_H

#include "base/err.h"
#include "base/span.h"

struct view_link {
    struct view_link *next;
    uint32_t hash;
};

struct view_table {
    struct view_link **slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

/* FNV-1a. */
uint32_t view_hash(span_t bytes);

/* Room for so many more; ERR_MEMORY. */
err_t view_table_reserve(struct view_table *table, size_t more);
/* link->hash is set; there is room. */
void view_table_add(struct view_table *table, struct view_link *link);
void view_table_remove(struct view_table *table, struct view_link *link);
/* Those of one hash: the first, and the one after another. NULL: none. */
struct view_link *view_table_first(const struct view_table *table, uint32_t hash);
struct view_link *view_table_next(const struct view_link *link);
/* Takes everything out, handing each to `drop` (NULL: to nobody), and frees the table. */
void view_table_done(struct view_table *table, void (*drop)(struct view_link *link));

#endif
