#include "net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool is_passing(int errnum) {
    /* The connection was over before we took it (accept(2), "Error handling"); the next may do. */
    return errnum == EINTR || errnum == ECONNABORTED || errnum == EPROTO || errnum == ENETDOWN ||
           errnum == ENETUNREACH || errnum == EHOSTUNREACH || errnum == EHOSTDOWN;
}

static void set_flag(int fd, int level, int name) {
    int on = 1;
    (void)setsockopt(fd, level, name, &on, sizeof on); /* only costs time where it fails */
}

err_t socket_accept(int listener, int *fd, struct inet_address *from, uint16_t *port) {
    union endpoint peer;
    int got;
    do {
        socklen_t len = sizeof peer;
        got = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (got < 0 && is_passing(errno));
    if (got < 0) {
        return errno == EAGAIN ? FAIL(ERR_NOT_FOUND) : err_from_errno(errno);
    }
    struct inet_address address;
    err_t err = inet_address_from_sockaddr(&peer.any, &address);
    if (failed(err)) {
        (void)close(got);
        return err;
    }
    set_flag(got, IPPROTO_TCP, TCP_NODELAY);
    *fd = got;
    *from = address;
    *port = ntohs(peer.any.sa_family == AF_INET ? peer.v4.sin_port : peer.v6.sin6_port);
    return OK;
}

static socklen_t endpoint_make(const struct inet_address *address, uint16_t port,
                               union endpoint *out) {
    *out = (union endpoint){0};
    if (address->family_bits == 32) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        memcpy(&out->v4.sin_addr, address->bytes, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    memcpy(&out->v6.sin6_addr, address->bytes, 16);
    return sizeof out->v6;
}

err_t socket_connect(const struct inet_address *to, uint16_t port, int *fd) {
    union endpoint peer;
    socklen_t len = endpoint_make(to, port, &peer);
    int made = socket(peer.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) {
        return err_from_errno(errno);
    }
    set_flag(made, IPPROTO_TCP, TCP_NODELAY);
    set_flag(made, SOL_SOCKET, SO_KEEPALIVE); /* finds hosts that went without a word */
    if (connect(made, &peer.any, len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int why = errno;
        (void)close(made);
        return FAIL(why == ECONNREFUSED ? ERR_REFUSED : ERR_CONNECT);
    }
    *fd = made;
    return OK;
}

err_t socket_connected(int fd) {
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0) {
        return err_from_errno(errno);
    }
    switch (why) {
    case 0:
        return OK;
    case ECONNREFUSED:
        return FAIL(ERR_REFUSED);
    case ETIMEDOUT:
        return FAIL(ERR_TIMEOUT);
    default:
        return FAIL(ERR_CONNECT);
    }
}

static enum socket_result result_of(ssize_t moved, size_t *count) {
    *count = moved > 0 ? (size_t)moved : 0;
    if (moved > 0) {
        return SOCKET_DONE;
    }
    if (moved == 0) {
        return SOCKET_ENDED;
    }
    return errno == EAGAIN ? SOCKET_BLOCKED : SOCKET_BROKEN;
}

enum socket_result socket_read(int fd, void *to, size_t len, size_t *count) {
    ssize_t got;
    do {
        got = recv(fd, to, len, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return result_of(got, count);
}

enum socket_result socket_write(int fd, const struct iovec *parts, size_t part_count,
                                size_t *count) {
    /* The kernel only reads them, but the type of writev(2) does not say so. */
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = part_count};
    ssize_t put;
    do {
        put = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (put < 0 && errno == EINTR);
    return result_of(put, count);
}

void socket_finish(int fd) { (void)shutdown(fd, SHUT_WR); }

void socket_quickack(int fd) { set_flag(fd, IPPROTO_TCP, TCP_QUICKACK); }
