/*
 * A server and a peer in memory, over a transport that works. The input is what the peer sends, any
 * payload or a spoiled proof, and what the driver answers. Nobody is proved who did not sign; no
 * channel is asked for before the driver has accepted somebody; the windows add up.
 */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"
#include "transport/server.h"
#include "transport/userauth.h"

enum {
    OUT_BYTES_MAX = 8 * 1024 * 1024,
    PAYLOAD_BYTES_MAX = 2048,
    CHANNELS_MAX = 3,
    USERS_COUNT = 2,
    IDENTITIES_COUNT = 3,
    IDENTITY_CERT = 2,
    OPS_MAX = 256,
};

static const char *const users[USERS_COUNT] = {"alice", "bob"};
static struct private_key *host_key;

/* What a user may show: two plain keys, and a certificate of the first. */
static struct identity {
    struct private_key *key;
    struct cert *cert;
} identities[IDENTITIES_COUNT];

enum shadow_state { SHADOW_FREE, SHADOW_OPENING, SHADOW_OPEN };

struct world {
    struct server *server;
    struct transport *peer;
    struct buf to_server, to_peer;
    size_t server_at, peer_at;
    span_t input;
    bool server_ended, peer_ended;
    bool is_accepted;
    enum server_event_type due; /* an AUTH_* that waits for an answer, or none */
    bool has_signed[USERS_COUNT][IDENTITIES_COUNT];
    struct {
        enum shadow_state state;
        bool is_session, has_shell;
        uint32_t window;
    } channels[CHANNELS_MAX];
};

/* Repeatable: what one input does, it does again. */
static void fill(void *context, void *out, size_t len) {
    uint64_t *seed = context;
    uint8_t *to = out;
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 6364136223846793005U + 1442695040888963407U;
        to[i] = (uint8_t)(*seed >> 56);
    }
}

static uint8_t next_byte(struct world *world) {
    uint8_t byte = 0;
    ignore_err(wire_get_u8(&world->input, &byte)); /* at the end: zeros */
    return byte;
}

static uint32_t next_number(struct world *world) {
    static const uint32_t telling[] = {
        0, 1, 2, LIMIT_PACKET_DATA_BYTES, 0x7fffffff, UINT32_MAX, UINT32_MAX - 1};
    uint8_t byte = next_byte(world);
    return byte < COUNT_OF(telling) ? telling[byte] : (uint32_t)byte * byte;
}

static span_t blob_of(const struct identity *identity) {
    return identity->cert != NULL ? buf_span(&identity->cert->blob)
                                  : key_blob(private_key_public(identity->key));
}

/* --- the peer --- */

static void send_payload(struct world *world, span_t payload) {
    if (payload.len > 0 && !world->peer_ended) {
        ignore_err(transport_send(world->peer, payload, 0, &world->to_server));
    }
}

static void send_raw(struct world *world) {
    size_t len = (size_t)next_byte(world) * 4 + 1;
    span_t payload = world->input;
    payload.len = len < payload.len ? len : payload.len;
    must(wire_get_bytes(&world->input, payload.len, &payload));
    send_payload(world, payload);
}

/* An offer or a proof, whole or with one byte changed. */
static void send_publickey(struct world *world) {
    uint8_t pick = next_byte(world);
    const char *user = users[pick & 1];
    size_t which = (pick & 16) != 0 ? IDENTITY_CERT : pick >> 1 & 1;
    const struct identity *identity = &identities[which];
    bool is_signed = (pick & 4) != 0;
    const struct userauth_algorithm *algorithm = userauth_algorithm_for(
        key_type(private_key_public(identity->key)), identity->cert != NULL, NULL);
    struct buf message CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    struct buf data CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    struct buf signature CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    must(userauth_put_publickey(&message, span_str(user), is_signed, algorithm, blob_of(identity)));
    if (is_signed) {
        must(userauth_put_signed_data(&data, transport_session_id(world->peer), span_str(user),
                                      algorithm, blob_of(identity)));
        must(private_key_sign(identity->key, buf_span(&data), RSA_SHA512, &signature));
        must(wire_put_string(&message, buf_span(&signature)));
        world->has_signed[pick & 1][which] = true;
    }
    if ((pick & 8) != 0) {
        size_t at = next_byte(world) % message.len;
        message.data[at] ^= next_byte(world);
    }
    send_payload(world, buf_span(&message));
}

