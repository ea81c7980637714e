/* Forms (application/x-www-form-urlencoded, WHATWG URL section 5) as objects of texts. */
#include "authority/plumbing.h"
#include "base/text.h"

enum { FIELDS_COUNT = 64 };

static err_t decode(span_t text, struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        struct buf escaped CLEANUP(buf_done) = BUF(1);
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            if (text.len - i < 3) {
                return FAIL(ERR_MALFORMED);
            }
            TRY(hex_decode(span_of(text.data + i + 1, 2), &escaped));
            byte = escaped.data[0];
            i += 2;
        }
        TRY(byte == '\0' ? FAIL(ERR_MALFORMED) : buf_add_byte(out, byte));
    }
    return OK;
}

/* One that is there twice could mean either (RFC 6749 section 3.2 refuses it). */
static err_t add_field(json_t *body, span_t field) {
    struct buf name CLEANUP(buf_done) = BUF(LIMIT_HTTP_BODY_BYTES);
    struct buf value CLEANUP(buf_done) = BUF(LIMIT_HTTP_BODY_BYTES);
    span_t rest = field;
    TRY(decode(span_until(&rest, '='), &name));
    TRY(decode(rest, &value));
    TRY(buf_add_byte(&name, '\0'));
    if (json_object_get(body, (const char *)name.data) != NULL) {
        return FAIL(ERR_DUPLICATE);
    }
    json_t *text = json_stringn(value.len > 0 ? (const char *)value.data : "", value.len);
    /* Gives -1 for a name or value that is not UTF-8. */
    return json_object_set_new(body, (const char *)name.data, text) == 0 ? OK : FAIL(ERR_MALFORMED);
}

bool form_parse(struct call *call, span_t text) {
    json_t *body = json_object();
    err_t err = body == NULL ? FAIL(ERR_MEMORY) : OK;
    for (size_t count = 0; text.len > 0 && !failed(err); count++) {
        span_t field = span_until(&text, '&');
        err = count == FIELDS_COUNT ? FAIL(ERR_TOO_LONG)
              : field.len == 0      ? OK
                                    : add_field(body, field);
    }
    if (failed(err)) {
        json_decref(body);
        call_problem(call, 400, "bad_form", NULL, "the form cannot be read: %s", err_text(err));
        return false;
    }
    call->body = body;
    return true;
}
