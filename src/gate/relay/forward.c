#include "gate/relay/relay.h"

#include <unistd.h>

enum { PARTED_MS = 30 * 1000 };

/* --- life --- */

static err_t reserve_number(struct relay_session *session, channel_id id) {
    if (id < session->channel_slots) {
        return OK;
    }
    size_t slots = session->channel_slots == 0 ? 2 : 2 * session->channel_slots;
    slots = slots <= id ? id + (size_t)1 : slots;
    struct forward **grown = realloc(session->channels, slots * sizeof(struct forward *));
    if (grown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memset(grown + session->channel_slots, 0,
           (slots - session->channel_slots) * sizeof(struct forward *));
    session->channels = grown;
    session->channel_slots = slots;
    return OK;
}

err_t forward_new(struct relay_session *session, channel_id id, struct forward **out) {
    TRY(reserve_number(session, id));
    struct forward *forward = calloc(1, sizeof *forward);
    if (forward == NULL) {
        return FAIL(ERR_MEMORY);
    }
    forward->source = (struct poller_source){.fd = -1, .kind = SOURCE_TARGET};
    forward->session = session;
    forward->id = id;
    forward->began_ms = session->worker->now_ms;
    INVARIANT(session->channels[id] == NULL);
    session->channels[id] = forward;
    session->channel_count++;
    *out = forward;
    return OK;
}

static void deactivate(struct forward *forward) {
    if (forward->is_active) {
        forward->is_active = false;
        TAILQ_REMOVE(&forward->session->active, forward, of_active);
    }
}

void forward_activate(struct forward *forward) {
    struct relay_session *session = forward->session;
    if (!forward->is_active) {
        forward->is_active = true;
        TAILQ_INSERT_TAIL(&session->active, forward, of_active);
    }
    session->drain_due = true;
    session_schedule(session);
}

/* It has nothing to do with its target any more. */
static void let_go(struct forward *forward, const char *why) {
    struct relay_session *session = forward->session;
    struct relay_worker *worker = session->worker;
    deactivate(forward);
    if (worker->gather.forward == forward) {
        worker->gather.forward = NULL;
    }
    if (forward->state == FORWARD_RESOLVING) {
        ask_name_forget(forward);
    }
    if (forward->source.fd >= 0) {
        (void)close(forward->source.fd); /* which takes it out of epoll as well */
        forward->source.fd = -1;
    }
    if (forward->window.size > 0) {
        window_close(&forward->window, &session->budget);
    }
    enrol_forget(forward);
    if (forward->counted) {
        forward->counted = false;
        COUNT(worker, channels, -1);
        tell_later(forward->session);
        record_channel_closed(forward, why);
    }
}

void forward_drop(struct forward *forward, const char *why) {
    struct relay_session *session = forward->session;
    let_go(forward, why);
    if (forward->state == FORWARD_PARTED) {
        TAILQ_REMOVE(&session->parted, forward, of_parted);
    } else {
        session->channels[forward->id] = NULL;
        session->channel_count--;
    }
    free(forward->opening);
    free(forward->host);
    free(forward->cluster);
    free(forward->entry);
    free(forward);
}

void forward_drop_all(struct relay_session *session, const char *why) {
    for (size_t i = 0; i < session->channel_slots; i++) {
        if (session->channels[i] != NULL) {
            forward_drop(session->channels[i], why);
        }
    }
    while (!TAILQ_EMPTY(&session->parted)) {
        forward_drop(TAILQ_FIRST(&session->parted), why);
    }
}

err_t forward_close(struct forward *forward, const char *why) {
    struct relay_session *session = forward->session;
    let_go(forward, why);
    forward->state = FORWARD_CLOSED;
    return server_channel_close(session->server, forward->id, session->worker->now_ms,
                                &session->worker->output);
}

/* --- to the target --- */

/* The target took so many bytes, or they were dropped for it. */
static err_t took(struct forward *forward, size_t bytes) {
    struct relay_session *session = forward->session;
    uint32_t give =
        window_drained(&forward->window, &session->budget, (uint32_t)bytes, forward->held.len == 0);
    if (give == 0 || forward->client_ended || forward->state != FORWARD_OPEN) {
        return OK;
    }
    return server_channel_take(session->server, forward->id, give, session->worker->now_ms,
                               &session->worker->output);
}

/* Once each side has said its last, or the target cannot be spoken to. */
static err_t close_if_over(struct forward *forward) {
    if (forward->state != FORWARD_OPEN || !forward->target_ended) {
        return OK;
    }
    if (forward->deaf) {
        return forward_close(forward, "target_closed");
    }
    return forward->client_ended && forward->finished ? forward_close(forward, "done") : OK;
}

/* The target takes nothing any more; what it still has to say is read on. */
static err_t deafen(struct forward *forward) {
    size_t dropped = forward->held.len;
    held_done(&forward->held, &forward->session->worker->held_bytes);
    forward->deaf = forward->finished = true;
    TRY(took(forward, dropped));
    return close_if_over(forward);
}

/* All that came for the target is written: pass the client's EOF on. */
static err_t finish_if_drained(struct forward *forward) {
    if (!forward->client_ended || forward->finished || forward->held.len > 0) {
        return OK;
    }
    forward->finished = true;
    socket_finish(forward->source.fd);
    return close_if_over(forward);
}

static err_t drain(struct forward *forward) {
    if (forward->held.len > 0 && forward->source.writable) {
        span_t held = held_span(&forward->held);
        struct iovec part = {(void *)(uintptr_t)held.data, held.len};
        size_t count;
        enum socket_result result = socket_write(forward->source.fd, &part, 1, &count);
        forward->source.writable = count == held.len;
        held_drop(&forward->held, count, &forward->session->worker->held_bytes);
        TRY(took(forward, count));
        if (result == SOCKET_BROKEN) {
            return deafen(forward);
        }
    }
    return finish_if_drained(forward);
}

/* What the socket did not take of the gathered parts. */
static err_t hold_rest(struct forward *forward, const struct gather *gather, size_t written) {
    size_t *total = &forward->session->worker->held_bytes;
    for (size_t i = 0; i < gather->count; i++) {
        size_t len = gather->parts[i].iov_len;
        size_t done = written < len ? written : len;
        const uint8_t *bytes = gather->parts[i].iov_base;
        TRY(held_add(&forward->held, span_of(bytes + done, len - done), total));
        written -= done;
    }
    return OK;
}

err_t forward_flush(struct relay_worker *worker) {
    struct gather *gather = &worker->gather;
    struct forward *forward = TAKE(gather->forward);
    if (forward == NULL) {
        return OK;
    }
    size_t count = 0;
    if (forward->held.len == 0 && forward->source.writable) {
        enum socket_result result =
            socket_write(forward->source.fd, gather->parts, gather->count, &count);
        forward->source.writable = count == gather->bytes;
        if (result == SOCKET_BROKEN) {
            TRY(took(forward, gather->bytes));
            return deafen(forward);
        }
    }
    TRY(hold_rest(forward, gather, count));
    return count == 0 ? OK : took(forward, count);
}

static err_t add_data(struct forward *forward, span_t data) {
    struct relay_worker *worker = forward->session->worker;
    struct gather *gather = &worker->gather;
    forward->bytes_in += data.len;
    if (forward->deaf) {
        return took(forward, data.len);
    }
    if (gather->forward != forward || gather->count == RELAY_GATHER_COUNT) {
        TRY(forward_flush(worker));
        if (forward->state != FORWARD_OPEN || forward->deaf) {
            return forward->deaf && forward->state == FORWARD_OPEN ? took(forward, data.len) : OK;
        }
        gather->forward = forward;
        gather->count = gather->bytes = 0;
    }
    gather->parts[gather->count++] = (struct iovec){(void *)(uintptr_t)data.data, data.len};
    gather->bytes += data.len;
    return OK;
}

/* --- from the target --- */

bool forward_may_speak(const struct relay_session *session) {
    return session->output.len == 0 && transport_is_open(server_transport(session->server));
}

static err_t pass_end(struct forward *forward) {
    struct relay_session *session = forward->session;
    forward->target_ended = true;
    TRY(server_channel_eof(session->server, forward->id, session->worker->now_ms,
                           &session->worker->output));
    return close_if_over(forward);
}

/* One packet, read into the place where it is encrypted and sent from. */
static err_t read_target(struct forward *forward, bool *again) {
    struct relay_session *session = forward->session;
    struct relay_worker *worker = session->worker;
    size_t room = server_channel_room(session->server, forward->id);
    if (room == 0) {
        return OK; /* SERVER_CHANNEL_WINDOW tells when there is some */
    }
    size_t most = room < RELAY_PACKET_BYTES ? room : RELAY_PACKET_BYTES;
    uint8_t *data;
    size_t count;
    TRY(server_channel_data_begin(session->server, forward->id, most, &worker->output, &data));
    enum socket_result result = socket_read(forward->source.fd, data, most, &count);
    TRY(server_channel_data_end(session->server, forward->id, count, worker->now_ms,
                                &worker->output));
    if (forward->quick > 0 && count > 0) {
        forward->quick--;
        socket_quickack(forward->source.fd);
    }
    forward->bytes_out += count;
    forward->source.readable = result == SOCKET_DONE && (count == most || forward->source.ended);
    *again = forward->source.readable;
    switch (result) {
    case SOCKET_DONE:
    case SOCKET_BLOCKED:
        return OK;
    case SOCKET_ENDED:
        return pass_end(forward);
    case SOCKET_BROKEN:
        return forward_close(forward, "target_reset");
    }
    return OK;
}

/* --- turns --- */

/* The client is gone from this channel; what it sent still goes to the target. */
static void step_parted(struct forward *forward) {
    ignore_err(drain(forward)); /* it speaks to nobody, so nothing fails */
    if (forward->finished) {
        forward_drop(forward, "done");
    }
}

/* *again: it may have more to move at once, or as soon as the client can be spoken to. */
static err_t step(struct forward *forward, bool may_speak, bool *again) {
    switch (forward->state) {
    case FORWARD_CONNECTING:
        TRY(open_step(forward));
        *again = false;
        return OK;
    case FORWARD_PARTED:
        step_parted(forward);
        return OK;
    case FORWARD_OPEN:
        break;
    case FORWARD_RESOLVING:
    case FORWARD_CLOSED:
    case FORWARD_GREETING:
    case FORWARD_KEYS:
        return OK;
    }
    TRY(drain(forward));
    if (forward->state != FORWARD_OPEN || forward->target_ended || !forward->source.readable) {
        return OK;
    }
    if (!may_speak) {
        *again = true;
        return OK;
    }
    return read_target(forward, again);
}

/* The first of the list has its step, and goes to the end when it wants more. */
static err_t step_first(struct relay_session *session, bool may_speak) {
    struct forward *forward = TAILQ_FIRST(&session->active);
    deactivate(forward);
    bool again = false;
    TRY(step(forward, may_speak, &again));
    if (again) {
        forward->is_active = true;
        TAILQ_INSERT_TAIL(&session->active, forward, of_active);
    }
    return OK;
}

err_t forward_run(struct relay_session *session) {
    const struct buf *output = &session->worker->output;
    session->drain_due = false;
    if (!forward_may_speak(session)) {
        size_t count = 0;
        const struct forward *each;
        TAILQ_FOREACH(each, &session->active, of_active) { count++; }
        for (; count > 0 && !TAILQ_EMPTY(&session->active); count--) {
            TRY(step_first(session, false));
        }
        return OK;
    }
    /* A packet may be the one after which keys are exchanged. */
    while (!TAILQ_EMPTY(&session->active) && output->len < RELAY_TURN_BYTES &&
           transport_is_open(server_transport(session->server))) {
        TRY(step_first(session, true));
    }
    return OK;
}

/* --- what the client says --- */

/* Both sides have closed, and the number is the server's again: nothing may be said on it, not even
 * that the target takes what was gathered just before. */
static err_t part(struct forward *forward) {
    struct relay_session *session = forward->session;
    if (forward->state != FORWARD_OPEN) {
        forward_drop(forward, "client_closed");
        return OK;
    }
    session->channels[forward->id] = NULL;
    session->channel_count--;
    forward->state = FORWARD_PARTED;
    forward->client_ended = true;
    forward->deadline_ms = session->worker->now_ms + PARTED_MS;
    TAILQ_INSERT_TAIL(&session->parted, forward, of_parted);
    TRY(forward_flush(session->worker));
    if (forward->held.len == 0) {
        forward_drop(forward, "client_closed");
    } else {
        forward_activate(forward);
    }
    return OK;
}

err_t forward_event(struct relay_session *session, const struct server_event *event) {
    struct forward *forward = session->channels[event->channel];
    INVARIANT(forward != NULL);
    if (event->type == SERVER_CHANNEL_CLOSED) {
        return part(forward);
    }
    if (event->type != SERVER_CHANNEL_DATA) {
        TRY(forward_flush(session->worker));
    }
    switch (event->type) {
    case SERVER_CHANNEL_DATA:
        return forward->state == FORWARD_OPEN   ? add_data(forward, event->data)
               : forward->state == FORWARD_KEYS ? enrol_data(forward, event->data)
                                                : OK;
    case SERVER_CHANNEL_WINDOW:
        if (forward->state == FORWARD_OPEN && forward->source.readable) {
            forward_activate(forward);
        }
        return OK;
    case SERVER_CHANNEL_EOF:
        forward->client_ended = true;
        return forward->state == FORWARD_OPEN   ? finish_if_drained(forward)
               : forward->state == FORWARD_KEYS ? enrol_ask(forward)
                                                : OK;
    default:
        return FAIL(ERR_PROTOCOL);
    }
}

err_t forward_sweep(struct relay_session *session) {
    for (size_t i = 0; i < session->channel_slots && session->channel_count > 0; i++) {
        struct forward *forward = session->channels[i];
        if (forward != NULL && forward->opening != NULL) {
            TRY(open_sweep(forward));
        } else if (forward != NULL && forward->enrolment != NULL) {
            TRY(enrol_sweep(forward));
        }
    }
    struct forward *next;
    for (struct forward *forward = TAILQ_FIRST(&session->parted); forward != NULL; forward = next) {
        next = TAILQ_NEXT(forward, of_parted);
        if (session->worker->now_ms >= forward->deadline_ms) {
            forward_drop(forward, "target_slow");
        }
    }
    return OK;
}
