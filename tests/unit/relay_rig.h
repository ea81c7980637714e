/*
 * A relay in this process, on loopback: its listening socket, a thread that is `keys` and `names`,
 * a feed that the test speaks for, and clients and targets that the test plays itself.
 */
#ifndef POSTERN_TESTS_UNIT_RELAY_RIG_H
#define POSTERN_TESTS_UNIT_RELAY_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gate/gate.h"
#include "ssh/agent.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"
#include "transport/client.h"

#include "check.h"

enum { RIG_WORKERS = 2, RIG_WAIT_MS = 20 * 1000, RIG_BYTES_MAX = 64 * 1024 * 1024 };

static struct private_key *rig_ca, *rig_host_key, *rig_alice;

__attribute__((unused)) static int rig_make_keys(void **state) {
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    return failed(private_key_generate(KEY_ED25519, 256, &rig_ca)) ||
                   failed(private_key_generate(KEY_ED25519, 256, &rig_host_key)) ||
                   failed(private_key_generate(KEY_ED25519, 256, &rig_alice))
               ? -1
               : 0;
}

__attribute__((unused)) static int rig_free_keys(void **state) {
    (void)state;
    private_key_freep(&rig_ca);
    private_key_freep(&rig_host_key);
    private_key_freep(&rig_alice);
    return 0;
}

/* A certificate of alice's key for whoever. `extension` may be NULL. */
__attribute__((unused)) static struct cert *rig_cert(const char *principal, uint64_t serial,
                                                     int64_t lifetime_s, const char *extension) {
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    struct cert *cert = NULL;
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(rig_alice), &cert->key));
    cert->serial = serial;
    cert->type = CERT_USER;
    cert->valid_after = (uint64_t)clock_now_s() - 60;
    cert->valid_before = (uint64_t)(clock_now_s() + lifetime_s);
    assert_ok(cert_set_key_id(cert, "of a test"));
    assert_ok(cert_add_principal(cert, principal));
    if (extension != NULL) {
        assert_ok(cert_add_extension(cert, extension, NULL));
    }
    assert_ok(cert_prepare(cert, private_key_public(rig_ca)));
    assert_ok(private_key_sign(rig_ca, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    return cert;
}

/* --- sockets --- */

__attribute__((unused)) static void rig_no_block(int fd) {
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

__attribute__((unused)) static int rig_listen(uint16_t *port, int backlog) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

__attribute__((unused)) static void rig_wait(int fd, short events) {
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, RIG_WAIT_MS), 1);
}

