/*
 * libyaml and not libcyaml, which has tables of its own: libcyaml stops at the first error.
 *
 * The file is gone through twice. scan() refuses by its events what a reading of the whole would
 * have to bear: aliases, depth, further documents. The second time libyaml makes a document of it.
 */
#include "config/reader.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static const char whole_file[] = "(file)";

static void tell(struct settings_reader *reader, size_t line, const char *field,
                 const char *reason) {
    char where[320];
    if (line > 0) {
        (void)snprintf(where, sizeof where, "%s:%zu", reader->file, line);
    } else {
        (void)snprintf(where, sizeof where, "%s", reader->file);
    }
    reader->complain(reader->context, &(struct settings_complaint){where, field, reason});
}

__attribute__((format(printf, 4, 0))) static void complain_list(struct settings_reader *reader,
                                                                size_t line, const char *field,
                                                                const char *format,
                                                                va_list arguments) {
    char reason[512];
    reader->complaints++;
    if (reader->complaints == LIMIT_CONFIG_COMPLAINTS_COUNT) {
        tell(reader, line, whole_file, "has more errors than are told");
    }
    if (reader_is_full(reader)) {
        return;
    }
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    tell(reader, line, field, reason);
}

void reader_complain(struct settings_reader *reader, size_t line, const char *field,
                     const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain_list(reader, line, field, format, arguments);
    va_end(arguments);
}

bool reader_is_full(const struct settings_reader *reader) {
    return reader->complaints >= LIMIT_CONFIG_COMPLAINTS_COUNT;
}

size_t reader_line(const yaml_node_t *node) { return node->start_mark.line + 1; }

/* What YAML takes for no value at all. */
static bool is_null(const yaml_node_t *node) {
    const char *text = (const char *)node->data.scalar.value;
    return node->data.scalar.length == 0 || (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                                             (strcmp(text, "~") == 0 || strcmp(text, "null") == 0));
}

const char *reader_scalar(struct settings_reader *reader, const char *field,
                          const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) {
        reader_complain(reader, reader_line(node), field, "must be a single value, not a %s",
                        node->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length ||
        !text_is_utf8(span_of(text, node->data.scalar.length))) {
        reader_complain(reader, reader_line(node), field, "has a control character in it");
        return NULL;
    }
    if (is_null(node)) {
        reader_complain(reader, reader_line(node), field, "is empty; give a value or leave it out");
        return NULL;
    }
    return text;
}

/* ---- the shape of the file ---------------------------------------------------------------- */

static void complain_yaml(struct settings_reader *reader, const yaml_parser_t *parser) {
    reader_complain(
        reader, parser->problem_mark.line + 1, whole_file, "is not YAML: %s (column %zu)",
        parser->problem != NULL ? parser->problem : "unreadable", parser->problem_mark.column + 1);
}

static void start_parser(yaml_parser_t *parser, span_t text) {
    INVARIANT(yaml_parser_initialize(parser) == 1);
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, text.data, text.len);
}

static bool is_marked(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

struct shape {
    size_t depth;
    size_t documents;
};

/* False where it is no use to go on. */
static bool scan_event(struct settings_reader *reader, const yaml_event_t *event,
                       struct shape *shape) {
    size_t line = event->start_mark.line + 1;
    if (is_marked(event)) {
        reader_complain(reader, line, whole_file,
                        "has an anchor (&), alias (*) or tag (!); write the value itself, in "
                        "quotes if it begins with such a character");
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++shape->documents > 1) {
            reader_complain(reader, line, whole_file,
                            "has a second document (---); one is all that is read");
        }
        return shape->documents == 1;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (++shape->depth > LIMIT_CONFIG_DEPTH) {
            reader_complain(reader, line, whole_file, "is nested deeper than %d",
                            LIMIT_CONFIG_DEPTH);
        }
        return shape->depth <= LIMIT_CONFIG_DEPTH;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        shape->depth--;
        return true;
    default:
        return event->type != YAML_STREAM_END_EVENT;
    }
}

static void scan(struct settings_reader *reader, span_t text) {
    yaml_parser_t parser;
    struct shape shape = {0};
    start_parser(&parser, text);
    for (bool more = true; more && !reader_is_full(reader);) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) != 1) {
            complain_yaml(reader, &parser);
            break;
        }
        more = scan_event(reader, &event, &shape);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}

/* ---- its names ---------------------------------------------------------------------------- */

