/*
 * A server on a loop in a thread of its own, and blocking clients that send it whatever a test
 * likes. Assertions are the test thread's; the server's thread only records.
 */
#ifndef POSTERN_TESTS_UNIT_HTTP_RIG_H
#define POSTERN_TESTS_UNIT_HTTP_RIG_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "net/http_server.h"
#include "net/tls.h"

enum { RIG_HELD_COUNT = 600, RIG_BIG_BYTES = 8 * 1024 * 1024 };

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct watch *calls;
    int calls_fd;
    pthread_t thread;
    uint16_t port;
    char dir[64];
    char cert_file[96];
    char key_file[96];
    struct tls_made made;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void (*call)(struct rig *rig);
    size_t held_count, gone_count;
    struct http_request *held[RIG_HELD_COUNT];
    struct http_server_counts counts;
    uint64_t requests_before_hold; /* the last "/hold" and all that came before it */
    size_t busy;
    int64_t deadline_ms;
    err_t err;
    uint8_t *big;
};

static inline void rig_note(struct rig *rig, size_t *what) {
    (void)pthread_mutex_lock(&rig->mutex);
    (*what)++;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->mutex);
}

/* Waits until *what is at least `count`. */
static inline void rig_await(struct rig *rig, const size_t *what, size_t count) {
    (void)pthread_mutex_lock(&rig->mutex);
    while (*what < count) {
        (void)pthread_cond_wait(&rig->changed, &rig->mutex);
    }
    (void)pthread_mutex_unlock(&rig->mutex);
}

static inline void rig_on_gone(void *context, struct http_request *request) {
    (void)request;
    struct rig *rig = context;
    rig_note(rig, &rig->gone_count);
}

/* With header fields of `bytes` in all, as two lines; 507 when they do not fit. */
static inline void rig_answer_fields(struct http_request *request, size_t bytes) {
    static const char around[] = "X-1: \r\nX-2: b\r\n";
    size_t len = bytes - (sizeof around - 1);
    char *value CLEANUP(freep) = calloc(1, len + 1);
    INVARIANT(value != NULL);
    memset(value, 'a', len);
    INVARIANT(!failed(http_answer_header(request, "X-2", "b")));
    err_t err = http_answer_header(request, "X-1", value);
    INVARIANT(!failed(err) || err.code == ERR_TOO_LONG);
    http_answer(request, failed(err) ? 507 : 200, NULL, span_of(NULL, 0));
}

static inline const char *or_dash(const char *text) { return text == NULL ? "-" : text; }

/* "/hold" keeps the request, "/big" answers much, anything else is told back to the client. */
static inline void rig_handle(void *context, struct http_request *request) {
    struct rig *rig = context;
    const char *path = http_request_path(request);
    if (strcmp(path, "/hold") == 0) {
        INVARIANT(rig->held_count < RIG_HELD_COUNT);
        http_request_on_gone(request, rig_on_gone, rig);
        rig->held[rig->held_count] = request;
        rig->requests_before_hold = http_server_count(rig->server).requests_total;
        rig_note(rig, &rig->held_count);
        return;
    }
    if (strcmp(path, "/big") == 0) {
        http_answer(request, 200, "application/octet-stream", span_of(rig->big, RIG_BIG_BYTES));
        return;
    }
    if (strcmp(path, "/nothing") == 0) {
        http_answer(request, 204, NULL, span_of(NULL, 0));
        return;
    }
    if (strcmp(path, "/page") == 0) {
        INVARIANT(failed(http_answer_header(request, "X-Bad", "a\r\nSet-Cookie: b")));
        INVARIANT(failed(http_answer_header(request, "X Bad", "a")));
        INVARIANT(!failed(http_answer_header(request, "Cache-Control", "max-age=60")));
        http_answer(request, 200, "text/html", SPAN_LITERAL("<p>"));
        return;
    }
    if (strcmp(path, "/fields") == 0) {
        rig_answer_fields(request, strtoul(http_request_query(request, "bytes"), NULL, 10));
        return;
    }
    if (strcmp(path, "/problem") == 0) {
        http_answer_problem(request, 429, "slow_down", "say \"please\"\n");
        return;
    }
    char head[512];
    span_t body = http_request_body(request);
    char source[INET_CHARS];
    inet_address_print(http_request_source(request), source);
    int len =
        snprintf(head, sizeof head, "%d %s q=%s x=%s from=%s %zu:", http_request_method(request),
                 path, or_dash(http_request_query(request, "q")),
                 or_dash(http_request_header(request, "X-Test")), source, body.len);
    struct buf answer CLEANUP(buf_done) = BUF(1024 * 1024);
    INVARIANT(!failed(buf_add(&answer, span_of(head, (size_t)len))));
    INVARIANT(!failed(buf_add(&answer, body)));
    http_answer(request, 200, "text/plain", buf_span(&answer));
}

