/* Where the client's requests go: the server's URL, and the proxy the environment asks for. */
#ifndef POSTERN_NET_HTTP_URL_H
#define POSTERN_NET_HTTP_URL_H

#include "base/err.h"
#include "base/limits.h"

enum {
    HTTP_URL_CHARS = 2048,
    HTTP_PORT_CHARS = 6,
    /* brackets, colon, port, NUL */
    HTTP_AUTHORITY_CHARS = LIMIT_HOST_NAME_CHARS + 2 + 1 + HTTP_PORT_CHARS,
};

struct http_url {
    bool tls;
    char host[LIMIT_HOST_NAME_CHARS + 1]; /* without brackets */
    char port[HTTP_PORT_CHARS];
    char authority[HTTP_AUTHORITY_CHARS]; /* "host:port", "[::1]:port" */
    char prefix[HTTP_URL_CHARS];          /* the path, without a slash at its end */
    char credentials[512];                /* "user:password", decoded; a proxy's only */
};

/* "https://host[:port][/path]"; ERR_MALFORMED with a fault. http:// is for loopback addresses. */
err_t http_url_parse(const char *text, struct http_url *out, struct fault *fault);

/*
 * The proxy for a server, from https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, unless no_proxy or
 * NO_PROXY exempts it; *used is false when there is none. A server without TLS is on this machine
 * and needs none. ERR_MALFORMED; ERR_UNSUPPORTED for a proxy that is not plain HTTP.
 */
err_t http_url_proxy(const struct http_url *server, bool *used, struct http_url *out,
                     struct fault *fault);

/* True when the comma-separated exemptions (names with their subdomains, addresses, subnets, "*")
 * cover the host. */
bool http_url_exempt(const char *no_proxy, const char *host);

#endif
