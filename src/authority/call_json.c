/* Values of answers. */
#include <stdio.h>

#include "authority/call.h"
#include "base/clock.h"

json_t *call_json_time(int64_t when) {
    char text[TIME_CHARS];
    time_print_utc(when, text);
    return json_string(text);
}

json_t *call_json_u64(uint64_t value) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return json_string(text);
}

json_t *call_json_subnets(const struct subnet_list *subnets) {
    json_t *list = json_array();
    for (size_t i = 0; i < subnets->count; i++) {
        char text[INET_CHARS];
        inet_subnet_print(&subnets->subnets[i], text);
        if (json_array_append_new(list, json_string(text)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *call_json_clusters(const struct cluster_list *clusters) {
    json_t *list = json_array();
    for (size_t i = 0; i < clusters->count; i++) {
        if (json_array_append_new(list, json_string(clusters->names[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *call_json_lines(const char *lines) {
    json_t *list = json_array();
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        if (json_array_append_new(list, json_stringn(lines, len)) != 0) {
            json_decref(list);
            return NULL;
        }
        lines += len + (lines[len] == '\n');
    }
    return list;
}

void call_json_set_text(json_t *object, const char *name, const char *text) {
    if (text != NULL && text[0] != '\0') {
        /* Out of memory leaves the member out; the reader takes it for absent. */
        (void)json_object_set_new(object, name, json_string(text));
    }
}
