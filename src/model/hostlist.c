#include "model/hostlist.h"

#include <stdio.h>

#include "model/entity.h"

enum { NUMBER_DIGITS_MAX = 9 };

/* One name that is being built, and where the finished ones go. */
struct expansion {
    char name[LIMIT_HOST_NAME_CHARS + 1];
    size_t brackets;
    struct buf *names;
    size_t count;
};

static err_t put(struct expansion *expansion, size_t *len, span_t text) {
    if (text.len > LIMIT_HOST_NAME_CHARS - *len) {
        return FAIL(ERR_TOO_LONG);
    }
    if (text.len > 0) {
        memcpy(expansion->name + *len, text.data, text.len);
    }
    *len += text.len;
    return OK;
}

static err_t finish(struct expansion *expansion, size_t len) {
    span_t name = span_of(expansion->name, len);
    if (expansion->count == LIMIT_JOB_NODES_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(host_name_check(name, "nodes", NULL));
    TRY(buf_add(expansion->names, name));
    TRY(buf_add_byte(expansion->names, 0));
    expansion->count++;
    return OK;
}

static err_t number(span_t digits, unsigned *out) {
    unsigned value = 0;
    if (digits.len == 0 || digits.len > NUMBER_DIGITS_MAX) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return FAIL(ERR_MALFORMED);
        }
        value = value * 10 + (unsigned)(digits.data[i] - '0');
    }
    *out = value;
    return OK;
}

static err_t expand(struct expansion *expansion, size_t len, span_t rest);

/* "08-10" or "7" between a name's beginning and the rest of it. Every turn ends in a name or in an
 * error, so the number of names bounds the work. */
static err_t expand_range(struct expansion *expansion, size_t len, span_t range, span_t rest) {
    span_t last_digits = range;
    span_t first_digits = span_until(&last_digits, '-');
    unsigned first = 0;
    unsigned last = 0;
    TRY(number(first_digits, &first));
    last = first;
    if (first_digits.len < range.len) {
        TRY(number(last_digits, &last));
    }
    if (last < first) {
        return FAIL(ERR_ORDER);
    }
    for (unsigned i = first; i <= last; i++) {
        char digits[NUMBER_DIGITS_MAX + 2];
        size_t after = len;
        int width = snprintf(digits, sizeof digits, "%0*u", (int)first_digits.len, i);
        TRY(put(expansion, &after, span_of(digits, (size_t)width)));
        TRY(expand(expansion, after, rest));
    }
    return OK;
}

static err_t expand(struct expansion *expansion, size_t len, span_t rest) {
    const uint8_t *open = rest.len > 0 ? memchr(rest.data, '[', rest.len) : NULL;
    if (open == NULL) {
        TRY(put(expansion, &len, rest));
        return finish(expansion, len);
    }
    const uint8_t *close = memchr(open, ']', rest.len - (size_t)(open - rest.data));
    if (close == NULL || expansion->brackets == LIMIT_HOSTLIST_BRACKETS_COUNT) {
        return FAIL(ERR_MALFORMED);
    }
    expansion->brackets++;
    TRY(put(expansion, &len, span_of(rest.data, (size_t)(open - rest.data))));
    span_t ranges = span_of(open + 1, (size_t)(close - open - 1));
    rest = span_of(close + 1, rest.len - (size_t)(close + 1 - rest.data));
    do {
        TRY(expand_range(expansion, len, span_until(&ranges, ','), rest));
    } while (ranges.len > 0);
    expansion->brackets--;
    return OK;
}

/* The next of the list: commas in brackets part ranges, not names. */
static span_t next_item(span_t *text) {
    bool inside = false;
    size_t len = 0;
    for (; len < text->len && (inside || text->data[len] != ','); len++) {
        inside = text->data[len] == '[' || (inside && text->data[len] != ']');
    }
    span_t item = span_of(text->data, len);
    size_t past = len < text->len ? len + 1 : len;
    *text = span_of(text->data + past, text->len - past);
    return item;
}

err_t hostlist_expand(span_t text, struct buf *names, size_t *count) {
    struct expansion expansion = {.names = names};
    size_t before = names->len;
    err_t err = text.len == 0 ? FAIL(ERR_MALFORMED) : OK;
    while (!failed(err) && text.len > 0) {
        err = expand(&expansion, 0, next_item(&text));
    }
    if (failed(err)) {
        names->len = before;
        return err;
    }
    *count = expansion.count;
    return OK;
}
