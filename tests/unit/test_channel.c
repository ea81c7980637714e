/* Channels and global requests of the server. What a peer may not do comes first. */
#include "server_rig.h"

static void send_data(struct rig *rig, uint32_t channel, size_t len) {
    uint8_t *bytes CLEANUP(freep) = calloc(1, len + 1);
    assert_non_null(bytes);
    rig_send(rig, "buS", MSG_CHANNEL_DATA, channel, span_of(bytes, len));
}

static void expect_open_failure(struct rig *rig, uint32_t peer, uint32_t reason) {
    span_t body = rig_message(rig, MSG_CHANNEL_OPEN_FAILURE);
    uint32_t got;
    span_t text;
    assert_ok(wire_get_u32(&body, &got));
    assert_int_equal(got, peer);
    assert_ok(wire_get_u32(&body, &got));
    assert_int_equal(got, reason);
    assert_ok(wire_get_string(&body, &text));
    assert_ok(wire_get_string(&body, &text));
    assert_ok(wire_expect_end(body));
}

/* A message whose body is one channel number, or two numbers. */
static uint32_t channel_of(span_t body) {
    uint32_t channel;
    assert_ok(wire_get_u32(&body, &channel));
    return channel;
}

static void send_to_peer(struct rig *rig, channel_id channel, size_t len) {
    uint8_t *to;
    assert_ok(server_channel_data_begin(rig->server, channel, len, &rig->to_peer.bytes, &to));
    memset(to, 'x', len);
    assert_ok(server_channel_data_end(rig->server, channel, len, rig->now_ms, &rig->to_peer.bytes));
}

static span_t data_to_peer(struct rig *rig) {
    span_t body = rig_message(rig, MSG_CHANNEL_DATA);
    span_t data;
    uint32_t peer;
    assert_ok(wire_get_u32(&body, &peer));
    assert_int_equal(peer, 100);
    assert_ok(wire_get_string(&body, &data));
    assert_ok(wire_expect_end(body));
    return data;
}

/* --- opening --- */

static void test_open_refuses(void **state) {
    (void)state;
    static const char long_host[LIMIT_HOST_NAME_CHARS + 2] = {[0 ... LIMIT_HOST_NAME_CHARS] = 'h'};
    static const struct {
        const char *host;
        uint32_t port;
    } cases[] = {{"", 22},        {"node1", 0},      {"node1", 65536},
                 {"node\n1", 22}, {"n\xc3\xb6", 22}, {long_host, 22}};
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rig_send(&rig, "bsuuususu", MSG_CHANNEL_OPEN, "direct-tcpip", 7U, 1000U, 1000U,
                 cases[i].host, cases[i].port, "", 0U);
        rig_quiet(&rig);
        expect_open_failure(&rig, 7, OPEN_ADMINISTRATIVELY_PROHIBITED);
    }
    static const char *const types[] = {"x11",
                                        "forwarded-tcpip",
                                        "auth-agent@openssh.com",
                                        "tun@openssh.com",
                                        "direct-streamlocal@openssh.com",
                                        ""};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        rig_send(&rig, "bsuuu", MSG_CHANNEL_OPEN, types[i], 8U, 1000U, 1000U);
        rig_quiet(&rig);
        expect_open_failure(&rig, 8, OPEN_UNKNOWN_CHANNEL_TYPE);
    }
    rig_send(&rig, "bsuuu", MSG_CHANNEL_OPEN, "session", 9U, 1000U, 0U);
    rig_quiet(&rig);
    expect_open_failure(&rig, 9, OPEN_ADMINISTRATIVELY_PROHIBITED);
    assert_int_equal(rig_direct(&rig), 0); /* none of them left anything behind */
}

static void test_open_tells_destination(void **state) {
    (void)state;
    static const char longest[LIMIT_HOST_NAME_CHARS + 1] = {[0 ... LIMIT_HOST_NAME_CHARS - 1] =
                                                                'h'};
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig_send(&rig, "bsuuususu", MSG_CHANNEL_OPEN, "direct-tcpip", 7U, 1000U, 1U, longest, 65535U,
             "::1\n", 70000U);
    struct server_event event = rig_event(&rig, SERVER_OPEN_DIRECT);
    assert_true(span_equal_str(event.host, longest));
    assert_int_equal(event.port, 65535);
    assert_true(span_equal_str(event.originator, "::1\n"));
}

