/* The relay, whole, with clients and targets on loopback. */
#include "gate/relay/window.h"
#include "relay_rig.h"

static const char forwarding[] = "permit-port-forwarding";

/* --- who is let in --- */

static void expect_refused(struct rig *rig, const char *user, const struct cert *cert,
                           const char *line) {
    struct peer peer CLEANUP(peer_done);
    uint64_t before = RIG_COUNT(rig, login_failures_total);
    peer_open(rig, &peer, user, cert);
    (void)peer_await(&peer, CLIENT_REFUSED);
    if (strstr(peer.banner, line) == NULL) {
        print_error("\"%s\" is not in: %s\n", line, peer.banner);
        fail();
    }
    (void)close(peer.fd);
    peer.fd = -1;
    RIG_AWAIT(rig, login_failures_total, before + 1);
}

static void test_refused_logins(void **state) {
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *expired CLEANUP(cert_freep) = rig_cert("alice", 1, -1, forwarding);
    struct cert *bobs CLEANUP(cert_freep) = rig_cert("bob", 2, 600, forwarding);
    struct cert *revoked CLEANUP(cert_freep) = rig_cert("alice", 66, 600, forwarding);
    struct cert *nobodys CLEANUP(cert_freep) = rig_cert("nobody", 3, 600, forwarding);
    rig_tell(&rig, false, "revocation", "66",
             "{\"account\":\"alice\",\"expireTime\":\"2099-01-01T00:00:00Z\",\"reason\":\"\"}");
    expect_refused(&rig, "alice", expired, "posterngate: your certificate expired");
    expect_refused(&rig, "alice", bobs, "is for bob");
    expect_refused(&rig, "alice", NULL, "is not registered here");
    expect_refused(&rig, "alice", revoked, "is revoked");
    expect_refused(&rig, "nobody", nobodys, "no account of that name");
    expect_refused(&rig, "a-name-that-is-longer-than-any-account-may-be", bobs, "");
    struct cert *forged CLEANUP(cert_freep) = rig_cert("alice", 4, 600, forwarding);
    forged->blob.data[forged->blob.len - 1] ^= 1;
    expect_refused(&rig, "alice", forged, "posterngate: ");
    assert_int_equal(RIG_COUNT(&rig, logins_total), 0);
    RIG_AWAIT(&rig, sessions, 0);
    rig_done(&rig);
}

/* --- what a session may do --- */

static void expect_not_opened(struct peer *peer, const char *host, uint16_t port, uint32_t reason,
                              const char *text) {
    (void)peer_ask(peer, host, port, 100000);
    struct client_event event = peer_await(peer, CLIENT_OPEN_FAILED);
    assert_int_equal(event.reason, reason);
    char got[512];
    (void)snprintf(got, sizeof got, "%.*s", (int)event.data.len, (const char *)event.data.data);
    if (strstr(got, text) == NULL) {
        print_error("\"%s\" is not in: %s\n", text, got);
        fail();
    }
}

static void test_refused_channels(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done), bare CLEANUP(peer_done);
    uint16_t port;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    struct cert *without CLEANUP(cert_freep) = rig_cert("alice", 2, 600, NULL);
    int listener = rig_listen(&port, 1);
    (void)close(listener); /* a port where nobody listens */
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    rig_tell_host(&rig, "metadata", "metadata.example", 80);
    rig_tell_host(&rig, "unknown", "unknown.example", 22);
    peer_login(&rig, &peer, cert);
    expect_not_opened(&peer, "elsewhere", 22, OPEN_ADMINISTRATIVELY_PROHIBITED,
                      "posterngate: not a host of the clusters you reach (daint)");
    expect_not_opened(&peer, "t", port ^ 1, OPEN_ADMINISTRATIVELY_PROHIBITED, "not a host");
    expect_not_opened(&peer, "t", port, OPEN_CONNECT_FAILED, "refused the connection");
    expect_not_opened(&peer, "metadata", 80, OPEN_ADMINISTRATIVELY_PROHIBITED, "nobody may go");
    expect_not_opened(&peer, "unknown", 22, OPEN_CONNECT_FAILED, "is not known");
    peer_login(&rig, &bare, without);
    expect_not_opened(&bare, "t", port, OPEN_ADMINISTRATIVELY_PROHIBITED, "permit-port-forwarding");
    assert_int_equal(RIG_COUNT(&rig, channels_refused_total), 4);
    assert_int_equal(RIG_COUNT(&rig, channels_failed_total), 2);
    rig_done(&rig);
}

static void await_late(struct rig *rig, size_t count) {
    int64_t until = clock_monotonic_ms() + RIG_WAIT_MS;
    while (rig->late != count) {
        assert_true(clock_monotonic_ms() < until);
        (void)poll(NULL, 0, 2);
    }
}

