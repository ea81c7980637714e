#include <endian.h>
#include <stdio.h>

#include "base/limits.h"
#include "gate_guest.h"

/* Byte i of the stream with a seed is pattern[(seed + i) % PATTERN_BYTES]; stress_target.py has the
 * same. A packet's worth more, so that any packet is in one piece. */
enum { PATTERN_BYTES = 65521 };
static uint8_t pattern[PATTERN_BYTES + LIMIT_PACKET_DATA_BYTES];

void crowd_pattern_init(void) {
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof pattern; i++) {
        x = x * 1103515245U + 12345U;
        pattern[i] = i < PATTERN_BYTES ? (uint8_t)(x >> 16) : pattern[i - PATTERN_BYTES];
    }
}

static const uint8_t *pattern_at(const struct lane *lane, uint64_t offset) {
    return &pattern[(lane->seed + offset) % PATTERN_BYTES];
}

/* --- what is asked of the target --- */

/* Little where a byte takes long. */
static uint64_t choose_count(struct guest *guest, const struct lane *lane) {
    static const uint64_t most[] = {2, 3000, 100000, 400000, 3000000};
    if (guest->steady) {
        return 1 + guest_draw(guest, 300000);
    }
    size_t kinds =
        lane->packet_most == 1 || lane->window < 1000 || guest->manner.read_most < 1000 ? 2
        : guest->manner.read_most < 10000 || guest->manner.pause_percent > 0            ? 3
                                                                             : COUNT_OF(most);
    return 1 + guest_draw(guest, most[guest_draw(guest, kinds)]);
}

void lane_ask(struct guest *guest, struct lane *lane) {
    /* A steady guest's channel stays, so nobody says EOF on it. */
    static const char asks[] = "ESDH";
    lane->what = asks[guest_draw(guest, guest->steady ? 3 : 4)];
    lane->seed = (uint32_t)guest_draw(guest, PATTERN_BYTES);
    lane->count = choose_count(guest, lane);
    lane->to_send = lane->what == 'D' ? 0 : lane->count;
    lane->to_get = lane->what == 'H' ? 0 : lane->what == 'S' ? 1 : lane->count;
    lane->sent = lane->got = lane->request_sent = 0;
    lane->ends = !guest->steady && (lane->what == 'H' || guest_chance(guest, 60));
    uint32_t seed = htobe32(lane->seed);
    uint64_t count = htobe64(lane->count);
    lane->request[0] = (uint8_t)lane->what;
    memcpy(lane->request + 1, &seed, sizeof seed);
    memcpy(lane->request + 5, &count, sizeof count);
    lane->moved_ms = guest->crowd->now_ms;
}

bool lane_is_done(const struct lane *lane) {
    return lane->request_sent == REQUEST_BYTES && lane->sent == lane->to_send &&
           lane->got == lane->to_get && (lane->what != 'H' || lane->got_end);
}

/* --- opening --- */

static enum lane_target choose_target(struct guest *guest) {
    uint64_t draw = guest_draw(guest, 100);
    if (guest->steady) {
        return TARGET_GOOD;
    }
    return draw < 1    ? TARGET_REFUSING
           : draw < 2  ? TARGET_SILENT
           : draw < 3  ? TARGET_UNKNOWN
           : draw < 4  ? TARGET_FORBIDDEN
           : draw < 8  ? TARGET_GREETING
           : draw < 35 ? TARGET_MAD
                       : TARGET_GOOD;
}

