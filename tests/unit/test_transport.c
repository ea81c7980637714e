/* Versions, KEXINIT and the first exchange, of either side against the other. */
#include "transport/cipher_internal.h"
#include "transport_rig.h"

static void test_every_combination(void **state) {
    (void)state;
    static const char *const kexes[] = {"mlkem768x25519-sha256", "curve25519-sha256",
                                        "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"};
    static const struct {
        const char *name, *macs;
        enum cipher_id id;
    } ciphers[] = {
        {"aes128-gcm@openssh.com", NULL, CIPHER_AES128_GCM},
        {"aes256-gcm@openssh.com", NULL, CIPHER_AES256_GCM},
        {"chacha20-poly1305@openssh.com", NULL, CIPHER_CHACHA20_POLY1305},
        {"aes256-ctr", NULL, CIPHER_AES256_CTR_ETM},
        {"aes256-ctr", "hmac-sha2-256", CIPHER_AES256_CTR_HMAC},
    };
    static const struct {
        const char *algorithm, *shown;
    } keys[] = {
        {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519 cert"},
        {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256 cert"},
        {"rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa cert"},
        {"rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa cert"},
        {"ssh-ed25519", "ssh-ed25519"},
        {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
        {"rsa-sha2-512", "ssh-rsa"},
        {"rsa-sha2-256", "ssh-rsa"},
    };
    for (size_t i = 0; i < COUNT_OF(kexes) * COUNT_OF(ciphers) * COUNT_OF(keys); i++) {
        const char *kex = kexes[i % COUNT_OF(kexes)];
        size_t cipher = i / COUNT_OF(kexes) % COUNT_OF(ciphers);
        size_t key = i / COUNT_OF(kexes) / COUNT_OF(ciphers);
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.config.kex = NULL;
        rig.client.config.kex = kex;
        rig.client.config.ciphers = ciphers[cipher].name;
        rig.client.config.macs = rig.server.config.macs = ciphers[cipher].macs;
        rig.client.config.host_key_algorithms = keys[key].algorithm;
        rig_start(&rig);
        rig_run(&rig);
        assert_open(&rig, 1);
        assert_string_equal(rig.client.shown, keys[key].shown);
        assert_ok(rig_send(&rig, &rig.client, 50, 1));
        assert_ok(rig_send(&rig, &rig.server, 51, 1));
        rig_run(&rig);
        assert_int_equal(rig.server.messages, 1);
        assert_int_equal(rig.client.messages, 1);
        for (size_t side = 0; side < 2; side++) {
            struct transport_facts facts;
            const struct transport *transport =
                side == 0 ? rig.server.transport : rig.client.transport;
            transport_facts(transport, &facts);
            assert_string_equal(facts.kex, kex);
            assert_string_equal(facts.cipher_in, ciphers[cipher].name);
            assert_string_equal(facts.cipher_out, ciphers[cipher].name);
            assert_int_equal(transport->in.cipher->method->id, ciphers[cipher].id);
            assert_int_equal(transport->out.cipher->method->id, ciphers[cipher].id);
            assert_string_equal(facts.host_key_algorithm, keys[key].algorithm);
            assert_true(facts.strict);
            assert_int_equal(facts.exchanges, 1);
        }
    }
}

/* --- versions --- */

static void test_versions(void **state) {
    (void)state;
    char longest[256];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "SSH-2.0-", 8);
    memcpy(longest + LIMIT_VERSION_LINE_BYTES - 2, "\r\n", 2);
    char too_long[256];
    memset(too_long, 'x', sizeof too_long);
    memcpy(too_long, "SSH-2.0-", 8);
    const struct {
        enum transport_role role;
        span_t line;
        enum err_code code;
    } cases[] = {
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-1.99-old\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-1.5-old\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.1-new\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("ssh-2.0-x\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("GET / HTTP/1.1\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("hello\r\nSSH-2.0-x\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("\n"), ERR_UNSUPPORTED},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.0-a\0b\r\n"), ERR_MALFORMED},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.0-a\033b\r\n"), ERR_MALFORMED},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.0-a\r\r\n"), ERR_MALFORMED},
        {TRANSPORT_SERVER, span_of(too_long, LIMIT_VERSION_LINE_BYTES), ERR_TOO_LONG},
        {TRANSPORT_SERVER, span_of(too_long, LIMIT_VERSION_LINE_BYTES - 1), ERR_NONE},
        {TRANSPORT_SERVER, span_of(longest, LIMIT_VERSION_LINE_BYTES), ERR_NONE},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.0-x\r\n"), ERR_NONE},
        {TRANSPORT_SERVER, SPAN_LITERAL("SSH-2.0-x with words\n"), ERR_NONE},
        {TRANSPORT_CLIENT, SPAN_LITERAL("SSH-1.5-old\r\n"), ERR_UNSUPPORTED},
        {TRANSPORT_CLIENT, SPAN_LITERAL("SSH-1.99-old\r\n"), ERR_NONE},
        {TRANSPORT_CLIENT, SPAN_LITERAL("hello\r\n\r\nSSH-2.0-x\r\n"), ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig_start(&rig);
        struct rig_side *side = cases[i].role == TRANSPORT_SERVER ? &rig.server : &rig.client;
        rig_give(side, cases[i].line);
        rig_take(&rig, side);
        assert_int_equal(side->err.code, cases[i].code);
        if (failed(side->err)) {
            assert_fails(transport_rekey(side->transport, 0, &side->out), ERR_CLOSED);
        }
    }
}

static void test_lines_before_version(void **state) {
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig_start(&rig);
        for (size_t i = 0; i < LIMIT_VERSION_LINES_COUNT + more; i++) {
            rig_give(&rig.client, SPAN_LITERAL("Welcome\r\n"));
        }
        rig_run(&rig);
        if (more == 0) {
            assert_open(&rig, 1);
        } else {
            assert_fails(rig.client.err, ERR_TOO_LONG);
        }
    }
}