__attribute__((unused)) static int rig_accept(int listener) {
    rig_wait(listener, POLLIN);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

__attribute__((unused)) static void rig_read(int fd, void *to, size_t len) {
    for (size_t at = 0; at < len;) {
        rig_wait(fd, POLLIN);
        ssize_t got = read(fd, (uint8_t *)to + at, len - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
}

/* --- keys and names --- */

/* Questions of a worker that are kept. */
struct rig_late {
    size_t count;
    uint32_t ids[LIMIT_NAMES_ASKED_COUNT];
};

struct rig {
    struct relay *relay;
    struct gate_shared
        *shared;               /* aligned as memory of a mapping, which a stack under ASan is not */
    struct gate_config config; /* to be changed before rig_start() */
    uint16_t port;
    uint64_t revision;
    int helpers[2 * RIG_WORKERS]; /* our ends: of keys, then of names */
    int end[2];                   /* a pipe: 'e' ends the thread, others make it look again */
    _Atomic bool mute;            /* nothing is answered */
    struct rig_late late_of[RIG_WORKERS];
    _Atomic size_t late; /* of all workers */
    pthread_t thread;
};

static void rig_sign(int fd, span_t message) {
    struct agent_request request;
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    struct buf answer CLEANUP(buf_done) = BUF(8192);
    assert_ok(agent_get_request(message, &request));
    assert_ok(private_key_sign(rig_host_key, request.data, RSA_SHA512, &signature));
    assert_ok(agent_put_sign_response(&answer, buf_span(&signature)));
    assert_int_equal(write(fd, answer.data, answer.len), answer.len);
}

static void rig_answer_name(int fd, uint32_t id, bool known) {
    size_t mark;
    struct buf answer CLEANUP(buf_done) = BUF(GATE_NAMES_MESSAGE_BYTES);
    assert_ok(wire_string_begin(&answer, &mark));
    assert_ok(wire_put_u32(&answer, id));
    assert_ok(wire_put_u8(&answer, known ? GATE_NAMES_FOUND : GATE_NAMES_NOT_FOUND));
    if (known) {
        assert_ok(wire_put_u8(&answer, 4));
        assert_ok(buf_add(&answer, span_of((uint8_t[]){169, 254, 169, 254}, 4)));
    }
    wire_string_end(&answer, mark);
    assert_int_equal(write(fd, answer.data, answer.len), answer.len);
}

/* "metadata.example" is at an address that nobody may go to; so is "late.example", which is not
 * answered before somebody asks for "now.example"; other names are not known. */
static void rig_resolve(struct rig *rig, size_t which, span_t message) {
    int fd = rig->helpers[which];
    uint32_t id;
    span_t name;
    assert_ok(wire_get_u32(&message, &id));
    assert_ok(wire_get_string(&message, &name));
    struct rig_late *late = &rig->late_of[which - RIG_WORKERS];
    if (span_equal_str(name, "late.example")) {
        assert_true(late->count < LIMIT_NAMES_ASKED_COUNT);
        late->ids[late->count++] = id;
        rig->late++;
        return;
    }
    while (span_equal_str(name, "now.example") && late->count > 0) {
        rig_answer_name(fd, late->ids[--late->count], true);
        rig->late--;
    }
    rig_answer_name(fd, id, span_equal_str(name, "metadata.example"));
}

static void rig_help(struct rig *rig, size_t which, struct buf *stream) {
    uint8_t bytes[4096];
    ssize_t got = recv(rig->helpers[which], bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0 || rig->mute) {
        return;
    }
    assert_ok(buf_add(stream, span_of(bytes, (size_t)got)));
    span_t left = buf_span(stream), message;
    while (!failed(wire_get_string(&left, &message))) {
        if (which < RIG_WORKERS) {
            rig_sign(rig->helpers[which], message);
        } else {
            rig_resolve(rig, which, message);
        }
    }
    memmove(stream->data, left.data, left.len);
    stream->len = left.len;
}

static void *rig_helper_main(void *context) {
    struct rig *rig = context;
    struct buf streams[2 * RIG_WORKERS];
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        buf_init(&streams[i], 1 << 20);
    }
    for (;;) {
        struct pollfd wait[2 * RIG_WORKERS + 1] = {0};
        for (size_t i = 0; i < COUNT_OF(streams); i++) {
            wait[i] = (struct pollfd){.fd = rig->helpers[i], .events = POLLIN};
        }
        wait[2 * RIG_WORKERS] = (struct pollfd){.fd = rig->end[0], .events = POLLIN};
        (void)poll(wait, COUNT_OF(wait), -1);
        char word;
        if (wait[2 * RIG_WORKERS].revents != 0 && read(rig->end[0], &word, 1) == 1 && word == 'e') {
            break;
        }
        for (size_t i = 0; i < COUNT_OF(streams); i++) {
            if ((wait[i].revents & POLLIN) != 0) {
                rig_help(rig, i, &streams[i]);
            }
        }
    }
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        buf_done(&streams[i]);
    }
    return NULL;
}

/* --- the feed --- */

__attribute__((unused)) static void rig_tell(struct rig *rig, bool snapshot, const char *kind,
                                             const char *key, const char *state) {
    struct buf json CLEANUP(buf_done) = BUF(65536);
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    rig->revision++;
    assert_ok(change_answer_begin(&json, rig->revision, snapshot));
    assert_ok(change_answer_add(&json, rig->revision, kind, key, state));
    assert_ok(change_answer_end(&json));
    assert_ok(change_answer_decode(buf_span(&json), &answer, NULL));
    assert_ok(relay_apply(rig->relay, answer, clock_now_s()));
}

__attribute__((unused)) static void rig_tell_host(struct rig *rig, const char *name,
                                                  const char *address, uint16_t port) {
    char state[256];
    (void)snprintf(state, sizeof state,
                   "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"%s\",\"port\":%u}",
                   address, port);
    rig_tell(rig, false, "host", name, state);
}

static void rig_tell_beginning(struct rig *rig) {
    char fingerprint[FINGERPRINT_CHARS], state[512];
    struct buf line CLEANUP(buf_done) = BUF(1024);
    key_fingerprint(private_key_public(rig_ca), fingerprint);
    assert_ok(key_print_line(private_key_public(rig_ca), NULL, &line));
    (void)snprintf(state, sizeof state, "{\"type\":\"user\",\"publicKey\":\"%.*s\"}", (int)line.len,
                   (const char *)line.data);
    rig_tell(rig, true, "ca", fingerprint, state);
    rig_tell(rig, false, "account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\"]}");
    rig_tell(rig, false, "account", "bob", "{\"enabled\":true,\"clusters\":[\"daint\"]}");
    rig_tell(rig, false, "cluster", "daint", "{\"address\":\"\",\"port\":22}");
}

/* --- the relay --- */

__attribute__((unused)) static void rig_init(struct rig *rig) {
    *rig = (struct rig){.config = {
                            .sessions_max = 1000,
                            .sessions_per_account_max = 100,
                            .sessions_per_address_max = 100,
                            .logins_max = 100,
                            .login_failures_max = 20,
                            .channels_max = 64,
                            .session_bytes_max = 8 * 1024 * 1024,
                            .login_s = 30,
                            .keepalive_max = 2,
                            .connect_s = 10,
                            .cut_expired = true,
                            .max_age_s = 3600,
                        }};
    /* Aligned as it must be, which a stack under AddressSanitizer is not. */
    static struct gate_shared shared;
    memset(&shared, 0, sizeof shared);
    rig->shared = &shared;
}

static void rig_pairs(struct rig *rig, int *keys, int *names) {
    for (int i = 0; i < RIG_WORKERS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        rig->helpers[i] = pair[0];
        keys[i] = pair[1];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        rig->helpers[RIG_WORKERS + i] = pair[0];
        names[i] = pair[1];
    }
}

__attribute__((unused)) static void rig_start(struct rig *rig) {
    int keys[RIG_WORKERS], names[RIG_WORKERS];
    struct key **host_keys = calloc(1, sizeof(struct key *));
    struct relay_setup *setup = NULL;
    struct fault fault = {0};
    assert_ok(key_copy(private_key_public(rig_host_key), &host_keys[0]));
    assert_ok(relay_setup_new(&rig->config, host_keys, calloc(1, sizeof(struct cert *)), 1, &setup,
                              &fault));
    rig_pairs(rig, keys, names);
    int listener = rig_listen(&rig->port, 1024);
    rig_no_block(listener);
    const struct relay_wiring wiring = {.listeners = &listener,
                                        .listener_count = 1,
                                        .workers = RIG_WORKERS,
                                        .keys = keys,
                                        .names = names,
                                        .shared = rig->shared};
    assert_ok(relay_new(&wiring, setup, &rig->relay));
    assert_int_equal(pipe(rig->end), 0);
    assert_int_equal(pthread_create(&rig->thread, NULL, rig_helper_main, rig), 0);
    rig_tell_beginning(rig);
    assert_ok(relay_start(rig->relay));
}

__attribute__((unused)) static void rig_done(struct rig *rig) {
    relay_stop(rig->relay, "posterngate: the test is over");
    relay_free(rig->relay);
    assert_int_equal(write(rig->end[1], "e", 1), 1);
    (void)pthread_join(rig->thread, NULL);
    for (size_t i = 0; i < COUNT_OF(rig->helpers); i++) {
        (void)close(rig->helpers[i]);
    }
    (void)close(rig->end[0]);
    (void)close(rig->end[1]);
}

#define RIG_COUNT(rig, name) ((rig)->shared->workers[0].name + (rig)->shared->workers[1].name)
/* Waits until the workers' counter is just that. */
#define RIG_AWAIT(rig, name, value)                                                                \
    do {                                                                                           \
        int64_t until_ = clock_monotonic_ms() + RIG_WAIT_MS;                                       \
        while (RIG_COUNT(rig, name) != (uint64_t)(value)) {                                        \
            assert_true(clock_monotonic_ms() < until_);                                            \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
    } while (0)

/* --- a client --- */

struct peer {
    int fd;
    struct client *client;
    struct client_config config;
    struct buf in, out;
    size_t in_at; /* what of `in` is consumed */
    bool deaf;    /* reads nothing */
    char banner[512];
};

static void peer_connect(struct rig *rig, struct peer *peer) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(rig->port)};
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&at, sizeof at), 0);
    rig_no_block(peer->fd);
}

