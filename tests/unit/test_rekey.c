/* Later exchanges, and what is held back meanwhile. */
#include "transport_rig.h"

/* Every message that came, in the order of their numbers, from `first` on. */
static void assert_got(const struct rig_side *side, uint32_t first, uint32_t count) {
    span_t rest = buf_span(&side->got);
    for (uint32_t i = 0; i < count; i++) {
        span_t message;
        uint8_t number;
        uint32_t value;
        assert_ok(wire_get_string(&rest, &message));
        assert_ok(wire_get_u8(&message, &number));
        assert_ok(wire_get_u32(&message, &value));
        assert_int_equal(value, first + i);
    }
    assert_int_equal(rest.len, 0);
}

static void rekey(struct rig *rig, struct rig_side *side) {
    assert_ok(transport_rekey(side->transport, rig->now_ms, &side->out));
    assert_false(transport_is_open(side->transport));
}

static void send_both(struct rig *rig, uint32_t *next, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, (*next)++) {
        assert_ok(rig_send(rig, &rig->server, 94, *next));
        assert_ok(rig_send(rig, &rig->client, 94, *next));
    }
}

/* --- refused --- */

static void test_only_the_exchange_after_kexinit(void **state) {
    (void)state;
    static const uint8_t numbers[] = {5, MSG_EXT_INFO, MSG_KEXINIT, 50, 80, 94, MSG_PING, 255};
    for (size_t i = 0; i < COUNT_OF(numbers) * 2; i++) {
        struct rig rig CLEANUP(rig_done);
        rig_open(&rig);
        struct rig_side *peer = i % 2 == 0 ? &rig.client : &rig.server;
        struct rig_side *side = i % 2 == 0 ? &rig.server : &rig.client;
        rekey(&rig, peer);
        assert_ok(rig_send_now(peer, span_of(&numbers[i / 2], 1)));
        rig_move(&rig, peer, side);
        assert_fails(side->err, ERR_PROTOCOL);
        assert_int_equal(side->messages, 0);
    }
}

static void test_held_limit(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    rekey(&rig, &rig.server);
    struct buf longest CLEANUP(buf_done) = BUF(LIMIT_TRANSPORT_HELD_BYTES);
    assert_ok(buf_add_byte(&longest, 94));
    while (longest.len < LIMIT_TRANSPORT_HELD_BYTES - 4 - 9) {
        assert_ok(buf_add_byte(&longest, 'x'));
    }
    assert_ok(transport_send(rig.server.transport, buf_span(&longest), 0, &rig.server.out));
    assert_ok(rig_send(&rig, &rig.server, 94, 7)); /* meets the limit */
    assert_fails(rig_send(&rig, &rig.server, 94, 8), ERR_TOO_LONG);
    rig_run(&rig);
    assert_open(&rig, 2);
    assert_int_equal(rig.client.messages, 2);
}

/* A peer that goes on with pings and lets no exchange happen. */
static void test_held_pongs_are_bounded(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    rekey(&rig, &rig.server);
    for (size_t i = 0; i < LIMIT_TRANSPORT_HELD_BYTES / 9 + 1; i++) {
        static const uint8_t ping[] = {MSG_PING, 0, 0, 0, 0};
        assert_ok(rig_send_now(&rig.client, span_of(ping, sizeof ping)));
    }
    rig_move(&rig, &rig.client, &rig.server);
    assert_fails(rig.server.err, ERR_TOO_LONG);
}

static void test_key_protects_no_2_32_packets(void **state) {
    (void)state;
    for (size_t strict = 0; strict < 2; strict++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig_start(&rig);
        if (strict == 0) {
            rig_not_strict(&rig);
        }
        rig_run(&rig);
        rig.server.transport->in.packets = UINT32_MAX - 1;
        assert_ok(rig_send(&rig, &rig.client, 94, 1));
        rig_move(&rig, &rig.client, &rig.server);
        assert_ok(rig.server.err);
        assert_ok(rig_send(&rig, &rig.client, 94, 2));
        rig_move(&rig, &rig.client, &rig.server);
        assert_fails(rig.server.err, ERR_PROTOCOL);
        rig.client.transport->out.packets = UINT32_MAX;
        assert_fails(rig_send_now(&rig.client, SPAN_LITERAL("\x5e")), ERR_PROTOCOL);
    }
}

