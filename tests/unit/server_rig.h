/*
 * A server in memory, and a peer that is no more than a transport: it can send any message, valid
 * or not, and looks at each that comes back.
 */
#ifndef POSTERN_TESTS_UNIT_SERVER_RIG_H
#define POSTERN_TESTS_UNIT_SERVER_RIG_H

#include "base/limits.h"
#include "base/random.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"
#include "transport/channel.h"
#include "transport/client.h"
#include "transport/server.h"
#include "transport/userauth.h"

#include "check.h"

enum {
    RIG_BYTES_MAX = 64 * 1024 * 1024,
    RIG_WINDOW = 100000,
    RIG_ROOM = 90000,
    RIG_PACKET = 20000
};

/* What one side has sent and the other not yet taken. */
struct rig_pipe {
    struct buf bytes;
    size_t at;
};

struct rig {
    struct server_config server_config;
    struct transport_config peer_config;
    struct transport_host_key host_keys[2];
    struct server *server;
    struct transport *peer;
    struct rig_pipe to_server, to_peer;
    int64_t now_ms;
    bool keeps_sign; /* SERVER_SIGN is for the test to answer */
};

static struct private_key *rig_host_key, *rig_rsa_host_key;
static struct private_key *rig_alice_key, *rig_bob_key;

__attribute__((unused)) static int rig_make_keys(void **state) {
    (void)state;
    return failed(private_key_generate(KEY_ED25519, 256, &rig_host_key)) ||
                   failed(private_key_generate(KEY_RSA, 2048, &rig_rsa_host_key)) ||
                   failed(private_key_generate(KEY_ED25519, 256, &rig_alice_key)) ||
                   failed(private_key_generate(KEY_ECDSA_256, 256, &rig_bob_key))
               ? -1
               : 0;
}

__attribute__((unused)) static int rig_free_keys(void **state) {
    (void)state;
    private_key_freep(&rig_host_key);
    private_key_freep(&rig_rsa_host_key);
    private_key_freep(&rig_alice_key);
    private_key_freep(&rig_bob_key);
    return 0;
}

static struct transport_input rig_input(const struct rig_pipe *pipe) {
    return (struct transport_input){pipe->bytes.data + pipe->at, pipe->bytes.len - pipe->at};
}

static void rig_consumed(struct rig_pipe *pipe, const struct transport_input *input) {
    pipe->at = pipe->bytes.len - input->len;
}

/* Messages: b byte, t bool, u uint32, s string of a C string, S string of a span, R raw span. */
__attribute__((unused)) static void rig_write(struct buf *to, const char *format, va_list args) {
    for (; *format != '\0'; format++) {
        switch (*format) {
        case 'b':
            assert_ok(wire_put_u8(to, (uint8_t)va_arg(args, int)));
            break;
        case 't':
            assert_ok(wire_put_bool(to, va_arg(args, int) != 0));
            break;
        case 'u':
            assert_ok(wire_put_u32(to, va_arg(args, uint32_t)));
            break;
        case 's':
            assert_ok(wire_put_text(to, va_arg(args, const char *)));
            break;
        case 'S':
            assert_ok(wire_put_string(to, va_arg(args, span_t)));
            break;
        case 'R':
            assert_ok(buf_add(to, va_arg(args, span_t)));
            break;
        default:
            fail_msg("format %c", *format);
        }
    }
}

__attribute__((unused)) static void rig_send_span(struct rig *rig, span_t message) {
    assert_ok(transport_send(rig->peer, message, rig->now_ms, &rig->to_server.bytes));
}

__attribute__((unused)) static void rig_send(struct rig *rig, const char *format, ...) {
    struct buf message CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    va_list args;
    va_start(args, format);
    rig_write(&message, format, args);
    va_end(args);
    rig_send_span(rig, buf_span(&message));
}

static const struct private_key *rig_private_half(const struct key *key) {
    return key_equal(key, private_key_public(rig_host_key)) ? rig_host_key : rig_rsa_host_key;
}

static void rig_sign(struct rig *rig, const struct server_event *event) {
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    enum rsa_hash hash = strcmp(event->algorithm, "rsa-sha2-256") == 0 ? RSA_SHA256 : RSA_SHA512;
    assert_ok(
        private_key_sign(rig_private_half(event->host_key->key), event->data, hash, &signature));
    assert_ok(server_signed(rig->server, buf_span(&signature), rig->now_ms, &rig->to_peer.bytes));
}