static void test_open_malformed_is_fatal(void **state) {
    (void)state;
    static const char *const formats[] = {"bsuuu", "bsuuus", "bsuuusu", "bsuuusus", "bsuuususub"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        rig_send(&rig, formats[i], MSG_CHANNEL_OPEN, "direct-tcpip", 1U, 1U, 1U, "host", 22U, "",
                 0U, 1);
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
    }
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig_send(&rig, "bsuuub", MSG_CHANNEL_OPEN, "session", 1U, 1U, 1U, 1);
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

/* x/crypto CVE-2026-3982: what is refused leaves nothing. */
static void test_rejected_channels_do_not_leak(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    for (uint32_t i = 0; i < 3000; i++) {
        rig_ask_direct(&rig, i);
        channel_id id = rig_event(&rig, SERVER_OPEN_DIRECT).channel;
        assert_int_equal(id, 0);
        assert_ok(server_open_refuse(rig.server, id, OPEN_CONNECT_FAILED, "no route", rig.now_ms,
                                     &rig.to_peer.bytes));
        expect_open_failure(&rig, i, OPEN_CONNECT_FAILED);
    }
}

static void test_channels_max(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    for (uint32_t i = 0; i < 4; i++) {
        rig_ask_direct(&rig, 100 + i);
        assert_int_equal(rig_event(&rig, SERVER_OPEN_DIRECT).channel, i);
    }
    rig_ask_direct(&rig, 104);
    rig_quiet(&rig);
    expect_open_failure(&rig, 104, OPEN_RESOURCE_SHORTAGE);
    /* Answers in any order; a number that is free is used again. */
    rig_accept(&rig, 2);
    assert_ok(
        server_open_refuse(rig.server, 1, OPEN_CONNECT_FAILED, "", rig.now_ms, &rig.to_peer.bytes));
    expect_open_failure(&rig, 101, OPEN_CONNECT_FAILED);
    rig_ask_session(&rig, 105);
    assert_int_equal(rig_event(&rig, SERVER_OPEN_SESSION).channel, 1);
}

static void test_channels_limit(void **state) {
    (void)state;
    struct channel_table table;
    uint32_t id;
    channel_table_init(&table, NULL, LIMIT_CHANNELS_COUNT);
    for (uint32_t i = 0; i < LIMIT_CHANNELS_COUNT; i++) {
        assert_ok(channel_add(&table, &id));
        assert_int_equal(id, i);
    }
    assert_fails(channel_add(&table, &id), ERR_TOO_LONG);
    channel_remove(&table, 500);
    assert_null(channel_find(&table, 500));
    assert_null(channel_find(&table, LIMIT_CHANNELS_COUNT));
    assert_ok(channel_add(&table, &id));
    assert_int_equal(id, 500);
    for (uint32_t i = 0; i < LIMIT_CHANNELS_COUNT; i++) {
        channel_remove(&table, i);
    }
    assert_null(table.channels); /* no channel, no memory */
}

/* --- what is fatal on a channel --- */

static void test_unknown_channels_are_fatal(void **state) {
    (void)state;
    static const struct {
        const char *format;
        int number;
    } messages[] = {{"buu", MSG_CHANNEL_WINDOW_ADJUST},  {"bus", MSG_CHANNEL_DATA},
                    {"buus", MSG_CHANNEL_EXTENDED_DATA}, {"bu", MSG_CHANNEL_EOF},
                    {"bu", MSG_CHANNEL_CLOSE},           {"bust", MSG_CHANNEL_REQUEST},
                    {"bu", MSG_CHANNEL_SUCCESS},         {"bu", MSG_CHANNEL_FAILURE}};
    static const uint32_t channels[] = {0, 1, 3, 4, 100, UINT32_MAX}; /* 0: was, and is closed */
    for (size_t i = 0; i < COUNT_OF(messages) * COUNT_OF(channels); i++) {
        struct rig rig CLEANUP(rig_done);
        int number = messages[i / COUNT_OF(channels)].number;
        const char *format = messages[i / COUNT_OF(channels)].format;
        uint32_t channel = channels[i % COUNT_OF(channels)];
        rig_authenticate(&rig);
        rig_send(&rig, "bu", MSG_CHANNEL_CLOSE, (uint32_t)rig_direct(&rig));
        (void)rig_event(&rig, SERVER_CHANNEL_CLOSED);
        if (number == MSG_CHANNEL_DATA || number == MSG_CHANNEL_REQUEST) {
            rig_send(&rig, format, number, channel, "shell", true);
        } else {
            rig_send(&rig, format, number, channel, 1U, "data");
        }
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
    }
}

/* Before the confirmation the peer cannot know the number. The driver's answer may still come. */
static void test_close_before_confirmation(void **state) {
    (void)state;
    for (int accepts = 0; accepts <= 1; accepts++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        rig_ask_direct(&rig, 100);
        channel_id id = rig_event(&rig, SERVER_OPEN_DIRECT).channel;
        rig_send(&rig, "bu", MSG_CHANNEL_CLOSE, (uint32_t)id);
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
        struct buf *out = &rig.to_peer.bytes;
        if (accepts == 1) {
            assert_fails(server_open_accept(rig.server, id, 1, rig.now_ms, out), ERR_CLOSED);
        } else {
            assert_fails(
                server_open_refuse(rig.server, id, OPEN_CONNECT_FAILED, "", rig.now_ms, out),
                ERR_CLOSED);
        }
    }
}

static void test_data_beyond_window_is_fatal(void **state) {
    (void)state;
    static const size_t lens[] = {LIMIT_PACKET_DATA_BYTES, LIMIT_PACKET_DATA_BYTES,
                                  LIMIT_PACKET_DATA_BYTES};
    for (int more = 0; more <= 1; more++) {
        for (int extended = 0; extended <= 1; extended++) {
            struct rig rig CLEANUP(rig_done);
            rig_authenticate(&rig);
            channel_id id = rig_direct(&rig);
            for (size_t i = 0; i < COUNT_OF(lens); i++) {
                send_data(&rig, id, lens[i]);
                assert_int_equal(rig_event(&rig, SERVER_CHANNEL_DATA).data.len, lens[i]);
            }
            uint32_t left = server_channel_window(rig.server, id);
            assert_int_equal(left, RIG_WINDOW - 3 * LIMIT_PACKET_DATA_BYTES);
            static const uint8_t bytes[RIG_WINDOW];
            span_t data = span_of(bytes, left + (size_t)more);
            if (extended == 1) {
                rig_send(&rig, "buuS", MSG_CHANNEL_EXTENDED_DATA, (uint32_t)id, 1U, data);
            } else {
                rig_send(&rig, "buS", MSG_CHANNEL_DATA, (uint32_t)id, data);
            }
            if (more == 1) {
                rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
            } else if (extended == 1) {
                rig_quiet(&rig); /* dropped, and its window given back */
                assert_int_equal(server_channel_window(rig.server, id), left);
                assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST)), 100);
            } else {
                (void)rig_event(&rig, SERVER_CHANNEL_DATA);
                assert_int_equal(server_channel_window(rig.server, id), 0);
            }
        }
    }
}

