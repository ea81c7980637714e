/* How answers are put together. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "net/http_connection.h"

/* Every answer has these; one of http_answer_header() takes the place of its namesake. An API's
 * answers are never framed, scripted or guessed at; pages bring their own Content-Security-Policy.
 */
#define DEFAULT_FIELDS(X)                                                                          \
    X("Cache-Control", "no-store")                                                                 \
    X("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")                     \
    X("Referrer-Policy", "no-referrer")                                                            \
    X("X-Content-Type-Options", "nosniff")                                                         \
    X("X-Frame-Options", "DENY")

static const struct {
    const char *name;
    const char *line;
} default_fields[] = {
#define FIELD_ROW(name, value) {name, name ": " value "\r\n"},
    DEFAULT_FIELDS(FIELD_ROW)
#undef FIELD_ROW
};

static const char all_default_fields[] =
#define FIELD_LINE(name, value) name ": " value "\r\n"
    DEFAULT_FIELDS(FIELD_LINE)
#undef FIELD_LINE
    ;

err_t http_answer_header(struct http_request *request, const char *name, const char *value) {
    if (!http_field_name_ok(name) || !http_field_value_ok(value)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(buf_add_format(&request->fields, "%s: %s\r\n", name, value));
    for (unsigned i = 0; i < COUNT_OF(default_fields); i++) {
        if (strcasecmp(name, default_fields[i].name) == 0) {
            request->overrides |= 1U << i;
        }
    }
    return OK;
}

static const char *reason_of(unsigned status) {
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unassigned";
}

/* RFC 9110 section 6.6.1; made once a second. */
static const char *date_field(struct http_server *server) {
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now = clock_now_s();
    struct tm utc;
    time_t when = (time_t)now;
    if (now != server->date_s && gmtime_r(&when, &utc) != NULL) {
        (void)snprintf(server->date, sizeof server->date, "%s, %02d %s %d %02d:%02d:%02d GMT",
                       days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
        server->date_s = now;
    }
    return server->date;
}

static err_t add_number(struct buf *out, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return buf_add(out, span_of(digits + at, sizeof digits - at));
}

static err_t add_default_fields(struct buf *out, unsigned overrides) {
    if (overrides == 0) {
        return buf_add(out, SPAN_LITERAL(all_default_fields));
    }
    for (unsigned i = 0; i < COUNT_OF(default_fields); i++) {
        if ((overrides & 1U << i) == 0) {
            TRY(buf_add_str(out, default_fields[i].line));
        }
    }
    return OK;
}

static err_t add_status(struct http_request *request, struct buf *out, unsigned status) {
    TRY(buf_add(out, SPAN_LITERAL("HTTP/1.1 ")));
    TRY(add_number(out, status));
    TRY(buf_add_byte(out, ' '));
    TRY(buf_add_str(out, reason_of(status)));
    TRY(buf_add(out, SPAN_LITERAL("\r\nDate: ")));
    TRY(buf_add_str(out, date_field(request->server)));
    if (request->close_after) {
        TRY(buf_add(out, SPAN_LITERAL("\r\nConnection: close")));
    } else if (request->head.minor == 0) {
        TRY(buf_add(out, SPAN_LITERAL("\r\nConnection: keep-alive")));
    }
    return buf_add(out, SPAN_LITERAL("\r\n"));
}

static err_t add_answer(struct http_request *request, unsigned status, const char *content_type,
                        span_t body) {
    struct buf *out = &request->server->scratch;
    buf_clear(out);
    TRY(add_status(request, out, status));
    if (content_type != NULL) {
        TRY(buf_add(out, SPAN_LITERAL("Content-Type: ")));
        TRY(buf_add_str(out, content_type));
        TRY(buf_add(out, SPAN_LITERAL("\r\n")));
    }
    /* RFC 9110 section 8.6: no Content-Length in an answer of 204; 304 is about another one. */
    if (status != 204 && status != 304) {
        TRY(buf_add(out, SPAN_LITERAL("Content-Length: ")));
        TRY(add_number(out, body.len));
        TRY(buf_add(out, SPAN_LITERAL("\r\n")));
    } else {
        INVARIANT(body.len == 0);
    }
    TRY(buf_add(out, buf_span(&request->fields)));
    TRY(add_default_fields(out, request->overrides));
    TRY(buf_add(out, SPAN_LITERAL("\r\n")));
    return buf_add(out, body);
}

/* Puts it together and sends it, or closes a connection for which there is no memory. */
static void answer(struct http_request *request, unsigned status, const char *content_type,
                   span_t body) {
    bool draining = request->server->listener_fd < 0;
    request->close_after = request->close_after || draining || request->input_ended;
    err_t err = add_answer(request, status, content_type, body);
    buf_clear(&request->fields);
    request->overrides = 0;
    if (failed(err)) {
        connection_close(request);
    } else {
        connection_send(request);
    }
}

void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 span_t body) {
    INVARIANT(request->held);
    connection_pin(request);
    request->held = false;
    if (request->state != CONNECTION_CLOSED) {
        answer(request, status, content_type, body);
    }
    connection_release(request);
    if (request->pins == 1) {
        connection_advance(request);
    }
    connection_unpin(request);
}

/* A JSON string (RFC 8259 section 7); bytes from 0x80 on pass, so the text should be UTF-8. */
static err_t add_json_string(struct buf *out, const char *text) {
    TRY(buf_add_byte(out, '"'));
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20) {
            TRY(buf_add_format(out, "\\u%04x", c));
        } else if (c == '"' || c == '\\') {
            TRY(buf_add_byte(out, '\\'));
            TRY(buf_add_byte(out, c));
        } else {
            TRY(buf_add_byte(out, c));
        }
    }
    return buf_add_byte(out, '"');
}

static const char problem_type[] = "application/problem+json";

static err_t problem_body(unsigned status, const char *code, const char *message, struct buf *out) {
    TRY(buf_add_format(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":",
                       reason_of(status), status));
    TRY(add_json_string(out, code));
    TRY(buf_add_str(out, ",\"message\":"));
    TRY(add_json_string(out, message));
    return buf_add_byte(out, '}');
}

void http_answer_problem(struct http_request *request, unsigned status, const char *code,
                         const char *message) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_HTTP_BODY_BYTES);
    if (failed(problem_body(status, code, message, &body))) {
        http_answer(request, 500, NULL, span_of(NULL, 0));
        return;
    }
    http_answer(request, status, problem_type, buf_span(&body));
}

void answer_refuse(struct http_request *conn, unsigned status, const char *code,
                   const char *message) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_HTTP_BODY_BYTES);
    conn->server->counts.requests_malformed++;
    conn->close_after = true;
    if (failed(problem_body(status, code, message, &body))) {
        connection_close(conn);
        return;
    }
    answer(conn, status, problem_type, buf_span(&body));
}