static inline void rig_on_call(void *context, bool readable, bool writable) {
    (void)readable;
    (void)writable;
    struct rig *rig = context;
    uint64_t count;
    INVARIANT(read(rig->calls_fd, &count, sizeof count) == (ssize_t)sizeof count);
    rig->call(rig);
    (void)pthread_mutex_lock(&rig->mutex);
    rig->call = NULL;
    (void)pthread_cond_broadcast(&rig->changed);
    (void)pthread_mutex_unlock(&rig->mutex);
}

/* Runs call() on the server's thread and waits for it. */
static inline void rig_call(struct rig *rig, void (*call)(struct rig *rig)) {
    uint64_t one = 1;
    (void)pthread_mutex_lock(&rig->mutex);
    rig->call = call;
    INVARIANT(write(rig->calls_fd, &one, sizeof one) == (ssize_t)sizeof one);
    while (rig->call != NULL) {
        (void)pthread_cond_wait(&rig->changed, &rig->mutex);
    }
    (void)pthread_mutex_unlock(&rig->mutex);
}

static inline void rig_do_count(struct rig *rig) {
    rig->counts = http_server_count(rig->server);
    rig->busy = http_server_busy(rig->server);
}

static inline struct http_server_counts rig_counts(struct rig *rig) {
    rig_call(rig, rig_do_count);
    return rig->counts;
}

static inline void rig_do_answer(struct rig *rig) {
    for (size_t i = 0; i < rig->held_count; i++) {
        http_answer(rig->held[i], 200, "text/plain", SPAN_LITERAL("held"));
    }
    rig->held_count = 0;
}

static inline void *rig_main(void *context) {
    struct rig *rig = context;
    rig->err = loop_run(rig->loop);
    return NULL;
}

static inline void rig_write_tls(struct rig *rig) {
    assert_ok(file_replace(rig->cert_file, buf_span(&rig->made.chain_pem), 0600, 0));
    assert_ok(file_replace(rig->key_file, buf_span(&rig->made.key_pem), 0600, 0));
}

static const char *const rig_names[] = {"localhost", "127.0.0.1", "::1"};

/* name_count 0: plain HTTP. */
static inline void rig_start_as(struct rig *rig, struct http_server_config config,
                                const char *const *names, size_t name_count, int64_t now) {
    *rig = (struct rig){.dir = "/tmp/posterngate-http-XXXXXX"};
    (void)pthread_mutex_init(&rig->mutex, NULL);
    (void)pthread_cond_init(&rig->changed, NULL);
    rig->big = malloc(RIG_BIG_BYTES);
    assert_non_null(rig->big);
    memset(rig->big, 'b', RIG_BIG_BYTES);
    assert_non_null(mkdtemp(rig->dir));
    (void)snprintf(rig->cert_file, sizeof rig->cert_file, "%s/cert", rig->dir);
    (void)snprintf(rig->key_file, sizeof rig->key_file, "%s/key", rig->dir);
    if (name_count > 0) {
        assert_ok(tls_make("Test CA", names, name_count, now, &rig->made));
        rig_write_tls(rig);
        config.tls_cert_file = rig->cert_file;
        config.tls_key_file = rig->key_file;
    }
    config.address = config.address == NULL ? "127.0.0.1" : config.address;
    assert_ok(loop_new(&rig->loop));
    struct fault fault = {0};
    assert_ok(http_server_start(rig->loop, &config, rig_handle, rig, &rig->server, &fault));
    rig->port = http_server_port(rig->server);
    rig->calls_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(rig->calls_fd >= 0);
    assert_ok(watch_start(rig->loop, rig->calls_fd, true, false, rig_on_call, rig, &rig->calls));
    assert_int_equal(pthread_create(&rig->thread, NULL, rig_main, rig), 0);
}