/* Names that were asked for by sessions that are gone. */
static void test_late_names(void **state) {
    (void)state;
    enum { FORGOTTEN = 3, PEERS = RIG_WORKERS + 1 }; /* so that each worker has one of them */
    struct rig rig;
    struct peer gone CLEANUP(peer_done);
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    rig_tell_host(&rig, "late", "late.example", 22);
    rig_tell_host(&rig, "now", "now.example", 22);
    peer_login(&rig, &gone, cert);
    for (int i = 0; i < FORGOTTEN; i++) {
        (void)peer_ask(&gone, "late", 22, 100000);
    }
    peer_write(&gone);
    await_late(&rig, FORGOTTEN);
    (void)close(gone.fd);
    gone.fd = -1;
    RIG_AWAIT(&rig, sessions, 0);
    struct peer peers[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        peer_login(&rig, &peers[i], cert);
        (void)peer_ask(&peers[i], "late", 22, 100000);
        peer_write(&peers[i]);
    }
    await_late(&rig, FORGOTTEN + PEERS);
    size_t known = 0, unknown = 0;
    for (size_t i = 0; i < PEERS; i++) {
        (void)peer_ask(&peers[i], "now", 22, 100000);
    }
    for (size_t i = 0; i < PEERS; i++) {
        for (int j = 0; j < 2; j++) {
            struct client_event event = peer_await(&peers[i], CLIENT_OPEN_FAILED);
            known += event.reason == OPEN_ADMINISTRATIVELY_PROHIBITED ? 1 : 0; /* the address is */
            unknown += event.reason == OPEN_CONNECT_FAILED ? 1 : 0;
        }
        peer_done(&peers[i]);
    }
    assert_true(known == PEERS && unknown == PEERS);
    await_late(&rig, 0);
    rig_done(&rig);
}

/* As many questions as may be open, and more; those of the dead count as long as they are. */
static void test_names_limit(void **state) {
    (void)state;
    enum {
        OPEN = RIG_WORKERS * LIMIT_NAMES_ASKED_COUNT,
        CHANNELS = LIMIT_CHANNELS_COUNT,
        PEERS = OPEN / CHANNELS + 4, /* each worker gets its share of them, and one or two more */
    };
    static struct peer peers[PEERS];
    struct rig rig;
    struct peer late CLEANUP(peer_done);
    rig_init(&rig);
    rig.config.channels_max = CHANNELS;
    rig.config.session_bytes_max = 512 * 1024 * 1024;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    rig_tell_host(&rig, "late", "late.example", 22);
    for (size_t i = 0; i < PEERS; i++) {
        peer_login(&rig, &peers[i], cert);
        for (size_t j = 0; j < CHANNELS; j++) {
            (void)peer_ask(&peers[i], "late", 22, 100000);
        }
        peer_write(&peers[i]);
    }
    await_late(&rig, OPEN);
    RIG_AWAIT(&rig, channels_failed_total, PEERS * CHANNELS - OPEN);
    for (size_t i = 0; i < PEERS; i++) {
        peer_done(&peers[i]);
    }
    RIG_AWAIT(&rig, sessions, 0);
    peer_login(&rig, &late, cert);
    expect_not_opened(&late, "late", 22, OPEN_CONNECT_FAILED, "try again later");
    rig_done(&rig);
}

/* What comes on the channel, up to its EOF, in *got; the window is given back as it comes. */
static void take_all(struct peer *peer, channel_id channel, struct buf *got) {
    for (;;) {
        struct client_event event = peer_next(peer, RIG_WAIT_MS);
        if (event.type == CLIENT_CHANNEL_EOF) {
            return;
        }
        assert_true(event.type == CLIENT_CHANNEL_DATA || event.type == CLIENT_CHANNEL_WINDOW);
        if (event.type == CLIENT_CHANNEL_DATA) {
            assert_ok(buf_add(got, event.data));
            assert_ok(client_channel_take(peer->client, channel, (uint32_t)event.data.len,
                                          clock_monotonic_ms(), &peer->out));
        }
    }
}

static void test_half_close(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    struct buf got CLEANUP(buf_done) = BUF(1024);
    char bytes[16];
    uint16_t port;
    int target;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    channel_id channel = peer_channel(&peer, listener, port, 100000, &target);
    peer_send(&peer, channel, SPAN_LITERAL("question"));
    assert_ok(client_channel_eof(peer.client, channel, clock_monotonic_ms(), &peer.out));
    peer_write(&peer);
    rig_read(target, bytes, 8);
    assert_memory_equal(bytes, "question", 8);
    rig_wait(target, POLLIN);
    assert_int_equal(read(target, bytes, sizeof bytes), 0);
    assert_int_equal(write(target, "answer", 6), 6);
    (void)close(target);
    take_all(&peer, channel, &got);
    assert_true(span_equal_str(buf_span(&got), "answer"));
    assert_ok(client_channel_close(peer.client, channel, clock_monotonic_ms(), &peer.out));
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    RIG_AWAIT(&rig, channels, 0);
    (void)close(listener);
    rig_done(&rig);
}

/* Both ways at once, each byte known, with more than any buffer takes. */
struct source {
    int fd;
    size_t count;
};

static uint8_t byte_at(size_t at) { return (uint8_t)((at * 2654435761U) >> 13); }

static void *echo_main(void *context) {
    const struct source *source = context;
    uint8_t bytes[65536];
    for (size_t left = source->count; left > 0;) {
        ssize_t got = read(source->fd, bytes, sizeof bytes);
        assert_true(got > 0);
        for (ssize_t put = 0; put < got;) {
            ssize_t done = write(source->fd, bytes + put, (size_t)(got - put));
            assert_true(done > 0);
            put += done;
        }
        left -= (size_t)got;
    }
    (void)shutdown(source->fd, SHUT_WR);
    return NULL;
}

