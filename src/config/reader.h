/* What the files of this room share: one reading of one file. */
#ifndef POSTERN_CONFIG_READER_H
#define POSTERN_CONFIG_READER_H

#include <yaml.h>

#include "config/settings.h"

struct settings_reader {
    const struct settings_plan *plan;
    struct settings *settings;
    void *target;
    const char *file;
    const char *folder;
    settings_complain *complain;
    void *context;
    size_t complaints;
    yaml_document_t *document;
    unsigned sections[SETTINGS_COUNT_MAX]; /* the line of each section, by its first setting */
    bool bad[SETTINGS_COUNT_MAX];
};

/* reader.c. Line 0: the file as a whole. */
void reader_complain(struct settings_reader *reader, size_t line, const char *field,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* So many complaints that the rest is not looked at. */
bool reader_is_full(const struct settings_reader *reader);
size_t reader_line(const yaml_node_t *node);
/* The text of a single value that is not empty; NULL after a complaint. */
const char *reader_scalar(struct settings_reader *reader, const char *field,
                          const yaml_node_t *node);

/* value.c: sets what setting `index` of the table says from its node. */
void value_read(struct settings_reader *reader, size_t index, const yaml_node_t *node);

/* suggest.c: the name of the table, a setting's or a section's, that is the likeliest meant by one
 * that is not in it; false when none is near. */
enum { SUGGESTION_CHARS = 96 };
bool suggest(const struct settings_plan *plan, const char *name, char out[SUGGESTION_CHARS]);

#endif
