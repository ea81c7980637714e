#include "cli/doctor/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { VERSION_LINES_MAX = 32, LINE_BYTES_MAX = 1024 };

static enum probe_result result_of(int errnum) {
    switch (errnum) {
    case ECONNREFUSED:
        return PROBE_REFUSED;
    case ETIMEDOUT:
        return PROBE_NO_ANSWER;
    default:
        return PROBE_UNREACHABLE;
    }
}

static bool wait_for(int fd, short events, int64_t deadline_ms) {
    struct pollfd wait = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline_ms - clock_monotonic_ms();
        int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

static enum probe_result connect_to(const struct addrinfo *to, int64_t deadline_ms, int *out) {
    int fd CLEANUP(fd_closep) =
        socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int errnum = 0;
    socklen_t len = sizeof errnum;
    if (fd < 0) {
        return PROBE_UNREACHABLE;
    }
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        if (errno != EINPROGRESS) {
            return result_of(errno);
        }
        if (!wait_for(fd, POLLOUT, deadline_ms)) {
            return PROBE_NO_ANSWER;
        }
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len);
        if (errnum != 0) {
            return result_of(errnum);
        }
    }
    *out = fd;
    fd = -1;
    return PROBE_SSH;
}

/* RFC 4253 section 4.2: lines may come before the version. */
static enum probe_result read_version(int fd, int64_t deadline_ms, char said[PROBE_SAID_CHARS]) {
    char line[LINE_BYTES_MAX];
    size_t len = 0, lines = 0;
    for (;;) {
        char c = '\n';
        if (!wait_for(fd, POLLIN, deadline_ms)) {
            return lines == 0 && len == 0 ? PROBE_SILENT : PROBE_OTHER;
        }
        ssize_t got = read(fd, &c, 1);
        if (got == 1 && c != '\n' && len + 1 < sizeof line) {
            line[len] = c >= 0x20 && c < 0x7f ? c : '?';
            len += c == '\r' ? 0 : 1;
            continue;
        }
        line[len] = '\0';
        if (lines++ == 0 && len > 0) {
            (void)snprintf(said, PROBE_SAID_CHARS, "%.*s", PROBE_SAID_CHARS - 1, line);
        }
        if (strncmp(line, "SSH-2.0-", 8) == 0 || strncmp(line, "SSH-1.99-", 9) == 0) {
            (void)snprintf(said, PROBE_SAID_CHARS, "%.*s", PROBE_SAID_CHARS - 1, line);
            return PROBE_SSH;
        }
        if (got <= 0 || lines == VERSION_LINES_MAX || len + 1 == sizeof line) {
            return said[0] == '\0'                           ? PROBE_SILENT
                   : strncmp(said, "posterngate: ", 13) == 0 ? PROBE_TURNED_AWAY
                                                             : PROBE_OTHER;
        }
        len = 0;
    }
}

void probe_ssh(const char *host, const char *port, int timeout_ms, struct probe *out) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct probe probe = {.result = PROBE_NO_NAME};
    int fd CLEANUP(fd_closep) = -1;
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
            probe.result = connect_to(at, clock_monotonic_ms() + timeout_ms, &fd);
        }
        freeaddrinfo(found);
    }
    if (fd >= 0) {
        /* Both sides say who they are at once; what is no SSH server may wait for something. */
        static const char version[] = "SSH-2.0-postern-doctor\r\n";
        (void)send(fd, version, sizeof version - 1, MSG_NOSIGNAL);
        probe.result = read_version(fd, clock_monotonic_ms() + timeout_ms, probe.said);
    }
    *out = probe;
}

enum probe_master probe_control(const char *path, int timeout_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path || access(path, F_OK) != 0) {
        return MASTER_NONE;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        /* A full queue is a master that takes nobody any more. */
        return errno == EAGAIN ? MASTER_HUNG : MASTER_DEAD;
    }
    /* The master says hello first (OpenSSH PROTOCOL.mux). */
    uint8_t byte;
    bool hello = wait_for(fd, POLLIN, clock_monotonic_ms() + timeout_ms) && read(fd, &byte, 1) == 1;
    return hello ? MASTER_ALIVE : MASTER_HUNG;
}