static void echo_through(struct peer *peer, channel_id channel, size_t count) {
    size_t sent = 0, got = 0;
    uint8_t bytes[30000];
    while (got < count) {
        size_t room = client_channel_room(peer->client, channel);
        while (sent < count && room > 0 && peer->out.len < 1024 * 1024) {
            size_t len = room < sizeof bytes ? room : sizeof bytes;
            len = len < count - sent ? len : count - sent;
            for (size_t i = 0; i < len; i++) {
                bytes[i] = byte_at(sent + i);
            }
            peer_send(peer, channel, span_of(bytes, len));
            sent += len;
            room = client_channel_room(peer->client, channel);
        }
        struct client_event event = peer_next(peer, RIG_WAIT_MS);
        assert_true(event.type == CLIENT_CHANNEL_DATA || event.type == CLIENT_CHANNEL_WINDOW);
        for (size_t i = 0; i < event.data.len; i++, got++) {
            assert_int_equal(event.data.data[i], byte_at(got));
        }
        if (event.type == CLIENT_CHANNEL_DATA) {
            assert_ok(client_channel_take(peer->client, channel, (uint32_t)event.data.len,
                                          clock_monotonic_ms(), &peer->out));
        }
    }
    assert_int_equal(peer_await(peer, CLIENT_CHANNEL_EOF).channel, channel);
}

static void echo_much(uint64_t rekey_bytes, size_t count) {
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    pthread_t thread;
    rig_init(&rig);
    rig.config.rekey_bytes = rekey_bytes;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    struct source source = {.count = count};
    channel_id channel = peer_channel(&peer, listener, port, 1024 * 1024, &source.fd);
    assert_int_equal(pthread_create(&thread, NULL, echo_main, &source), 0);
    echo_through(&peer, channel, count);
    (void)pthread_join(thread, NULL);
    (void)close(source.fd);
    (void)close(listener);
    rig_done(&rig);
    assert_true(rekey_bytes == 0 || RIG_COUNT(&rig, rekeys_total) >= 3);
}

static void test_echo(void **state) {
    (void)state;
    echo_much(0, 16 * 1024 * 1024);
}

static void test_echo_over_rekeys(void **state) {
    (void)state;
    echo_much(2 * 1024 * 1024, 8 * 1024 * 1024);
}

/* --- nobody's slowness takes memory --- */

static void test_slow_client(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    struct buf got CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    static uint8_t bytes[65536];
    uint16_t port;
    int target;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    channel_id channel = peer_channel(&peer, listener, port, UINT32_MAX / 2, &target);
    rig_no_block(target);
    /* Until neither the sockets nor the relay take any more. */
    size_t put = 0;
    for (struct pollfd wait = {.fd = target, .events = POLLOUT}; poll(&wait, 1, 300) == 1;) {
        ssize_t done = write(target, bytes, sizeof bytes);
        put += done > 0 ? (size_t)done : 0;
    }
    assert_true(put > 1024 * 1024);
    (void)poll(NULL, 0, 1200); /* the gauge is of the last second */
    uint64_t held = RIG_COUNT(&rig, held_bytes);
    assert_in_range(held, 1, 600 * 1024);
    (void)close(target);
    take_all(&peer, channel, &got);
    assert_int_equal(got.len, put);
    RIG_AWAIT(&rig, held_bytes, 0);
    (void)close(listener);
    rig_done(&rig);
}

static void test_slow_target(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    static uint8_t bytes[30000];
    uint16_t port;
    int target;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    channel_id channel = peer_channel(&peer, listener, port, 100000, &target);
    size_t put = 0;
    for (;;) {
        size_t room = client_channel_room(peer.client, channel);
        size_t len = room < sizeof bytes ? room : sizeof bytes;
        if (len > 0) {
            peer_send(&peer, channel, span_of(bytes, len));
            put += len;
        }
        if (peer_next(&peer, len > 0 ? 0 : 1500).type == CLIENT_NEEDS_INPUT && len == 0) {
            break; /* no window for more than a second */
        }
    }
    uint64_t held = RIG_COUNT(&rig, held_bytes);
    assert_in_range(held, 1, 2 * 2 * 1024 * 1024); /* a block may be half empty */
    /* The client is gone from the channel, and what it sent arrives nevertheless. */
    assert_ok(client_channel_close(peer.client, channel, clock_monotonic_ms(), &peer.out));
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    for (size_t got = 0; got < put;) {
        ssize_t done = read(target, bytes, sizeof bytes);
        assert_true(done > 0);
        got += (size_t)done;
    }
    assert_int_equal(read(target, bytes, sizeof bytes), 0);
    RIG_AWAIT(&rig, channels, 0);
    RIG_AWAIT(&rig, held_bytes, 0);
    (void)close(target);
    (void)close(listener);
    rig_done(&rig);
}

static void test_target_reset(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int target;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    (void)peer_channel(&peer, listener, port, 100000, &target);
    struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(target, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)close(target);
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    RIG_AWAIT(&rig, channels, 0);
    /* The session goes on. */
    (void)peer_channel(&peer, listener, port, 100000, &target);
    (void)close(target);
    (void)close(listener);
    rig_done(&rig);
}

/* --- limits --- */

