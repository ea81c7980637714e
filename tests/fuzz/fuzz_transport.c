/*
 * A server and a client in memory. The input says what happens: honest bytes move on, whole or cut
 * or changed; either sends any payload in any state; any bytes come from outside. No message is
 * handed up before the keys are there, nobody is trusted for what the host key did not sign, and
 * the two never believe in different sessions.
 */
#include "fuzz.h"

#include "ssh/private_key.h"
#include "ssh/wire.h"
#include "transport/transport_internal.h"

enum { BYTES_MAX = 16 * 1024 * 1024, OPS_MAX = 200, HASHES_MAX = 64 };

struct side {
    struct transport_config config;
    struct transport *transport;
    uint64_t seed;
    struct buf out, in;
    size_t in_taken, out_taken;
    bool ended, has_keys, asked;
    struct buf signature;
};

struct world {
    span_t input;
    int64_t now_ms;
    struct side sides[2];                        /* by enum transport_role */
    uint8_t hashes[HASHES_MAX][EVP_MAX_MD_SIZE]; /* that the host key signed */
    size_t hashes_count;
};

static struct private_key *host_key;
static struct transport_host_key host_keys[1];

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

static span_t next_bytes(struct world *world) {
    size_t len = (size_t)next_byte(world) + 1;
    span_t bytes;
    must(wire_get_bytes(&world->input, len < world->input.len ? len : world->input.len, &bytes));
    return bytes;
}

static void world_init(struct world *world) {
    static const char *const kexes[] = {"curve25519-sha256", "ecdh-sha2-nistp256"};
    static const char *const ciphers[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                          "aes256-ctr", "aes256-gcm@openssh.com"};
    uint8_t pick = next_byte(world);
    for (size_t i = 0; i < 2; i++) {
        struct side *side = &world->sides[i];
        side->seed = i + 1;
        side->config = (struct transport_config){
            .role = (enum transport_role)i,
            .software = "fuzz",
            .kex = kexes[pick & 1],
            .ciphers = ciphers[pick >> 1 & 3],
            .macs = (pick & 16) != 0 ? "hmac-sha2-256" : NULL,
            .random = {fill, &side->seed},
            .rekey_bytes = (pick & 8) != 0 ? 3000 : 0,
            .host_keys = host_keys,
            .host_key_count = 1,
        };
        buf_init(&side->out, BYTES_MAX);
        buf_init(&side->in, BYTES_MAX);
        buf_init(&side->signature, 1024);
        must(transport_new(&side->config, 0, &side->out, &side->transport));
    }
}

static void world_done(struct world *world) {
    for (size_t i = 0; i < 2; i++) {
        transport_free(world->sides[i].transport);
        buf_done(&world->sides[i].out);
        buf_done(&world->sides[i].in);
        buf_done(&world->sides[i].signature);
    }
}

/* --- what a side tells --- */

static void sign(struct world *world, struct side *side, span_t hash) {
    if (world->hashes_count < HASHES_MAX) {
        memcpy(world->hashes[world->hashes_count++], hash.data, hash.len);
        buf_clear(&side->signature);
        must(private_key_sign(host_key, hash, RSA_SHA512, &side->signature));
        side->asked = true;
    }
}

static bool was_signed(const struct world *world, const struct exchange *exchange) {
    for (size_t i = 0; i < world->hashes_count; i++) {
        if (memcmp(world->hashes[i], exchange->hash, exchange->hash_len) == 0) {
            return true;
        }
    }
    return false;
}

static void check(struct world *world, struct side *side, const struct transport_event *event) {
    switch (event->type) {
    case TRANSPORT_SIGN:
        sign(world, side, event->data);
        break;
    case TRANSPORT_HOST_KEY:
        INVARIANT(key_equal(event->key, private_key_public(host_key)));
        INVARIANT(was_signed(world, side->transport->exchange));
        side->asked = true;
        break;
    case TRANSPORT_NEWKEYS:
        side->has_keys = true;
        break;
    case TRANSPORT_MESSAGE:
        INVARIANT(side->has_keys && event->data.len > 0);
        break;
    case TRANSPORT_DISCONNECTED:
        side->ended = true;
        break;
    case TRANSPORT_NEEDS_INPUT:
        break;
    }
    if (world->sides[0].has_keys && world->sides[1].has_keys) {
        INVARIANT(span_equal(transport_session_id(world->sides[0].transport),
                             transport_session_id(world->sides[1].transport)));
    }
}

