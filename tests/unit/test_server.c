/* Which message the server takes when, whose requests are whose, and how often one may ask. */
#include "server_rig.h"
#include "transport/message.h"

/* --- messages in the wrong state --- */

static void enter(struct rig *rig, const char *state) {
    if (strcmp(state, "authenticated") == 0) {
        rig_authenticate(rig);
        return;
    }
    rig_start(rig);
    if (strcmp(state, "service due") != 0) {
        rig_get_service(rig);
    }
    if (strcmp(state, "answer due") == 0) {
        rig_ask_none(rig);
        (void)rig_event(rig, SERVER_AUTH_METHOD);
    }
}

/* Well-formed where the server takes it somewhere; channel 0 is open where one can be. */
static void send_numbered(struct rig *rig, int number) {
    switch (number) {
    case 5:
        rig_send(rig, "bs", number, "ssh-userauth");
        break;
    case 50:
        rig_ask_none(rig);
        break;
    case 80:
        rig_send(rig, "bst", number, "keepalive@openssh.com", true);
        break;
    case 90:
        rig_ask_direct(rig, 7);
        break;
    case 91:
        rig_send(rig, "buuuu", number, 0U, 0U, 1000U, 1000U);
        break;
    case 92:
        rig_send(rig, "buuss", number, 0U, 1U, "", "");
        break;
    case 93:
        rig_send(rig, "buu", number, 0U, 1U);
        break;
    case 94:
        rig_send(rig, "bus", number, 0U, "data");
        break;
    case 95:
        rig_send(rig, "buus", number, 0U, 1U, "data");
        break;
    case 98:
        rig_send(rig, "bust", number, 0U, "shell", true);
        break;
    default:
        rig_send(rig, "bu", number, 0U);
    }
}

/* What the transport takes itself: DISCONNECT to DEBUG, EXT_INFO, KEXINIT, PING and PONG. */
static bool is_of_transport(int number) {
    return (number >= 1 && number <= 4) || number == 7 || number == 20 || number == 192 ||
           number == 193;
}

/* Numbers without a meaning, which are answered by UNIMPLEMENTED (RFC 4253 section 11.4). */
static bool is_unknown(int number) {
    return (number >= 8 && number <= 29 && number != 21) || (number >= 54 && number <= 59) ||
           (number >= 61 && number <= 79) || (number >= 83 && number <= 89) || number >= 101;
}

static bool is_one_of(int number, const int *taken) {
    while (*taken != 0 && *taken != number) {
        taken++;
    }
    return *taken != 0;
}

/* libssh CVE-2018-10933, Erlang CVE-2025-32433, wolfSSH CVE-2024-2873: the whole table, by hand. */
static void test_every_message_in_every_state(void **state) {
    (void)state;
    static const struct {
        const char *state;
        int taken[16];
    } expected[] = {
        {"service due", {5}},
        {"authenticating", {5, 50}},
        {"answer due", {5, 50}}, /* later: when it is given */
        {"authenticated", {5, 50, 80, 81, 82, 90, 93, 94, 95, 96, 97, 98, 99, 100}},
    };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        for (int number = 0; number <= UINT8_MAX; number++) {
            if (is_of_transport(number)) {
                continue;
            }
            struct rig rig CLEANUP(rig_done);
            struct server_event event;
            enter(&rig, expected[i].state);
            if (i == 3) {
                (void)rig_direct(&rig);
            }
            send_numbered(&rig, number);
            if (i == 2) {
                size_t at = rig.to_server.at;
                rig_quiet(&rig);
                assert_int_equal(rig.to_server.at, at); /* nothing was consumed */
                rig_fail(&rig);
            }
            if (is_unknown(number)) {
                rig_quiet(&rig);
            } else if (is_one_of(number, expected[i].taken)) {
                assert_ok(rig_try_next(&rig, &event));
            } else {
                rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
            }
            assert_int_equal(server_is_authenticated(rig.server), i == 3);
        }
    }
}

/* RFC 4252 section 5.1: after success, further requests are ignored. So is that for the service. */
static void test_late_request_changes_nothing(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    struct rig_proof proof = rig_proof_of("root", rig_bob_key);
    rig_prove(&rig, &proof);
    rig_send(&rig, "bs", MSG_SERVICE_REQUEST, "ssh-userauth");
    rig_quiet(&rig);
    rig_no_message(&rig);
    assert_true(server_is_authenticated(rig.server));
}

static void test_malformed_messages(void **state) {
    (void)state;
    static const struct {
        const char *state;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"service due", "\5", 1},
        {"service due", "\5\0\0\0\x0cssh-userauthX", 18},
        {"authenticating", "\x32", 1},
        {"authenticating", "\x32\0\0\0\1a\0\0\0\xffssh", 13},
        {"authenticating", "\x32\xff\xff\xff\xff", 5},
        {"authenticating", "\x32\0\0\0\1a\0\0\0\x0essh-connection\0\0\0\0", 28},   /* no method */
        {"authenticating", "\x32\0\0\0\1a\0\0\0\x0essh-connection\0\0\0\1\n", 29}, /* a line */
        {"authenticating", "\x32\0\0\0\1a\0\0\0\x0essh-connection\0\0\0\tpublickey", 37},
        {"authenticated", "\x50\0\0\0\1a", 6},
        {"authenticated", "\x5a\0\0\0\7session", 12},
        {"authenticated", "\x5e\0\0\0", 4},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        enter(&rig, cases[i].state);
        rig_send_span(&rig, span_of(cases[i].bytes, cases[i].len));
        rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
    }
}

