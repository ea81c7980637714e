/*
 * Tables of the memory store: sorted arrays of structs, and one log that undoes what was done to
 * them.
 */
#ifndef POSTERN_STORE_MEMORY_TABLE_H
#define POSTERN_STORE_MEMORY_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct table {
    size_t row_size;
    int (*compare)(const void *a, const void *b); /* rows stand in this order, no two alike */
    void (*done)(void *row);                      /* frees what a row owns; NULL: nothing */
    uint8_t *rows;
    size_t count;
    size_t size;
};

enum change_kind { CHANGE_INSERT, CHANGE_REPLACE, CHANGE_REMOVE };

struct change {
    enum change_kind kind;
    struct table *table;
    size_t index;
    void *row; /* what was there, for REPLACE and REMOVE */
};

struct change_log {
    struct change *changes;
    size_t count;
    size_t size;
};

static inline void *table_row(const struct table *table, size_t index) {
    return table->rows + index * table->row_size;
}

/* The first row that is not before `key`; *found tells whether it is equal. */
size_t table_search(const struct table *table, const void *key, bool *found);
/* The table owns the row from then on. ERR_EXISTS, ERR_MEMORY. */
err_t table_insert(struct table *table, struct change_log *log, const void *row);
/* The new row must compare equal to the old, or still stand between its neighbours. */
err_t table_replace(struct table *table, struct change_log *log, size_t index, const void *row);
err_t table_remove(struct table *table, struct change_log *log, size_t index);
void table_done(struct table *table);

/* Undoes the changes from the newest down to, and without, number `keep`. */
void change_log_undo(struct change_log *log, size_t keep);
/* Makes every change final. */
void change_log_clear(struct change_log *log);

#endif
