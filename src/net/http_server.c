#include "net/http_server.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "net/http_connection.h"
#include "net/tls.h"

enum {
    ACCEPTS_COUNT = 64, /* in a row, before other connections get their turn */
    SWEEP_MS = 1000,
    EVICTION_TRIES_COUNT = 8,
};

static unsigned peer_bucket(const struct inet_address *address) {
    uint64_t high;
    memcpy(&high, address->bytes, sizeof high);
    /* The golden ratio's bits (Knuth's multiplicative hashing); a client that fills one bucket
     * makes accepting a little slower and nothing else, since entries are bounded. */
    return (unsigned)((high * 0x9e3779b97f4a7c15U) >> 54) % HTTP_PEER_BUCKETS_COUNT;
}

static struct http_peer *find_peer(struct http_server *server, const struct inet_address *source) {
    struct inet_address key = *source;
    if (key.family_bits == 128) {
        memset(key.bytes + 8, 0, 8);
    }
    struct http_peer **bucket = &server->peers[peer_bucket(&key)];
    for (struct http_peer *peer = *bucket; peer != NULL; peer = peer->next) {
        if (memcmp(&peer->address, &key, sizeof key) == 0) {
            return peer;
        }
    }
    struct http_peer *peer = calloc(1, sizeof *peer);
    if (peer != NULL) {
        peer->address = key;
        peer->next = *bucket;
        *bucket = peer;
    }
    return peer;
}

static void forget_peer(struct http_server *server, struct http_peer *peer) {
    struct http_peer **link = &server->peers[peer_bucket(&peer->address)];
    while (*link != peer) {
        link = &(*link)->next;
    }
    *link = peer->next;
    free(peer);
}

void server_release_peer(struct http_server *server, struct http_peer *peer) {
    peer->connection_count--;
    if (peer->connection_count == 0) {
        forget_peer(server, peer);
    }
}

static struct http_request *longest_idle(const struct http_server *server) {
    struct http_request *found = NULL;
    for (struct http_request *conn = server->connections; conn != NULL; conn = conn->next) {
        if (connection_is_idle(conn) && (found == NULL || conn->idle_order < found->idle_order)) {
            found = conn;
        }
    }
    return found;
}

/*
 * Closes the connection that has waited longest for a request to begin, so that a few clients
 * cannot keep all others out by doing nothing. Those with a request under way stay, held ones too.
 * False when there is none to close.
 */
static bool evict_idle(struct http_server *server) {
    for (int i = 0; i < EVICTION_TRIES_COUNT; i++) {
        struct http_request *conn = longest_idle(server);
        if (conn == NULL) {
            return false;
        }
        if (connection_has_news(conn)) {
            connection_begin_idle(conn); /* its turn is yet to come */
            continue;
        }
        server->counts.idle_evicted++;
        stream_shutdown(&conn->stream);
        connection_close(conn);
        return true;
    }
    return false;
}

static bool may_connect(struct http_server *server, struct http_peer *peer) {
    if (peer->connection_count >= server->config.connections_per_address_max) {
        return false;
    }
    if (server->counts.connections_open < server->config.connections_max) {
        return true;
    }
    peer->connection_count++; /* else the end of its last connection would free it */
    bool evicted = evict_idle(server);
    peer->connection_count--;
    return evicted;
}

static void admit(struct http_server *server, int fd, const struct sockaddr *from) {
    struct inet_address source;
    struct http_peer *peer = NULL;
    if (!failed(inet_address_from_sockaddr(from, &source))) {
        peer = find_peer(server, &source);
    }
    if (peer == NULL || !may_connect(server, peer)) {
        server->counts.connections_refused++;
        (void)close(fd);
    } else if (failed(connection_open(server, fd, &source, peer))) {
        server->counts.connections_refused++;
    }
    if (peer != NULL && peer->connection_count == 0) {
        forget_peer(server, peer);
    }
}

static void on_listener(evutil_socket_t listener, short what, void *context) {
    (void)what;
    struct http_server *server = context;
    for (int i = 0; i < ACCEPTS_COUNT; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(server, fd, (const struct sockaddr *)&from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The listener stays readable; without a pause the loop would spin. */
            (void)event_del(&server->listener);
            server->listener_paused = true;
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_sweep(void *context) {
    struct http_server *server = context;
    int64_t now_ms = clock_monotonic_ms();
    for (struct http_request *conn = server->connections, *next; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->deadline_ms <= now_ms) {
            connection_expire(conn);
        }
    }
    if (server->listener_paused && server->listener_fd >= 0) {
        server->listener_paused = event_add(&server->listener, NULL) != 0;
    }
}

static err_t resolve(const struct http_server_config *config, struct addrinfo **out,
                     struct fault *fault) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", config->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    int failure = getaddrinfo(config->address, port, &hints, out);
    if (failure != 0) {
        return fault_set(fault, ERR_MALFORMED, "listen", "\"%s\" is not an address to listen on",
                         config->address);
    }
    return OK;
}

static void free_addresses(struct addrinfo **addresses) {
    if (*addresses != NULL) {
        freeaddrinfo(*addresses);
    }
}

/* Accepted sockets inherit these options. */
static void set_options(int fd, int family) {
    static const int on = 1;
    static const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
}

static err_t listen_on(const struct http_server_config *config, int *out, uint16_t *port,
                       struct fault *fault) {
    struct addrinfo *address CLEANUP(free_addresses) = NULL;
    TRY(resolve(config, &address, fault));
    int fd CLEANUP(fd_closep) =
        socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    set_options(fd, address->ai_family);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        err_t err = errno == EADDRINUSE ? FAIL(ERR_BUSY) : err_from_errno(errno);
        return fault_set(fault, err.code, "listen", "cannot listen on %s port %u: %s",
                         config->address, config->port, strerror(errno));
    }
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    *out = fd;
    fd = -1;
    return OK;
}

