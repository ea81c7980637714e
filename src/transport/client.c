#include "transport/client.h"

#include "base/limits.h"
#include "ssh/wire.h"
#include "transport/channel.h"
#include "transport/userauth.h"

enum { CLIENT_MESSAGE_BYTES_MAX = LIMIT_CERT_BLOB_BYTES + 8 * 1024 };

enum client_state {
    CLIENT_KEX, /* zero */
    CLIENT_SERVICE_DUE,
    CLIENT_OFFER_DUE,     /* the server says whether it would take the key … */
    CLIENT_SIGNATURE_DUE, /* … whether it takes the signature */
    CLIENT_CONNECTED,
};
enum { CLIENT_STATES_COUNT = CLIENT_CONNECTED + 1 };

struct client {
    struct transport *transport;
    const struct client_config *config;
    enum client_state state;
    uint32_t recheck; /* as the server's */
    const struct userauth_algorithm *algorithm;
    struct channel_table table;
};

struct client_turn {
    span_t whole;   /* the message … */
    span_t message; /* … and what follows its number */
    uint8_t number;
    int64_t now_ms;
    struct buf *out;
    struct client_event *event;
};
typedef err_t client_handler(struct client *client, struct client_turn *turn);

enum { NOTHING_TO_RECHECK = UINT32_MAX };