static void test_channels(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int targets[16];
    rig_init(&rig);
    rig.config.channels_max = COUNT_OF(targets);
    rig.config.session_bytes_max = 7 * WINDOW_MIN_BYTES;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 64);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    size_t opened = 0;
    struct client_event event;
    do {
        (void)peer_ask(&peer, "t", port, 100000);
        do {
            event = peer_next(&peer, RIG_WAIT_MS);
        } while (event.type == CLIENT_CHANNEL_WINDOW);
        if (event.type == CLIENT_OPENED) {
            assert_in_range(opened, 0, COUNT_OF(targets) - 1);
            targets[opened++] = rig_accept(listener);
        }
    } while (event.type == CLIENT_OPENED);
    assert_int_equal(event.type, CLIENT_OPEN_FAILED);
    assert_int_equal(event.reason, OPEN_RESOURCE_SHORTAGE);
    assert_int_equal(opened, 7);
    for (size_t i = 0; i < opened; i++) {
        (void)close(targets[i]);
    }
    (void)close(listener);
    rig_done(&rig);
}

static void test_channel_count(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int targets[4];
    rig_init(&rig);
    rig.config.channels_max = COUNT_OF(targets);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 64);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        (void)peer_channel(&peer, listener, port, 100000, &targets[i]);
    }
    expect_not_opened(&peer, "t", port, OPEN_RESOURCE_SHORTAGE, "");
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        (void)close(targets[i]);
    }
    (void)close(listener);
    rig_done(&rig);
}

static void test_sessions_per_account(void **state) {
    (void)state;
    struct rig rig;
    struct peer first CLEANUP(peer_done), second CLEANUP(peer_done), third CLEANUP(peer_done);
    rig_init(&rig);
    rig.config.sessions_per_account_max = 2;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &first, cert);
    peer_login(&rig, &second, cert);
    peer_open(&rig, &third, "alice", cert);
    struct client_event event = peer_await(&third, CLIENT_DISCONNECTED);
    assert_int_equal(event.reason, DISCONNECT_TOO_MANY_CONNECTIONS);
    (void)close(first.fd);
    first.fd = -1;
    RIG_AWAIT(&rig, sessions, 1);
    peer_done(&third);
    peer_login(&rig, &third, cert);
    rig_done(&rig);
}

/* A login that a limit refuses is not held against its address. */
static void test_logins_per_minute(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    rig_init(&rig);
    rig.config.logins_per_minute_max = 2;
    rig.config.login_failures_max = 1;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    for (int i = 0; i < 2; i++) {
        peer_login(&rig, &peer, cert);
        peer_done(&peer);
    }
    for (int i = 0; i < 4; i++) {
        peer_open(&rig, &peer, "alice", cert);
        struct client_event event = peer_await(&peer, CLIENT_DISCONNECTED);
        assert_int_equal(event.reason, DISCONNECT_TOO_MANY_CONNECTIONS);
        assert_true(span_equal_str(
            event.data, "posterngate: alice has logged in 2 times in the last minute, which is as "
                        "often as may be; wait a little, or use ControlMaster"));
        peer_done(&peer);
    }
    assert_int_equal(RIG_COUNT(&rig, logins_total), 2);
    assert_int_equal(RIG_COUNT(&rig, login_failures_total), 4);
    RIG_AWAIT(&rig, sessions, 0);
    peer_open(&rig, &peer, "alice", cert); /* the address is welcome */
    (void)peer_await(&peer, CLIENT_DISCONNECTED);
    rig_done(&rig);
}

static void test_channels_per_minute(void **state) {
    (void)state;
    struct rig rig;
    struct peer first CLEANUP(peer_done), second CLEANUP(peer_done);
    channel_id channel;
    rig_init(&rig);
    rig.config.channels_per_minute_max = 3;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &first, cert);
    peer_login(&rig, &second, cert);
    for (int i = 0; i < 3; i++) {
        expect_not_opened(&first, "elsewhere", 22, OPEN_ADMINISTRATIVELY_PROHIBITED, "not a host");
    }
    expect_not_opened(&first, "elsewhere", 22, OPEN_RESOURCE_SHORTAGE,
                      "posterngate: this session has asked for 3 channels in the last minute");
    assert_ok(
        client_open_session(first.client, 100000, clock_monotonic_ms(), &first.out, &channel));
    assert_int_equal(peer_await(&first, CLIENT_OPEN_FAILED).reason, OPEN_RESOURCE_SHORTAGE);
    expect_not_opened(&second, "elsewhere", 22, OPEN_ADMINISTRATIVELY_PROHIBITED, "not a host");
    assert_int_equal(RIG_COUNT(&rig, channels_refused_total), 6);
    rig_done(&rig);
}