__attribute__((unused)) static err_t rig_try_next(struct rig *rig, struct server_event *event) {
    for (;;) {
        struct transport_input input = rig_input(&rig->to_server);
        TRY(server_next(rig->server, &input, rig->now_ms, &rig->to_peer.bytes, event));
        rig_consumed(&rig->to_server, &input);
        if (event->type != SERVER_SIGN || rig->keeps_sign) {
            return OK;
        }
        rig_sign(rig, event);
    }
}

/* The server's next event, which is of this type. */
__attribute__((unused)) static struct server_event rig_event(struct rig *rig,
                                                             enum server_event_type type) {
    struct server_event event;
    assert_ok(rig_try_next(rig, &event));
    assert_int_equal(event.type, type);
    return event;
}

__attribute__((unused)) static void rig_quiet(struct rig *rig) {
    (void)rig_event(rig, SERVER_NEEDS_INPUT);
}

/* What the peer gets next: an event of the transport that is none of the exchange's. */
static struct transport_event rig_peer_next(struct rig *rig) {
    for (;;) {
        struct transport_event event;
        struct transport_input input = rig_input(&rig->to_peer);
        assert_ok(transport_next(rig->peer, &input, rig->now_ms, &rig->to_server.bytes, &event));
        rig_consumed(&rig->to_peer, &input);
        if (event.type == TRANSPORT_HOST_KEY) {
            assert_ok(transport_trust(rig->peer, true, &rig->to_server.bytes));
        } else if (event.type != TRANSPORT_NEWKEYS) {
            return event;
        }
    }
}

/* The next message to the peer, which has this number; without the number. */
__attribute__((unused)) static span_t rig_message(struct rig *rig, int number) {
    struct transport_event event = rig_peer_next(rig);
    assert_int_equal(event.type, TRANSPORT_MESSAGE);
    assert_int_equal(event.data.data[0], number);
    return span_of(event.data.data + 1, event.data.len - 1);
}

__attribute__((unused)) static void rig_no_message(struct rig *rig) {
    assert_int_equal(rig_peer_next(rig).type, TRANSPORT_NEEDS_INPUT);
}

/* The session is over: the peer is told so, and nothing goes on. */
__attribute__((unused)) static void rig_ended(struct rig *rig, enum disconnect_reason reason) {
    struct server_event event;
    struct transport_event got = rig_peer_next(rig);
    while (got.type == TRANSPORT_MESSAGE) {
        got = rig_peer_next(rig);
    }
    assert_int_equal(got.type, TRANSPORT_DISCONNECTED);
    assert_int_equal(got.reason, reason);
    assert_fails(rig_try_next(rig, &event), ERR_CLOSED);
}

/* The server refuses what it is about to read, and ends the session. */
__attribute__((unused)) static void rig_fatal(struct rig *rig, enum disconnect_reason reason) {
    struct server_event event = {.type = SERVER_DISCONNECTED};
    assert_fails(rig_try_next(rig, &event), ERR_PROTOCOL);
    assert_int_equal(event.type, SERVER_DISCONNECTED); /* untouched */
    rig_ended(rig, reason);
}

/* Both sides read until neither has anything to say. */
__attribute__((unused)) static void rig_settle(struct rig *rig) {
    size_t before;
    do {
        before = rig->to_server.at + rig->to_peer.at;
        rig_quiet(rig);
        rig_no_message(rig);
    } while (rig->to_server.at + rig->to_peer.at != before);
}

/* Two sides that have their keys. */
__attribute__((unused)) static void rig_start(struct rig *rig) {
    *rig = (struct rig){
        .host_keys = {{.key = private_key_public(rig_host_key)},
                      {.key = private_key_public(rig_rsa_host_key)}},
        .server_config = {.transport = {.role = TRANSPORT_SERVER,
                                        .software = "Test",
                                        .random = randomness_of_kernel,
                                        .host_key_count = 2},
                          .channels_max = 4,
                          .auth_tries_max = 3},
        .peer_config = {.role = TRANSPORT_CLIENT,
                        .software = "Peer",
                        .kex = "curve25519-sha256",
                        .random = randomness_of_kernel},
        .now_ms = 1000,
    };
    rig->server_config.transport.host_keys = rig->host_keys;
    buf_init(&rig->to_server.bytes, RIG_BYTES_MAX);
    buf_init(&rig->to_peer.bytes, RIG_BYTES_MAX);
    assert_ok(server_new(&rig->server_config, rig->now_ms, &rig->to_peer.bytes, &rig->server));
    assert_ok(transport_new(&rig->peer_config, rig->now_ms, &rig->to_server.bytes, &rig->peer));
    rig_settle(rig);
    assert_true(transport_is_open(rig->peer));
}

