/* The server's side of channels: who may open which, what may be asked of them, and the driver's
 * calls. */
#include "server_internal.h"

#include "base/limits.h"
#include "base/text.h"
#include "ssh/wire.h"

enum { OPEN_MESSAGE_BYTES_MAX = 1024 };

/* --- opening --- */

struct opening {
    span_t type;
    uint32_t peer, room, packet_max;
    span_t rest;
};

static err_t get_opening(span_t message, struct opening *out) {
    struct opening opening;
    uint8_t number;
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_string(&message, &opening.type));
    TRY(wire_get_u32(&message, &opening.peer));
    TRY(wire_get_u32(&message, &opening.room));
    TRY(wire_get_u32(&message, &opening.packet_max));
    opening.rest = message;
    *out = opening;
    return OK;
}

static err_t send_open_failure(struct server *server, uint32_t peer, enum open_failure reason,
                               const char *text, int64_t now_ms, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(OPEN_MESSAGE_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_CHANNEL_OPEN_FAILURE));
    TRY(wire_put_u32(&message, peer));
    TRY(wire_put_u32(&message, reason));
    TRY(wire_put_text(&message, text));
    TRY(wire_put_text(&message, "")); /* language tag */
    return transport_send(server->transport, buf_span(&message), now_ms, out);
}

/* RFC 4254 section 7.2. A destination that cannot be one leaves `host` empty. */
static err_t get_direct(span_t rest, struct server_event *event) {
    uint32_t port;
    uint32_t originator_port;
    TRY(wire_get_string(&rest, &event->host));
    TRY(wire_get_u32(&rest, &port));
    TRY(wire_get_string(&rest, &event->originator));
    TRY(wire_get_u32(&rest, &originator_port));
    TRY(wire_expect_end(rest));
    if (event->host.len > LIMIT_HOST_NAME_CHARS || !text_is_printable(event->host) || port == 0 ||
        port > UINT16_MAX) {
        event->host = span_of(NULL, 0);
        return OK;
    }
    event->port = (uint16_t)port;
    return OK;
}

static err_t add_channel(struct server *server, const struct opening *opening,
                         struct server_turn *turn, enum server_event_type type) {
    uint32_t id;
    err_t err = channel_add(&server->table, &id);
    if (err.code == ERR_TOO_LONG) {
        return send_open_failure(server, opening->peer, OPEN_RESOURCE_SHORTAGE, "too many channels",
                                 turn->now_ms, turn->out);
    }
    TRY(err);
    struct channel *channel = channel_find(&server->table, id);
    channel->peer = opening->peer;
    channel->room = opening->room;
    channel->packet_max = opening->packet_max;
    channel->is_session = type == SERVER_OPEN_SESSION;
    turn->event->type = type;
    turn->event->channel = id;
    return OK;
}

err_t server_channel_on_open(struct server *server, struct server_turn *turn) {
    struct opening opening;
    TRY(get_opening(turn->message, &opening));
    bool is_session = span_equal_str(opening.type, "session");
    bool is_direct = span_equal_str(opening.type, "direct-tcpip");
    if (!is_session && !is_direct) {
        return send_open_failure(server, opening.peer, OPEN_UNKNOWN_CHANNEL_TYPE,
                                 "unknown channel type", turn->now_ms, turn->out);
    }
    if (is_session) {
        TRY(wire_expect_end(opening.rest));
    } else {
        TRY(get_direct(opening.rest, turn->event));
    }
    if (is_session && server->no_more_sessions) {
        /* The client promised: whoever asks has got hold of the client's connection. */
        return FAIL(ERR_PROTOCOL);
    }
    if (opening.packet_max == 0 || (is_direct && turn->event->host.len == 0)) {
        return send_open_failure(server, opening.peer, OPEN_ADMINISTRATIVELY_PROHIBITED,
                                 is_direct && opening.packet_max != 0 ? "no such destination"
                                                                      : "packets of no size",
                                 turn->now_ms, turn->out);
    }
    return add_channel(server, &opening, turn,
                       is_session ? SERVER_OPEN_SESSION : SERVER_OPEN_DIRECT);
}

static struct channel *must_be_opening(const struct server *server, channel_id id) {
    struct channel *channel = channel_find(&server->table, id);
    INVARIANT(channel != NULL && channel->state == CHANNEL_OPENING);
    return channel;
}

err_t server_open_accept(struct server *server, channel_id id, uint32_t window, int64_t now_ms,
                         struct buf *out) {
    struct channel *channel = must_be_opening(server, id);
    struct buf message CLEANUP(buf_done) = BUF(OPEN_MESSAGE_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_CHANNEL_OPEN_CONFIRMATION));
    TRY(wire_put_u32(&message, channel->peer));
    TRY(wire_put_u32(&message, id));
    TRY(wire_put_u32(&message, window));
    TRY(wire_put_u32(&message, LIMIT_PACKET_DATA_BYTES));
    TRY(transport_send(server->transport, buf_span(&message), now_ms, out));
    channel->window = window;
    channel->state = CHANNEL_OPEN;
    return OK;
}

