#include "cli/config/host_names.h"

#include <string.h>
#include <strings.h>

#include "base/inet.h"
#include "cli/config/config_line.h"

bool host_names_next(span_t *text, span_t *line, span_t *name) {
    for (;;) {
        *name = config_line_word(line);
        if (name->len > 0) {
            return true;
        }
        if (text->len == 0) {
            return false;
        }
        *line = span_until(text, '\n');
        if (!config_line_is(config_line_keyword(line), "Host")) {
            *line = (span_t){0};
        }
    }
}

bool host_names_have(span_t text, span_t name) {
    span_t line = {0}, word;
    while (host_names_next(&text, &line, &word)) {
        if (span_equal(word, name)) {
            return true;
        }
    }
    return false;
}

static const char *domain_of(const char *authority) {
    struct inet_address address;
    const char *dot = strchr(authority, '.');
    bool deep = dot != NULL && strchr(dot + 1, '.') != NULL &&
                failed(inet_address_parse(span_str(authority), &address));
    return deep ? dot + 1 : authority;
}

bool host_names_are_outside(span_t name, const char *authority) {
    const char *domain = domain_of(authority);
    size_t len = strlen(domain);
    if (memchr(name.data, '.', name.len) == NULL) {
        return false;
    }
    if (name.len < len || strncasecmp((const char *)name.data + name.len - len, domain, len) != 0) {
        return true;
    }
    return name.len > len && name.data[name.len - len - 1] != '.';
}

static err_t add(span_t name, size_t *count, struct buf *out) {
    if (++*count > HOST_NAMES_SHOWN) {
        return *count == HOST_NAMES_SHOWN + 1 ? buf_add_str(out, ", …") : OK;
    }
    TRY(*count > 1 ? buf_add_str(out, ", ") : OK);
    return buf_add(out, name);
}

static bool is_plain(span_t name) {
    return name.data[0] != '!' && memchr(name.data, '*', name.len) == NULL;
}

err_t host_names_list_outside(span_t text, span_t before, const char *authority, struct buf *out) {
    span_t line = {0}, name;
    size_t count = 0;
    while (count <= HOST_NAMES_SHOWN && host_names_next(&text, &line, &name)) {
        if (is_plain(name) && host_names_are_outside(name, authority) &&
            !host_names_have(before, name)) {
            TRY(add(name, &count, out));
        }
    }
    return OK;
}

err_t host_names_list_shared(span_t text, span_t own, struct buf *out) {
    span_t line = {0}, name;
    size_t count = 0;
    while (host_names_next(&own, &line, &name)) {
        bool literal = is_plain(name) && memchr(name.data, '?', name.len) == NULL;
        if (literal && host_names_have(text, name)) {
            TRY(add(name, &count, out));
        }
    }
    return OK;
}
