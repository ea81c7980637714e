#include "gate_session.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

enum {
    WINDOW_BYTES = 2 * 1024 * 1024, /* as OpenSSH's client, … */
    ADJUST_BYTES = 96 * 1024,       /* … which tells more window after three packets */
    READ_BYTES = 256 * 1024,
    REQUEST_BYTES = 9,
};

int64_t session_now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void session_end(struct session *session, const char *why) {
    if (session->fd < 0) {
        return;
    }
    (void)close(session->fd);
    session->fd = -1;
    session->open = false;
    session->ended_us = session_now_us();
    (void)snprintf(session->why, sizeof session->why, "%s", why);
    client_freep(&session->client);
    buf_done(&session->in);
    buf_done(&session->out);
}

static void watch(struct session *session, int operation) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    if (session->out.len > 0 || session->client == NULL) {
        event.events |= EPOLLOUT;
    }
    INVARIANT(epoll_ctl(session->load->epoll, operation, session->fd, &event) == 0);
}

/* Sends what the load's buffer has, behind what this session's still has. */
static err_t flush(struct session *session) {
    struct buf *fresh = &session->load->out;
    bool waited = session->out.len > 0;
    if (waited) {
        TRY(buf_add(&session->out, buf_span(fresh)));
        buf_clear(fresh);
    }
    struct buf *from = waited ? &session->out : fresh;
    if (from->len > 0) {
        ssize_t sent = send(session->fd, from->data, from->len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return FAIL(ERR_CLOSED);
        }
        size_t done = sent > 0 ? (size_t)sent : 0;
        if (waited) {
            memmove(from->data, from->data + done, from->len - done);
            from->len -= done;
        } else {
            TRY(buf_add(&session->out, span_of(from->data + done, from->len - done)));
        }
    }
    buf_clear(fresh);
    if ((session->out.len > 0) != waited) {
        watch(session, EPOLL_CTL_MOD);
    }
    if (session->out.len == 0) {
        buf_done(&session->out);
    }
    return OK;
}

/* Sends as much of a goal's bytes as channel and socket take. */
static err_t pump(struct session *session) {
    static const uint8_t bytes[LIMIT_PACKET_DATA_BYTES];
    while (session->to_send > 0 && session->out.len == 0) {
        size_t len = client_channel_room(session->client, session->channel);
        len = len < sizeof bytes ? len : sizeof bytes;
        len = len < session->to_send ? len : (size_t)session->to_send;
        if (len == 0) {
            break;
        }
        TRY(client_channel_data(session->client, session->channel, span_of(bytes, len),
                                clock_monotonic_ms(), &session->load->out));
        session->to_send -= len;
        TRY(flush(session));
    }
    return OK;
}

static err_t on_data(struct session *session, size_t len, int64_t now_ms) {
    session->owed += (uint32_t)len;
    session->to_get -= len < session->to_get ? len : session->to_get;
    if (session->owed >= ADJUST_BYTES) {
        TRY(client_channel_take(session->client, session->channel, session->owed, now_ms,
                                &session->load->out));
        session->owed = 0;
    }
    session->reached |= session->goal == GOAL_MOVE && session->to_get == 0;
    return OK;
}

static err_t on_event(struct session *session, const struct client_event *event, int64_t now_ms) {
    struct load *load = session->load;
    switch (event->type) {
    case CLIENT_HOST_KEY:
        return client_trust(session->client, true, now_ms, &load->out);
    case CLIENT_AUTHENTICATED:
        session->reached = session->goal == GOAL_ENTER;
        if (session->reached) {
            return OK;
        }
        return client_open_direct(session->client, load->target_host, load->target_port,
                                  WINDOW_BYTES, now_ms, &load->out, &session->channel);
    case CLIENT_OPENED:
        session->open = true;
        session->reached = session->goal == GOAL_OPEN;
        return session->goal == GOAL_LOGIN
                   ? client_channel_close(session->client, session->channel, now_ms, &load->out)
                   : OK;
    case CLIENT_CHANNEL_DATA:
        return on_data(session, event->data.len, now_ms);
    case CLIENT_CHANNEL_CLOSED:
        session->reached = session->goal == GOAL_LOGIN;
        return session->reached ? OK : FAIL(ERR_CLOSED);
    case CLIENT_REPLY:
        session->reached |= session->goal == GOAL_ANSWER;
        return OK;
    case CLIENT_REFUSED:
    case CLIENT_OPEN_FAILED:
    case CLIENT_DISCONNECTED:
        (void)snprintf(session->why, sizeof session->why, "%.*s", (int)event->data.len,
                       (const char *)event->data.data);
        return FAIL(ERR_REFUSED);
    default:
        return OK;
    }
}

