#include "host/gate_table.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = LIMIT_UPLINK_FRAME_BYTES - 256, /* what stands around it included */
    ENDED_BYTES = UPLINK_SESSION_ID_CHARS + 3,    /* an id with quotes and comma */
};

/*
 * `changed` is a number that no other change has. The authority has heard of it when `heard` is the
 * same; `sent` is what is under way.
 */
struct entry {
    char id[UPLINK_SESSION_ID_CHARS + 1];
    uint64_t peer;
    char *text; /* NULL: it has ended, which the authority has yet to hear */
    uint64_t changed, sent, heard;
};

struct gate_table {
    struct entry *entries; /* by id */
    size_t count, size;
    size_t live;
    uint64_t changes;
};

err_t gate_table_new(struct gate_table **out) {
    struct gate_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = table;
    return OK;
}

void gate_table_free(struct gate_table *table) {
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->entries[i].text);
    }
    free(table->entries);
    free(table);
}

/* --- what gates tell --- */

static size_t place_of(const struct gate_table *table, const char *id, bool *found) {
    size_t low = 0, high = table->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->entries[middle].id, id);
        *found = *found || order == 0;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static err_t make_room(struct gate_table *table) {
    if (table->count < table->size) {
        return OK;
    }
    size_t size = table->size == 0 ? 64 : 2 * table->size;
    void *entries = reallocarray(table->entries, size, sizeof *table->entries);
    if (entries == NULL) {
        return FAIL(ERR_MEMORY);
    }
    table->entries = entries;
    table->size = size;
    return OK;
}

static err_t insert(struct gate_table *table, size_t place, const char *id) {
    if (table->count == LIMIT_GATE_SESSIONS_COUNT) {
        return FAIL(ERR_RANGE);
    }
    TRY(make_room(table));
    struct entry *entries = table->entries;
    memmove(&entries[place + 1], &entries[place], (table->count - place) * sizeof *entries);
    entries[place] = (struct entry){0};
    memcpy(entries[place].id, id, sizeof entries[place].id);
    table->count++;
    return OK;
}

err_t gate_table_put(struct gate_table *table, uint64_t peer, span_t session) {
    char id[UPLINK_SESSION_ID_CHARS + 1];
    char *text CLEANUP(freep) = NULL;
    bool found;
    TRY(uplink_get_session_id(session, id));
    TRY(span_to_str(session, &text));
    size_t place = place_of(table, id, &found);
    TRY(found ? OK : insert(table, place, id));
    struct entry *entry = &table->entries[place];
    table->live += entry->text == NULL ? 1 : 0;
    free(entry->text);
    entry->text = TAKE(text);
    entry->peer = peer;
    entry->changed = ++table->changes;
    return OK;
}

/* What nobody heard of need not be told. */
static bool is_forgotten(const struct entry *entry) {
    return entry->text == NULL && entry->heard == 0 && entry->sent == 0;
}

static void forget_ended(struct gate_table *table) {
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (!is_forgotten(&table->entries[i])) {
            table->entries[kept++] = table->entries[i];
        }
    }
    table->count = kept;
}

static void end(struct gate_table *table, struct entry *entry) {
    free(TAKE(entry->text));
    entry->changed = ++table->changes;
    table->live--;
}

err_t gate_table_end(struct gate_table *table, uint64_t peer, span_t ended) {
    char id[UPLINK_SESSION_ID_CHARS + 1];
    bool found;
    TRY(uplink_get_session_id(ended, id));
    size_t place = place_of(table, id, &found);
    struct entry *entries = table->entries;
    if (!found || entries[place].text == NULL || entries[place].peer != peer) {
        return OK;
    }
    end(table, &entries[place]);
    if (is_forgotten(&entries[place])) {
        table->count--;
        memmove(&entries[place], &entries[place + 1], (table->count - place) * sizeof *entries);
    }
    return OK;
}

void gate_table_drop_peer(struct gate_table *table, uint64_t peer) {
    for (size_t i = 0; i < table->count; i++) {
        struct entry *entry = &table->entries[i];
        if (entry->text != NULL && entry->peer == peer) {
            end(table, entry);
        }
    }
    forget_ended(table);
}

/* --- what the authority hears --- */

size_t gate_table_count(const struct gate_table *table) { return table->live; }

bool gate_table_has_news(const struct gate_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].heard != table->entries[i].changed) {
            return true;
        }
    }
    return false;
}

/* Those that live, or those that have ended. */
static err_t put_list(struct gate_table *table, bool live, size_t end, struct buf *out) {
    const char *separator = "";
    size_t count = 0;
    for (size_t i = 0; i < table->count && count < LIMIT_GATE_SESSIONS_TOLD_COUNT; i++) {
        struct entry *entry = &table->entries[i];
        if (entry->heard == entry->changed || (entry->text != NULL) != live) {
            continue;
        }
        if (out->len + (live ? strlen(entry->text) + 1 : ENDED_BYTES) > end) {
            break;
        }
        TRY(live ? buf_add_format(out, "%s%s", separator, entry->text)
                 : buf_add_format(out, "%s\"%s\"", separator, entry->id));
        entry->sent = entry->changed;
        separator = ",";
        count++;
    }
    return OK;
}

err_t gate_table_begin_batch(struct gate_table *table, struct buf *out) {
    enum { ENDED_MOST = LIMIT_GATE_SESSIONS_TOLD_COUNT * ENDED_BYTES };
    _Static_assert(ENDED_MOST < BATCH_BYTES / 2, "all that ended fits beside those that live");
    size_t end = out->len + BATCH_BYTES;
    TRY(buf_add_str(out, "\"sessions\":["));
    TRY(put_list(table, true, end - ENDED_MOST, out));
    TRY(buf_add_str(out, "],\"ended\":["));
    TRY(put_list(table, false, end, out));
    return buf_add_str(out, "]");
}

void gate_table_end_batch(struct gate_table *table, bool heard) {
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct entry *entry = &table->entries[i];
        if (heard && entry->sent != 0) {
            entry->heard = entry->sent;
        }
        entry->sent = 0;
        bool done = entry->text == NULL && (entry->heard == 0 || entry->heard == entry->changed);
        if (!done) {
            table->entries[kept++] = *entry;
        }
    }
    table->count = kept;
}

void gate_table_tell_anew(struct gate_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        table->entries[i].heard = 0;
    }
    forget_ended(table);
}
