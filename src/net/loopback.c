#include "net/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/local_peer.h"

enum { REQUEST_BYTES_MAX = 16 * 1024, REQUEST_MS = 5000, BACKLOG = 8 };

struct loopback {
    int listener;
    int asker; /* -1: nobody waits for an answer */
    char url[LOOPBACK_URL_CHARS];
    const char *lead_path, *lead_url; /* NULL: nowhere */
};

static err_t listen_at(const struct sockaddr *address, socklen_t len, int *out) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    const int on = 1; /* connections of a listener before it may still be fading away */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, len) != 0 || listen(fd, BACKLOG) != 0) {
        err_t err = err_from_errno(errno);
        (void)close(fd);
        return err;
    }
    *out = fd;
    return OK;
}

static err_t port_of(int fd, uint16_t *out) {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } bound;
    socklen_t len = sizeof bound;
    if (getsockname(fd, &bound.any, &len) != 0) {
        return err_from_errno(errno);
    }
    *out = ntohs(bound.any.sa_family == AF_INET ? bound.four.sin_port : bound.six.sin6_port);
    return OK;
}

err_t loopback_open(uint16_t port, struct loopback **out) {
    const struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct loopback *loopback CLEANUP(loopback_closep) = calloc(1, sizeof *loopback);
    if (loopback == NULL) {
        return FAIL(ERR_MEMORY);
    }
    loopback->listener = loopback->asker = -1;
    const char *host = "127.0.0.1";
    err_t err = listen_at((const struct sockaddr *)&four, sizeof four, &loopback->listener);
    if (failed(err) && port == 0) {
        host = "[::1]";
        err = listen_at((const struct sockaddr *)&six, sizeof six, &loopback->listener);
    }
    TRY(err);
    TRY(port_of(loopback->listener, &port));
    (void)snprintf(loopback->url, sizeof loopback->url, "http://%s:%u", host, port);
    *out = TAKE(loopback);
    return OK;
}

static void close_asker(struct loopback *loopback) {
    if (loopback->asker >= 0) {
        (void)close(loopback->asker);
        loopback->asker = -1;
    }
}

void loopback_close(struct loopback *loopback) {
    if (loopback != NULL) {
        close_asker(loopback);
        if (loopback->listener >= 0) {
            (void)close(loopback->listener);
        }
        free(loopback);
    }
}

void loopback_closep(struct loopback **loopback) { loopback_close(*loopback); }
const char *loopback_url(const struct loopback *loopback) { return loopback->url; }

void loopback_lead(struct loopback *loopback, const char *path, const char *url) {
    loopback->lead_path = path;
    loopback->lead_url = url;
}

static err_t await(int fd, short events, int64_t deadline_ms) {
    struct pollfd entry = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline_ms - clock_monotonic_ms();
        if (left <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        int ready = poll(&entry, 1, left > 60 * 1000 ? 60 * 1000 : (int)left);
        if (ready > 0) {
            return OK;
        }
        if (ready < 0 && errno != EINTR) {
            return err_from_errno(errno);
        }
    }
}

/* Until the empty line that ends the header. */
static err_t read_request(int fd, int64_t deadline_ms, struct buf *out) {
    while (out->len < 4 || memmem(out->data, out->len, "\r\n\r\n", 4) == NULL) {
        uint8_t bytes[2048];
        TRY(await(fd, POLLIN, deadline_ms));
        ssize_t count = recv(fd, bytes, sizeof bytes, 0);
        if (count == 0) {
            return FAIL(ERR_CLOSED);
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return err_from_errno(errno);
        }
        TRY(buf_add(out, span_of(bytes, count > 0 ? (size_t)count : 0)));
    }
    return OK;
}

/* "GET /back?code=… HTTP/1.1" */
static bool take_query(const struct buf *request, const char *path, span_t *query) {
    span_t rest = buf_span(request);
    span_t line = span_until(&rest, '\r');
    span_t method = span_until(&line, ' '), target = span_until(&line, ' ');
    span_t at = span_until(&target, '?');
    *query = target;
    return span_equal_str(method, "GET") && span_equal_str(at, path) && line.len >= 5 &&
           memcmp(line.data, "HTTP/", 5) == 0;
}

static void answer(struct loopback *loopback, const char *status, const char *field,
                   const char *value, const char *html) {
    struct buf text CLEANUP(buf_done) = BUF(REQUEST_BYTES_MAX);
    err_t err = buf_add_format(
        &text,
        "HTTP/1.1 %s\r\n%s: %s\r\nContent-Length: %zu\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s",
        status, field, value, strlen(html), html);
    if (loopback->asker >= 0 && !failed(err)) {
        /* It fits what a socket takes at once; who does not read it does not miss it. */
        (void)send(loopback->asker, text.data, text.len, MSG_NOSIGNAL);
        (void)shutdown(loopback->asker, SHUT_WR);
    }
    close_asker(loopback);
}

void loopback_answer(struct loopback *loopback, unsigned status, const char *html) {
    answer(loopback, status == 200 ? "200 OK" : "404 Not Found", "Content-Type",
           "text/html; charset=utf-8", html);
}

/* The next one that may ask, or ERR_TIMEOUT. */
static err_t accept_asker(struct loopback *loopback, int64_t deadline_ms) {
    for (;;) {
        close_asker(loopback);
        TRY(await(loopback->listener, POLLIN, deadline_ms));
        loopback->asker = accept4(loopback->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (loopback->asker >= 0 && local_peer_may_enter(loopback->asker)) {
            return OK;
        }
    }
}

err_t loopback_wait(struct loopback *loopback, const char *path, int64_t deadline_ms,
                    struct buf *query) {
    for (;;) {
        TRY(accept_asker(loopback, deadline_ms));
        struct buf request CLEANUP(buf_done) = BUF(REQUEST_BYTES_MAX);
        int64_t until = clock_monotonic_ms() + REQUEST_MS;
        span_t found;
        if (failed(read_request(loopback->asker, until < deadline_ms ? until : deadline_ms,
                                &request))) {
            continue;
        }
        if (take_query(&request, path, &found)) {
            return buf_add(query, found);
        }
        if (loopback->lead_path != NULL && take_query(&request, loopback->lead_path, &found)) {
            answer(loopback, "303 See Other", "Location", loopback->lead_url, "");
        } else {
            loopback_answer(loopback, 404, "<!doctype html><title>Nothing here</title>");
        }
    }
}
