/* The relay with clients that mean it ill, or do things in an order that nobody expects. */
#include "relay_rig.h"

static const char forwarding[] = "permit-port-forwarding";

/* Data that takes half of the window and the CLOSE come in one piece, so that the channel is gone
 * when its data reaches the target; and once more, so that its number is used again. */
static void test_data_and_close_at_once(void **state) {
    (void)state;
    enum { BYTES = 3 * 32 * 1024 };
    static uint8_t data[32 * 1024], got[BYTES];
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
    for (int i = 0; i < 2; i++) {
        channel_id channel = peer_channel(&peer, listener, port, 100000, &target);
        for (size_t at = 0; at < BYTES; at += sizeof data) {
            assert_ok(client_channel_data(peer.client, channel, span_of(data, sizeof data),
                                          clock_monotonic_ms(), &peer.out));
        }
        assert_ok(client_channel_close(peer.client, channel, clock_monotonic_ms(), &peer.out));
        peer_write(&peer);
        rig_read(target, got, sizeof got);
        (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
        (void)close(target);
    }
    RIG_AWAIT(&rig, channels, 0);
    (void)close(listener);
    rig_done(&rig);
}

/* --- before authentication --- */

/* A transport that has its keys, and nothing more. */
struct stranger {
    struct transport_config config;
    struct transport *transport;
    struct buf in, out;
    int fd;
};

static void stranger_flush(struct stranger *stranger) {
    for (size_t at = 0; at < stranger->out.len;) {
        rig_wait(stranger->fd, POLLOUT);
        ssize_t put = send(stranger->fd, stranger->out.data + at, stranger->out.len - at, 0);
        assert_true(put > 0);
        at += (size_t)put;
    }
    buf_clear(&stranger->out);
}

static void stranger_fill(struct stranger *stranger) {
    uint8_t *room;
    rig_wait(stranger->fd, POLLIN);
    assert_ok(buf_extend(&stranger->in, 4096, &room));
    ssize_t got = read(stranger->fd, room, 4096);
    assert_true(got > 0);
    stranger->in.len -= 4096 - (size_t)got;
}

static void stranger_taken(struct stranger *stranger, const struct transport_input *input) {
    if (stranger->in.len > 0) {
        memmove(stranger->in.data, input->data, input->len);
        stranger->in.len = input->len;
    }
}

static void stranger_open(struct rig *rig, struct stranger *stranger) {
    struct peer peer;
    peer_connect(rig, &peer);
    *stranger = (struct stranger){
        .config = {.role = TRANSPORT_CLIENT, .software = "test", .random = randomness_of_kernel},
        .in = BUF(RIG_BYTES_MAX),
        .out = BUF(RIG_BYTES_MAX),
        .fd = peer.fd,
    };
    assert_ok(transport_new(&stranger->config, 0, &stranger->out, &stranger->transport));
    while (!transport_is_open(stranger->transport)) {
        struct transport_event event = {0};
        struct transport_input input = {stranger->in.data, stranger->in.len};
        assert_ok(transport_next(stranger->transport, &input, 0, &stranger->out, &event));
        stranger_taken(stranger, &input);
        if (event.type == TRANSPORT_HOST_KEY) {
            assert_ok(transport_trust(stranger->transport, true, &stranger->out));
        }
        stranger_flush(stranger);
        if (event.type == TRANSPORT_NEEDS_INPUT) {
            stranger_fill(stranger);
        }
    }
}

static void stranger_done(struct stranger *stranger) {
    transport_freep(&stranger->transport);
    buf_done(&stranger->in);
    buf_done(&stranger->out);
    (void)close(stranger->fd);
}

/* Asks for answers and reads none, until nothing is taken any more for a second. */
static void flood(struct stranger *stranger) {
    enum { PING = 192, BYTES = 1000 };
    struct pollfd wait = {.fd = stranger->fd, .events = POLLOUT};
    struct buf ping CLEANUP(buf_done) = BUF(2 * BYTES);
    static const uint8_t zeros[BYTES];
    assert_ok(wire_put_u8(&ping, PING));
    assert_ok(wire_put_string(&ping, span_of(zeros, sizeof zeros)));
    while (poll(&wait, 1, 1500) == 1 && stranger->out.len < RIG_BYTES_MAX / 2) {
        for (int i = 0; i < 100; i++) {
            assert_ok(transport_send(stranger->transport, buf_span(&ping), 0, &stranger->out));
        }
        ssize_t put = send(stranger->fd, stranger->out.data, stranger->out.len, 0);
        assert_true(put > 0);
        memmove(stranger->out.data, stranger->out.data + put, stranger->out.len - (size_t)put);
        stranger->out.len -= (size_t)put;
    }
}

/* Who has not said who he is makes the relay hold next to nothing. */
static void test_little_is_held_for_strangers(void **state) {
    (void)state;
    struct rig rig;
    struct stranger stranger CLEANUP(stranger_done);
    rig_init(&rig);
    rig_start(&rig);
    stranger_open(&rig, &stranger);
    flood(&stranger);
    (void)poll(NULL, 0, 1500); /* the number is told once a second */
    uint64_t held = RIG_COUNT(&rig, held_bytes);
    assert_in_range(held, 1, 128 * 1024);
    rig_done(&rig);
}

/* --- crowds --- */

enum { CROWD = 24 };

/* From another address of this machine. */
static int connect_from(const struct rig *rig, const char *address) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void expect_greeting(int fd, const char *greeting) {
    char got[64] = "";
    rig_read(fd, got, strlen(greeting));
    assert_string_equal(got, greeting);
}

/* Connections that are not closed by whom they are refused to. */
static void expect_refusals(const struct rig *rig, int crowd[CROWD]) {
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = connect_from(rig, "127.0.0.1");
    }
    RIG_AWAIT(rig, connections_refused_total, CROWD);
}

