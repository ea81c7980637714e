#include "gate_guest.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "transport/message.h"

enum {
    READ_BYTES = 256 * 1024,
    PATIENCE_MS = 40 * 1000, /* for what must end; a busy machine is slow */
    SILENCE_MS = 16 * 1000,  /* after which a silent guest looks whether the gate has ended it */
};

/* --- randomness: of the guest's number alone (splitmix64) --- */

uint64_t guest_draw(struct guest *guest, uint64_t below) {
    uint64_t z = guest->state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return (z ^ z >> 31) % below;
}

static void choose_manner(struct guest *guest) {
    static const size_t reads[] = {16, 1000, 65536, READ_BYTES, READ_BYTES};
    static const uint64_t reaches[] = {40, 5000, 20000, 300000, 4000000, 16000000};
    static const enum doom dooms[] = {DOOM_POLITE,  DOOM_POLITE, DOOM_POLITE, DOOM_RESET,
                                      DOOM_RESET,   DOOM_RESET,  DOOM_CLOSE,  DOOM_HALF,
                                      DOOM_GARBAGE, DOOM_BREAK,  DOOM_SILENT, DOOM_DISCONNECT};
    static const char *const kex[] = {"mlkem768x25519-sha256", "curve25519-sha256",
                                      "curve25519-sha256", "ecdh-sha2-nistp256"};
    static const char *const ciphers[] = {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
                                          "chacha20-poly1305@openssh.com", "aes256-ctr"};
    guest->config.transport.kex = kex[guest_draw(guest, COUNT_OF(kex))];
    guest->config.transport.ciphers = ciphers[guest_draw(guest, COUNT_OF(ciphers))];
    guest->doom_at = UINT64_MAX;
    if (guest->steady) {
        guest->manner = (struct manner){.read_most = READ_BYTES, .lanes = 1};
        return;
    }
    guest->manner = (struct manner){
        .doom = dooms[guest_draw(guest, COUNT_OF(dooms))],
        .read_most = reads[guest_draw(guest, COUNT_OF(reads))],
        .pause_percent = guest_chance(guest, 25) ? 10 : 0,
        .small_buffer = guest_chance(guest, 25),
        .rekey_percent = guest_chance(guest, 30) ? 5 : 0,
        .noise_percent = guest_chance(guest, 30) ? 10 : 0,
        .dies_in_rekey = guest_chance(guest, 20),
        .lanes = 1 + (size_t)guest_draw(guest, GUEST_LANES_MAX),
        .lives_ms = 100 + (int64_t)guest_draw(guest, 5000),
    };
    if (guest->manner.doom != DOOM_POLITE) {
        guest->doom_at = guest_draw(guest, reaches[guest_draw(guest, COUNT_OF(reaches))]);
    }
}

