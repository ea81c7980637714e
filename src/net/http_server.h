/*
 * An HTTPS server: HTTP/1.1 over libevent's loop and OpenSSL.
 *
 * Everything is bounded: connections (in all and per address; IPv6 by its /64), the handshake and
 * each whole request by one deadline, headers, body, header fields, query parameters, and the time
 * a client may take to read an answer. When there is no room for another connection, the one that
 * has been idle for the longest gives way. What two readers could understand differently is refused
 * with 400 (see http_message.h). Every handled request ends in exactly one http_answer*(), also
 * when its client has gone.
 *
 * It is not libevent's evhttp: that answers 400, 413 and 417 by itself in HTML, reads bare LF,
 * folded lines and "Content-Length: +5", and cannot bound a request's time or tell who connects
 * before a request is whole.
 */
#ifndef POSTERN_NET_HTTP_SERVER_H
#define POSTERN_NET_HTTP_SERVER_H

#include "base/err.h"
#include "base/inet.h"
#include "base/span.h"
#include "net/loop.h"

enum http_method { HTTP_GET = 1, HTTP_POST, HTTP_PUT, HTTP_DELETE };

struct http_server;
struct http_request; /* valid until answered, also when the client has gone (answers are then
                        dropped) */

struct http_server_config {
    const char *address; /* "127.0.0.1", "::" */
    uint16_t port;       /* 0: any free one, see http_server_port() */
    int listener;        /* > 0: a socket that listens already; the server's from its start on */
    const char *tls_cert_file; /* PEM chain; NULL: plain HTTP, for tests and behind a local proxy */
    const char *tls_key_file;
    size_t connections_max;             /* 0: LIMIT_HTTP_CONNECTIONS_COUNT */
    size_t connections_per_address_max; /* 0: LIMIT_HTTP_CONNECTIONS_PER_ADDRESS_COUNT */
    int request_deadline_ms;            /* 0: LIMIT_HTTP_REQUEST_S */
    int idle_ms;                        /* between requests; 0: LIMIT_HTTP_IDLE_S */
    int answer_ms;                      /* to take an answer; 0: LIMIT_HTTP_ANSWER_S */
    int answer_bytes_per_s; /* a second more for each; 0: LIMIT_HTTP_ANSWER_BYTES_PER_S */
    int linger_ms;          /* 0: LIMIT_HTTP_LINGER_S */
};

/* handler is called on the loop's thread for every well-formed request of a known method. */
err_t http_server_start(struct loop *loop, const struct http_server_config *config,
                        void (*handler)(void *context, struct http_request *request), void *context,
                        struct http_server **out, struct fault *fault);
uint16_t http_server_port(const struct http_server *server);
/* Re-reads the certificate files for new connections; the old ones stay on failure. */
err_t http_server_reload_tls(struct http_server *server, struct fault *fault);
/* Stops accepting; open requests may finish. http_server_busy() tells how many are still
 * unanswered. */
void http_server_drain(struct http_server *server);
size_t http_server_busy(const struct http_server *server);
/* Closes every connection; requests not answered yet are told that their client has gone, and must
 * still be answered. Not from the handler; takes NULL. */
void http_server_free(struct http_server *server);

struct http_server_counts {
    uint64_t connections_open, connections_total, connections_refused, requests_total,
        requests_malformed, deadline_closed, idle_evicted;
};
struct http_server_counts http_server_count(const struct http_server *server);

/* The request: borrowed until it is answered. */
enum http_method http_request_method(const struct http_request *request);
const char *
http_request_path(const struct http_request *request); /* decoded, without the query; never NULL */
/* Of the query string, decoded; NULL when absent, "" when empty. A parameter given twice makes the
 * request malformed. */
const char *http_request_query(const struct http_request *request, const char *name);
const char *http_request_header(const struct http_request *request,
                                const char *name); /* NULL when absent */
span_t http_request_body(const struct http_request *request);
const struct inet_address *http_request_source(const struct http_request *request);
/* Appends what tls_binding() says of its connection; ERR_NOT_FOUND without TLS. From the handler.
 */
err_t http_request_tls_binding(const struct http_request *request, struct buf *out);

/*
 * Called once if the client goes away before the answer (or has finished sending, which cannot be
 * told apart); the request must still be answered, to nobody. May answer itself.
 */
void http_request_on_gone(struct http_request *request,
                          void (*gone)(void *context, struct http_request *request), void *context);

/*
 * An extra header for the answer ("Retry-After", "WWW-Authenticate"). Cache-Control,
 * Content-Security-Policy, Referrer-Policy, X-Content-Type-Options and X-Frame-Options replace
 * their defaults. ERR_MALFORMED for what is no field; ERR_TOO_LONG.
 */
err_t http_answer_header(struct http_request *request, const char *name, const char *value);
/* Sends and ends the request. Cache-Control: no-store and the security headers are always there.
 * content_type may be NULL when the body is empty. */
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 span_t body);
/* An RFC 9457 problem document: type about:blank, the status and its title, a stable code, and a
 * message a person can act on (any text). The server's own refusals have this form too. */
void http_answer_problem(struct http_request *request, unsigned status, const char *code,
                         const char *message);

#endif
