#include "cli/config/config_line.h"

#include <string.h>
#include <strings.h>

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f'; }

/* One word off the front, out of its quotes. ssh_config(5): keyword and arguments are separated by
 * white space, or by white space and exactly one '='. */
span_t config_line_word(span_t *line) {
    while (line->len > 0 && is_blank(line->data[0])) {
        *line = span_of(line->data + 1, line->len - 1);
    }
    if (line->len > 0 && line->data[0] == '"') {
        *line = span_of(line->data + 1, line->len - 1);
        return span_until(line, '"');
    }
    size_t len = 0;
    while (len < line->len && !is_blank(line->data[len])) {
        len++;
    }
    span_t word = span_of(line->data, len);
    *line = span_of(line->data + len, line->len - len);
    return word;
}

span_t config_line_keyword(span_t *line) {
    span_t whole = *line;
    while (whole.len > 0 && is_blank(whole.data[0])) {
        whole = span_of(whole.data + 1, whole.len - 1);
    }
    size_t len = 0;
    while (len < whole.len && !is_blank(whole.data[len]) && whole.data[len] != '=') {
        len++;
    }
    size_t used = len;
    while (used < whole.len && is_blank(whole.data[used])) {
        used++;
    }
    used += used < whole.len && whole.data[used] == '=' ? 1 : 0;
    *line = span_of(whole.data + used, whole.len - used);
    return span_of(whole.data, len);
}

bool config_line_is(span_t keyword, const char *name) {
    return keyword.len == strlen(name) &&
           strncasecmp((const char *)keyword.data, name, keyword.len) == 0;
}
