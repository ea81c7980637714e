#include "net/http_connection.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/secret.h"

enum {
    INPUT_BYTES = 4096,
    REQUESTS_PER_TURN_COUNT = 32, /* pipelined ones, before other connections get their turn */
};

static void on_event(evutil_socket_t fd, short what, void *context);

static void set_deadline(struct http_request *conn, int64_t delay_ms) {
    conn->deadline_ms = clock_monotonic_ms() + delay_ms;
}

void connection_time_request(struct http_request *conn) {
    if (!conn->timing) {
        conn->timing = true;
        set_deadline(conn, conn->server->config.request_deadline_ms);
    }
}

static void connection_free(struct http_request *conn) {
    if (conn->input != NULL) {
        secret_wipe(conn->input, conn->input_len);
        free(conn->input);
    }
    buf_done(&conn->gathered);
    buf_done(&conn->fields);
    buf_done(&conn->output);
    struct http_server *server = conn->server;
    free(conn);
    server_release_object(server);
}

void connection_pin(struct http_request *conn) { conn->pins++; }

/* What to wait for follows from the state alone. */
static void update_events(struct http_request *conn) {
    bool full = conn->state == CONNECTION_HELD && conn->input_len == conn->input_size;
    bool read =
        !conn->input_ended && !full && (conn->state != CONNECTION_ANSWERING || !conn->want_write);
    short events = (short)((read ? EV_READ : 0) | (conn->want_write ? EV_WRITE : 0));
    if (events == conn->events) {
        return;
    }
    struct event_base *base = loop_event_base(conn->server->loop);
    (void)event_del(&conn->event);
    conn->events = events;
    if (event_assign(&conn->event, base, conn->stream.fd, (short)(events | EV_PERSIST), on_event,
                     conn) != 0 ||
        (events != 0 && event_add(&conn->event, NULL) != 0)) {
        connection_close(conn);
    }
}

/* What is left may lie in our input, where the socket does not tell of it. */
static void ask_for_turn(struct http_request *conn) {
    static const struct timeval at_once = {0, 1};
    if (conn->state != CONNECTION_CLOSED && conn->turn_over &&
        event_add(&conn->event, &at_once) != 0) {
        connection_close(conn);
    }
    conn->turn_over = false;
}

void connection_unpin(struct http_request *conn) {
    if (conn->pins == 1 && conn->state != CONNECTION_CLOSED) {
        update_events(conn);
        ask_for_turn(conn);
    }
    conn->pins--;
    if (conn->pins == 0 && conn->state == CONNECTION_CLOSED && !conn->held) {
        connection_free(conn);
    }
}

static void set_busy(struct http_request *conn, bool busy) {
    if (conn->busy != busy) {
        conn->server->busy += busy ? 1 : (size_t)-1;
    }
    conn->busy = busy;
}

static void tell_gone(struct http_request *conn) {
    if (conn->held && conn->gone != NULL) {
        void (*gone)(void *, struct http_request *) = conn->gone;
        conn->gone = NULL;
        gone(conn->gone_context, conn);
    }
}

void connection_close(struct http_request *conn) {
    if (conn->state == CONNECTION_CLOSED) {
        return;
    }
    connection_pin(conn);
    conn->state = CONNECTION_CLOSED;
    (void)event_del(&conn->event);
    stream_close(&conn->stream);
    *conn->link = conn->next;
    if (conn->next != NULL) {
        conn->next->link = conn->link;
    }
    server_release_peer(conn->server, conn->peer);
    conn->server->counts.connections_open--;
    if (!conn->held) {
        set_busy(conn, false);
    }
    tell_gone(conn);
    connection_unpin(conn);
}

static err_t connection_init(struct http_request *conn, int fd) {
    conn->stream.fd = fd;
    conn->state = CONNECTION_HEAD;
    buf_init(&conn->gathered, LIMIT_HTTP_BODY_BYTES);
    buf_init(&conn->fields, LIMIT_HTTP_ANSWER_FIELDS_BYTES + 1); /* buf_add_format() ends it */
    conn->input = malloc(INPUT_BYTES);
    if (conn->input == NULL) {
        return FAIL(ERR_MEMORY);
    }
    conn->input_size = INPUT_BYTES;
    if (conn->server->tls != NULL) {
        conn->state = CONNECTION_HANDSHAKE;
        TRY(stream_attach_tls(&conn->stream, conn->server->tls));
        SSL_set_accept_state(conn->stream.ssl);
    }
    if (event_assign(&conn->event, loop_event_base(conn->server->loop), fd, EV_READ | EV_PERSIST,
                     on_event, conn) != 0 ||
        event_add(&conn->event, NULL) != 0) {
        return FAIL(ERR_MEMORY);
    }
    conn->events = EV_READ;
    return OK;
}