err_t lane_open(struct guest *guest, struct lane *lane) {
    static const uint32_t windows[] = {1, 500, 32768, 200000, 2097152};
    static const size_t packets[] = {1, 700, LIMIT_PACKET_DATA_BYTES, LIMIT_PACKET_DATA_BYTES};
    static const char *const names[] = {
        [TARGET_GOOD] = "good.example",       [TARGET_MAD] = "mad.example",
        [TARGET_REFUSING] = "refuse.example", [TARGET_SILENT] = "silent.example",
        [TARGET_UNKNOWN] = "unknown.example", [TARGET_FORBIDDEN] = "santis.example",
    };
    struct crowd *crowd = guest->crowd;
    *lane = (struct lane){.state = LANE_OPENING, .moved_ms = crowd->now_ms};
    lane->target = choose_target(guest);
    lane->window = windows[guest->steady ? 3 : guest_draw(guest, COUNT_OF(windows))];
    lane->packet_most = packets[guest->steady ? 3 : guest_draw(guest, COUNT_OF(packets))];
    lane->abandon_at =
        guest->steady || guest_chance(guest, 75) ? UINT64_MAX : guest_draw(guest, 200000);
    if (lane->target == TARGET_GREETING) {
        return client_open_session(guest->client, lane->window, crowd->now_ms, &crowd->out,
                                   &lane->id);
    }
    return client_open_direct(guest->client, names[lane->target],
                              lane->target == TARGET_FORBIDDEN ? 22 : 7000, lane->window,
                              crowd->now_ms, &crowd->out, &lane->id);
}

static err_t opened(struct guest *guest, struct lane *lane) {
    struct crowd *crowd = guest->crowd;
    lane->state = LANE_OPEN;
    lane->moved_ms = crowd->now_ms;
    crowd->tally.channels++;
    if (lane->target == TARGET_GREETING) {
        return client_channel_request(guest->client, lane->id, "shell", span_of(NULL, 0),
                                      crowd->now_ms, &crowd->out);
    }
    if (lane->target != TARGET_GOOD && lane->target != TARGET_MAD) {
        guest_complain(guest, &crowd->tally.misopened, "a channel to target %d", lane->target);
    }
    lane_ask(guest, lane);
    return OK;
}

static err_t not_opened(struct guest *guest, struct lane *lane, span_t why) {
    struct tally *tally = &guest->crowd->tally;
    /* The mad one may have reset the connection before the gate looked at it. */
    if (lane->target == TARGET_GOOD || lane->target == TARGET_GREETING) {
        guest_complain(guest, &tally->misopened, "no channel to target %d: %.*s", lane->target,
                       (int)why.len, (const char *)why.data);
    }
    tally->refused++;
    lane->state = LANE_FREE;
    return OK;
}

/* --- sending --- */

static err_t send_some(struct guest *guest, struct lane *lane, span_t data) {
    struct crowd *crowd = guest->crowd;
    size_t len = client_channel_room(guest->client, lane->id);
    len = len < data.len ? len : data.len;
    len = len < lane->packet_most ? len : lane->packet_most;
    if (len == 0) {
        return OK;
    }
    TRY(client_channel_data(guest->client, lane->id, span_of(data.data, len), crowd->now_ms,
                            &crowd->out));
    if (lane->request_sent < REQUEST_BYTES) {
        lane->request_sent += len;
    } else {
        lane->sent += len;
    }
    lane->moved_ms = guest->moved_ms = crowd->now_ms;
    return guest_flush(guest);
}

static err_t finish(struct guest *guest, struct lane *lane) {
    struct crowd *crowd = guest->crowd;
    if (lane->ends && !lane->ended) {
        lane->ended = true;
        TRY(client_channel_eof(guest->client, lane->id, crowd->now_ms, &crowd->out));
    }
    bool abandoned = lane->sent >= lane->abandon_at || lane->got >= lane->abandon_at;
    if (abandoned || (lane_is_done(lane) && !lane->ends && !guest->steady)) {
        lane->state = LANE_CLOSING;
        TRY(client_channel_close(guest->client, lane->id, crowd->now_ms, &crowd->out));
    }
    return guest_flush(guest);
}

