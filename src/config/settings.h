/*
 * Settings: a YAML file turned into the values of a struct, by a table that names every setting
 * there is. The whole file is judged and every error told, with file, line, setting and what to do;
 * so whoever wrote the file mends it once.
 *
 * Of YAML it takes mappings of single values and of lists of them. Refused, since no configuration
 * needs them and each is a way to surprise the reader: names that stand twice, anchors and aliases
 * (a few lines of which can stand for billions of values), tags, several documents, and nesting
 * beyond LIMIT_CONFIG_DEPTH.
 */
#ifndef POSTERN_CONFIG_SETTINGS_H
#define POSTERN_CONFIG_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

enum { SETTINGS_COUNT_MAX = 64 };

/* The member of the struct: its type, and what min and max bound. */
enum setting_type {
    SETTING_TEXT,     /* char *, owned */
    SETTING_PATH,     /* char *, owned; relative to the file's folder, here complete */
    SETTING_BOOL,     /* bool */
    SETTING_NUMBER,   /* unsigned, of 2, 4 or 8 bytes, from min to max */
    SETTING_DURATION, /* int64_t in seconds, at most max (0: LIMIT_DURATION_S) */
    SETTING_SUBNET,   /* struct inet_subnet */
    SETTING_WORD,     /* whatever take() makes of it */
};

struct setting {
    const char *name; /* "listen.port": the part before a dot is a section of the file */
    enum setting_type type;
    bool required;

    /* Where it goes: SETTING_AT() or SETTING_LIST_AT() fill these. */
    size_t offset;
    size_t size;
    /* A list of such values; in the file a single value may stand for a list of one. What a list
     * held before is dropped: a WORD's member is zeroed. */
    bool list;
    size_t count_offset; /* of the size_t that counts them; not for WORD */
    size_t items_max;

    int64_t min, max;
    err_t (*check)(const char *text);              /* of a TEXT or PATH, as written; or NULL */
    err_t (*take)(void *target, const char *text); /* of a WORD */
    /* Completes `"VALUE" …` when the value is refused, or is beyond max; NULL: the type's own. */
    const char *reason;
    const char *range_reason;
};

#define SETTING_AT(strukt, member)                                                                 \
    .offset = offsetof(strukt, member), .size = sizeof(((strukt *)NULL)->member)
#define SETTING_LIST_AT(strukt, array, counter)                                                    \
    .list = true, .offset = offsetof(strukt, array), .size = sizeof(((strukt *)NULL)->array[0]),   \
    .count_offset = offsetof(strukt, counter), .items_max = COUNT_OF(((strukt *)NULL)->array)

/* One complaint about a file: `where` is "posternd.yaml:12". */
struct settings_complaint {
    const char *where;
    const char *field;
    const char *reason; /* what is wrong, and what to do */
};
typedef void settings_complain(void *context, const struct settings_complaint *complaint);

struct settings_reader;

/* What a program's file may hold. */
struct settings_plan {
    const struct setting *table;
    size_t count;
    const char *example; /* a file that shows every setting, for complaints to point to */
    /* Complains about what one setting alone cannot tell, and fills what follows from others; or
     * NULL. Called also when there were complaints. */
    void (*judge)(struct settings_reader *reader, void *target);
};

/* Where the settings stood. */
struct settings {
    const struct settings_plan *plan;
    char *path;                         /* of the file, complete; NULL: there was none */
    unsigned lines[SETTINGS_COUNT_MAX]; /* of each of the table; 0: not set */
};

/*
 * Reads a file into *target, which holds the defaults: texts owned, or NULL. Every error is told,
 * up to LIMIT_CONFIG_COMPLAINTS_COUNT. ERR_MALFORMED when there was one; ERR_NOT_FOUND,
 * ERR_TOO_LONG etc. when the file cannot be read, which is told as well. Either way the caller
 * frees what is in *target, and *settings.
 */
err_t settings_load(const struct settings_plan *plan, const char *path, settings_complain *complain,
                    void *context, struct settings *settings, void *target);
/* The same of a text: `file` is its name for complaints, `folder` what paths are relative to. */
err_t settings_parse(const struct settings_plan *plan, span_t text, const char *file,
                     const char *folder, settings_complain *complain, void *context,
                     struct settings *settings, void *target);
void settings_done(struct settings *settings);
/* Frees the texts and paths of a target, lists of them too, and sets them to NULL. */
void settings_free_texts(const struct settings_plan *plan, void *target);

/* False also for a name that is not in the table. */
bool settings_is_set(const struct settings *settings, const char *name);
/* "posternd.yaml:12" of a setting, or the file alone where it was not set. */
void settings_where(const struct settings *settings, const char *name, char *out, size_t size);

/* --- for judge() --- */

const struct settings *settings_of(const struct settings_reader *reader);
/* Whether there was a complaint about this setting's value. */
bool settings_is_bad(const struct settings_reader *reader, const char *name);
/* Complains about `field`, at the line where the setting `at` stands. */
void settings_tell(struct settings_reader *reader, const char *at, const char *field,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