__attribute__((unused)) static void rig_done(struct rig *rig) {
    server_freep(&rig->server);
    transport_freep(&rig->peer);
    buf_done(&rig->to_server.bytes);
    buf_done(&rig->to_peer.bytes);
}

__attribute__((unused)) static void rig_get_service(struct rig *rig) {
    rig_send(rig, "bs", MSG_SERVICE_REQUEST, "ssh-userauth");
    rig_quiet(rig);
    span_t body = rig_message(rig, MSG_SERVICE_ACCEPT);
    span_t name;
    assert_ok(wire_get_string(&body, &name));
    assert_true(span_equal_str(name, "ssh-userauth"));
}

__attribute__((unused)) static void rig_ask_none(struct rig *rig) {
    rig_send(rig, "bsss", MSG_USERAUTH_REQUEST, "alice", "ssh-connection", "none");
}

/* --- "publickey" by hand, with every part to be chosen --- */

struct rig_proof {
    const char *user, *service, *algorithm;
    span_t blob;
    const struct private_key *key; /* signs */
    /* What is signed; NULL or empty: what is sent. */
    const char *signed_user, *signed_algorithm;
    span_t signed_session_id;
    enum rsa_hash hash;
};

__attribute__((unused)) static struct rig_proof rig_proof_of(const char *user,
                                                             const struct private_key *key) {
    const struct key *public_key = private_key_public(key);
    return (struct rig_proof){.user = user,
                              .service = "ssh-connection",
                              .algorithm = key_type_name(public_key),
                              .blob = key_blob(public_key),
                              .key = key};
}

__attribute__((unused)) static void rig_signature(struct rig *rig, const struct rig_proof *proof,
                                                  struct buf *signature) {
    struct buf data CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    span_t session_id = transport_session_id(rig->peer);
    if (proof->signed_session_id.len > 0) {
        session_id = proof->signed_session_id;
    }
    assert_ok(wire_put_string(&data, session_id));
    assert_ok(wire_put_u8(&data, MSG_USERAUTH_REQUEST));
    assert_ok(wire_put_text(&data, proof->signed_user != NULL ? proof->signed_user : proof->user));
    assert_ok(wire_put_text(&data, proof->service));
    assert_ok(wire_put_text(&data, "publickey"));
    assert_ok(wire_put_bool(&data, true));
    assert_ok(wire_put_text(&data, proof->signed_algorithm != NULL ? proof->signed_algorithm
                                                                   : proof->algorithm));
    assert_ok(wire_put_string(&data, proof->blob));
    assert_ok(private_key_sign(proof->key, buf_span(&data), proof->hash, signature));
}

__attribute__((unused)) static void rig_send_signed(struct rig *rig, const struct rig_proof *proof,
                                                    span_t signature) {
    rig_send(rig, "bssstsSS", MSG_USERAUTH_REQUEST, proof->user, proof->service, "publickey", true,
             proof->algorithm, proof->blob, signature);
}

__attribute__((unused)) static void rig_prove(struct rig *rig, const struct rig_proof *proof) {
    struct buf signature CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    rig_signature(rig, proof, &signature);
    rig_send_signed(rig, proof, buf_span(&signature));
}

__attribute__((unused)) static void rig_offer(struct rig *rig, const struct rig_proof *proof) {
    rig_send(rig, "bssstsS", MSG_USERAUTH_REQUEST, proof->user, proof->service, "publickey", false,
             proof->algorithm, proof->blob);
}

__attribute__((unused)) static void rig_fail(struct rig *rig) {
    assert_ok(server_auth_fail(rig->server, rig->now_ms, &rig->to_peer.bytes));
}

