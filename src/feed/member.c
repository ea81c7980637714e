#include "feed/member.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

size_t member_index(const char *const *names, size_t count, const char *name) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

err_t member_refuse(const struct member_place *at, enum err_code code, const char *member,
                    const char *reason) {
    char field[96];
    if (at->index < 0) {
        (void)snprintf(field, sizeof field, "%s", member);
    } else {
        (void)snprintf(field, sizeof field, "changes[%zd]%s.%s", at->index,
                       at->in_state ? ".state" : "", member);
    }
    return fault_set(at->fault, code, field, "%s", reason);
}

err_t member_get(const struct member_place *at, const json_t *object, const char *name,
                 json_type type, json_t **out) {
    json_t *member = json_object_get(object, name);
    if (member == NULL) {
        return member_refuse(at, ERR_NOT_FOUND, name, "is missing");
    }
    bool fits =
        json_typeof(member) == type || (type == JSON_TRUE && json_typeof(member) == JSON_FALSE);
    if (!fits) {
        return member_refuse(at, ERR_MALFORMED, name, "is of the wrong type");
    }
    *out = member;
    return OK;
}

err_t member_text(const struct member_place *at, const json_t *object, const char *name, size_t max,
                  const char **out) {
    json_t *member = NULL;
    TRY(member_get(at, object, name, JSON_STRING, &member));
    span_t text = span_of(json_string_value(member), json_string_length(member));
    if (text.len > max) {
        return member_refuse(at, ERR_TOO_LONG, name, "is too long");
    }
    if (!text_is_utf8(text)) {
        return member_refuse(at, ERR_MALFORMED, name, "has a control character");
    }
    *out = json_string_value(member);
    return OK;
}

err_t member_u64(const struct member_place *at, const json_t *object, const char *name,
                 uint64_t *out) {
    const char *text = NULL;
    TRY(member_text(at, object, name, 20, &text));
    err_t err = u64_parse(span_str(text), out);
    return failed(err) ? member_refuse(at, err.code, name, "is not a decimal number in a string")
                       : OK;
}

err_t member_time(const struct member_place *at, const json_t *object, const char *name,
                  bool required, int64_t *out) {
    if (!required && json_object_get(object, name) == NULL) {
        *out = 0;
        return OK;
    }
    const char *text = NULL;
    TRY(member_text(at, object, name, TIME_CHARS, &text));
    err_t err = time_parse(span_str(text), out);
    if (!failed(err) && *out <= 0) {
        err = FAIL(ERR_RANGE); /* 0 would read as "never" */
    }
    return failed(err) ? member_refuse(at, err.code, name, "is not a time in RFC 3339") : OK;
}

err_t member_port(const struct member_place *at, const json_t *object, bool required,
                  uint16_t *out) {
    json_t *member = NULL;
    if (!required && json_object_get(object, "port") == NULL) {
        *out = 0;
        return OK;
    }
    TRY(member_get(at, object, "port", JSON_INTEGER, &member));
    json_int_t port = json_integer_value(member);
    if (port < 0 || port > UINT16_MAX) {
        return member_refuse(at, ERR_RANGE, "port", "is not a port number");
    }
    *out = (uint16_t)port;
    return OK;
}

err_t member_choice(const struct member_place *at, const json_t *object, const char *name,
                    const char *const *names, size_t count, size_t otherwise, size_t *out) {
    const char *text = NULL;
    if (otherwise != 0 && json_object_get(object, name) == NULL) {
        *out = otherwise;
        return OK;
    }
    TRY(member_text(at, object, name, 16, &text));
    size_t index = member_index(names, count, text);
    if (index == 0) {
        return member_refuse(at, ERR_UNSUPPORTED, name, "has a value not known here");
    }
    *out = index;
    return OK;
}

err_t member_check(const struct member_place *at, const char *member, const char *name,
                   bool optional, err_t (*check)(span_t name, struct fault *fault)) {
    if (optional && name[0] == '\0') {
        return OK;
    }
    struct fault why = {0};
    err_t err = check(span_str(name), &why);
    return failed(err) ? member_refuse(at, err.code, member, why.reason) : OK;
}

err_t member_check_host_name(span_t name, struct fault *fault) {
    return host_name_check(name, "name", fault);
}

err_t member_address(const struct member_place *at, const json_t *state, bool required,
                     const char **out) {
    if (!required && json_object_get(state, "address") == NULL) {
        *out = "";
        return OK;
    }
    TRY(member_text(at, state, "address", LIMIT_HOST_NAME_CHARS, out));
    return member_check(at, "address", *out, true, member_check_host_name);
}

err_t member_key_line(const struct member_place *at, const json_t *state, const char **out,
                      struct key **key) {
    const char *line = NULL;
    TRY(member_text(at, state, "publicKey", LIMIT_KEY_LINE_CHARS, &line));
    struct key *parsed CLEANUP(key_freep) = NULL;
    struct buf again CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    err_t err = key_parse_line(span_str(line), &parsed, NULL);
    if (failed(err)) {
        return member_refuse(at, err.code, "publicKey", err_text(err));
    }
    TRY(key_print_line(parsed, NULL, &again));
    if (!span_equal_str(buf_span(&again), line)) {
        return member_refuse(at, ERR_MALFORMED, "publicKey", "is not just a type and a key");
    }
    *out = line;
    if (key != NULL) {
        *key = TAKE(parsed);
    }
    return OK;
}

err_t member_list(const struct member_place *at, const json_t *state, const char *name,
                  bool required, size_t count_max, err_t (*check)(span_t text, struct fault *fault),
                  struct change_list *out) {
    json_t *array = NULL;
    if (!required && json_object_get(state, name) == NULL) {
        return OK;
    }
    TRY(member_get(at, state, name, JSON_ARRAY, &array));
    size_t count = json_array_size(array);
    if (count > count_max) {
        return member_refuse(at, ERR_TOO_LONG, name, "has too many entries");
    }
    if (count == 0) {
        return OK;
    }
    const char **items CLEANUP(freep) = calloc(count, sizeof *items);
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item)) {
            return member_refuse(at, ERR_MALFORMED, name, "has an entry that is no string");
        }
        items[i] = json_string_value(item);
        if (strlen(items[i]) != json_string_length(item)) {
            return member_refuse(at, ERR_MALFORMED, name, "has an entry with a control character");
        }
        TRY(member_check(at, name, items[i], false, check));
    }
    out->items = TAKE(items);
    out->count = count;
    return OK;
}
