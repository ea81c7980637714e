/*
 * The server's side of SSH above the transport: userauth (RFC 4252) and connection (RFC 4254), for
 * a server that forwards and gives no shell. A state machine without I/O, like the transport that
 * it contains; whoever drives it has the policy.
 *
 * Offered is not proved: a key that is only offered is SERVER_AUTH_OFFERED, which can be answered
 * by server_auth_pk_ok() and never by server_auth_accept(). SERVER_AUTH_PROVED means: the signature
 * over this session's id, this user name and this very key or certificate verifies (with the
 * user-presence flag for security keys). Whether a certificate is any good is the driver's to
 * judge, by cert_verify(). SERVER_AUTH_PASSWORD proves nothing by itself.
 *
 * The table of which message is allowed in which state is server.c's; an empty cell ends the
 * session.
 *
 * Answered without the driver: global requests (keepalive@openssh.com and unknown ones by
 * REQUEST_FAILURE, no-more-sessions@openssh.com is honoured, tcpip-forward and
 * streamlocal-forward@openssh.com refused), channel types other than session and direct-tcpip,
 * channel requests that a gate never grants (subsystem, x11-req, auth-agent-req@openssh.com,
 * …). hostkeys-00@openssh.com is sent after authentication, and hostkeys-prove-00@openssh.com
 * becomes SERVER_SIGN.
 */
#ifndef POSTERN_TRANSPORT_SERVER_H
#define POSTERN_TRANSPORT_SERVER_H

#include "base/secret.h"
#include "transport/transport.h"

struct server;

/* Shared by any number of servers, immutable while one of them lives. */
struct server_config {
    struct transport_config transport;
    uint32_t channels_max; /* open at the same time, of one session; at most LIMIT_CHANNELS_COUNT */
    uint32_t auth_tries_max;
    bool takes_passwords; /* the method "password" is offered, to everybody */
    bool takes_commands;  /* the driver judges exec; else it is refused */
};

err_t server_new(const struct server_config *config, int64_t now_ms, struct buf *out,
                 struct server **server);
void server_free(struct server *server);
void server_freep(struct server **server);
struct transport *server_transport(struct server *server); /* for its facts */

/* Our number of a channel: an index, below channels_max, used again after SERVER_CHANNEL_CLOSED. */
typedef uint32_t channel_id;

enum server_event_type {
    SERVER_NEEDS_INPUT, /* zero */
    SERVER_SIGN,        /* as TRANSPORT_SIGN, and for hostkeys-prove: answer with server_signed() */
    SERVER_AUTH_METHOD, /* none, hostbased, …: what we do not take; and "publickey" with a key that
                           cannot be read, an algorithm that does not fit it, or a signature that
                           does not verify. Answer with server_auth_fail() */
    SERVER_AUTH_PASSWORD, /* only with takes_passwords; whether it is right is the driver's to find
                             out. A request to change one is AUTH_METHOD */
    SERVER_AUTH_OFFERED,
    SERVER_AUTH_PROVED,
    SERVER_OPEN_DIRECT,   /* direct-tcpip to host:port: answer with server_open_* */
    SERVER_OPEN_SESSION,  /* a session channel: answer with server_open_* */
    SERVER_SESSION_SHELL, /* the client asks for a shell on it: write, then server_channel_end() */
    SERVER_SESSION_EXEC,  /* only with takes_commands: answer with server_exec_answer() before
                             anything else is asked of the server */
    SERVER_CHANNEL_DATA,
    SERVER_CHANNEL_WINDOW, /* server_channel_room() has grown: the peer takes more, or an exchange
                              is over */
    SERVER_CHANNEL_EOF,
    SERVER_CHANNEL_CLOSED, /* both sides have closed; the number is free */
    SERVER_DISCONNECTED,
};

struct server_event {
    enum server_event_type type;
    /* Spans are inside the input, or the server's, and valid until the next call. CHANNEL_DATA's is
     * always inside the input and stays as it is: the data of several messages can be gathered. */
    span_t data;     /* SIGN, CHANNEL_DATA; SESSION_EXEC: the command, which may be anything;
                        DISCONNECTED: the peer's text */
    uint32_t reason; /* DISCONNECTED */
    const struct transport_host_key *host_key; /* SIGN */
    const char *algorithm;                     /* SIGN, AUTH_OFFERED, AUTH_PROVED */

    /* AUTH_*: UTF-8 without control characters, of 1 to LIMIT_PRINCIPAL_CHARS bytes. user is empty
     * where the client's is not such a name, which is AUTH_METHOD whatever the method. */
    span_t user, method;
    /* AUTH_OFFERED, AUTH_PROVED, until the answer: the plain key, also of a certificate; and the
     * certificate, or NULL. */
    const struct key *key;
    const struct cert *cert;
    uint8_t sk_flags; /* AUTH_PROVED by a security key: what the token asserted */
    /* AUTH_PASSWORD, until the answer, which wipes it: UTF-8 without control characters, not empty.
     * In the input it is wiped already. */
    const secret_t *password;