static void test_other_services(void **state) {
    (void)state;
    static const char *const names[] = {"ssh-connection", "", "ssh-userauth@example.org"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_send(&rig, "bs", MSG_SERVICE_REQUEST, names[i]);
        rig_fatal(&rig, DISCONNECT_SERVICE_NOT_AVAILABLE);
    }
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    rig_send(&rig, "bsss", MSG_USERAUTH_REQUEST, "alice", "ssh-userauth", "none");
    rig_fatal(&rig, DISCONNECT_SERVICE_NOT_AVAILABLE);
}

/* paramiko asks for the service before each attempt. */
static void test_service_again(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_offer(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_USERAUTH_PK_OK);
    rig_get_service(&rig);
    rig_prove(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_PROVED);
}

/* --- one user name and another --- */

static void test_offer_of_one_user_is_none_of_another(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof alice = rig_proof_of("alice", rig_alice_key);
    struct rig_proof bob = rig_proof_of("bob", rig_alice_key);
    rig_offer(&rig, &alice);
    (void)rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_message(&rig, MSG_USERAUTH_PK_OK);
    /* The signature was made for alice … */
    bob.signed_user = "alice";
    rig_prove(&rig, &bob);
    rig_refused(&rig);
    /* … and one made for bob says bob, whatever was asked before. */
    bob.signed_user = NULL;
    rig_prove(&rig, &bob);
    struct server_event event = rig_event(&rig, SERVER_AUTH_PROVED);
    assert_true(span_equal_str(event.user, "bob"));
}

/* Answers go to the requests in the order in which these came, however they came. */
static void test_requests_sent_at_once(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof bob = rig_proof_of("bob", rig_bob_key);
    struct rig_proof alice = rig_proof_of("alice", rig_alice_key);
    rig_ask_none(&rig);
    rig_offer(&rig, &bob);
    rig_prove(&rig, &alice);
    rig_ask_direct(&rig, 9);
    struct server_event event = rig_event(&rig, SERVER_AUTH_METHOD);
    assert_true(span_equal_str(event.method, "none"));
    rig_quiet(&rig);
    rig_fail(&rig);
    event = rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_true(span_equal_str(event.user, "bob"));
    assert_true(key_equal(event.key, private_key_public(rig_bob_key)));
    rig_quiet(&rig);
    rig_fail(&rig);
    event = rig_event(&rig, SERVER_AUTH_PROVED);
    assert_true(span_equal_str(event.user, "alice"));
    assert_true(key_equal(event.key, private_key_public(rig_alice_key)));
    rig_quiet(&rig); /* the channel waits */
    assert_ok(server_auth_accept(rig.server, rig.now_ms, &rig.to_peer.bytes));
    (void)rig_event(&rig, SERVER_OPEN_DIRECT);
    (void)rig_message(&rig, MSG_USERAUTH_FAILURE);
    (void)rig_message(&rig, MSG_USERAUTH_FAILURE);
    (void)rig_message(&rig, MSG_USERAUTH_SUCCESS);
}

/* --- how often one may try --- */

static void test_tries(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_ask_none(&rig); /* first, so it does not count */
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    rig_fail(&rig);
    for (int i = 0; i < 5; i++) { /* nor does an offer that is taken */
        rig_offer(&rig, &proof);
        (void)rig_event(&rig, SERVER_AUTH_OFFERED);
        assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    }
    rig_ask_none(&rig); /* this one does */
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    rig_fail(&rig);
    rig_offer(&rig, &proof); /* and so does an offer that is refused */
    (void)rig_event(&rig, SERVER_AUTH_OFFERED);
    rig_fail(&rig);
    rig_send(&rig, "bsssts", MSG_USERAUTH_REQUEST, "alice", "ssh-connection", "password", false,
             "secret");
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    assert_fails(server_auth_fail(rig.server, rig.now_ms, &rig.to_peer.bytes), ERR_REFUSED);
    rig_ended(&rig, DISCONNECT_NO_MORE_AUTH_METHODS);
}

static void test_requests_in_all(void **state) {
    (void)state;
    for (int more = 0; more <= 1; more++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
        for (int i = 0; i < LIMIT_AUTH_REQUESTS_COUNT - 1 + more; i++) {
            rig_offer(&rig, &proof);
            (void)rig_event(&rig, SERVER_AUTH_OFFERED);
            assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
        }
        rig_prove(&rig, &proof);
        if (more == 0) {
            (void)rig_event(&rig, SERVER_AUTH_PROVED);
        } else {
            rig_fatal(&rig, DISCONNECT_NO_MORE_AUTH_METHODS);
        }
    }
}

