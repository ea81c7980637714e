/* What a request says: members of its body, parameters of its query. */
#include "authority/call.h"

#include "base/clock.h"
#include "base/text.h"

/* NULL and OK for one that is absent though it may be. */
static err_t take_member(struct call *call, const char *field, enum call_presence presence,
                         const json_t **out) {
    const json_t *value = json_object_get(call->body, field);
    if (value != NULL) {
        INVARIANT(call->member_count < CALL_MEMBERS_COUNT);
        call->members[call->member_count++] = field;
    }
    if (value == NULL || json_is_null(value)) {
        if (presence == CALL_REQUIRED) {
            call_problem(call, 400, "missing_field", field, "the field %s is missing", field);
            return FAIL(ERR_MALFORMED);
        }
        value = NULL;
    }
    *out = value;
    return OK;
}

static err_t wrong_type(struct call *call, const char *field, const char *expected) {
    call_problem(call, 400, "wrong_type", field, "%s must be %s", field, expected);
    return FAIL(ERR_MALFORMED);
}

static err_t check_chars(struct call *call, const char *field, size_t chars, size_t chars_max) {
    if (chars > chars_max) {
        call_problem(call, 400, "too_long", field, "%s is longer than %zu bytes", field, chars_max);
        return FAIL(ERR_TOO_LONG);
    }
    return OK;
}

err_t call_read_text(struct call *call, const char *field, enum call_presence presence,
                     size_t chars_max, span_t *out) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (value == NULL) {
        return OK;
    }
    if (!json_is_string(value)) {
        return wrong_type(call, field, "a text in double quotes");
    }
    TRY(check_chars(call, field, json_string_length(value), chars_max));
    *out = span_of(json_string_value(value), json_string_length(value));
    return OK;
}

err_t call_read_string(struct call *call, const char *field, enum call_presence presence,
                       size_t chars_max, const char **out) {
    span_t text = {NULL, 0};
    TRY(call_read_text(call, field, presence, chars_max, &text));
    if (text.data == NULL) {
        return OK;
    }
    if (!text_is_utf8(text)) {
        call_problem(call, 400, "malformed", field, "%s has a control character in it", field);
        return FAIL(ERR_MALFORMED);
    }
    *out = (const char *)text.data; /* jansson ends it with NUL and refuses \u0000 inside */
    return OK;
}

err_t call_read_int(struct call *call, const char *field, enum call_presence presence, int64_t min,
                    int64_t max, int64_t *out) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (value == NULL) {
        return OK;
    }
    if (!json_is_integer(value)) {
        return wrong_type(call, field, "a whole number");
    }
    int64_t number = json_integer_value(value);
    if (number < min || number > max) {
        call_problem(call, 400, "out_of_range", field, "%s must be from %lld to %lld", field,
                     (long long)min, (long long)max);
        return FAIL(ERR_RANGE);
    }
    *out = number;
    return OK;
}

err_t call_read_bool(struct call *call, const char *field, enum call_presence presence, bool *out,
                     bool *given) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (given != NULL) {
        *given = value != NULL;
    }
    if (value == NULL) {
        return OK;
    }
    if (!json_is_boolean(value)) {
        return wrong_type(call, field, "true or false");
    }
    *out = json_is_true(value);
    return OK;
}

err_t call_read_strings(struct call *call, const char *field, enum call_presence presence,
                        size_t count_max, size_t chars_max, const json_t **out) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (value == NULL) {
        return OK;
    }
    if (!json_is_array(value)) {
        return wrong_type(call, field, "an array of texts: [\"…\"]");
    }
    if (json_array_size(value) > count_max) {
        call_problem(call, 400, "too_long", field, "%s has more than %zu items", field, count_max);
        return FAIL(ERR_TOO_LONG);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_string(item)) {
            return wrong_type(call, field, "an array of texts: [\"…\"]");
        }
        TRY(check_chars(call, field, json_string_length(item), chars_max));
    }
    *out = value;
    return OK;
}

static err_t refuse_word(struct call *call, const char *field, const char *const *words,
                         size_t count) {
    struct buf choices CLEANUP(buf_done) = BUF(LIMIT_DISPLAY_NAME_CHARS);
    err_t err = OK;
    for (size_t i = 1; i < count && !failed(err); i++) {
        const char *between = i == 1 ? "" : i + 1 == count ? " or " : ", ";
        err = buf_add_format(&choices, "%s%s", between, words[i]);
    }
    call_problem(call, 422, "choice_refused", field, "%s is %.*s", field, (int)choices.len,
                 (const char *)choices.data);
    return FAIL(ERR_MALFORMED);
}

err_t call_read_word(struct call *call, const char *field, enum call_presence presence,
                     const char *const *words, size_t count, unsigned *out) {
    const char *text = NULL;
    TRY(call_read_string(call, field, presence, LIMIT_DISPLAY_NAME_CHARS, &text));
    if (text == NULL) {
        return OK;
    }
    for (unsigned i = 1; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return OK;
        }
    }
    return refuse_word(call, field, words, count);
}