/* Without strictness a peer could turn the numbers over before the first NEWKEYS. */
static void test_numbers_do_not_wrap_in_the_clear(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig_start(&rig);
    rig_not_strict(&rig);
    rig_move(&rig, &rig.client, &rig.server);
    rig.server.transport->in.packets = rig.server.transport->in.sequence = UINT32_MAX;
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\x02\0\0\0\0")));
    rig_move(&rig, &rig.client, &rig.server);
    assert_fails(rig.server.err, ERR_PROTOCOL);
}

/* --- rekeying --- */

static void test_rekey_with_messages_in_flight(void **state) {
    (void)state;
    for (size_t strict = 0; strict < 2; strict++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig_start(&rig);
        if (strict == 0) {
            rig_not_strict(&rig);
        }
        rig_run(&rig);
        span_t id = transport_session_id(rig.server.transport);
        uint8_t before[EVP_MAX_MD_SIZE];
        memcpy(before, id.data, id.len);
        uint32_t next = 0;
        for (size_t who = 1; who <= 3; who++) {
            send_both(&rig, &next, 10);
            if ((who & 1) != 0) {
                rekey(&rig, &rig.server);
            }
            if ((who & 2) != 0) {
                rekey(&rig, &rig.client);
            }
            send_both(&rig, &next, 10);
            rig_run(&rig);
            assert_open(&rig, 1 + who);
        }
        assert_got(&rig.server, 0, next);
        assert_got(&rig.client, 0, next);
        assert_true(
            span_equal(transport_session_id(rig.client.transport), span_of(before, id.len)));
        assert_int_equal(rig.client.transport->is_strict, strict);
    }
}

/* Strict key exchange begins to count at each NEWKEYS, and otherwise nobody ever does. */
static void test_sequence_numbers(void **state) {
    (void)state;
    for (size_t strict = 0; strict < 2; strict++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig_start(&rig);
        if (strict == 0) {
            rig_not_strict(&rig);
        }
        rig_run(&rig);
        for (uint32_t exchange = 1; exchange <= 3; exchange++) {
            const struct transport *server = rig.server.transport;
            const struct transport *client = rig.client.transport;
            /* KEXINIT, KEX_INIT or KEX_REPLY, NEWKEYS; the server's EXT_INFO follows the first */
            assert_int_equal(server->in.sequence, strict ? 0 : 3 * exchange);
            assert_int_equal(client->out.sequence, server->in.sequence);
            assert_int_equal(server->out.sequence,
                             strict ? (exchange == 1 ? 1 : 0) : 3 * exchange + 1);
            assert_int_equal(client->in.sequence, server->out.sequence);
            rekey(&rig, &rig.client);
            rig_run(&rig);
        }
    }
}

static void test_rekey_by_bytes_under_load(void **state) {
    (void)state;
    for (size_t who = 1; who <= 3; who++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.config.rekey_bytes = (who & 1) != 0 ? 20000 : 0;
        rig.client.config.rekey_bytes = (who & 2) != 0 ? 20000 : 0;
        rig_start(&rig);
        rig_run(&rig);
        uint32_t next = 0;
        for (size_t i = 0; i < 400; i++) {
            send_both(&rig, &next, 20);
            rig_move(&rig, &rig.client, &rig.server);
            rig_move(&rig, &rig.server, &rig.client);
        }
        rig_run(&rig);
        assert_true(rig.server.newkeys > 10);
        assert_open(&rig, rig.client.newkeys);
        assert_got(&rig.server, 0, next);
        assert_got(&rig.client, 0, next);
    }
}