/* Of any text; the form that changes one, too. */
static void send_password(struct world *world) {
    struct buf message CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    uint8_t pick = next_byte(world);
    span_t password = world->input;
    password.len = password.len < (size_t)(pick >> 2) ? password.len : (size_t)(pick >> 2);
    must(wire_put_u8(&message, 50));
    must(wire_put_text(&message, users[pick & 1]));
    must(wire_put_text(&message, "ssh-connection"));
    must(wire_put_text(&message, "password"));
    must(wire_put_bool(&message, (pick & 2) != 0));
    must(wire_put_string(&message, password));
    if ((pick & 2) != 0) {
        must(wire_put_text(&message, "another"));
    }
    send_payload(world, buf_span(&message));
}

static void send_open(struct world *world) {
    struct buf message CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    bool is_session = (next_byte(world) & 1) != 0;
    must(wire_put_u8(&message, 90));
    must(wire_put_text(&message, is_session ? "session" : "direct-tcpip"));
    must(wire_put_u32(&message, next_byte(world)));
    must(wire_put_u32(&message, next_number(world)));
    must(wire_put_u32(&message, next_number(world)));
    if (!is_session) {
        must(wire_put_text(&message, "node1"));
        must(wire_put_u32(&message, 22));
        must(wire_put_text(&message, ""));
        must(wire_put_u32(&message, 0));
    }
    send_payload(world, buf_span(&message));
}

/* A message about a channel: its number, and what may follow. */
static void send_on_channel(struct world *world) {
    static const uint8_t zeros[LIMIT_PACKET_DATA_BYTES + 2];
    static const char *const types[] = {"shell", "pty-req", "exec", "env"};
    struct buf message CLEANUP(buf_done) = BUF(2 * LIMIT_PACKET_DATA_BYTES);
    uint8_t number = (uint8_t)(91 + next_byte(world) % 10);
    must(wire_put_u8(&message, number));
    must(wire_put_u32(&message, next_byte(world) % (CHANNELS_MAX + 1)));
    if (number == 93) {
        must(wire_put_u32(&message, next_number(world)));
    } else if (number == 94 || number == 95) {
        if (number == 95) {
            must(wire_put_u32(&message, 1));
        }
        uint32_t len = next_number(world);
        must(wire_put_string(&message, span_of(zeros, len < sizeof zeros ? len : sizeof zeros)));
    } else if (number == 98) {
        uint8_t type = next_byte(world) % COUNT_OF(types);
        must(wire_put_text(&message, types[type]));
        must(wire_put_bool(&message, (next_byte(world) & 1) != 0));
        if (strcmp(types[type], "exec") == 0) {
            must(wire_put_text(&message, "exit"));
        }
    }
    send_payload(world, buf_span(&message));
}

static void send_global(struct world *world) {
    static const char *const names[] = {"hostkeys-prove-00@openssh.com",
                                        "no-more-sessions@openssh.com", "keepalive@openssh.com",
                                        "tcpip-forward"};
    struct buf message CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    uint8_t pick = next_byte(world);
    must(wire_put_u8(&message, 80));
    must(wire_put_text(&message, names[pick % COUNT_OF(names)]));
    must(wire_put_bool(&message, (pick & 4) != 0));
    if (pick % COUNT_OF(names) == 0) {
        must(wire_put_string(&message, key_blob(private_key_public(host_key))));
    }
    send_payload(world, buf_span(&message));
}

/* --- what the server tells --- */

/* Somebody signed for just this name, and for just this key or certificate. */
static bool is_proof(const struct world *world, const struct server_event *event) {
    span_t blob = event->cert != NULL ? buf_span(&event->cert->blob) : key_blob(event->key);
    for (size_t i = 0; i < USERS_COUNT * IDENTITIES_COUNT; i++) {
        size_t user = i % USERS_COUNT;
        size_t which = i / USERS_COUNT;
        if (world->has_signed[user][which] && span_equal_str(event->user, users[user]) &&
            span_equal(blob, blob_of(&identities[which]))) {
            return true;
        }
    }
    return false;
}

