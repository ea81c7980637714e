/*
 * A server and a client in memory, each with what it sent, what it got and how it ended. Randomness
 * is a seeded stream, time a number, and the signer signs in place.
 */
#ifndef POSTERN_TESTS_UNIT_TRANSPORT_RIG_H
#define POSTERN_TESTS_UNIT_TRANSPORT_RIG_H

#include "check.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"
#include "transport/transport_internal.h"

enum { RIG_BYTES_MAX = 64 * 1024 * 1024 };

/* --- host keys: one of each type, each with a certificate --- */

enum { RIG_ED25519, RIG_ECDSA, RIG_RSA, RIG_KEYS_COUNT };

static struct private_key *rig_ca;
static struct private_key *rig_keys[RIG_KEYS_COUNT];
static struct transport_host_key rig_host_keys[RIG_KEYS_COUNT];

static void rig_certify(struct private_key *key, struct cert **out) {
    struct cert *cert = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(1024);
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(key), &cert->key));
    cert->serial = 1;
    cert->type = CERT_HOST;
    cert->valid_before = CERT_FOREVER;
    assert_ok(cert_set_key_id(cert, "gate"));
    assert_ok(cert_add_principal(cert, "gate.example.org"));
    assert_ok(cert_prepare(cert, private_key_public(rig_ca)));
    assert_ok(private_key_sign(rig_ca, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    *out = cert;
}

__attribute__((unused)) static int rig_setup(void **state) {
    (void)state;
    static const struct {
        enum key_type type;
        unsigned bits;
    } kinds[] = {{KEY_ED25519, 256}, {KEY_ECDSA_256, 256}, {KEY_RSA, 2048}};
    assert_ok(private_key_generate(KEY_ED25519, 256, &rig_ca));
    for (size_t i = 0; i < RIG_KEYS_COUNT; i++) {
        struct cert *cert;
        assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &rig_keys[i]));
        rig_certify(rig_keys[i], &cert);
        rig_host_keys[i] = (struct transport_host_key){private_key_public(rig_keys[i]), cert};
    }
    return 0;
}

__attribute__((unused)) static int rig_teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < RIG_KEYS_COUNT; i++) {
        struct cert *cert = (struct cert *)(uintptr_t)rig_host_keys[i].cert;
        cert_free(cert);
        private_key_free(rig_keys[i]);
    }
    private_key_free(rig_ca);
    return 0;
}

static void rig_sign(const struct transport_event *event, struct buf *out) {
    for (size_t i = 0; i < RIG_KEYS_COUNT; i++) {
        if (event->host_key == &rig_host_keys[i]) {
            bool sha256 = strcmp(event->algorithm, "rsa-sha2-256") == 0;
            assert_ok(
                private_key_sign(rig_keys[i], event->data, sha256 ? RSA_SHA256 : RSA_SHA512, out));
            return;
        }
    }
    fail_msg("a host key that nobody has");
}

/* --- one side --- */

struct rig_side {
    struct transport_config config;
    struct transport *transport;
    uint64_t seed;
    struct buf out; /* what it sent and nobody took yet */
    struct buf in;  /* what it was given; in_taken bytes of it are consumed */
    size_t in_taken;
    size_t given;       /* how much it was given so far … */
    size_t flip;        /* from one on: the byte that arrives with a bit flipped */
    size_t chunk, cut;  /* … and how: in pieces of so many bytes; stopping once at a place */
    bool answers_later; /* SIGN and HOST_KEY wait for rig_answer() */
    struct buf to_sign; /* the signature that waits */
    struct buf got;     /* messages, as strings */
    size_t messages, newkeys;
    bool asked;        /* SIGN or HOST_KEY has come and was not answered */
    bool early;        /* a message before the first NEWKEYS */
    err_t err;         /* what ended it */
    bool disconnected; /* by the peer, … */
    uint32_t reason;   /* … who said why */
    char text[256];
    char shown[128]; /* the type of the host key, or "… cert" */
};

struct rig {
    int64_t now_ms;
    struct rig_side server, client;
};

