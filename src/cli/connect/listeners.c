#include "cli/connect/listeners.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* "0100007F": words of 32 bits as the kernel holds them. */
static err_t read_address(span_t hex, struct inet_address *out) {
    uint8_t bytes[16];
    struct buf words CLEANUP(buf_done) = BUF(sizeof bytes);
    TRY(hex_decode(hex, &words));
    if (words.len != 4 && words.len != 16) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < words.len; i++) {
        bytes[(i & ~(size_t)3) + 3 - i % 4] = words.data[i];
    }
    return inet_address_from_bytes(span_of(bytes, words.len), out);
}

static span_t take_word(span_t *line) {
    while (line->len > 0 && line->data[0] == ' ') {
        *line = span_of(line->data + 1, line->len - 1);
    }
    return span_until(line, ' ');
}

/* "  0: 0100007F:1776 00000000:0000 0A …", where 0A is TCP_LISTEN. */
static bool read_line(span_t line, uint16_t port, struct inet_address *out) {
    char wanted[8];
    (void)snprintf(wanted, sizeof wanted, "%04X", (unsigned)port);
    (void)take_word(&line);
    span_t at = take_word(&line);
    span_t address = span_until(&at, ':');
    (void)take_word(&line);
    return span_equal_str(at, wanted) && span_equal_str(take_word(&line), "0A") &&
           !failed(read_address(address, out));
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