static void sign(struct world *world, const struct server_event *event) {
    struct buf signature CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    must(private_key_sign(host_key, event->data, RSA_SHA512, &signature));
    ignore_err(server_signed(world->server, buf_span(&signature), 0, &world->to_peer));
}

static void check_channel_event(struct world *world, const struct server_event *event) {
    channel_id id = event->channel;
    INVARIANT(world->is_accepted && id < CHANNELS_MAX);
    if (event->type == SERVER_OPEN_DIRECT || event->type == SERVER_OPEN_SESSION) {
        INVARIANT(world->channels[id].state == SHADOW_FREE);
        world->channels[id].state = SHADOW_OPENING;
        world->channels[id].is_session = event->type == SERVER_OPEN_SESSION;
        world->channels[id].has_shell = false;
        return;
    }
    INVARIANT(world->channels[id].state == SHADOW_OPEN);
    if (event->type == SERVER_CHANNEL_CLOSED) {
        world->channels[id].state = SHADOW_FREE;
    } else if (event->type == SERVER_SESSION_SHELL) {
        INVARIANT(world->channels[id].is_session && !world->channels[id].has_shell);
        world->channels[id].has_shell = true;
    } else if (event->type == SERVER_SESSION_EXEC) {
        INVARIANT(world->channels[id].is_session && !world->channels[id].has_shell);
        world->channels[id].has_shell = (next_byte(world) & 1) != 0;
        ignore_err(server_exec_answer(world->server, id, world->channels[id].has_shell, 0,
                                      &world->to_peer));
    } else if (event->type == SERVER_CHANNEL_DATA) {
        INVARIANT(event->data.len > 0 && event->data.len <= world->channels[id].window);
        world->channels[id].window -= (uint32_t)event->data.len;
        INVARIANT(server_channel_window(world->server, id) <= world->channels[id].window);
    }
}

static void take_event(struct world *world, const struct server_event *event) {
    switch (event->type) {
    case SERVER_SIGN:
        sign(world, event);
        break;
    case SERVER_AUTH_METHOD:
    case SERVER_AUTH_OFFERED:
    case SERVER_AUTH_PROVED:
    case SERVER_AUTH_PASSWORD:
        INVARIANT((event->password != NULL) == (event->type == SERVER_AUTH_PASSWORD));
        INVARIANT(event->password == NULL ||
                  (event->password->len > 0 && event->user.len > 0 && event->key == NULL));
        INVARIANT(event->type != SERVER_AUTH_PROVED || is_proof(world, event));
        INVARIANT(!world->is_accepted && world->due == SERVER_NEEDS_INPUT);
        world->due = event->type;
        break;
    case SERVER_DISCONNECTED:
        world->server_ended = true;
        break;
    case SERVER_NEEDS_INPUT:
        break;
    default:
        check_channel_event(world, event);
    }
}

static void run_server(struct world *world) {
    struct server_event event = {.type = SERVER_SIGN};
    while (!world->server_ended && event.type != SERVER_NEEDS_INPUT) {
        struct transport_input input = {world->to_server.data + world->server_at,
                                        world->to_server.len - world->server_at};
        err_t err = server_next(world->server, &input, 0, &world->to_peer, &event);
        if (failed(err)) {
            world->server_ended = true;
            INVARIANT(server_next(world->server, &input, 0, &world->to_peer, &event).code ==
                      ERR_CLOSED);
            return;
        }
        world->server_at = world->to_server.len - input.len;
        take_event(world, &event);
        INVARIANT(world->due == SERVER_NEEDS_INPUT || event.type != SERVER_NEEDS_INPUT ||
                  !server_is_authenticated(world->server));
        INVARIANT(server_is_authenticated(world->server) == world->is_accepted);
    }
}

