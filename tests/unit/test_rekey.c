/* Later exchanges, what is held back meanwhile, extensions, and signatures that do not fit. */
#include "transport_rig.h"

static void open_rig(struct rig *rig) {
    rig_init(rig);
    rig_start(rig);
    rig_run(rig);
    assert_open(rig, 1);
}

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
        open_rig(&rig);
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
    open_rig(&rig);
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
    open_rig(&rig);
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
    open_rig(&rig);
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
    open_rig(&rig);
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
    open_rig(&rig);
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

/* --- bulk data --- */

static void test_send_in_place(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    struct transport *server = rig.server.transport;
    struct buf *out = &rig.server.out;
    uint8_t *payload;
    static const size_t lens[] = {1, 2, 11, 12, 13, 27, 28, 29, 999, 1000};
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        assert_ok(transport_send_begin(server, 1000, out, &payload));
        assert_true(payload > out->data && payload + 1000 <= out->data + out->len);
        memset(payload, 94, 1000);
        assert_ok(transport_send_end(server, lens[i], 0, out));
        buf_clear(&rig.client.got);
        rig_run(&rig);
        span_t rest = buf_span(&rig.client.got);
        span_t message;
        assert_ok(wire_get_string(&rest, &message));
        assert_int_equal(message.len, lens[i]);
        assert_int_equal(message.data[message.len - 1], 94);
    }
    assert_ok(transport_send_begin(server, 1000, out, &payload));
    assert_ok(transport_send_end(server, 0, 0, out));
    assert_int_equal(out->len, 0);
}

static void test_longest_message(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    struct buf message CLEANUP(buf_done) = BUF(LIMIT_PACKET_BYTES);
    uint8_t *bytes;
    assert_ok(buf_extend(&message, LIMIT_PACKET_BYTES - CIPHER_OVERHEAD_BYTES, &bytes));
    memset(bytes, 94, message.len);
    assert_ok(transport_send(rig.client.transport, buf_span(&message), 0, &rig.client.out));
    rig_run(&rig);
    assert_int_equal(rig.server.got.len, 4 + message.len);
    assert_ok(buf_extend(&message, CIPHER_OVERHEAD_BYTES, &bytes));
    assert_fails(transport_send(rig.client.transport, buf_span(&message), 0, &rig.client.out),
                 ERR_TOO_LONG);
    assert_int_equal(rig.client.out.len, 0);
    rig_run(&rig);
    assert_open(&rig, 1);
}

/* --- EXT_INFO, PING, DISCONNECT --- */

static void put_ext_info(struct buf *to, uint32_t count, size_t value_len) {
    assert_ok(wire_put_u8(to, MSG_EXT_INFO));
    assert_ok(wire_put_u32(to, count));
    assert_ok(wire_put_text(to, "server-sig-algs"));
    uint8_t *value;
    assert_ok(wire_put_u32(to, (uint32_t)value_len));
    assert_ok(buf_extend(to, value_len, &value));
    memset(value, 'x', value_len);
}

static void test_server_tells_signatures(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    assert_string_equal(transport_peer_sig_algs(rig.client.transport),
                        "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,"
                        "ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
                        "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256");
    assert_null(transport_peer_sig_algs(rig.server.transport));

    struct rig silent CLEANUP(rig_done);
    rig_init(&silent);
    rig_start(&silent);
    rig_replace(&silent.client, "ext-info-c", "ext-info-x");
    rig_run(&silent);
    assert_open(&silent, 1);
    assert_null(transport_peer_sig_algs(silent.client.transport));
}

