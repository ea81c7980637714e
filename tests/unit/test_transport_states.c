/*
 * Every message number in every state of either role, and what an attacker on the way could try
 * with the first exchange (Terrapin, CVE-2023-48795, and cruder things).
 */
#include "transport_rig.h"

enum stage {
    STAGE_VERSIONS, /* exchanged, and nothing else */
    STAGE_GUESS,    /* the peer's KEXINIT has come, and a wrong guess follows */
    STAGE_SHARE,
    STAGE_ANSWER, /* the signer's or the user's is due */
    STAGE_NEWKEYS,
    STAGE_OPEN,
    STAGE_OPEN_LATER, /* the first message has come; to the client, that the user is let in */
    STAGE_OURS,       /* our KEXINIT is out */
    STAGE_REKEY_SHARE,
    STAGE_REKEY_NEWKEYS,
    STAGES_COUNT,
};

enum outcome {
    FATAL, /* zero: no handler */
    HANDLED,
    IGNORED,
    ANSWERED, /* by UNIMPLEMENTED */
    MESSAGE,
    DISCONNECTED,
    NOT_READ,
};

struct cells {
    uint8_t first, last;
    enum outcome outcome;
};

/* Numbers that are not named here are fatal. */
static const struct cells in_versions[] = {
    {1, 1, DISCONNECTED}, {2, 4, IGNORED}, {20, 20, HANDLED}};
static const struct cells in_guess[] = {{1, 1, DISCONNECTED}, {2, 4, IGNORED}, {30, 49, IGNORED}};
static const struct cells in_init[] = {{1, 1, DISCONNECTED}, {2, 4, IGNORED}, {30, 30, HANDLED}};
static const struct cells in_reply[] = {{1, 1, DISCONNECTED}, {2, 4, IGNORED}, {31, 31, HANDLED}};
static const struct cells in_answer[] = {{0, 255, NOT_READ}};
static const struct cells in_newkeys[] = {{1, 1, DISCONNECTED}, {2, 4, IGNORED}, {21, 21, HANDLED}};
static const struct cells in_open[] = {
    {1, 1, DISCONNECTED}, {2, 4, IGNORED},      {5, 6, MESSAGE},      {7, 7, HANDLED},
    {8, 19, ANSWERED},    {20, 20, HANDLED},    {22, 29, ANSWERED},   {50, 53, MESSAGE},
    {54, 59, ANSWERED},   {60, 60, MESSAGE},    {61, 79, ANSWERED},   {80, 82, MESSAGE},
    {83, 89, ANSWERED},   {90, 100, MESSAGE},   {101, 191, ANSWERED}, {192, 192, HANDLED},
    {193, 193, IGNORED},  {194, 255, ANSWERED},
};

static enum outcome expected(enum stage stage, bool server, bool strict, uint8_t number) {
    static const struct {
        const struct cells *cells;
        size_t count;
    } stages[STAGES_COUNT] = {
        [STAGE_VERSIONS] = {in_versions, COUNT_OF(in_versions)},
        [STAGE_GUESS] = {in_guess, COUNT_OF(in_guess)},
        [STAGE_SHARE] = {in_reply, COUNT_OF(in_reply)},
        [STAGE_ANSWER] = {in_answer, COUNT_OF(in_answer)},
        [STAGE_NEWKEYS] = {in_newkeys, COUNT_OF(in_newkeys)},
        [STAGE_OPEN] = {in_open, COUNT_OF(in_open)},
        [STAGE_OPEN_LATER] = {in_open, COUNT_OF(in_open)},
        [STAGE_OURS] = {in_open, COUNT_OF(in_open)},
        [STAGE_REKEY_SHARE] = {in_reply, COUNT_OF(in_reply)},
        [STAGE_REKEY_NEWKEYS] = {in_newkeys, COUNT_OF(in_newkeys)},
    };
    bool is_share = stage == STAGE_SHARE || stage == STAGE_REKEY_SHARE;
    const struct cells *cells = is_share && server ? in_init : stages[stage].cells;
    bool in_first = stage == STAGE_GUESS || stage == STAGE_SHARE || stage == STAGE_NEWKEYS;
    if (strict && in_first && number >= 2 && number <= 4) {
        return FATAL;
    }
    if (number == MSG_EXT_INFO && (stage == STAGE_OPEN_LATER || stage == STAGE_OURS)) {
        return FATAL;
    }
    for (size_t i = 0; i < stages[stage].count; i++) {
        if (number >= cells[i].first && number <= cells[i].last) {
            return cells[i].outcome;
        }
    }
    return FATAL;
}

/* --- how a side gets there --- */

struct walk {
    struct rig rig;
    struct rig_side *side, *peer;
};

static void walk_done(struct walk *walk) { rig_done(&walk->rig); }

