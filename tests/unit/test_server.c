/* The server's authentication, and which message it takes when. What other servers got wrong is
 * tried here under its name. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_rig.h"

#include "ssh/crypto.h"

/* --- messages in the wrong state --- */

static void send_request_none(struct rig *rig) {
    rig_send(rig, "bsss", MSG_USERAUTH_REQUEST, "alice", "ssh-connection", "none");
}

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
        send_request_none(rig);
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
        send_request_none(rig);
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
        {"authenticated", {50, 80, 81, 82, 90, 93, 94, 95, 96, 97, 98, 99, 100}},
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

/* RFC 4252 section 5.1: after success, further requests are ignored. */
static void test_late_request_changes_nothing(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_authenticate(&rig);
    struct rig_proof proof = rig_proof_of("root", rig_bob_key);
    rig_prove(&rig, &proof);
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

/* --- signatures that prove nothing --- */

typedef void spoil(struct rig *rig, struct rig_proof *proof);

static void sign_for_another_user(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->signed_user = "bob";
}

static void sign_with_another_key(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->key = rig_host_key;
}

static void sign_another_session(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    static const uint8_t other[32] = {1};
    proof->signed_session_id = span_of(other, sizeof other);
}

static void sign_another_algorithm(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->signed_algorithm = "ssh-rsa";
}

static void name_another_algorithm(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->algorithm = "ecdsa-sha2-nistp256";
}

static void name_certificate(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->algorithm = "ssh-ed25519-cert-v01@openssh.com";
}

static void name_security_key(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->algorithm = "sk-ssh-ed25519@openssh.com";
}

static void name_nothing_known(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->algorithm = "ssh-ed448";
}

static void cut_blob(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->blob.len--;
}

static void empty_blob(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->blob = span_of("", 0);
}

static void empty_user(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->user = "";
}

static void user_of_two_lines(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->user = "alice\nroot";
}

static void user_not_utf8(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    proof->user = "al\xefice";
}

static void user_too_long(struct rig *rig, struct rig_proof *proof) {
    (void)rig;
    static char name[LIMIT_PRINCIPAL_CHARS + 2];
    memset(name, 'a', LIMIT_PRINCIPAL_CHARS + 1);
    proof->user = name;
}

static void test_forged_proofs(void **state) {
    (void)state;
    static spoil *const spoils[] = {
        sign_for_another_user,
        sign_with_another_key,
        sign_another_session,
        sign_another_algorithm,
        name_another_algorithm,
        name_certificate,
        name_security_key,
        name_nothing_known,
        cut_blob,
        empty_blob,
        empty_user,
        user_of_two_lines,
        user_not_utf8,
        user_too_long,
    };
    for (size_t i = 0; i < COUNT_OF(spoils); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
        spoils[i](&rig, &proof);
        rig_prove(&rig, &proof);
        rig_refused(&rig);
        /* The right one is still taken: a try was lost, nothing else. */
        proof = rig_proof_of("alice", rig_alice_key);
        rig_prove(&rig, &proof);
        (void)rig_event(&rig, SERVER_AUTH_PROVED);
    }
}

/* Nor is a key offered that is not of its algorithm. */
static void test_spoiled_offers(void **state) {
    (void)state;
    static spoil *const spoils[] = {
        name_another_algorithm,
        name_certificate,
        name_security_key,
        name_nothing_known,
        cut_blob,
        empty_blob,
        empty_user,
        user_of_two_lines,
    };
    for (size_t i = 0; i < COUNT_OF(spoils); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
        spoils[i](&rig, &proof);
        rig_offer(&rig, &proof);
        rig_refused(&rig);
    }
}

static void test_every_flip_of_a_signature(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig.server_config.auth_tries_max = UINT32_MAX;
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    rig_signature(&rig, &proof, &signature);
    for (size_t i = 0; i < signature.len; i++) {
        signature.data[i] ^= 1;
        rig_send_signed(&rig, &proof, buf_span(&signature));
        rig_refused(&rig);
        signature.data[i] ^= 1;
    }
    rig_send_signed(&rig, &proof, span_of(signature.data, signature.len - 1));
    rig_refused(&rig);
    rig_send_signed(&rig, &proof, span_of("", 0));
    rig_refused(&rig);
    assert_ok(buf_add_byte(&signature, 0));
    rig_send_signed(&rig, &proof, buf_span(&signature));
    rig_refused(&rig);
}

/* What was signed in one session is worth nothing in the next. */
static void test_replayed_proof(void **state) {
    (void)state;
    struct rig first CLEANUP(rig_done);
    struct rig second CLEANUP(rig_done);
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_start(&first);
    rig_get_service(&first);
    rig_signature(&first, &proof, &signature);
    rig_send_signed(&first, &proof, buf_span(&signature));
    (void)rig_event(&first, SERVER_AUTH_PROVED);
    rig_start(&second);
    rig_get_service(&second);
    rig_send_signed(&second, &proof, buf_span(&signature));
    rig_refused(&second);
}

/* SHA-1 is no algorithm, and the hash is the one that was asked for. */
static void test_rsa_algorithms(void **state) {
    (void)state;
    static const struct {
        const char *algorithm;
        enum rsa_hash hash;
        bool proves;
    } cases[] = {
        {"ssh-rsa", RSA_SHA512, false},      {"ssh-rsa", RSA_SHA256, false},
        {"rsa-sha2-256", RSA_SHA512, false}, {"rsa-sha2-512", RSA_SHA256, false},
        {"rsa-sha2-256", RSA_SHA256, true},  {"rsa-sha2-512", RSA_SHA512, true},
        {"ssh-ed25519", RSA_SHA512, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = rig_proof_of("alice", rig_rsa_host_key);
        proof.algorithm = cases[i].algorithm;
        proof.hash = cases[i].hash;
        rig_prove(&rig, &proof);
        if (cases[i].proves) {
            struct server_event event = rig_event(&rig, SERVER_AUTH_PROVED);
            assert_string_equal(event.algorithm, cases[i].algorithm);
        } else {
            rig_refused(&rig);
        }
    }
}

/* --- offered is not proved --- */

/* x/crypto CVE-2024-45337, Warpgate GHSA-3cjp-w4cp-m9c8, JumpServer CVE-2023-43652. */
static void test_offered_is_not_proved(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof bob = rig_proof_of("alice", rig_bob_key);
    struct rig_proof alice = rig_proof_of("alice", rig_alice_key);
    rig_offer(&rig, &alice);
    struct server_event event = rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_true(key_equal(event.key, private_key_public(rig_alice_key)));
    assert_true(span_equal_str(event.user, "alice"));
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    span_t body = rig_message(&rig, MSG_USERAUTH_PK_OK);
    span_t algorithm;
    span_t blob;
    assert_ok(wire_get_string(&body, &algorithm));
    assert_ok(wire_get_string(&body, &blob));
    assert_ok(wire_expect_end(body));
    assert_true(span_equal_str(algorithm, "ssh-ed25519"));
    assert_true(span_equal(blob, key_blob(private_key_public(rig_alice_key))));
    /* Alice's key was welcome; who then proves Bob's is judged by Bob's. */
    rig_prove(&rig, &bob);
    event = rig_event(&rig, SERVER_AUTH_PROVED);
    assert_true(key_equal(event.key, private_key_public(rig_bob_key)));
    rig_fail(&rig);
    (void)rig_message(&rig, MSG_USERAUTH_FAILURE);
    assert_false(server_is_authenticated(rig.server));
}

/* The call ends the process: a driver that mistakes one answer for another gets no further. */
static void assert_breaks(err_t (*call)(struct server *, int64_t, struct buf *), struct rig *rig) {
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)signal(SIGABRT, SIG_DFL);
        ignore_err(call(rig->server, rig->now_ms, &rig->to_peer.bytes));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_answers_that_do_not_fit(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    assert_breaks(server_auth_accept, &rig);
    assert_breaks(server_auth_pk_ok, &rig);
    assert_breaks(server_auth_fail, &rig);
    assert_breaks(server_ping, &rig);
    send_request_none(&rig);
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    assert_breaks(server_auth_accept, &rig);
    assert_breaks(server_auth_pk_ok, &rig);
    rig_fail(&rig);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_offer(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_breaks(server_auth_accept, &rig);
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    assert_breaks(server_auth_accept, &rig);
    rig_prove(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_PROVED);
    assert_breaks(server_auth_pk_ok, &rig);
    rig_fail(&rig);
    assert_breaks(server_auth_accept, &rig);
}

/* What an earlier request allowed is forgotten. */
static void test_answers_to_earlier_requests(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct rig_proof proof = rig_proof_of("alice", rig_alice_key);
    rig_start(&rig);
    rig.server_config.auth_tries_max = 10;
    rig_get_service(&rig);
    rig_prove(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_PROVED);
    rig_fail(&rig);
    send_request_none(&rig);
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    assert_breaks(server_auth_accept, &rig);
    rig_fail(&rig);
    rig_offer(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_OFFERED);
    assert_breaks(server_auth_accept, &rig);
    rig_fail(&rig);
    proof.algorithm = "ssh-ed448";
    rig_offer(&rig, &proof);
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    assert_breaks(server_auth_pk_ok, &rig);
    assert_breaks(server_auth_accept, &rig);
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
    send_request_none(&rig);
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
    send_request_none(&rig); /* first, so it does not count */
    (void)rig_event(&rig, SERVER_AUTH_METHOD);
    rig_fail(&rig);
    for (int i = 0; i < 5; i++) { /* nor does an offer that is taken */
        rig_offer(&rig, &proof);
        (void)rig_event(&rig, SERVER_AUTH_OFFERED);
        assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    }
    send_request_none(&rig); /* this one does */
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
    send_request_none(&rig);
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

/* --- certificates --- */

static struct cert *make_cert(const struct private_key *key, const char *principal) {
    struct cert *cert = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(key), &cert->key));
    cert->serial = 7;
    cert->type = CERT_USER;
    cert->valid_after = 1;
    cert->valid_before = CERT_FOREVER;
    assert_ok(cert_set_key_id(cert, "test"));
    assert_ok(cert_add_principal(cert, principal));
    assert_ok(cert_add_critical_option(cert, "source-address", "10.0.0.0/8"));
    assert_ok(cert_prepare(cert, private_key_public(rig_host_key)));
    assert_ok(private_key_sign(rig_host_key, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    return cert;
}

static void test_certificate_algorithms(void **state) {
    (void)state;
    struct cert *ed25519 CLEANUP(cert_freep) = make_cert(rig_alice_key, "alice");
    struct cert *rsa CLEANUP(cert_freep) = make_cert(rig_rsa_host_key, "alice");
    const struct {
        const struct private_key *key;
        span_t blob;
        const char *algorithm;
        enum rsa_hash hash;
        bool proves;
    } cases[] = {
        {rig_alice_key, buf_span(&ed25519->blob), "ssh-ed25519", RSA_SHA512, false},
        {rig_alice_key, key_blob(ed25519->key), "ssh-ed25519-cert-v01@openssh.com", 0, false},
        {rig_alice_key, buf_span(&rsa->blob), "ssh-ed25519-cert-v01@openssh.com", 0, false},
        {rig_rsa_host_key, buf_span(&rsa->blob), "ssh-rsa-cert-v01@openssh.com", RSA_SHA512, false},
        {rig_rsa_host_key, buf_span(&rsa->blob), "rsa-sha2-512", RSA_SHA512, false},
        {rig_rsa_host_key, buf_span(&rsa->blob), "rsa-sha2-256-cert-v01@openssh.com", RSA_SHA512,
         false},
        {rig_bob_key, buf_span(&ed25519->blob), "ssh-ed25519-cert-v01@openssh.com", 0, false},
        {rig_alice_key, buf_span(&ed25519->blob), "ssh-ed25519-cert-v01@openssh.com", 0, true},
        {rig_rsa_host_key, buf_span(&rsa->blob), "rsa-sha2-256-cert-v01@openssh.com", RSA_SHA256,
         true},
        {rig_rsa_host_key, buf_span(&rsa->blob), "rsa-sha2-512-cert-v01@openssh.com", RSA_SHA512,
         true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = {"alice",       "ssh-connection", cases[i].algorithm,
                                  cases[i].blob, cases[i].key,     .hash = cases[i].hash};
        rig_prove(&rig, &proof);
        if (!cases[i].proves) {
            rig_refused(&rig);
            continue;
        }
        struct server_event event = rig_event(&rig, SERVER_AUTH_PROVED);
        assert_non_null(event.cert);
        assert_true(span_equal(buf_span(&event.cert->blob), cases[i].blob));
        assert_true(key_equal(event.key, private_key_public(cases[i].key)));
        assert_string_equal(event.algorithm, cases[i].algorithm);
    }
}

/* x/crypto CVE-2026-39828, CVE-2026-46595: whatever was offered before, the certificate that was
 * proved is there with its restrictions; and the plain key that was proved has no certificate. */
static void test_restrictions_stay(void **state) {
    (void)state;
    struct cert *cert CLEANUP(cert_freep) = make_cert(rig_alice_key, "alice");
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof plain = rig_proof_of("alice", rig_alice_key);
    struct rig_proof certified = plain;
    certified.algorithm = "ssh-ed25519-cert-v01@openssh.com";
    certified.blob = buf_span(&cert->blob);
    rig_offer(&rig, &plain);
    assert_null(rig_event(&rig, SERVER_AUTH_OFFERED).cert);
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    rig_prove(&rig, &certified);
    struct server_event event = rig_event(&rig, SERVER_AUTH_PROVED);
    assert_non_null(event.cert);
    assert_int_equal(event.cert->critical_option_count, 1);
    assert_string_equal(event.cert->critical_options[0].value, "10.0.0.0/8");
    rig_fail(&rig);
    rig_offer(&rig, &certified);
    assert_non_null(rig_event(&rig, SERVER_AUTH_OFFERED).cert);
    assert_ok(server_auth_pk_ok(rig.server, rig.now_ms, &rig.to_peer.bytes));
    rig_prove(&rig, &plain);
    assert_null(rig_event(&rig, SERVER_AUTH_PROVED).cert);
}

/* OpenSSH CVE-2026-35414: a comma is a character of a name like another, here and in the event. */
static void test_name_with_comma_is_one_name(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    struct rig_proof proof = rig_proof_of("alice,root", rig_alice_key);
    rig_prove(&rig, &proof);
    assert_true(span_equal_str(rig_event(&rig, SERVER_AUTH_PROVED).user, "alice,root"));
}

/* --- security keys: a token made of software --- */

static void put_sk_blob(const struct private_key *key, struct buf *out) {
    span_t from = key_blob(private_key_public(key));
    span_t name;
    span_t point;
    assert_ok(wire_get_string(&from, &name));
    assert_ok(wire_get_string(&from, &point));
    assert_ok(wire_put_text(out, "sk-ssh-ed25519@openssh.com"));
    assert_ok(wire_put_string(out, point));
    assert_ok(wire_put_text(out, "ssh:"));
}

static void put_sk_signature(struct rig *rig, span_t blob, uint8_t flags, struct buf *out) {
    struct buf data CLEANUP(buf_done) = BUF(4096);
    struct buf token CLEANUP(buf_done) = BUF(4096);
    struct buf plain CLEANUP(buf_done) = BUF(4096);
    uint8_t hash[CRYPTO_SHA256_BYTES];
    assert_ok(wire_put_string(&data, transport_session_id(rig->peer)));
    assert_ok(wire_put_u8(&data, MSG_USERAUTH_REQUEST));
    assert_ok(wire_put_text(&data, "alice"));
    assert_ok(wire_put_text(&data, "ssh-connection"));
    assert_ok(wire_put_text(&data, "publickey"));
    assert_ok(wire_put_bool(&data, true));
    assert_ok(wire_put_text(&data, "sk-ssh-ed25519@openssh.com"));
    assert_ok(wire_put_string(&data, blob));
    crypto_sha256(SPAN_LITERAL("ssh:"), hash);
    assert_ok(buf_add(&token, span_of(hash, sizeof hash)));
    assert_ok(wire_put_u8(&token, flags));
    assert_ok(wire_put_u32(&token, 1));
    crypto_sha256(buf_span(&data), hash);
    assert_ok(buf_add(&token, span_of(hash, sizeof hash)));
    assert_ok(private_key_sign(rig_alice_key, buf_span(&token), RSA_SHA512, &plain));
    span_t from = buf_span(&plain);
    span_t name;
    span_t signature;
    assert_ok(wire_get_string(&from, &name));
    assert_ok(wire_get_string(&from, &signature));
    assert_ok(wire_put_text(out, "sk-ssh-ed25519@openssh.com"));
    assert_ok(wire_put_string(out, signature));
    assert_ok(wire_put_u8(out, flags));
    assert_ok(wire_put_u32(out, 1));
}

/* x/crypto CVE-2026-39831: nobody touched it. */
static void test_security_key_wants_a_touch(void **state) {
    (void)state;
    static const struct {
        uint8_t flags;
        bool proves;
    } cases[] = {{0, false}, {4, false}, {1, true}, {5, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        struct buf blob CLEANUP(buf_done) = BUF(4096);
        struct buf signature CLEANUP(buf_done) = BUF(4096);
        rig_start(&rig);
        rig_get_service(&rig);
        put_sk_blob(rig_alice_key, &blob);
        put_sk_signature(&rig, buf_span(&blob), cases[i].flags, &signature);
        struct rig_proof proof = {"alice", "ssh-connection", "sk-ssh-ed25519@openssh.com",
                                  buf_span(&blob)};
        rig_send_signed(&rig, &proof, buf_span(&signature));
        if (!cases[i].proves) {
            rig_refused(&rig);
            continue;
        }
        struct server_event event = rig_event(&rig, SERVER_AUTH_PROVED);
        assert_int_equal(event.sk_flags, cases[i].flags);
        assert_int_equal(key_type(event.key), KEY_SK_ED25519);
    }
}

static void test_every_key_type_proves(void **state) {
    (void)state;
    static const struct {
        enum key_type type;
        unsigned bits;
    } kinds[] = {
        {KEY_ED25519, 256}, {KEY_ECDSA_256, 256}, {KEY_ECDSA_384, 384}, {KEY_ECDSA_521, 521}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        struct rig rig CLEANUP(rig_done);
        assert_ok(private_key_generate(kinds[i].type, kinds[i].bits, &key));
        rig_start(&rig);
        rig_get_service(&rig);
        struct rig_proof proof = rig_proof_of("alice", key);
        rig_prove(&rig, &proof);
        assert_int_equal(rig_event(&rig, SERVER_AUTH_PROVED).sk_flags, 0);
        assert_ok(server_auth_accept(rig.server, rig.now_ms, &rig.to_peer.bytes));
        (void)rig_message(&rig, MSG_USERAUTH_SUCCESS);
    }
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
    send_request_none(&other);
    (void)rig_event(&other, SERVER_AUTH_METHOD);
    server_disconnect(other.server, DISCONNECT_BY_APPLICATION, "too late", &other.to_peer.bytes);
    /* An answer that comes later does no harm. */
    assert_fails(server_auth_fail(other.server, other.now_ms, &other.to_peer.bytes), ERR_CLOSED);
    rig_ended(&other, DISCONNECT_BY_APPLICATION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_in_every_state),
        cmocka_unit_test(test_late_request_changes_nothing),
        cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_other_services),
        cmocka_unit_test(test_service_again),
        cmocka_unit_test(test_forged_proofs),
        cmocka_unit_test(test_spoiled_offers),
        cmocka_unit_test(test_every_flip_of_a_signature),
        cmocka_unit_test(test_replayed_proof),
        cmocka_unit_test(test_rsa_algorithms),
        cmocka_unit_test(test_offered_is_not_proved),
        cmocka_unit_test(test_answers_that_do_not_fit),
        cmocka_unit_test(test_answers_to_earlier_requests),
        cmocka_unit_test(test_offer_of_one_user_is_none_of_another),
        cmocka_unit_test(test_requests_sent_at_once),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_requests_in_all),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_banner),
        cmocka_unit_test(test_certificate_algorithms),
        cmocka_unit_test(test_restrictions_stay),
        cmocka_unit_test(test_name_with_comma_is_one_name),
        cmocka_unit_test(test_security_key_wants_a_touch),
        cmocka_unit_test(test_every_key_type_proves),
        cmocka_unit_test(test_disconnect_of_either_side),
    };
    return cmocka_run_group_tests_name("server", tests, rig_make_keys, rig_free_keys);
}