err_t call_read_objects(struct call *call, const char *field, enum call_presence presence,
                        size_t count_max, const json_t **out) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (value == NULL) {
        return OK;
    }
    bool fits = json_is_array(value);
    for (size_t i = 0; fits && i < json_array_size(value); i++) {
        fits = json_is_object(json_array_get(value, i));
    }
    if (!fits) {
        return wrong_type(call, field, "an array of objects: [{…}]");
    }
    if (json_array_size(value) > count_max) {
        call_problem(call, 400, "too_long", field, "%s has more than %zu items", field, count_max);
        return FAIL(ERR_TOO_LONG);
    }
    *out = value;
    return OK;
}

err_t call_read_address(struct call *call, const char *field, struct inet_address *out) {
    const char *text = NULL;
    TRY(call_read_string(call, field, CALL_REQUIRED, INET_CHARS, &text));
    err_t err = inet_address_parse(span_str(text), out);
    if (failed(err)) {
        call_problem(call, 422, "bad_address", field, "%s is not an IP address", field);
    }
    return err;
}

err_t call_read_duration(struct call *call, const char *field, enum call_presence presence,
                         int64_t *out) {
    const char *text = NULL;
    TRY(call_read_string(call, field, presence, DURATION_CHARS, &text));
    if (text == NULL) {
        return OK;
    }
    err_t err = duration_parse(span_str(text), out);
    if (failed(err)) {
        call_problem(call, 422, "bad_duration", field,
                     "%s is not a duration; write a number and a unit: 1d, 12h, 30min, 1min",
                     field);
    }
    return err;
}

err_t call_read_time(struct call *call, const char *field, enum call_presence presence,
                     int64_t *out) {
    const char *text = NULL;
    TRY(call_read_string(call, field, presence, TIME_CHARS, &text));
    if (text == NULL) {
        return OK;
    }
    err_t err = time_parse(span_str(text), out);
    if (failed(err)) {
        call_problem(call, 422, "bad_time", field,
                     "%s is not a time; write it in the form 2026-04-01T14:15:20Z", field);
    }
    return err;
}

err_t call_read_subnets(struct call *call, const char *field, enum call_presence presence,
                        struct subnet_list *out) {
    const json_t *array = NULL;
    TRY(call_read_strings(call, field, presence, LIMIT_SUBNETS_COUNT, INET_CHARS, &array));
    if (array == NULL) {
        return OK;
    }
    if (json_array_size(array) == 0) {
        call_problem(call, 422, "subnets_refused", field,
                     "%s is empty; leave it out for what is good from everywhere", field);
        return FAIL(ERR_MALFORMED);
    }
    struct subnet_list list = {.count = 0};
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        err_t err = inet_subnet_parse(span_str(text), &list.subnets[list.count]);
        if (failed(err)) {
            call_problem(call, 422, "bad_subnet", field,
                         "%s: item %zu is %s; write an address or a subnet: 192.0.2.7, "
                         "192.0.2.0/24, 2001:db8::/32",
                         field, i + 1,
                         err.code == ERR_RANGE ? "a subnet with bits set beyond its prefix"
                                               : "not a subnet");
            return err;
        }
        list.count++;
    }
    *out = list;
    return OK;
}

err_t call_read_clusters(struct call *call, const char *field, enum call_presence presence,
                         struct cluster_list *out) {
    const json_t *array = NULL;
    TRY(call_read_strings(call, field, presence, LIMIT_BOUND_CLUSTERS_COUNT,
                          LIMIT_CLUSTER_NAME_CHARS, &array));
    if (array == NULL) {
        return OK;
    }
    if (json_array_size(array) == 0) {
        call_problem(call, 422, "clusters_refused", field,
                     "%s is empty; leave it out for all clusters that the account reaches", field);
        return FAIL(ERR_MALFORMED);
    }
    struct cluster_list list = {.count = 0};
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        err_t err = cluster_list_add(&list, span_str(name));
        if (failed(err)) {
            call_problem(call, 422, "clusters_refused", field, "%s: item %zu is %s", field, i + 1,
                         err.code == ERR_EXISTS ? "there twice" : "no cluster's name");
            return err;
        }
    }
    *out = list;
    return OK;
}

/* The whole of an address: /32 or /128. */
static struct inet_subnet subnet_of(const struct inet_address *address) {
    return (struct inet_subnet){.address = *address, .prefix_bits = address->family_bits};
}

