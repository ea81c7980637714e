/* Key exchanges as messages: when one begins, what each message leads to, and its end. */
#include "base/secret.h"
#include "transport/transport_internal.h"

static bool is_client(const struct transport *transport) {
    return transport->config->role == TRANSPORT_CLIENT;
}

bool transport_kex_is_due(const struct transport *transport, int64_t now_ms) {
    const struct transport_config *config = transport->config;
    uint64_t bytes = config->rekey_bytes != 0 ? config->rekey_bytes : LIMIT_REKEY_BYTES;
    int64_t ms = config->rekey_ms != 0 ? config->rekey_ms : LIMIT_REKEY_MS;
    const struct transport_direction *in = &transport->in;
    const struct transport_direction *out = &transport->out;
    return transport_is_open(transport) &&
           (in->bytes >= bytes || out->bytes >= bytes || in->packets >= LIMIT_REKEY_PACKETS ||
            out->packets >= LIMIT_REKEY_PACKETS || now_ms - transport->keyed_ms >= ms);
}

err_t transport_kex_start(struct transport *transport, struct buf *out) {
    struct exchange *exchange CLEANUP(exchange_freep) = NULL;
    TRY(exchange_new(transport->config, transport->exchanges == 0, &exchange));
    TRY(transport_send_now(transport, buf_span(&exchange->kexinit), out));
    transport->exchange = TAKE(exchange);
    return OK;
}

static enum transport_state share_state(const struct transport *transport) {
    return is_client(transport) ? STATE_REPLY_DUE : STATE_INIT_DUE;
}

static err_t send_init(struct transport *transport, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(EXCHANGE_MESSAGE_BYTES_MAX);
    TRY(exchange_put_init(transport->exchange, &message));
    return transport_send_now(transport, buf_span(&message), out);
}

err_t transport_kex_on_kexinit(struct transport *transport, struct transport_turn *turn) {
    if (transport->is_stranger && transport->exchanges >= LIMIT_STRANGER_EXCHANGES_COUNT) {
        return FAIL(ERR_PROTOCOL);
    }
    if (transport->exchange == NULL) {
        TRY(transport_kex_start(transport, turn->out));
    }
    struct exchange *exchange = transport->exchange;
    const char *lacking = NULL;
    err_t err = exchange_agree(exchange, turn->message, transport->peer_version, &lacking);
    if (lacking != NULL) {
        transport_disconnect(transport, DISCONNECT_KEY_EXCHANGE_FAILED, lacking, turn->out);
    }
    TRY(err);
    if (exchange->is_first) {
        transport->is_strict = exchange->peer_is_strict;
        if (transport->is_strict && turn->sequence != 0) {
            return FAIL(ERR_PROTOCOL);
        }
    }
    if (is_client(transport)) {
        TRY(send_init(transport, turn->out));
    }
    transport->state = exchange->drops_next ? STATE_GUESS_DUE : share_state(transport);
    return OK;
}

err_t transport_kex_on_guess(struct transport *transport, struct transport_turn *turn) {
    (void)turn;
    transport->state = share_state(transport);
    return OK;
}

/* --- NEWKEYS --- */

static void use_cipher(struct transport *transport, struct transport_direction *direction,
                       struct cipher **cipher) {
    cipher_free(direction->cipher);
    direction->cipher = TAKE(*cipher);
    direction->bytes_before += direction->bytes;
    direction->bytes = 0;
    direction->packets = 0;
    if (transport->is_strict) {
        direction->sequence = 0;
    }
}

static err_t send_newkeys(struct transport *transport, struct buf *out) {
    static const uint8_t message[] = {MSG_NEWKEYS};
    TRY(transport_send_now(transport, span_of(message, sizeof message), out));
    use_cipher(transport, &transport->out, &transport->exchange->out);
    transport->state = STATE_NEWKEYS_DUE;
    return OK;
}

