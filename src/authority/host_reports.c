#include "authority/host_reports.h"

#include <stdlib.h>
#include <string.h>

struct host_reports {
    struct host_report *items; /* by id */
    size_t count, size;
};

err_t host_reports_new(struct host_reports **out) {
    struct host_reports *reports = calloc(1, sizeof *reports);
    if (reports == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = reports;
    return OK;
}

void host_reports_free(struct host_reports *reports) {
    if (reports != NULL) {
        free(reports->items);
        free(reports);
    }
}

/* The first that is not before the id. */
static size_t place_of(const struct host_reports *reports, entity_id host_id) {
    size_t low = 0, high = reports->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reports->items[middle].host_id < host_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct host_reports *reports, size_t place, entity_id host_id) {
    return place < reports->count && reports->items[place].host_id == host_id;
}

static err_t make_room(struct host_reports *reports) {
    if (reports->count < reports->size) {
        return OK;
    }
    size_t size = reports->size == 0 ? 64 : 2 * reports->size;
    void *items = reallocarray(reports->items, size, sizeof *reports->items);
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    reports->items = items;
    reports->size = size;
    return OK;
}

err_t host_reports_take(struct host_reports *reports, entity_id host_id, struct host_report **out) {
    size_t place = place_of(reports, host_id);
    if (!is_at(reports, place, host_id)) {
        TRY(make_room(reports));
        struct host_report *items = reports->items;
        memmove(&items[place + 1], &items[place], (reports->count - place) * sizeof *items);
        items[place] = (struct host_report){.host_id = host_id};
        reports->count++;
    }
    *out = &reports->items[place];
    return OK;
}

const struct host_report *host_reports_find(const struct host_reports *reports, entity_id host_id) {
    size_t place = place_of(reports, host_id);
    return is_at(reports, place, host_id) ? &reports->items[place] : NULL;
}

void host_reports_forget(struct host_reports *reports, entity_id host_id) {
    size_t place = place_of(reports, host_id);
    if (is_at(reports, place, host_id)) {
        struct host_report *items = reports->items;
        reports->count--;
        memmove(&items[place], &items[place + 1], (reports->count - place) * sizeof *items);
    }
}