/* --- KEXINIT --- */

/* A KEXINIT in which one list is another. */
static void put_kexinit(struct buf *to, enum kexinit_list which, span_t list) {
    static const char *const lists[KEXINIT_LISTS_COUNT] = {
        "curve25519-sha256",
        "ssh-ed25519",
        "aes256-ctr",
        "aes256-ctr",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "none",
        "none",
        "",
        "",
    };
    uint8_t *cookie;
    assert_ok(wire_put_u8(to, MSG_KEXINIT));
    assert_ok(buf_extend(to, KEXINIT_COOKIE_BYTES, &cookie));
    memset(cookie, 7, KEXINIT_COOKIE_BYTES);
    for (size_t i = 0; i < KEXINIT_LISTS_COUNT; i++) {
        assert_ok(wire_put_string(to, i == which ? list : span_str(lists[i])));
    }
    assert_ok(wire_put_bool(to, false));
    assert_ok(wire_put_u32(to, 0));
}

/* What a server says to it. */
static void try_kexinit(struct rig *rig, span_t message) {
    rig_init(rig);
    rig_start(rig);
    buf_clear(&rig->client.out);
    assert_ok(buf_add_str(&rig->client.out, "SSH-2.0-x\r\n"));
    assert_ok(rig_send_now(&rig->client, message));
    buf_clear(&rig->server.out);
    rig_move(rig, &rig->client, &rig->server);
}

/* The text of the DISCONNECT that was sent in the clear. */
static void assert_disconnect(const struct rig_side *side, uint32_t reason, const char *text) {
    span_t rest =
        span_of(side->out.data + CIPHER_HEADER_BYTES, side->out.len - CIPHER_HEADER_BYTES);
    uint8_t number;
    uint32_t got_reason;
    span_t got;
    assert_ok(wire_get_u8(&rest, &number));
    assert_ok(wire_get_u32(&rest, &got_reason));
    assert_ok(wire_get_string(&rest, &got));
    assert_int_equal(number, MSG_DISCONNECT);
    assert_int_equal(got_reason, reason);
    assert_true(span_equal_str(got, text));
}