static void test_ext_info_of_a_client(void **state) {
    (void)state;
    enum { HEAD = 1 + 4 + 4 + 15 + 4 };
    static const struct {
        bool late, again;
        uint32_t count;
        size_t len;
        enum err_code code;
    } cases[] = {
        {true, false, 1, 10, ERR_PROTOCOL},
        {false, true, 1, 10, ERR_PROTOCOL},
        {false, false, 0, 10, ERR_TRAILING},
        {false, false, 2, 10, ERR_TRUNCATED},
        {false, false, UINT32_MAX, 10, ERR_TRUNCATED},
        {false, false, 1, LIMIT_EXT_INFO_BYTES - HEAD + 1, ERR_TOO_LONG},
        {false, false, 1, LIMIT_EXT_INFO_BYTES - HEAD, ERR_NONE},
        {false, false, 1, 10, ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        struct buf message CLEANUP(buf_done) = BUF(2 * LIMIT_EXT_INFO_BYTES);
        put_ext_info(&message, cases[i].count, cases[i].len);
        open_rig(&rig);
        if (cases[i].late) {
            assert_ok(rig_send(&rig, &rig.client, 5, 1));
        }
        assert_ok(rig_send_now(&rig.client, buf_span(&message)));
        if (cases[i].again) {
            assert_ok(rig_send_now(&rig.client, buf_span(&message)));
        }
        rig_run(&rig);
        assert_int_equal(rig.server.err.code, cases[i].code);
    }
}

/* A server may tell more until it lets the user in. */
static void test_ext_info_of_a_server(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct buf message CLEANUP(buf_done) = BUF(LIMIT_EXT_INFO_BYTES);
    put_ext_info(&message, 1, 3);
    open_rig(&rig);
    assert_ok(rig_send(&rig, &rig.server, 6, 1));
    assert_ok(rig_send_now(&rig.server, buf_span(&message)));
    rig_run(&rig);
    assert_open(&rig, 1);
    assert_string_equal(transport_peer_sig_algs(rig.client.transport), "xxx");
    assert_ok(rig_send(&rig, &rig.server, 52, 1));
    assert_ok(rig_send_now(&rig.server, buf_span(&message)));
    rig_run(&rig);
    assert_fails(rig.client.err, ERR_PROTOCOL);
}

static void test_ping(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\xc0\0\0\0\x03"
                                                     "abc")));
    rig_move(&rig, &rig.client, &rig.server);
    struct transport *client = rig.client.transport;
    span_t pong;
    assert_ok(cipher_open(client->in.cipher, client->in.sequence, rig.server.out.data,
                          rig.server.out.len, &pong));
    assert_true(span_equal(pong, SPAN_LITERAL("\xc1\0\0\0\x03"
                                              "abc")));
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\xc0\0\0\0\x04"
                                                     "abc")));
    rig_move(&rig, &rig.client, &rig.server);
    assert_fails(rig.server.err, ERR_TRUNCATED);
}

static void test_unimplemented_names_the_packet(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    for (uint32_t i = 0; i < 3; i++) {
        assert_ok(rig_send(&rig, &rig.client, 94, i));
    }
    assert_ok(rig_send_now(&rig.client, SPAN_LITERAL("\xc8")));
    rig_move(&rig, &rig.client, &rig.server);
    struct transport *client = rig.client.transport;
    span_t answer;
    assert_ok(cipher_open(client->in.cipher, client->in.sequence, rig.server.out.data,
                          rig.server.out.len, &answer));
    assert_true(span_equal(answer, SPAN_LITERAL("\x03\0\0\0\x03")));
}

static void test_disconnect(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
    char text[300];
    memset(text, 'x', sizeof text);
    memcpy(text + 254, "\xc3\xa9", 3);
    struct transport *server = rig.server.transport;
    transport_disconnect(server, DISCONNECT_TOO_MANY_CONNECTIONS, text, &rig.server.out);
    size_t once = rig.server.out.len;
    transport_disconnect(server, DISCONNECT_BY_APPLICATION, "again", &rig.server.out);
    assert_int_equal(rig.server.out.len, once);
    assert_false(transport_is_open(server));
    assert_fails(rig_send(&rig, &rig.server, 94, 1), ERR_CLOSED);
    assert_fails(transport_rekey(server, 0, &rig.server.out), ERR_CLOSED);
    struct transport_input input = {0};
    struct transport_event event;
    assert_fails(transport_next(server, &input, 0, &rig.server.out, &event), ERR_CLOSED);
    rig_move(&rig, &rig.server, &rig.client);
    assert_true(rig.client.disconnected);
    assert_int_equal(rig.client.reason, DISCONNECT_TOO_MANY_CONNECTIONS);
    assert_int_equal(strlen(rig.client.text), 254); /* é would have begun there */
    assert_fails(rig_send(&rig, &rig.client, 94, 1), ERR_CLOSED);
}

