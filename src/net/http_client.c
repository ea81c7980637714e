#include "net/http_client.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/http_dial.h"
#include "net/http_message.h"
#include "net/tls.h"

enum {
    FIELDS_COUNT = 16,
    READ_BYTES = 64 * 1024,
    PIN_BYTES = 32,
};

struct client_field {
    char *name;
    char *value;
};

struct http_client {
    struct http_url server;
    struct http_url proxy;
    bool has_proxy, has_pin, unverified;
    uint8_t pin[PIN_BYTES];
    int timeout_ms;
    SSL_CTX *tls;
    struct stream stream; /* kept between calls */
    struct client_field fields[FIELDS_COUNT];
    size_t field_count;
    struct buf request;
    struct buf asked; /* a request whose answer is on its way; empty: none */
    size_t input_len;
    char input[LIMIT_HTTP_HEADERS_BYTES]; /* an answer's head and what came with it */
};

static err_t parse_pin(const char *hex, uint8_t out[PIN_BYTES], struct fault *fault) {
    struct buf bytes CLEANUP(buf_done) = BUF(PIN_BYTES);
    if (failed(hex_decode(span_str(hex), &bytes)) || bytes.len != PIN_BYTES) {
        return fault_set(fault, ERR_MALFORMED, "pinned_sha256",
                         "the pinned key must be 64 hexadecimal digits");
    }
    memcpy(out, bytes.data, PIN_BYTES);
    return OK;
}

err_t http_client_new(const struct http_client_config *config, struct http_client **out,
                      struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = calloc(1, sizeof *client);
    if (client == NULL) {
        return FAIL(ERR_MEMORY);
    }
    client->stream.fd = -1;
    buf_init(&client->request, LIMIT_HTTP_ANSWER_BYTES);
    buf_init(&client->asked, LIMIT_HTTP_ANSWER_BYTES);
    client->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : HTTP_CLIENT_TIMEOUT_MS;
    TRY(http_url_parse(config->url, &client->server, fault));
    TRY(http_url_proxy(&client->server, &client->has_proxy, &client->proxy, fault));
    if (config->pinned_sha256 != NULL) {
        TRY(parse_pin(config->pinned_sha256, client->pin, fault));
        client->has_pin = true;
    }
    if (client->server.tls) {
        TRY(tls_client_context(config->ca_pem, &client->tls, fault));
    }
    *out = TAKE(client);
    return OK;
}

static void field_done(struct client_field *field) {
    secret_wipe(field->value, strlen(field->value));
    free(field->name);
    free(field->value);
}

void http_client_free(struct http_client *client) {
    if (client == NULL) {
        return;
    }
    if (client->stream.fd >= 0) {
        stream_shutdown(&client->stream);
    }
    stream_close(&client->stream);
    SSL_CTX_free(client->tls);
    for (size_t i = 0; i < client->field_count; i++) {
        field_done(&client->fields[i]);
    }
    buf_done(&client->request);
    buf_done(&client->asked);
    secret_wipe(&client->proxy, sizeof client->proxy);
    secret_wipe(client->input, sizeof client->input);
    free(client);
}

void http_client_freep(struct http_client **client) { http_client_free(*client); }

static void remove_field(struct http_client *client, const char *name) {
    for (size_t i = 0; i < client->field_count; i++) {
        if (strcasecmp(client->fields[i].name, name) == 0) {
            field_done(&client->fields[i]);
            client->fields[i] = client->fields[--client->field_count];
            return;
        }
    }
}

