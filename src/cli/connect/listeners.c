#include "cli/connect/listeners.h"

#include <stdio.h>
#include <string.h>

enum { STATE_LISTEN = 0x0a, LINE_CHARS = 256 };

/* "0100007F": words of 32 bits as the kernel holds them. */
static err_t read_address(const char *hex, struct inet_address *out) {
    uint8_t bytes[16];
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            return FAIL(ERR_MALFORMED);
        }
        bytes[(i & ~(size_t)3) + 3 - i % 4] = (uint8_t)byte;
    }
    return len == 4 || len == 16 ? inet_address_from_bytes(span_of(bytes, len), out)
                                 : FAIL(ERR_MALFORMED);
}

/* "  0: 0100007F:1776 00000000:0000 0A …" */
static bool read_line(span_t line, uint16_t port, struct inet_address *out) {
    char text[LINE_CHARS], address[33];
    unsigned at = 0, state = 0;
    size_t len = line.len < sizeof text ? line.len : sizeof text - 1;
    if (len == 0) {
        return false;
    }
    memcpy(text, line.data, len);
    text[len] = '\0';
    return sscanf(text, " %*u: %32[0-9A-F]:%4X %*[0-9A-F]:%*4X %2X", address, &at, &state) == 3 &&
           at == port && state == STATE_LISTEN && !failed(read_address(address, out));
}

static bool is_localhost(const struct inet_address *address) {
    static const uint8_t zero[16], one[16] = {[15] = 1}, loopback[4] = {127, 0, 0, 1};
    size_t len = address->family_bits / 8;
    return memcmp(address->bytes, zero, len) == 0 ||
           (len == 4 ? memcmp(address->bytes, loopback, 4) == 0
                     : memcmp(address->bytes, one, 16) == 0);
}

enum listener listeners_find(span_t text, uint16_t port, struct inet_address *out) {
    enum listener found = LISTENER_NONE;
    while (text.len > 0) {
        struct inet_address address;
        if (!read_line(span_until(&text, '\n'), port, &address)) {
            continue;
        }
        if (is_localhost(&address)) {
            return LISTENER_LOCALHOST;
        }
        /* IPv4 is what forwarding gets to without a doubt. */
        if (found == LISTENER_NONE || (out->family_bits == 128 && address.family_bits == 32)) {
            *out = address;
        }
        found = LISTENER_ELSEWHERE;
    }
    return found;
}