static void rig_fill(void *context, void *out, size_t len) {
    uint64_t *seed = context;
    uint8_t *to = out;
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 6364136223846793005U + 1442695040888963407U;
        to[i] = (uint8_t)(*seed >> 56);
    }
}

static void rig_side_init(struct rig_side *side, enum transport_role role) {
    memset(side, 0, sizeof *side);
    side->seed = role == TRANSPORT_SERVER ? 1 : 2;
    side->config = (struct transport_config){
        .role = role,
        .software = role == TRANSPORT_SERVER ? "server" : "client",
        .kex = "curve25519-sha256",
        .random = {rig_fill, &side->seed},
    };
    if (role == TRANSPORT_SERVER) {
        side->config.host_keys = rig_host_keys;
        side->config.host_key_count = RIG_KEYS_COUNT;
    }
    buf_init(&side->out, RIG_BYTES_MAX);
    buf_init(&side->in, RIG_BYTES_MAX);
    buf_init(&side->to_sign, 4096);
    buf_init(&side->got, RIG_BYTES_MAX);
}

static void rig_side_done(struct rig_side *side) {
    transport_free(side->transport);
    buf_done(&side->out);
    buf_done(&side->in);
    buf_done(&side->to_sign);
    buf_done(&side->got);
}

/* Both may be configured further before rig_start(). */
__attribute__((unused)) static void rig_init(struct rig *rig) {
    rig->now_ms = 1000;
    rig_side_init(&rig->server, TRANSPORT_SERVER);
    rig_side_init(&rig->client, TRANSPORT_CLIENT);
}

__attribute__((unused)) static void rig_start(struct rig *rig) {
    assert_ok(
        transport_new(&rig->server.config, rig->now_ms, &rig->server.out, &rig->server.transport));
    assert_ok(
        transport_new(&rig->client.config, rig->now_ms, &rig->client.out, &rig->client.transport));
}

__attribute__((unused)) static void rig_done(struct rig *rig) {
    rig_side_done(&rig->server);
    rig_side_done(&rig->client);
}

/* --- events --- */

static void rig_answer(struct rig_side *side) {
    assert_true(side->asked);
    side->asked = false;
    err_t err = side->config.role == TRANSPORT_SERVER
                    ? transport_signed(side->transport, buf_span(&side->to_sign), &side->out)
                    : transport_trust(side->transport, true, &side->out);
    buf_clear(&side->to_sign);
    if (failed(err)) {
        side->err = err;
    }
}

static void rig_event(struct rig_side *side, const struct transport_event *event) {
    switch (event->type) {
    case TRANSPORT_SIGN:
        rig_sign(event, &side->to_sign);
        side->asked = true;
        break;
    case TRANSPORT_HOST_KEY:
        (void)snprintf(side->shown, sizeof side->shown, "%s%s", key_type_name(event->key),
                       event->cert != NULL ? " cert" : "");
        side->asked = true;
        break;
    case TRANSPORT_NEWKEYS:
        side->newkeys++;
        break;
    case TRANSPORT_MESSAGE:
        side->early |= side->newkeys == 0;
        side->messages++;
        assert_ok(wire_put_string(&side->got, event->data));
        break;
    case TRANSPORT_DISCONNECTED:
        side->disconnected = true;
        side->reason = event->reason;
        (void)snprintf(side->text, sizeof side->text, "%.*s", (int)event->data.len,
                       (const char *)event->data.data);
        break;
    case TRANSPORT_NEEDS_INPUT:
        break;
    }
    if (side->asked && !side->answers_later) {
        rig_answer(side);
    }
}

/* Lets a side take of its input what it can. */
static void rig_take(struct rig *rig, struct rig_side *side) {
    struct transport_event event;
    do {
        if (failed(side->err) || side->disconnected) {
            side->in_taken = side->in.len;
            return;
        }
        struct transport_input input = {side->in.data + side->in_taken,
                                        side->in.len - side->in_taken};
        err_t err = transport_next(side->transport, &input, rig->now_ms, &side->out, &event);
        side->in_taken = side->in.len - input.len;
        if (failed(err)) {
            side->err = err;
            return;
        }
        rig_event(side, &event);
    } while (event.type != TRANSPORT_NEEDS_INPUT);
}