err_t call_read_sources(struct call *call, struct subnet_list *out, bool *given) {
    struct subnet_list list = {.count = 0};
    const char *from = NULL;
    TRY(call_read_string(call, "from", CALL_OPTIONAL, 16, &from));
    TRY(call_read_subnets(call, "ipSubnets", CALL_OPTIONAL, &list));
    bool mine = from != NULL && strcmp(from, "mine") == 0;
    if (from != NULL && list.count > 0) {
        call_problem(call, 422, "subnets_refused", "from", "give from or ipSubnets, not both");
        return FAIL(ERR_MALFORMED);
    }
    if (from != NULL && !mine && strcmp(from, "everywhere") != 0) {
        call_problem(call, 422, "subnets_refused", "from",
                     "from is \"mine\" (your present address) or \"everywhere\"; for others, give "
                     "ipSubnets");
        return FAIL(ERR_MALFORMED);
    }
    if (mine) {
        list.subnets[list.count++] = subnet_of(call->source);
    }
    *given = from != NULL || list.count > 0;
    *out = list;
    return OK;
}

err_t call_read_public_key(struct call *call, const char *field, struct key **out,
                           span_t *comment) {
    span_t line = {NULL, 0};
    TRY(call_read_text(call, field, CALL_REQUIRED, LIMIT_KEY_FILE_BYTES, &line));
    err_t err = key_parse_line(line, out, comment);
    if (err.code == ERR_KEY_PRIVATE) {
        call_problem(
            call, 422, err_name(err), field,
            "this is a PRIVATE key. It has left your machine, so consider it compromised: "
            "delete it everywhere, remove its public half wherever it is trusted, and make "
            "a new pair with: ssh-keygen -t ed25519. Nothing of it was kept here. Only the "
            "public key (the .pub file) is ever needed");
    } else if (failed(err)) {
        call_problem(call, 422, err_name(err), field, "%s: %s", field, err_text(err));
    }
    return err;
}

err_t call_read_u64(struct call *call, const char *field, enum call_presence presence,
                    uint64_t *out) {
    const json_t *value;
    TRY(take_member(call, field, presence, &value));
    if (value == NULL) {
        return OK;
    }
    if (!json_is_string(value)) {
        return wrong_type(call, field, "a number in double quotes, as it does not fit a double");
    }
    err_t err = u64_parse(span_of(json_string_value(value), json_string_length(value)), out);
    if (failed(err)) {
        call_problem(call, 400, "malformed", field, "%s is not a decimal number of 64 bits", field);
    }
    return err;
}

err_t call_copy_text(struct call *call, const char *field, const char *from, char *to,
                     size_t to_size) {
    if (strlen(from) >= to_size) {
        call_problem(call, 400, "too_long", field, "at most %zu bytes are allowed here",
                     to_size - 1);
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(to, from, strlen(from) + 1);
    return OK;
}

err_t call_read_name(struct call *call, err_t (*check)(span_t name, struct fault *fault), char *to,
                     size_t to_size) {
    const char *name = NULL;
    struct fault fault = {0};
    TRY(call_read_string(call, "name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS, &name));
    err_t err = check(span_str(name), &fault);
    if (failed(err)) {
        call_problem(call, 422, "name_refused", "name", "%s: %s", fault.field, fault.reason);
        return err;
    }
    return call_copy_text(call, "name", name, to, to_size);
}

err_t call_read_display_name(struct call *call, char *to, size_t to_size) {
    const char *text = NULL;
    TRY(call_read_string(call, "displayName", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS, &text));
    return text == NULL ? OK : call_copy_text(call, "displayName", text, to, to_size);
}

err_t call_query_string(struct call *call, const char *name, size_t chars_max, const char **out) {
    const char *text = http_request_query(call->request, name);
    if (text == NULL) {
        return OK;
    }
    TRY(check_chars(call, name, strlen(text), chars_max));
    if (!text_is_utf8(span_str(text))) {
        call_problem(call, 400, "malformed", name, "%s has a control character in it", name);
        return FAIL(ERR_MALFORMED);
    }
    *out = text;
    return OK;
}

err_t call_query_bool(struct call *call, const char *name, bool *out) {
    const char *text = http_request_query(call->request, name);
    if (text == NULL) {
        return OK;
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0) {
        *out = true;
    } else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0) {
        *out = false;
    } else {
        return wrong_type(call, name, "true or false");
    }
    return OK;
}

err_t call_query_u64(struct call *call, const char *name, uint64_t max, uint64_t *out) {
    const char *text = http_request_query(call->request, name);
    if (text == NULL) {
        return OK;
    }
    uint64_t value;
    if (failed(u64_parse(span_str(text), &value)) || value > max) {
        call_problem(call, 400, "malformed", name, "%s must be a decimal number up to %llu", name,
                     (unsigned long long)max);
        return FAIL(ERR_MALFORMED);
    }
    *out = value;
    return OK;
}

err_t call_query_limit(struct call *call, size_t *out) {
    uint64_t limit = LIMIT_LIST_ROWS_COUNT;
    TRY(call_query_u64(call, "limit", LIMIT_LIST_ROWS_COUNT, &limit));
    if (limit == 0) {
        call_problem(call, 400, "malformed", "limit", "limit must be at least 1");
        return FAIL(ERR_RANGE);
    }
    *out = (size_t)limit;
    return OK;
}