static span_t next_to_send(const struct lane *lane) {
    if (lane->request_sent < REQUEST_BYTES) {
        return span_of(lane->request + lane->request_sent, REQUEST_BYTES - lane->request_sent);
    }
    uint64_t left = lane->to_send - lane->sent;
    return span_of(pattern_at(lane, lane->sent),
                   left < LIMIT_PACKET_DATA_BYTES ? (size_t)left : LIMIT_PACKET_DATA_BYTES);
}

err_t lane_pump(struct guest *guest, struct lane *lane) {
    if (lane->state != LANE_OPEN || lane->what == 0) {
        return OK;
    }
    for (;;) {
        span_t next = next_to_send(lane);
        if (next.len == 0 || lane->sent >= lane->abandon_at) {
            return finish(guest, lane);
        }
        if (guest->out.len > 0 || client_channel_room(guest->client, lane->id) == 0) {
            return OK;
        }
        TRY(send_some(guest, lane, next));
    }
}

/* --- what comes --- */

static err_t on_data(struct guest *guest, struct lane *lane, span_t data) {
    struct crowd *crowd = guest->crowd;
    crowd->tally.bytes += data.len;
    lane->moved_ms = guest->moved_ms = crowd->now_ms;
    if (lane->target == TARGET_GOOD) {
        const uint8_t *wanted =
            lane->what == 'S' ? (const uint8_t *)"\1" : pattern_at(lane, lane->got);
        if (lane->got + data.len > lane->to_get || memcmp(data.data, wanted, data.len) != 0) {
            guest_complain(guest, &crowd->tally.corrupt, "'%c' of %llu: wrong at %llu", lane->what,
                           (unsigned long long)lane->count, (unsigned long long)lane->got);
        }
    }
    lane->got += data.len;
    lane->owed += (uint32_t)data.len;
    if (lane->owed < (lane->window + 1) / 2) {
        return OK;
    }
    uint32_t owed = lane->owed;
    lane->owed = 0;
    return client_channel_take(guest->client, lane->id, owed, crowd->now_ms, &crowd->out);
}

/* Whoever was served well has got all of it. */
static void on_closed(struct guest *guest, struct lane *lane) {
    struct tally *tally = &guest->crowd->tally;
    bool whole =
        lane->target == TARGET_GREETING ? lane->got > 0 || lane->window < 500 : lane_is_done(lane);
    if (whole) {
        tally->transfers++;
    } else if (lane->state == LANE_OPEN && lane->target != TARGET_MAD) {
        guest_complain(guest, &tally->short_, "'%c' ended after %llu of %llu and %llu of %llu",
                       lane->what == 0 ? 'G' : lane->what, (unsigned long long)lane->sent,
                       (unsigned long long)lane->to_send, (unsigned long long)lane->got,
                       (unsigned long long)lane->to_get);
    }
    lane->state = LANE_FREE;
}

static struct lane *lane_of(struct guest *guest, channel_id id) {
    for (size_t i = 0; i < GUEST_LANES_MAX; i++) {
        if (guest->lanes[i].state != LANE_FREE && guest->lanes[i].id == id) {
            return &guest->lanes[i];
        }
    }
    return NULL;
}

err_t lane_event(struct guest *guest, const struct client_event *event) {
    struct lane *lane = lane_of(guest, event->channel);
    if (lane == NULL) {
        return FAIL(ERR_PROTOCOL);
    }
    switch (event->type) {
    case CLIENT_OPENED:
        return opened(guest, lane);
    case CLIENT_OPEN_FAILED:
        return not_opened(guest, lane, event->data);
    case CLIENT_CHANNEL_DATA:
        return on_data(guest, lane, event->data);
    case CLIENT_CHANNEL_EOF:
        lane->got_end = true;
        if (lane->target == TARGET_MAD) { /* nothing more will come; what was begun is sent */
            lane->to_get = lane->got;
            lane->ends = true;
        }
        return OK;
    case CLIENT_CHANNEL_CLOSED:
        on_closed(guest, lane);
        return OK;
    default:
        return OK;
    }
}
