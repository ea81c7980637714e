/* The body of a request as a whole: that it is what the route takes, and that nothing in it went
 * unread. */
#include <strings.h>

#include "authority/plumbing.h"
#include "base/text.h"

/* jansson's own bound is 2048. Counts brackets outside of strings. */
static bool too_deep(span_t text) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            if (++depth > LIMIT_JSON_DEPTH) {
                return true;
            }
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* With or without parameters. */
static bool is_sent_as(struct call *call, const char *type) {
    const char *told = http_request_header(call->request, "content-type");
    size_t chars = strlen(type);
    if (told == NULL || strncasecmp(told, type, chars) != 0) {
        return false;
    }
    return told[chars] == '\0' || strchr("; \t", told[chars]) != NULL;
}

bool call_parse_body(struct call *call) {
    span_t text = http_request_body(call->request);
    if (text.len == 0) {
        return true;
    }
    bool form = call->route->body == BODY_FORM;
    const char *type = form ? "application/x-www-form-urlencoded" : "application/json";
    if (!is_sent_as(call, type)) {
        call_problem(call, 415, "wrong_content_type", NULL,
                     "the body must be sent as Content-Type: %s", type);
        return false;
    }
    if (form) {
        return form_parse(call, text);
    }
    if (too_deep(text)) {
        call_problem(call, 400, "bad_json", NULL, "the JSON is nested more than %d levels deep",
                     LIMIT_JSON_DEPTH);
        return false;
    }
    json_error_t error;
    json_t *body = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL) {
        /* jansson's text may quote the input, which may be a secret. */
        bool doubled = json_error_code(&error) == json_error_duplicate_key;
        call_problem(call, 400, "bad_json", NULL, "line %d, column %d: %s", error.line,
                     error.column,
                     doubled ? "a member is given twice" : "this is not well-formed JSON");
        return false;
    }
    if (!json_is_object(body)) {
        json_decref(body);
        call_problem(call, 400, "bad_json", NULL, "the body must be a JSON object: {…}");
        return false;
    }
    call->body = body;
    return true;
}

void call_refuse_unread(struct call *call) {
    if (call->body == NULL || call->route->body == BODY_FORM ||
        json_object_size(call->body) == call->member_count) {
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value) {
        bool known = false;
        for (size_t i = 0; i < call->member_count; i++) {
            known |= strcmp(call->members[i], name) == 0;
        }
        if (!known) {
            char shown[80];
            size_t len = strlen(name);
            memcpy(shown, name, len < sizeof shown ? len + 1 : sizeof shown);
            shown[sizeof shown - 1] = '\0';
            bool printable = text_is_printable(span_str(shown));
            call_problem(call, 400, "unknown_field", printable ? shown : NULL,
                         "there is no field %s here; check its spelling",
                         printable ? shown : "of that name");
            return;
        }
    }
}
