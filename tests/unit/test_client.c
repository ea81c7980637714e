/* The client with the server, and with a server that cannot be trusted. */
#include "server_rig.h"

/* A client with a server (or a bare transport in its place) at the other end. */
struct pair {
    struct client_config client_config;
    struct server_config server_config;
    struct transport_host_key host_key;
    struct client *client;
    struct server *server;
    struct transport *bare;
    struct rig_pipe to_server, to_client;
    int64_t now_ms;
};

static void pair_new(struct pair *pair, const struct private_key *key, const struct cert *cert) {
    *pair = (struct pair){
        .client_config = {.transport = {.role = TRANSPORT_CLIENT,
                                        .software = "Client",
                                        .random = randomness_of_kernel},
                          .user = "alice",
                          .key = key,
                          .cert = cert},
        .server_config = {.transport = {.role = TRANSPORT_SERVER,
                                        .software = "Server",
                                        .random = randomness_of_kernel,
                                        .host_key_count = 1},
                          .channels_max = 4,
                          .auth_tries_max = 3},
        .host_key = {.key = private_key_public(rig_host_key)},
        .now_ms = 1000,
    };
    pair->server_config.transport.host_keys = &pair->host_key;
    buf_init(&pair->to_server.bytes, RIG_BYTES_MAX);
    buf_init(&pair->to_client.bytes, RIG_BYTES_MAX);
}

static void pair_start(struct pair *pair) {
    assert_ok(
        client_new(&pair->client_config, pair->now_ms, &pair->to_server.bytes, &pair->client));
    assert_ok(
        server_new(&pair->server_config, pair->now_ms, &pair->to_client.bytes, &pair->server));
}

static void pair_done(struct pair *pair) {
    client_freep(&pair->client);
    server_freep(&pair->server);
    transport_freep(&pair->bare);
    buf_done(&pair->to_server.bytes);
    buf_done(&pair->to_client.bytes);
}

static void sign(struct pair *pair, const struct server_event *event) {
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    assert_ok(private_key_sign(rig_host_key, event->data, RSA_SHA512, &signature));
    assert_ok(
        server_signed(pair->server, buf_span(&signature), pair->now_ms, &pair->to_client.bytes));
}

static struct server_event server_step(struct pair *pair) {
    for (;;) {
        struct server_event event;
        struct transport_input input = rig_input(&pair->to_server);
        assert_ok(server_next(pair->server, &input, pair->now_ms, &pair->to_client.bytes, &event));
        rig_consumed(&pair->to_server, &input);
        if (event.type != SERVER_SIGN) {
            return event;
        }
        sign(pair, &event);
    }
}

static err_t client_try_step(struct pair *pair, struct client_event *event) {
    struct transport_input input = rig_input(&pair->to_client);
    TRY(client_next(pair->client, &input, pair->now_ms, &pair->to_server.bytes, event));
    rig_consumed(&pair->to_client, &input);
    return OK;
}

static struct client_event client_step(struct pair *pair) {
    for (;;) {
        struct client_event event;
        assert_ok(client_try_step(pair, &event));
        if (event.type != CLIENT_HOST_KEY) {
            return event;
        }
        assert_true(key_equal(event.key, private_key_public(rig_host_key)));
        assert_ok(client_trust(pair->client, true, pair->now_ms, &pair->to_server.bytes));
    }
}

enum { STEPS_MAX = 20 };

/* The next event of one side that is none for want of input; the other one has none meanwhile. */
static struct server_event at_server(struct pair *pair, enum server_event_type type) {
    struct server_event event = {0};
    for (int i = 0; i < STEPS_MAX && event.type == SERVER_NEEDS_INPUT; i++) {
        assert_int_equal(client_step(pair).type, CLIENT_NEEDS_INPUT);
        event = server_step(pair);
    }
    assert_int_equal(event.type, type);
    return event;
}

static struct client_event at_client(struct pair *pair, enum client_event_type type) {
    struct client_event event = {0};
    for (int i = 0; i < STEPS_MAX && event.type == CLIENT_NEEDS_INPUT; i++) {
        assert_int_equal(server_step(pair).type, SERVER_NEEDS_INPUT);
        event = client_step(pair);
    }
    assert_int_equal(event.type, type);
    return event;
}

