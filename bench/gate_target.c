/*
 * What stands behind the jump host in a benchmark: gate_target ADDRESS. Prints the port that it
 * listens on, and serves until its standard input ends. Whoever connects sends requests of nine
 * bytes, one after the other:
 *
 *   'S' uint64   sink: that many bytes follow; answered by one byte at their end
 *   'D' uint64   source: that many bytes are sent
 *   'E' uint64   echo: that many bytes follow and are sent back
 *
 * The number is never 0.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES = 9, BLOCK_BYTES = 128 * 1024, ECHO_BYTES = 64 * 1024, EVENTS_COUNT = 256 };

struct caller {
    int fd;
    uint8_t request[REQUEST_BYTES];
    size_t request_len;
    uint64_t left;   /* of the request under way */
    uint8_t *unsent; /* of an echo that its reader does not take */
    size_t unsent_len;
};

static uint8_t block[BLOCK_BYTES];

static _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

static void caller_free(struct caller *caller) {
    (void)close(caller->fd);
    free(caller->unsent);
    free(caller);
}

/* As many bytes as the socket takes now; -1 when the caller is gone. */
static ssize_t put(int fd, const uint8_t *data, size_t len) {
    ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static bool get_request(struct caller *caller) {
    ssize_t got = recv(caller->fd, caller->request + caller->request_len,
                       REQUEST_BYTES - caller->request_len, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    caller->request_len += (size_t)got;
    if (caller->request_len == REQUEST_BYTES) {
        uint64_t count;
        memcpy(&count, caller->request + 1, sizeof count);
        caller->left = be64toh(count);
    }
    return true;
}

static bool sink(struct caller *caller) {
    size_t wanted = caller->left < BLOCK_BYTES ? (size_t)caller->left : BLOCK_BYTES;
    ssize_t got = recv(caller->fd, block, wanted, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    caller->left -= (uint64_t)got;
    return caller->left > 0 || put(caller->fd, block, 1) == 1;
}

static bool source(struct caller *caller) {
    ssize_t sent = 1;
    while (caller->left > 0 && sent > 0) {
        sent =
            put(caller->fd, block, caller->left < BLOCK_BYTES ? (size_t)caller->left : BLOCK_BYTES);
        caller->left -= sent > 0 ? (uint64_t)sent : 0;
    }
    return sent >= 0;
}

static bool echo_unsent(struct caller *caller) {
    ssize_t sent = put(caller->fd, caller->unsent, caller->unsent_len);
    if (sent < 0) {
        return false;
    }
    caller->left -= (uint64_t)sent;
    caller->unsent_len -= (size_t)sent;
    memmove(caller->unsent, caller->unsent + sent, caller->unsent_len);
    if (caller->unsent_len == 0) {
        free(caller->unsent);
        caller->unsent = NULL;
    }
    return true;
}

static bool echo(struct caller *caller) {
    if (caller->unsent != NULL) {
        return echo_unsent(caller);
    }
    size_t wanted = caller->left < ECHO_BYTES ? (size_t)caller->left : ECHO_BYTES;
    ssize_t got = recv(caller->fd, block, wanted, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    ssize_t sent = put(caller->fd, block, (size_t)got);
    if (sent < 0) {
        return false;
    }
    caller->left -= (uint64_t)sent;
    if (sent < got) {
        caller->unsent_len = (size_t)(got - sent);
        caller->unsent = malloc(caller->unsent_len);
        if (caller->unsent == NULL) {
            die("malloc");
        }
        memcpy(caller->unsent, block + sent, caller->unsent_len);
    }
    return true;
}

static bool serve(struct caller *caller) {
    if (caller->request_len < REQUEST_BYTES) {
        return get_request(caller);
    }
    char what = (char)caller->request[0];
    bool lives = what == 'S' ? sink(caller) : what == 'D' ? source(caller) : echo(caller);
    if (lives && caller->left == 0) {
        caller->request_len = 0;
    }
    return lives;
}

/* Waits for room where there is something to send, else for input. */
static void watch(int epoll, struct caller *caller, int operation) {
    bool sends = caller->unsent != NULL ||
                 (caller->request_len == REQUEST_BYTES && caller->request[0] == 'D');
    struct epoll_event event = {.events = sends ? EPOLLOUT : EPOLLIN, .data.ptr = caller};
    if (epoll_ctl(epoll, operation, caller->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void accept_all(int epoll, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        int on = 1;
        struct caller *caller = calloc(1, sizeof *caller);
        if (caller == NULL) {
            die("calloc");
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        caller->fd = fd;
        watch(epoll, caller, EPOLL_CTL_ADD);
    }
}

static int listen_at(const char *address) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 65535) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        die(address);
    }
    (void)printf("%u\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    int listener = listen_at(argc == 2 ? argv[1] : "");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event on_input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_listener) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &on_input) != 0) {
        die("epoll_ctl");
    }
    for (;;) {
        struct epoll_event events[EVENTS_COUNT];
        int count = epoll_wait(epoll, events, EVENTS_COUNT, -1);
        for (int i = 0; i < count; i++) {
            struct caller *caller = events[i].data.ptr;
            if (caller == NULL) {
                return 0;
            }
            if (events[i].data.ptr == &listener) {
                accept_all(epoll, listener);
            } else if (serve(caller)) {
                watch(epoll, caller, EPOLL_CTL_MOD);
            } else {
                caller_free(caller);
            }
        }
    }
}