err_t server_open_refuse(struct server *server, channel_id id, enum open_failure reason,
                         const char *text, int64_t now_ms, struct buf *out) {
    uint32_t peer = must_be_opening(server, id)->peer;
    channel_remove(&server->table, id);
    return send_open_failure(server, peer, reason, text, now_ms, out);
}

/* --- what comes in on a channel --- */

/* A shell is asked for once; the rest is either harmless or not to be had here. */
static bool judge_request(struct channel *channel, span_t type, struct server_event *event) {
    if (!channel->is_session) {
        return false;
    }
    if (span_equal_str(type, "shell") && !channel->has_shell) {
        channel->has_shell = true;
        event->type = SERVER_SESSION_SHELL;
        event->has_pty = channel->has_pty;
        return true;
    }
    if (span_equal_str(type, "pty-req") && !channel->has_shell) {
        /* ssh warns where it gets none. */
        channel->has_pty = true;
        return true;
    }
    return span_equal_str(type, "window-change") || span_equal_str(type, "signal");
}

static err_t take_exec(struct channel *channel, const struct channel_event *request,
                       struct server_event *event) {
    span_t rest = request->specific;
    TRY(wire_get_string(&rest, &event->data));
    TRY(wire_expect_end(rest));
    channel->exec_due = true;
    channel->exec_wants_reply = request->want_reply;
    event->type = SERVER_SESSION_EXEC;
    event->has_pty = channel->has_pty;
    return OK;
}

err_t server_exec_answer(struct server *server, channel_id id, bool granted, int64_t now_ms,
                         struct buf *out) {
    struct channel *channel = channel_find(&server->table, id);
    INVARIANT(channel != NULL && channel->exec_due);
    channel->exec_due = false;
    channel->has_shell = granted;
    return channel->exec_wants_reply ? channel_reply(&server->table, id, granted, now_ms, out) : OK;
}

static err_t take_request(struct server *server, const struct channel_event *request,
                          struct server_turn *turn) {
    struct channel *channel = channel_find(&server->table, request->id);
    INVARIANT(!channel->exec_due);
    if (server->config->takes_commands && channel->is_session && !channel->has_shell &&
        span_equal_str(request->data, "exec")) {
        return take_exec(channel, request, turn->event);
    }
    bool granted = judge_request(channel, request->data, turn->event);
    return request->want_reply
               ? channel_reply(&server->table, request->id, granted, turn->now_ms, turn->out)
               : OK;
}

err_t server_channel_on_message(struct server *server, struct server_turn *turn) {
    static const enum server_event_type types[] = {
        [CHANNEL_DATA] = SERVER_CHANNEL_DATA, [CHANNEL_ROOM] = SERVER_CHANNEL_WINDOW,
        [CHANNEL_EOF] = SERVER_CHANNEL_EOF,   [CHANNEL_CLOSED] = SERVER_CHANNEL_CLOSED,
        [CHANNEL_REPLY] = SERVER_NEEDS_INPUT, /* we ask for none */
    };
    struct channel_event got = {0};
    TRY(channel_receive(&server->table, turn->message, turn->now_ms, turn->out, &got));
    turn->event->channel = got.id;
    if (got.type == CHANNEL_REQUEST) {
        return take_request(server, &got, turn);
    }
    turn->event->type = types[got.type];
    turn->event->data = got.data;
    return OK;
}

/* --- the driver's calls --- */

size_t server_channel_room(const struct server *server, channel_id channel) {
    return channel_room(&server->table, channel);
}

err_t server_channel_data_begin(struct server *server, channel_id channel, size_t len_max,
                                struct buf *out, uint8_t **data) {
    return channel_data_begin(&server->table, channel, len_max, out, data);
}

err_t server_channel_data_end(struct server *server, channel_id channel, size_t len, int64_t now_ms,
                              struct buf *out) {
    return channel_data_end(&server->table, channel, len, now_ms, out);
}

err_t server_channel_take(struct server *server, channel_id channel, uint32_t bytes, int64_t now_ms,
                          struct buf *out) {
    return channel_take(&server->table, channel, bytes, now_ms, out);
}

uint32_t server_channel_window(const struct server *server, channel_id channel) {
    const struct channel *found = channel_find(&server->table, channel);
    INVARIANT(found != NULL && found->state == CHANNEL_OPEN);
    return found->window;
}

err_t server_channel_eof(struct server *server, channel_id channel, int64_t now_ms,
                         struct buf *out) {
    return channel_eof(&server->table, channel, now_ms, out);
}

err_t server_channel_close(struct server *server, channel_id channel, int64_t now_ms,
                           struct buf *out) {
    return channel_close(&server->table, channel, now_ms, out);
}

err_t server_channel_end(struct server *server, channel_id channel, span_t text, uint32_t status,
                         int64_t now_ms, struct buf *out) {
    size_t sent;
    struct buf specific CLEANUP(buf_done) = BUF(4);
    TRY(wire_put_u32(&specific, status));
    TRY(channel_data(&server->table, channel, text, now_ms, out, &sent));
    TRY(channel_eof(&server->table, channel, now_ms, out));
    TRY(channel_request(&server->table, channel, "exit-status", false, buf_span(&specific), now_ms,
                        out));
    return channel_close(&server->table, channel, now_ms, out);
}
