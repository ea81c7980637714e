#include "cli/connect/local_port.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { TRIES = 16, BACKLOG = 128 };

union loopback {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static err_t listen_at(const union loopback *at, socklen_t len, int *out) {
    int fd CLEANUP(fd_closep) =
        socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) {
        return err_from_errno(errno);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* of one that has ended */
    if (at->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, &at->any, len) != 0 || listen(fd, BACKLOG) != 0) {
        return errno == EADDRINUSE ? FAIL(ERR_BUSY) : err_from_errno(errno);
    }
    *out = fd;
    fd = -1;
    return OK;
}

static err_t open_v4(uint16_t port, int *fd, uint16_t *got) {
    union loopback at = {.v4 = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at.v4;
    TRY(listen_at(&at, sizeof at.v4, fd));
    if (getsockname(*fd, &at.any, &len) != 0) {
        return err_from_errno(errno);
    }
    *got = ntohs(at.v4.sin_port);
    return OK;
}

/* "localhost" is ::1 first for most programs: what another has there would answer in our place. */
static err_t open_v6(uint16_t port, int *fd) {
    union loopback at = {.v6 = {.sin6_family = AF_INET6,
                                .sin6_port = htons(port),
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    err_t err = listen_at(&at, sizeof at.v6, fd);
    return err.code == ERR_BUSY ? err : OK; /* else this machine has no IPv6 */
}

static err_t open_both(uint16_t port, struct local_port *out) {
    struct local_port local CLEANUP(local_port_close) = LOCAL_PORT_NONE;
    TRY(open_v4(port, &local.fds[0], &local.port));
    TRY(open_v6(local.port, &local.fds[1]));
    *out = local;
    local = LOCAL_PORT_NONE;
    return OK;
}

err_t local_port_open(uint16_t port, struct local_port *out) {
    err_t err = open_both(port, out);
    for (int i = 1; port == 0 && err.code == ERR_BUSY && i < TRIES; i++) {
        err = open_both(port, out); /* one that is free for IPv4 may be taken for IPv6 */
    }
    return err;
}

void local_port_close(struct local_port *port) {
    fd_closep(&port->fds[0]);
    fd_closep(&port->fds[1]);
}

err_t local_port_parse(struct trouble *trouble, const char *what, const char *text, uint16_t *out) {
    uint64_t port = 0;
    if (failed(u64_parse(span_str(text), &port)) || port > UINT16_MAX) {
        return trouble_set(trouble, EXIT_USAGE, "%s is a number up to 65535, not %s", what, text);
    }
    *out = (uint16_t)port;
    return OK;
}
