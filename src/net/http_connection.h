/*
 * A connection of the HTTP server and the request it is on: HTTP/1.1 has one at a time, so the two
 * are one object and a request costs no allocation.
 *
 * 1. `held` means that the handler has the request. A connection lives until it is closed and not
 *    held and not pinned; a closed one that is held waits for its answer, which is then dropped.
 * 2. Functions that call out (handler, gone, release) are reached only with the connection pinned.
 * 3. `busy` covers held and everything up to the last byte of the answer.
 */
#ifndef POSTERN_NET_HTTP_CONNECTION_H
#define POSTERN_NET_HTTP_CONNECTION_H

#include <event2/event_struct.h>

#include "net/http_message.h"
#include "net/http_server.h"
#include "net/stream.h"

/* Connections by address; IPv6 by its first 64 bits, since a client has all the others to choose.
 */
struct http_peer {
    struct inet_address address;
    size_t connection_count;
    struct http_peer *next;
};

enum { HTTP_PEER_BUCKETS_COUNT = 1024, HTTP_DATE_CHARS = 40 };

struct http_server {
    struct loop *loop;
    struct event listener;
    int listener_fd; /* -1 when draining */
    bool listener_paused;
    uint16_t port;
    struct timer *sweep;
    struct http_server_config config; /* no text: address and files are copied below */
    char *tls_cert_file;
    char *tls_key_file;
    SSL_CTX *tls; /* NULL: plain */
    void (*handler)(void *context, struct http_request *request);
    void *context;
    struct http_request *connections;
    struct http_peer *peers[HTTP_PEER_BUCKETS_COUNT];
    struct http_server_counts counts;
    size_t busy;
    uint64_t idle_count; /* how often a connection began to wait */
    size_t objects;      /* connections in memory: closed ones that are held among them */
    bool freed;          /* the memory goes with the last object */
    struct buf scratch;  /* where answers are put together */
    int64_t date_s;      /* of date */
    char date[HTTP_DATE_CHARS];
};

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_HELD,
    CONNECTION_ANSWERING,
    CONNECTION_LINGER,
    CONNECTION_CLOSED,
};

struct http_request {
    struct http_server *server;
    struct http_request *next;
    struct http_request **link; /* what points here */
    struct http_peer *peer;
    struct inet_address source;
    struct stream stream;
    struct event event;
    short events; /* what the event waits for */
    enum connection_state state;
    unsigned pins;
    bool held, busy;
    bool readable;    /* a read is worth trying */
    bool want_write;  /* TLS must write before it can go on, or the answer waits for room */
    bool input_ended; /* the peer has finished sending */
    unsigned turn_requests;
    bool turn_over;   /* there may be more to do after others had their turn */
    bool timing;      /* the deadline is a request's, not an idle connection's */
    bool close_after; /* this answer is the last */
    int64_t deadline_ms;
    uint64_t idle_order; /* of those idle, the lowest has waited longest */

    char *input; /* the head, then a body that fits, then what was sent ahead */
    size_t input_len, input_size, scanned, head_len;
    size_t rest; /* where in the input the next request begins */
    struct http_head head;
    struct http_chunks chunks;
    struct buf gathered; /* a body that is chunked or does not fit behind its head */
    span_t body;
    enum http_method method;
    const char *path;
    struct http_field params[LIMIT_HTTP_QUERY_COUNT];
    size_t param_count;

    struct buf fields;  /* from http_answer_header() */
    unsigned overrides; /* which default fields it replaced */
    struct buf output;  /* what the socket would not take yet */
    size_t output_done;

    void (*gone)(void *context, struct http_request *request);
    void *gone_context;
};

/* Takes over the descriptor; closes it on failure. */
err_t connection_open(struct http_server *server, int fd, const struct inet_address *source,
                      struct http_peer *peer);
/* Closes and, unless held, frees. */
void connection_close(struct http_request *conn);
/* What the sweep does with one whose deadline has passed. */
void connection_expire(struct http_request *conn);
/* Whether no byte of a request has been read: the client is silent, or still shaking hands. */
bool connection_is_idle(const struct http_request *conn);
/* Whether the socket has something to read, be it the end. */
bool connection_has_news(const struct http_request *conn);
/* From now on it waits for a request: it is the last in the order of those that do. */
void connection_begin_idle(struct http_request *conn);
/* Closes it if it is between requests. */
void connection_close_idle(struct http_request *conn);

void connection_pin(struct http_request *conn);
void connection_unpin(struct http_request *conn);
/* Goes on as far as it can without waiting; the connection is pinned once. */
void connection_advance(struct http_request *conn);
/* Reads once into the room that the input has. True when there is news: bytes, the end, or the
 * connection closed. */
bool connection_fill(struct http_request *conn);
/* From the first byte of a request on, all of it has one deadline. */
void connection_time_request(struct http_request *conn);
/* The request is whole: the handler has it. */
void connection_dispatch(struct http_request *conn);
/* Sends the server's scratch; conn->close_after says whether that is the last. */
void connection_send(struct http_request *conn);
/* The handler has answered: whether the client goes away is no longer its concern. */
void connection_release(struct http_request *conn);

/* http_request.c: the states of a request that comes. True when there may be more to do at once. */
bool http_request_take_head(struct http_request *conn);
bool http_request_take_body(struct http_request *conn);

/* The answers that the server gives by itself, and then closes. */
void answer_refuse(struct http_request *conn, unsigned status, const char *code,
                   const char *message);

/* One connection less; forgets a peer that has none left. */
void server_release_peer(struct http_server *server, struct http_peer *peer);
/* One object less; frees a server that was to be freed. */
void server_release_object(struct http_server *server);

#endif
