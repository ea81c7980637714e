/* Extension negotiation (RFC 8308). */
#include "base/text.h"
#include "ssh/wire.h"
#include "transport/transport_internal.h"

enum { EXT_INFO_BYTES_MAX = 1024 }; /* of ours */

err_t transport_ext_info_send(struct transport *transport, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(EXT_INFO_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_EXT_INFO));
    TRY(wire_put_u32(&message, 2));
    TRY(wire_put_text(&message, "server-sig-algs"));
    TRY(wire_put_text(&message, algorithm_signatures));
    TRY(wire_put_text(&message, "ping@openssh.com"));
    TRY(wire_put_text(&message, "0"));
    return transport_send_now(transport, buf_span(&message), out);
}

/* Section 2.4: a client tells its extensions right after its first NEWKEYS, a server then or until
 * it lets the user in. */
static bool is_in_time(const struct transport *transport) {
    return transport->config->role == TRANSPORT_CLIENT
               ? !transport->is_authenticated
               : transport->exchanges == 1 && transport->in.packets == 1;
}

static err_t take_sig_algs(struct transport *transport, span_t value) {
    char *list = NULL;
    if (!text_is_printable(value)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(span_to_str(value, &list));
    free(transport->peer_sig_algs);
    transport->peer_sig_algs = list;
    return OK;
}

err_t transport_ext_info_on_message(struct transport *transport, struct transport_turn *turn) {
    span_t rest = turn->message;
    uint8_t number;
    uint32_t count;
    if (!is_in_time(transport)) {
        return FAIL(ERR_PROTOCOL);
    }
    if (rest.len > LIMIT_EXT_INFO_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_u8(&rest, &number));
    TRY(wire_get_u32(&rest, &count));
    for (uint32_t i = 0; i < count; i++) {
        span_t name;
        span_t value;
        TRY(wire_get_string(&rest, &name));
        TRY(wire_get_string(&rest, &value));
        if (transport->config->role == TRANSPORT_CLIENT &&
            span_equal_str(name, "server-sig-algs")) {
            TRY(take_sig_algs(transport, value));
        }
    }
    return wire_expect_end(rest);
}