static void test_rekey_by_time_and_packets(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig.server.config.rekey_ms = 5000;
    rig_start(&rig);
    rig_run(&rig);
    rig.now_ms += 4999;
    rig_run(&rig);
    assert_open(&rig, 1);
    rig.now_ms += 1;
    rig_run(&rig);
    assert_open(&rig, 2);

    rig.client.transport->out.packets = LIMIT_REKEY_PACKETS - 2;
    assert_ok(rig_send(&rig, &rig.client, 94, 1));
    rig_run(&rig);
    assert_open(&rig, 2);
    assert_ok(rig_send(&rig, &rig.client, 94, 2));
    rig_run(&rig);
    assert_open(&rig, 3);
    rig.client.transport->in.packets = LIMIT_REKEY_PACKETS;
    rig_run(&rig);
    assert_open(&rig, 4);
    rig.now_ms += LIMIT_REKEY_MS; /* the client's */
    rig_run(&rig);
    assert_open(&rig, 5);
    assert_got(&rig.server, 1, 2);
}

static void test_peer_goes_on_until_its_kexinit(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    rekey(&rig, &rig.server);
    buf_clear(&rig.server.got);
    assert_ok(rig_send(&rig, &rig.client, 94, 0));
    assert_ok(rig_send(&rig, &rig.client, 94, 1));
    rig_move(&rig, &rig.client, &rig.server);
    assert_got(&rig.server, 0, 2);
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\xc8"))); /* unknown: answered at once */
    size_t before = rig.server.out.len;
    rig_move(&rig, &rig.client, &rig.server);
    assert_true(rig.server.out.len > before);
    rig_run(&rig);
    assert_open(&rig, 2);
}

/* What RFC 4253 section 7.1 allows meanwhile. */
static void test_ignored_during_rekey(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    rekey(&rig, &rig.client);
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\x02\0\0\0\0")));
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\x03\0\0\0\0")));
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\x04\0\0\0\0\0\0\0\0\0")));
    rig_run(&rig);
    assert_open(&rig, 2);
}

static void test_held_while_the_signer_works(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    rig.server.answers_later = true;
    rekey(&rig, &rig.client);
    rig_run(&rig);
    assert_true(rig.server.asked);
    uint32_t next = 0;
    send_both(&rig, &next, 3);
    rig_run(&rig);
    assert_int_equal(rig.client.messages, 0);
    rig_answer(&rig.server);
    rig_run(&rig);
    assert_open(&rig, 2);
    assert_got(&rig.client, 0, 3);
    assert_got(&rig.server, 0, 3);
}

/* The markers of strictness count in the first KEXINIT alone. */
static void test_markers_on_rekey(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig_start(&rig);
    rig_not_strict(&rig);
    rig_run(&rig);
    assert_open(&rig, 1);
    rig.server.config.kex = "curve25519-sha256," ALGORITHM_STRICT_SERVER;
    rig.client.config.kex = "curve25519-sha256," ALGORITHM_STRICT_CLIENT ",ext-info-c";
    rekey(&rig, &rig.client);
    rig_run(&rig);
    assert_open(&rig, 2);
    assert_false(rig.server.transport->is_strict);
    assert_false(rig.client.transport->is_strict);
    assert_int_equal(rig.server.transport->in.sequence, 6);
    assert_int_equal(rig.server.transport->out.sequence, 7); /* and no second EXT_INFO */
}

/* What is kept of a session between exchanges is little. */
static void test_size(void **state) {
    (void)state;
    assert_true(sizeof(struct transport) <= 512);
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
    assert_null(rig.server.transport->exchange);
    assert_null(rig.server.transport->held.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_exchange_after_kexinit),
        cmocka_unit_test(test_held_limit),
        cmocka_unit_test(test_held_pongs_are_bounded),
        cmocka_unit_test(test_key_protects_no_2_32_packets),
        cmocka_unit_test(test_numbers_do_not_wrap_in_the_clear),
        cmocka_unit_test(test_rekey_with_messages_in_flight),
        cmocka_unit_test(test_sequence_numbers),
        cmocka_unit_test(test_rekey_by_bytes_under_load),
        cmocka_unit_test(test_rekey_by_time_and_packets),
        cmocka_unit_test(test_peer_goes_on_until_its_kexinit),
        cmocka_unit_test(test_ignored_during_rekey),
        cmocka_unit_test(test_held_while_the_signer_works),
        cmocka_unit_test(test_markers_on_rekey),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
