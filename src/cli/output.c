#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/sanitise.h"
#include "cli/terminal.h"

enum { OUTPUT_BYTES_MAX = 256 * 1024 * 1024, WARNING_CHARS = 1024 };

err_t print_json(const json_t *json) {
    if (json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0) {
        return FAIL(ERR_IO);
    }
    (void)putchar('\n');
    return OK;
}

err_t print_table(const struct table *table) {
    struct buf text CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    struct table_style style = {.boxed = terminal_is_rich(stdout),
                                .marks = terminal_shows_emoji(stdout),
                                .width_max = terminal_width(stdout)};
    TRY(table_render(table, &style, &text));
    return fwrite(text.data, 1, text.len, stdout) == text.len ? OK : FAIL(ERR_IO);
}

void print_warning(const char *format, ...) {
    char text[WARNING_CHARS];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct buf clean CLEANUP(buf_done) = BUF(4 * sizeof text);
    /* A warning that cannot be shown for want of memory is followed by the failure itself. */
    ignore_err(text_sanitise(span_str(text), false, &clean));
    (void)fprintf(stderr, "%swarning:%s %.*s\n", terminal_colour(stderr, COLOUR_YELLOW),
                  terminal_colour(stderr, COLOUR_NONE), (int)clean.len, (const char *)clean.data);
}

void print_time_cell(const char *rfc3339, char out[TIME_CHARS]) {
    int64_t when = 0;
    if (failed(time_parse(span_str(rfc3339), &when))) {
        (void)snprintf(out, TIME_CHARS, "%s", rfc3339);
        return;
    }
    time_print_local(when, out);
}

void time_and_distance(int64_t when, char out[80]) {
    char time[TIME_CHARS];
    char distance[DURATION_CHARS];
    time_print_local(when, time);
    duration_print_relative(when, clock_now_s(), distance);
    (void)snprintf(out, 80, "%s (%s)", time, distance);
}

static err_t not_understood(struct cli *cli, const char *name, const char *kind) {
    return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                       "the authority's answer is not understood: it has no %s \"%s\"", kind, name);
}

err_t answer_text(struct cli *cli, const json_t *answer, const char *name, const char **out) {
    const char *text = json_string_value(json_object_get(answer, name));
    if (text == NULL || text[0] == '\0') {
        return not_understood(cli, name, "text");
    }
    *out = text;
    return OK;
}

err_t answer_array(struct cli *cli, const json_t *answer, const char *name, const json_t **out) {
    const json_t *array = json_object_get(answer, name);
    if (!json_is_array(array)) {
        return not_understood(cli, name, "list");
    }
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value) {
        if (!json_is_object(value) && !json_is_string(value)) {
            return not_understood(cli, name, "well-formed list");
        }
    }
    *out = array;
    return OK;
}

err_t answer_object(struct cli *cli, const json_t *answer, const char *name, const json_t **out) {
    const json_t *object = json_object_get(answer, name);
    if (!json_is_object(object)) {
        return not_understood(cli, name, "object");
    }
    *out = object;
    return OK;
}

err_t answer_time(struct cli *cli, const json_t *answer, const char *name, int64_t *out) {
    const char *text = NULL;
    TRY(answer_text(cli, answer, name, &text));
    return failed(time_parse(span_str(text), out)) ? not_understood(cli, name, "time") : OK;
}

const char *member_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

bool member_true(const json_t *object, const char *name) {
    return json_is_true(json_object_get(object, name));
}

long long member_number(const json_t *object, const char *name) {
    return json_integer_value(json_object_get(object, name));
}

err_t member_join(const json_t *object, const char *name, const char *inner, char **out) {
    struct buf joined CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    size_t index;
    json_t *value;
    json_array_foreach(json_object_get(object, name), index, value) {
        const char *text = inner != NULL ? member_text(value, inner) : json_string_value(value);
        if (text != NULL) {
            TRY(buf_add_format(&joined, "%s%s", joined.len > 0 ? ", " : "", text));
        }
    }
    return buf_to_str(&joined, out);
}

void print_field(const char *label, const char *value) {
    if (value[0] != '\0') {
        (void)printf("%s:%*s %s\n", label, (int)(14 - strlen(label)), "", value);
    }
}
