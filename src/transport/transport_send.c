/* What goes out: sealed at once, or held back while an exchange is going on. */
#include "ssh/wire.h"
#include "transport/transport_internal.h"

/* The packet lies at out->data + at, its payload already in place. */
static err_t seal(struct transport *transport, size_t at, size_t payload_len, struct buf *out) {
    struct transport_direction *to = &transport->out;
    if (to->packets == UINT32_MAX) {
        return FAIL(ERR_PROTOCOL);
    }
    TRY(cipher_seal(to->cipher, to->sequence, out->data + at, payload_len));
    to->sequence++;
    to->packets++;
    to->bytes += out->len - at;
    return OK;
}

err_t transport_send_now(struct transport *transport, span_t payload, struct buf *out) {
    size_t at = out->len;
    uint8_t *packet;
    INVARIANT(payload.len > 0 && !transport->has_begun);
    TRY(buf_extend(out, cipher_sealed_len(transport->out.cipher, payload.len), &packet));
    memcpy(packet + CIPHER_HEADER_BYTES, payload.data, payload.len);
    err_t err = seal(transport, at, payload.len, out);
    if (failed(err)) {
        out->len = at;
    }
    return err;
}

err_t transport_send_held(struct transport *transport, struct buf *out) {
    span_t rest = buf_span(&transport->held);
    while (rest.len > 0) {
        span_t payload;
        TRY(wire_get_string(&rest, &payload));
        TRY(transport_send_now(transport, payload, out));
    }
    buf_done(&transport->held);
    return OK;
}

static err_t rekey_if_due(struct transport *transport, int64_t now_ms, struct buf *out) {
    return transport_kex_is_due(transport, now_ms)
               ? transport_fail(transport, transport_kex_start(transport, out), out)
               : OK;
}

err_t transport_send(struct transport *transport, span_t payload, int64_t now_ms, struct buf *out) {
    if (transport->state == STATE_CLOSED) {
        return FAIL(ERR_CLOSED);
    }
    if (!transport_is_open(transport)) {
        return wire_put_string(&transport->held, payload);
    }
    TRY(transport_send_now(transport, payload, out));
    return rekey_if_due(transport, now_ms, out);
}

err_t transport_send_begin(struct transport *transport, size_t len_max, struct buf *out,
                           uint8_t **payload) {
    uint8_t *packet;
    INVARIANT(transport_is_open(transport) && !transport->has_begun);
    size_t at = out->len;
    TRY(buf_extend(out, cipher_sealed_len(transport->out.cipher, len_max), &packet));
    transport->begun = at;
    transport->has_begun = true;
    *payload = packet + CIPHER_HEADER_BYTES;
    return OK;
}

err_t transport_send_end(struct transport *transport, size_t len, int64_t now_ms, struct buf *out) {
    INVARIANT(transport->has_begun);
    size_t at = transport->begun;
    size_t room = out->len - at;
    transport->has_begun = false;
    out->len = at;
    if (len == 0) {
        return OK;
    }
    size_t sealed = cipher_sealed_len(transport->out.cipher, len);
    INVARIANT(sealed <= room);
    out->len = at + sealed;
    err_t err = seal(transport, at, len, out);
    if (failed(err)) {
        out->len = at;
        return transport_fail(transport, err, out);
    }
    return rekey_if_due(transport, now_ms, out);
}

/* Cut where a character of UTF-8 begins. */
static span_t cut_text(const char *text) {
    enum { TEXT_BYTES_MAX = 255 };
    span_t span = span_str(text);
    if (span.len > TEXT_BYTES_MAX) {
        span.len = TEXT_BYTES_MAX;
        while (span.len > 0 && (span.data[span.len] & 0xc0) == 0x80) {
            span.len--;
        }
    }
    return span;
}

static err_t send_disconnect(struct transport *transport, enum disconnect_reason reason,
                             const char *text, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(512);
    TRY(wire_put_u8(&message, MSG_DISCONNECT));
    TRY(wire_put_u32(&message, (uint32_t)reason));
    TRY(wire_put_string(&message, cut_text(text)));
    TRY(wire_put_text(&message, ""));
    return transport_send_now(transport, buf_span(&message), out);
}

void transport_disconnect(struct transport *transport, enum disconnect_reason reason,
                          const char *text, struct buf *out) {
    if (transport->state != STATE_CLOSED) {
        /* A peer that gets no goodbye sees the connection end all the same. */
        ignore_err(send_disconnect(transport, reason, text, out));
        transport->state = STATE_CLOSED;
    }
}

err_t transport_fail(struct transport *transport, err_t err, struct buf *out) {
    if (!failed(err)) {
        return err;
    }
    if (err.code == ERR_MEMORY || err.code == ERR_CRYPTO) {
        transport_disconnect(transport, DISCONNECT_BY_APPLICATION, "internal error", out);
    } else if (transport->state == STATE_VERSION_DUE) {
        transport_disconnect(transport, DISCONNECT_VERSION_NOT_SUPPORTED,
                             "protocol version not supported", out);
    } else if (transport->exchange != NULL && transport->exchange->has_agreed) {
        transport_disconnect(transport, DISCONNECT_KEY_EXCHANGE_FAILED, "key exchange failed", out);
    } else {
        transport_disconnect(transport, DISCONNECT_PROTOCOL_ERROR, "protocol error", out);
    }
    return err;
}