static void close_all(const int crowd[CROWD]) {
    for (size_t i = 0; i < CROWD; i++) {
        (void)close(crowd[i]);
    }
}

/* An address that may have no more takes nobody else's place by trying. */
static void test_refused_crowd(void **state) {
    (void)state;
    struct rig rig;
    int crowd[CROWD];
    rig_init(&rig);
    rig.config.sessions_max = 8;
    rig.config.sessions_per_address_max = 1;
    rig_start(&rig);
    int first = connect_from(&rig, "127.0.0.1");
    expect_greeting(first, "SSH-2.0-");
    expect_refusals(&rig, crowd);
    int other = connect_from(&rig, "127.0.0.2");
    expect_greeting(other, "SSH-2.0-");
    close_all(crowd);
    (void)close(first);
    (void)close(other);
    rig_done(&rig);
}

/* Nor does one that holds every place to log in at and says nothing: not for the time of a login.
 */
static void test_silent_crowd(void **state) {
    (void)state;
    struct rig rig;
    int crowd[CROWD];
    rig_init(&rig);
    rig.config.logins_max = CROWD;
    rig.config.login_s = 3600;
    rig_start(&rig);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = connect_from(&rig, "127.0.0.1");
        expect_greeting(crowd[i], "SSH-2.0-");
    }
    int other = connect_from(&rig, "127.0.0.2");
    expect_greeting(other, "SSH-2.0-");
    RIG_AWAIT(&rig, login_failures_total, CROWD);
    close_all(crowd);
    (void)close(other);
    rig_done(&rig);
}

static size_t count_lines(int fd, const char *word) {
    char text[64 * 1024] = "";
    size_t count = 0;
    assert_true(pread(fd, text, sizeof text - 1, 0) >= 0);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

/* The log goes to a file from here on. */
static FILE *log_begin(int *stderr_before) {
    FILE *log = tmpfile();
    assert_non_null(log);
    *stderr_before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
    log_set_level(LOG_LEVEL_INFO);
    return log;
}

static void log_end(int stderr_before) {
    log_set_level(LOG_LEVEL_ERROR);
    assert_true(dup2(stderr_before, STDERR_FILENO) >= 0);
    (void)close(stderr_before);
}

/* And he does not fill the log: some lines a second tell it, and then how many there were. */
static void test_refused_crowd_in_log(void **state) {
    (void)state;
    enum { TOLD_IN_A_SECOND = 20 };
    struct rig rig;
    int crowd[3][CROWD], stderr_before;
    FILE *log = log_begin(&stderr_before);
    rig_init(&rig);
    rig.config.sessions_per_address_max = 0;
    rig_start(&rig);
    for (size_t i = 0; i < COUNT_OF(crowd); i++) {
        for (size_t k = 0; k < CROWD; k++) {
            crowd[i][k] = connect_from(&rig, "127.0.0.1");
        }
    }
    RIG_AWAIT(&rig, connections_refused_total, COUNT_OF(crowd) * CROWD);
    (void)poll(NULL, 0, 1100);
    int last[2 * RIG_WORKERS]; /* so that each worker has one to tell of */
    for (size_t i = 0; i < COUNT_OF(last); i++) {
        last[i] = connect_from(&rig, "127.0.0.1");
    }
    RIG_AWAIT(&rig, connections_refused_total, COUNT_OF(crowd) * CROWD + COUNT_OF(last));
    rig_done(&rig);
    log_end(stderr_before);
    assert_in_range(count_lines(fileno(log), "connection_refused"), TOLD_IN_A_SECOND,
                    RIG_WORKERS * TOLD_IN_A_SECOND + COUNT_OF(last));
    assert_in_range(count_lines(fileno(log), "untold"), 1, RIG_WORKERS);
    for (size_t i = 0; i < COUNT_OF(crowd); i++) {
        close_all(crowd[i]);
    }
    for (size_t i = 0; i < COUNT_OF(last); i++) {
        (void)close(last[i]);
    }
    (void)fclose(log);
}

/* Nor does one who is in, by asking for more channels than he may. */
static void test_channel_crowd_in_log(void **state) {
    (void)state;
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    int stderr_before;
    FILE *log = log_begin(&stderr_before);
    rig_init(&rig);
    rig.config.channels_per_minute_max = 1;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &peer, cert);
    for (int i = 0; i < CROWD; i++) {
        (void)peer_ask(&peer, "elsewhere", 22, 100000);
        (void)peer_await(&peer, CLIENT_OPEN_FAILED);
    }
    RIG_AWAIT(&rig, channels_refused_total, CROWD);
    rig_done(&rig);
    log_end(stderr_before);
    assert_int_equal(count_lines(fileno(log), "channels_per_minute_max"), 1);
    (void)fclose(log);
}

