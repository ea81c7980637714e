#include "feed/reach.h"

#include <string.h>

err_t reach_put(const struct change_list *clusters, struct buf *out) {
    TRY(buf_add_byte(out, ','));
    for (size_t i = 0; i < clusters->count; i++) {
        TRY(buf_add_str(out, clusters->items[i]));
        TRY(buf_add_byte(out, ','));
    }
    return OK;
}

bool reach_has(const char *reach, const char *cluster) {
    size_t len = strlen(cluster);
    for (const char *at = reach; len > 0 && (at = strstr(at, cluster)) != NULL; at++) {
        if (at > reach && at[-1] == ',' && at[len] == ',') {
            return true;
        }
    }
    return false;
}

bool reach_is_empty(const char *reach) { return strlen(reach) <= 1; }

err_t reach_each(const char *reach, err_t (*each)(void *context, const char *cluster),
                 void *context) {
    const char *at = reach;
    while (at[0] == ',' && at[1] != '\0') {
        char name[LIMIT_CLUSTER_NAME_CHARS + 1];
        size_t len = strcspn(at + 1, ",");
        if (len >= sizeof name) {
            return FAIL(ERR_MALFORMED);
        }
        memcpy(name, at + 1, len);
        name[len] = '\0';
        TRY(each(context, name));
        at += len + 1;
    }
    return OK;
}

static err_t must_have(void *context, const char *cluster) {
    return reach_has(context, cluster) ? OK : FAIL(ERR_NOT_FOUND);
}

bool reach_is_within(const char *reach, const char *next) {
    return !failed(reach_each(reach, must_have, (void *)(uintptr_t)next));
}
