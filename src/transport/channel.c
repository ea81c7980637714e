#include "transport/channel.h"

#include "base/limits.h"
#include "ssh/wire.h"

enum {
    TABLE_SIZE_FIRST = 1, /* most sessions are one `ssh -J` */
    DATA_HEADER_BYTES = 9,
};

void channel_table_init(struct channel_table *table, struct transport *transport, uint32_t max) {
    *table = (struct channel_table){.transport = transport, .max = max};
}

void channel_table_done(struct channel_table *table) {
    free(table->channels);
    table->channels = NULL;
    table->size = table->used = 0;
}

static err_t grow(struct channel_table *table) {
    uint32_t size = table->size == 0 ? TABLE_SIZE_FIRST : table->size * 2;
    size = size > table->max ? table->max : size;
    struct channel *channels = realloc(table->channels, size * sizeof *channels);
    if (channels == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memset(channels + table->size, 0, (size - table->size) * sizeof *channels);
    table->channels = channels;
    table->size = size;
    return OK;
}

err_t channel_add(struct channel_table *table, uint32_t *out) {
    if (table->used == table->max) {
        return FAIL(ERR_TOO_LONG);
    }
    if (table->used == table->size) {
        TRY(grow(table));
    }
    uint32_t id = 0;
    while (table->channels[id].state != CHANNEL_FREE) {
        id++;
    }
    table->channels[id].state = CHANNEL_OPENING;
    table->used++;
    *out = id;
    return OK;
}

void channel_remove(struct channel_table *table, uint32_t id) {
    INVARIANT(channel_find(table, id) != NULL);
    table->channels[id] = (struct channel){0};
    table->used--;
    if (table->used == 0) {
        channel_table_done(table);
    }
}

struct channel *channel_find(const struct channel_table *table, uint32_t id) {
    return id < table->size && table->channels[id].state != CHANNEL_FREE ? &table->channels[id]
                                                                         : NULL;
}

static struct channel *find_open(const struct channel_table *table, uint32_t id) {
    struct channel *channel = channel_find(table, id);
    return channel != NULL && channel->state == CHANNEL_OPEN ? channel : NULL;
}

static struct channel *must_be_open(const struct channel_table *table, uint32_t id) {
    struct channel *channel = find_open(table, id);
    INVARIANT(channel != NULL);
    return channel;
}

/* --- what goes out --- */

static void store_u32(uint8_t *to, uint32_t value) {
    for (size_t i = 4; i > 0; i--, value >>= 8) {
        to[i - 1] = (uint8_t)value;
    }
}

/* EOF, CLOSE and replies: the number of the message and of the channel. */
static err_t send_short(const struct channel_table *table, const struct channel *channel,
                        enum channel_message number, int64_t now_ms, struct buf *out) {
    uint8_t message[5] = {(uint8_t)number};
    store_u32(message + 1, channel->peer);
    return transport_send(table->transport, span_of(message, sizeof message), now_ms, out);
}

static size_t room_of(const struct channel *channel) {
    if (channel->eof_sent || channel->close_sent) {
        return 0;
    }
    uint32_t packet = channel->packet_max < LIMIT_PACKET_DATA_BYTES ? channel->packet_max
                                                                    : LIMIT_PACKET_DATA_BYTES;
    return channel->room < packet ? channel->room : packet;
}

size_t channel_room(const struct channel_table *table, uint32_t id) {
    const struct channel *channel = must_be_open(table, id);
    return transport_is_open(table->transport) ? room_of(channel) : 0;
}

err_t channel_data_begin(struct channel_table *table, uint32_t id, size_t len_max, struct buf *out,
                         uint8_t **data) {
    INVARIANT(len_max <= channel_room(table, id));
    TRY(transport_send_begin(table->transport, DATA_HEADER_BYTES + len_max, out, &table->sending));
    *data = table->sending + DATA_HEADER_BYTES;
    return OK;
}

err_t channel_data_end(struct channel_table *table, uint32_t id, size_t len, int64_t now_ms,
                       struct buf *out) {
    struct channel *channel = must_be_open(table, id);
    INVARIANT(table->sending != NULL && len <= room_of(channel));
    table->sending[0] = MSG_CHANNEL_DATA;
    store_u32(table->sending + 1, channel->peer);
    store_u32(table->sending + 5, (uint32_t)len);
    table->sending = NULL;
    TRY(transport_send_end(table->transport, len == 0 ? 0 : DATA_HEADER_BYTES + len, now_ms, out));
    channel->room -= (uint32_t)len;
    return OK;
}

err_t channel_data(struct channel_table *table, uint32_t id, span_t data, int64_t now_ms,
                   struct buf *out, size_t *sent) {
    struct channel *channel = must_be_open(table, id);
    struct buf message CLEANUP(buf_done) = BUF(DATA_HEADER_BYTES + LIMIT_PACKET_DATA_BYTES);
    size_t done = 0;
    while (done < data.len && room_of(channel) > 0) {
        size_t len = data.len - done < room_of(channel) ? data.len - done : room_of(channel);
        buf_clear(&message);
        TRY(wire_put_u8(&message, MSG_CHANNEL_DATA));
        TRY(wire_put_u32(&message, channel->peer));
        TRY(wire_put_string(&message, span_of(data.data + done, len)));
        TRY(transport_send(table->transport, buf_span(&message), now_ms, out));
        channel->room -= (uint32_t)len;
        done += len;
    }
    *sent = done;
    return OK;
}

err_t channel_take(struct channel_table *table, uint32_t id, uint32_t bytes, int64_t now_ms,
                   struct buf *out) {
    struct channel *channel = must_be_open(table, id);
    INVARIANT(bytes <= UINT32_MAX - channel->window);
    if (bytes == 0 || channel->eof_received || channel->close_sent) {
        return OK;
    }
    uint8_t message[9] = {MSG_CHANNEL_WINDOW_ADJUST};
    store_u32(message + 1, channel->peer);
    store_u32(message + 5, bytes);
    TRY(transport_send(table->transport, span_of(message, sizeof message), now_ms, out));
    channel->window += bytes;
    return OK;
}

err_t channel_eof(struct channel_table *table, uint32_t id, int64_t now_ms, struct buf *out) {
    struct channel *channel = must_be_open(table, id);
    if (channel->eof_sent || channel->close_sent) {
        return OK;
    }
    TRY(send_short(table, channel, MSG_CHANNEL_EOF, now_ms, out));
    channel->eof_sent = true;
    return OK;
}

err_t channel_close(struct channel_table *table, uint32_t id, int64_t now_ms, struct buf *out) {
    struct channel *channel = must_be_open(table, id);
    if (channel->close_sent) {
        return OK;
    }
    TRY(send_short(table, channel, MSG_CHANNEL_CLOSE, now_ms, out));
    channel->close_sent = true;
    return OK;
}

err_t channel_request(struct channel_table *table, uint32_t id, const char *type, bool want_reply,
                      span_t specific, int64_t now_ms, struct buf *out) {
    const struct channel *channel = must_be_open(table, id);
    struct buf message CLEANUP(buf_done) = BUF(LIMIT_PACKET_DATA_BYTES);
    if (channel->close_sent) {
        return OK;
    }
    TRY(wire_put_u8(&message, MSG_CHANNEL_REQUEST));
    TRY(wire_put_u32(&message, channel->peer));
    TRY(wire_put_text(&message, type));
    TRY(wire_put_bool(&message, want_reply));
    TRY(buf_add(&message, specific));
    return transport_send(table->transport, buf_span(&message), now_ms, out);
}

err_t channel_reply(struct channel_table *table, uint32_t id, bool success, int64_t now_ms,
                    struct buf *out) {
    const struct channel *channel = must_be_open(table, id);
    if (channel->close_sent) {
        return OK;
    }
    return send_short(table, channel, success ? MSG_CHANNEL_SUCCESS : MSG_CHANNEL_FAILURE, now_ms,
                      out);
}

/* --- what comes in --- */

struct incoming {
    enum channel_message number;
    uint32_t id;
    struct channel *channel;
    span_t rest;
};

static err_t get_adjust(struct incoming *in, struct channel_event *event) {
    uint32_t more;
    TRY(wire_get_u32(&in->rest, &more));
    TRY(wire_expect_end(in->rest));
    if (more > UINT32_MAX - in->channel->room) {
        return FAIL(ERR_PROTOCOL);
    }
    in->channel->room += more;
    if (!in->channel->eof_sent) {
        event->type = CHANNEL_ROOM;
    }
    return OK;
}

/* Data of either kind counts against the window and the size of a packet. */
static err_t get_data(struct incoming *in, span_t *data) {
    if (in->number == MSG_CHANNEL_EXTENDED_DATA) {
        uint32_t type;
        TRY(wire_get_u32(&in->rest, &type));
    }
    TRY(wire_get_string(&in->rest, data));
    TRY(wire_expect_end(in->rest));
    if (in->channel->eof_received || data->len > LIMIT_PACKET_DATA_BYTES ||
        data->len > in->channel->window) {
        return FAIL(ERR_PROTOCOL);
    }
    in->channel->window -= (uint32_t)data->len;
    return OK;
}

static err_t get_request(struct incoming *in, struct channel_event *event) {
    TRY(wire_get_string(&in->rest, &event->data));
    TRY(wire_get_bool(&in->rest, &event->want_reply));
    event->specific = in->rest;
    event->type = CHANNEL_REQUEST;
    return OK;
}

static err_t get_eof(struct incoming *in, struct channel_event *event) {
    TRY(wire_expect_end(in->rest));
    if (in->channel->eof_received) {
        return FAIL(ERR_PROTOCOL);
    }
    in->channel->eof_received = true;
    event->type = CHANNEL_EOF;
    return OK;
}

static err_t get_close(struct channel_table *table, struct incoming *in, int64_t now_ms,
                       struct buf *out, struct channel_event *event) {
    TRY(wire_expect_end(in->rest));
    TRY(channel_close(table, in->id, now_ms, out));
    channel_remove(table, in->id);
    event->type = CHANNEL_CLOSED;
    return OK;
}

static err_t get_message(struct channel_table *table, struct incoming *in, int64_t now_ms,
                         struct buf *out, struct channel_event *event) {
    span_t dropped;
    switch (in->number) {
    case MSG_CHANNEL_WINDOW_ADJUST:
        return get_adjust(in, event);
    case MSG_CHANNEL_DATA:
        TRY(get_data(in, &event->data));
        event->type = event->data.len == 0 ? CHANNEL_NOTHING : CHANNEL_DATA;
        return OK;
    case MSG_CHANNEL_EXTENDED_DATA:
        TRY(get_data(in, &dropped));
        return channel_take(table, in->id, (uint32_t)dropped.len, now_ms, out);
    case MSG_CHANNEL_EOF:
        return get_eof(in, event);
    case MSG_CHANNEL_CLOSE:
        return get_close(table, in, now_ms, out, event);
    case MSG_CHANNEL_REQUEST:
        return get_request(in, event);
    case MSG_CHANNEL_SUCCESS:
    case MSG_CHANNEL_FAILURE:
        TRY(wire_expect_end(in->rest));
        event->type = CHANNEL_REPLY;
        event->success = in->number == MSG_CHANNEL_SUCCESS;
        return OK;
    default:
        return FAIL(ERR_PROTOCOL);
    }
}

err_t channel_receive(struct channel_table *table, span_t message, int64_t now_ms, struct buf *out,
                      struct channel_event *event) {
    struct channel_event happened = {0};
    struct incoming in;
    uint8_t number;
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_u32(&message, &in.id));
    in.number = number;
    in.rest = message;
    in.channel = find_open(table, in.id);
    if (in.channel == NULL) {
        return FAIL(ERR_PROTOCOL);
    }
    bool closed = in.channel->close_sent;
    TRY(get_message(table, &in, now_ms, out, &happened));
    if (closed && happened.type != CHANNEL_CLOSED) {
        happened.type = CHANNEL_NOTHING;
    }
    happened.id = in.id;
    *event = happened;
    return OK;
}
