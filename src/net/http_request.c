/* A request: its head and body as they come in, and what a handler asks of it. */
#include <openssl/ssl.h>
#include <string.h>

#include "base/secret.h"
#include "net/http_connection.h"
#include "net/tls.h"

enum http_method http_request_method(const struct http_request *request) { return request->method; }

const char *http_request_path(const struct http_request *request) { return request->path; }

const char *http_request_query(const struct http_request *request, const char *name) {
    for (size_t i = 0; i < request->param_count; i++) {
        if (strcmp(request->params[i].name, name) == 0) {
            return request->params[i].value;
        }
    }
    return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name) {
    return http_head_field(&request->head, name);
}

span_t http_request_body(const struct http_request *request) { return request->body; }

const struct inet_address *http_request_source(const struct http_request *request) {
    return &request->source;
}

err_t http_request_tls_binding(const struct http_request *request, struct buf *out) {
    SSL *ssl = request->stream.ssl;
    return ssl == NULL ? FAIL(ERR_NOT_FOUND) : tls_binding(ssl, TLS_SERVER, out);
}

void http_request_on_gone(struct http_request *request,
                          void (*gone)(void *context, struct http_request *request),
                          void *context) {
    request->gone = gone;
    request->gone_context = context;
}

/* Makes room for `size` bytes of input in all; what points into it is lost. */
static err_t reserve_input(struct http_request *conn, size_t size) {
    if (size <= conn->input_size) {
        return OK;
    }
    char *grown = malloc(size);
    if (grown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memcpy(grown, conn->input, conn->input_len);
    secret_wipe(conn->input, conn->input_len);
    free(conn->input);
    conn->input = grown;
    conn->input_size = size;
    return OK;
}

static void refuse_head(struct http_request *conn, err_t err) {
    switch (err.code) {
    case ERR_TOO_LONG:
        answer_refuse(conn, 431, "headers_too_large", "The request's header is too large.");
        break;
    case ERR_DUPLICATE:
        answer_refuse(conn, 400, "duplicate_field",
                      "A header field or query parameter that may come once comes twice.");
        break;
    case ERR_CONFLICT:
        answer_refuse(conn, 400, "ambiguous_length",
                      "Content-Length and Transfer-Encoding must not come together.");
        break;
    case ERR_UNSUPPORTED:
        answer_refuse(conn, 501, "transfer_coding_unknown",
                      "The only transfer coding known here is chunked.");
        break;
    case ERR_PROTOCOL:
        answer_refuse(conn, 505, "http_version_unknown", "The server speaks HTTP/1.1.");
        break;
    default:
        answer_refuse(conn, 400, "malformed_request", "The request is not well-formed HTTP/1.1.");
    }
}

static enum http_method method_of(const char *name) {
    static const char *const methods[] = {
        [HTTP_GET] = "GET",
        [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",
        [HTTP_DELETE] = "DELETE",
    };
    for (unsigned i = HTTP_GET; i < COUNT_OF(methods); i++) {
        if (strcmp(name, methods[i]) == 0) {
            return (enum http_method)i;
        }
    }
    return 0;
}

/* What can be said before the body has come. True when the request may go on. */
static bool accept_head(struct http_request *conn) {
    conn->method = method_of(conn->head.method);
    if (conn->method == 0) {
        ignore_err(http_answer_header(conn, "Allow", "GET, POST, PUT, DELETE"));
        answer_refuse(conn, 405, "method_not_allowed",
                      "The server knows GET, POST, PUT and DELETE.");
        return false;
    }
    if (conn->head.framing == HTTP_BODY_LENGTH && conn->head.length > LIMIT_HTTP_BODY_BYTES) {
        answer_refuse(conn, 413, "body_too_large", "The request's body is too large.");
        return false;
    }
    err_t err = http_target_parse(conn->head.target, &conn->path, conn->params, &conn->param_count);
    if (failed(err)) {
        refuse_head(conn, err.code == ERR_DUPLICATE ? err : FAIL(ERR_MALFORMED));
        return false;
    }
    return true;
}

static void send_continue(struct http_request *conn) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t done;
    enum stream_result result = stream_write(&conn->stream, text, sizeof text - 1, &done);
    /* A socket that has no room for 25 bytes at the start of a request is not worth waiting for. */
    if (result != STREAM_OK || done != sizeof text - 1) {
        connection_close(conn);
    }
}

static bool parse_head(struct http_request *conn) {
    conn->server->counts.requests_total++;
    conn->close_after = true; /* until all of it has been understood */
    err_t err = http_head_parse_request(conn->input, conn->head_len, &conn->head);
    if (failed(err)) {
        refuse_head(conn, err);
        return true;
    }
    if (!accept_head(conn)) {
        return true;
    }
    conn->close_after = !conn->head.keep_alive;
    conn->state = CONNECTION_BODY;
    conn->rest = conn->head_len;
    conn->body = span_of(NULL, 0);
    if (conn->head.framing == HTTP_BODY_CHUNKED) {
        conn->chunks = (struct http_chunks){0};
    }
    bool whole = conn->head.framing == HTTP_BODY_LENGTH
                     ? conn->input_len - conn->head_len >= conn->head.length
                     : conn->head.framing == HTTP_BODY_NONE;
    if (conn->head.expects_continue && !whole) {
        send_continue(conn);
    }
    return true;
}

bool http_request_take_head(struct http_request *conn) {
    if (conn->input_len > conn->scanned) {
        conn->head_len = http_head_length(conn->input, conn->input_len, &conn->scanned);
        if (conn->head_len > 0) {
            return parse_head(conn);
        }
    }
    if (conn->input_len == conn->input_size) {
        if (conn->input_size >= LIMIT_HTTP_HEADERS_BYTES) {
            conn->server->counts.requests_total++;
            refuse_head(conn, FAIL(ERR_TOO_LONG));
        } else if (failed(reserve_input(conn, LIMIT_HTTP_HEADERS_BYTES))) {
            connection_close(conn);
        }
        return true;
    }
    if (connection_fill(conn)) {
        return true;
    }
    if (conn->input_ended) {
        connection_close(conn);
    } else if (conn->input_len > 0) {
        connection_time_request(conn);
    }
    return false;
}

/* Takes what follows the head, in place if it fits with a byte to spare (so that the end of the
 * input can still be noticed), else into `gathered`. */
static err_t take_body(struct http_request *conn, bool *whole) {
    size_t length = (size_t)conn->head.length;
    span_t ahead = span_of(conn->input + conn->head_len, conn->input_len - conn->head_len);
    if (conn->head.framing == HTTP_BODY_NONE) {
        *whole = true;
        return OK;
    }
    if (conn->head.framing == HTTP_BODY_LENGTH && length < conn->input_size - conn->head_len) {
        *whole = ahead.len >= length;
        conn->rest = conn->head_len + length;
        conn->body = span_of(ahead.data, length);
        return OK;
    }
    if (conn->head.framing == HTTP_BODY_LENGTH) {
        size_t missing = length - conn->gathered.len;
        size_t taken = ahead.len < missing ? ahead.len : missing;
        TRY(buf_add(&conn->gathered, span_of(ahead.data, taken)));
        ahead = span_of(ahead.data + taken, ahead.len - taken);
        *whole = taken == missing;
    } else {
        TRY(http_chunks_take(&conn->chunks, &ahead, &conn->gathered));
        *whole = conn->chunks.finished;
    }
    if (ahead.len > 0) {
        memmove(conn->input + conn->head_len, ahead.data, ahead.len);
    }
    conn->input_len = conn->head_len + ahead.len;
    conn->body = buf_span(&conn->gathered);
    return OK;
}

bool http_request_take_body(struct http_request *conn) {
    bool whole;
    err_t err = take_body(conn, &whole);
    if (err.code == ERR_TOO_LONG) {
        answer_refuse(conn, 413, "body_too_large", "The request's body is too large.");
        return true;
    }
    if (failed(err)) {
        refuse_head(conn, err);
        return true;
    }
    if (whole) {
        connection_dispatch(conn);
        return true;
    }
    if (connection_fill(conn)) {
        return true;
    }
    if (conn->input_ended) {
        connection_close(conn);
    } else {
        connection_time_request(conn);
    }
    return false;
}