/* The proof is refused as such, and costs a try. */
__attribute__((unused)) static void rig_refused(struct rig *rig) {
    struct server_event event = rig_event(rig, SERVER_AUTH_METHOD);
    assert_true(span_equal_str(event.method, "publickey"));
    assert_null(event.key);
    assert_null(event.cert);
    assert_false(server_is_authenticated(rig->server));
    rig_fail(rig);
    span_t body = rig_message(rig, MSG_USERAUTH_FAILURE);
    span_t methods;
    bool partial;
    assert_ok(wire_get_string(&body, &methods));
    assert_ok(wire_get_bool(&body, &partial));
    assert_ok(wire_expect_end(body));
    assert_true(span_equal_str(methods, "publickey"));
    assert_false(partial);
}

__attribute__((unused)) static void rig_authenticate(struct rig *rig) {
    rig_start(rig);
    rig_get_service(rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_prove(rig, &proof);
    (void)rig_event(rig, SERVER_AUTH_PROVED);
    assert_ok(server_auth_accept(rig->server, rig->now_ms, &rig->to_peer.bytes));
    assert_true(server_is_authenticated(rig->server));
    (void)rig_message(rig, MSG_USERAUTH_SUCCESS);
    (void)rig_message(rig, MSG_GLOBAL_REQUEST);
    rig_no_message(rig);
}

/* --- channels --- */

__attribute__((unused)) static void rig_ask_direct(struct rig *rig, uint32_t peer) {
    rig_send(rig, "bsuuususu", MSG_CHANNEL_OPEN, "direct-tcpip", peer, (uint32_t)RIG_ROOM,
             (uint32_t)RIG_PACKET, "node1", 22U, "10.0.0.1", 4242U);
}

__attribute__((unused)) static void rig_ask_session(struct rig *rig, uint32_t peer) {
    rig_send(rig, "bsuuu", MSG_CHANNEL_OPEN, "session", peer, (uint32_t)RIG_ROOM,
             (uint32_t)RIG_PACKET);
}

__attribute__((unused)) static void rig_accept(struct rig *rig, channel_id channel) {
    assert_ok(
        server_open_accept(rig->server, channel, RIG_WINDOW, rig->now_ms, &rig->to_peer.bytes));
    (void)rig_message(rig, MSG_CHANNEL_OPEN_CONFIRMATION);
}

/* An open channel; the peer's number of it is ours + 100. */
__attribute__((unused)) static channel_id rig_direct(struct rig *rig) {
    rig_ask_direct(rig, 100);
    channel_id channel = rig_event(rig, SERVER_OPEN_DIRECT).channel;
    rig_accept(rig, channel);
    return channel;
}

__attribute__((unused)) static channel_id rig_session(struct rig *rig) {
    rig_ask_session(rig, 100);
    channel_id channel = rig_event(rig, SERVER_OPEN_SESSION).channel;
    rig_accept(rig, channel);
    return channel;
}

__attribute__((unused)) static void rig_send_data(struct rig *rig, uint32_t channel, size_t len) {
    uint8_t *bytes CLEANUP(freep) = calloc(1, len + 1);
    assert_non_null(bytes);
    rig_send(rig, "buS", MSG_CHANNEL_DATA, channel, span_of(bytes, len));
}

/* A message whose body is one channel number, or two numbers. */
__attribute__((unused)) static uint32_t rig_channel_of(span_t body) {
    uint32_t channel;
    assert_ok(wire_get_u32(&body, &channel));
    return channel;
}

__attribute__((unused)) static void rig_send_to_peer(struct rig *rig, channel_id channel,
                                                     size_t len) {
    uint8_t *to;
    assert_ok(server_channel_data_begin(rig->server, channel, len, &rig->to_peer.bytes, &to));
    memset(to, 'x', len);
    assert_ok(server_channel_data_end(rig->server, channel, len, rig->now_ms, &rig->to_peer.bytes));
}

__attribute__((unused)) static span_t rig_data_to_peer(struct rig *rig) {
    span_t body = rig_message(rig, MSG_CHANNEL_DATA);
    span_t data;
    uint32_t peer;
    assert_ok(wire_get_u32(&body, &peer));
    assert_int_equal(peer, 100);
    assert_ok(wire_get_string(&body, &data));
    assert_ok(wire_expect_end(body));
    return data;
}

#endif
