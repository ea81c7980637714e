#include "gate/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/text.h"

/* The parts of "ADDRESS:PORT" and "[ADDRESS]:PORT". */
static err_t split(const char *text, span_t *host, span_t *port) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return FAIL(ERR_MALFORMED);
    }
    *port = span_str(colon + 1);
    *host = span_of(text, (size_t)(colon - text));
    bool bracketed = text[0] == '[' && colon[-1] == ']' && host->len > 2;
    if (bracketed) {
        *host = span_of(text + 1, host->len - 2);
    }
    bool is_six = memchr(host->data, ':', host->len) != NULL;
    return bracketed == is_six ? OK : FAIL(ERR_MALFORMED);
}

err_t listen_parse(const char *text, struct listen_address *out) {
    span_t host, port_text;
    uint64_t port;
    char name[INET6_ADDRSTRLEN];
    struct listen_address address = {.len = 0};
    TRY(split(text, &host, &port_text));
    TRY(u64_parse(port_text, &port));
    if (port == 0 || port > UINT16_MAX || host.len >= sizeof name) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(name, host.data, host.len);
    name[host.len] = '\0';
    struct sockaddr_in *four = (struct sockaddr_in *)&address.address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address.address;
    if (inet_pton(AF_INET, name, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        address.len = sizeof *four;
    } else if (inet_pton(AF_INET6, name, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        address.len = sizeof *six;
    } else {
        return FAIL(ERR_MALFORMED);
    }
    *out = address;
    return OK;
}

bool listen_equal(const struct listen_address *a, const struct listen_address *b) {
    if (a->address.ss_family != b->address.ss_family) {
        return false;
    }
    if (a->address.ss_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)&a->address;
        const struct sockaddr_in *y = (const struct sockaddr_in *)&b->address;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)&a->address;
    const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)&b->address;
    return a->address.ss_family == AF_INET6 && x->sin6_port == y->sin6_port &&
           memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

static const char *advice(int errnum) {
    switch (errnum) {
    case EADDRINUSE:
        return ": another program listens there (sshd?)";
    case EACCES:
        return ": a port below 1024 needs root, or CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
        return ": this machine has no such address";
    default:
        return "";
    }
}

err_t listen_open(const struct listen_address *address, const char *text, int *out,
                  struct fault *fault) {
    const int on = 1;
    int family = address->address.ss_family;
    int fd CLEANUP(fd_closep) = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (family == AF_INET6) {
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        }
    }
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address->address, address->len) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        int errnum = errno;
        return fault_set(fault, errnum == EADDRINUSE ? ERR_BUSY : err_from_errno(errnum).code,
                         "listen", "cannot listen on %s: %s%s", text, strerror(errnum),
                         advice(errnum));
    }
    *out = fd;
    fd = -1;
    return OK;
}

static bool is_listener(int fd, struct listen_address *address) {
    int value = 0;
    socklen_t len = sizeof value;
    address->len = sizeof address->address;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value == 1 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) == 0 && value == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&address->address, &address->len) == 0;
}

static uint64_t number_of(const char *variable) {
    const char *text = getenv(variable);
    uint64_t number = 0;
    if (text != NULL && failed(u64_parse(span_str(text), &number))) {
        number = 0;
    }
    return number;
}

void listen_inherit(struct listen_inherited *out) {
    uint64_t count = number_of("LISTEN_FDS");
    bool ours = number_of("LISTEN_PID") == (uint64_t)getpid();
    *out = (struct listen_inherited){.count = 0};
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
    for (uint64_t i = 0; ours && i < count && i < LISTEN_INHERITED_MAX; i++) {
        int fd = LISTEN_FIRST_FD + (int)i;
        if (!is_listener(fd, &out->addresses[out->count])) {
            (void)close(fd);
            continue;
        }
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        out->fds[out->count++] = fd;
    }
}

int listen_take(struct listen_inherited *inherited, const struct listen_address *address) {
    for (size_t i = 0; i < inherited->count; i++) {
        if (inherited->fds[i] >= 0 && listen_equal(&inherited->addresses[i], address)) {
            int fd = inherited->fds[i];
            inherited->fds[i] = -1;
            return fd;
        }
    }
    return -1;
}

void listen_inherited_done(struct listen_inherited *inherited) {
    for (size_t i = 0; i < inherited->count; i++) {
        struct inet_address address;
        char text[INET_CHARS] = "?";
        if (inherited->fds[i] < 0) {
            continue;
        }
        if (!failed(inet_address_from_sockaddr(
                (const struct sockaddr *)&inherited->addresses[i].address, &address))) {
            inet_address_print(&address, text);
        }
        log_event(LOG_LEVEL_WARN, "inherited_socket_not_configured", "address", text, NULL);
        fd_closep(&inherited->fds[i]);
    }
}
