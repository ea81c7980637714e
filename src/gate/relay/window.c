#include "gate/relay/window.h"

#include "base/err.h"

enum { GIVE_BYTES = 512 * 1024 };

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

bool window_open(struct window *window, struct window_budget *budget) {
    uint32_t left = budget->bytes_max - budget->used;
    if (left < WINDOW_MIN_BYTES) {
        return false;
    }
    uint32_t share = left / WINDOW_SHARE;
    *window = (struct window){.size = smaller(larger(share, WINDOW_MIN_BYTES), WINDOW_FIRST_BYTES)};
    budget->used += window->size;
    return true;
}

void window_close(struct window *window, struct window_budget *budget) {
    INVARIANT(window->size <= budget->used);
    budget->used -= window->size;
    *window = (struct window){0};
}

/* A quarter of the budget is for channels that are yet to come. */
static uint32_t growth(const struct window *window, const struct window_budget *budget) {
    uint32_t limit = budget->bytes_max - budget->bytes_max / 4;
    if (budget->used >= limit || window->size >= WINDOW_MAX_BYTES) {
        return 0;
    }
    return smaller(smaller(window->size, WINDOW_MAX_BYTES - window->size), limit - budget->used);
}

static bool is_tight(const struct window_budget *budget) {
    return budget->used > budget->bytes_max - budget->bytes_max / 8;
}

uint32_t window_drained(struct window *window, struct window_budget *budget, uint32_t bytes,
                        bool idle) {
    window->owed += bytes;
    window->drained += bytes;
    INVARIANT(window->owed <= window->size);
    if (window->size > WINDOW_FIRST_BYTES && is_tight(budget)) {
        uint32_t back = smaller(window->owed, window->size - WINDOW_FIRST_BYTES);
        window->size -= back;
        window->owed -= back;
        window->drained = 0;
        budget->used -= back;
    } else if (idle && window->drained >= 2 * (uint64_t)window->size) {
        uint32_t more = growth(window, budget);
        window->size += more;
        window->owed += more;
        window->drained = 0;
        budget->used += more;
    }
    /* Given back in large parts: each message costs both sides a packet and a waking. */
    if (window->owed < smaller(window->size / 2, GIVE_BYTES)) {
        return 0;
    }
    uint32_t give = window->owed;
    window->owed = 0;
    return give;
}