/* How many of the event the log knows of: those it was told, in *lines, and those that these count.
 */
static size_t known_of(FILE *log, const char *event, size_t *lines) {
    char line[4096];
    size_t known = 0;
    *lines = 0;
    rewind(log);
    while (fgets(line, sizeof line, log) != NULL) {
        const char *untold = strstr(line, "\"untold\":\"");
        if (strstr(line, event) != NULL) {
            ++*lines;
            known += 1 + (untold == NULL ? 0 : strtoul(untold + 10, NULL, 10));
        }
    }
    return known;
}

static void refuse_channel(struct peer *peer) {
    (void)peer_ask(peer, "elsewhere", 22, 100000);
    (void)peer_await(peer, CLIENT_OPEN_FAILED);
}

static void refuse_login(struct rig *rig, const struct cert *cert) {
    struct peer peer CLEANUP(peer_done);
    peer_open(rig, &peer, "alice", cert);
    while (peer_next(&peer, RIG_WAIT_MS).type != CLIENT_DISCONNECTED) {
    }
}

/* Of what is refused to those who are in, or have a certificate, each one is told or counted. */
static void test_refusals_are_thinned(void **state) {
    (void)state;
    enum { MANY = 100, TOLD_IN_A_SECOND = 20 };
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    int stderr_before;
    size_t lines;
    FILE *log = log_begin(&stderr_before);
    rig_init(&rig);
    rig.config.sessions_per_account_max = 1;
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    peer_login(&rig, &peer, cert);
    int64_t began_ms = clock_monotonic_ms();
    for (size_t i = 0; i < MANY; i++) {
        refuse_channel(&peer);
    }
    (void)known_of(log, "channel_refused", &lines);
    assert_in_range(lines, TOLD_IN_A_SECOND, MANY - 1);
    for (size_t i = 0; i < MANY; i++) {
        refuse_login(&rig, cert);
    }
    size_t seconds = (size_t)(clock_monotonic_ms() - began_ms) / 1000 + 1;
    (void)known_of(log, "login_refused", &lines);
    assert_in_range(lines, TOLD_IN_A_SECOND, TOLD_IN_A_SECOND * seconds * RIG_WORKERS);
    (void)poll(NULL, 0, 1100);
    refuse_channel(&peer);
    assert_int_equal(known_of(log, "channel_refused", &lines), MANY + 1);
    size_t logins = MANY;
    do { /* until each worker had one to tell of */
        refuse_login(&rig, cert);
        assert_true(++logins < 2 * MANY);
    } while (known_of(log, "login_refused", &lines) != logins);
    rig_done(&rig);
    log_end(stderr_before);
    (void)fclose(log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_crowd_in_log),
        cmocka_unit_test(test_refused_crowd),
        cmocka_unit_test(test_silent_crowd),
        cmocka_unit_test(test_refused_crowd_in_log),
        cmocka_unit_test(test_refusals_are_thinned),
        cmocka_unit_test(test_data_and_close_at_once),
        cmocka_unit_test(test_little_is_held_for_strangers),
    };
    return cmocka_run_group_tests(tests, rig_make_keys, rig_free_keys);
}