/* The server's reply without its NEWKEYS. */
static void reply_alone(struct walk *walk) {
    struct buf reply CLEANUP(buf_done) = BUF(8192);
    rig_run(&walk->rig);
    assert_true(walk->peer->asked);
    assert_ok(exchange_put_reply(walk->peer->transport->exchange, buf_span(&walk->peer->to_sign),
                                 &reply));
    assert_ok(rig_send_now(walk->peer, buf_span(&reply)));
    rig_move(&walk->rig, walk->peer, walk->side);
}

static void go_to_newkeys(struct walk *walk) {
    walk->peer->answers_later = true;
    if (walk->side == &walk->rig.client) {
        reply_alone(walk);
    } else {
        rig_run(&walk->rig);
    }
    assert_int_equal(walk->side->transport->state, STATE_NEWKEYS_DUE);
}

static void rekey(struct walk *walk, struct rig_side *side) {
    assert_ok(transport_rekey(side->transport, walk->rig.now_ms, &side->out));
}

/* From the end of the first exchange on. */
static void go_beyond(struct walk *walk, enum stage stage) {
    rig_run(&walk->rig);
    assert_open(&walk->rig, 1);
    if (stage == STAGE_OPEN) {
        return;
    }
    assert_ok(rig_send(&walk->rig, walk->peer, 52, 0));
    rig_run(&walk->rig);
    if (stage == STAGE_OURS) {
        rekey(walk, walk->side);
    }
    if (stage == STAGE_REKEY_SHARE) {
        rekey(walk, walk->peer);
        rig_move(&walk->rig, walk->peer, walk->side);
    }
    if (stage == STAGE_REKEY_NEWKEYS) {
        rekey(walk, walk->peer);
        go_to_newkeys(walk);
    }
}

static void go_to(struct walk *walk, enum stage stage, bool server, bool strict) {
    rig_init(&walk->rig);
    walk->side = server ? &walk->rig.server : &walk->rig.client;
    walk->peer = server ? &walk->rig.client : &walk->rig.server;
    if (stage == STAGE_GUESS) {
        walk->peer->config.kex = "ecdh-sha2-nistp256,curve25519-sha256";
    }
    rig_start(&walk->rig);
    if (!strict) {
        rig_not_strict(&walk->rig);
    }
    switch (stage) {
    case STAGE_VERSIONS:
        buf_clear(&walk->peer->out);
        rig_give(walk->side, SPAN_LITERAL("SSH-2.0-x\r\n"));
        rig_take(&walk->rig, walk->side);
        break;
    case STAGE_GUESS:
        rig_guess(walk->peer);
        rig_move(&walk->rig, walk->peer, walk->side);
        break;
    case STAGE_SHARE:
        rig_move(&walk->rig, walk->peer, walk->side);
        break;
    case STAGE_ANSWER:
        walk->side->answers_later = true;
        rig_run(&walk->rig);
        assert_true(walk->side->asked);
        break;
    case STAGE_NEWKEYS:
        go_to_newkeys(walk);
        break;
    default:
        go_beyond(walk, stage);
    }
    assert_ok(walk->side->err);
    buf_clear(&walk->side->out);
}

/* The number, and zeros that make a KEXINIT: no other handler takes so many, and none of them says
 * ERR_PROTOCOL. */
static enum outcome try_number(struct walk *walk, uint8_t number) {
    uint8_t message[1 + KEXINIT_COOKIE_BYTES + 4 * KEXINIT_LISTS_COUNT + 5] = {number};
    struct rig_side *side = walk->side;
    size_t messages = side->messages;
    enum transport_state state = side->transport->state;
    assert_ok(rig_send_now(walk->peer, span_of(message, sizeof message)));
    rig_move(&walk->rig, walk->peer, side);
    if (failed(side->err)) {
        return side->err.code == ERR_PROTOCOL ? FATAL : HANDLED;
    }
    if (side->disconnected) {
        return DISCONNECTED;
    }
    if (side->in_taken < side->in.len) {
        return NOT_READ;
    }
    if (side->messages > messages) {
        return MESSAGE;
    }
    assert_true(state == side->transport->state || state == STATE_GUESS_DUE);
    return side->out.len > 0 ? ANSWERED : IGNORED;
}

static void walk_all(bool server, bool strict) {
    for (enum stage stage = 0; stage < STAGES_COUNT; stage++) {
        for (unsigned number = 0; number <= UINT8_MAX; number++) {
            struct walk walk CLEANUP(walk_done);
            go_to(&walk, stage, server, strict);
            enum outcome want = expected(stage, server, strict, (uint8_t)number);
            enum outcome got = try_number(&walk, (uint8_t)number);
            if (got != want) {
                print_error("server %d, strict %d, stage %d, number %u: %d, not %d\n", server,
                            strict, stage, number, got, want);
            }
            assert_int_equal(got, want);
            assert_false(walk.side->early);
        }
    }
}

static void test_server(void **state) {
    (void)state;
    walk_all(true, true);
}

static void test_server_with_old_client(void **state) {
    (void)state;
    walk_all(true, false);
}