/* What is known of a session after its exchange. */
static void remember(struct transport *transport, const struct exchange *exchange) {
    const struct agreement *agreed = &exchange->agreed;
    if (exchange->is_first) {
        memcpy(transport->session_id, exchange->hash, exchange->hash_len);
        transport->session_id_len = (uint8_t)exchange->hash_len;
    }
    transport->kex_name = agreed->kex_name;
    transport->host_key_name = agreed->host_key_algorithm->name;
    bool client = is_client(transport);
    transport->cipher_in_name = client ? agreed->cipher_s2c_name : agreed->cipher_c2s_name;
    transport->cipher_out_name = client ? agreed->cipher_c2s_name : agreed->cipher_s2c_name;
}

err_t transport_kex_on_newkeys(struct transport *transport, struct transport_turn *turn) {
    if (turn->message.len != 1) {
        return FAIL(ERR_TRAILING);
    }
    use_cipher(transport, &transport->in, &transport->exchange->in);
    remember(transport, transport->exchange);
    exchange_free(TAKE(transport->exchange));
    transport->exchanges++;
    transport->keyed_ms = turn->now_ms;
    transport->state = STATE_OPEN;
    turn->event->type = TRANSPORT_NEWKEYS;
    return transport_send_held(transport, turn->out);
}

/* --- the server --- */

err_t transport_kex_on_init(struct transport *transport, struct transport_turn *turn) {
    struct exchange *exchange = transport->exchange;
    TRY(exchange_take_init(exchange, turn->message, transport_session_id(transport)));
    *turn->event = (struct transport_event){
        .type = TRANSPORT_SIGN,
        .data = span_of(exchange->hash, exchange->hash_len),
        .host_key = exchange->agreed.host_key,
        .algorithm = exchange->agreed.host_key_algorithm->signature,
    };
    transport->state = STATE_ANSWER_DUE;
    return OK;
}

static err_t answer(struct transport *transport, span_t signature, struct buf *out) {
    const struct exchange *exchange = transport->exchange;
    struct buf message CLEANUP(buf_done) = BUF(EXCHANGE_MESSAGE_BYTES_MAX);
    TRY(exchange_put_reply(exchange, signature, &message));
    TRY(transport_send_now(transport, buf_span(&message), out));
    TRY(send_newkeys(transport, out));
    return exchange->is_first && exchange->peer_takes_ext_info
               ? transport_ext_info_send(transport, out)
               : OK;
}

err_t transport_signed(struct transport *transport, span_t signature, struct buf *out) {
    if (transport->state == STATE_CLOSED) {
        return FAIL(ERR_CLOSED);
    }
    INVARIANT(transport->state == STATE_ANSWER_DUE && !is_client(transport));
    return transport_fail(transport, answer(transport, signature, out), out);
}

/* --- the client --- */

err_t transport_kex_on_reply(struct transport *transport, struct transport_turn *turn) {
    struct exchange *exchange = transport->exchange;
    TRY(exchange_take_reply(exchange, turn->message, transport_session_id(transport)));
    *turn->event = (struct transport_event){
        .type = TRANSPORT_HOST_KEY,
        .key = exchange->cert != NULL ? exchange->cert->key : exchange->key,
        .cert = exchange->cert,
    };
    transport->state = STATE_ANSWER_DUE;
    return OK;
}

err_t transport_trust(struct transport *transport, bool trusted, struct buf *out) {
    if (transport->state == STATE_CLOSED) {
        return FAIL(ERR_CLOSED);
    }
    INVARIANT(transport->state == STATE_ANSWER_DUE && is_client(transport));
    if (!trusted) {
        transport_disconnect(transport, DISCONNECT_HOST_KEY_NOT_VERIFIABLE,
                             "host key not verifiable", out);
        return OK;
    }
    key_freep(&transport->exchange->key);
    cert_freep(&transport->exchange->cert);
    transport->exchange->key = NULL;
    transport->exchange->cert = NULL;
    return transport_fail(transport, send_newkeys(transport, out), out);
}
