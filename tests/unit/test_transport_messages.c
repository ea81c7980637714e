/* What is sent, extensions, goodbyes, host keys and shares that do not fit, and configurations. */
#include "transport_rig.h"

/* --- bulk data --- */

static void test_send_in_place(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_open(&rig);
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
    rig_open(&rig);
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
    rig_open(&rig);
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
        rig_open(&rig);
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
    rig_open(&rig);
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
    rig_open(&rig);
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
    rig_open(&rig);
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
    rig_open(&rig);
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
        const char *kex, *ciphers, *macs, *host_key_algorithms;
        size_t keys;
        const char *field;
    } cases[] = {
        {"curve25519", NULL, NULL, NULL, 1, "kex"},
        {"", NULL, NULL, NULL, 1, "kex"},
        {"curve25519-sha256,", NULL, NULL, NULL, 1, "kex"},
        {NULL, "aes128-gcm@openssh.com,3des-cbc", NULL, NULL, 1, "ciphers"},
        {NULL, NULL, "hmac-sha2-256,hmac-sha1", NULL, 1, "macs"},
        {NULL, NULL, "", NULL, 1, "macs"},
        {NULL, "aes128-gcm@openssh.com", "none", NULL, 1, "macs"}, /* though nobody would ask */
        {NULL, NULL, NULL, "ssh-rsa", 3, "host_key_algorithms"},
        {NULL, NULL, NULL, "ssh-ed25519,rsa-sha2-512", 1, "host_key_algorithms"},
        {NULL, NULL, NULL, NULL, 0, "host_key_algorithms"},
        {NULL, NULL, NULL, "rsa-sha2-512,ssh-ed25519", 3, NULL},
        {NULL, NULL, "hmac-sha2-256-etm@openssh.com,hmac-sha2-256", NULL, 1, NULL},
        {NULL, NULL, NULL, NULL, 1, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct transport_config config = {
            .role = TRANSPORT_SERVER,
            .kex = cases[i].kex,
            .ciphers = cases[i].ciphers,
            .macs = cases[i].macs,
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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