static void test_client(void **state) {
    (void)state;
    walk_all(false, true);
}

static void test_client_with_old_server(void **state) {
    (void)state;
    walk_all(false, false);
}

/* --- attacks on the way --- */

/* KEXINIT must be first; of an old peer it need not. */
static void test_nothing_before_kexinit(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        bool strict = i % 2 == 0;
        struct walk walk CLEANUP(walk_done);
        rig_init(&walk.rig);
        struct rig_side *peer = i / 2 == 0 ? &walk.rig.client : &walk.rig.server;
        struct rig_side *side = i / 2 == 0 ? &walk.rig.server : &walk.rig.client;
        rig_start(&walk.rig);
        if (!strict) {
            rig_not_strict(&walk.rig);
        }
        struct buf out CLEANUP(buf_done) = peer->out;
        buf_init(&peer->out, RIG_BYTES_MAX);
        size_t line = strlen(peer->config.software) + strlen("SSH-2.0-\r\n");
        assert_ok(buf_add(&peer->out, span_of(out.data, line)));
        assert_ok(rig_send_now(peer, SPAN_LITERAL("\x02\0\0\0\0")));
        assert_ok(buf_add(&peer->out, span_of(out.data + line, out.len - line)));
        rig_run(&walk.rig);
        if (strict) {
            assert_fails(side->err, ERR_PROTOCOL);
        } else {
            assert_open(&walk.rig, 1);
        }
    }
}

/* The prefix of the encrypted stream is cut off: the server's EXT_INFO. */
static void test_dropped_first_packet(void **state) {
    (void)state;
    static const struct {
        const char *name, *macs;
    } ciphers[] = {{"aes128-gcm@openssh.com", NULL},
                   {"chacha20-poly1305@openssh.com", NULL},
                   {"aes256-ctr", NULL},
                   {"aes256-ctr", "hmac-sha2-256"}};
    for (size_t i = 0; i < COUNT_OF(ciphers); i++) {
        struct walk walk CLEANUP(walk_done);
        rig_init(&walk.rig);
        walk.rig.client.config.ciphers = ciphers[i].name;
        walk.rig.client.config.macs = walk.rig.server.config.macs = ciphers[i].macs;
        walk.rig.client.answers_later = true;
        rig_start(&walk.rig);
        rig_run(&walk.rig);
        struct rig_side *client = &walk.rig.client;
        size_t newkeys = 16; /* in the clear; the encrypted EXT_INFO is behind it */
        assert_true(client->in.len - client->in_taken > newkeys);
        client->in.len = client->in_taken + newkeys;
        rig_answer(client);
        rig_run(&walk.rig);
        assert_open(&walk.rig, 1);
        assert_ok(rig_send(&walk.rig, &walk.rig.server, 6, 1));
        rig_run(&walk.rig);
        assert_true(failed(client->err));
        assert_int_equal(client->messages, 0);
    }
}

/* The same, made good for with a packet that nobody signed: what Terrapin does. */
static void test_terrapin(void **state) {
    (void)state;
    struct walk walk CLEANUP(walk_done);
    rig_init(&walk.rig);
    walk.rig.server.answers_later = true;
    rig_start(&walk.rig);
    rig_run(&walk.rig);
    assert_ok(rig_send_now(&walk.rig.server, SPAN_LITERAL("\x02\0\0\0\0")));
    rig_move(&walk.rig, &walk.rig.server, &walk.rig.client);
    assert_fails(walk.rig.client.err, ERR_PROTOCOL);
    assert_int_equal(walk.rig.client.newkeys, 0);
}

/* An exchange in which a byte changes on its way to one side; none when flip is 0. */
static void run_flipped(struct rig *rig, bool to_server, size_t flip) {
    rig_init(rig);
    struct rig_side *side = to_server ? &rig->server : &rig->client;
    side->flip = flip;
    rig_start(rig);
    rig_run(rig);
}

/* Whatever bit is changed, the two never believe in different sessions. */
static void test_flipped_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig whole CLEANUP(rig_done);
        run_flipped(&whole, i == 0, 0);
        assert_open(&whole, 1);
        size_t len = i == 0 ? whole.server.given : whole.client.given;
        size_t ended = 0;
        for (size_t flip = 1; flip <= len; flip++) {
            struct rig rig CLEANUP(rig_done);
            run_flipped(&rig, i == 0, flip);
            if (rig.server.newkeys > 0 && rig.client.newkeys > 0) {
                assert_true(span_equal(transport_session_id(rig.server.transport),
                                       transport_session_id(rig.client.transport)));
            } else {
                ended++;
            }
        }
        assert_true(ended > len / 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_server_with_old_client),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_with_old_server),
        cmocka_unit_test(test_nothing_before_kexinit),
        cmocka_unit_test(test_dropped_first_packet),
        cmocka_unit_test(test_terrapin),
        cmocka_unit_test(test_flipped_bits),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