/* Reads until the other side closes; what came is text. */
static void read_text(struct rig *rig, char *text, size_t size) {
    struct peer peer = {0};
    size_t len = 0;
    ssize_t got;
    peer_connect(rig, &peer);
    do {
        rig_wait(peer.fd, POLLIN);
        got = read(peer.fd, text + len, size - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    text[len] = '\0';
    (void)close(peer.fd);
}

static void test_sessions_per_address(void **state) {
    (void)state;
    struct rig rig;
    struct peer first CLEANUP(peer_done), second CLEANUP(peer_done);
    char text[256];
    rig_init(&rig);
    rig.config.sessions_per_address_max = 2;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &first, cert);
    peer_login(&rig, &second, cert);
    read_text(&rig, text, sizeof text);
    assert_string_equal(text, "posterngate: too many connections from your address\r\n");
    assert_int_equal(RIG_COUNT(&rig, connections_refused_total), 1);
    rig_done(&rig);
}

static void test_connections_per_minute(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer;
    char text[256];
    rig_init(&rig);
    rig.config.connections_per_minute_max = 2;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    for (int i = 0; i < 2; i++) {
        peer_login(&rig, &peer, cert);
        peer_done(&peer);
    }
    RIG_AWAIT(&rig, sessions, 0);
    read_text(&rig, text, sizeof text);
    assert_string_equal(text, "posterngate: too many connections from your address in the last "
                              "minute; wait a little\r\n");
    assert_int_equal(RIG_COUNT(&rig, connections_refused_total), 1);
    rig_done(&rig);
}

static void test_sessions(void **state) {
    (void)state;
    struct rig rig;
    struct peer first CLEANUP(peer_done);
    char text[256];
    rig_init(&rig);
    rig.config.sessions_max = 1;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &first, cert);
    read_text(&rig, text, sizeof text);
    assert_non_null(strstr(text, "try again later"));
    rig_done(&rig);
}

/* More clients than may log in at the same time: each has its turn. */
static void test_burst(void **state) {
    (void)state;
    enum { CLIENTS = 60 };
    struct rig rig;
    static struct peer peers[CLIENTS];
    rig_init(&rig);
    rig.config.logins_max = 4;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    for (size_t i = 0; i < CLIENTS; i++) {
        peer_open(&rig, &peers[i], "alice", cert);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)peer_await(&peers[i], CLIENT_AUTHENTICATED);
    }
    assert_int_equal(RIG_COUNT(&rig, sessions_authenticated), CLIENTS);
    /* The workers share them. */
    assert_in_range(rig.shared->workers[0].sessions, CLIENTS / 2 - 2, CLIENTS / 2 + 2);
    for (size_t i = 0; i < CLIENTS; i++) {
        peer_done(&peers[i]);
    }
    RIG_AWAIT(&rig, sessions, 0);
    rig_done(&rig);
}

static void test_failures_delay_and_close(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    char text[256];
    rig_init(&rig);
    rig.config.login_failures_max = 2;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("nobody", 1, 600, forwarding);
    expect_refused(&rig, "nobody", cert, "posterngate: ");
    expect_refused(&rig, "nobody", cert, "posterngate: ");
    int64_t began_ms = clock_monotonic_ms();
    expect_refused(&rig, "nobody", cert, "posterngate: ");
    assert_true(clock_monotonic_ms() - began_ms >= 1000);
    /* Whoever has the right key does not wait. */
    struct cert *right CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &peer, right);
    expect_refused(&rig, "nobody", cert, "posterngate: ");
    read_text(&rig, text, sizeof text);
    assert_non_null(strstr(text, "too many failed logins"));
    rig_done(&rig);
}

/* --- ends --- */

static void expect_cut(struct peer *peer, const char *text) {
    struct client_event event = peer_await(peer, CLIENT_DISCONNECTED);
    char got[512];
    (void)snprintf(got, sizeof got, "%.*s", (int)event.data.len, (const char *)event.data.data);
    if (strstr(got, text) == NULL) {
        print_error("\"%s\" is not in: %s\n", text, got);
        fail();
    }
}

static void test_revocation_cuts(void **state) {
    (void)state;
    struct rig rig;
    struct peer cut CLEANUP(peer_done), other CLEANUP(peer_done);
    uint16_t port;
    int targets[2];
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    struct cert *another CLEANUP(cert_freep) = rig_cert("alice", 43, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &cut, cert);
    peer_login(&rig, &other, another);
    (void)peer_channel(&cut, listener, port, 100000, &targets[0]);
    (void)peer_channel(&other, listener, port, 100000, &targets[1]);
    int64_t began_ms = clock_monotonic_ms();
    rig_tell(&rig, false, "revocation", "42",
             "{\"account\":\"alice\",\"expireTime\":\"2099-01-01T00:00:00Z\",\"reason\":\"\"}");
    expect_cut(&cut, "posterngate: your certificate 42 was revoked");
    assert_true(clock_monotonic_ms() - began_ms < 500);
    char byte;
    rig_wait(targets[0], POLLIN);
    assert_int_equal(read(targets[0], &byte, 1), 0);
    assert_int_equal(RIG_COUNT(&rig, sessions_cut_total), 1);
    /* The other goes on until its host is gone. */
    (void)close(targets[0]);
    (void)peer_channel(&other, listener, port, 100000, &targets[0]);
    rig_tell(&rig, false, "host", "t", "");
    (void)peer_await(&other, CLIENT_CHANNEL_CLOSED);
    (void)peer_await(&other, CLIENT_CHANNEL_CLOSED);
    rig_tell(&rig, false, "account", "alice", "{\"enabled\":false,\"clusters\":[\"daint\"]}");
    expect_cut(&other, "alice was disabled");
    (void)close(targets[0]);
    (void)close(targets[1]);
    (void)close(listener);
    rig_done(&rig);
}

/* What only a job opened closes with it, by whichever name; the session stays, until its account
 * may not come from here any more. */
