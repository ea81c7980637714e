#include "transport/transport_internal.h"

#include "base/secret.h"
#include "ssh/wire.h"

/* A peer that nothing is known of yet makes nobody wait for more than this. */
enum { FIRST_PACKET_BYTES_MAX = LIMIT_KEXINIT_BYTES + CIPHER_OVERHEAD_BYTES };

/* --- messages that mean nothing to an exchange --- */

static err_t on_disconnect(struct transport *transport, struct transport_turn *turn) {
    span_t rest = turn->message;
    uint8_t number;
    TRY(wire_get_u8(&rest, &number));
    TRY(wire_get_u32(&rest, &turn->event->reason));
    TRY(wire_get_string(&rest, &turn->event->data));
    turn->event->type = TRANSPORT_DISCONNECTED;
    transport->state = STATE_CLOSED;
    return OK;
}

static err_t on_ignored(struct transport *transport, struct transport_turn *turn) {
    (void)turn;
    return transport->is_strict && transport->exchanges == 0 ? FAIL(ERR_PROTOCOL) : OK;
}

static err_t on_unknown(struct transport *transport, struct transport_turn *turn) {
    uint32_t sequence = turn->sequence;
    const uint8_t message[] = {
        MSG_UNIMPLEMENTED,        (uint8_t)(sequence >> 24), (uint8_t)(sequence >> 16),
        (uint8_t)(sequence >> 8), (uint8_t)sequence,
    };
    return transport_send_now(transport, span_of(message, sizeof message), turn->out);
}

static err_t on_ping(struct transport *transport, struct transport_turn *turn) {
    span_t rest = turn->message;
    uint8_t number;
    span_t data;
    TRY(wire_get_u8(&rest, &number));
    TRY(wire_get_string(&rest, &data));
    TRY(wire_expect_end(rest));
    struct buf pong CLEANUP(buf_done) = BUF(LIMIT_PACKET_BYTES);
    TRY(wire_put_u8(&pong, MSG_PONG));
    TRY(wire_put_string(&pong, data));
    return transport_send(transport, buf_span(&pong), turn->now_ms, turn->out);
}

static err_t on_message(struct transport *transport, struct transport_turn *turn) {
    enum { USERAUTH_SUCCESS = 52 };
    transport->is_authenticated |= turn->message.data[0] == USERAUTH_SUCCESS;
    turn->event->type = TRANSPORT_MESSAGE;
    turn->event->data = turn->message;
    return OK;
}

/*
 * Which message is taken in which state, and by whom. An empty cell ends the transport.
 *
 * From its KEXINIT to its NEWKEYS a peer may send but 1 to 4 and what the exchange is made of (RFC
 * 4253 section 7.1), and under strict key exchange the first time not even IGNORE, UNIMPLEMENTED
 * and DEBUG. Otherwise the layers above get the numbers that RFC 4252 to 4254 give a meaning, and
 * what nobody knows is answered by UNIMPLEMENTED. The client's EXT_INFO and what a server may not
 * send are not told apart here: the handlers above see to their roles.
 */
#define AT_ANY_TIME [MSG_DISCONNECT] = on_disconnect, [MSG_IGNORE... MSG_DEBUG] = on_ignored
static transport_handler *const handlers[TRANSPORT_STATES_COUNT][UINT8_MAX + 1] = {
    [STATE_KEXINIT_DUE] =
        {
            AT_ANY_TIME,
            [MSG_KEXINIT] = transport_kex_on_kexinit,
        },
    [STATE_GUESS_DUE] =
        {
            AT_ANY_TIME,
            [MSG_KEX_INIT... MSG_KEX_LAST] = transport_kex_on_guess,
        },
    [STATE_INIT_DUE] =
        {
            AT_ANY_TIME,
            [MSG_KEX_INIT] = transport_kex_on_init,
        },
    [STATE_REPLY_DUE] =
        {
            AT_ANY_TIME,
            [MSG_KEX_REPLY] = transport_kex_on_reply,
        },
    [STATE_NEWKEYS_DUE] =
        {
            AT_ANY_TIME,
            [MSG_NEWKEYS] = transport_kex_on_newkeys,
        },
    [STATE_OPEN] =
        {
            AT_ANY_TIME,
            [5 ... 6] = on_message, /* SERVICE_REQUEST, SERVICE_ACCEPT */
            [MSG_EXT_INFO] = transport_ext_info_on_message,
            [8 ... 19] = on_unknown,
            [MSG_KEXINIT] = transport_kex_on_kexinit,
            [22 ... 29] = on_unknown,
            [50 ... 53] = on_message, /* user authentication, … */
            [54 ... 59] = on_unknown,
            [60] = on_message, /* … and PK_OK */
            [61 ... 79] = on_unknown,
            [80 ... 82] = on_message, /* global requests */
            [83 ... 89] = on_unknown,
            [90 ... 100] = on_message, /* channels */
            [101 ... 191] = on_unknown,
            [MSG_PING] = on_ping,
            [MSG_PONG] = on_ignored,
            [194 ... 255] = on_unknown,
        },
};

/* --- input --- */

static size_t packet_bytes_max(const struct transport *transport) {
    if (transport->exchanges == 0) {
        return FIRST_PACKET_BYTES_MAX;
    }
    return transport->is_stranger ? LIMIT_STRANGER_PACKET_BYTES : LIMIT_PACKET_BYTES;
}