static void run_peer(struct world *world) {
    struct transport_event event = {.type = TRANSPORT_NEWKEYS};
    while (!world->peer_ended && event.type != TRANSPORT_NEEDS_INPUT) {
        struct transport_input input = {world->to_peer.data + world->peer_at,
                                        world->to_peer.len - world->peer_at};
        if (failed(transport_next(world->peer, &input, 0, &world->to_server, &event))) {
            world->peer_ended = true;
            return;
        }
        world->peer_at = world->to_peer.len - input.len;
        world->peer_ended = event.type == TRANSPORT_DISCONNECTED;
        if (event.type == TRANSPORT_HOST_KEY) {
            must(transport_trust(world->peer, true, &world->to_server));
        }
    }
}

static void run_both(struct world *world) {
    size_t before;
    do {
        before = world->server_at + world->peer_at;
        run_server(world);
        run_peer(world);
    } while (world->server_at + world->peer_at != before);
}

/* --- the driver --- */

static void answer_auth(struct world *world) {
    bool yes = (next_byte(world) & 1) != 0;
    enum server_event_type due = world->due;
    if (due == SERVER_NEEDS_INPUT || world->server_ended) {
        return;
    }
    world->due = SERVER_NEEDS_INPUT;
    if (yes && (due == SERVER_AUTH_PROVED || due == SERVER_AUTH_PASSWORD)) {
        must(server_auth_accept(world->server, 0, &world->to_peer));
        world->is_accepted = true;
    } else if (yes && due == SERVER_AUTH_OFFERED) {
        must(server_auth_pk_ok(world->server, 0, &world->to_peer));
    } else {
        must(server_auth_banner(world->server, "no", 0, &world->to_peer));
        world->server_ended = failed(server_auth_fail(world->server, 0, &world->to_peer));
    }
}

static void answer_open(struct world *world, channel_id id) {
    uint8_t pick = next_byte(world);
    err_t err;
    if (pick == 0) {
        world->channels[id].state = SHADOW_FREE;
        err = server_open_refuse(world->server, id, OPEN_CONNECT_FAILED, "no", 0, &world->to_peer);
    } else {
        world->channels[id].state = SHADOW_OPEN;
        world->channels[id].window = pick == 1 ? UINT32_MAX : (uint32_t)pick * 1000;
        err = server_open_accept(world->server, id, world->channels[id].window, 0, &world->to_peer);
    }
    world->server_ended = failed(err);
}

static err_t send_data(struct world *world, channel_id id) {
    uint8_t *to;
    size_t room = server_channel_room(world->server, id);
    INVARIANT(room <= LIMIT_PACKET_DATA_BYTES);
    INVARIANT(room == 0 || transport_is_open(server_transport(world->server)));
    if (room == 0) {
        return OK;
    }
    TRY(server_channel_data_begin(world->server, id, room, &world->to_peer, &to));
    memset(to, 0, room);
    return server_channel_data_end(world->server, id, next_byte(world) % (room + 1), 0,
                                   &world->to_peer);
}

static err_t take(struct world *world, channel_id id) {
    uint32_t more = next_number(world);
    uint32_t most = UINT32_MAX - world->channels[id].window;
    more = more < most ? more : most;
    world->channels[id].window += more;
    return server_channel_take(world->server, id, more, 0, &world->to_peer);
}

static err_t use_channel(struct world *world, channel_id id) {
    switch (next_byte(world) % 5) {
    case 0:
        return send_data(world, id);
    case 1:
        return take(world, id);
    case 2:
        return server_channel_eof(world->server, id, 0, &world->to_peer);
    case 3:
        return server_channel_close(world->server, id, 0, &world->to_peer);
    default:
        return world->channels[id].is_session
                   ? server_channel_end(world->server, id, SPAN_LITERAL("hello\n"), 0, 0,
                                        &world->to_peer)
                   : OK;
    }
}

static void drive_channel(struct world *world) {
    channel_id id = next_byte(world) % CHANNELS_MAX;
    if (world->server_ended || world->channels[id].state == SHADOW_FREE) {
        return;
    }
    if (world->channels[id].state == SHADOW_OPENING) {
        answer_open(world, id);
    } else {
        world->server_ended = failed(use_channel(world, id));
    }
}