static void rig_give(struct rig_side *to, span_t bytes) {
    if (to->in_taken == to->in.len) {
        buf_clear(&to->in);
        to->in_taken = 0;
    }
    assert_ok(buf_add(&to->in, bytes));
}

/* How much of `len` bytes may be given at once. */
static size_t rig_piece(const struct rig_side *to, size_t len) {
    size_t piece = to->chunk != 0 && to->chunk < len ? to->chunk : len;
    bool is_cut = to->given < to->cut && to->cut < to->given + piece;
    return is_cut ? to->cut - to->given : piece;
}

/* Hands over what one side has sent. */
static void rig_move(struct rig *rig, struct rig_side *from, struct rig_side *to) {
    struct buf bytes CLEANUP(buf_done) = from->out;
    buf_init(&from->out, RIG_BYTES_MAX);
    for (size_t at = 0, len; at < bytes.len; at += len) {
        len = rig_piece(to, bytes.len - at);
        if (to->flip > to->given && to->flip <= to->given + len) {
            bytes.data[at + to->flip - to->given - 1] ^= (uint8_t)(1U << to->flip % 8);
        }
        rig_give(to, span_of(bytes.data + at, len));
        to->given += len;
        rig_take(rig, to);
    }
    rig_take(rig, to); /* time may have passed */
}

/* Until neither has anything more to say. */
__attribute__((unused)) static void rig_run(struct rig *rig) {
    do {
        rig_move(rig, &rig->client, &rig->server);
        rig_move(rig, &rig->server, &rig->client);
    } while (rig->client.out.len > 0 || rig->server.out.len > 0);
}

/* A message of one byte and a number. */
__attribute__((unused)) static err_t rig_send(struct rig *rig, struct rig_side *side,
                                              uint8_t number, uint32_t value) {
    uint8_t message[5] = {number, (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                          (uint8_t)(value >> 8), (uint8_t)value};
    return transport_send(side->transport, span_of(message, sizeof message), rig->now_ms,
                          &side->out);
}

__attribute__((unused)) static err_t rig_send_now(struct rig_side *side, span_t message) {
    return transport_send_now(side->transport, message, &side->out);
}

/* The same words, of the same length, in the KEXINIT that a side has made and not yet sent. */
__attribute__((unused)) static void rig_replace(struct rig_side *side, const char *from,
                                                const char *to) {
    struct buf *places[] = {&side->out, &side->transport->exchange->kexinit};
    size_t len = strlen(from);
    assert_int_equal(len, strlen(to));
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        uint8_t *at = memmem(places[i]->data, places[i]->len, from, len);
        assert_non_null(at);
        memcpy(at, to, len);
    }
}

/* A KEXINIT that a side has made and not yet sent says that a guess follows. */
__attribute__((unused)) static void rig_guess(struct rig_side *side) {
    struct buf *kexinit = &side->transport->exchange->kexinit;
    uint8_t *at = memmem(side->out.data, side->out.len, kexinit->data, kexinit->len);
    assert_non_null(at);
    at[kexinit->len - 5] = 1;
    kexinit->data[kexinit->len - 5] = 1;
}

/* As peers were before there was strict key exchange. */
__attribute__((unused)) static void rig_not_strict(struct rig *rig) {
    rig_replace(&rig->server, ALGORITHM_STRICT_SERVER, "kex-string-s-v00@openssh.com");
    rig_replace(&rig->client, ALGORITHM_STRICT_CLIENT, "kex-string-c-v00@openssh.com");
}

__attribute__((unused)) static void assert_open(const struct rig *rig, size_t exchanges) {
    for (size_t i = 0; i < 2; i++) {
        const struct rig_side *side = i == 0 ? &rig->server : &rig->client;
        assert_ok(side->err);
        assert_false(side->disconnected);
        assert_int_equal(side->newkeys, exchanges);
        assert_true(transport_is_open(side->transport));
    }
    assert_true(span_equal(transport_session_id(rig->server.transport),
                           transport_session_id(rig->client.transport)));
}

__attribute__((unused)) static void rig_open(struct rig *rig) {
    rig_init(rig);
    rig_start(rig);
    rig_run(rig);
    assert_open(rig, 1);
}

#endif