err_t http_client_set_header(struct http_client *client, const char *name, const char *value) {
    if (!http_field_name_ok(name) || (value != NULL && !http_field_value_ok(value))) {
        return FAIL(ERR_MALFORMED);
    }
    remove_field(client, name);
    if (value == NULL) {
        return OK;
    }
    if (client->field_count == FIELDS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    struct client_field field = {strdup(name), strdup(value)};
    if (field.name == NULL || field.value == NULL) {
        free(field.name);
        free(field.value);
        return FAIL(ERR_MEMORY);
    }
    client->fields[client->field_count++] = field;
    return OK;
}

void http_response_init(struct http_response *response) {
    memset(response, 0, sizeof *response);
    buf_init(&response->body, LIMIT_HTTP_ANSWER_BYTES);
}

void http_response_done(struct http_response *response) { buf_done(&response->body); }

static bool target_ok(const char *path) {
    for (const char *at = path; *at != '\0'; at++) {
        if (*at <= 0x20 || *at >= 0x7f || *at == '#') {
            return false;
        }
    }
    return *path == '/';
}

static bool has_field(const struct http_client *client, const char *name) {
    bool found = false;
    for (size_t i = 0; i < client->field_count; i++) {
        found |= strcasecmp(client->fields[i].name, name) == 0;
    }
    return found;
}

static err_t build_request(struct http_client *client, enum http_method method, const char *path,
                           span_t body) {
    static const char *const names[] = {
        [HTTP_GET] = "GET",
        [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",
        [HTTP_DELETE] = "DELETE",
    };
    if (!target_ok(path)) {
        return FAIL(ERR_MALFORMED);
    }
    struct buf *out = &client->request;
    buf_clear(out);
    TRY(buf_add_format(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", names[method],
                       client->server.prefix, path, client->server.authority));
    TRY(buf_add_str(out, "User-Agent: postern/" POSTERN_VERSION "\r\nAccept: application/json, "
                         "application/problem+json\r\n"));
    if (body.len > 0 && !has_field(client, "Content-Type")) {
        TRY(buf_add_str(out, "Content-Type: application/json\r\n"));
    }
    if (body.len > 0 || method == HTTP_POST || method == HTTP_PUT) {
        TRY(buf_add_format(out, "Content-Length: %zu\r\n", body.len));
    }
    for (size_t i = 0; i < client->field_count; i++) {
        TRY(buf_add_format(out, "%s: %s\r\n", client->fields[i].name, client->fields[i].value));
    }
    TRY(buf_add_str(out, "\r\n"));
    return buf_add(out, body);
}

/* ERR_CLOSED when the peer has gone. A server that refuses a request while it is still coming may
 * have answered, so reading decides. */
static err_t send_request(struct http_client *client, int64_t deadline_ms) {
    span_t rest = buf_span(&client->request);
    while (rest.len > 0) {
        size_t done;
        enum stream_result result = stream_write(&client->stream, rest.data, rest.len, &done);
        if (result == STREAM_END || result == STREAM_FAILED) {
            return FAIL(ERR_CLOSED);
        }
        if (result != STREAM_OK) {
            TRY(http_dial_wait(&client->stream, result, deadline_ms));
        }
        rest = span_of(rest.data + done, rest.len - done);
    }
    return OK;
}

/* Reads at least a byte; *len is 0 at a proper end of the connection. ERR_CLOSED for one cut off.
 */
static err_t read_some(struct http_client *client, void *out, size_t size, int64_t deadline_ms,
                       size_t *len) {
    for (;;) {
        enum stream_result result = stream_read(&client->stream, out, size, len);
        switch (result) {
        case STREAM_OK:
        case STREAM_END:
            return OK;
        case STREAM_FAILED:
            return FAIL(ERR_CLOSED);
        default:
            TRY(http_dial_wait(&client->stream, result, deadline_ms));
        }
    }
}

/* One head, at the start of input; *head_len is its length. */
static err_t read_head(struct http_client *client, int64_t deadline_ms, size_t *head_len) {
    size_t scanned = 0;
    for (;;) {
        *head_len = http_head_length(client->input, client->input_len, &scanned);
        if (*head_len > 0) {
            return OK;
        }
        size_t room = sizeof client->input - client->input_len;
        size_t len;
        if (room == 0) {
            return FAIL(ERR_TOO_LONG);
        }
        TRY(read_some(client, client->input + client->input_len, room, deadline_ms, &len));
        if (len == 0) {
            return FAIL(ERR_CLOSED);
        }
        client->input_len += len;
    }
}

/* The head of the answer itself; interim ones (100, 103) are passed over. */
static err_t read_final_head(struct http_client *client, int64_t deadline_ms,
                             struct http_head *head, size_t *head_len) {
    for (;;) {
        TRY(read_head(client, deadline_ms, head_len));
        if (failed(http_head_parse_answer(client->input, *head_len, false, head))) {
            return FAIL(ERR_PROTOCOL);
        }
        if (head->status >= 200) {
            return OK;
        }
        if (head->status == 101) {
            return FAIL(ERR_PROTOCOL); /* nobody asked for an upgrade */
        }
        client->input_len -= *head_len;
        memmove(client->input, client->input + *head_len, client->input_len);
    }
}

struct body_reader {
    const struct http_head *head;
    struct http_chunks chunks;
    struct buf *out;
    bool finished;
    bool surplus; /* more came than the answer has */
};

static err_t body_take(struct body_reader *reader, span_t bytes) {
    if (reader->head->framing == HTTP_BODY_CHUNKED) {
        err_t err = http_chunks_take(&reader->chunks, &bytes, reader->out);
        reader->finished = reader->chunks.finished;
        reader->surplus = bytes.len > 0;
        return err.code == ERR_MALFORMED ? FAIL(ERR_PROTOCOL) : err;
    }
    if (reader->head->framing == HTTP_BODY_LENGTH) {
        uint64_t missing = reader->head->length - reader->out->len;
        reader->surplus = bytes.len > missing;
        bytes.len = reader->surplus ? (size_t)missing : bytes.len;
        reader->finished = bytes.len == missing;
    } else if (reader->head->framing == HTTP_BODY_NONE) {
        reader->surplus = bytes.len > 0;
        reader->finished = true;
        return OK;
    }
    return buf_add(reader->out, bytes);
}

static err_t read_body(struct http_client *client, const struct http_head *head, size_t head_len,
                       int64_t deadline_ms, struct buf *out, bool *surplus) {
    struct body_reader reader = {.head = head, .out = out};
    if (head->framing == HTTP_BODY_LENGTH && head->length > LIMIT_HTTP_ANSWER_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(body_take(&reader, span_of(client->input + head_len, client->input_len - head_len)));
    uint8_t *piece CLEANUP(freep) = reader.finished ? NULL : malloc(READ_BYTES);
    if (!reader.finished && piece == NULL) {
        return FAIL(ERR_MEMORY);
    }
    while (!reader.finished) {
        size_t len;
        TRY(read_some(client, piece, READ_BYTES, deadline_ms, &len));
        if (len == 0) {
            reader.finished = head->framing == HTTP_BODY_UNTIL_CLOSE;
            if (!reader.finished) {
                return FAIL(ERR_CLOSED);
            }
        } else {
            TRY(body_take(&reader, span_of(piece, len)));
            secret_wipe(piece, len);
        }
    }
    *surplus = reader.surplus;
    return OK;
}

/* RFC 9110 section 5.6.7, the form that servers must send; 0 for anything else. */
static int64_t date_parse(const char *text) {
    struct tm parts = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    int64_t when = end == NULL || *end != '\0' ? 0 : (int64_t)timegm(&parts);
    return when < 0 ? 0 : when;
}

/* `<?after=7>; rel="next"`, and no other form of it. */
static void note_next(const char *link, char *out, size_t size) {
    static const char tail[] = ">; rel=\"next\"";
    const char *end = link == NULL || link[0] != '<' || link[1] != '?' ? NULL : strchr(link, '>');
    bool fits = end != NULL && strcmp(end, tail) == 0 && (size_t)(end - link) <= size;
    (void)snprintf(out, size, "%.*s", fits ? (int)(end - link - 1) : 0, fits ? link + 1 : "");
}

static void note_fields(const struct http_head *head, struct http_response *response) {
    const char *type = http_head_field(head, "Content-Type");
    const char *retry = http_head_field(head, "Retry-After");
    const char *date = http_head_field(head, "Date");
    uint64_t retry_s = 0;
    (void)snprintf(response->content_type, sizeof response->content_type, "%s",
                   type == NULL ? "" : type);
    /* The other form, a date, is not told. */
    if (retry == NULL || failed(u64_parse(span_str(retry), &retry_s)) || retry_s > INT32_MAX) {
        retry_s = 0;
    }
    response->retry_after_s = (int)retry_s;
    response->date = date == NULL ? 0 : date_parse(date);
    note_next(http_head_field(head, "Link"), response->next_query, sizeof response->next_query);
    const char *challenge = http_head_field(head, "WWW-Authenticate");
    bool fits = challenge != NULL && strlen(challenge) < sizeof response->challenge;
    (void)snprintf(response->challenge, sizeof response->challenge, "%s", fits ? challenge : "");
    response->status = head->status;
}

/* Sends and reads once over the open connection. `*answered` tells whether any byte came back. */
static err_t exchange(struct http_client *client, int64_t deadline_ms,
                      struct http_response *response, bool *answered) {
    struct http_head head;
    size_t head_len;
    bool surplus = false;
    client->input_len = 0;
    err_t sent = client->asked.len > 0 ? OK : send_request(client, deadline_ms);
    buf_clear(&client->asked);
    err_t err =
        sent.code == ERR_TIMEOUT ? sent : read_final_head(client, deadline_ms, &head, &head_len);
    *answered = client->input_len > 0;
    TRY(err);
    buf_clear(&response->body);
    TRY(read_body(client, &head, head_len, deadline_ms, &response->body, &surplus));
    note_fields(&head, response);
    if (!head.keep_alive || surplus || failed(sent)) {
        stream_close(&client->stream);
    }
    return OK;
}

static err_t exchange_fault(const struct http_client *client, err_t err, int timeout_ms,
                            struct fault *fault) {
    const char *where = client->server.authority;
    switch (err.code) {
    case ERR_TIMEOUT:
        return fault_set(fault, err.code, where, "%s gave no answer within %g s", where,
                         timeout_ms / 1000.0);
    case ERR_CLOSED:
        return fault_set(fault, err.code, where, "%s closed the connection without an answer",
                         where);
    case ERR_TOO_LONG:
        return fault_set(fault, err.code, where, "the answer of %s is too long", where);
    case ERR_PROTOCOL:
        return fault_set(fault, err.code, where, "%s does not speak HTTP/1.1 properly", where);
    default:
        return fault_set(fault, err.code, where, "%s", err_text(err));
    }
}

static err_t open_stream(struct http_client *client, int64_t deadline_ms, struct fault *fault) {
    struct http_dial dial = {
        .server = &client->server,
        .proxy = client->has_proxy ? &client->proxy : NULL,
        .tls = client->tls,
        .pin = client->has_pin ? client->pin : NULL,
        .unverified = client->unverified,
        .deadline_ms = deadline_ms,
    };
    return http_dial(&dial, &client->stream, fault);
}

err_t http_client_call(struct http_client *client, enum http_method method, const char *path,
                       span_t body, int timeout_ms, struct http_response *response,
                       struct fault *fault) {
    timeout_ms = timeout_ms > 0 ? timeout_ms : client->timeout_ms;
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    err_t err = build_request(client, method, path, body);
    if (failed(err)) {
        return fault_set(fault, err.code, "path", "\"%.200s\" cannot be asked for: %s", path,
                         err_text(err));
    }
    if (client->asked.len > 0 &&
        !span_equal(buf_span(&client->asked), buf_span(&client->request))) {
        stream_close(&client->stream); /* nobody waits for that answer any more */
        buf_clear(&client->asked);
    }
    /* A kept connection may have been closed by the server meanwhile; then, and only if no byte of
     * an answer came, the request is sent once more on a fresh one (RFC 9112 section 9.3.1). */
    for (bool kept = client->stream.fd >= 0;; kept = false) {
        bool answered = false;
        if (!kept) {
            TRY(open_stream(client, deadline_ms, fault));
        }
        err = exchange(client, deadline_ms, response, &answered);
        if (!failed(err)) {
            return OK;
        }
        stream_close(&client->stream);
        if (!kept || answered || err.code != ERR_CLOSED) {
            return exchange_fault(client, err, timeout_ms, fault);
        }
    }
}

void http_client_ask(struct http_client *client, const char *path, int timeout_ms) {
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    if (client->stream.fd < 0 || client->asked.len > 0 ||
        failed(build_request(client, HTTP_GET, path, span_of(NULL, 0))) ||
        failed(buf_add(&client->asked, buf_span(&client->request)))) {
        return; /* the call asks itself */
    }
    if (failed(send_request(client, deadline_ms))) {
        stream_close(&client->stream);
        buf_clear(&client->asked);
    }
}

err_t http_client_tls_binding(const struct http_client *client, struct buf *out) {
    SSL *ssl = client->stream.ssl;
    return ssl == NULL ? FAIL(ERR_NOT_FOUND) : tls_binding(ssl, TLS_CLIENT, out);
}

err_t http_client_fetch_date(const char *url, int timeout_ms, int64_t *when, struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    const struct http_client_config config = {.url = url, .timeout_ms = timeout_ms};
    TRY(http_client_new(&config, &client, fault));
    client->unverified = true;
    TRY(http_client_call(client, HTTP_GET, "/healthz", (span_t){0}, timeout_ms, &response, fault));
    if (response.date == 0) {
        return fault_set(fault, ERR_NOT_FOUND, "Date", "%s does not say what time it is", url);
    }
    *when = response.date;
    return OK;
}