static void test_job_end_closes(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int targets[2];
    char host[128];
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    int listener = rig_listen(&port, 8);
    (void)snprintf(host, sizeof host,
                   "{\"cluster\":\"daint\",\"role\":\"compute\",\"address\":\"127.0.0.1\","
                   "\"port\":%u}",
                   port);
    rig_tell(&rig, false, "host", "t", host);
    rig_tell(&rig, false, "cluster", "daint",
             "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\"}");
    peer_login(&rig, &peer, cert);
    (void)peer_ask(&peer, "t", port, 100000);
    (void)peer_await(&peer, CLIENT_OPEN_FAILED);
    rig_tell(&rig, false, "job", "7@daint",
             "{\"account\":\"alice\",\"cluster\":\"daint\",\"user\":\"alice\",\"type\":\"whole\","
             "\"nodes\":[\"t\"],\"startTime\":\"2020-01-01T00:00:00Z\"}");
    (void)peer_channel(&peer, listener, port, 100000, &targets[0]);
    (void)peer_ask(&peer, "job-7", 22, 100000);
    (void)peer_await(&peer, CLIENT_OPENED);
    targets[1] = rig_accept(listener);
    rig_tell(&rig, false, "job", "7@daint", "");
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    rig_tell(&rig, false, "account", "alice",
             "{\"enabled\":true,\"clusters\":[\"daint\"],\"ipSubnets\":[\"10.0.0.0/8\"]}");
    expect_cut(&peer, "alice may no longer come from your address");
    (void)close(targets[0]);
    (void)close(targets[1]);
    (void)close(listener);
    rig_done(&rig);
}

/* A job that ends at this time, on the node t. */
static void tell_job_until(struct rig *rig, int64_t ends_at) {
    char text[TIME_CHARS], job[256];
    time_print_utc(ends_at, text);
    (void)snprintf(job, sizeof job,
                   "{\"account\":\"alice\",\"cluster\":\"daint\",\"user\":\"alice\",\"type\":"
                   "\"whole\",\"nodes\":[\"t\"],\"startTime\":\"2020-01-01T00:00:00Z\","
                   "\"endTime\":\"%s\"}",
                   text);
    rig_tell(rig, false, "job", "7@daint", job);
}

/* Also when nobody tells of the end; one that was prolonged goes on until then. */
static void test_job_time_closes(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int target;
    char host[128];
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    int listener = rig_listen(&port, 8);
    (void)snprintf(host, sizeof host,
                   "{\"cluster\":\"daint\",\"role\":\"compute\",\"address\":\"127.0.0.1\","
                   "\"port\":%u}",
                   port);
    rig_tell(&rig, false, "host", "t", host);
    rig_tell(&rig, false, "cluster", "daint",
             "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\"}");
    int64_t ends_at = clock_now_s() + 2;
    tell_job_until(&rig, ends_at);
    peer_login(&rig, &peer, cert);
    (void)peer_channel(&peer, listener, port, 100000, &target);
    ends_at += 2;
    tell_job_until(&rig, ends_at);
    (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
    assert_true(clock_now_s() >= ends_at);
    (void)peer_ask(&peer, "t", port, 100000);
    (void)peer_await(&peer, CLIENT_OPEN_FAILED);
    (void)close(target);
    (void)close(listener);
    rig_done(&rig);
}

static void test_expiry_cuts(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 2, forwarding);
    peer_login(&rig, &peer, cert);
    expect_cut(&peer, "expired");
    rig_done(&rig);
}

static void test_times(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done), silent CLEANUP(peer_done), busy CLEANUP(peer_done);
    char text[256];
    uint16_t port;
    int target;
    rig_init(&rig);
    rig.config.idle_s = 1;
    rig.config.login_s = 2;
    rig.config.session_s = 3;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &busy, cert);
    (void)peer_channel(&busy, listener, port, 100000, &target);
    peer_login(&rig, &peer, cert);
    expect_cut(&peer, "idle");
    read_text(&rig, text, sizeof text); /* says nothing, so it is not let stay */
    assert_non_null(strstr(text, "SSH-2.0-"));
    expect_cut(&busy, "as long as this site allows");
    (void)close(target);
    (void)close(listener);
    rig_done(&rig);
    silent = (struct peer){.fd = -1};
}

static void test_keepalive(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done), silent CLEANUP(peer_done);
    rig_init(&rig);
    rig.config.keepalive_s = 1;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    peer_login(&rig, &peer, cert);
    peer_login(&rig, &silent, cert);
    int64_t until_ms = clock_monotonic_ms() + 4500;
    while (clock_monotonic_ms() < until_ms) {
        (void)peer_next(&peer, 200); /* answers what is asked */
    }
    RIG_AWAIT(&rig, sessions_authenticated, 1);
    expect_cut(&silent, "no sign of life");
    rig_done(&rig);
}

static void test_greeting(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    struct buf got CLEANUP(buf_done) = BUF(16384);
    channel_id channel;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    peer_login(&rig, &peer, cert);
    assert_ok(client_open_session(peer.client, 16384, clock_monotonic_ms(), &peer.out, &channel));
    (void)peer_await(&peer, CLIENT_OPENED);
    assert_ok(client_channel_request(peer.client, channel, "shell", SPAN_LITERAL(""),
                                     clock_monotonic_ms(), &peer.out));
    (void)peer_await(&peer, CLIENT_CHANNEL_REPLY);
    take_all(&peer, channel, &got);
    assert_ok(buf_add_byte(&got, '\0'));
    assert_non_null(strstr((const char *)got.data, "You are alice, from 127.0.0.1.\n"));
    assert_non_null(strstr((const char *)got.data, "Your certificate 42"));
    assert_non_null(strstr((const char *)got.data, "You reach: daint\n"));
    assert_int_equal(peer_await(&peer, CLIENT_EXIT_STATUS).reason, 0);
    rig_done(&rig);
}

