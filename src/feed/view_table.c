#include "feed/view_table.h"

enum { SIZE_FIRST = 16 };

uint32_t view_hash(span_t bytes) {
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < bytes.len; i++) {
        hash = (hash ^ bytes.data[i]) * 16777619U;
    }
    return hash;
}

static struct view_link **slot_of(const struct view_table *table, uint32_t hash) {
    return &table->slots[hash & (table->size - 1)];
}

err_t view_table_reserve(struct view_table *table, size_t more) {
    size_t need = table->count + more;
    size_t size = table->size == 0 ? SIZE_FIRST : table->size;
    while (size < need) {
        size *= 2;
    }
    if (size == table->size) {
        return OK;
    }
    struct view_table grown = {.slots = calloc(size, sizeof(struct view_link *)), .size = size};
    if (grown.slots == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < table->size; i++) {
        for (struct view_link *link = table->slots[i]; link != NULL;) {
            struct view_link *next = link->next;
            view_table_add(&grown, link);
            link = next;
        }
    }
    free(table->slots);
    *table = grown;
    return OK;
}

void view_table_add(struct view_table *table, struct view_link *link) {
    INVARIANT(table->count < table->size);
    struct view_link **slot = slot_of(table, link->hash);
    link->next = *slot;
    *slot = link;
    table->count++;
}

void view_table_remove(struct view_table *table, struct view_link *link) {
    struct view_link **at = slot_of(table, link->hash);
    while (*at != link) {
        INVARIANT(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    table->count--;
}

static struct view_link *of_hash(struct view_link *link, uint32_t hash) {
    while (link != NULL && link->hash != hash) {
        link = link->next;
    }
    return link;
}

struct view_link *view_table_first(const struct view_table *table, uint32_t hash) {
    return table->size == 0 ? NULL : of_hash(*slot_of(table, hash), hash);
}

struct view_link *view_table_next(const struct view_link *link) {
    return of_hash(link->next, link->hash);
}

void view_table_done(struct view_table *table, void (*drop)(struct view_link *link)) {
    for (size_t i = 0; drop != NULL && i < table->size; i++) {
        for (struct view_link *link = table->slots[i]; link != NULL;) {
            struct view_link *next = link->next;
            drop(link);
            link = next;
        }
    }
    free(table->slots);
    *table = (struct view_table){0};
}