static inline void rig_start(struct rig *rig, struct http_server_config config, bool tls) {
    rig_start_as(rig, config, rig_names, tls ? COUNT_OF(rig_names) : 0, clock_now_s());
}

static inline void rig_do_stop(struct rig *rig) {
    http_server_free(rig->server);
    rig_do_answer(rig); /* what is still held must be answered, to nobody */
    loop_stop(rig->loop);
}

static inline void rig_stop(struct rig *rig) {
    rig_call(rig, rig_do_stop);
    assert_int_equal(pthread_join(rig->thread, NULL), 0);
    assert_ok(rig->err);
    watch_stop(rig->calls);
    (void)close(rig->calls_fd);
    loop_free(rig->loop);
    free(rig->big);
    if (rig->made.chain_pem.len_max > 0) {
        tls_made_done(&rig->made);
    }
    (void)unlink(rig->cert_file);
    (void)unlink(rig->key_file);
    (void)rmdir(rig->dir);
    (void)pthread_cond_destroy(&rig->changed);
    (void)pthread_mutex_destroy(&rig->mutex);
}

/* A client. */
struct wire {
    int fd;
    SSL *ssl;
};

static inline struct wire wire_open(const struct rig *rig) {
    struct wire wire = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(rig->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(wire.fd, (struct sockaddr *)&to, sizeof to), 0);
    return wire;
}

static inline struct wire wire_open_tls(const struct rig *rig) {
    struct wire wire = wire_open(rig);
    char *pem = NULL;
    SSL_CTX *context = NULL;
    assert_ok(buf_to_str(&rig->made.ca_pem, &pem));
    assert_ok(tls_client_context(pem, &context, NULL));
    free(pem);
    wire.ssl = SSL_new(context);
    SSL_CTX_free(context);
    assert_non_null(wire.ssl);
    assert_int_equal(SSL_set_fd(wire.ssl, wire.fd), 1);
    assert_int_equal(SSL_set1_host(wire.ssl, "localhost"), 1);
    assert_int_equal(SSL_connect(wire.ssl), 1);
    return wire;
}

static inline void wire_close(struct wire *wire) {
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    (void)close(wire->fd);
}

static inline void wire_send(struct wire *wire, const char *text, size_t len) {
    while (len > 0) {
        ssize_t sent = wire->ssl != NULL ? SSL_write(wire->ssl, text, (int)len)
                                         : send(wire->fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server has closed; what it said is still to be read */
        }
        text += sent;
        len -= (size_t)sent;
    }
}

static inline void wire_say(struct wire *wire, const char *text) {
    wire_send(wire, text, strlen(text));
}

static inline ssize_t wire_read(struct wire *wire, void *out, size_t size) {
    return wire->ssl != NULL ? SSL_read(wire->ssl, out, (int)size) : recv(wire->fd, out, size, 0);
}

/* Reads to the end, or until `stop` has come (NULL: only to the end). The text is NUL-terminated
 * and the caller's to free. */
static inline char *wire_hear(struct wire *wire, const char *stop) {
    size_t len = 0;
    size_t size = 1024 * 1024;
    char *text = malloc(size);
    assert_non_null(text);
    text[0] = '\0';
    while (stop == NULL || strstr(text, stop) == NULL) {
        if (size - len < 2) {
            size *= 2;
            text = realloc(text, size);
            assert_non_null(text);
        }
        ssize_t got = wire_read(wire, text + len, stop == NULL ? size - len - 1 : 1);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        text[len] = '\0';
    }
    return text;
}

static inline unsigned status_of(const char *answer) {
    unsigned status = 0;
    (void)sscanf(answer, "HTTP/1.1 %u ", &status);
    return status;
}

#endif