static void authenticate(struct pair *pair) {
    pair_start(pair);
    if (pair->client_config.offer_first) {
        struct server_event event = at_server(pair, SERVER_AUTH_OFFERED);
        assert_true(key_equal(event.key, private_key_public(pair->client_config.key)));
        assert_ok(server_auth_pk_ok(pair->server, pair->now_ms, &pair->to_client.bytes));
    }
    struct server_event event = at_server(pair, SERVER_AUTH_PROVED);
    assert_true(span_equal_str(event.user, "alice"));
    assert_true(key_equal(event.key, private_key_public(pair->client_config.key)));
    assert_int_equal(event.cert != NULL, pair->client_config.cert != NULL);
    assert_ok(server_auth_accept(pair->server, pair->now_ms, &pair->to_client.bytes));
    (void)at_client(pair, CLIENT_AUTHENTICATED);
}

/* --- refused --- */

static void test_refused(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    pair_new(&pair, rig_alice_key, NULL);
    pair_start(&pair);
    (void)at_server(&pair, SERVER_AUTH_PROVED);
    assert_ok(server_auth_banner(pair.server, "not today", pair.now_ms, &pair.to_client.bytes));
    assert_ok(server_auth_fail(pair.server, pair.now_ms, &pair.to_client.bytes));
    assert_true(span_equal_str(at_client(&pair, CLIENT_BANNER).data, "not today\r\n"));
    assert_true(span_equal_str(at_client(&pair, CLIENT_REFUSED).data, "publickey"));
}

static void test_untrusted_host_key(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    struct client_event event = {0};
    pair_new(&pair, rig_alice_key, NULL);
    pair_start(&pair);
    for (int i = 0; i < STEPS_MAX && event.type == CLIENT_NEEDS_INPUT; i++) {
        (void)server_step(&pair);
        assert_ok(client_try_step(&pair, &event));
    }
    assert_int_equal(event.type, CLIENT_HOST_KEY);
    ignore_err(client_trust(pair.client, false, pair.now_ms, &pair.to_server.bytes));
    assert_fails(client_try_step(&pair, &event), ERR_CLOSED);
}

/* A server's messages, one after another, after the key exchange. */
static void bare_start(struct pair *pair) {
    pair_new(pair, rig_alice_key, NULL);
    pair->client_config.offer_first = true;
    assert_ok(
        client_new(&pair->client_config, pair->now_ms, &pair->to_server.bytes, &pair->client));
    assert_ok(transport_new(&pair->server_config.transport, pair->now_ms, &pair->to_client.bytes,
                            &pair->bare));
    for (int i = 0; i < STEPS_MAX; i++) {
        struct transport_event event;
        struct buf signature CLEANUP(buf_done) = BUF(4096);
        (void)client_step(pair);
        struct transport_input input = rig_input(&pair->to_server);
        assert_ok(transport_next(pair->bare, &input, pair->now_ms, &pair->to_client.bytes, &event));
        rig_consumed(&pair->to_server, &input);
        if (event.type == TRANSPORT_SIGN) {
            assert_ok(private_key_sign(rig_host_key, event.data, RSA_SHA512, &signature));
            assert_ok(transport_signed(pair->bare, buf_span(&signature), &pair->to_client.bytes));
        }
    }
    assert_true(transport_is_open(pair->bare));
}

static void bare_send(struct pair *pair, const char *format, ...) {
    struct buf message CLEANUP(buf_done) = BUF(65536);
    va_list args;
    va_start(args, format);
    rig_write(&message, format, args);
    va_end(args);
    assert_ok(transport_send(pair->bare, buf_span(&message), pair->now_ms, &pair->to_client.bytes));
}

/* Nobody is logged in by a server that says so too early, and nothing is signed that was not
 * offered. */
static void test_server_out_of_order(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct pair pair CLEANUP(pair_done);
        struct client_event event;
        bare_start(&pair);
        if (i > 0) {
            bare_send(&pair, "bs", MSG_SERVICE_ACCEPT, "ssh-userauth");
        }
        switch (i) {
        case 0:
        case 1:
            bare_send(&pair, "b", MSG_USERAUTH_SUCCESS);
            break;
        case 2:
            bare_send(&pair, "bsS", MSG_USERAUTH_PK_OK, "ssh-ed25519",
                      key_blob(private_key_public(rig_bob_key)));
            break;
        case 3:
            bare_send(&pair, "bsS", MSG_USERAUTH_PK_OK, "rsa-sha2-512",
                      key_blob(private_key_public(rig_alice_key)));
            break;
        case 4:
            bare_send(&pair, "bst", MSG_GLOBAL_REQUEST, "hostkeys-00@openssh.com", false);
            break;
        default:
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 0U, 0U, 1U, 1U);
        }
        assert_fails(client_try_step(&pair, &event), ERR_PROTOCOL);
    }
}