void guest_complain(struct guest *guest, uint64_t *count, const char *format, ...) {
    char *first = guest->crowd->tally.first;
    size_t size = sizeof guest->crowd->tally.first;
    ++*count;
    if (first[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int len = snprintf(first, size, "guest %llu%s, doom %d: ", (unsigned long long)guest->number,
                       guest->steady ? " (steady)" : "", guest->manner.doom);
    (void)vsnprintf(first + len, size - (size_t)len, format, arguments);
    va_end(arguments);
}

/* --- the socket --- */

static bool is_struck(const struct guest *guest) { return guest->struck_ms != 0; }

void guest_end(struct guest *guest) {
    if (guest->fd >= 0) {
        (void)close(guest->fd);
        guest->fd = -1;
    }
    client_freep(&guest->client);
    guest->client = NULL;
    buf_done(&guest->in);
    buf_done(&guest->out);
}

static void watch(struct guest *guest, int operation) {
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = guest};
    bool silent = is_struck(guest) && guest->manner.doom == DOOM_SILENT;
    if (guest->pause_ms == 0 && !silent) {
        event.events |= EPOLLIN;
    } else {
        event.events = 0; /* it does not look, so it does not see an end either */
    }
    if (!silent && (guest->out.len > 0 || guest->client == NULL)) {
        event.events |= EPOLLOUT;
    }
    INVARIANT(epoll_ctl(guest->crowd->epoll, operation, guest->fd, &event) == 0);
}

/* How many of so many bytes may be moved until doom strikes. */
static size_t within_life(const struct guest *guest, size_t len) {
    uint64_t left = guest->doom_at > guest->moved ? guest->doom_at - guest->moved : 0;
    return len < left ? len : (size_t)left;
}

err_t guest_flush(struct guest *guest) {
    struct buf *fresh = &guest->crowd->out;
    size_t waited = guest->out.len;
    TRY(buf_add(&guest->out, buf_span(fresh)));
    buf_clear(fresh);
    size_t len = within_life(guest, guest->out.len);
    if (len > 0) {
        ssize_t sent = send(guest->fd, guest->out.data, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return FAIL(ERR_CLOSED);
        }
        size_t done = sent > 0 ? (size_t)sent : 0;
        guest->moved += done;
        memmove(guest->out.data, guest->out.data + done, guest->out.len - done);
        guest->out.len -= done;
    }
    if ((guest->out.len > 0) != (waited > 0)) {
        watch(guest, EPOLL_CTL_MOD);
    }
    return OK;
}

/* --- events --- */

static err_t on_event(struct guest *guest, const struct client_event *event) {
    struct crowd *crowd = guest->crowd;
    switch (event->type) {
    case CLIENT_HOST_KEY:
        return client_trust(guest->client, true, crowd->now_ms, &crowd->out);
    case CLIENT_AUTHENTICATED:
        guest->authenticated = true;
        guest->moved_ms = crowd->now_ms;
        crowd->tally.logins++;
        return OK;
    case CLIENT_OPENED:
    case CLIENT_OPEN_FAILED:
    case CLIENT_CHANNEL_DATA:
    case CLIENT_CHANNEL_EOF:
    case CLIENT_CHANNEL_CLOSED:
        return lane_event(guest, event);
    case CLIENT_REFUSED:
    case CLIENT_DISCONNECTED:
        guest_complain(guest, &crowd->tally.dropped, "the gate says %.*s", (int)event->data.len,
                       (const char *)event->data.data);
        return FAIL(ERR_REFUSED);
    default:
        return OK;
    }
}

static err_t consume(struct guest *guest, struct transport_input *input) {
    struct crowd *crowd = guest->crowd;
    struct client_event event;
    do {
        event = (struct client_event){0};
        TRY(client_next(guest->client, input, crowd->now_ms, &crowd->out, &event));
        TRY(on_event(guest, &event));
    } while (event.type != CLIENT_NEEDS_INPUT);
    return OK;
}

static void pause_reading(struct guest *guest) {
    guest->pause_ms = guest->crowd->now_ms + 1 + (int64_t)guest_draw(guest, 1500);
    watch(guest, EPOLL_CTL_MOD);
}

/* Reads behind what was left of the last time. */
static err_t receive(struct guest *guest) {
    struct buf *in = &guest->crowd->in;
    uint8_t *room;
    size_t most = within_life(guest, guest->manner.read_most);
    if (most == 0) {
        return OK;
    }
    buf_clear(in);
    TRY(buf_add(in, buf_span(&guest->in)));
    size_t kept = in->len;
    TRY(buf_extend(in, most, &room));
    ssize_t got = recv(guest->fd, room, most, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        return FAIL(ERR_CLOSED);
    }
    in->len = kept + (got > 0 ? (size_t)got : 0);
    guest->moved += in->len - kept;
    struct transport_input input = {.data = in->data, .len = in->len};
    TRY(consume(guest, &input));
    buf_clear(&guest->in);
    TRY(buf_add(&guest->in, span_of(input.data, input.len)));
    if (guest->authenticated && guest_chance(guest, guest->manner.pause_percent)) {
        pause_reading(guest);
    }
    return guest_flush(guest);
}

static err_t greet(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    int error = 0;
    socklen_t len = sizeof error;
    (void)getsockopt(guest->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        return FAIL(ERR_CONNECT);
    }
    TRY(client_new(&guest->config, crowd->now_ms, &crowd->out, &guest->client));
    watch(guest, EPOLL_CTL_MOD);
    return guest_flush(guest);
}

static err_t pump(struct guest *guest) {
    for (size_t i = 0; guest->authenticated && i < GUEST_LANES_MAX; i++) {
        TRY(lane_pump(guest, &guest->lanes[i]));
    }
    return OK;
}

static err_t step(struct guest *guest, uint32_t events) {
    if (guest->client == NULL) {
        return greet(guest);
    }
    if ((events & EPOLLOUT) != 0) {
        TRY(guest_flush(guest));
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        TRY(receive(guest));
    }
    return pump(guest);
}

/* --- doom --- */

static void reset(struct guest *guest) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(guest->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    guest_end(guest);
}

static err_t send_garbage(struct guest *guest) {
    uint8_t bytes[5000];
    random_bytes(bytes, sizeof bytes);
    buf_clear(&guest->out);
    return buf_add(&guest->crowd->out, span_of(bytes, 1 + guest_draw(guest, sizeof bytes)));
}

static err_t break_protocol(struct guest *guest) {
    /* SERVICE_ACCEPT from a client; data and EOF for a channel that is not; KEX_INIT. */
    static const uint8_t messages[][13] = {
        {6}, {94, 0, 0, 3, 231, 0, 0, 0, 4, 1, 2, 3, 4}, {96, 0, 0, 3, 231}, {MSG_KEX_INIT}};
    struct crowd *crowd = guest->crowd;
    if (guest->client == NULL || !transport_is_open(client_transport(guest->client))) {
        return send_garbage(guest);
    }
    size_t which = (size_t)guest_draw(guest, COUNT_OF(messages));
    return transport_send(client_transport(guest->client),
                          span_of(messages[which], sizeof messages[which]), crowd->now_ms,
                          &crowd->out);
}

/* The moment has come. Some are gone at once, the others wait for the gate to end it. */
static void strike(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    guest->struck_ms = crowd->now_ms;
    guest->doom_at = UINT64_MAX;
    guest->pause_ms = 0;
    buf_clear(&crowd->out);
    err_t err = OK;
    switch (guest->manner.doom) {
    case DOOM_RESET:
        reset(guest);
        return;
    case DOOM_CLOSE:
        guest_end(guest);
        return;
    case DOOM_POLITE:
    case DOOM_DISCONNECT:
        if (guest->client != NULL) {
            transport_disconnect(client_transport(guest->client), DISCONNECT_BY_APPLICATION, "",
                                 &crowd->out);
        }
        err = guest_flush(guest);
        guest_end(guest);
        return;
    case DOOM_HALF:
        (void)shutdown(guest->fd, SHUT_WR);
        break;
    case DOOM_GARBAGE:
        err = send_garbage(guest);
        break;
    case DOOM_BREAK:
        err = break_protocol(guest);
        break;
    case DOOM_SILENT:
    case DOOMS_COUNT:
        break;
    }
    err = failed(err) || guest->manner.doom == DOOM_HALF ? err : guest_flush(guest);
    if (failed(err)) {
        guest_end(guest);
        return;
    }
    watch(guest, EPOLL_CTL_MOD);
}

/* What the gate still says is of no interest, but its end is. */
static void await_end(struct guest *guest, uint32_t events) {
    uint8_t *room;
    struct buf *in = &guest->crowd->in;
    bool fails = (events & EPOLLOUT) != 0 && failed(guest_flush(guest));
    buf_clear(in);
    INVARIANT(!failed(buf_extend(in, READ_BYTES, &room)));
    ssize_t got = recv(guest->fd, room, READ_BYTES, 0);
    if (fails || got == 0 || (got < 0 && errno != EAGAIN)) {
        guest_end(guest);
    }
}

/* --- a turn --- */

static void settle(struct guest *guest, err_t err) {
    struct crowd *crowd = guest->crowd;
    buf_clear(&crowd->out);
    if (failed(err)) {
        if (err.code != ERR_REFUSED) { /* which has been told */
            guest_complain(guest, &crowd->tally.dropped, "%s after %llu bytes", err_text(err),
                           (unsigned long long)guest->moved);
        }
        guest_end(guest);
    } else if (guest->moved >= guest->doom_at) {
        strike(guest);
    }
}

void guest_serve(struct guest *guest, uint32_t events) {
    if (!guest_lives(guest)) {
        return;
    }
    if (is_struck(guest)) {
        await_end(guest, events);
    } else {
        settle(guest, step(guest, events));
    }
}

void guest_begin(struct guest *guest, struct crowd *crowd, uint64_t number, bool steady) {
    int on = 1, small = 4096;
    *guest = (struct guest){.crowd = crowd, .number = number, .steady = steady};
    guest->state = crowd->seed ^ number * 0xd1342543de82ef95U;
    buf_init(&guest->in, SIZE_MAX);
    buf_init(&guest->out, SIZE_MAX);
    guest->config = crowd->client;
    choose_manner(guest);
    guest->until_ms = crowd->now_ms + guest->manner.lives_ms;
    guest->moved_ms = crowd->now_ms;
    guest->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    INVARIANT(guest->fd >= 0);
    (void)setsockopt(guest->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (guest->manner.small_buffer) {
        (void)setsockopt(guest->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    crowd->tally.begun++;
    if (connect(guest->fd, (struct sockaddr *)&crowd->gate, sizeof crowd->gate) != 0 &&
        errno != EINPROGRESS) {
        guest_complain(guest, &crowd->tally.dropped, "connect: %s", strerror(errno));
        guest_end(guest);
        return;
    }
    watch(guest, EPOLL_CTL_ADD);
}

/* --- in each tick --- */

static err_t rekey(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    crowd->tally.rekeys++;
    TRY(transport_rekey(client_transport(guest->client), crowd->now_ms, &crowd->out));
    if (guest->manner.dies_in_rekey && guest->manner.doom != DOOM_POLITE) {
        guest->doom_at = guest->moved + guest_draw(guest, 4000);
    }
    return OK;
}

/* What a client may send and seldom does. */
static err_t make_noise(struct guest *guest) {
    static const uint8_t numbers[] = {MSG_IGNORE, MSG_PING, 200};
    struct crowd *crowd = guest->crowd;
    struct buf message CLEANUP(buf_done) = BUF(512 * 1024);
    uint8_t *text;
    if (guest_chance(guest, 20)) {
        return client_global_request(guest->client, "keepalive@openssh.com", true, span_of(NULL, 0),
                                     crowd->now_ms, &crowd->out);
    }
    uint8_t number = numbers[guest_draw(guest, COUNT_OF(numbers))];
    uint32_t len =
        (uint32_t)guest_draw(guest, number != MSG_PING && guest_chance(guest, 20) ? 200000 : 1000);
    const uint8_t head[] = {number, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                            (uint8_t)len};
    TRY(buf_add(&message, span_of(head, sizeof head)));
    TRY(buf_extend(&message, len, &text));
    memset(text, 'x', len);
    return transport_send(client_transport(guest->client), buf_span(&message), crowd->now_ms,
                          &crowd->out);
}

static err_t use_lanes(struct guest *guest) {
    for (size_t i = 0; i < guest->manner.lanes; i++) {
        struct lane *lane = &guest->lanes[i];
        if (lane->state == LANE_FREE && !guest->leaving && guest_chance(guest, 30)) {
            TRY(lane_open(guest, lane));
        } else if (guest->steady && lane->state == LANE_OPEN && lane_is_done(lane) &&
                   guest_chance(guest, 20)) {
            guest->crowd->tally.transfers++;
            lane_ask(guest, lane);
        }
    }
    TRY(guest_flush(guest));
    return pump(guest);
}

static err_t act(struct guest *guest) {
    if (!guest->authenticated || guest->out.len > 0 ||
        !transport_is_open(client_transport(guest->client))) {
        return OK;
    }
    TRY(use_lanes(guest));
    if (guest_chance(guest, guest->manner.noise_percent) &&
        transport_is_open(client_transport(guest->client))) {
        TRY(make_noise(guest));
    }
    if (guest_chance(guest, guest->manner.rekey_percent)) {
        TRY(rekey(guest));
    }
    return guest_flush(guest);
}

/* Whoever did not end when it should have. */
static void look_at_struck(struct guest *guest) {
    int64_t since_ms = guest->crowd->now_ms - guest->struck_ms;
    if (guest->manner.doom == DOOM_SILENT && since_ms > SILENCE_MS) {
        await_end(guest, 0);
    }
    if (guest_lives(guest) && since_ms > PATIENCE_MS) {
        guest_complain(guest, &guest->crowd->tally.stuck, "the gate has not ended it");
        guest_end(guest);
    }
}

static size_t lanes_used(const struct guest *guest) {
    size_t count = 0;
    for (size_t i = 0; i < GUEST_LANES_MAX; i++) {
        count += guest->lanes[i].state != LANE_FREE;
    }
    return count;
}

static void look_at_time(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    if (guest->steady) {
        int64_t gap_ms = crowd->now_ms - guest->moved_ms;
        guest->longest_ms = gap_ms > guest->longest_ms ? gap_ms : guest->longest_ms;
        return;
    }
    if (crowd->now_ms < guest->until_ms) {
        return;
    }
    if (guest->manner.doom != DOOM_POLITE) {
        strike(guest);
        return;
    }
    guest->leaving = true;
    if (lanes_used(guest) == 0) {
        strike(guest);
    } else if (crowd->now_ms >= guest->until_ms + PATIENCE_MS) {
        const struct lane *lane = guest->lanes;
        while (lane->state == LANE_FREE) {
            lane++;
        }
        guest_complain(guest, &crowd->tally.stuck,
                       "a channel to target %d in state %d: '%c', sent %llu of %llu, got %llu of "
                       "%llu",
                       lane->target, lane->state, lane->what == 0 ? '-' : lane->what,
                       (unsigned long long)lane->sent, (unsigned long long)lane->to_send,
                       (unsigned long long)lane->got, (unsigned long long)lane->to_get);
        guest_end(guest);
    }
}

void guest_tick(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    if (is_struck(guest)) {
        look_at_struck(guest);
        return;
    }
    if (guest->pause_ms != 0 && crowd->now_ms >= guest->pause_ms) {
        guest->pause_ms = 0;
        watch(guest, EPOLL_CTL_MOD);
    }
    if (guest->pause_ms == 0) {
        settle(guest, act(guest));
    }
    if (guest_lives(guest) && !is_struck(guest)) {
        look_at_time(guest);
    }
}
