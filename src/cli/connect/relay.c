#include "cli/connect/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "net/local_peer.h"
#include "net/socket.h"

enum { LANE_BYTES = 64 * 1024, CLIENT = 0, TARGET = 1 };

/* Bytes on their way from one side to the other: read when empty, written until empty. */
struct lane {
    uint8_t *data;
    size_t at, len;
    bool ended; /* the sender sends no more, and the receiver has been told when finished is set */
    bool finished;
};

struct pair {
    struct pair *next;
    int fds[2];           /* CLIENT, TARGET; the latter -1 while it waits */
    struct lane lanes[2]; /* from that side */
    size_t polled[2];     /* where among the polled; SIZE_MAX: not at all */
};

struct relay {
    const struct local_port *port;
    struct sockaddr_un target;
    struct pair *pairs;
    size_t count;
    bool open;
    bool told; /* that strangers come */
    size_t listener_polled;
};

_Static_assert(RELAY_FDS_MAX == 2 + 2 * LIMIT_TUNNEL_CONNECTIONS_COUNT, "two for each");

err_t relay_new(const struct local_port *port, const char *target_path, struct relay **out) {
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        return FAIL(ERR_MEMORY);
    }
    relay->port = port;
    relay->target.sun_family = AF_UNIX;
    if (strlen(target_path) >= sizeof relay->target.sun_path) {
        free(relay);
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(relay->target.sun_path, target_path, strlen(target_path) + 1);
    *out = relay;
    return OK;
}

static void pair_free(struct pair *pair) {
    for (int side = 0; side < 2; side++) {
        fd_closep(&pair->fds[side]);
        free(pair->lanes[side].data);
    }
    free(pair);
}

void relay_freep(struct relay **relay) {
    while (*relay != NULL && (*relay)->pairs != NULL) {
        struct pair *pair = (*relay)->pairs;
        (*relay)->pairs = pair->next;
        pair_free(pair);
    }
    free(*relay);
    *relay = NULL;
}

void relay_set_open(struct relay *relay, bool open) { relay->open = open; }

size_t relay_connections(const struct relay *relay) { return relay->count; }

/* --- connections come --- */

static void add_pair(struct relay *relay, int fd) {
    struct pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL) {
        (void)close(fd);
        return;
    }
    *pair = (struct pair){.next = relay->pairs, .fds = {fd, -1}, .polled = {SIZE_MAX, SIZE_MAX}};
    relay->pairs = pair;
    relay->count++;
}

static void turn_away(struct relay *relay, int fd) {
    (void)close(fd);
    if (!relay->told) {
        relay->told = true;
        print_warning("another user of this machine connects to the local port %u, and is turned "
                      "away",
                      (unsigned)relay->port->port);
    }
}

static void accept_some(struct relay *relay, int listener) {
    int fd = -1;
    struct inet_address from;
    uint16_t port = 0;
    while (listener >= 0 && relay->count < LIMIT_TUNNEL_CONNECTIONS_COUNT &&
           !failed(socket_accept(listener, &fd, &from, &port))) {
        if (local_peer_may_enter(fd)) {
            add_pair(relay, fd);
        } else {
            turn_away(relay, fd);
        }
    }
}

/* False: it is to be closed. A full queue is tried again at the next turn. */
static bool reach_target(const struct relay *relay, struct pair *pair) {
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const void *target = &relay->target;
    if (connect(fd, target, sizeof relay->target) != 0) {
        return errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED || errno == ENOENT;
    }
    for (int side = 0; side < 2; side++) {
        pair->lanes[side].data = malloc(LANE_BYTES);
        if (pair->lanes[side].data == NULL) {
            return false;
        }
    }
    pair->fds[TARGET] = fd;
    fd = -1;
    return true;
}

/* --- bytes go --- */

static bool fill(int fd, struct lane *lane) {
    switch (socket_read(fd, lane->data, LANE_BYTES, &lane->len)) {
    case SOCKET_DONE:
        lane->at = 0;
        return true;
    case SOCKET_ENDED:
        lane->ended = true;
        return true;
    case SOCKET_BLOCKED:
        return true;
    case SOCKET_BROKEN:
    default:
        return false;
    }
}