static void test_channels_that_were_not_asked_for(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pair pair CLEANUP(pair_done);
        struct client_event event;
        channel_id id = 0;
        bare_start(&pair);
        bare_send(&pair, "bs", MSG_SERVICE_ACCEPT, "ssh-userauth");
        bare_send(&pair, "bsS", MSG_USERAUTH_PK_OK, "ssh-ed25519",
                  key_blob(private_key_public(rig_alice_key)));
        bare_send(&pair, "b", MSG_USERAUTH_SUCCESS);
        assert_int_equal(client_step(&pair).type, CLIENT_AUTHENTICATED);
        assert_ok(client_open_direct(pair.client, "h", 22, 100, 1, &pair.to_server.bytes, &id));
        switch (i) {
        case 0: /* of another number */
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 1U, 0U, 1U, 1U);
            break;
        case 1: /* with packets of no size */
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 0U, 0U, 1U, 0U);
            break;
        case 2: /* twice */
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 0U, 0U, 1U, 1U);
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 0U, 0U, 1U, 1U);
            assert_int_equal(client_step(&pair).type, CLIENT_OPENED);
            break;
        default: /* more data than the window */
            bare_send(&pair, "buuuu", MSG_CHANNEL_OPEN_CONFIRMATION, 0U, 0U, 1U, 1U);
            assert_int_equal(client_step(&pair).type, CLIENT_OPENED);
            bare_send(&pair, "buS", MSG_CHANNEL_DATA, 0U, span_of(&pair, 101));
        }
        assert_fails(client_try_step(&pair, &event), ERR_PROTOCOL);
    }
}

/* A server that opens a channel towards us is told no, and it goes on. */
static void test_server_opens_nothing(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    struct transport_event event = {0};
    bare_start(&pair);
    bare_send(&pair, "bs", MSG_SERVICE_ACCEPT, "ssh-userauth");
    bare_send(&pair, "bsS", MSG_USERAUTH_PK_OK, "ssh-ed25519",
              key_blob(private_key_public(rig_alice_key)));
    bare_send(&pair, "b", MSG_USERAUTH_SUCCESS);
    assert_int_equal(client_step(&pair).type, CLIENT_AUTHENTICATED);
    bare_send(&pair, "bsuuu", MSG_CHANNEL_OPEN, "forwarded-tcpip", 5U, 1U, 1U);
    assert_int_equal(client_step(&pair).type, CLIENT_NEEDS_INPUT);
    do {
        struct transport_input input = rig_input(&pair.to_server);
        assert_ok(transport_next(pair.bare, &input, pair.now_ms, &pair.to_client.bytes, &event));
        rig_consumed(&pair.to_server, &input);
        assert_int_equal(event.type, TRANSPORT_MESSAGE);
    } while (event.data.data[0] < MSG_CHANNEL_OPEN);
    assert_int_equal(event.data.data[0], MSG_CHANNEL_OPEN_FAILURE);
}

/* --- allowed --- */

static void test_every_key_type(void **state) {
    (void)state;
    static const struct {
        enum key_type type;
        unsigned bits;
    } kinds[] = {{KEY_ED25519, 256},
                 {KEY_ECDSA_256, 256},
                 {KEY_ECDSA_384, 384},
                 {KEY_ECDSA_521, 521},
                 {KEY_RSA, 2048}};
    for (size_t i = 0; i < 2 * COUNT_OF(kinds); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct pair pair CLEANUP(pair_done);
        assert_ok(private_key_generate(kinds[i / 2].type, kinds[i / 2].bits, &key));
        pair_new(&pair, key, NULL);
        pair.client_config.offer_first = i % 2 == 1;
        authenticate(&pair);
    }
}