static void test_packet_beyond_limit_is_fatal(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    send_data(&rig, id, LIMIT_PACKET_DATA_BYTES + 1);
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

static void test_nothing_after_eof(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        channel_id id = rig_direct(&rig);
        rig_send(&rig, "bu", MSG_CHANNEL_EOF, (uint32_t)id);
        (void)rig_event(&rig, SERVER_CHANNEL_EOF);
        switch (i) {
        case 0:
            send_data(&rig, id, 0);
            break;
        case 1:
            rig_send(&rig, "buus", MSG_CHANNEL_EXTENDED_DATA, (uint32_t)id, 1U, "");
            break;
        default:
            rig_send(&rig, "bu", MSG_CHANNEL_EOF, (uint32_t)id);
        }
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
    }
}

static void test_window_overflow_is_fatal(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send(&rig, "buu", MSG_CHANNEL_WINDOW_ADJUST, (uint32_t)id, UINT32_MAX - RIG_ROOM);
    (void)rig_event(&rig, SERVER_CHANNEL_WINDOW);
    assert_int_equal(server_channel_room(rig.server, id), RIG_PACKET);
    rig_send(&rig, "buu", MSG_CHANNEL_WINDOW_ADJUST, (uint32_t)id, 1U);
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

static void test_trailing_bytes_are_fatal(void **state) {
    (void)state;
    static const int numbers[] = {MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE, MSG_CHANNEL_SUCCESS,
                                  MSG_CHANNEL_FAILURE};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        rig_send(&rig, "bub", numbers[i], (uint32_t)rig_direct(&rig), 0);
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
    }
}

