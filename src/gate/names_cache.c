#include "gate/names.h"

/* A name has one place, by its hash. Two names that share one drive each other out, which costs a
 * question and nothing else; so the size is fixed and there is nothing to sweep. */
struct entry {
    char name[LIMIT_HOST_NAME_CHARS + 1];
    struct names_answer answer;
    int64_t until_ms;
};
struct names_cache {
    struct entry *entries[NAMES_CACHE_COUNT];
};

/* FNV-1a. The names are the administrators', so nobody gains by collisions. */
static size_t place_of(const char *name) {
    uint32_t hash = 2166136261U;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619U;
    }
    return hash % NAMES_CACHE_COUNT;
}

err_t names_cache_new(struct names_cache **out) {
    struct names_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = cache;
    return OK;
}

void names_cache_free(struct names_cache *cache) {
    for (size_t i = 0; cache != NULL && i < NAMES_CACHE_COUNT; i++) {
        free(cache->entries[i]);
    }
    free(cache);
}

const struct names_answer *names_cache_get(const struct names_cache *cache, const char *name,
                                           int64_t now_ms) {
    const struct entry *entry = cache->entries[place_of(name)];
    bool known = entry != NULL && now_ms < entry->until_ms && strcmp(entry->name, name) == 0;
    return known ? &entry->answer : NULL;
}

void names_cache_put(struct names_cache *cache, const char *name, const struct names_answer *answer,
                     int64_t now_ms) {
    struct entry **place = &cache->entries[place_of(name)];
    size_t len = strlen(name);
    int64_t good_s = answer->status == GATE_NAMES_FOUND ? NAMES_FOUND_S : NAMES_NOT_FOUND_S;
    if (len >= sizeof(*place)->name || answer->status == GATE_NAMES_TRY_AGAIN) {
        return;
    }
    if (*place == NULL) {
        *place = calloc(1, sizeof **place);
    }
    if (*place != NULL) { /* without memory nothing is kept */
        memcpy((*place)->name, name, len + 1);
        (*place)->answer = *answer;
        (*place)->until_ms = now_ms + good_s * 1000;
    }
}