err_t client_new(const struct client_config *config, int64_t now_ms, struct buf *out,
                 struct client **client) {
    INVARIANT(config->transport.role == TRANSPORT_CLIENT);
    struct client *made CLEANUP(client_freep) = calloc(1, sizeof *made);
    if (made == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(transport_new(&config->transport, now_ms, out, &made->transport));
    made->config = config;
    made->recheck = NOTHING_TO_RECHECK;
    channel_table_init(&made->table, made->transport, LIMIT_CHANNELS_COUNT);
    *client = TAKE(made);
    return OK;
}

void client_free(struct client *client) {
    if (client != NULL) {
        channel_table_done(&client->table);
        transport_free(client->transport);
        free(client);
    }
}

void client_freep(struct client **client) { client_free(*client); }

struct transport *client_transport(struct client *client) {
    return client->transport;
}

static err_t send_message(struct client *client, const struct buf *message, int64_t now_ms,
                          struct buf *out) {
    return transport_send(client->transport, buf_span(message), now_ms, out);
}

/* --- authentication --- */

static err_t ask_for_service(struct client *client, int64_t now_ms, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(64);
    TRY(wire_put_u8(&message, MSG_SERVICE_REQUEST));
    TRY(wire_put_text(&message, USERAUTH_SERVICE));
    client->state = CLIENT_SERVICE_DUE;
    return send_message(client, &message, now_ms, out);
}

static span_t own_blob(const struct client *client) {
    const struct client_config *config = client->config;
    return config->cert != NULL ? buf_span(&config->cert->blob)
                                : key_blob(private_key_public(config->key));
}

static err_t request(struct client *client, bool is_signed, int64_t now_ms, struct buf *out) {
    const struct client_config *config = client->config;
    struct buf message CLEANUP(buf_done) = BUF(CLIENT_MESSAGE_BYTES_MAX);
    struct buf data CLEANUP(buf_done) = BUF(CLIENT_MESSAGE_BYTES_MAX);
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    span_t user = span_str(config->user);
    TRY(userauth_put_publickey(&message, user, is_signed, client->algorithm, own_blob(client)));
    if (is_signed) {
        bool sha256 = strcmp(client->algorithm->signature, "rsa-sha2-256") == 0;
        TRY(userauth_put_signed_data(&data, transport_session_id(client->transport), user,
                                     client->algorithm, own_blob(client)));
        TRY(private_key_sign(config->key, buf_span(&data), sha256 ? RSA_SHA256 : RSA_SHA512,
                             &signature));
        TRY(wire_put_string(&message, buf_span(&signature)));
    }
    client->state = is_signed ? CLIENT_SIGNATURE_DUE : CLIENT_OFFER_DUE;
    return send_message(client, &message, now_ms, out);
}

static err_t on_service(struct client *client, struct client_turn *turn) {
    const struct client_config *config = client->config;
    client->algorithm =
        userauth_algorithm_for(key_type(private_key_public(config->key)), config->cert != NULL,
                               transport_peer_sig_algs(client->transport));
    if (client->algorithm == NULL) {
        turn->event->type = CLIENT_REFUSED;
        return OK;
    }
    return request(client, !config->offer_first, turn->now_ms, turn->out);
}

/* What the server repeats must be what was offered. */
static err_t on_pk_ok(struct client *client, struct client_turn *turn) {
    span_t algorithm;
    span_t blob;
    TRY(wire_get_string(&turn->message, &algorithm));
    TRY(wire_get_string(&turn->message, &blob));
    TRY(wire_expect_end(turn->message));
    if (!span_equal_str(algorithm, client->algorithm->name) ||
        !span_equal(blob, own_blob(client))) {
        return FAIL(ERR_PROTOCOL);
    }
    return request(client, true, turn->now_ms, turn->out);
}

static err_t on_banner(struct client *client, struct client_turn *turn) {
    (void)client;
    TRY(wire_get_string(&turn->message, &turn->event->data));
    turn->event->type = CLIENT_BANNER;
    return OK;
}

static err_t on_auth_failure(struct client *client, struct client_turn *turn) {
    (void)client;
    TRY(wire_get_string(&turn->message, &turn->event->data));
    turn->event->type = CLIENT_REFUSED;
    return OK;
}

static err_t on_auth_success(struct client *client, struct client_turn *turn) {
    TRY(wire_expect_end(turn->message));
    turn->event->type = CLIENT_AUTHENTICATED;
    client->state = CLIENT_CONNECTED;
    return OK;
}

/* --- the connection --- */

/* We grant nothing, keepalives included: any reply tells the server that we live. */
static err_t on_global_request(struct client *client, struct client_turn *turn) {
    span_t name;
    bool want_reply;
    TRY(wire_get_string(&turn->message, &name));
    TRY(wire_get_bool(&turn->message, &want_reply));
    static const uint8_t refusal[] = {MSG_REQUEST_FAILURE};
    return want_reply ? transport_send(client->transport, span_of(refusal, sizeof refusal),
                                       turn->now_ms, turn->out)
                      : OK;
}

static err_t on_global_reply(struct client *client, struct client_turn *turn) {
    (void)client;
    turn->event->type = CLIENT_REPLY;
    turn->event->reason = turn->number == MSG_REQUEST_SUCCESS;
    turn->event->data = turn->message;
    return OK;
}

/* A server has nothing to open with a client that forwards nothing back. */
static err_t on_open(struct client *client, struct client_turn *turn) {
    span_t type;
    uint32_t peer;
    struct buf message CLEANUP(buf_done) = BUF(64);
    TRY(wire_get_string(&turn->message, &type));
    TRY(wire_get_u32(&turn->message, &peer));
    TRY(wire_put_u8(&message, MSG_CHANNEL_OPEN_FAILURE));
    TRY(wire_put_u32(&message, peer));
    TRY(wire_put_u32(&message, OPEN_ADMINISTRATIVELY_PROHIBITED));
    TRY(wire_put_text(&message, ""));
    TRY(wire_put_text(&message, ""));
    return send_message(client, &message, turn->now_ms, turn->out);
}

static err_t get_opening(struct client *client, struct client_turn *turn, struct channel **out) {
    TRY(wire_get_u32(&turn->message, &turn->event->channel));
    struct channel *channel = channel_find(&client->table, turn->event->channel);
    if (channel == NULL || channel->state != CHANNEL_OPENING) {
        return FAIL(ERR_PROTOCOL);
    }
    *out = channel;
    return OK;
}

static err_t on_opened(struct client *client, struct client_turn *turn) {
    struct channel *channel;
    TRY(get_opening(client, turn, &channel));
    TRY(wire_get_u32(&turn->message, &channel->peer));
    TRY(wire_get_u32(&turn->message, &channel->room));
    TRY(wire_get_u32(&turn->message, &channel->packet_max));
    TRY(wire_expect_end(turn->message));
    if (channel->packet_max == 0) {
        return FAIL(ERR_PROTOCOL);
    }
    channel->state = CHANNEL_OPEN;
    turn->event->type = CLIENT_OPENED;
    return OK;
}

static err_t on_open_failed(struct client *client, struct client_turn *turn) {
    struct channel *channel;
    TRY(get_opening(client, turn, &channel));
    TRY(wire_get_u32(&turn->message, &turn->event->reason));
    TRY(wire_get_string(&turn->message, &turn->event->data));
    channel_remove(&client->table, turn->event->channel);
    turn->event->type = CLIENT_OPEN_FAILED;
    return OK;
}

static err_t take_channel_request(struct client *client, struct channel_event *got,
                                  struct client_turn *turn) {
    if (span_equal_str(got->data, "exit-status")) {
        TRY(wire_get_u32(&got->specific, &turn->event->reason));
        turn->event->type = CLIENT_EXIT_STATUS;
    }
    return got->want_reply ? channel_reply(&client->table, got->id, false, turn->now_ms, turn->out)
                           : OK;
}

static err_t on_channel(struct client *client, struct client_turn *turn) {
    static const enum client_event_type types[] = {
        [CHANNEL_DATA] = CLIENT_CHANNEL_DATA,   [CHANNEL_ROOM] = CLIENT_CHANNEL_WINDOW,
        [CHANNEL_EOF] = CLIENT_CHANNEL_EOF,     [CHANNEL_CLOSED] = CLIENT_CHANNEL_CLOSED,
        [CHANNEL_REPLY] = CLIENT_CHANNEL_REPLY,
    };
    struct channel_event got = {0};
    TRY(channel_receive(&client->table, turn->whole, turn->now_ms, turn->out, &got));
    turn->event->channel = got.id;
    if (got.type == CHANNEL_REQUEST) {
        return take_channel_request(client, &got, turn);
    }
    turn->event->type = types[got.type];
    turn->event->data = got.data;
    turn->event->reason = got.success;
    return OK;
}

/* --- the machine --- */

static client_handler *const handlers[CLIENT_STATES_COUNT][UINT8_MAX + 1] = {
    [CLIENT_KEX] = {0},
    [CLIENT_SERVICE_DUE] =
        {
            [MSG_SERVICE_ACCEPT] = on_service,
        },
    [CLIENT_OFFER_DUE] =
        {
            [MSG_USERAUTH_PK_OK] = on_pk_ok,
            [MSG_USERAUTH_BANNER] = on_banner,
            [MSG_USERAUTH_FAILURE] = on_auth_failure,
        },
    [CLIENT_SIGNATURE_DUE] =
        {
            [MSG_USERAUTH_BANNER] = on_banner,
            [MSG_USERAUTH_FAILURE] = on_auth_failure,
            [MSG_USERAUTH_SUCCESS] = on_auth_success,
        },
    [CLIENT_CONNECTED] =
        {
            [MSG_GLOBAL_REQUEST] = on_global_request,
            [MSG_REQUEST_SUCCESS] = on_global_reply,
            [MSG_REQUEST_FAILURE] = on_global_reply,
            [MSG_CHANNEL_OPEN] = on_open,
            [MSG_CHANNEL_OPEN_CONFIRMATION] = on_opened,
            [MSG_CHANNEL_OPEN_FAILURE] = on_open_failed,
            [MSG_CHANNEL_WINDOW_ADJUST] = on_channel,
            [MSG_CHANNEL_DATA] = on_channel,
            [MSG_CHANNEL_EXTENDED_DATA] = on_channel,
            [MSG_CHANNEL_EOF] = on_channel,
            [MSG_CHANNEL_CLOSE] = on_channel,
            [MSG_CHANNEL_REQUEST] = on_channel,
            [MSG_CHANNEL_SUCCESS] = on_channel,
            [MSG_CHANNEL_FAILURE] = on_channel,
        },
};

static err_t take_message(struct client *client, span_t message, struct client_turn *turn) {
    turn->whole = message;
    TRY(wire_get_u8(&message, &turn->number));
    turn->message = message;
    client_handler *handler = handlers[client->state][turn->number];
    err_t err = handler == NULL ? FAIL(ERR_PROTOCOL) : handler(client, turn);
    if (failed(err) && err.code != ERR_CLOSED) {
        transport_disconnect(client->transport, DISCONNECT_PROTOCOL_ERROR, "protocol error",
                             turn->out);
    }
    return err;
}

static err_t take_event(struct client *client, const struct transport_event *from,
                        struct client_turn *turn) {
    switch (from->type) {
    case TRANSPORT_HOST_KEY:
        *turn->event =
            (struct client_event){.type = CLIENT_HOST_KEY, .key = from->key, .cert = from->cert};
        return OK;
    case TRANSPORT_NEWKEYS:
        client->recheck = 0;
        return client->state == CLIENT_KEX ? ask_for_service(client, turn->now_ms, turn->out) : OK;
    case TRANSPORT_MESSAGE:
        return take_message(client, from->data, turn);
    case TRANSPORT_DISCONNECTED:
        *turn->event = (struct client_event){
            .type = CLIENT_DISCONNECTED, .data = from->data, .reason = from->reason};
        return OK;
    case TRANSPORT_NEEDS_INPUT:
    case TRANSPORT_SIGN:
        break;
    }
    return OK;
}

static bool next_rechecked(struct client *client, struct client_event *event) {
    while (client->recheck < client->table.size) {
        uint32_t id = client->recheck++;
        const struct channel *channel = channel_find(&client->table, id);
        if (channel != NULL && channel->state == CHANNEL_OPEN &&
            channel_room(&client->table, id) > 0) {
            *event = (struct client_event){.type = CLIENT_CHANNEL_WINDOW, .channel = id};
            return true;
        }
    }
    client->recheck = NOTHING_TO_RECHECK;
    return false;
}

err_t client_next(struct client *client, struct transport_input *input, int64_t now_ms,
                  struct buf *out, struct client_event *event) {
    struct client_event happened = {0};
    struct client_turn turn = {.now_ms = now_ms, .out = out, .event = &happened};
    while (happened.type == CLIENT_NEEDS_INPUT && !next_rechecked(client, &happened)) {
        struct transport_event got = {0};
        TRY(transport_next(client->transport, input, now_ms, out, &got));
        if (got.type == TRANSPORT_NEEDS_INPUT) {
            break;
        }
        TRY(take_event(client, &got, &turn));
    }
    *event = happened;
    return OK;
}

err_t client_trust(struct client *client, bool trusted, int64_t now_ms, struct buf *out) {
    (void)now_ms;
    return transport_trust(client->transport, trusted, out);
}

/* --- the user's calls --- */

static err_t open_channel(struct client *client, const char *type, span_t specific, uint32_t window,
                          int64_t now_ms, struct buf *out, channel_id *channel) {
    uint32_t id;
    struct buf message CLEANUP(buf_done) = BUF(CLIENT_MESSAGE_BYTES_MAX);
    TRY(channel_add(&client->table, &id));
    channel_find(&client->table, id)->window = window;
    TRY(wire_put_u8(&message, MSG_CHANNEL_OPEN));
    TRY(wire_put_text(&message, type));
    TRY(wire_put_u32(&message, id));
    TRY(wire_put_u32(&message, window));
    TRY(wire_put_u32(&message, LIMIT_PACKET_DATA_BYTES));
    TRY(buf_add(&message, specific));
    TRY(send_message(client, &message, now_ms, out));
    *channel = id;
    return OK;
}

err_t client_open_direct(struct client *client, const char *host, uint16_t port, uint32_t window,
                         int64_t now_ms, struct buf *out, channel_id *channel) {
    struct buf specific CLEANUP(buf_done) = BUF(CLIENT_MESSAGE_BYTES_MAX);
    TRY(wire_put_text(&specific, host));
    TRY(wire_put_u32(&specific, port));
    TRY(wire_put_text(&specific, "127.0.0.1"));
    TRY(wire_put_u32(&specific, 0));
    return open_channel(client, "direct-tcpip", buf_span(&specific), window, now_ms, out, channel);
}

err_t client_open_session(struct client *client, uint32_t window, int64_t now_ms, struct buf *out,
                          channel_id *channel) {
    return open_channel(client, "session", span_of(NULL, 0), window, now_ms, out, channel);
}

err_t client_channel_request(struct client *client, channel_id channel, const char *type,
                             span_t specific, int64_t now_ms, struct buf *out) {
    return channel_request(&client->table, channel, type, true, specific, now_ms, out);
}

size_t client_channel_room(const struct client *client, channel_id channel) {
    return channel_room(&client->table, channel);
}

err_t client_channel_data(struct client *client, channel_id channel, span_t data, int64_t now_ms,
                          struct buf *out) {
    uint8_t *to;
    TRY(channel_data_begin(&client->table, channel, data.len, out, &to));
    memcpy(to, data.data, data.len);
    return channel_data_end(&client->table, channel, data.len, now_ms, out);
}

err_t client_channel_take(struct client *client, channel_id channel, uint32_t bytes, int64_t now_ms,
                          struct buf *out) {
    return channel_take(&client->table, channel, bytes, now_ms, out);
}

err_t client_channel_eof(struct client *client, channel_id channel, int64_t now_ms,
                         struct buf *out) {
    return channel_eof(&client->table, channel, now_ms, out);
}

err_t client_channel_close(struct client *client, channel_id channel, int64_t now_ms,
                           struct buf *out) {
    return channel_close(&client->table, channel, now_ms, out);
}

err_t client_global_request(struct client *client, const char *name, bool want_reply,
                            span_t specific, int64_t now_ms, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(CLIENT_MESSAGE_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_GLOBAL_REQUEST));
    TRY(wire_put_text(&message, name));
    TRY(wire_put_bool(&message, want_reply));
    TRY(buf_add(&message, specific));
    return send_message(client, &message, now_ms, out);
}
