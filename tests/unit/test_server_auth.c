/* Proving a key to the server: what proves nothing, and what does. What other servers got wrong is
 * tried here under its name. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server_rig.h"
#include "ssh/crypto.h"

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
        (void)close(STDERR_FILENO); /* what it says at its end is expected */
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
    rig_ask_none(&rig);
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
    rig_ask_none(&rig);
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

/* --- passwords --- */

/* RFC 4252 section 8; the form that changes one brings another. */
static void put_password(struct rig *rig, const char *user, bool is_change, span_t password) {
    struct buf message CLEANUP(buf_done) = BUF(RIG_BYTES_MAX);
    assert_ok(wire_put_u8(&message, MSG_USERAUTH_REQUEST));
    assert_ok(wire_put_text(&message, user));
    assert_ok(wire_put_text(&message, "ssh-connection"));
    assert_ok(wire_put_text(&message, "password"));
    assert_ok(wire_put_bool(&message, is_change));
    assert_ok(wire_put_string(&message, password));
    if (is_change) {
        assert_ok(wire_put_text(&message, "another password"));
    }
    rig_send_span(rig, buf_span(&message));
}

/* It is refused without being shown to anybody, and these methods can go on. */
static void expect_no_password(struct rig *rig, const char *methods) {
    struct server_event event = rig_event(rig, SERVER_AUTH_METHOD);
    assert_true(span_equal_str(event.method, "password"));
    assert_null(event.password);
    assert_breaks(server_auth_accept, rig);
    rig_fail(rig);
    span_t body = rig_message(rig, MSG_USERAUTH_FAILURE);
    span_t list;
    assert_ok(wire_get_string(&body, &list));
    assert_true(span_equal_str(list, methods));
}

static void test_passwords_that_nobody_takes(void **state) {
    (void)state;
    static char long_one[LIMIT_PASSWORD_CHARS_MAX + 2];
    memset(long_one, 'x', LIMIT_PASSWORD_CHARS_MAX + 1);
    static const struct {
        const char *user;
        bool is_change;
        span_t password;
    } cases[] = {
        {"alice", true, {(const uint8_t *)"correct horse", 13}},
        {"alice", false, {(const uint8_t *)"", 0}},
        {"alice", false, {(const uint8_t *)"a\0b", 3}},
        {"alice", false, {(const uint8_t *)"a\xff", 2}},
        {"alice", false, {(const uint8_t *)"a\n", 2}},
        {"alice", false, {(const uint8_t *)long_one, LIMIT_PASSWORD_CHARS_MAX + 1}},
        {"", false, {(const uint8_t *)"correct horse", 13}},
        {"alice\nroot", false, {(const uint8_t *)"correct horse", 13}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_start(&rig);
        rig.server_config.takes_passwords = true;
        rig_get_service(&rig);
        put_password(&rig, cases[i].user, cases[i].is_change, cases[i].password);
        expect_no_password(&rig, "publickey,password");
    }
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig_get_service(&rig);
    put_password(&rig, "alice", false, SPAN_LITERAL("correct horse"));
    expect_no_password(&rig, "publickey"); /* none is asked for, so none is taken */
}

static void test_password_before_the_service(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig.server_config.takes_passwords = true;
    put_password(&rig, "alice", false, SPAN_LITERAL("correct horse"));
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

static void test_password_with_more_behind_it(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig.server_config.takes_passwords = true;
    rig_get_service(&rig);
    rig_send(&rig, "bssstsb", MSG_USERAUTH_REQUEST, "alice", "ssh-connection", "password", false,
             "correct horse", 0);
    rig_fatal(&rig, DISCONNECT_PROTOCOL_ERROR);
}

/* All that the server read: the password was in it. */
static bool input_has(const struct rig *rig, const char *text) {
    return memmem(rig->to_server.bytes.data, rig->to_server.bytes.len, text, strlen(text)) != NULL;
}

static void test_password_is_the_drivers_to_judge(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig);
    rig.server_config.takes_passwords = true;
    rig_get_service(&rig);
    put_password(&rig, "alice", false, SPAN_LITERAL("correct horse"));
    struct server_event event = rig_event(&rig, SERVER_AUTH_PASSWORD);
    assert_true(span_equal_str(event.user, "alice"));
    assert_true(span_equal_str(secret_span(event.password), "correct horse"));
    assert_null(event.key);
    assert_null(event.cert);
    assert_false(server_is_authenticated(rig.server));
    assert_false(input_has(&rig, "correct horse"));
    assert_breaks(server_auth_pk_ok, &rig);
    rig_fail(&rig);
    assert_null(event.password->text); /* the server's own, wiped with the answer */
    (void)rig_message(&rig, MSG_USERAUTH_FAILURE);
    assert_breaks(server_auth_accept, &rig);
    put_password(&rig, "alice", false, SPAN_LITERAL("battery staple"));
    event = rig_event(&rig, SERVER_AUTH_PASSWORD);
    assert_ok(server_auth_accept(rig.server, rig.now_ms, &rig.to_peer.bytes));
    assert_null(event.password->text);
    assert_true(server_is_authenticated(rig.server));
    (void)rig_message(&rig, MSG_USERAUTH_SUCCESS);
}

/* Wrong ones count as other tries do. */
static void test_passwords_cost_tries(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_start(&rig); /* three tries */
    rig.server_config.takes_passwords = true;
    rig_get_service(&rig);
    for (unsigned i = 0; i < 2; i++) {
        put_password(&rig, "alice", false, SPAN_LITERAL("guess"));
        (void)rig_event(&rig, SERVER_AUTH_PASSWORD);
        rig_fail(&rig);
    }
    put_password(&rig, "alice", false, SPAN_LITERAL("guess"));
    (void)rig_event(&rig, SERVER_AUTH_PASSWORD);
    assert_fails(server_auth_fail(rig.server, rig.now_ms, &rig.to_peer.bytes), ERR_REFUSED);
    rig_ended(&rig, DISCONNECT_NO_MORE_AUTH_METHODS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_proofs),
        cmocka_unit_test(test_spoiled_offers),
        cmocka_unit_test(test_every_flip_of_a_signature),
        cmocka_unit_test(test_replayed_proof),
        cmocka_unit_test(test_rsa_algorithms),
        cmocka_unit_test(test_offered_is_not_proved),
        cmocka_unit_test(test_answers_that_do_not_fit),
        cmocka_unit_test(test_answers_to_earlier_requests),
        cmocka_unit_test(test_certificate_algorithms),
        cmocka_unit_test(test_restrictions_stay),
        cmocka_unit_test(test_name_with_comma_is_one_name),
        cmocka_unit_test(test_security_key_wants_a_touch),
        cmocka_unit_test(test_every_key_type_proves),
        cmocka_unit_test(test_passwords_that_nobody_takes),
        cmocka_unit_test(test_password_before_the_service),
        cmocka_unit_test(test_password_with_more_behind_it),
        cmocka_unit_test(test_password_is_the_drivers_to_judge),
        cmocka_unit_test(test_passwords_cost_tries),
    };
    return cmocka_run_group_tests_name("server_auth", tests, rig_make_keys, rig_free_keys);
}