static void test_nothing_in_common(void **state) {
    (void)state;
    static const struct {
        enum kexinit_list list;
        const char *names, *text;
    } cases[] = {
        {LIST_KEX, "diffie-hellman-group14-sha1", "no matching key exchange method"},
        {LIST_KEX, "", "no matching key exchange method"},
        {LIST_KEX, "kex-strict-c-v00@openssh.com,ext-info-c", "no matching key exchange method"},
        {LIST_KEX, "kex-strict-s-v00@openssh.com", "no matching key exchange method"},
        {LIST_HOST_KEY, "ssh-rsa,ssh-dss", "no matching host key algorithm"},
        {LIST_CIPHER_C2S, "aes128-cbc", "no matching cipher"},
        {LIST_CIPHER_S2C, "none", "no matching cipher"},
        {LIST_MAC_C2S, "hmac-sha1", "no matching MAC"},
        {LIST_MAC_S2C, "", "no matching MAC"},
        {LIST_MAC_C2S, "hmac-sha2-256", "no matching MAC"}, /* known, and not configured */
        {LIST_MAC_S2C, "hmac-sha2-256", "no matching MAC"},
        {LIST_COMPRESSION_C2S, "zlib", "no matching compression method"},
        {LIST_COMPRESSION_S2C, "zlib@openssh.com", "no matching compression method"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        struct buf message CLEANUP(buf_done) = BUF(LIMIT_KEXINIT_BYTES);
        put_kexinit(&message, cases[i].list, span_str(cases[i].names));
        try_kexinit(&rig, buf_span(&message));
        assert_fails(rig.server.err, ERR_UNSUPPORTED);
        assert_disconnect(&rig.server, DISCONNECT_KEY_EXCHANGE_FAILED, cases[i].text);
    }
}

static void test_kexinit_lists(void **state) {
    (void)state;
    char name[66];
    memset(name, 'n', sizeof name);
    static const enum err_code bad = ERR_MALFORMED;
    const struct {
        enum kexinit_list list;
        span_t names;
        enum err_code code;
    } cases[] = {
        {LIST_KEX, SPAN_LITERAL("curve25519-sha256,a\0b"), bad},
        {LIST_LANGUAGE_C2S, SPAN_LITERAL("d\xc3\xa9"), bad},
        {LIST_LANGUAGE_C2S, span_of(name, 65), bad},
        {LIST_LANGUAGE_C2S, span_of(name, 64), ERR_NONE},
        {LIST_LANGUAGE_S2C, SPAN_LITERAL("en,de"), ERR_NONE},
        {LIST_KEX, SPAN_LITERAL("curve25519-sha256,x,curve25519-sha256"), ERR_NONE},
        {LIST_KEX, SPAN_LITERAL(",a,,curve25519-sha256,"), ERR_NONE},
        {LIST_KEX, SPAN_LITERAL(",,"), ERR_UNSUPPORTED},
        {LIST_CIPHER_C2S, SPAN_LITERAL("x,aes128-gcm@openssh.com"), ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        struct buf message CLEANUP(buf_done) = BUF(LIMIT_KEXINIT_BYTES);
        put_kexinit(&message, cases[i].list, cases[i].names);
        try_kexinit(&rig, buf_span(&message));
        assert_int_equal(rig.server.err.code, cases[i].code);
    }
}

/* Of an AEAD cipher the MAC does not matter. */
static void test_mac_is_not_agreed_on_for_aead(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig.client.config.ciphers = "aes128-gcm@openssh.com";
    rig_start(&rig);
    rig_replace(&rig.client, "hmac-sha2-256-etm@openssh.com", "hmac-sha2-256-mte@openssh.com");
    rig_run(&rig);
    assert_open(&rig, 1);
}

/* Encrypt-and-MAC is agreed on where both are configured for it, and the client's order decides. */
static void test_macs(void **state) {
    (void)state;
    static const char etm[] = "hmac-sha2-256-etm@openssh.com";
    static const char mac[] = "hmac-sha2-256";
    static const char both[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
    static const char turned[] = "hmac-sha2-256,hmac-sha2-256-etm@openssh.com";
    static const struct {
        const char *client, *server;
        enum cipher_id id; /* CIPHER_NONE: they have nothing in common */
    } cases[] = {
        {mac, NULL, CIPHER_NONE},
        {NULL, mac, CIPHER_NONE},
        {mac, etm, CIPHER_NONE},
        {NULL, NULL, CIPHER_AES256_CTR_ETM},
        {turned, NULL, CIPHER_AES256_CTR_ETM},
        {NULL, turned, CIPHER_AES256_CTR_ETM},
        {both, turned, CIPHER_AES256_CTR_ETM},
        {turned, both, CIPHER_AES256_CTR_HMAC},
        {mac, both, CIPHER_AES256_CTR_HMAC},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.client.config.ciphers = "aes256-ctr";
        rig.client.config.macs = cases[i].client;
        rig.server.config.macs = cases[i].server;
        rig_start(&rig);
        rig_run(&rig);
        if (cases[i].id == CIPHER_NONE) {
            assert_fails(rig.server.err, ERR_UNSUPPORTED);
            assert_int_equal(rig.server.newkeys, 0);
        } else {
            assert_open(&rig, 1);
            assert_int_equal(rig.server.transport->in.cipher->method->id, cases[i].id);
            assert_int_equal(rig.client.transport->in.cipher->method->id, cases[i].id);
        }
    }
}

static void test_kexinit_is_whole(void **state) {
    (void)state;
    struct buf message CLEANUP(buf_done) = BUF(LIMIT_KEXINIT_BYTES);
    put_kexinit(&message, LIST_LANGUAGE_C2S, SPAN_LITERAL(""));
    for (size_t len = 1; len < message.len; len++) {
        struct rig rig CLEANUP(rig_done);
        try_kexinit(&rig, span_of(message.data, len));
        assert_fails(rig.server.err, ERR_TRUNCATED);
    }
    struct rig rig CLEANUP(rig_done);
    assert_ok(buf_add_byte(&message, 0));
    try_kexinit(&rig, buf_span(&message));
    assert_fails(rig.server.err, ERR_TRAILING);
}

static void test_kexinit_length(void **state) {
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct buf names CLEANUP(buf_done) = BUF(LIMIT_KEXINIT_BYTES);
        struct buf message CLEANUP(buf_done) = BUF(LIMIT_KEXINIT_BYTES + 1);
        put_kexinit(&message, LIST_LANGUAGE_C2S, SPAN_LITERAL(""));
        size_t room = LIMIT_KEXINIT_BYTES - message.len + more;
        while (names.len < room) {
            assert_ok(
                buf_add_byte(&names, names.len % 2 == 0 || names.len + 1 == room ? 'x' : ','));
        }
        buf_clear(&message);
        put_kexinit(&message, LIST_LANGUAGE_C2S, buf_span(&names));
        assert_int_equal(message.len, LIMIT_KEXINIT_BYTES + more);
        struct rig rig CLEANUP(rig_done);
        try_kexinit(&rig, buf_span(&message));
        assert_int_equal(rig.server.err.code, more == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
}

/* Nobody waits for a first packet that is too long to be of any use. */
static void test_first_packet_length(void **state) {
    (void)state;
    static const struct {
        uint32_t length;
        enum err_code code;
    } cases[] = {
        {LIMIT_KEXINIT_BYTES + CIPHER_OVERHEAD_BYTES - 4, ERR_NONE},
        {LIMIT_KEXINIT_BYTES + CIPHER_OVERHEAD_BYTES + 4, ERR_TOO_LONG},
        {0xffffffff, ERR_TOO_LONG},
        {4, ERR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        struct buf bytes CLEANUP(buf_done) = BUF(64);
        rig_init(&rig);
        rig_start(&rig);
        assert_ok(buf_add_str(&bytes, "SSH-2.0-x\r\n"));
        assert_ok(wire_put_u32(&bytes, cases[i].length));
        rig_give(&rig.server, buf_span(&bytes));
        rig_take(&rig, &rig.server);
        assert_int_equal(rig.server.err.code, cases[i].code);
    }
}

/* The client's order decides. */
static void test_preference(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig.server.config.kex = "curve25519-sha256,ecdh-sha2-nistp256";
    rig.client.config.kex = "mlkem768x25519-sha256,ecdh-sha2-nistp256,curve25519-sha256";
    rig.client.config.ciphers = "aes256-ctr,aes128-gcm@openssh.com";
    rig.client.config.host_key_algorithms = "rsa-sha2-256,ssh-ed25519";
    rig_start(&rig);
    rig_run(&rig);
    assert_open(&rig, 1);
    struct transport_facts facts;
    transport_facts(rig.server.transport, &facts);
    assert_string_equal(facts.kex, "ecdh-sha2-nistp256");
    assert_string_equal(facts.cipher_in, "aes256-ctr");
    assert_string_equal(facts.host_key_algorithm, "rsa-sha2-256");
    assert_string_equal(facts.peer_version, "SSH-2.0-client");
}

/* --- a client that guesses --- */

static void test_right_guess(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    rig_init(&rig);
    rig_start(&rig);
    rig_guess(&rig.client);
    rig_run(&rig);
    assert_open(&rig, 1);
}

static void test_wrong_guess(void **state) {
    (void)state;
    static const uint8_t guess[] = {MSG_KEX_INIT, 0, 0, 0, 1, 0};
    static const uint8_t gex_request[] = {34, 0, 0, 8, 0};
    const struct {
        span_t sent[2];
        enum err_code code;
    } cases[] = {
        {{span_of(guess, sizeof guess)}, ERR_NONE},
        {{span_of(gex_request, sizeof gex_request)}, ERR_NONE},
        {{span_of(guess, sizeof guess), span_of(gex_request, sizeof gex_request)}, ERR_PROTOCOL},
        {{SPAN_LITERAL("\x05")}, ERR_PROTOCOL},
        {{SPAN_LITERAL("\x15")}, ERR_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        if (i % 2 == 0) {
            rig.client.config.kex = "ecdh-sha2-nistp256,curve25519-sha256";
        } else {
            rig.client.config.host_key_algorithms = "ecdsa-sha2-nistp256";
        }
        rig_start(&rig);
        rig_guess(&rig.client);
        for (size_t j = 0; j < 2 && cases[i / 2].sent[j].len > 0; j++) {
            assert_ok(rig_send_now(&rig.client, cases[i / 2].sent[j]));
        }
        rig_run(&rig);
        if (cases[i / 2].code == ERR_NONE) {
            assert_open(&rig, 1);
        } else {
            assert_int_equal(rig.server.err.code, cases[i / 2].code);
        }
    }
}

/* --- how bytes come --- */

static void test_split_everywhere(void **state) {
    (void)state;
    size_t lens[2];
    for (size_t cut = 0, side = 0; side < 2;) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        struct rig_side *to = side == 0 ? &rig.server : &rig.client;
        to->cut = cut;
        rig_start(&rig);
        rig_run(&rig);
        assert_open(&rig, 1);
        lens[side] = to->given;
        cut++;
        if (cut == lens[side]) {
            assert_true(cut > 500);
            cut = 0;
            side++;
        }
    }
}

static void test_byte_by_byte(void **state) {
    (void)state;
    static const struct {
        const char *ciphers, *macs;
    } cases[] = {{NULL, NULL}, {"aes256-ctr", "hmac-sha2-256"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.chunk = rig.client.chunk = 1;
        rig.client.config.kex = rig.server.config.kex = NULL;
        rig.client.config.ciphers = cases[i].ciphers;
        rig.client.config.macs = rig.server.config.macs = cases[i].macs;
        rig_start(&rig);
        rig_run(&rig);
        assert_open(&rig, 1);
        for (uint32_t message = 1; message <= 3; message++) {
            assert_ok(rig_send(&rig, &rig.client, 90, message));
            rig_run(&rig);
            assert_int_equal(rig.server.messages, message);
            assert_ok(transport_rekey(rig.client.transport, rig.now_ms, &rig.client.out));
            rig_run(&rig);
            assert_open(&rig, 1 + message);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_lines_before_version),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_kexinit_lists),
        cmocka_unit_test(test_mac_is_not_agreed_on_for_aead),
        cmocka_unit_test(test_macs),
        cmocka_unit_test(test_kexinit_is_whole),
        cmocka_unit_test(test_kexinit_length),
        cmocka_unit_test(test_first_packet_length),
        cmocka_unit_test(test_preference),
        cmocka_unit_test(test_right_guess),
        cmocka_unit_test(test_wrong_guess),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_every_combination),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
