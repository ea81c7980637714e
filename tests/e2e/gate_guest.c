#include "gate_guest.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/message.h"

/* --- randomness: of the guest's number alone (splitmix64) --- */

uint64_t guest_draw(struct guest *guest, uint64_t below) {
    uint64_t z = guest->state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return (z ^ z >> 31) % below;
}

static void choose_manner(struct guest *guest) {
    static const size_t reads[] = {100, 1000, 65536, GUEST_READ_BYTES, GUEST_READ_BYTES};
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
        guest->manner = (struct manner){.read_most = GUEST_READ_BYTES, .lanes = 1};
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
    if (guest->manner.read_most < 10000) {
        guest->manner.pause_percent = 0; /* slow enough: keep-alives must be answered in time */
    }
    if (guest->manner.doom != DOOM_POLITE) {
        guest->doom_at = guest_draw(guest, reaches[guest_draw(guest, COUNT_OF(reaches))]);
    }
}

void guest_complain(struct guest *guest, uint64_t *count, const char *format, ...) {
    struct tally *tally = &guest->crowd->tally;
    char text[sizeof tally->first];
    va_list arguments;
    ++*count;
    int len = snprintf(
        text, sizeof text, "guest %llu%s, doom %d, reads %zu: ", (unsigned long long)guest->number,
        guest->steady ? " (steady)" : "", guest->manner.doom, guest->manner.read_most);
    va_start(arguments, format);
    (void)vsnprintf(text + len, sizeof text - (size_t)len, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "%s\n", text);
    if (tally->first[0] == '\0') {
        memcpy(tally->first, text, sizeof text);
    }
}

/* --- the socket --- */

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

void guest_watch(struct guest *guest, int operation) {
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = guest};
    bool silent = guest_is_struck(guest) && guest->manner.doom == DOOM_SILENT;
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
        guest_watch(guest, EPOLL_CTL_MOD);
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
    guest_watch(guest, EPOLL_CTL_MOD);
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
    guest_watch(guest, EPOLL_CTL_MOD);
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
        doom_strike(guest);
    }
}

void guest_serve(struct guest *guest, uint32_t events) {
    if (!guest_lives(guest)) {
        return;
    }
    if (guest_is_struck(guest)) {
        doom_await_end(guest, events);
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
    guest_watch(guest, EPOLL_CTL_ADD);
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

/* No channel is open, or just slow ones: a window of a byte takes its time. */
static bool is_over(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    bool slow_only = crowd->now_ms > guest->until_ms + GUEST_PATIENCE_MS;
    for (size_t i = 0; i < GUEST_LANES_MAX; i++) {
        const struct lane *lane = &guest->lanes[i];
        int64_t silent_ms = crowd->now_ms - lane->moved_ms;
        if (lane->state == LANE_FREE) {
            continue;
        }
        if (silent_ms > GUEST_PATIENCE_MS) {
            guest_complain(guest, &crowd->tally.stuck,
                           "a channel to target %d in state %d: '%c' sent %llu of %llu, got %llu "
                           "of %llu, window %u",
                           lane->target, lane->state, lane->what == 0 ? '-' : lane->what,
                           (unsigned long long)lane->sent, (unsigned long long)lane->to_send,
                           (unsigned long long)lane->got, (unsigned long long)lane->to_get,
                           lane->window);
            return true;
        }
        if (!slow_only || silent_ms > GUEST_PATIENCE_MS / 4) {
            return false;
        }
    }
    return true;
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
        doom_strike(guest);
        return;
    }
    guest->leaving = true;
    if (is_over(guest)) {
        doom_strike(guest);
    }
}

void guest_tick(struct guest *guest) {
    struct crowd *crowd = guest->crowd;
    if (guest_is_struck(guest)) {
        doom_tick(guest);
        return;
    }
    if (guest->pause_ms != 0 && crowd->now_ms >= guest->pause_ms) {
        guest->pause_ms = 0;
        guest_watch(guest, EPOLL_CTL_MOD);
    }
    if (guest->pause_ms == 0) {
        settle(guest, act(guest));
    }
    if (guest_lives(guest) && !guest_is_struck(guest)) {
        look_at_time(guest);
    }
}
