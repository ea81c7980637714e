#include "ssh/serial_set.h"

#include <string.h>

/* About the square root of a large list: balances moving `recent` against folding it. */
enum { RECENT_SIZE = 1024, SETTLED_SIZE_FIRST = 64 };

/* Whether b, which does not start before a, overlaps a or follows it without a gap. */
static bool range_reaches(struct serial_range a, struct serial_range b) {
    return a.last == UINT64_MAX || b.first <= a.last + 1;
}

/* The first range that ends at `serial` or after it. */
static size_t find(const struct serial_range *ranges, size_t count, uint64_t serial) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < serial) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool covers(const struct serial_range *ranges, size_t count, struct serial_range range) {
    size_t at = find(ranges, count, range.first);
    return at < count && ranges[at].first <= range.first && ranges[at].last >= range.last;
}

/* Merges neighbours of a sorted array; the new count. */
static size_t coalesce(struct serial_range *ranges, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && range_reaches(ranges[kept - 1], ranges[i])) {
            if (ranges[i].last > ranges[kept - 1].last) {
                ranges[kept - 1].last = ranges[i].last;
            }
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    return kept;
}

static err_t reserve(struct serial_set *set, size_t more) {
    size_t need = set->settled_count + more;
    if (need <= set->settled_size) {
        return OK;
    }
    size_t size = set->settled_size == 0 ? SETTLED_SIZE_FIRST : set->settled_size * 2;
    if (size < need) {
        size = need;
    }
    struct serial_range *ranges = reallocarray(set->settled, size, sizeof(*ranges));
    if (ranges == NULL) {
        return FAIL(ERR_MEMORY);
    }
    set->settled = ranges;
    set->settled_size = size;
    return OK;
}

/* Empties `recent` into `settled`: merged from the back, in place. */
static err_t fold(struct serial_set *set) {
    TRY(reserve(set, set->recent_count));
    size_t from = set->settled_count;
    size_t recent = set->recent_count;
    size_t to = from + recent;
    size_t count = to;
    while (recent > 0) {
        if (from > 0 && set->settled[from - 1].first > set->recent[recent - 1].first) {
            set->settled[--to] = set->settled[--from];
        } else {
            set->settled[--to] = set->recent[--recent];
        }
    }
    set->recent_count = 0;
    set->settled_count = coalesce(set->settled, count);
    return OK;
}

/* There is room for one more. */
static void insert(struct serial_range *ranges, size_t *count, struct serial_range range) {
    size_t begin = find(ranges, *count, range.first == 0 ? 0 : range.first - 1);
    size_t end = begin;
    while (end < *count && (range.last == UINT64_MAX || ranges[end].first <= range.last + 1)) {
        end++;
    }
    if (begin < end) {
        if (ranges[begin].first < range.first) {
            range.first = ranges[begin].first;
        }
        if (ranges[end - 1].last > range.last) {
            range.last = ranges[end - 1].last;
        }
    }
    memmove(&ranges[begin + 1], &ranges[end], (*count - end) * sizeof(*ranges));
    ranges[begin] = range;
    *count = *count - (end - begin) + 1;
}

void serial_set_done(struct serial_set *set) {
    free(set->settled);
    free(set->recent);
    *set = (struct serial_set){0};
}

bool serial_set_covers(const struct serial_set *set, uint64_t first, uint64_t last) {
    struct serial_range range = {first, last};
    return covers(set->settled, set->settled_count, range) ||
           covers(set->recent, set->recent_count, range);
}

bool serial_set_has(const struct serial_set *set, uint64_t serial) {
    return serial_set_covers(set, serial, serial);
}

err_t serial_set_add(struct serial_set *set, uint64_t first, uint64_t last) {
    if (serial_set_covers(set, first, last)) {
        return OK;
    }
    if (set->recent_count == 0 &&
        (set->settled_count == 0 || first > set->settled[set->settled_count - 1].last)) {
        return serial_set_append(set, first, last);
    }
    if (set->recent == NULL) {
        set->recent = calloc(RECENT_SIZE, sizeof(*set->recent));
        if (set->recent == NULL) {
            return FAIL(ERR_MEMORY);
        }
    }
    if (set->recent_count == RECENT_SIZE) {
        TRY(fold(set));
    }
    insert(set->recent, &set->recent_count, (struct serial_range){first, last});
    return OK;
}

err_t serial_set_append(struct serial_set *set, uint64_t first, uint64_t last) {
    if (set->settled_count > 0) {
        struct serial_range *end = &set->settled[set->settled_count - 1];
        if (end->last != UINT64_MAX && first == end->last + 1) {
            end->last = last;
            return OK;
        }
    }
    TRY(reserve(set, 1));
    set->settled[set->settled_count++] = (struct serial_range){first, last};
    return OK;
}

static int compare_first(const void *a, const void *b) {
    const struct serial_range *left = a;
    const struct serial_range *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

void serial_set_settle(struct serial_set *set) {
    for (size_t i = 1; i < set->settled_count; i++) {
        if (set->settled[i].first < set->settled[i - 1].first) {
            qsort(set->settled, set->settled_count, sizeof(*set->settled), compare_first);
            break;
        }
    }
    set->settled_count = coalesce(set->settled, set->settled_count);
}

static bool take_head(struct serial_walk *walk, struct serial_range *out) {
    const struct serial_set *set = walk->set;
    bool has_settled = walk->settled < set->settled_count;
    bool has_recent = walk->recent < set->recent_count;
    if (has_settled &&
        (!has_recent || set->settled[walk->settled].first <= set->recent[walk->recent].first)) {
        *out = set->settled[walk->settled++];
        return true;
    }
    if (has_recent) {
        *out = set->recent[walk->recent++];
    }
    return has_recent;
}

bool serial_walk_next(struct serial_walk *walk, struct serial_range *out) {
    struct serial_range range;
    struct serial_range next;
    if (!take_head(walk, &range)) {
        return false;
    }
    for (;;) {
        struct serial_walk ahead = *walk;
        if (!take_head(&ahead, &next) || !range_reaches(range, next)) {
            break;
        }
        if (next.last > range.last) {
            range.last = next.last;
        }
        *walk = ahead;
    }
    *out = range;
    return true;
}
