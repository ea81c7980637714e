#include "server_internal.h"

#include "base/limits.h"
#include "ssh/wire.h"

/*
 * Which message is taken in which state, and by whom. An empty cell ends the session.
 *
 * SERVICE_REQUEST may come again: paramiko sends one before each of its attempts. USERAUTH_REQUEST
 * after success is ignored, as RFC 4252 section 5.1 wants it: a client may have sent several at
 * once. So is SERVICE_REQUEST, which Conch sends after every key exchange. While an answer is due
 * nothing is read, so that row is empty. CHANNEL_OPEN_CONFIRMATION and _FAILURE have no cell since
 * we open no channel.
 */
static server_handler *const handlers[SERVER_STATES_COUNT][UINT8_MAX + 1] = {
    [SERVER_SERVICE_DUE] =
        {
            [MSG_SERVICE_REQUEST] = server_auth_on_service,
        },
    [SERVER_AUTHENTICATING] =
        {
            [MSG_SERVICE_REQUEST] = server_auth_on_service,
            [MSG_USERAUTH_REQUEST] = server_auth_on_request,
        },
    [SERVER_ANSWER_DUE] = {0},
    [SERVER_AUTHENTICATED] =
        {
            [MSG_SERVICE_REQUEST] = server_auth_on_late_request,
            [MSG_USERAUTH_REQUEST] = server_auth_on_late_request,
            [MSG_GLOBAL_REQUEST] = server_global_on_request,
            [MSG_REQUEST_SUCCESS] = server_global_on_reply,
            [MSG_REQUEST_FAILURE] = server_global_on_reply,
            [MSG_CHANNEL_OPEN] = server_channel_on_open,
            [MSG_CHANNEL_WINDOW_ADJUST] = server_channel_on_message,
            [MSG_CHANNEL_DATA] = server_channel_on_message,
            [MSG_CHANNEL_EXTENDED_DATA] = server_channel_on_message,
            [MSG_CHANNEL_EOF] = server_channel_on_message,
            [MSG_CHANNEL_CLOSE] = server_channel_on_message,
            [MSG_CHANNEL_REQUEST] = server_channel_on_message,
            [MSG_CHANNEL_SUCCESS] = server_channel_on_message,
            [MSG_CHANNEL_FAILURE] = server_channel_on_message,
        },
};

enum { NOTHING_TO_RECHECK = UINT32_MAX };

err_t server_new(const struct server_config *config, int64_t now_ms, struct buf *out,
                 struct server **server) {
    INVARIANT(config->transport.role == TRANSPORT_SERVER);
    struct server *made CLEANUP(server_freep) = calloc(1, sizeof *made);
    if (made == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(transport_new(&config->transport, now_ms, out, &made->transport));
    transport_set_stranger(made->transport, true);
    made->config = config;
    made->recheck = NOTHING_TO_RECHECK;
    uint32_t max = config->channels_max;
    channel_table_init(&made->table, made->transport,
                       max < LIMIT_CHANNELS_COUNT ? max : LIMIT_CHANNELS_COUNT);
    *server = TAKE(made);
    return OK;
}

void server_free(struct server *server) {
    if (server != NULL) {
        server_auth_forget(&server->auth);
        server_global_forget(server);
        channel_table_done(&server->table);
        transport_free(server->transport);
        free(server);
    }
}

void server_freep(struct server **server) { server_free(*server); }

struct transport *server_transport(struct server *server) {
    return server->transport;
}

void server_disconnect(struct server *server, enum disconnect_reason reason, const char *text,
                       struct buf *out) {
    if (!server->is_closed) {
        transport_disconnect(server->transport, reason, text, out);
        server->is_closed = true;
    }
}

/* After an exchange, during which no data could go out, every channel that has room again says so.
 */
static bool next_rechecked(struct server *server, struct server_event *event) {
    while (server->recheck < server->table.size) {
        uint32_t id = server->recheck++;
        const struct channel *channel = channel_find(&server->table, id);
        if (channel != NULL && channel->state == CHANNEL_OPEN &&
            channel_room(&server->table, id) > 0) {
            *event = (struct server_event){.type = SERVER_CHANNEL_WINDOW, .channel = id};
            return true;
        }
    }
    server->recheck = NOTHING_TO_RECHECK;
    return false;
}

static err_t take_message(struct server *server, span_t message, int64_t now_ms, struct buf *out,
                          struct server_event *event) {
    server->ping_due = false;
    server_handler *handler = message.len == 0 ? NULL : handlers[server->state][message.data[0]];
    struct server_turn turn = {message, now_ms, out, event};
    err_t err = handler == NULL ? FAIL(ERR_PROTOCOL) : handler(server, &turn);
    if (!failed(err) || server->is_closed) {
        return err;
    }
    bool ours = err.code == ERR_MEMORY || err.code == ERR_CRYPTO;
    server_disconnect(server, ours ? DISCONNECT_BY_APPLICATION : DISCONNECT_PROTOCOL_ERROR,
                      ours ? "internal error" : "protocol error", out);
    return ours ? err : FAIL(ERR_PROTOCOL);
}

static err_t take_event(struct server *server, const struct transport_event *from, int64_t now_ms,
                        struct buf *out, struct server_event *event) {
    switch (from->type) {
    case TRANSPORT_SIGN:
        *event = (struct server_event){.type = SERVER_SIGN,
                                       .data = from->data,
                                       .host_key = from->host_key,
                                       .algorithm = from->algorithm};
        return OK;
    case TRANSPORT_NEWKEYS:
        server->recheck = 0;
        return OK;
    case TRANSPORT_MESSAGE:
        return take_message(server, from->data, now_ms, out, event);
    case TRANSPORT_DISCONNECTED:
        server->is_closed = true;
        *event = (struct server_event){
            .type = SERVER_DISCONNECTED, .data = from->data, .reason = from->reason};
        return OK;
    case TRANSPORT_NEEDS_INPUT:
    case TRANSPORT_HOST_KEY:
        break;
    }
    return OK;
}

err_t server_next(struct server *server, struct transport_input *input, int64_t now_ms,
                  struct buf *out, struct server_event *event) {
    struct server_event happened = {0};
    if (server->is_closed) {
        return FAIL(ERR_CLOSED);
    }
    while (happened.type == SERVER_NEEDS_INPUT && server->state != SERVER_ANSWER_DUE) {
        if (server->prove != NULL) {
            TRY(server_global_next_proof(server, &happened));
            break;
        }
        struct transport_event got = {0};
        if (next_rechecked(server, &happened)) {
            break;
        }
        TRY(transport_next(server->transport, input, now_ms, out, &got));
        if (got.type == TRANSPORT_NEEDS_INPUT) {
            break;
        }
        TRY(take_event(server, &got, now_ms, out, &happened));
    }
    *event = happened;
    return OK;
}

err_t server_signed(struct server *server, span_t signature, int64_t now_ms, struct buf *out) {
    return server->prove != NULL ? server_global_signed(server, signature, now_ms, out)
                                 : transport_signed(server->transport, signature, out);
}
