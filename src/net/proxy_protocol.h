/*
 * The PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2): the header in which a
 * load balancer says whose connection it hands on. A parser alone: whom to believe, and how long to
 * wait, is the caller's.
 *
 * Version 1, which is text, is refused. So is whatever does not tell a TCP address: another
 * transport, a Unix socket, a client that the balancer does not know either. To go on with the
 * balancer's address would pass every client off as one from inside.
 */
#ifndef POSTERN_NET_PROXY_PROTOCOL_H
#define POSTERN_NET_PROXY_PROTOCOL_H

#include "base/inet.h"
#include "base/span.h"

enum proxy_result {
    PROXY_REFUSED, /* zero: not such a header, malformed, or beyond LIMIT_PROXY_HEADER_BYTES */
    PROXY_MORE,    /* nothing wrong so far, and not all of it */
    PROXY_LOCAL,   /* the balancer speaks for itself, to see that we live */
    PROXY_CLIENT,
};

struct proxy_header {
    enum proxy_result result;
    size_t len; /* of the whole header, for LOCAL and CLIENT; what follows is the client's */
    struct inet_address source; /* for CLIENT: whom the balancer speaks for */
    uint16_t source_port;
};

/* What stands at the front of all the bytes that came so far. */
struct proxy_header proxy_protocol_read(span_t bytes);

#endif