err_t connection_open(struct http_server *server, int fd, const struct inet_address *source,
                      struct http_peer *peer) {
    struct http_request *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        struct stream stream = {.fd = fd};
        stream_close(&stream);
        return FAIL(ERR_MEMORY);
    }
    conn->server = server;
    server->objects++;
    conn->source = *source;
    conn->peer = peer;
    err_t err = connection_init(conn, fd);
    if (failed(err)) {
        stream_close(&conn->stream);
        connection_free(conn);
        return err;
    }
    /* The first request's time begins here and includes the handshake. */
    connection_time_request(conn);
    connection_begin_idle(conn);
    conn->link = &server->connections;
    conn->next = server->connections;
    server->connections = conn;
    if (conn->next != NULL) {
        conn->next->link = &conn->next;
    }
    peer->connection_count++;
    server->counts.connections_open++;
    server->counts.connections_total++;
    return OK;
}

bool connection_fill(struct http_request *conn) {
    if (!conn->readable || conn->input_ended) {
        return false;
    }
    size_t room = conn->input_size - conn->input_len;
    size_t done;
    enum stream_result result =
        stream_read(&conn->stream, conn->input + conn->input_len, room, &done);
    conn->want_write = result == STREAM_WANT_WRITE;
    switch (result) {
    case STREAM_OK:
        conn->input_len += done;
        /* A short read has emptied the socket, unless TLS holds more. */
        conn->readable = done == room || stream_pending(&conn->stream);
        return true;
    case STREAM_END:
        conn->input_ended = true;
        return true;
    case STREAM_FAILED:
        connection_close(conn);
        return true;
    default:
        conn->readable = false;
        return false;
    }
}

static bool do_handshake(struct http_request *conn) {
    enum stream_result result = stream_handshake(&conn->stream);
    conn->want_write = result == STREAM_WANT_WRITE;
    if (result == STREAM_OK) {
        conn->state = CONNECTION_HEAD;
        conn->readable = true; /* the request may have come along */
        return true;
    }
    if (result == STREAM_END || result == STREAM_FAILED) {
        connection_close(conn);
    }
    return false;
}

void connection_dispatch(struct http_request *conn) {
    conn->state = CONNECTION_HELD;
    conn->held = true;
    conn->timing = false;
    conn->deadline_ms = INT64_MAX;
    conn->turn_requests++;
    set_busy(conn, true);
    conn->server->handler(conn->server->context, conn);
}

/* While the handler has the request: what is sent ahead is kept as far as there is room, and the
 * end of the input means that the client has gone. It may have closed its sending half alone, so
 * the answer is still tried. */
static bool on_held(struct http_request *conn) {
    if (conn->input_len == conn->input_size || !connection_fill(conn)) {
        return false;
    }
    if (conn->input_ended) {
        tell_gone(conn);
    }
    return true;
}

static void next_request(struct http_request *conn) {
    secret_wipe(conn->input, conn->rest);
    conn->input_len -= conn->rest;
    memmove(conn->input, conn->input + conn->rest, conn->input_len);
    conn->rest = 0;
    conn->scanned = 0;
    buf_done(&conn->gathered);
    conn->state = CONNECTION_HEAD;
    conn->timing = false;
    set_deadline(conn, conn->server->config.idle_ms);
    connection_begin_idle(conn);
}

static void on_answered(struct http_request *conn) {
    set_busy(conn, false);
    conn->want_write = false;
    buf_done(&conn->output);
    if (!conn->close_after) {
        next_request(conn);
    } else if (conn->input_ended) {
        connection_close(conn);
    } else {
        /* Closing with unread input would make the kernel send a reset, which can destroy the
         * answer before the client has read it (RFC 9112 section 9.6). */
        stream_shutdown(&conn->stream);
        conn->state = CONNECTION_LINGER;
        conn->timing = false;
        conn->readable = true;
        set_deadline(conn, conn->server->config.linger_ms);
    }
}