static void test_drain_and_stop(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    peer_login(&rig, &peer, cert);
    relay_drain(rig.relay);
    assert_int_equal(relay_sessions(rig.relay), 1);
    relay_stop(rig.relay, "posterngate: restarting");
    expect_cut(&peer, "posterngate: restarting");
    assert_int_equal(relay_sessions(rig.relay), 0);
    rig_done(&rig);
}

static void test_keys_away(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done), next CLEANUP(peer_done);
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    rig.mute = true;
    peer_open(&rig, &peer, "alice", cert);
    assert_int_equal(peer_next(&peer, 300).type, CLIENT_NEEDS_INPUT); /* the signature is due */
    int keys[RIG_WORKERS];
    for (int i = 0; i < RIG_WORKERS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(dup2(pair[0], rig.helpers[i]), rig.helpers[i]);
        (void)close(pair[0]);
        keys[i] = pair[1];
    }
    rig.mute = false;
    assert_int_equal(write(rig.end[1], "r", 1), 1);
    assert_ok(relay_set_keys(rig.relay, keys));
    expect_cut(&peer, "host key");
    peer_login(&rig, &next, cert);
    rig_done(&rig);
}

/* --- a balancer in front --- */

static const uint8_t proxy_header[] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11,
    0,    12,   198,  51,   100,  7,    127,  0,    0,    1,    0xc0, 0x00, 0,    22,
};

static void test_proxy(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done), bare CLEANUP(peer_done);
    struct buf got CLEANUP(buf_done) = BUF(16384);
    channel_id channel;
    char byte;
    rig_init(&rig);
    rig.config.proxy_subnets.count = 1;
    assert_ok(inet_subnet_parse(SPAN_LITERAL("127.0.0.0/8"), &rig.config.proxy_subnets.subnets[0]));
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 42, 600, forwarding);
    peer_open(&rig, &bare, "alice", cert); /* which begins with the version at once */
    peer_write(&bare);
    rig_wait(bare.fd, POLLIN);
    assert_true(read(bare.fd, &byte, 1) <= 0);
    RIG_AWAIT(&rig, connections_refused_total, 1);
    peer_open(&rig, &peer, "alice", cert);
    for (size_t i = 0; i < sizeof proxy_header; i++) {
        assert_int_equal(write(peer.fd, &proxy_header[i], 1), 1);
    }
    (void)peer_await(&peer, CLIENT_AUTHENTICATED);
    assert_ok(client_open_session(peer.client, 16384, clock_monotonic_ms(), &peer.out, &channel));
    (void)peer_await(&peer, CLIENT_OPENED);
    assert_ok(client_channel_request(peer.client, channel, "shell", SPAN_LITERAL(""),
                                     clock_monotonic_ms(), &peer.out));
    (void)peer_await(&peer, CLIENT_CHANNEL_REPLY);
    take_all(&peer, channel, &got);
    assert_ok(buf_add_byte(&got, '\0'));
    assert_non_null(strstr((const char *)got.data, "from 198.51.100.7.\n"));
    rig_done(&rig);
}

/* A host whose queue is full drops what comes, and so answers nothing. */
static void test_connect_timeout(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int fill[3];
    rig_init(&rig);
    rig.config.connect_s = 2;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (size_t i = 0; i < COUNT_OF(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&at, sizeof at);
    }
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    expect_not_opened(&peer, "t", port, OPEN_CONNECT_FAILED, "did not answer within 2s");
    for (size_t i = 0; i < COUNT_OF(fill); i++) {
        (void)close(fill[i]);
    }
    (void)close(listener);
    rig_done(&rig);
}

/* --- a storm: sessions and targets that break at any moment --- */

enum { STORM_PEERS = 12, STORM_TARGETS = 64, STORM_CHANNELS = 150, STORM_MS = 30 * 1000 };

struct storm {
    struct rig rig;
    struct cert *cert;
    struct peer peers[STORM_PEERS];
    channel_id channels[STORM_PEERS];
    bool open[STORM_PEERS]; /* the channel is known to be open */
    int targets[STORM_TARGETS];
    int listener;
    uint16_t port, dead_port;
    uint32_t dice;
};

static uint32_t roll(struct storm *storm, uint32_t sides) {
    storm->dice = storm->dice * 1664525 + 1013904223;
    return (storm->dice >> 8) % sides;
}

