/*
 * One SSH client of a benchmark: logs in, opens a channel through the jump host to gate_target, and
 * does one thing at a time there. Any number of them live in one epoll loop; what they share is a
 * struct load.
 */
#ifndef POSTERN_BENCH_GATE_SESSION_H
#define POSTERN_BENCH_GATE_SESSION_H

#include <netinet/in.h>

#include "transport/client.h"

struct load {
    int epoll;
    struct sockaddr_in gate;
    unsigned sources; /* clients come from 127.0.1.1 up to so many addresses */
    const char *target_host;
    uint16_t target_port;
    struct client_config client; /* every session has a copy, with a certificate of its own */
    struct cert **certs;
    size_t cert_count;
    struct buf in, out; /* of the session that is served */
};

/* What a session is asked to do. */
enum goal {
    GOAL_NONE,
    GOAL_LOGIN,  /* log in, open the channel and close it */
    GOAL_OPEN,   /* log in and open the channel */
    GOAL_ENTER,  /* log in */
    GOAL_MOVE,   /* send and get bytes */
    GOAL_ANSWER, /* get the answer to a keep-alive */
    GOAL_END,    /* be cut off */
};

struct session {
    struct load *load;
    struct client_config config;
    int fd;                /* -1: it has ended */
    struct client *client; /* NULL until connected */
    channel_id channel;
    bool open;
    struct buf in, out; /* what was not consumed, and what was not taken */
    uint32_t owed;      /* bytes of window that the peer has used up */
    uint64_t to_send, to_get;
    enum goal goal;
    bool reached;
    int64_t began_us, ended_us; /* of the goal; of the session */
    char why[128];              /* … it ended */
};

int64_t session_now_us(void); /* monotonic */

/* Connects; the goal is GOAL_LOGIN, _OPEN or _ENTER. `number` chooses certificate and address. */
void session_begin(struct session *session, struct load *load, size_t number, enum goal goal);
/* 'S', 'D' or 'E' of gate_target.c, on a session that is open. */
void session_move(struct session *session, char what, uint64_t bytes);
void session_ping(struct session *session);
/* Reached once the other side has ended it, be it already. */
void session_expect_end(struct session *session);
/* After an event of its descriptor. The session may have ended or reached its goal. */
void session_serve(struct session *session, uint32_t events);
void session_end(struct session *session, const char *why);
static inline bool session_lives(const struct session *session) { return session->fd >= 0; }

#endif
