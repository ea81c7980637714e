/*
 * Network addresses and CIDR subnets, as source-address, ipSubnets and API keys use them.
 * IPv4-mapped IPv6 addresses
 * (::ffff:a.b.c.d) are the IPv4 address they carry, so that neither form slips past a rule for the
 * other.
 */
#ifndef POSTERN_BASE_INET_H
#define POSTERN_BASE_INET_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct inet_address {
    uint8_t bytes[16];
    uint8_t family_bits; /* 32 or 128; 0 is no address */
};

struct inet_subnet {
    struct inet_address address; /* bits beyond the prefix are zero */
    uint8_t prefix_bits;
};

enum { INET_CHARS = 52 }; /* the longest address with prefix, and NUL */

err_t inet_address_parse(span_t text, struct inet_address *out);
/* 4 or 16 bytes, in network order; ERR_MALFORMED for another number of them. */
err_t inet_address_from_bytes(span_t bytes, struct inet_address *out);
err_t inet_address_from_sockaddr(const struct sockaddr *from, struct inet_address *out);
void inet_address_print(const struct inet_address *address, char out[INET_CHARS]);

/*
 * "10.0.0.0/8", "2001:db8::/32", or a lone address (its whole length). ERR_MALFORMED for text,
 * ERR_RANGE for a prefix that is too long or an address with bits set beyond it ("10.1.2.3/8" is a
 * slip OpenSSH refuses as well).
 */
err_t inet_subnet_parse(span_t text, struct inet_subnet *out);
void inet_subnet_print(const struct inet_subnet *subnet, char out[INET_CHARS]);

/* False for an address of no family. */
bool inet_subnet_contains(const struct inet_subnet *subnet, const struct inet_address *address);
/* True when every address of `inner` is in `outer`. */
bool inet_subnet_covers(const struct inet_subnet *outer, const struct inet_subnet *inner);

#endif
