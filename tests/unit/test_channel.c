/* The channels of the server. What a peer may not do comes first. */
#include "server_rig.h"

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
                rig_send_data(&rig, id, lens[i]);
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
                assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST)), 100);
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
    rig_send_data(&rig, id, LIMIT_PACKET_DATA_BYTES + 1);
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
            rig_send_data(&rig, id, 0);
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
        rig_send_to_peer(&rig, id, room);
        assert_int_equal(rig_data_to_peer(&rig).len, room);
        left -= room;
    }
    assert_int_equal(server_channel_room(rig.server, id), 0);
    rig_send(&rig, "buu", MSG_CHANNEL_WINDOW_ADJUST, (uint32_t)id, 5U);
    (void)rig_event(&rig, SERVER_CHANNEL_WINDOW);
    assert_int_equal(server_channel_room(rig.server, id), 5);
    rig_send_to_peer(&rig, id, 0); /* sends nothing */
    rig_no_message(&rig);
    assert_int_equal(server_channel_room(rig.server, id), 5);
    assert_ok(server_channel_eof(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_int_equal(server_channel_room(rig.server, id), 0);
    assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_EOF)), 100);
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
        rig_send_to_peer(&rig, id, cases[i].room);
        assert_int_equal(rig_data_to_peer(&rig).len, cases[i].room);
    }
}

static void test_take_gives_window(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send_data(&rig, id, 1000);
    (void)rig_event(&rig, SERVER_CHANNEL_DATA);
    assert_int_equal(server_channel_window(rig.server, id), RIG_WINDOW - 1000);
    assert_ok(server_channel_take(rig.server, id, 0, rig.now_ms, &rig.to_peer.bytes));
    rig_no_message(&rig);
    assert_ok(server_channel_take(rig.server, id, 1000, rig.now_ms, &rig.to_peer.bytes));
    span_t body = rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST);
    uint32_t more;
    assert_int_equal(rig_channel_of(body), 100);
    body = span_of(body.data + 4, body.len - 4);
    assert_ok(wire_get_u32(&body, &more));
    assert_int_equal(more, 1000);
    assert_int_equal(server_channel_window(rig.server, id), RIG_WINDOW);
}

/* Reading on leaves what was read alone. */
static void test_data_stays_in_the_input(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    span_t read[3];
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send(&rig, "bus", MSG_CHANNEL_DATA, (uint32_t)id, "one");
    rig_send(&rig, "bus", MSG_CHANNEL_DATA, (uint32_t)id, "two");
    rig_send(&rig, "bus", MSG_CHANNEL_DATA, (uint32_t)id, "three");
    for (size_t i = 0; i < COUNT_OF(read); i++) {
        read[i] = rig_event(&rig, SERVER_CHANNEL_DATA).data;
    }
    rig_quiet(&rig);
    assert_true(span_equal_str(read[0], "one"));
    assert_true(span_equal_str(read[1], "two"));
    assert_true(span_equal_str(read[2], "three"));
    const uint8_t *input = rig.to_server.bytes.data;
    assert_true(read[0].data > input && read[2].data < input + rig.to_server.bytes.len);
}

static void test_half_close(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_direct(&rig);
    rig_send(&rig, "bu", MSG_CHANNEL_EOF, (uint32_t)id);
    (void)rig_event(&rig, SERVER_CHANNEL_EOF);
    rig_send_to_peer(&rig, id, 10);
    assert_int_equal(rig_data_to_peer(&rig).len, 10);
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
    assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_CLOSE)), 100);
    assert_int_equal(rig_direct(&rig), id);
}

/* The peer did not know yet. What it sent meanwhile is dropped, within its window. */
static void test_messages_after_our_close(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    channel_id id = rig_session(&rig);
    assert_ok(server_channel_close(rig.server, id, rig.now_ms, &rig.to_peer.bytes));
    assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_CLOSE)), 100);
    assert_int_equal(server_channel_room(rig.server, id), 0);
    rig_send_data(&rig, id, 1000);
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
        rig_send_data(&endless, id, LIMIT_PACKET_DATA_BYTES);
        rig_quiet(&endless);
    }
    rig_send_data(&endless, id, LIMIT_PACKET_DATA_BYTES);
    rig_fatal(&endless, DISCONNECT_PROTOCOL_ERROR);
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
        cmocka_unit_test(test_data_stays_in_the_input),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_close_by_peer_is_answered),
        cmocka_unit_test(test_messages_after_our_close),
    };
    return cmocka_run_group_tests_name("channel", tests, rig_make_keys, rig_free_keys);
}
