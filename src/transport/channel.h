/*
 * Channels (RFC 4254 section 5) as far as server and client share them: the table of a connection's
 * channels, and what may come and go on each. A state machine without I/O on top of a transport.
 *
 * A number of ours is an index of the table, and is used again. What the peer sends beyond its
 * window or our packet size, after its EOF, or for a number that it was never told is
 * ERR_PROTOCOL, which ends the connection. What it sends on a channel that we have closed is held
 * to the same rules and then dropped.
 */
#ifndef POSTERN_TRANSPORT_CHANNEL_H
#define POSTERN_TRANSPORT_CHANNEL_H

#include "transport/transport.h"

enum channel_message {
    MSG_GLOBAL_REQUEST = 80,
    MSG_REQUEST_SUCCESS = 81,
    MSG_REQUEST_FAILURE = 82,
    MSG_CHANNEL_OPEN = 90,
    MSG_CHANNEL_OPEN_CONFIRMATION = 91,
    MSG_CHANNEL_OPEN_FAILURE = 92,
    MSG_CHANNEL_WINDOW_ADJUST = 93,
    MSG_CHANNEL_DATA = 94,
    MSG_CHANNEL_EXTENDED_DATA = 95,
    MSG_CHANNEL_EOF = 96,
    MSG_CHANNEL_CLOSE = 97,
    MSG_CHANNEL_REQUEST = 98,
    MSG_CHANNEL_SUCCESS = 99,
    MSG_CHANNEL_FAILURE = 100,
};

enum channel_state {
    CHANNEL_FREE,    /* zero */
    CHANNEL_OPENING, /* asked for, and not answered */
    CHANNEL_OPEN,    /* until both sides have closed */
};

struct channel {
    uint32_t peer;       /* the peer's number of it */
    uint32_t room;       /* how much the peer takes … */
    uint32_t packet_max; /* … and how much of it in one message */
    uint32_t window;     /* how much the peer may send */
    uint8_t state;       /* enum channel_state */
    bool is_session : 1, has_pty : 1, has_shell : 1;
    bool exec_due : 1, exec_wants_reply : 1; /* the driver's answer to it */
    bool eof_sent : 1, eof_received : 1, close_sent : 1;
};

/* Grows with use, and is nothing while no channel is open. */
struct channel_table {
    struct transport *transport; /* borrowed */
    struct channel *channels;
    uint32_t size, used, max;
    uint8_t *sending; /* the message between channel_data_begin() and _end() */
};

void channel_table_init(struct channel_table *table, struct transport *transport, uint32_t max);
void channel_table_done(struct channel_table *table);

/* The lowest free number, CHANNEL_OPENING; ERR_TOO_LONG when `max` are in use. The pointers that
 * channel_find() gave are gone. */
err_t channel_add(struct channel_table *table, uint32_t *out);
void channel_remove(struct channel_table *table, uint32_t id);
/* NULL when the number is free. */
struct channel *channel_find(const struct channel_table *table, uint32_t id);

enum channel_event_type {
    CHANNEL_NOTHING, /* zero */
    CHANNEL_DATA,
    CHANNEL_ROOM, /* the peer takes more */
    CHANNEL_EOF,
    CHANNEL_CLOSED, /* by both sides; the number is free */
    CHANNEL_REQUEST,
    CHANNEL_REPLY, /* to a request of ours, or so the peer says */
};
struct channel_event {
    enum channel_event_type type;
    uint32_t id;
    span_t data;     /* DATA; REQUEST: its type */
    span_t specific; /* REQUEST: the type's own fields */
    bool want_reply; /* REQUEST */
    bool success;    /* REPLY */
};
/* A message from WINDOW_ADJUST to CHANNEL_FAILURE. Extended data is dropped, and its window given
 * back. A CLOSE is answered. */
err_t channel_receive(struct channel_table *table, span_t message, int64_t now_ms, struct buf *out,
                      struct channel_event *event);

/* The rest is for numbers that are CHANNEL_OPEN (an invariant). Nothing is sent after CLOSE. */

/* 0 during an exchange, and after EOF or CLOSE of ours. */
size_t channel_room(const struct channel_table *table, uint32_t id);
/* As server_channel_data_begin() and _end(). */
err_t channel_data_begin(struct channel_table *table, uint32_t id, size_t len_max, struct buf *out,
                         uint8_t **data);
err_t channel_data_end(struct channel_table *table, uint32_t id, size_t len, int64_t now_ms,
                       struct buf *out);
/* The same with a copy, and during an exchange too: as much as the window takes, in as many
 * messages as it needs. *sent is how much that was. */
err_t channel_data(struct channel_table *table, uint32_t id, span_t data, int64_t now_ms,
                   struct buf *out, size_t *sent);
err_t channel_take(struct channel_table *table, uint32_t id, uint32_t bytes, int64_t now_ms,
                   struct buf *out);
err_t channel_eof(struct channel_table *table, uint32_t id, int64_t now_ms, struct buf *out);
err_t channel_close(struct channel_table *table, uint32_t id, int64_t now_ms, struct buf *out);
err_t channel_request(struct channel_table *table, uint32_t id, const char *type, bool want_reply,
                      span_t specific, int64_t now_ms, struct buf *out);
err_t channel_reply(struct channel_table *table, uint32_t id, bool success, int64_t now_ms,
                    struct buf *out);

#endif