static void reset(int fd) {
    struct linger now = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

static void storm_end(struct storm *storm, size_t i) {
    if (storm->peers[i].client != NULL) {
        if (roll(storm, 2) == 0) {
            reset(storm->peers[i].fd);
            storm->peers[i].fd = -1;
        }
        peer_done(&storm->peers[i]);
        storm->peers[i] = (struct peer){.fd = -1};
        storm->open[i] = false;
    }
}

static void storm_listen(struct storm *storm, size_t i) {
    for (int count = 0; count < 20; count++) {
        struct client_event event = peer_next(&storm->peers[i], count == 0 ? 1 : 0);
        if (event.type == CLIENT_AUTHENTICATED) {
            bool dead = roll(storm, 50) == 0;
            storm->channels[i] = peer_ask(&storm->peers[i], dead ? "dead" : "t",
                                          dead ? storm->dead_port : storm->port, 300000);
        } else if (event.type == CLIENT_OPENED) {
            storm->open[i] = true;
        } else if (event.type == CLIENT_CHANNEL_CLOSED || event.type == CLIENT_DISCONNECTED ||
                   event.type == CLIENT_OPEN_FAILED) {
            storm_end(storm, i);
            return;
        } else if (event.type == CLIENT_NEEDS_INPUT) {
            return;
        }
    }
}

static void storm_speak(struct storm *storm, size_t i) {
    static const uint8_t bytes[30000];
    struct peer *peer = &storm->peers[i];
    size_t room = client_channel_room(peer->client, storm->channels[i]);
    size_t len = roll(storm, sizeof bytes);
    len = len < room ? len : room;
    if (len > 0 && peer->out.len < 1024 * 1024) {
        peer_send(peer, storm->channels[i], span_of(bytes, len));
    }
    if (roll(storm, 20) == 0) {
        assert_ok(
            client_channel_eof(peer->client, storm->channels[i], clock_monotonic_ms(), &peer->out));
        storm->open[i] = false;
    }
}

static void storm_target(struct storm *storm, size_t i) {
    static uint8_t bytes[65536];
    int *target = &storm->targets[i];
    if (*target < 0) {
        struct pollfd wait = {.fd = storm->listener, .events = POLLIN};
        if (poll(&wait, 1, 0) == 1) {
            *target = accept(storm->listener, NULL, NULL);
            rig_no_block(*target);
        }
        return;
    }
    if (roll(storm, 2) == 0 && read(*target, bytes, sizeof bytes) < 0 && errno != EAGAIN) {
        (void)close(*target);
        *target = -1;
        return;
    }
    if (roll(storm, 2) == 0) {
        ssize_t put = send(*target, bytes, roll(storm, sizeof bytes), MSG_NOSIGNAL);
        (void)put;
    }
    if (roll(storm, 30) == 0) {
        if (roll(storm, 2) == 0) {
            reset(*target);
        } else {
            (void)close(*target);
        }
        *target = -1;
    }
}

static void storm_step(struct storm *storm) {
    size_t i = roll(storm, STORM_PEERS);
    if (storm->peers[i].client == NULL) {
        peer_open(&storm->rig, &storm->peers[i], "alice", storm->cert);
        return;
    }
    if (roll(storm, 4) != 0) {
        storm_listen(storm, i); /* some read late */
    }
    if (storm->open[i]) {
        storm_speak(storm, i);
    }
    if (roll(storm, 100) == 0) {
        storm_end(storm, i);
    }
    storm_target(storm, roll(storm, STORM_TARGETS));
}

static void test_storm(void **state) {
    (void)state;
    static struct storm storm;
    storm = (struct storm){.dice = 1};
    rig_init(&storm.rig);
    storm.rig.config.rekey_bytes = 1024 * 1024;
    rig_start(&storm.rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    storm.cert = cert;
    (void)close(rig_listen(&storm.dead_port, 1));
    storm.listener = rig_listen(&storm.port, 128);
    rig_tell_host(&storm.rig, "t", "127.0.0.1", storm.port);
    rig_tell_host(&storm.rig, "dead", "127.0.0.1", storm.dead_port);
    memset(storm.targets, -1, sizeof storm.targets);
    int64_t until_ms = clock_monotonic_ms() + STORM_MS;
    while (RIG_COUNT(&storm.rig, channels_total) < STORM_CHANNELS &&
           clock_monotonic_ms() < until_ms) {
        storm_step(&storm);
    }
    for (size_t i = 0; i < STORM_PEERS; i++) {
        storm_end(&storm, i);
    }
    RIG_AWAIT(&storm.rig, sessions, 0);
    RIG_AWAIT(&storm.rig, channels, 0);
    RIG_AWAIT(&storm.rig, held_bytes, 0);
    assert_true(RIG_COUNT(&storm.rig, channels_total) > 0);
    for (size_t i = 0; i < STORM_TARGETS; i++) {
        (void)close(storm.targets[i]);
    }
    (void)close(storm.listener);
    rig_done(&storm.rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_logins),
        cmocka_unit_test(test_refused_channels),
        cmocka_unit_test(test_late_names),
        cmocka_unit_test(test_names_limit),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_echo_over_rekeys),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_slow_target),
        cmocka_unit_test(test_target_reset),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_channel_count),
        cmocka_unit_test(test_sessions_per_account),
        cmocka_unit_test(test_sessions_per_address),
        cmocka_unit_test(test_logins_per_minute),
        cmocka_unit_test(test_connections_per_minute),
        cmocka_unit_test(test_channels_per_minute),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_failures_delay_and_close),
        cmocka_unit_test(test_revocation_cuts),
        cmocka_unit_test(test_job_end_closes),
        cmocka_unit_test(test_job_time_closes),
        cmocka_unit_test(test_expiry_cuts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_drain_and_stop),
        cmocka_unit_test(test_keys_away),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_storm),
    };
    return cmocka_run_group_tests(tests, rig_make_keys, rig_free_keys);
}