/* --- data, and how a channel ends --- */

static void test_room(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    size_t left = RIG_ROOM;
    while (left > 0) {
        size_t room = server_channel_room(rig.server, id);
        assert_int_equal(room, left < RIG_PACKET ? left : RIG_PACKET);
        send_to_peer(&rig, id, room);
        assert_int_equal(data_to_peer(&rig).len, room);
        left -= room;
    }
    assert_int_equal(server_channel_room(rig.server, id), 0);
    rig_send(&rig, "buu", MSG_CHANNEL_WINDOW_ADJUST, (uint32_t)id, 5U);
    (void)rig_event(&rig, SERVER_CHANNEL_WINDOW);
    assert_int_equal(server_channel_room(rig.server, id), 5);
    send_to_peer(&rig, id, 0); /* sends nothing */
    rig_no_message(&rig);
    assert_int_equal(server_channel_room(rig.server, id), 5);
    assert_ok(server_channel_eof(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_int_equal(server_channel_room(rig.server, id), 0);
    assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_EOF)), 100);
    assert_ok(server_channel_eof(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    rig_no_message(&rig);
}

static void test_large_and_tiny_packets(void **state) {
    (void)state;
    static const struct {
        uint32_t packet_max;
        size_t room;
    } cases[] = {{1, 1},
                 {LIMIT_PACKET_DATA_BYTES, LIMIT_PACKET_DATA_BYTES},
                 {UINT32_MAX, LIMIT_PACKET_DATA_BYTES}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        rig_send(&rig, "bsuuususu", MSG_CHANNEL_OPEN, "direct-tcpip", 100U, UINT32_MAX,
                 cases[i].packet_max, "h", 1U, "", 0U);
        channel_id id = rig_event(&rig, SERVER_OPEN_DIRECT).channel;
        rig_accept(&rig, id);
        assert_int_equal(server_channel_room(rig.server, id), cases[i].room);
        send_to_peer(&rig, id, cases[i].room);
        assert_int_equal(data_to_peer(&rig).len, cases[i].room);
    }
}

static void test_take_gives_window(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    send_data(&rig, id, 1000);
    (void)rig_event(&rig, SERVER_CHANNEL_DATA);
    assert_int_equal(server_channel_window(rig.server, id), RIG_WINDOW - 1000);
    assert_ok(server_channel_take(rig.server, id, 0, rig.now_ms, &rig.to_peer.bytes));
    rig_no_message(&rig);
    assert_ok(server_channel_take(rig.server, id, 1000, rig.now_ms, &rig.to_peer.bytes));
    span_t body = rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST);
    uint32_t more;
    assert_int_equal(channel_of(body), 100);
    body = span_of(body.data + 4, body.len - 4);
    assert_ok(wire_get_u32(&body, &more));
    assert_int_equal(more, 1000);
    assert_int_equal(server_channel_window(rig.server, id), RIG_WINDOW);
}

static void test_half_close(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send(&rig, "bu", MSG_CHANNEL_EOF, (uint32_t)id);
    (void)rig_event(&rig, SERVER_CHANNEL_EOF);
    send_to_peer(&rig, id, 10);
    assert_int_equal(data_to_peer(&rig).len, 10);
    assert_ok(server_channel_eof(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_ok(server_channel_close(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_CHANNEL_EOF);
    (void)rig_message(&rig, MSG_CHANNEL_CLOSE);
    rig_send(&rig, "bu", MSG_CHANNEL_CLOSE, (uint32_t)id);
    assert_int_equal(rig_event(&rig, SERVER_CHANNEL_CLOSED).channel, id);
    rig_no_message(&rig); /* closed once */
}

static void test_close_by_peer_is_answered(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send(&rig, "bu", MSG_CHANNEL_CLOSE, (uint32_t)id);
    assert_int_equal(rig_event(&rig, SERVER_CHANNEL_CLOSED).channel, id);
    assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_CLOSE)), 100);
    assert_int_equal(rig_direct(&rig), id);
}