__attribute__((unused)) static void peer_open(struct rig *rig, struct peer *peer, const char *user,
                                              const struct cert *cert) {
    *peer = (struct peer){
        .config = {.transport = {.role = TRANSPORT_CLIENT,
                                 .software = "test",
                                 .kex = "curve25519-sha256",
                                 .random = randomness_of_kernel},
                   .user = user,
                   .key = rig_alice,
                   .cert = cert,
                   .offer_first = true},
        .in = BUF(RIG_BYTES_MAX),
        .out = BUF(RIG_BYTES_MAX),
    };
    peer_connect(rig, peer);
    assert_ok(client_new(&peer->config, clock_monotonic_ms(), &peer->out, &peer->client));
}

__attribute__((unused)) static void peer_done(struct peer *peer) {
    if (peer->fd >= 0) {
        (void)close(peer->fd);
    }
    client_free(peer->client);
    buf_done(&peer->in);
    buf_done(&peer->out);
}

static void peer_write(struct peer *peer) {
    while (peer->out.len > 0) {
        ssize_t put = send(peer->fd, peer->out.data, peer->out.len, MSG_NOSIGNAL);
        if (put <= 0) {
            if (put < 0 && errno != EAGAIN) {
                buf_clear(&peer->out);
            }
            return;
        }
        memmove(peer->out.data, peer->out.data + put, peer->out.len - (size_t)put);
        peer->out.len -= (size_t)put;
    }
}