/* Everything complete that is in the load's input buffer; what is left is kept for later. */
static err_t consume(struct session *session) {
    struct load *load = session->load;
    int64_t now_ms = clock_monotonic_ms();
    struct transport_input input = {.data = load->in.data, .len = load->in.len};
    struct client_event event;
    do {
        event = (struct client_event){0};
        TRY(client_next(session->client, &input, now_ms, &load->out, &event));
        TRY(on_event(session, &event, now_ms));
    } while (event.type != CLIENT_NEEDS_INPUT);
    TRY(buf_add(&session->in, span_of(input.data, input.len)));
    return flush(session);
}

/* Reads behind what was left of the last time. */
static err_t receive(struct session *session) {
    struct buf *in = &session->load->in;
    uint8_t *free_bytes;
    buf_clear(in);
    TRY(buf_add(in, buf_span(&session->in)));
    buf_done(&session->in);
    size_t kept = in->len;
    TRY(buf_extend(in, READ_BYTES, &free_bytes));
    ssize_t got = recv(session->fd, free_bytes, READ_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        return FAIL(ERR_CLOSED);
    }
    in->len = kept + (got > 0 ? (size_t)got : 0);
    return consume(session);
}

static err_t greet(struct session *session) {
    struct load *load = session->load;
    int error = 0;
    socklen_t len = sizeof error;
    (void)getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        return FAIL(ERR_CONNECT);
    }
    TRY(client_new(&session->config, clock_monotonic_ms(), &load->out, &session->client));
    watch(session, EPOLL_CTL_MOD);
    return flush(session);
}

static void settle(struct session *session, err_t err) {
    buf_clear(&session->load->out);
    if (failed(err)) {
        char said[sizeof session->why];
        memcpy(said, session->why, sizeof said);
        session_end(session, said[0] != '\0' ? said : err_text(err));
        session->reached |= session->goal == GOAL_END;
    }
}

static err_t step(struct session *session, uint32_t events) {
    if (session->client == NULL) {
        return greet(session);
    }
    if ((events & EPOLLOUT) != 0) {
        TRY(flush(session));
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        TRY(receive(session));
    }
    return pump(session);
}

void session_serve(struct session *session, uint32_t events) {
    if (session_lives(session)) {
        settle(session, step(session, events));
    }
}

void session_begin(struct session *session, struct load *load, size_t number, enum goal goal) {
    int on = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000101U + (uint32_t)(number % load->sources));
    *session = (struct session){.load = load, .goal = goal, .began_us = session_now_us()};
    buf_init(&session->in, SIZE_MAX);
    buf_init(&session->out, SIZE_MAX);
    session->config = load->client;
    session->config.cert = load->certs[number % load->cert_count];
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (session->fd < 0) {
        (void)snprintf(session->why, sizeof session->why, "socket: %s", strerror(errno));
        return;
    }
    (void)setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(session->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(session->fd, (struct sockaddr *)&source, sizeof source) != 0 ||
        (connect(session->fd, (struct sockaddr *)&load->gate, sizeof load->gate) != 0 &&
         errno != EINPROGRESS)) {
        session_end(session, strerror(errno));
        return;
    }
    watch(session, EPOLL_CTL_ADD);
}

static void set_goal(struct session *session, enum goal goal) {
    session->goal = goal;
    session->reached = false;
    session->began_us = session_now_us();
}

void session_expect_end(struct session *session) {
    set_goal(session, GOAL_END);
    session->reached = !session_lives(session);
}

static err_t move(struct session *session, char what, uint64_t bytes) {
    uint8_t request[REQUEST_BYTES] = {(uint8_t)what};
    uint64_t count = htobe64(bytes);
    memcpy(request + 1, &count, sizeof count);
    session->to_send = what == 'D' ? 0 : bytes;
    session->to_get = what == 'S' ? 1 : bytes;
    TRY(client_channel_data(session->client, session->channel, span_of(request, sizeof request),
                            clock_monotonic_ms(), &session->load->out));
    TRY(flush(session));
    return pump(session);
}

void session_move(struct session *session, char what, uint64_t bytes) {
    set_goal(session, GOAL_MOVE);
    settle(session, move(session, what, bytes));
}

static err_t ping(struct session *session) {
    TRY(client_global_request(session->client, "keepalive@openssh.com", true, span_of(NULL, 0),
                              clock_monotonic_ms(), &session->load->out));
    return flush(session);
}

void session_ping(struct session *session) {
    set_goal(session, GOAL_ANSWER);
    settle(session, ping(session));
}