static void test_longest_name(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    char name[LIMIT_PRINCIPAL_CHARS + 1] = {0};
    memset(name, 'a', LIMIT_PRINCIPAL_CHARS);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of(name, rig_alice_key);
    rig_prove(&rig, &proof);
    assert_int_equal(rig_event(&rig, SERVER_AUTH_PROVED).user.len, LIMIT_PRINCIPAL_CHARS);
}

static void test_banner(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    rig_ask_none(&rig);
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    assert_ok(server_auth_banner(rig.server, "expired yesterday", rig.now_ms, &rig.to_peer.bytes));
    rig_fail(&rig);
    span_t body = rig_message(&rig, MSG_USERAUTH_BANNER);
    span_t text;
    span_t language;
    assert_ok(wire_get_string(&body, &text));
    assert_ok(wire_get_string(&body, &language));
    assert_ok(wire_expect_end(body));
    assert_true(span_equal_str(text, "expired yesterday\r\n"));
    (void)rig_message(&rig, MSG_USERAUTH_FAILURE);
}

/* --- the end --- */

static void test_disconnect_of_either_side(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct rig other CLEANUP(rig_done);
    struct server_event event;
    rig_authenticate(&rig);
    transport_disconnect(rig.peer, DISCONNECT_BY_APPLICATION, "bye", &rig.to_server.bytes);
    event = rig_event(&rig, SERVER_DISCONNECTED);
    assert_int_equal(event.reason, DISCONNECT_BY_APPLICATION);
    assert_true(span_equal_str(event.data, "bye"));
    assert_fails(rig_try_next(&rig, &event), ERR_CLOSED);
    rig_start(&other);
    rig_get_service(&other);
    rig_ask_none(&other);
    (void)rig_event(&other, SERVER_AUTH_METHOD);
    server_disconnect(other.server, DISCONNECT_BY_APPLICATION, "too late", &other.to_peer.bytes);
    /* An answer that comes later does no harm. */
    assert_fails(server_auth_fail(other.server, other.now_ms, &other.to_peer.bytes), ERR_CLOSED);
    rig_ended(&other, DISCONNECT_BY_APPLICATION);
}

/* --- what a stranger may cost --- */

/* An IGNORE of so many bytes in all. */
static void send_long(struct rig *rig, size_t len) {
    struct buf message CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    uint8_t *data;
    assert_ok(wire_put_u8(&message, MSG_IGNORE));
    assert_ok(wire_put_u32(&message, (uint32_t)(len - 5)));
    assert_ok(buf_extend(&message, len - 5, &data));
    memset(data, 'x', len - 5);
    rig_send_span(rig, buf_span(&message));
}

static void test_long_packets_of_strangers(void **state) {
    (void)state;
    /* Of AES-GCM: the length field, whole blocks with a byte and the padding, the tag. */
    enum { LONGEST = (LIMIT_STRANGER_PACKET_BYTES - 4 - 16) / 16 * 16 - 1 - 4 };
    struct rig rig CLEANUP(rig_done);
    struct rig known CLEANUP(rig_done);
    struct server_event event;
    rig_start(&rig);
    send_long(&rig, LONGEST);
    rig_quiet(&rig);
    send_long(&rig, LONGEST + 1);
    assert_fails(rig_try_next(&rig, &event), ERR_TOO_LONG);
    rig_ended(&rig, DISCONNECT_MAC_ERROR);
    rig_authenticate(&known);
    send_long(&known, 4 * (size_t)LONGEST);
    rig_quiet(&known);
}

static void exchange_again(struct rig *rig) {
    assert_ok(transport_rekey(rig->peer, rig->now_ms, &rig->to_server.bytes));
    rig_settle(rig);
    assert_true(transport_is_open(rig->peer));
}

/* Each makes the server sign, which is dear; the peer may use the same share again and again. */
static void test_exchanges_of_strangers(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct rig known CLEANUP(rig_done);
    struct server_event event;
    rig_start(&rig);
    for (int i = 1; i < LIMIT_STRANGER_EXCHANGES_COUNT; i++) {
        exchange_again(&rig);
    }
    assert_ok(transport_rekey(rig.peer, rig.now_ms, &rig.to_server.bytes));
    assert_fails(rig_try_next(&rig, &event), ERR_PROTOCOL);
    assert_fails(rig_try_next(&rig, &event), ERR_CLOSED);
    rig_authenticate(&known);
    for (int i = 0; i < 2 * LIMIT_STRANGER_EXCHANGES_COUNT; i++) {
        exchange_again(&known);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_in_every_state),
        cmocka_unit_test(test_late_request_changes_nothing),
        cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_other_services),
        cmocka_unit_test(test_service_again),
        cmocka_unit_test(test_offer_of_one_user_is_none_of_another),
        cmocka_unit_test(test_requests_sent_at_once),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_requests_in_all),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_banner),
        cmocka_unit_test(test_disconnect_of_either_side),
        cmocka_unit_test(test_long_packets_of_strangers),
        cmocka_unit_test(test_exchanges_of_strangers),
    };
    return cmocka_run_group_tests_name("server", tests, rig_make_keys, rig_free_keys);
}