static bool drain(int fd, struct lane *lane) {
    struct iovec rest = {lane->data + lane->at, lane->len - lane->at};
    size_t written = 0;
    enum socket_result result = socket_write(fd, &rest, 1, &written);
    lane->at += written;
    if (lane->at == lane->len) {
        lane->at = lane->len = 0;
    }
    return result == SOCKET_DONE || result == SOCKET_BLOCKED;
}

/* From one side to the other, as far as it goes; false: the connection is over. */
static bool move(struct pair *pair, int side) {
    struct lane *lane = &pair->lanes[side];
    if (lane->len == 0 && !lane->ended && !fill(pair->fds[side], lane)) {
        return false;
    }
    if (lane->len > 0 && !drain(pair->fds[!side], lane)) {
        return false;
    }
    if (lane->ended && !lane->finished && lane->len == 0) {
        socket_finish(pair->fds[!side]);
        lane->finished = true;
    }
    return true;
}

static bool is_over(const struct pair *pair) {
    return pair->lanes[CLIENT].finished && pair->lanes[TARGET].finished;
}

/* --- the owner's turns --- */

static short events_of(const struct pair *pair, int side) {
    const struct lane *from = &pair->lanes[side], *to = &pair->lanes[!side];
    bool reads = pair->fds[TARGET] >= 0 && from->len == 0 && !from->ended;
    return (short)((reads ? POLLIN : 0) | (to->len > 0 ? POLLOUT : 0));
}

/* Whoever has nothing to say is not polled once it has ended: its POLLHUP would never stop. */
static bool is_polled(const struct pair *pair, int side) {
    return pair->fds[side] >= 0 && (pair->fds[TARGET] < 0 || events_of(pair, side) != 0);
}

void relay_prepare(struct relay *relay, struct pollfd *fds, size_t *count) {
    size_t used = *count;
    bool room = relay->count < LIMIT_TUNNEL_CONNECTIONS_COUNT;
    relay->listener_polled = used;
    for (size_t i = 0; i < COUNT_OF(relay->port->fds); i++) {
        fds[used++] = (struct pollfd){.fd = room ? relay->port->fds[i] : -1, .events = POLLIN};
    }
    for (struct pair *pair = relay->pairs; pair != NULL; pair = pair->next) {
        for (int side = 0; side < 2; side++) {
            pair->polled[side] = SIZE_MAX;
            if (is_polled(pair, side)) {
                pair->polled[side] = used;
                fds[used++] =
                    (struct pollfd){.fd = pair->fds[side], .events = events_of(pair, side)};
            }
        }
    }
    *count = used;
}

static short said_of(const struct pair *pair, int side, const struct pollfd *fds, size_t count) {
    return pair->polled[side] < count ? fds[pair->polled[side]].revents : 0;
}

static bool serve(struct relay *relay, struct pair *pair, const struct pollfd *fds, size_t count) {
    short client = said_of(pair, CLIENT, fds, count), target = said_of(pair, TARGET, fds, count);
    if (pair->fds[TARGET] < 0) {
        if ((client & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            return false;
        }
        return !relay->open || reach_target(relay, pair);
    }
    if ((client | target) == 0) {
        return true;
    }
    return move(pair, CLIENT) && move(pair, TARGET) && !is_over(pair);
}

void relay_work(struct relay *relay, const struct pollfd *fds, size_t count) {
    for (size_t i = 0; i < COUNT_OF(relay->port->fds); i++) {
        if (relay->listener_polled + i < count && fds[relay->listener_polled + i].revents != 0) {
            accept_some(relay, relay->port->fds[i]);
        }
    }
    for (struct pair **at = &relay->pairs; *at != NULL;) {
        struct pair *pair = *at;
        if (serve(relay, pair, fds, count)) {
            at = &pair->next;
            continue;
        }
        *at = pair->next;
        relay->count--;
        pair_free(pair);
    }
}