/* Writes as much as the socket takes. True when that was all or the connection was closed. */
static bool flush(struct http_request *conn, span_t answer, size_t *written) {
    while (*written < answer.len) {
        size_t done;
        enum stream_result result =
            stream_write(&conn->stream, answer.data + *written, answer.len - *written, &done);
        *written += done;
        if (result == STREAM_WANT_READ || result == STREAM_WANT_WRITE) {
            conn->want_write = result == STREAM_WANT_WRITE;
            return false;
        }
        if (result != STREAM_OK) {
            connection_close(conn);
            return true;
        }
    }
    on_answered(conn);
    return true;
}

void connection_send(struct http_request *conn) {
    struct buf *scratch = &conn->server->scratch;
    size_t written = 0;
    conn->state = CONNECTION_ANSWERING;
    if (flush(conn, buf_span(scratch), &written)) {
        secret_wipe(scratch->data, scratch->len);
        return;
    }
    size_t len_max = scratch->len_max;
    conn->output = *scratch;
    conn->output_done = written;
    buf_init(scratch, len_max);
    conn->timing = true;
    const struct http_server_config *config = &conn->server->config;
    set_deadline(conn,
                 config->answer_ms + (int64_t)conn->output.len * 1000 / config->answer_bytes_per_s);
}

/* Throws away what comes until the peer has finished too. */
static bool on_linger(struct http_request *conn) {
    char waste[4096];
    if (!conn->readable) {
        return false;
    }
    conn->readable = false;
    ssize_t len = recv(conn->stream.fd, waste, sizeof waste, 0);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
        connection_close(conn);
    }
    return false;
}

void connection_advance(struct http_request *conn) {
    bool more = true;
    conn->turn_requests = 0;
    while (more) {
        if (conn->state == CONNECTION_HEAD && conn->turn_requests == REQUESTS_PER_TURN_COUNT) {
            conn->turn_over = true;
            return;
        }
        switch (conn->state) {
        case CONNECTION_HANDSHAKE:
            more = do_handshake(conn);
            break;
        case CONNECTION_HEAD:
            more = http_request_take_head(conn);
            break;
        case CONNECTION_BODY:
            more = http_request_take_body(conn);
            break;
        case CONNECTION_HELD:
            more = on_held(conn);
            break;
        case CONNECTION_ANSWERING:
            more = flush(conn, buf_span(&conn->output), &conn->output_done);
            break;
        case CONNECTION_LINGER:
            more = on_linger(conn);
            break;
        case CONNECTION_CLOSED:
            more = false;
            break;
        }
    }
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    struct http_request *conn = context;
    connection_pin(conn);
    if ((what & EV_READ) != 0) {
        conn->readable = true;
    }
    if ((what & EV_TIMEOUT) != 0) {
        conn->events = 0; /* libevent has taken the event out; update_events() puts it back */
    }
    connection_advance(conn);
    connection_unpin(conn);
}

void connection_release(struct http_request *conn) {
    conn->gone = NULL;
    if (conn->state == CONNECTION_CLOSED) {
        set_busy(conn, false);
    }
}

void connection_expire(struct http_request *conn) {
    conn->server->counts.deadline_closed += conn->timing ? 1 : 0;
    bool asked = conn->state == CONNECTION_BODY ||
                 (conn->state == CONNECTION_HEAD && conn->timing && conn->input_len > 0);
    if (!asked) {
        connection_close(conn);
        return;
    }
    connection_pin(conn);
    answer_refuse(conn, 408, "request_timeout", "The request did not arrive in time.");
    connection_unpin(conn);
}

bool connection_is_idle(const struct http_request *conn) {
    return conn->state == CONNECTION_HANDSHAKE ||
           (conn->state == CONNECTION_HEAD && conn->input_len == 0);
}

bool connection_has_news(const struct http_request *conn) {
    char byte;
    return recv(conn->stream.fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void connection_begin_idle(struct http_request *conn) {
    conn->idle_order = conn->server->idle_count++;
}

void connection_close_idle(struct http_request *conn) {
    if (conn->state == CONNECTION_HEAD && conn->input_len == 0) {
        stream_shutdown(&conn->stream);
        connection_close(conn);
    }
}
