/*
 * The gate's listening sockets: opened by the master, or inherited: from systemd ($LISTEN_FDS,
 * sd_listen_fds(3)), or, in the same way, from the gate that hands over.
 */
#ifndef POSTERN_GATE_LISTEN_H
#define POSTERN_GATE_LISTEN_H

#include <sys/socket.h>

#include "base/err.h"

struct listen_address {
    struct sockaddr_storage address;
    socklen_t len;
};

/* "0.0.0.0:22", "[::]:22": an address and a port that is not 0. ERR_MALFORMED. */
err_t listen_parse(const char *text, struct listen_address *out);
bool listen_equal(const struct listen_address *a, const struct listen_address *b);

/* A bound, listening, non-blocking socket. [::] is IPv6 alone. The fault says what to do. */
err_t listen_open(const struct listen_address *address, const char *text, int *out,
                  struct fault *fault);

enum { LISTEN_FIRST_FD = 3, LISTEN_INHERITED_MAX = 32 };
/* Sockets that were handed to this process; nobody else's, and once. */
struct listen_inherited {
    int fds[LISTEN_INHERITED_MAX]; /* -1: taken */
    struct listen_address addresses[LISTEN_INHERITED_MAX];
    size_t count;
};
/* Reads and removes $LISTEN_FDS and $LISTEN_PID. What is no listening stream socket is closed. */
void listen_inherit(struct listen_inherited *out);
/* The socket of that address, which is the caller's then; -1 when there is none. */
int listen_take(struct listen_inherited *inherited, const struct listen_address *address);
/* Closes what nobody took, and says so. */
void listen_inherited_done(struct listen_inherited *inherited);

#endif
