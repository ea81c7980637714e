/* The accounts that a frontend keeps internal keys for, as its replica and its state tell. */
#ifndef POSTERN_HOST_INTERNAL_TABLE_H
#define POSTERN_HOST_INTERNAL_TABLE_H

#include "feed/replica.h"
#include "host/home/home.h"

struct kept {
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
    bool entitled;    /* the account is enabled and reaches this cluster */
    bool ours;        /* STATE/internal/NAME is there */
    bool settled;     /* at the last look all was as it should be, and `mark` is of then */
    bool troubled;    /* which was told */
    char *registered; /* the account's internal keys, a line each; owned */
    struct home_mark mark;
    int64_t registered_at_ms; /* monotonic: when ours was, which the feed may not have told yet */
    int64_t not_before_ms;
};

struct kept_table {
    struct kept *rows; /* by name */
    size_t count, size;
};

void kept_table_done(struct kept_table *table);
/* Adds those of the folder to an empty table, as not entitled. */
err_t kept_table_load(struct kept_table *table, const char *folder);
/*
 * Brings it in line with the replica: who is new or has other registered keys is not settled, and
 * who is told no more is not entitled, and goes when there is none of ours. On failure the table is
 * as it was.
 */
err_t kept_table_update(struct kept_table *table, struct replica *replica, int64_t now);

/* Whether `line` is one of the lines. */
bool kept_is_registered(const struct kept *kept, const char *line);

#endif
