#include "net/job_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

static err_t connect_to(const char *path, int timeout_ms, int *out) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Bounds connect() too, which waits where many others do. */
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0) {
        return err_from_errno(errno);
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        return errno == ENOENT   ? FAIL(ERR_NOT_FOUND)
               : errno == EAGAIN ? FAIL(ERR_TIMEOUT)
                                 : FAIL(ERR_CONNECT);
    }
    *out = fd;
    fd = -1;
    return OK;
}

/* Appends what there is; *ended after the line feed. */
static err_t receive(int fd, int64_t deadline_ms, struct buf *answer, bool *ended) {
    struct pollfd watched = {fd, POLLIN, 0};
    int64_t left = deadline_ms - clock_monotonic_ms();
    uint8_t piece[4096];
    int ready = left <= 0 ? 0 : poll(&watched, 1, (int)left);
    if (ready == 0) {
        return FAIL(ERR_TIMEOUT);
    }
    ssize_t len = ready < 0 ? -1 : recv(fd, piece, sizeof piece, MSG_DONTWAIT);
    if (len < 0 && (errno == EINTR || errno == EAGAIN)) {
        return OK;
    }
    if (len <= 0) {
        return FAIL(ERR_CLOSED);
    }
    *ended = piece[len - 1] == '\n';
    return buf_add(answer, span_of(piece, (size_t)len - *ended));
}

err_t job_socket_ask(const char *path, span_t question, int timeout_ms, struct buf *answer) {
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_JOB_QUESTION_BYTES);
    int fd CLEANUP(fd_closep) = -1;
    TRY(buf_add(&line, question));
    TRY(buf_add_byte(&line, '\n'));
    TRY(connect_to(path, timeout_ms, &fd));
    /* It fits into the socket. One that is full up shuts the door at once, with its answer before:
     * so a failure to send is no reason not to read. */
    ssize_t sent = send(fd, line.data, line.len, MSG_NOSIGNAL);
    bool ended = false;
    while (!ended) {
        err_t err = receive(fd, deadline_ms, answer, &ended);
        if (failed(err)) {
            return err.code == ERR_CLOSED && sent < 0 ? FAIL(ERR_CONNECT) : err;
        }
    }
    return OK;
}