/* --- the host key --- */

static void test_untrusted_host_key(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig.client.answers_later = true;
    rig_start(&rig);
    rig_run(&rig);
    assert_true(rig.client.asked);
    assert_int_equal(rig.client.newkeys, 0);
    assert_ok(transport_trust(rig.client.transport, false, &rig.client.out));
    assert_fails(rig_send(&rig, &rig.client, 5, 1), ERR_CLOSED);
    rig_move(&rig, &rig.client, &rig.server);
    assert_true(rig.server.disconnected);
    assert_int_equal(rig.server.reason, DISCONNECT_HOST_KEY_NOT_VERIFIABLE);
    assert_int_equal(rig.server.newkeys, 0);
}

/* Of something else; by another key; under another name. */
static void test_wrong_signatures(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.answers_later = true;
        rig.client.config.host_key_algorithms =
            i == 3 ? "rsa-sha2-256" : "ssh-ed25519-cert-v01@openssh.com";
        rig_start(&rig);
        rig_run(&rig);
        assert_true(rig.server.asked);
        struct buf *signature = &rig.server.to_sign;
        const struct exchange *exchange = rig.server.transport->exchange;
        span_t hash = span_of(exchange->hash, exchange->hash_len);
        buf_clear(signature);
        static const struct {
            size_t key;
            enum rsa_hash rsa_hash;
        } by[] = {{RIG_ED25519, 0}, {RIG_KEYS_COUNT, 0}, {RIG_ECDSA, 0}, {RIG_RSA, RSA_SHA512}};
        const struct private_key *key = by[i].key == RIG_KEYS_COUNT ? rig_ca : rig_keys[by[i].key];
        assert_ok(private_key_sign(key, i == 0 ? SPAN_LITERAL("something else") : hash,
                                   by[i].rsa_hash, signature));
        rig_answer(&rig.server);
        rig_run(&rig);
        /* A name that was not agreed on does not even leave the server. */
        assert_int_equal(rig.server.err.code, i < 2 ? ERR_NONE : ERR_SIGNATURE);
        if (i < 2) {
            assert_fails(rig.client.err, ERR_SIGNATURE);
        } else {
            assert_true(rig.client.disconnected);
        }
        assert_int_equal(rig.client.newkeys, 0);
        assert_int_equal(rig.server.newkeys, 0);
    }
}

/* A reply with a host key of the client's choosing but not of the agreed kind, or a name in the
 * signature that was not agreed on. */
