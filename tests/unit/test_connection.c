/* What a client asks of a session and of the connection, replies, and what an exchange holds up. */
#include "server_rig.h"

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
    rig_send_data(&rig, id, 1);
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
        assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_FAILURE)), 100);
    }
    for (size_t i = 0; i < COUNT_OF(granted); i++) {
        ask(&rig, id, granted[i]);
        rig_quiet(&rig);
        assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_SUCCESS)), 100);
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

static void ask_exec(struct rig *rig, channel_id id, const char *command) {
    rig_send(rig, "busts", MSG_CHANNEL_REQUEST, (uint32_t)id, "exec", true, command);
}

/* Where the driver judges commands: one that it refused leaves the channel as it was, one that it
 * granted is as a shell. */
static void test_commands(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig.server_config.takes_commands = true;
    channel_id id = rig_session(&rig);
    ask_exec(&rig, id, "reboot");
    struct server_event event = rig_event(&rig, SERVER_SESSION_EXEC);
    assert_int_equal(event.channel, id);
    assert_true(span_equal_str(event.data, "reboot"));
    assert_ok(server_exec_answer(rig.server, id, false, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
    ask_exec(&rig, id, "exit");
    assert_true(span_equal_str(rig_event(&rig, SERVER_SESSION_EXEC).data, "exit"));
    assert_ok(server_exec_answer(rig.server, id, true, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_CHANNEL_SUCCESS);
    ask_exec(&rig, id, "exit"); /* once */
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
    ask(&rig, id, "shell");
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
    channel_id direct = rig_direct(&rig);
    ask_exec(&rig, direct, "exit");
    rig_quiet(&rig);
    (void)rig_message(&rig, MSG_CHANNEL_FAILURE);
}

static void test_command_without_a_command(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    rig.server_config.takes_commands = true;
    ask(&rig, rig_session(&rig), "exec");
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
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
            size_t got = rig_data_to_peer(&rig).len;
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
    assert_int_equal(rig_channel_of(rig_message(&rig, MSG_CHANNEL_WINDOW_ADJUST)), 100);
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
    assert_true(span_equal_str(rig_data_to_peer(&rig), "you are alice\n"));
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
        cmocka_unit_test(test_unsolicited_replies),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_session_requests),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_command_without_a_command),
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
    return cmocka_run_group_tests_name("connection", tests, rig_make_keys, rig_free_keys);
}
