/* The end of a guest. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/random.h"
#include "gate_guest.h"
#include "transport/message.h"

enum { SILENCE_MS = 16 * 1000 }; /* then a silent guest looks whether the gate has ended it */

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

void doom_strike(struct guest *guest) {
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
        ignore_err(guest_flush(guest));
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
    guest_watch(guest, EPOLL_CTL_MOD);
}

void doom_await_end(struct guest *guest, uint32_t events) {
    uint8_t *room;
    struct buf *in = &guest->crowd->in;
    bool fails = (events & EPOLLOUT) != 0 && failed(guest_flush(guest));
    buf_clear(in);
    INVARIANT(!failed(buf_extend(in, GUEST_READ_BYTES, &room)));
    ssize_t got = recv(guest->fd, room, GUEST_READ_BYTES, 0);
    if (fails || got == 0 || (got < 0 && errno != EAGAIN)) {
        guest_end(guest);
    }
}

void doom_tick(struct guest *guest) {
    int64_t since_ms = guest->crowd->now_ms - guest->struck_ms;
    if (guest->manner.doom == DOOM_SILENT && since_ms > SILENCE_MS) {
        doom_await_end(guest, 0);
    }
    if (guest_lives(guest) && since_ms > GUEST_PATIENCE_MS) {
        guest_complain(guest, &guest->crowd->tally.stuck, "the gate has not ended it");
        guest_end(guest);
    }
}
