/* What the files of the server share. */
#ifndef POSTERN_TRANSPORT_SERVER_INTERNAL_H
#define POSTERN_TRANSPORT_SERVER_INTERNAL_H

#include "base/secret.h"
#include "transport/channel.h"
#include "transport/server.h"
#include "transport/userauth.h"

enum server_state {
    SERVER_SERVICE_DUE, /* zero: the peer must ask for ssh-userauth first */
    SERVER_AUTHENTICATING,
    SERVER_ANSWER_DUE, /* the driver's; nothing is read meanwhile */
    SERVER_AUTHENTICATED,
};
enum { SERVER_STATES_COUNT = SERVER_AUTHENTICATED + 1 };

/* Which answer besides a refusal the request allows that an answer is due to. */
enum auth_answer {
    ANSWER_FAILURE, /* zero: none */
    ANSWER_PK_OK,
    ANSWER_SUCCESS,
};

/* Of the request in hand there is all of it, of earlier ones nothing but that they were. */
struct server_auth {
    uint32_t requests, failures;
    enum auth_answer answer;
    bool costs_nothing; /* a refusal is not counted */
    const struct userauth_algorithm *algorithm;
    struct key *key;   /* owned, as the certificate; of a certificate: NULL */
    struct cert *cert; /* or NULL */
    secret_t password; /* of SERVER_AUTH_PASSWORD */
};

/* hostkeys-prove-00@openssh.com while signatures are due. */
struct server_prove {
    struct buf keys; /* what the peer asks about, a string each, … */
    span_t rest;     /* … of which these are still to be answered */
    struct buf data; /* what is being signed */
    struct buf answer;
    bool is_due;
};

struct server {
    struct transport *transport;
    const struct server_config *config;
    enum server_state state;
    bool is_closed;
    bool no_more_sessions;
    bool ping_due;
    uint32_t recheck; /* from this channel on, an exchange that ended gave room back */
    struct server_auth auth;
    struct server_prove *prove; /* or NULL */
    struct channel_table table;
};

/* A message that came in, and what comes of it. */
struct server_turn {
    span_t message;
    int64_t now_ms;
    struct buf *out;
    struct server_event *event; /* zeroed */
};
typedef err_t server_handler(struct server *server, struct server_turn *turn);

server_handler server_auth_on_service;
server_handler server_auth_on_request;
server_handler server_auth_on_late_request;
server_handler server_channel_on_open;
server_handler server_channel_on_message;
server_handler server_global_on_request;
server_handler server_global_on_reply;

void server_auth_forget(struct server_auth *auth);

/* After authentication: hostkeys-00@openssh.com. */
err_t server_global_send_host_keys(struct server *server, int64_t now_ms, struct buf *out);
/* The next signature that hostkeys-prove needs. */
err_t server_global_next_proof(struct server *server, struct server_event *event);
err_t server_global_signed(struct server *server, span_t signature, int64_t now_ms,
                           struct buf *out);
void server_global_forget(struct server *server);

#endif