static void test_wrong_host_keys(void **state) {
    (void)state;
    const struct {
        const char *agreed;
        size_t key;
        bool cert;
        enum err_code code;
    } cases[] = {
        {"ssh-ed25519", RIG_RSA, false, ERR_KEY_TYPE},
        {"ssh-ed25519", RIG_ED25519, true, ERR_KEY_IS_CERT},
        {"ssh-ed25519-cert-v01@openssh.com", RIG_ED25519, false, ERR_KEY_NOT_CERT},
        {"ssh-ed25519-cert-v01@openssh.com", RIG_ECDSA, true, ERR_KEY_TYPE},
        {"rsa-sha2-256", RIG_RSA, false, ERR_SIGNATURE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.answers_later = true;
        rig.client.config.host_key_algorithms = cases[i].agreed;
        rig_start(&rig);
        rig_run(&rig);
        const struct transport_host_key *shown = &rig_host_keys[cases[i].key];
        const struct exchange *exchange = rig.server.transport->exchange;
        struct buf signature CLEANUP(buf_done) = BUF(1024);
        struct buf reply CLEANUP(buf_done) = BUF(8192);
        assert_ok(private_key_sign(rig_keys[cases[i].key],
                                   span_of(exchange->hash, exchange->hash_len), RSA_SHA512,
                                   &signature));
        assert_ok(wire_put_u8(&reply, MSG_KEX_REPLY));
        assert_ok(wire_put_string(&reply, cases[i].cert ? buf_span(&shown->cert->blob)
                                                        : key_blob(shown->key)));
        assert_ok(wire_put_string(&reply, buf_span(&exchange->share)));
        assert_ok(wire_put_string(&reply, buf_span(&signature)));
        assert_ok(rig_send_now(&rig.server, buf_span(&reply)));
        rig_move(&rig, &rig.server, &rig.client);
        assert_int_equal(rig.client.err.code, cases[i].code);
    }
}

static void test_bad_shares(void **state) {
    (void)state;
    static const char *const kexes[] = {"mlkem768x25519-sha256", "curve25519-sha256",
                                        "ecdh-sha2-nistp256"};
    static const size_t lens[] = {0, 1, 31, 32, 33, 65, 1216, 1217};
    for (size_t i = 0; i < COUNT_OF(kexes) * COUNT_OF(lens); i++) {
        static const uint8_t zero[2048];
        struct rig rig CLEANUP(rig_done);
        struct buf message CLEANUP(buf_done) = BUF(4096);
        rig_init(&rig);
        rig.server.config.kex = rig.client.config.kex = kexes[i % COUNT_OF(kexes)];
        rig_start(&rig);
        rig_move(&rig, &rig.client, &rig.server);
        assert_ok(wire_put_u8(&message, MSG_KEX_INIT));
        assert_ok(wire_put_string(&message, span_of(zero, lens[i / COUNT_OF(kexes)])));
        assert_ok(rig_send_now(&rig.client, buf_span(&message)));
        rig_move(&rig, &rig.client, &rig.server);
        assert_fails(rig.server.err, ERR_KEY_INVALID);
    }
}

/* --- configuration --- */

static void test_configuration(void **state) {
    (void)state;
    static const struct {
        const char *kex, *ciphers, *host_key_algorithms;
        size_t keys;
        const char *field;
    } cases[] = {
        {"curve25519", NULL, NULL, 1, "kex"},
        {"", NULL, NULL, 1, "kex"},
        {"curve25519-sha256,", NULL, NULL, 1, "kex"},
        {NULL, "aes128-gcm@openssh.com,3des-cbc", NULL, 1, "ciphers"},
        {NULL, NULL, "ssh-rsa", 3, "host_key_algorithms"},
        {NULL, NULL, "ssh-ed25519,rsa-sha2-512", 1, "host_key_algorithms"},
        {NULL, NULL, NULL, 0, "host_key_algorithms"},
        {NULL, NULL, "rsa-sha2-512,ssh-ed25519", 3, NULL},
        {NULL, NULL, NULL, 1, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct transport_config config = {
            .role = TRANSPORT_SERVER,
            .kex = cases[i].kex,
            .ciphers = cases[i].ciphers,
            .host_key_algorithms = cases[i].host_key_algorithms,
            .host_keys = rig_host_keys,
            .host_key_count = cases[i].keys,
        };
        struct fault fault = {0};
        err_t err = transport_config_check(&config, &fault);
        assert_int_equal(err.code, cases[i].field == NULL ? ERR_NONE : ERR_UNSUPPORTED);
        assert_string_equal(fault.field, cases[i].field == NULL ? "" : cases[i].field);
    }
}

/* What is kept of a session between exchanges is little. */
static void test_size(void **state) {
    (void)state;
    assert_true(sizeof(struct transport) <= 512);
    struct rig rig CLEANUP(rig_done);
    open_rig(&rig);
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
        cmocka_unit_test(test_send_in_place),
        cmocka_unit_test(test_longest_message),
        cmocka_unit_test(test_server_tells_signatures),
        cmocka_unit_test(test_ext_info_of_a_client),
        cmocka_unit_test(test_ext_info_of_a_server),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_unimplemented_names_the_packet),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_untrusted_host_key),
        cmocka_unit_test(test_wrong_signatures),
        cmocka_unit_test(test_wrong_host_keys),
        cmocka_unit_test(test_bad_shares),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