    channel_id channel;
    bool has_pty; /* SESSION_SHELL: the client has a terminal, so lines end in CR LF */
    span_t host;  /* OPEN_DIRECT: as the client wrote it, printable ASCII, 1 to
                    LIMIT_HOST_NAME_CHARS */
    uint16_t port;
    span_t originator; /* OPEN_DIRECT: what the client says where it comes from; may be anything */
};

/* The next event; errors as transport_next(). While an answer is due (SIGN, AUTH_*) it gives
 * NEEDS_INPUT and consumes nothing; SERVER_OPEN_* may be answered later while others go on. What
 * the peer sends on a channel before it was told the channel's number breaks the protocol. */
err_t server_next(struct server *server, struct transport_input *input, int64_t now_ms,
                  struct buf *out, struct server_event *event);

/* An empty signature: the key could not be had. */
err_t server_signed(struct server *server, span_t signature, int64_t now_ms, struct buf *out);

/* --- authentication --- */

/* The next three while an answer to AUTH_* is due (an invariant). A refusal is the only answer to
 * AUTH_METHOD, pk_ok an answer to AUTH_OFFERED alone, accept to AUTH_PROVED and AUTH_PASSWORD alone
 * (invariants). */
/* One line for the user, before the answer (USERAUTH_BANNER). */
err_t server_auth_banner(struct server *server, const char *text, int64_t now_ms, struct buf *out);
err_t server_auth_pk_ok(struct server *server, int64_t now_ms, struct buf *out);
err_t server_auth_accept(struct server *server, int64_t now_ms, struct buf *out);
/* The auth_tries_max'th refusal disconnects: ERR_REFUSED then. A "none" that comes first does not
 * count, nor does pk_ok; LIMIT_AUTH_REQUESTS_COUNT bounds all requests together. */
err_t server_auth_fail(struct server *server, int64_t now_ms, struct buf *out);
bool server_is_authenticated(const struct server *server);

/*
 * --- channels; only of channels that are open, or for server_open_* due an answer (an invariant).
 * A channel is open from server_open_accept() to SERVER_CHANNEL_CLOSED; after our CLOSE the calls
 * do nothing. ---
 */

/* window: how many bytes the peer may send before server_channel_take() gives it more. */
err_t server_open_accept(struct server *server, channel_id channel, uint32_t window, int64_t now_ms,
                         struct buf *out);
/* Reason codes of RFC 4254 section 5.1. The number is free afterwards. */
enum open_failure {
    OPEN_ADMINISTRATIVELY_PROHIBITED = 1,
    OPEN_CONNECT_FAILED = 2,
    OPEN_UNKNOWN_CHANNEL_TYPE = 3,
    OPEN_RESOURCE_SHORTAGE = 4,
};
err_t server_open_refuse(struct server *server, channel_id channel, enum open_failure reason,
                         const char *text, int64_t now_ms, struct buf *out);

/* Whether the command is run; afterwards the channel is as one with a shell. */
err_t server_exec_answer(struct server *server, channel_id channel, bool granted, int64_t now_ms,
                         struct buf *out);

/* How much may be sent on the channel right now: the peer's window and packet size; 0 during an
 * exchange, and after our EOF. */
size_t server_channel_room(const struct server *server, channel_id channel);
/* Data without a copy: room for len_max <= server_channel_room() bytes; _end sends the first len.
 */
err_t server_channel_data_begin(struct server *server, channel_id channel, size_t len_max,
                                struct buf *out, uint8_t **data);
err_t server_channel_data_end(struct server *server, channel_id channel, size_t len, int64_t now_ms,
                              struct buf *out);
/* Gives the peer more window (WINDOW_ADJUST). The driver decides when and how much. */
err_t server_channel_take(struct server *server, channel_id channel, uint32_t bytes, int64_t now_ms,
                          struct buf *out);
/* How many bytes the peer may still send. */
uint32_t server_channel_window(const struct server *server, channel_id channel);
err_t server_channel_eof(struct server *server, channel_id channel, int64_t now_ms,
                         struct buf *out);
/* Sends CLOSE; the number is free at SERVER_CHANNEL_CLOSED. Later data of the peer is dropped. */
err_t server_channel_close(struct server *server, channel_id channel, int64_t now_ms,
                           struct buf *out);
/* For a session channel: sends text (as far as the window goes), EOF, exit-status and CLOSE. */
err_t server_channel_end(struct server *server, channel_id channel, span_t text, uint32_t status,
                         int64_t now_ms, struct buf *out);

/* A keepalive@openssh.com global request that wants a reply, after authentication (an invariant).
 * Any message of the peer that comes after it is an answer. */
err_t server_ping(struct server *server, int64_t now_ms, struct buf *out);
bool server_ping_answered(const struct server *server);

void server_disconnect(struct server *server, enum disconnect_reason reason, const char *text,
                       struct buf *out);

#endif