/* Reads what is there; false: the connection is over. */
static bool peer_fill(struct peer *peer) {
    uint8_t *room;
    size_t before = peer->in.len - peer->in_at;
    assert_ok(buf_extend(&peer->in, 128 * 1024, &room));
    memmove(peer->in.data, peer->in.data + peer->in_at, before);
    room = peer->in.data + before;
    peer->in_at = 0;
    ssize_t got = read(peer->fd, room, 128 * 1024);
    peer->in.len = before + (got > 0 ? (size_t)got : 0);
    return got > 0 || (got < 0 && errno == EAGAIN);
}

/* The next event but host keys, which are trusted; NEEDS_INPUT only when the connection is over, or
 * after wait_ms.
 */
__attribute__((unused)) static struct client_event peer_next(struct peer *peer, int wait_ms) {
    for (;;) {
        struct client_event event = {0};
        struct transport_input input = {peer->in.data + peer->in_at, peer->in.len - peer->in_at};
        err_t err = client_next(peer->client, &input, clock_monotonic_ms(), &peer->out, &event);
        peer->in_at = peer->in.len - input.len;
        peer_write(peer);
        if (!failed(err) && event.type == CLIENT_HOST_KEY) {
            assert_ok(client_trust(peer->client, true, clock_monotonic_ms(), &peer->out));
            continue;
        }
        if (failed(err) || event.type != CLIENT_NEEDS_INPUT) {
            return event;
        }
        struct pollfd wait = {.fd = peer->fd,
                              .events = (short)(POLLIN | (peer->out.len > 0 ? POLLOUT : 0))};
        if (poll(&wait, 1, wait_ms) == 0 ||
            ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !peer_fill(peer))) {
            return event;
        }
    }
}

/* Passes over others; banners are kept. */
__attribute__((unused)) static struct client_event peer_await(struct peer *peer,
                                                              enum client_event_type type) {
    for (;;) {
        struct client_event event = peer_next(peer, RIG_WAIT_MS);
        if (event.type == CLIENT_BANNER) {
            (void)snprintf(peer->banner, sizeof peer->banner, "%.*s", (int)event.data.len,
                           (const char *)event.data.data);
        }
        if (event.type == type) {
            return event;
        }
        if (event.type == CLIENT_NEEDS_INPUT || event.type == CLIENT_REFUSED ||
            event.type == CLIENT_DISCONNECTED) {
            print_error("got %d (%.*s) while waiting for %d\n", event.type, (int)event.data.len,
                        (const char *)event.data.data, type);
            fail();
        }
    }
}

__attribute__((unused)) static void peer_login(struct rig *rig, struct peer *peer,
                                               const struct cert *cert) {
    peer_open(rig, peer, "alice", cert);
    (void)peer_await(peer, CLIENT_AUTHENTICATED);
}

__attribute__((unused)) static channel_id peer_ask(struct peer *peer, const char *host,
                                                   uint16_t port, uint32_t window) {
    channel_id channel;
    assert_ok(client_open_direct(peer->client, host, port, window, clock_monotonic_ms(), &peer->out,
                                 &channel));
    return channel;
}

/* A channel to the host "t", which is what rig_tell_host() said it is. */
__attribute__((unused)) static channel_id
peer_channel(struct peer *peer, int listener, uint16_t port, uint32_t window, int *target) {
    channel_id channel = peer_ask(peer, "t", port, window);
    assert_int_equal(peer_await(peer, CLIENT_OPENED).channel, channel);
    *target = rig_accept(listener);
    return channel;
}

__attribute__((unused)) static void peer_send(struct peer *peer, channel_id channel, span_t data) {
    assert_ok(client_channel_data(peer->client, channel, data, clock_monotonic_ms(), &peer->out));
    peer_write(peer);
}

#endif