/* The peer did not know yet. What it sent meanwhile is dropped, within its window. */
static void test_messages_after_our_close(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_session(&rig);
    assert_ok(server_channel_close(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_CLOSE)), 100);
    assert_int_equal(server_channel_room(rig.server, id), 0);
    send_data(&rig, id, 1000);
    rig_send(&rig, "buus", MSG_CHANNEL_EXTENDED_DATA, (uint32_t)id, 1U, "x");
    rig_send(&rig, "buu", MSG_CHANNEL_WINDOW_ADJUST, (uint32_t)id, 1U);
    rig_send(&rig, "bust", MSG_CHANNEL_REQUEST, (uint32_t)id, "shell", true);
    rig_send(&rig, "bu", MSG_CHANNEL_EOF, (uint32_t)id);
    assert_ok(server_channel_close(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_ok(server_channel_eof(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_ok(server_channel_take(rig.server, id, 10, rig.now_ms, &rig.to_peer.bytes));
    rig_send(&rig, "bu", MSG_CHANNEL_CLOSE, (uint32_t)id);
    assert_int_equal(rig_event(&rig, SERVER_CHANNEL_CLOSED).channel, id);
    rig_no_message(&rig);
    struct rig endless CLEANUP(rig_done);
    rig_authenticate(&endless);
    id = rig_direct(&endless);
    assert_ok(server_channel_close(endless.server, id, endless.now_ms, &endless.to_peer.bytes));
    for (size_t sent = 0; sent + LIMIT_PACKET_DATA_BYTES <= RIG_WINDOW;
         sent += LIMIT_PACKET_DATA_BYTES) {
        send_data(&endless, id, LIMIT_PACKET_DATA_BYTES);
        rig_quiet(&endless);
    }
    send_data(&endless, id, LIMIT_PACKET_DATA_BYTES);
    rig_fatal(&endless, DISCONNECT_PROTOCOL_ERROR);
}

/* --- replies to nothing --- */

/* x/crypto CVE-2026-39830: they locked the multiplexer up. */
static void test_unsolicited_replies(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    for (int i = 0; i < 1000; i++) {
        rig_send(&rig, "b", MSG_REQUEST_SUCCESS);
        rig_send(&rig, "b", MSG_REQUEST_FAILURE);
        rig_send(&rig, "bu", MSG_CHANNEL_SUCCESS, (uint32_t)id);
        rig_send(&rig, "bu", MSG_CHANNEL_FAILURE, (uint32_t)id);
    }
    rig_quiet(&rig);
    rig_no_message(&rig);
    send_data(&rig, id, 1);
    (void)rig_event(&rig, SERVER_CHANNEL_DATA);
}

static void test_ping(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    assert_true(server_ping_answered(rig.server));
    assert_ok(server_ping(rig.server, rig.now_ms, &rig.to_peer.bytes));
    assert_false(server_ping_answered(rig.server));
    span_t body = rig_message(&rig, MSG_GLOBAL_REQUEST);
    span_t name;
    bool want_reply;
    assert_ok(wire_get_string(&body, &name));
    assert_ok(wire_get_bool(&body, &want_reply));
    assert_true(span_equal_str(name, "keepalive@openssh.com") && want_reply);
    rig_quiet(&rig);
    assert_false(server_ping_answered(rig.server));
    rig_send(&rig, "b", MSG_REQUEST_FAILURE);
    rig_quiet(&rig);
    assert_true(server_ping_answered(rig.server));
}

/* --- sessions --- */

static void ask(struct rig *rig, channel_id id, const char *type) {
    rig_send(rig, "bust", MSG_CHANNEL_REQUEST, (uint32_t)id, type, true);
}

static void test_session_requests(void **state) {
    (void)state;
    static const char *const refused[] = {"exec",
                                          "subsystem",
                                          "x11-req",
                                          "auth-agent-req@openssh.com",
                                          "env",
                                          "break",
                                          "keepalive@openssh.com",
                                          ""};
    static const char *const granted[] = {"pty-req", "window-change", "signal"};
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_session(&rig);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        ask(&rig, id, refused[i]);
        rig_quiet(&rig);
        assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_FAILURE)), 100);
    }
    for (size_t i = 0; i < COUNT_OF(granted); i++) {
        ask(&rig, id, granted[i]);
        rig_quiet(&rig);
        assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_SUCCESS)), 100);
    }
    rig_send(&rig, "bust", MSG_CHANNEL_REQUEST, (uint32_t)id, "env", false);
    rig_quiet(&rig);
    rig_no_message(&rig);
    ask(&rig, id, "shell");
    struct server_event event = rig_event(&rig, SERVER_SESSION_SHELL);
    assert_int_equal(event.channel, id);
    assert_true(event.has_pty);
    (void)rig_message(&rig, MSG_CHANNEL_SUCCESS);
    ask(&rig, id, "shell"); /* once */
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
}

