/*
 * The client's side, for tests and benchmarks: publickey authentication and direct-tcpip. A state
 * machine without I/O like server.h.
 */
#ifndef POSTERN_TRANSPORT_CLIENT_H
#define POSTERN_TRANSPORT_CLIENT_H

#include "ssh/private_key.h"
#include "transport/server.h"

struct client;

struct client_config {
    struct transport_config transport;
    const char *user;
    const struct private_key *key;
    const struct cert *cert; /* or NULL: the plain key */
    bool offer_first;        /* ask with an unsigned request before signing, as OpenSSH does */
};

enum client_event_type {
    CLIENT_NEEDS_INPUT,
    CLIENT_HOST_KEY, /* answer with client_trust() */
    CLIENT_BANNER,   /* data */
    CLIENT_AUTHENTICATED,
    CLIENT_REFUSED,     /* every method failed; data is what may continue */
    CLIENT_OPENED,      /* channel */
    CLIENT_OPEN_FAILED, /* channel, reason, data: the text */
    CLIENT_CHANNEL_DATA,
    CLIENT_CHANNEL_WINDOW,
    CLIENT_CHANNEL_EOF,
    CLIENT_CHANNEL_CLOSED,
    CLIENT_CHANNEL_REPLY, /* to a channel request: reason is 1 for success, 0 for failure */
    CLIENT_EXIT_STATUS,   /* channel, reason: the status */
    CLIENT_REPLY,         /* to a global request: reason as for a channel's; data: what it says */
    CLIENT_DISCONNECTED,  /* reason, data */
};
struct client_event {
    enum client_event_type type;
    span_t data;
    uint32_t reason;
    const struct key *key;
    const struct cert *cert;
    channel_id channel;
};

err_t client_new(const struct client_config *config, int64_t now_ms, struct buf *out,
                 struct client **client);
void client_free(struct client *client);
void client_freep(struct client **client);
struct transport *client_transport(struct client *client);

err_t client_next(struct client *client, struct transport_input *input, int64_t now_ms,
                  struct buf *out, struct client_event *event);
err_t client_trust(struct client *client, bool trusted, int64_t now_ms, struct buf *out);

err_t client_open_direct(struct client *client, const char *host, uint16_t port, uint32_t window,
                         int64_t now_ms, struct buf *out, channel_id *channel);
err_t client_open_session(struct client *client, uint32_t window, int64_t now_ms, struct buf *out,
                          channel_id *channel);
/* "shell", "exec", …; `specific` is what follows want_reply (true). */
err_t client_channel_request(struct client *client, channel_id channel, const char *type,
                             span_t specific, int64_t now_ms, struct buf *out);
size_t client_channel_room(const struct client *client, channel_id channel);
err_t client_channel_data(struct client *client, channel_id channel, span_t data, int64_t now_ms,
                          struct buf *out);
err_t client_channel_take(struct client *client, channel_id channel, uint32_t bytes, int64_t now_ms,
                          struct buf *out);
err_t client_channel_eof(struct client *client, channel_id channel, int64_t now_ms,
                         struct buf *out);
err_t client_channel_close(struct client *client, channel_id channel, int64_t now_ms,
                           struct buf *out);
err_t client_global_request(struct client *client, const char *name, bool want_reply,
                            span_t specific, int64_t now_ms, struct buf *out);

#endif