static err_t copy_text(const char *from, char **out) {
    *out = from == NULL ? NULL : strdup(from);
    return from != NULL && *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

static void set_defaults(struct http_server_config *config) {
    if (config->connections_max == 0) {
        config->connections_max = LIMIT_HTTP_CONNECTIONS_COUNT;
    }
    if (config->connections_per_address_max == 0) {
        config->connections_per_address_max = LIMIT_HTTP_CONNECTIONS_PER_ADDRESS_COUNT;
    }
    if (config->request_deadline_ms == 0) {
        config->request_deadline_ms = LIMIT_HTTP_REQUEST_S * 1000;
    }
    if (config->idle_ms == 0) {
        config->idle_ms = LIMIT_HTTP_IDLE_S * 1000;
    }
    if (config->answer_ms == 0) {
        config->answer_ms = LIMIT_HTTP_ANSWER_S * 1000;
    }
    if (config->answer_bytes_per_s == 0) {
        config->answer_bytes_per_s = LIMIT_HTTP_ANSWER_BYTES_PER_S;
    }
    if (config->linger_ms == 0) {
        config->linger_ms = LIMIT_HTTP_LINGER_S * 1000;
    }
}

/* One timer looks after every deadline, a quarter of the shortest apart at most. */
static int sweep_ms(const struct http_server_config *config) {
    int shortest = config->request_deadline_ms < config->idle_ms ? config->request_deadline_ms
                                                                 : config->idle_ms;
    int quarter = shortest / 4 > 0 ? shortest / 4 : 1;
    return quarter < SWEEP_MS ? quarter : SWEEP_MS;
}

static void http_server_freep(struct http_server **server) { http_server_free(*server); }

err_t http_server_start(struct loop *loop, const struct http_server_config *config,
                        void (*handler)(void *context, struct http_request *request), void *context,
                        struct http_server **out, struct fault *fault) {
    struct http_server *server CLEANUP(http_server_freep) = calloc(1, sizeof *server);
    if (server == NULL) {
        return FAIL(ERR_MEMORY);
    }
    server->loop = loop;
    server->listener_fd = -1;
    server->handler = handler;
    server->context = context;
    server->config = *config;
    set_defaults(&server->config);
    buf_init(&server->scratch, LIMIT_HTTP_ANSWER_BYTES + LIMIT_HTTP_HEADERS_BYTES);
    TRY(copy_text(config->tls_cert_file, &server->tls_cert_file));
    TRY(copy_text(config->tls_key_file, &server->tls_key_file));
    if (server->tls_cert_file != NULL) {
        TRY(tls_server_context(server->tls_cert_file, server->tls_key_file, &server->tls, fault));
    }
    TRY(timer_start(loop, 0, sweep_ms(&server->config), on_sweep, server, &server->sweep));
    if (config->listener > 0) {
        server->listener_fd = config->listener;
    } else {
        TRY(listen_on(config, &server->listener_fd, &server->port, fault));
    }
    if (event_assign(&server->listener, loop_event_base(loop), server->listener_fd,
                     EV_READ | EV_PERSIST, on_listener, server) != 0 ||
        event_add(&server->listener, NULL) != 0) {
        (void)close(server->listener_fd);
        server->listener_fd = -1;
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(server);
    return OK;
}

uint16_t http_server_port(const struct http_server *server) { return server->port; }

err_t http_server_reload_tls(struct http_server *server, struct fault *fault) {
    if (server->tls == NULL) {
        return OK;
    }
    SSL_CTX *tls;
    TRY(tls_server_context(server->tls_cert_file, server->tls_key_file, &tls, fault));
    SSL_CTX_free(server->tls); /* open connections keep theirs */
    server->tls = tls;
    return OK;
}

static void stop_listening(struct http_server *server) {
    if (server->listener_fd >= 0) {
        (void)event_del(&server->listener);
        (void)close(server->listener_fd);
        server->listener_fd = -1;
    }
}

void http_server_drain(struct http_server *server) {
    stop_listening(server);
    for (struct http_request *conn = server->connections, *next; conn != NULL; conn = next) {
        next = conn->next;
        connection_close_idle(conn);
    }
}

size_t http_server_busy(const struct http_server *server) { return server->busy; }

struct http_server_counts http_server_count(const struct http_server *server) {
    return server->counts;
}

void server_release_object(struct http_server *server) {
    server->objects--;
    if (server->freed && server->objects == 0) {
        free(server);
    }
}

void http_server_free(struct http_server *server) {
    if (server == NULL) {
        return;
    }
    stop_listening(server);
    timer_stop(server->sweep);
    /* Counts as an object, so that the last connection does not free the server under us. */
    server->objects++;
    while (server->connections != NULL) {
        connection_close(server->connections);
    }
    SSL_CTX_free(server->tls);
    buf_done(&server->scratch);
    free(server->tls_cert_file);
    free(server->tls_key_file);
    server->freed = true;
    server_release_object(server);
}
