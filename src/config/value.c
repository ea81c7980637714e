/* From the nodes of the file to the members of a struct. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/inet.h"
#include "base/text.h"
#include "config/reader.h"

/* One value on its way to its place. */
struct value {
    struct settings_reader *reader;
    const struct setting *setting;
    const char *text;
    size_t line;
    void *place;
};

static bool refuse(const struct value *value, const char *otherwise) {
    const char *reason = value->setting->reason;
    reader_complain(value->reader, value->line, value->setting->name, "\"%.60s\" %s", value->text,
                    reason != NULL ? reason : otherwise);
    return false;
}

static bool store_text(const struct value *value, const char *text) {
    char **place = value->place;
    char *copy = strdup(text);
    INVARIANT(copy != NULL);
    free(*place);
    *place = copy;
    return true;
}

static bool set_text(const struct value *value) {
    const struct setting *setting = value->setting;
    if (setting->check != NULL && failed(setting->check(value->text))) {
        return refuse(value, "is not allowed here");
    }
    return store_text(value, value->text);
}

static bool set_path(const struct value *value) {
    const struct setting *setting = value->setting;
    char *path CLEANUP(freep) = NULL;
    if (setting->check != NULL && failed(setting->check(value->text))) {
        return refuse(value, "is not allowed here");
    }
    if (value->text[0] == '/') {
        return store_text(value, value->text);
    }
    INVARIANT(!failed(path_join(value->reader->folder, value->text, &path)));
    return store_text(value, path);
}

static bool set_bool(const struct value *value) {
    bool yes = strcmp(value->text, "true") == 0;
    if (!yes && strcmp(value->text, "false") != 0) {
        return refuse(value, "is neither true nor false");
    }
    *(bool *)value->place = yes;
    return true;
}

static bool set_number(const struct value *value) {
    const struct setting *setting = value->setting;
    uint64_t number;
    if (failed(u64_parse(span_str(value->text), &number)) || number < (uint64_t)setting->min ||
        number > (uint64_t)setting->max) {
        char range[96];
        (void)snprintf(range, sizeof range, "is not a whole number from %lld to %lld",
                       (long long)setting->min, (long long)setting->max);
        return refuse(value, range);
    }
    switch (setting->size) {
    case sizeof(uint16_t):
        *(uint16_t *)value->place = (uint16_t)number;
        return true;
    case sizeof(uint32_t):
        *(uint32_t *)value->place = (uint32_t)number;
        return true;
    default:
        INVARIANT(setting->size == sizeof(uint64_t));
        *(uint64_t *)value->place = number;
        return true;
    }
}

static bool set_duration(const struct value *value) {
    const struct setting *setting = value->setting;
    int64_t seconds = 0;
    err_t err = duration_parse(span_str(value->text), &seconds);
    if (failed(err) && err.code != ERR_RANGE) {
        return refuse(value, "is not a duration; write a number and a unit: 1d, 12h, 30min, 90s");
    }
    if (failed(err)) {
        return refuse(value, "is zero or longer than a year");
    }
    if (setting->max != 0 && seconds > setting->max) {
        reader_complain(value->reader, value->line, setting->name, "\"%.60s\" %s", value->text,
                        setting->range_reason != NULL ? setting->range_reason : "is too long");
        return false;
    }
    *(int64_t *)value->place = seconds;
    return true;
}

static bool set_subnet(const struct value *value) {
    err_t err = inet_subnet_parse(span_str(value->text), value->place);
    if (failed(err)) {
        return refuse(value, err.code == ERR_RANGE
                                 ? "is a subnet with bits set beyond its prefix; write "
                                   "192.0.2.0/24 or 2001:db8::/32"
                                 : "is not a subnet; write 192.0.2.0/24 or 2001:db8::/32");
    }
    return true;
}

static bool set_word(const struct value *value) {
    return !failed(value->setting->take(value->reader->target, value->text)) ||
           refuse(value, "is not known");
}

static bool (*const set_by_type[])(const struct value *value) = {
    [SETTING_TEXT] = set_text,     [SETTING_PATH] = set_path, [SETTING_BOOL] = set_bool,
    [SETTING_NUMBER] = set_number, [SETTING_WORD] = set_word, [SETTING_DURATION] = set_duration,
    [SETTING_SUBNET] = set_subnet,
};

static bool read_one(struct settings_reader *reader, const struct setting *setting, size_t item,
                     const yaml_node_t *node) {
    struct value value = {.reader = reader, .setting = setting, .line = reader_line(node)};
    value.text = reader_scalar(reader, setting->name, node);
    value.place = (char *)reader->target + setting->offset + item * setting->size;
    return value.text != NULL && set_by_type[setting->type](&value);
}

static size_t *counter(struct settings_reader *reader, const struct setting *setting) {
    return (size_t *)(void *)((char *)reader->target + setting->count_offset);
}

static void drop_items(struct settings_reader *reader, const struct setting *setting) {
    char *first = (char *)reader->target + setting->offset;
    if (setting->type == SETTING_WORD) {
        memset(first, 0, setting->size);
        return;
    }
    size_t *count = counter(reader, setting);
    bool owned = setting->type == SETTING_TEXT || setting->type == SETTING_PATH;
    for (size_t i = 0; owned && i < *count; i++) {
        freep(first + i * setting->size);
        *(char **)(void *)(first + i * setting->size) = NULL;
    }
    *count = 0;
}

/* Items that are refused leave no gap. */
static bool read_item(struct settings_reader *reader, const struct setting *setting,
                      const yaml_node_t *node) {
    size_t *count = setting->type == SETTING_WORD ? NULL : counter(reader, setting);
    bool good = read_one(reader, setting, count != NULL ? *count : 0, node);
    if (good && count != NULL) {
        (*count)++;
    }
    return good;
}

static bool read_list(struct settings_reader *reader, const struct setting *setting,
                      const yaml_node_t *node) {
    drop_items(reader, setting);
    if (node->type == YAML_SCALAR_NODE) {
        return read_item(reader, setting, node);
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        reader_complain(reader, reader_line(node), setting->name, "must be a list: [a, b]");
        return false;
    }
    bool good = true;
    size_t count = 0;
    for (const yaml_node_item_t *at = node->data.sequence.items.start;
         at < node->data.sequence.items.top; at++) {
        if (count++ == setting->items_max) {
            reader_complain(reader, reader_line(node), setting->name, "has more than %zu items",
                            setting->items_max);
            return false;
        }
        good &= read_item(reader, setting, yaml_document_get_node(reader->document, *at));
    }
    return good;
}

void value_read(struct settings_reader *reader, size_t index, const yaml_node_t *node) {
    const struct setting *setting = &reader->plan->table[index];
    bool good =
        setting->list ? read_list(reader, setting, node) : read_one(reader, setting, 0, node);
    reader->bad[index] = !good;
}