static void test_certificate(void **state) {
    (void)state;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    struct pair pair CLEANUP(pair_done);
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(rig_rsa_host_key), &cert->key));
    cert->serial = 1;
    cert->type = CERT_USER;
    cert->valid_before = CERT_FOREVER;
    assert_ok(cert_set_key_id(cert, "alice"));
    assert_ok(cert_add_principal(cert, "alice"));
    assert_ok(cert_prepare(cert, private_key_public(rig_host_key)));
    assert_ok(private_key_sign(rig_host_key, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    pair_new(&pair, rig_rsa_host_key, cert);
    pair.client_config.offer_first = true;
    authenticate(&pair);
}

static void pass_data(struct pair *pair, channel_id here, channel_id there) {
    uint8_t *to;
    assert_int_equal(client_channel_room(pair->client, here), 1000);
    assert_ok(client_channel_data(pair->client, here, SPAN_LITERAL("ping"), pair->now_ms,
                                  &pair->to_server.bytes));
    struct server_event event = at_server(pair, SERVER_CHANNEL_DATA);
    assert_int_equal(event.channel, there);
    assert_true(span_equal_str(event.data, "ping"));
    assert_ok(server_channel_take(pair->server, there, 4, pair->now_ms, &pair->to_client.bytes));
    (void)at_client(pair, CLIENT_CHANNEL_WINDOW);
    assert_int_equal(client_channel_room(pair->client, here), 1000);
    assert_ok(server_channel_data_begin(pair->server, there, 4, &pair->to_client.bytes, &to));
    memcpy(to, "pong", 4);
    assert_ok(
        server_channel_data_end(pair->server, there, 4, pair->now_ms, &pair->to_client.bytes));
    assert_true(span_equal_str(at_client(pair, CLIENT_CHANNEL_DATA).data, "pong"));
    assert_ok(client_channel_take(pair->client, here, 4, pair->now_ms, &pair->to_server.bytes));
    (void)at_server(pair, SERVER_CHANNEL_WINDOW);
    assert_ok(client_channel_eof(pair->client, here, pair->now_ms, &pair->to_server.bytes));
    (void)at_server(pair, SERVER_CHANNEL_EOF);
    assert_ok(server_channel_eof(pair->server, there, pair->now_ms, &pair->to_client.bytes));
    (void)at_client(pair, CLIENT_CHANNEL_EOF);
    assert_ok(client_channel_close(pair->client, here, pair->now_ms, &pair->to_server.bytes));
    (void)at_server(pair, SERVER_CHANNEL_CLOSED);
    (void)at_client(pair, CLIENT_CHANNEL_CLOSED);
}

static void test_direct(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    channel_id id;
    pair_new(&pair, rig_alice_key, NULL);
    authenticate(&pair);
    assert_ok(
        client_open_direct(pair.client, "node1", 22, 500, pair.now_ms, &pair.to_server.bytes, &id));
    struct server_event event = at_server(&pair, SERVER_OPEN_DIRECT);
    assert_true(span_equal_str(event.host, "node1"));
    assert_int_equal(event.port, 22);
    assert_ok(server_open_refuse(pair.server, event.channel, OPEN_CONNECT_FAILED, "no route",
                                 pair.now_ms, &pair.to_client.bytes));
    struct client_event refusal = at_client(&pair, CLIENT_OPEN_FAILED);
    assert_int_equal(refusal.reason, OPEN_CONNECT_FAILED);
    assert_true(span_equal_str(refusal.data, "no route"));
    assert_ok(
        client_open_direct(pair.client, "node1", 22, 500, pair.now_ms, &pair.to_server.bytes, &id));
    event = at_server(&pair, SERVER_OPEN_DIRECT);
    assert_ok(
        server_open_accept(pair.server, event.channel, 1000, pair.now_ms, &pair.to_client.bytes));
    assert_int_equal(at_client(&pair, CLIENT_OPENED).channel, id);
    pass_data(&pair, id, event.channel);
}

static void test_session(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    channel_id id;
    pair_new(&pair, rig_alice_key, NULL);
    authenticate(&pair);
    assert_ok(client_open_session(pair.client, 500, pair.now_ms, &pair.to_server.bytes, &id));
    channel_id there = at_server(&pair, SERVER_OPEN_SESSION).channel;
    assert_ok(server_open_accept(pair.server, there, 1000, pair.now_ms, &pair.to_client.bytes));
    (void)at_client(&pair, CLIENT_OPENED);
    assert_ok(client_channel_request(pair.client, id, "exec", span_of("\0\0\0\0", 4), pair.now_ms,
                                     &pair.to_server.bytes));
    assert_int_equal(at_client(&pair, CLIENT_CHANNEL_REPLY).reason, 0);
    assert_ok(client_channel_request(pair.client, id, "shell", span_of(NULL, 0), pair.now_ms,
                                     &pair.to_server.bytes));
    (void)at_server(&pair, SERVER_SESSION_SHELL);
    assert_int_equal(at_client(&pair, CLIENT_CHANNEL_REPLY).reason, 1);
    assert_ok(server_channel_end(pair.server, there, SPAN_LITERAL("you are alice\n"), 0,
                                 pair.now_ms, &pair.to_client.bytes));
    assert_true(span_equal_str(at_client(&pair, CLIENT_CHANNEL_DATA).data, "you are alice\n"));
    (void)at_client(&pair, CLIENT_CHANNEL_EOF);
    assert_int_equal(at_client(&pair, CLIENT_EXIT_STATUS).reason, 0);
    (void)at_client(&pair, CLIENT_CHANNEL_CLOSED);
    (void)at_server(&pair, SERVER_CHANNEL_CLOSED);
}

static void test_global_requests(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    pair_new(&pair, rig_alice_key, NULL);
    authenticate(&pair);
    assert_ok(client_global_request(pair.client, "keepalive@openssh.com", true, span_of(NULL, 0),
                                    pair.now_ms, &pair.to_server.bytes));
    assert_int_equal(at_client(&pair, CLIENT_REPLY).reason, 0);
    assert_ok(client_global_request(pair.client, "no-more-sessions@openssh.com", true,
                                    span_of(NULL, 0), pair.now_ms, &pair.to_server.bytes));
    assert_int_equal(at_client(&pair, CLIENT_REPLY).reason, 1);
    assert_ok(server_ping(pair.server, pair.now_ms, &pair.to_client.bytes));
    assert_int_equal(client_step(&pair).type, CLIENT_NEEDS_INPUT);
    assert_int_equal(server_step(&pair).type, SERVER_NEEDS_INPUT);
    assert_true(server_ping_answered(pair.server));
    server_disconnect(pair.server, DISCONNECT_BY_APPLICATION, "revoked", &pair.to_client.bytes);
    struct client_event event = client_step(&pair);
    assert_int_equal(event.type, CLIENT_DISCONNECTED);
    assert_true(span_equal_str(event.data, "revoked"));
}

static void test_room_comes_back_after_exchange(void **state) {
    (void)state;
    struct pair pair CLEANUP(pair_done);
    channel_id id;
    pair_new(&pair, rig_alice_key, NULL);
    authenticate(&pair);
    assert_ok(
        client_open_direct(pair.client, "node1", 22, 500, pair.now_ms, &pair.to_server.bytes, &id));
    channel_id there = at_server(&pair, SERVER_OPEN_DIRECT).channel;
    assert_ok(server_open_accept(pair.server, there, 1000, pair.now_ms, &pair.to_client.bytes));
    (void)at_client(&pair, CLIENT_OPENED);
    assert_ok(transport_rekey(client_transport(pair.client), pair.now_ms, &pair.to_server.bytes));
    assert_int_equal(client_channel_room(pair.client, id), 0);
    struct server_event at_other = server_step(&pair);
    struct client_event event = client_step(&pair);
    for (int i = 0; i < STEPS_MAX && event.type == CLIENT_NEEDS_INPUT; i++) {
        if (at_other.type == SERVER_NEEDS_INPUT) {
            at_other = server_step(&pair);
        }
        event = client_step(&pair);
    }
    assert_int_equal(event.type, CLIENT_CHANNEL_WINDOW);
    assert_int_equal(client_channel_room(pair.client, id), 1000);
    assert_int_equal(at_server(&pair, SERVER_CHANNEL_WINDOW).channel, there);
}

static void test_algorithm_for(void **state) {
    (void)state;
    static const struct {
        enum key_type type;
        bool certificate;
        const char *sig_algs, *name;
    } cases[] = {
        {KEY_RSA, false, NULL, "rsa-sha2-512"},
        {KEY_RSA, false, "ssh-rsa,rsa-sha2-256", "rsa-sha2-256"},
        {KEY_RSA, true, "rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"},
        {KEY_RSA, false, "ssh-rsa", NULL},
        {KEY_RSA, false, "", NULL},
        {KEY_ED25519, true, "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"},
        {KEY_UNKNOWN, false, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct userauth_algorithm *found =
            userauth_algorithm_for(cases[i].type, cases[i].certificate, cases[i].sig_algs);
        if (cases[i].name == NULL) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found->name, cases[i].name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_untrusted_host_key),
        cmocka_unit_test(test_server_out_of_order),
        cmocka_unit_test(test_channels_that_were_not_asked_for),
        cmocka_unit_test(test_server_opens_nothing),
        cmocka_unit_test(test_every_key_type),
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_global_requests),
        cmocka_unit_test(test_room_comes_back_after_exchange),
        cmocka_unit_test(test_algorithm_for),
    };
    return cmocka_run_group_tests_name("client", tests, rig_make_keys, rig_free_keys);
}