static void test_shell_without_pty(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig_send(&rig, "bust", MSG_CHANNEL_REQUEST, (uint32_t)rig_session(&rig), "shell", false);
    assert_false(rig_event(&rig, SERVER_SESSION_SHELL).has_pty);
    rig_no_message(&rig);
}

static void test_no_shell_on_direct(void **state) {
    (void)state;
    static const char *const types[] = {"shell", "pty-req", "exec", "signal"};
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        ask(&rig, id, types[i]);
        rig_quiet(&rig);
        (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
    }
}

static void expect_exit_status(struct rig *rig, uint32_t expected) {
    span_t body = rig_message(rig, MSG_CHANNEL_REQUEST);
    uint32_t number;
    span_t type;
    bool want_reply;
    assert_ok(wire_get_u32(&body, &number));
    assert_int_equal(number, 100);
    assert_ok(wire_get_string(&body, &type));
    assert_true(span_equal_str(type, "exit-status"));
    assert_ok(wire_get_bool(&body, &want_reply));
    assert_false(want_reply);
    assert_ok(wire_get_u32(&body, &number));
    assert_int_equal(number, expected);
    assert_ok(wire_expect_end(body));
}

static void test_session_end(void **state) {
    (void)state;
    static const uint8_t text[LIMIT_SESSION_TEXT_BYTES] = "hello";
    static const struct {
        uint32_t room, packet_max;
        size_t sent;
    } cases[] = {{100000, 32768, sizeof text}, {100000, 1000, sizeof text}, {3, 1, 3}, {0, 1, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_authenticate(&rig);
        rig_send(&rig, "bsuuu", MSG_CHANNEL_OPEN, "session", 100U, cases[i].room,
                 cases[i].packet_max);
        channel_id id = rig_event(&rig, SERVER_OPEN_SESSION).channel;
        rig_accept(&rig, id);
        assert_ok(server_channel_end(rig.server, id, span_of(text, sizeof text), 3, rig.now_ms,
                                     &rig.to_peer.bytes));
        for (size_t left = cases[i].sent; left > 0;) {
            size_t got = data_to_peer(&rig).len;
            assert_in_range(got, 1, cases[i].packet_max);
            assert_true(got <= left);
            left -= got;
        }
        (void)rig_message(&rig, MSG_CHANNEL_EOF);
        expect_exit_status(&rig, 3);
        (void)rig_message(&rig, MSG_CHANNEL_CLOSE);
        rig_no_message(&rig);
    }
}

/* --- global requests --- */

static void test_no_more_sessions(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig_send(&rig, "bst", MSG_GLOBAL_REQUEST, "no-more-sessions@openssh.com", true);
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_REQUEST_SUCCESS);
    (void)rig_direct(&rig);
    rig_ask_session(&rig, 1);
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

static void test_global_requests_refused(void **state) {
    (void)state;
    static const char *const names[] = {"keepalive@openssh.com",
                                        "tcpip-forward",
                                        "cancel-tcpip-forward",
                                        "streamlocal-forward@openssh.com",
                                        "hostkeys-prove-00@openssh.com",
                                        "x@example.org",
                                        ""};
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        rig_send(&rig, "bst", MSG_GLOBAL_REQUEST, names[i], false);
        rig_quiet(&rig);
        rig_no_message(&rig);
        rig_send(&rig, "bst", MSG_GLOBAL_REQUEST, names[i], true);
        rig_quiet(&rig);
        (void)rig_message(&rig, MSG_REQUEST_FAILURE);
    }
}

static span_t host_blob(const struct private_key *key) { return key_blob(private_key_public(key)); }

