/*
 * A blocking HTTPS client for the command line and the host helper: sockets, poll() and OpenSSL
 * (loading libcurl alone costs a process nearly all the CPU that `postern list` may take). It keeps
 * its connection open between calls, and redirects are not followed: the status is the caller's.
 *
 * $https_proxy, $all_proxy and $no_proxy, in either case, are honoured by CONNECT.
 */
#ifndef POSTERN_NET_HTTP_CLIENT_H
#define POSTERN_NET_HTTP_CLIENT_H

#include "base/err.h"
#include "base/span.h"
#include "net/http_server.h"

struct http_client;

enum { HTTP_CLIENT_TIMEOUT_MS = 30 * 1000 };

struct http_client_config {
    const char *url;    /* "https://authority.example:8443"; a path is a prefix */
    const char *ca_pem; /* trust just these; NULL: the system's */
    const char
        *pinned_sha256; /* hex of the server certificate's SubjectPublicKeyInfo hash; NULL: none */
    int timeout_ms;     /* for a whole call; 0: HTTP_CLIENT_TIMEOUT_MS */
};

/* ERR_MALFORMED with a fault for a bad URL; http:// is refused except to a loopback address. */
err_t http_client_new(const struct http_client_config *config, struct http_client **out,
                      struct fault *fault);
void http_client_free(struct http_client *client);
void http_client_freep(struct http_client **client);
/* One header of every later request; value NULL removes it. Copied. Authorization is
 * wiped when freed. */
err_t http_client_set_header(struct http_client *client, const char *name, const char *value);

struct http_response {
    unsigned status;
    struct buf body; /* reused between calls */
    char content_type[64];
    int retry_after_s; /* 0 when not told */
    int64_t date;      /* by the server's clock; 0 when not told */
    /* What the server says will be asked for next on the same path, "?after=7" (RFC 8288: a Link of
     * relation "next" that is a query alone); "" when it says nothing of that form. */
    char next_query[192];
    char challenge[1024]; /* WWW-Authenticate; "" when absent or longer */
};
void http_response_init(struct http_response *response);
void http_response_done(struct http_response *response);

/*
 * body may be empty (then no Content-Type is sent); else it is JSON, or what the header
 * Content-Type was set to. ERR_CONNECT, ERR_TLS, ERR_TIMEOUT, ERR_CLOSED, ERR_TOO_LONG,
 * ERR_PROTOCOL, each with a fault that names the address and the reason. Any status is OK here.
 * SIGINT and SIGTERM end a waiting call with their default action.
 */
err_t http_client_call(struct http_client *client, enum http_method method, const char *path,
                       span_t body, int timeout_ms, struct http_response *response,
                       struct fault *fault);

/*
 * Sends the request of a GET on the open connection, if there is one, for the next call to find its
 * answer there: the server is at work while the caller does something else. That call must be of
 * the same path, and sees what failed.
 */
void http_client_ask(struct http_client *client, const char *path, int timeout_ms);

/* Appends what tls_binding() says of the open connection; ERR_NOT_FOUND when there is none, or one
 * without TLS. A call may open another one. */
err_t http_client_tls_binding(const struct http_client *client, struct buf *out);

/*
 * http_client_chain.c: fetches the chain that a server presents without trusting it (for `postern
 * init`, which shows the fingerprint and pins it). *ca_pem is the last certificate of the chain
 * (the server's own when it is alone), sha256 the hex hash of its DER form.
 */
err_t http_client_fetch_chain(const char *url, int timeout_ms, char **ca_pem, char sha256[65],
                              struct fault *fault);

/*
 * What time a server says it is (the Date of its answer), to the second, without trusting it: where
 * a clock is wrong, no certificate can be trusted. ERR_NOT_FOUND when it does not say.
 */
err_t http_client_fetch_date(const char *url, int timeout_ms, int64_t *when, struct fault *fault);

#endif
