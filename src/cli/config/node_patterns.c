#include "cli/config/node_patterns.h"

#include <ctype.h>
#include <string.h>

enum { PATTERN_LETTERS_MIN = 3 };

void node_patterns_done(struct node_patterns *patterns) {
    for (size_t i = 0; i < patterns->count; i++) {
        free(patterns->items[i].text);
    }
    free(patterns->items);
    *patterns = (struct node_patterns){0};
}

const char *node_via(const struct reach *reach, const struct reach_host *host, const char *jump,
                     bool through_login) {
    for (size_t i = 0; through_login && i < reach->cluster_count; i++) {
        if (strcmp(reach->clusters[i].name, host->cluster) == 0) {
            return host->cluster;
        }
    }
    return jump != NULL ? jump : "";
}

static bool is_taken(const struct reach *reach, const char *name) {
    for (size_t i = 0; i < reach->cluster_count; i++) {
        if (strcmp(reach->clusters[i].name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < reach->jump_count; i++) {
        if (strcmp(reach->jumps[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void make_pattern(char *name) {
    size_t letters = 0;
    for (const char *at = name; *at != '\0'; at++) {
        letters += isdigit((unsigned char)*at) ? 0 : 1;
    }
    for (char *at = name; letters >= PATTERN_LETTERS_MIN && *at != '\0'; at++) {
        *at = isdigit((unsigned char)*at) ? '?' : *at;
    }
}

static int compare_blocks(const struct node_pattern *a, const struct node_pattern *b) {
    int by_via = strcmp(a->via, b->via);
    return by_via != 0 ? by_via : (int)a->host->port - (int)b->host->port;
}

static int by_text(const void *a, const void *b) {
    const struct node_pattern *one = a;
    const struct node_pattern *two = b;
    int order = strcmp(one->text, two->text);
    return order != 0 ? order : compare_blocks(one, two);
}

static int by_block(const void *a, const void *b) {
    const struct node_pattern *one = a;
    const struct node_pattern *two = b;
    if (one->exact != two->exact) {
        return one->exact ? -1 : 1;
    }
    int order = compare_blocks(one, two);
    return order != 0 ? order : strcmp(one->text, two->text);
}

static err_t add(struct node_patterns *patterns, const struct reach_host *host, const char *via) {
    struct node_pattern *item = &patterns->items[patterns->count];
    char *text = strdup(host->name);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *item = (struct node_pattern){.text = text, .host = host, .via = via};
    item->exact = via[0] == '\0' && strcmp(host->name, host->address) != 0;
    if (!item->exact) {
        make_pattern(text);
    }
    patterns->count++;
    return OK;
}

/* Sorted by text, so that those of one text stand together, the first of them before the others. */
static err_t make_unique(struct node_patterns *patterns) {
    size_t kept = 0;
    struct node_pattern *items = patterns->items;
    const struct node_pattern *first = NULL;
    for (size_t i = 0; i < patterns->count; i++) {
        bool same_text = first != NULL && strcmp(first->text, items[i].text) == 0;
        if (same_text && compare_blocks(first, &items[i]) == 0) {
            free(TAKE(items[i].text));
            continue;
        }
        if (same_text) {
            char *name = strdup(items[i].host->name);
            if (name == NULL) {
                return FAIL(ERR_MEMORY);
            }
            free(items[i].text);
            items[i].text = name;
            items[i].exact = true;
        }
        struct node_pattern item = items[i];
        items[i].text = NULL;
        items[kept] = item;
        first = same_text ? first : &items[kept];
        kept++;
    }
    patterns->count = kept;
    return OK;
}

err_t node_patterns_make(const struct reach *reach, const char *jump, bool through_login,
                         struct node_patterns *out) {
    struct node_patterns patterns CLEANUP(node_patterns_done) = {0};
    patterns.items = calloc(reach->host_count + 1, sizeof *patterns.items);
    if (patterns.items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        if (host->role == HOST_COMPUTE && !is_taken(reach, host->name)) {
            TRY(add(&patterns, host, node_via(reach, host, jump, through_login)));
        }
    }
    qsort(patterns.items, patterns.count, sizeof *patterns.items, by_text);
    TRY(make_unique(&patterns));
    qsort(patterns.items, patterns.count, sizeof *patterns.items, by_block);
    *out = patterns;
    patterns = (struct node_patterns){0};
    return OK;
}
