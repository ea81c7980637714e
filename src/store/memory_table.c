#include "store/memory_table.h"

#include <stdlib.h>
#include <string.h>

static err_t grow(void **items, size_t *size, size_t item_size) {
    size_t larger = *size == 0 ? 16 : *size * 2;
    void *moved = reallocarray(*items, larger, item_size);
    if (moved == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *items = moved;
    *size = larger;
    return OK;
}

static err_t table_reserve(struct table *table) {
    void *rows = table->rows;
    if (table->count == table->size) {
        TRY(grow(&rows, &table->size, table->row_size));
        table->rows = rows;
    }
    return OK;
}

/* Room for one change more, so that noting it cannot fail. */
static err_t log_reserve(struct change_log *log) {
    void *changes = log->changes;
    if (log->count == log->size) {
        TRY(grow(&changes, &log->size, sizeof *log->changes));
        log->changes = changes;
    }
    return OK;
}

static void note(struct change_log *log, enum change_kind kind, struct table *table, size_t index,
                 void *row) {
    log->changes[log->count++] = (struct change){kind, table, index, row};
}

static void open_gap(struct table *table, size_t index) {
    memmove(table_row(table, index + 1), table_row(table, index),
            (table->count - index) * table->row_size);
    table->count++;
}

static void close_gap(struct table *table, size_t index) {
    table->count--;
    memmove(table_row(table, index), table_row(table, index + 1),
            (table->count - index) * table->row_size);
}

static void row_done(const struct table *table, void *row) {
    if (table->done != NULL) {
        table->done(row);
    }
}

static err_t copy_row(const struct table *table, size_t index, void **out) {
    void *copy = malloc(table->row_size);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memcpy(copy, table_row(table, index), table->row_size);
    *out = copy;
    return OK;
}

size_t table_search(const struct table *table, const void *key, bool *found) {
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->compare(table_row(table, middle), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < table->count && table->compare(table_row(table, low), key) == 0;
    return low;
}

err_t table_insert(struct table *table, struct change_log *log, const void *row) {
    bool found;
    size_t index = table_search(table, row, &found);
    if (found) {
        return FAIL(ERR_EXISTS);
    }
    TRY(table_reserve(table));
    TRY(log_reserve(log));
    open_gap(table, index);
    memcpy(table_row(table, index), row, table->row_size);
    note(log, CHANGE_INSERT, table, index, NULL);
    return OK;
}

err_t table_replace(struct table *table, struct change_log *log, size_t index, const void *row) {
    void *old;
    TRY(log_reserve(log));
    TRY(copy_row(table, index, &old));
    memcpy(table_row(table, index), row, table->row_size);
    note(log, CHANGE_REPLACE, table, index, old);
    return OK;
}

err_t table_remove(struct table *table, struct change_log *log, size_t index) {
    void *old;
    TRY(log_reserve(log));
    TRY(copy_row(table, index, &old));
    close_gap(table, index);
    note(log, CHANGE_REMOVE, table, index, old);
    return OK;
}

void table_done(struct table *table) {
    for (size_t i = 0; i < table->count; i++) {
        row_done(table, table_row(table, i));
    }
    free(table->rows);
}

static void undo(const struct change *change) {
    struct table *table = change->table;
    switch (change->kind) {
    case CHANGE_INSERT:
        row_done(table, table_row(table, change->index));
        close_gap(table, change->index);
        return;
    case CHANGE_REPLACE:
        row_done(table, table_row(table, change->index));
        break;
    case CHANGE_REMOVE:
        open_gap(table, change->index); /* the room is still there: arrays never shrink */
        break;
    }
    memcpy(table_row(table, change->index), change->row, table->row_size);
    free(change->row);
}

void change_log_undo(struct change_log *log, size_t keep) {
    while (log->count > keep) {
        undo(&log->changes[--log->count]);
    }
}

void change_log_clear(struct change_log *log) {
    for (size_t i = 0; i < log->count; i++) {
        if (log->changes[i].row != NULL) {
            row_done(log->changes[i].table, log->changes[i].row);
            free(log->changes[i].row);
        }
    }
    log->count = 0;
}