static void other(struct world *world) {
    uint8_t pick = next_byte(world) % 4;
    if (world->server_ended) {
        return;
    }
    if (pick == 3) {
        send_password(world);
    }
    if (pick == 0) {
        ignore_err(transport_rekey(world->peer, 0, &world->to_server));
    } else if (pick == 1) {
        ignore_err(transport_rekey(server_transport(world->server), 0, &world->to_peer));
    } else if (pick == 2 && world->is_accepted) {
        world->server_ended = failed(server_ping(world->server, 0, &world->to_peer));
    }
}

static void step(struct world *world) {
    static void (*const ops[])(struct world *) = {send_raw,        send_publickey, send_open,
                                                  send_on_channel, send_global,    answer_auth,
                                                  drive_channel,   other};
    uint8_t op = next_byte(world);
    ops[op % COUNT_OF(ops)](world);
    if ((op & 0x80) == 0) { /* else: more is sent before anybody reads */
        run_both(world);
    }
}

/* Past authentication, where most inputs want to be. */
static void log_in(struct world *world) {
    static const uint8_t script[] = {1, 4, 5, 1};
    static const uint8_t service[] = "\5\0\0\0\014ssh-userauth";
    span_t input = world->input;
    send_payload(world, span_of(service, sizeof service - 1));
    run_both(world);
    world->input = span_of(script, sizeof script);
    step(world);
    step(world);
    INVARIANT(server_is_authenticated(world->server));
    world->input = input;
}

static void make_cert(void) {
    struct buf signature CLEANUP(buf_done) = BUF(PAYLOAD_BYTES_MAX);
    struct cert *cert;
    must(cert_new(&cert));
    must(key_copy(private_key_public(identities[0].key), &cert->key));
    cert->serial = 1;
    cert->type = CERT_USER;
    cert->valid_before = CERT_FOREVER;
    must(cert_set_key_id(cert, "alice"));
    must(cert_add_principal(cert, "alice"));
    must(cert_prepare(cert, private_key_public(host_key)));
    must(private_key_sign(host_key, cert_tbs(cert), RSA_SHA512, &signature));
    must(cert_attach_signature(cert, buf_span(&signature)));
    identities[IDENTITY_CERT] = (struct identity){identities[0].key, cert};
}

static void make_keys(void) {
    if (host_key == NULL) {
        must(private_key_generate(KEY_ED25519, 256, &host_key));
        must(private_key_generate(KEY_ED25519, 256, &identities[0].key));
        must(private_key_generate(KEY_ECDSA_256, 256, &identities[1].key));
        make_cert();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    make_keys();
    uint64_t seed = 1;
    struct transport_host_key shown = {.key = private_key_public(host_key)};
    struct randomness random = {fill, &seed};
    struct server_config config = {.transport = {.role = TRANSPORT_SERVER,
                                                 .software = "S",
                                                 .kex = "curve25519-sha256",
                                                 .random = random,
                                                 .host_keys = &shown,
                                                 .host_key_count = 1},
                                   .channels_max = CHANNELS_MAX,
                                   .auth_tries_max = 3,
                                   .takes_passwords = true,
                                   .takes_commands = true};
    struct transport_config peer_config = {
        .role = TRANSPORT_CLIENT, .software = "C", .kex = "curve25519-sha256", .random = random};
    struct world world = {.to_server = BUF(OUT_BYTES_MAX),
                          .to_peer = BUF(OUT_BYTES_MAX),
                          .input = span_of(data, size)};
    must(server_new(&config, 0, &world.to_peer, &world.server));
    must(transport_new(&peer_config, 0, &world.to_server, &world.peer));
    run_both(&world);
    INVARIANT(transport_is_open(world.peer));
    if ((next_byte(&world) & 1) != 0) {
        log_in(&world);
    }
    for (int i = 0; i < OPS_MAX && world.input.len > 0; i++) {
        step(&world);
    }
    server_free(world.server);
    transport_free(world.peer);
    buf_done(&world.to_server);
    buf_done(&world.to_peer);
    return 0;
}