static void take(struct world *world, struct side *side) {
    struct transport_event event = {.type = TRANSPORT_NEWKEYS};
    while (!side->ended && event.type != TRANSPORT_NEEDS_INPUT) {
        struct transport_input input = {side->in.data, side->in.len - side->in_taken};
        if (input.len > 0) {
            input.data += side->in_taken;
        }
        err_t err = transport_next(side->transport, &input, world->now_ms, &side->out, &event);
        INVARIANT(input.len <= side->in.len - side->in_taken);
        side->in_taken = side->in.len - input.len;
        if (failed(err)) {
            side->ended = true;
            INVARIANT(transport_rekey(side->transport, 0, &side->out).code == ERR_CLOSED);
        } else {
            check(world, side, &event);
        }
    }
}

/* --- what happens --- */

static void move(struct world *world, struct side *from, struct side *to, size_t len) {
    size_t rest = from->out.len - from->out_taken;
    len = len < rest ? len : rest;
    must(buf_add(&to->in, span_of(from->out.data + from->out_taken, len)));
    from->out_taken += len;
    take(world, to);
}

static void answer(struct side *side, bool well) {
    if (!side->asked || side->ended) {
        return;
    }
    side->asked = false;
    if (!well && side->signature.len > 0) {
        side->signature.data[side->signature.len - 1] ^= 1;
    }
    err_t err = side->config.role == TRANSPORT_SERVER
                    ? transport_signed(side->transport, buf_span(&side->signature), &side->out)
                    : transport_trust(side->transport, well, &side->out);
    side->ended = failed(err) || side->transport->state == STATE_CLOSED;
}

static void send_in_place(struct side *side, size_t len) {
    uint8_t *payload;
    if (transport_is_open(side->transport)) {
        must(transport_send_begin(side->transport, len, &side->out, &payload));
        memset(payload, 94, len);
        ignore_err(transport_send_end(side->transport, len / 2, 0, &side->out));
    }
}

static void honest(struct world *world) {
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 2; j++) {
            answer(&world->sides[j], true);
            move(world, &world->sides[j], &world->sides[1 - j], BYTES_MAX);
        }
    }
}

static void happen(struct world *world) {
    uint8_t pick = next_byte(world);
    struct side *side = &world->sides[pick & 1];
    struct side *peer = &world->sides[1 - (pick & 1)];
    span_t bytes;
    switch (pick / 2 % 11) {
    case 0:
        honest(world);
        break;
    case 1:
        move(world, side, peer, BYTES_MAX);
        break;
    case 2:
        move(world, side, peer, next_byte(world));
        break;
    case 3:
        answer(side, true);
        break;
    case 4:
        answer(side, (next_byte(world) & 7) != 0);
        break;
    case 5: /* a payload in the packets of its time */
        bytes = next_bytes(world);
        if (bytes.len > 0 && !side->ended) {
            ignore_err(transport_send_now(side->transport, bytes, &side->out));
        }
        break;
    case 6: /* from outside */
        must(buf_add(&side->in, next_bytes(world)));
        take(world, side);
        break;
    case 7:
        if (side->out.len > side->out_taken) {
            size_t at = next_byte(world) * (size_t)7 % (side->out.len - side->out_taken);
            side->out.data[side->out_taken + at] ^= next_byte(world);
        }
        break;
    case 8:
        ignore_err(transport_rekey(side->transport, world->now_ms, &side->out));
        break;
    case 9:
        bytes = next_bytes(world);
        if (bytes.len > 0) {
            ignore_err(transport_send(side->transport, bytes, world->now_ms, &side->out));
        }
        send_in_place(side, (size_t)next_byte(world) + 2);
        break;
    default:
        world->now_ms += (int64_t)next_byte(world) * 60 * 1000;
        take(world, side);
    }
}

/* Made once, from a seed of its own: what is signed must not differ from run to run. */
static void make_host_key(void) {
    static const uint8_t wire[] =
        "\0\0\0\x0bssh-ed25519"
        "\0\0\0\x20\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3"
        "\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a"
        "\0\0\0\x40\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69"
        "\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b"
        "\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
    span_t from = span_of(wire, sizeof wire - 1);
    must(private_key_get_wire(&from, &host_key));
    host_keys[0] = (struct transport_host_key){private_key_public(host_key), NULL};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world world CLEANUP(world_done) = {.input = span_of(data, size)};
    if (host_key == NULL) {
        make_host_key();
    }
    world_init(&world);
    for (size_t i = 0; i < OPS_MAX && world.input.len > 0; i++) {
        happen(&world);
    }
    honest(&world);
    return 0;
}
