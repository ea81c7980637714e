/*
 * TCP sockets that never block: accepting, connecting, reading and writing. No call here raises
 * SIGPIPE, and none is ended by a signal.
 */
#ifndef POSTERN_NET_SOCKET_H
#define POSTERN_NET_SOCKET_H

#include <sys/uio.h>

#include "base/inet.h"

enum socket_result {
    SOCKET_DONE,    /* some bytes were moved */
    SOCKET_BLOCKED, /* wait */
    SOCKET_ENDED,   /* reading: the peer sends no more */
    SOCKET_BROKEN,  /* reset, timed out, … */
};

/*
 * The next connection, non-blocking and without Nagle's delay, or ERR_NOT_FOUND when nobody waits.
 * Any other error, such as too many open files, will be there again at the next call: wait a while.
 */
err_t socket_accept(int listener, int *fd, struct inet_address *from, uint16_t *port);
/* Begins to connect. Writable is when it is over; socket_connected() tells how it went. */
err_t socket_connect(const struct inet_address *to, uint16_t port, int *fd);
/* ERR_REFUSED, ERR_TIMEOUT, or ERR_CONNECT. */
err_t socket_connected(int fd);

/* *count > 0 with SOCKET_DONE, else 0. */
enum socket_result socket_read(int fd, void *to, size_t len, size_t *count);
enum socket_result socket_write(int fd, const struct iovec *parts, size_t part_count,
                                size_t *count);
/* Says that no more will be sent. */
void socket_finish(int fd);

/* Acknowledge at once what has come. The kernel forgets it with the next packets, so it is asked
 * for again after each read, as long as an exchange of small messages goes on: a peer with Nagle's
 * algorithm on would else wait 40 ms for us at every step. */
void socket_quickack(int fd);

#endif