/* Decrypts the next packet; *taken is false when it is not all there. */
static err_t open_packet(struct transport *transport, struct transport_input *input,
                         span_t *payload, bool *taken) {
    struct transport_direction *in = &transport->in;
    *taken = false;
    if (transport->packet_len == 0) {
        size_t len;
        if (input->len < CIPHER_LENGTH_BYTES) {
            return OK;
        }
        TRY(cipher_packet_len(in->cipher, in->sequence, input->data, &len));
        if (len > packet_bytes_max(transport)) {
            return FAIL(ERR_TOO_LONG);
        }
        transport->packet_len = len;
    }
    size_t len = transport->packet_len;
    if (input->len < len) {
        return OK;
    }
    TRY(cipher_open(in->cipher, in->sequence, input->data, len, payload));
    transport->packet_len = 0;
    input->data += len;
    input->len -= len;
    in->bytes += len;
    *taken = true;
    return OK;
}

static err_t take_packet(struct transport *transport, struct transport_input *input,
                         struct transport_turn *turn, bool *taken) {
    struct transport_direction *in = &transport->in;
    err_t err = open_packet(transport, input, &turn->message, taken);
    if (failed(err)) {
        transport_disconnect(transport, DISCONNECT_MAC_ERROR, "packet corrupt", turn->out);
        return err;
    }
    if (!*taken) {
        return OK;
    }
    turn->sequence = in->sequence++;
    /* No key protects 2^32 packets; and in the clear, before the first one, no number of a packet
     * comes round again. */
    if (++in->packets == 0) {
        return FAIL(ERR_PROTOCOL);
    }
    transport_handler *handler = handlers[transport->state][turn->message.data[0]];
    return handler == NULL ? FAIL(ERR_PROTOCOL) : handler(transport, turn);
}

static err_t take_input(struct transport *transport, struct transport_input *input,
                        struct transport_turn *turn) {
    bool taken = true;
    if (transport_kex_is_due(transport, turn->now_ms)) {
        TRY(transport_kex_start(transport, turn->out));
    }
    while (taken && turn->event->type == TRANSPORT_NEEDS_INPUT &&
           transport->state != STATE_ANSWER_DUE) {
        TRY(transport->state == STATE_VERSION_DUE ? transport_version_take(transport, input, &taken)
                                                  : take_packet(transport, input, turn, &taken));
    }
    return OK;
}

err_t transport_next(struct transport *transport, struct transport_input *input, int64_t now_ms,
                     struct buf *out, struct transport_event *event) {
    struct transport_event happened = {0};
    struct transport_turn turn = {.now_ms = now_ms, .out = out, .event = &happened};
    if (transport->state == STATE_CLOSED) {
        return FAIL(ERR_CLOSED);
    }
    TRY(transport_fail(transport, take_input(transport, input, &turn), out));
    *event = happened;
    return OK;
}

/* --- the transport --- */

err_t transport_new(const struct transport_config *config, int64_t now_ms, struct buf *out,
                    struct transport **transport) {
    struct transport *made CLEANUP(transport_freep) = calloc(1, sizeof *made);
    if (made == NULL) {
        return FAIL(ERR_MEMORY);
    }
    made->config = config;
    made->state = STATE_VERSION_DUE;
    made->keyed_ms = now_ms;
    buf_init(&made->held, LIMIT_TRANSPORT_HELD_BYTES);
    TRY(cipher_new(CIPHER_NONE, false, NULL, NULL, NULL, &made->in.cipher));
    TRY(cipher_new(CIPHER_NONE, true, NULL, NULL, NULL, &made->out.cipher));
    TRY(transport_version_send(made, out));
    TRY(transport_kex_start(made, out));
    *transport = TAKE(made);
    return OK;
}

void transport_free(struct transport *transport) {
    if (transport != NULL) {
        exchange_free(transport->exchange);
        cipher_free(transport->in.cipher);
        cipher_free(transport->out.cipher);
        buf_done(&transport->held);
        free(transport->peer_version);
        free(transport->peer_sig_algs);
        secret_wipe(transport, sizeof *transport);
        free(transport);
    }
}

void transport_freep(struct transport **transport) { transport_free(*transport); }

bool transport_is_open(const struct transport *transport) {
    return transport->state == STATE_OPEN && transport->exchange == NULL;
}

err_t transport_rekey(struct transport *transport, int64_t now_ms, struct buf *out) {
    (void)now_ms;
    if (transport->state == STATE_CLOSED) {
        return FAIL(ERR_CLOSED);
    }
    return transport_is_open(transport)
               ? transport_fail(transport, transport_kex_start(transport, out), out)
               : OK;
}

void transport_set_stranger(struct transport *transport, bool is_stranger) {
    transport->is_stranger = is_stranger;
}

span_t transport_session_id(const struct transport *transport) {
    return span_of(transport->session_id, transport->session_id_len);
}

void transport_facts(const struct transport *transport, struct transport_facts *out) {
    *out = (struct transport_facts){
        .kex = transport->kex_name,
        .host_key_algorithm = transport->host_key_name,
        .cipher_in = transport->cipher_in_name,
        .cipher_out = transport->cipher_out_name,
        .strict = transport->is_strict,
        .peer_version = transport->peer_version,
        .exchanges = transport->exchanges,
        .bytes_in = transport->in.bytes_before + transport->in.bytes,
        .bytes_out = transport->out.bytes_before + transport->out.bytes,
    };
}

const char *transport_peer_sig_algs(const struct transport *transport) {
    return transport->peer_sig_algs;
}
