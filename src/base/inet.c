#include "base/inet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/text.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct inet_address address_from_v6(const uint8_t bytes[16]) {
    struct inet_address address = {.family_bits = 128};
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        address.family_bits = 32;
        memcpy(address.bytes, bytes + 12, 4);
    } else {
        memcpy(address.bytes, bytes, 16);
    }
    return address;
}

err_t inet_address_parse(span_t text, struct inet_address *out) {
    char copy[INET_CHARS];
    uint8_t bytes[16];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        *out = (struct inet_address){.family_bits = 32};
        memcpy(out->bytes, bytes, 4);
        return OK;
    }
    if (inet_pton(AF_INET6, copy, bytes) == 1) {
        *out = address_from_v6(bytes);
        return OK;
    }
    return FAIL(ERR_MALFORMED);
}

err_t inet_address_from_sockaddr(const struct sockaddr *from, struct inet_address *out) {
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)from;
        *out = (struct inet_address){.family_bits = 32};
        memcpy(out->bytes, &v4->sin_addr, 4);
        return OK;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)from;
        *out = address_from_v6(v6->sin6_addr.s6_addr);
        return OK;
    }
    return FAIL(ERR_UNSUPPORTED);
}

err_t inet_address_from_bytes(span_t bytes, struct inet_address *out) {
    if (bytes.len == 16) {
        *out = address_from_v6(bytes.data);
        return OK;
    }
    if (bytes.len == 4) {
        *out = (struct inet_address){.family_bits = 32};
        memcpy(out->bytes, bytes.data, 4);
        return OK;
    }
    return FAIL(ERR_MALFORMED);
}

void inet_address_print(const struct inet_address *address, char out[INET_CHARS]) {
    int family = address->family_bits == 32 ? AF_INET : AF_INET6;
    if (address->family_bits == 0 || inet_ntop(family, address->bytes, out, INET_CHARS) == NULL) {
        (void)snprintf(out, INET_CHARS, "-");
    }
}

/* The byte of a netmask: how many of its eight bits lie inside the prefix. */
static uint8_t mask_byte(unsigned prefix_bits, unsigned index) {
    unsigned start = index * 8;
    if (prefix_bits >= start + 8) {
        return 0xff;
    }
    return (uint8_t)(prefix_bits <= start ? 0 : 0xff00 >> (prefix_bits - start));
}

err_t inet_subnet_parse(span_t text, struct inet_subnet *out) {
    const uint8_t *slash = text.len == 0 ? NULL : memchr(text.data, '/', text.len);
    span_t host = slash == NULL ? text : span_of(text.data, (size_t)(slash - text.data));
    struct inet_subnet subnet;
    TRY(inet_address_parse(host, &subnet.address));
    subnet.prefix_bits = subnet.address.family_bits;
    if (slash != NULL) {
        uint64_t prefix;
        TRY(u64_parse(span_of(slash + 1, text.len - host.len - 1), &prefix));
        /* "::ffff:10.0.0.0/104" was written for 128 bits; after unmapping its prefix would mean
         * something else. */
        bool was_mapped =
            subnet.address.family_bits == 32 && memchr(host.data, ':', host.len) != NULL;
        if (prefix > subnet.address.family_bits || was_mapped) {
            return FAIL(ERR_RANGE);
        }
        subnet.prefix_bits = (uint8_t)prefix;
    }
    for (unsigned i = 0; i < subnet.address.family_bits / 8U; i++) {
        if ((subnet.address.bytes[i] & ~mask_byte(subnet.prefix_bits, i) & 0xff) != 0) {
            return FAIL(ERR_RANGE);
        }
    }
    *out = subnet;
    return OK;
}

void inet_subnet_print(const struct inet_subnet *subnet, char out[INET_CHARS]) {
    inet_address_print(&subnet->address, out);
    size_t len = strlen(out);
    (void)snprintf(out + len, INET_CHARS - len, "/%u", subnet->prefix_bits);
}

bool inet_subnet_contains(const struct inet_subnet *subnet, const struct inet_address *address) {
    if (subnet->address.family_bits == 0 || subnet->address.family_bits != address->family_bits) {
        return false;
    }
    for (unsigned i = 0; i < address->family_bits / 8U; i++) {
        if ((address->bytes[i] & mask_byte(subnet->prefix_bits, i)) != subnet->address.bytes[i]) {
            return false;
        }
    }
    return true;
}

bool inet_subnet_covers(const struct inet_subnet *outer, const struct inet_subnet *inner) {
    return inner->prefix_bits >= outer->prefix_bits && inet_subnet_contains(outer, &inner->address);
}