/* The first setting of a section: what stands for it in reader->sections. */
static bool find_section(const struct settings_plan *plan, const char *name, size_t *index) {
    size_t len = strlen(name);
    for (size_t i = 0; i < plan->count; i++) {
        if (strncmp(plan->table[i].name, name, len) == 0 && plan->table[i].name[len] == '.') {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool find_setting(const struct settings_plan *plan, const char *name, size_t *index) {
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->table[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Notes where a name stands; false when it did before. */
static bool note_line(struct settings_reader *reader, const char *name, size_t line,
                      unsigned *noted) {
    if (*noted != 0) {
        reader_complain(reader, line, name, "is set twice, first in line %u", *noted);
        return false;
    }
    *noted = (unsigned)line;
    return true;
}

static void read_mapping(struct settings_reader *reader, const char *section,
                         const yaml_node_t *node);

static void read_named(struct settings_reader *reader, const char *name, size_t line,
                       const yaml_node_t *value) {
    size_t index;
    char likely[SUGGESTION_CHARS];
    if (find_section(reader->plan, name, &index)) {
        if (note_line(reader, name, line, &reader->sections[index])) {
            read_mapping(reader, name, value);
        }
    } else if (find_setting(reader->plan, name, &index)) {
        if (note_line(reader, name, line, &reader->settings->lines[index])) {
            value_read(reader, index, value);
        }
    } else if (suggest(reader->plan, name, likely)) {
        reader_complain(reader, line, name, "is not known here; did you mean %s?", likely);
    } else {
        reader_complain(reader, line, name, "is not known; %s shows all that is",
                        reader->plan->example);
    }
}

/* section: "" for the file itself. */
static void read_mapping(struct settings_reader *reader, const char *section,
                         const yaml_node_t *node) {
    const char *here = section[0] != '\0' ? section : whole_file;
    if (node->type != YAML_MAPPING_NODE) {
        /* "tls:" with nothing under it is an empty scalar; leaving a section empty is fine. */
        if (node->type != YAML_SCALAR_NODE || !is_null(node)) {
            reader_complain(reader, reader_line(node), here,
                            "must be a mapping of names and values");
        }
        return;
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && !reader_is_full(reader); pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        const char *text = reader_scalar(reader, here, key);
        char name[160];
        if (text != NULL) {
            (void)snprintf(name, sizeof name, "%s%s%.60s", section, section[0] != '\0' ? "." : "",
                           text);
            read_named(reader, name, reader_line(key),
                       yaml_document_get_node(reader->document, pair->value));
        }
    }
}

static void find_missing(struct settings_reader *reader) {
    for (size_t i = 0; i < reader->plan->count; i++) {
        const struct setting *setting = &reader->plan->table[i];
        if (setting->required && reader->settings->lines[i] == 0) {
            reader_complain(reader, 0, setting->name, "is missing; %s shows it",
                            reader->plan->example);
        }
    }
}

static void read_document(struct settings_reader *reader, span_t text) {
    yaml_parser_t parser;
    yaml_document_t document;
    start_parser(&parser, text);
    if (yaml_parser_load(&parser, &document) != 1) {
        complain_yaml(reader, &parser);
        yaml_parser_delete(&parser);
        return;
    }
    reader->document = &document;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root != NULL) {
        read_mapping(reader, "", root);
    }
    find_missing(reader);
    if (reader->plan->judge != NULL) {
        reader->plan->judge(reader, reader->target);
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
}

err_t settings_parse(const struct settings_plan *plan, span_t text, const char *file,
                     const char *folder, settings_complain *complain, void *context,
                     struct settings *settings, void *target) {
    INVARIANT(plan->count <= SETTINGS_COUNT_MAX);
    settings->plan = plan;
    struct settings_reader reader = {.plan = plan,
                                     .settings = settings,
                                     .target = target,
                                     .file = file,
                                     .folder = folder,
                                     .complain = complain,
                                     .context = context};
    scan(&reader, text);
    if (reader.complaints == 0) {
        read_document(&reader, text);
    }
    return reader.complaints > 0 ? FAIL(ERR_MALFORMED) : OK;
}

err_t settings_load(const struct settings_plan *plan, const char *path, settings_complain *complain,
                    void *context, struct settings *settings, void *target) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    char *for_folder CLEANUP(freep) = NULL;
    err_t err = file_read(path, &text);
    if (!failed(err)) {
        settings->path = realpath(path, NULL);
        for_folder = settings->path != NULL ? strdup(settings->path) : NULL;
        err = for_folder != NULL ? OK : FAIL(ERR_IO);
    }
    if (failed(err)) {
        complain(context, &(struct settings_complaint){path, whole_file, err_text(err)});
        return err;
    }
    const char *slash = strrchr(path, '/');
    return settings_parse(plan, buf_span(&text), slash != NULL ? slash + 1 : path,
                          dirname(for_folder), complain, context, settings, target);
}

/* ---- afterwards, and for judge() ------------------------------------------------------------ */

void settings_done(struct settings *settings) {
    free(settings->path);
    *settings = (struct settings){0};
}

void settings_free_texts(const struct settings_plan *plan, void *target) {
    for (size_t i = 0; i < plan->count; i++) {
        const struct setting *setting = &plan->table[i];
        if (setting->type != SETTING_TEXT && setting->type != SETTING_PATH) {
            continue;
        }
        char **texts = (char **)(void *)((char *)target + setting->offset);
        for (size_t j = 0; j < (setting->list ? setting->items_max : 1); j++) {
            free(TAKE(texts[j]));
        }
    }
}

static unsigned line_of(const struct settings *settings, const char *name) {
    size_t index;
    return settings->plan != NULL && find_setting(settings->plan, name, &index)
               ? settings->lines[index]
               : 0;
}

bool settings_is_set(const struct settings *settings, const char *name) {
    return line_of(settings, name) != 0;
}

void settings_where(const struct settings *settings, const char *name, char *out, size_t size) {
    const char *path = settings->path != NULL ? settings->path : "(no file)";
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    unsigned line = line_of(settings, name);
    if (line != 0) {
        (void)snprintf(out, size, "%s:%u", file, line);
    } else {
        (void)snprintf(out, size, "%s", file);
    }
}

const struct settings *settings_of(const struct settings_reader *reader) {
    return reader->settings;
}

bool settings_is_bad(const struct settings_reader *reader, const char *name) {
    size_t index;
    return find_setting(reader->plan, name, &index) && reader->bad[index];
}

void settings_tell(struct settings_reader *reader, const char *at, const char *field,
                   const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain_list(reader, line_of(reader->settings, at), field, format, arguments);
    va_end(arguments);
}