static void test_host_keys_are_told(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_prove(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_PROVED);
    assert_ok(server_auth_accept(rig.server, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_USERAUTH_SUCCESS);
    span_t body = rig_message(&rig, MSG_GLOBAL_REQUEST);
    span_t name;
    bool want_reply;
    span_t blob;
    assert_ok(wire_get_string(&body, &name));
    assert_true(span_equal_str(name, "hostkeys-00@openssh.com"));
    assert_ok(wire_get_bool(&body, &want_reply));
    assert_false(want_reply);
    assert_ok(wire_get_string(&body, &blob));
    assert_true(span_equal(blob, host_blob(rig_host_key)));
    assert_ok(wire_get_string(&body, &blob));
    assert_true(span_equal(blob, host_blob(rig_rsa_host_key)));
    assert_ok(wire_expect_end(body));
}

/* A key that is shown plain and with a certificate is one key. */
static void test_host_keys_are_told_once(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig.host_keys[1] = rig.host_keys[0];
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_prove(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_PROVED);
    assert_ok(server_auth_accept(rig.server, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_USERAUTH_SUCCESS);
    span_t body = rig_message(&rig, MSG_GLOBAL_REQUEST);
    span_t part;
    bool want_reply;
    assert_ok(wire_get_string(&body, &part));
    assert_ok(wire_get_bool(&body, &want_reply));
    assert_ok(wire_get_string(&body, &part));
    assert_ok(wire_expect_end(body));
}

static void check_proof(struct rig *rig, span_t *body, const struct private_key *key) {
    struct buf data CLEANUP(buf_done) = BUF(8192);
    span_t signature;
    assert_ok(wire_put_text(&data, "hostkeys-prove-00@openssh.com"));
    assert_ok(wire_put_string(&data, transport_session_id(rig->peer)));
    assert_ok(wire_put_string(&data, host_blob(key)));
    assert_ok(wire_get_string(body, &signature));
    assert_ok(key_verify(private_key_public(key), buf_span(&data), signature, NULL));
}

static void test_host_keys_prove(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig.keeps_sign = true;
    rig_send(&rig, "bstSS", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true,
             host_blob(rig_rsa_host_key), host_blob(rig_host_key));
    rig_send(&rig, "bst", MSG_GLOBAL_REQUEST, "keepalive@openssh.com", true);
    struct server_event event = rig_event(&rig, SERVER_SIGN);
    assert_true(key_equal(event.host_key->key, private_key_public(rig_rsa_host_key)));
    assert_string_equal(event.algorithm, "rsa-sha2-512");
    rig_quiet(&rig);
    rig_no_message(&rig);
    rig_sign(&rig, &event);
    event = rig_event(&rig, SERVER_SIGN);
    assert_true(key_equal(event.host_key->key, private_key_public(rig_host_key)));
    rig_quiet(&rig);
    rig_no_message(&rig);
    rig_sign(&rig, &event);
    rig_quiet(&rig);
    /* In the order of the requests. */
    span_t body = rig_message(&rig, MSG_REQUEST_SUCCESS);
    check_proof(&rig, &body, rig_rsa_host_key);
    check_proof(&rig, &body, rig_host_key);
    assert_ok(wire_expect_end(body));
    (void)rig_message(&rig, MSG_REQUEST_FAILURE);
}

static void test_host_keys_prove_refuses(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig.keeps_sign = true;
    span_t ours = host_blob(rig_host_key);
    /* Not ours; ours and not ours; more than we have; no string. */
    rig_send(&rig, "bstS", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true,
             host_blob(rig_alice_key));
    rig_send(&rig, "bstSS", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true, ours,
             host_blob(rig_alice_key));
    rig_send(&rig, "bstSSS", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true, ours, ours,
             ours);
    rig_send(&rig, "bstSb", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true, ours, 0);
    rig_quiet(&rig);
    for (int i = 0; i < 4; i++) {
        (void)rig_message(&rig, MSG_REQUEST_FAILURE);
    }
    rig_no_message(&rig);
    /* The key cannot be had. */
    rig_send(&rig, "bstS", MSG_GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", true, ours);
    (void)rig_event(&rig, SERVER_SIGN);
    assert_ok(server_signed(rig.server, span_of(NULL, 0), rig.now_ms, &rig.to_peer.bytes));
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_REQUEST_FAILURE);
}

/* --- during an exchange --- */

static void test_no_room_during_exchange(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    assert_int_equal(server_channel_room(rig.server, id), RIG_PACKET);
    assert_ok(transport_rekey(server_transport(rig.server), rig.now_ms, &rig.to_peer.bytes));
    assert_int_equal(server_channel_room(rig.server, id), 0);
    /* What is not bulk waits, and comes after the exchange. */
    assert_ok(server_channel_take(rig.server, id, 7, rig.now_ms, &rig.to_peer.bytes));
    struct server_event event = {0};
    for (int i = 0; i < 10 && event.type == SERVER_NEEDS_INPUT; i++) {
        struct transport_event got = rig_peer_next(&rig);
        assert_int_equal(got.type, TRANSPORT_NEEDS_INPUT);
        assert_ok(rig_try_next(&rig, &event));
    }
    assert_int_equal(event.type, SERVER_CHANNEL_WINDOW);
    assert_int_equal(event.channel, id);
    assert_int_equal(server_channel_room(rig.server, id), RIG_PACKET);
    assert_int_equal(channel_of(rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST)), 100);
    rig_quiet(&rig);
}

/* A greeting waits for the exchange, and comes whole and in order. */
static void test_session_end_during_exchange(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct server_event event = {0};
    rig_authenticate(&rig);
    channel_id id = rig_session(&rig);
    assert_ok(transport_rekey(server_transport(rig.server), rig.now_ms, &rig.to_peer.bytes));
    assert_ok(server_channel_end(rig.server, id, SPAN_LITERAL("you are alice\n"), 0, rig.now_ms,
                                 &rig.to_peer.bytes));
    for (int i = 0; i < 10 && !transport_is_open(server_transport(rig.server)); i++) {
        rig_no_message(&rig);
        assert_ok(rig_try_next(&rig, &event));
        assert_int_equal(event.type, SERVER_NEEDS_INPUT); /* closed: no room to tell of */
    }
    assert_true(span_equal_str(data_to_peer(&rig), "you are alice\n"));
    (void)rig_message(&rig, MSG_CHANNEL_EOF);
    expect_exit_status(&rig, 0);
    (void)rig_message(&rig, MSG_CHANNEL_CLOSE);
    rig_no_message(&rig);
}

/* A peer that asks and asks while it lets no exchange end does not grow us. */
static void test_what_an_exchange_holds_back_is_bounded(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct server_event event;
    rig_authenticate(&rig);
    assert_ok(transport_rekey(server_transport(rig.server), rig.now_ms, &rig.to_peer.bytes));
    for (size_t i = 0; i < LIMIT_TRANSPORT_HELD_BYTES; i++) {
        rig_send(&rig, "bst", MSG_GLOBAL_REQUEST, "keepalive@openssh.com", true);
    }
    assert_fails(rig_try_next(&rig, &event), ERR_PROTOCOL);
    assert_fails(rig_try_next(&rig, &event), ERR_CLOSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_refuses),
        cmocka_unit_test(test_open_tells_destination),
        cmocka_unit_test(test_open_malformed_is_fatal),
        cmocka_unit_test(test_rejected_channels_do_not_leak),
        cmocka_unit_test(test_channels_max),
        cmocka_unit_test(test_channels_limit),
        cmocka_unit_test(test_unknown_channels_are_fatal),
        cmocka_unit_test(test_close_before_confirmation),
        cmocka_unit_test(test_data_beyond_window_is_fatal),
        cmocka_unit_test(test_packet_beyond_limit_is_fatal),
        cmocka_unit_test(test_nothing_after_eof),
        cmocka_unit_test(test_window_overflow_is_fatal),
        cmocka_unit_test(test_trailing_bytes_are_fatal),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_large_and_tiny_packets),
        cmocka_unit_test(test_take_gives_window),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_close_by_peer_is_answered),
        cmocka_unit_test(test_messages_after_our_close),
        cmocka_unit_test(test_unsolicited_replies),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_session_requests),
        cmocka_unit_test(test_shell_without_pty),
        cmocka_unit_test(test_no_shell_on_direct),
        cmocka_unit_test(test_session_end),
        cmocka_unit_test(test_no_more_sessions),
        cmocka_unit_test(test_global_requests_refused),
        cmocka_unit_test(test_host_keys_are_told),
        cmocka_unit_test(test_host_keys_are_told_once),
        cmocka_unit_test(test_host_keys_prove),
        cmocka_unit_test(test_host_keys_prove_refuses),
        cmocka_unit_test(test_no_room_during_exchange),
        cmocka_unit_test(test_session_end_during_exchange),
        cmocka_unit_test(test_what_an_exchange_holds_back_is_bounded),
    };
    return cmocka_run_group_tests_name("channel", tests, rig_make_keys, rig_free_keys);
}
