#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

struct agent_client {
    int fd; /* -1 after a failure: where one answer ends and the next begins is not known then */
    int timeout_ms;
    struct buf answer;
};

static bool is_trusted(int fd) {
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static err_t connect_to(const char *path, int *out) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    /* Bounds connect() too, which waits for an agent whose backlog is full. */
    struct timeval timeout = {.tv_sec = AGENT_TIMEOUT_MS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0) {
        return err_from_errno(errno);
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return FAIL(ERR_CONNECT);
    }
    TRY(is_trusted(fd) ? OK : FAIL(ERR_PERMISSION));
    *out = fd;
    fd = -1;
    return OK;
}

err_t agent_client_open(const char *path, struct agent_client **out) {
    if (path == NULL) {
        path = getenv("SSH_AUTH_SOCK");
    }
    if (path == NULL || path[0] == '\0') {
        return FAIL(ERR_NOT_FOUND);
    }
    int fd CLEANUP(fd_closep) = -1;
    TRY(connect_to(path, &fd));
    struct agent_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return FAIL(ERR_MEMORY);
    }
    client->fd = fd;
    fd = -1;
    client->timeout_ms = AGENT_TIMEOUT_MS;
    buf_init(&client->answer, LIMIT_AGENT_MESSAGE_BYTES);
    *out = client;
    return OK;
}

void agent_client_close(struct agent_client *client) {
    if (client != NULL) {
        fd_closep(&client->fd);
        buf_done(&client->answer);
        free(client);
    }
}

void agent_client_closep(struct agent_client **client) {
    agent_client_close(*client);
    *client = NULL;
}

void agent_client_set_timeout(struct agent_client *client, int timeout_ms) {
    client->timeout_ms = timeout_ms;
}

/* Until the socket is ready or the deadline has passed: a socket timeout alone would start anew
 * with every byte that trickles in. */
static err_t wait_for(int fd, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        struct pollfd ready = {.fd = fd, .events = events};
        int count = poll(&ready, 1, (int)left_ms);
        if (count > 0) {
            return OK;
        }
        if (count < 0 && errno != EINTR) {
            return err_from_errno(errno);
        }
    }
}

static bool is_transient(int errnum) {
    return errnum == EINTR || errnum == EAGAIN || errnum == EWOULDBLOCK;
}

static err_t send_all(int fd, span_t bytes, int64_t deadline_ms) {
    while (bytes.len > 0) {
        TRY(wait_for(fd, POLLOUT, deadline_ms));
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes = span_of(bytes.data + sent, bytes.len - (size_t)sent);
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return FAIL(ERR_CLOSED);
        } else if (!is_transient(errno)) {
            return err_from_errno(errno);
        }
    }
    return OK;
}

static err_t receive_all(int fd, uint8_t *to, size_t len, int64_t deadline_ms) {
    while (len > 0) {
        TRY(wait_for(fd, POLLIN, deadline_ms));
        ssize_t got = recv(fd, to, len, MSG_DONTWAIT);
        if (got > 0) {
            to += got;
            len -= (size_t)got;
        } else if (got == 0 || errno == ECONNRESET) {
            return FAIL(ERR_CLOSED);
        } else if (!is_transient(errno)) {
            return err_from_errno(errno);
        }
    }
    return OK;
}

static err_t exchange(struct agent_client *client, span_t request) {
    int64_t deadline_ms = clock_monotonic_ms() + client->timeout_ms;
    uint8_t head[4];
    uint32_t len;
    uint8_t *body;
    TRY(send_all(client->fd, request, deadline_ms));
    TRY(receive_all(client->fd, head, sizeof(head), deadline_ms));
    span_t from = span_of(head, sizeof(head));
    TRY(wire_get_u32(&from, &len));
    if (len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    /* Beyond LIMIT_AGENT_MESSAGE_BYTES: ERR_TOO_LONG. */
    TRY(buf_extend(&client->answer, len, &body));
    return receive_all(client->fd, body, len, deadline_ms);
}

err_t agent_client_call(struct agent_client *client, const struct buf *request, span_t *message) {
    if (client->fd < 0) {
        return FAIL(ERR_CLOSED);
    }
    buf_clear(&client->answer);
    err_t err = exchange(client, buf_span(request));
    if (failed(err)) {
        fd_closep(&client->fd);
        return err;
    }
    *message = buf_span(&client->answer);
    return OK;
}
