#include <stdio.h>
#include <string.h>

#include "config/reader.h"

enum { NAME_CHARS = 64, FAR = 99 };

static char plain(char c) {
    c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    return c == '-' ? '_' : c; /* host_keys is also host-keys to those who guess */
}

/* Levenshtein's distance; FAR for names longer than any of ours. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t row[NAME_CHARS + 1];
    if (a_len > NAME_CHARS || b_len > NAME_CHARS) {
        return FAR;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = diagonal + (plain(a[i - 1]) == plain(b[j - 1]) ? 0 : 1);
            size_t other = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = changed < other ? changed : other;
        }
    }
    return row[b_len];
}

struct best {
    size_t distance;
    const char *name;
    size_t len;
};

static size_t last_part(const char *name, size_t len) {
    size_t at = len;
    while (at > 0 && name[at - 1] != '.') {
        at--;
    }
    return at;
}

/* By its whole name, or, a little farther, by its last part in whatever section. */
static void consider(const char *wrong, const char *name, size_t len, struct best *best) {
    size_t wrong_len = strlen(wrong);
    size_t wrong_last = last_part(wrong, wrong_len);
    size_t last = last_part(name, len);
    size_t near = distance(wrong, wrong_len, name, len);
    size_t elsewhere =
        1 + distance(wrong + wrong_last, wrong_len - wrong_last, name + last, len - last);
    near = elsewhere < near ? elsewhere : near;
    if (near < best->distance) {
        *best = (struct best){near, name, len};
    }
}

bool suggest(const struct settings_plan *plan, const char *name, char out[SUGGESTION_CHARS]) {
    struct best best = {.distance = FAR};
    for (size_t i = 0; i < plan->count; i++) {
        const char *known = plan->table[i].name;
        consider(name, known, strlen(known), &best);
        for (const char *dot = strchr(known, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
            consider(name, known, (size_t)(dot - known), &best);
        }
    }
    size_t len = strlen(name);
    size_t slips = (len - last_part(name, len)) / 3;
    if (best.distance > (slips > 1 ? slips : 1)) {
        return false;
    }
    (void)snprintf(out, SUGGESTION_CHARS, "%.*s", (int)best.len, best.name);
    return true;
}
