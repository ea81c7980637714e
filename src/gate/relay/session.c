#include "gate/relay/relay.h"

#include <unistd.h>

enum {
    PROXY_READ_BYTES = 4096,
    LOGIN_READ_BYTES = 16 * 1024, /* of strangers, of whom there may be many: little is held */
};

/* --- beginning --- */

static bool is_proxy(const struct gate_config *config, const struct inet_address *from) {
    for (size_t i = 0; i < config->proxy_subnets.count; i++) {
        if (inet_subnet_contains(&config->proxy_subnets.subnets[i], from)) {
            return true;
        }
    }
    return false;
}

/* The client's address is known: is it welcome? */
static err_t welcome(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    struct relay *relay = worker->relay;
    switch (quota_enter(relay->quota, &session->setup->limits, &session->from, worker->now_ms)) {
    case QUOTA_ALLOWED:
        session->counted = true;
        session->phase = SESSION_LOGIN;
        return server_new(&session->setup->server, worker->now_ms, &worker->output,
                          &session->server);
    case QUOTA_SESSIONS:
        session_end(session, DISCONNECT_TOO_MANY_CONNECTIONS, "sessions_per_address_max",
                    "posterngate: too many connections from your address");
        break;
    case QUOTA_RATE:
        session_end(session, DISCONNECT_TOO_MANY_CONNECTIONS, "connections_per_minute_max",
                    "posterngate: too many connections from your address in the last minute; wait "
                    "a little");
        break;
    case QUOTA_FAILURES:
        session_end(session, DISCONNECT_TOO_MANY_CONNECTIONS, "login_failures_max",
                    "posterngate: too many failed logins from your address; try again in 10 "
                    "minutes");
        break;
    case QUOTA_DENIED:
        return FAIL(ERR_MEMORY);
    }
    COUNT(worker, connections_refused_total, 1);
    record_arrival_refused(worker, &session->from, session->why);
    return OK;
}

err_t session_begin(struct relay_worker *worker, int fd, const struct inet_address *from,
                    uint16_t port) {
    struct relay_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return FAIL(ERR_MEMORY);
    }
    session->source = (struct poller_source){.fd = fd, .kind = SOURCE_CLIENT};
    err_t err = poller_add(worker->poller, &session->source);
    if (failed(err)) {
        free(session);
        return err;
    }
    session->worker = worker;
    session->setup = relay_setup_now(worker->relay);
    const struct gate_config *config = &session->setup->config;
    session->from = *from;
    session->from_port = port;
    session->budget.bytes_max = config->session_bytes_max;
    session->began_ms = session->heard_ms = session->active_ms = worker->now_ms;
    session->deadline_ms = worker->now_ms + config->login_s * 1000;
    session->quick = RELAY_QUICK_COUNT;
    session->source.writable = true; /* a new socket always is, so nothing waits for the kernel */
    TAILQ_INIT(&session->active);
    TAILQ_INIT(&session->parted);
    TAILQ_INSERT_TAIL(&worker->sessions, session, of_worker);
    COUNT(worker, sessions, 1);
    session->phase = SESSION_PROXY;
    session_settle(session, is_proxy(config, from) ? OK : welcome(session));
    return OK;
}

/* --- ending --- */

/* It serves nobody any more. Called once, from where its life ends. */
static void leave(struct relay_session *session, const char *why) {
    struct relay_worker *worker = session->worker;
    session->why = why;
    ask_sign_forget(session);
    ask_uplink_forget(worker, TAKE(session->asking));
    forward_drop_all(session, why);
    if (session->phase == SESSION_OPEN) {
        COUNT(worker, sessions_authenticated, -1);
        quota_logout(worker->relay->quota, session->who->user);
    } else {
        if (session->phase == SESSION_LOGIN) {
            COUNT(worker, handshake_failures_total, 1);
            login_given_up(session);
        }
        atomic_fetch_sub(&worker->relay->logins, 1);
    }
    held_done(&session->input, &worker->held_bytes);
    session->waits = false;
}

/* Nothing more can be said. */
void session_abandon(struct relay_session *session, const char *why) {
    struct relay_worker *worker = session->worker;
    if (session->phase == SESSION_DEAD) {
        return;
    }
    if (session->phase != SESSION_ENDING) {
        leave(session, why);
    }
    session->phase = SESSION_DEAD;
    TAILQ_REMOVE(&worker->sessions, session, of_worker);
    TAILQ_INSERT_TAIL(&worker->dead, session, of_worker);
}

void session_end(struct relay_session *session, enum disconnect_reason reason, const char *why,
                 const char *text) {
    if (session->phase >= SESSION_ENDING) {
        return;
    }
    struct buf *output = &session->worker->output;
    if (session->server != NULL) {
        server_disconnect(session->server, reason, text, output);
    } else {
        /* Lines before the version are for people to read (RFC 4253 section 4.2). */
        ignore_err(buf_add_format(output, "%s\r\n", text));
    }
    leave(session, why);
    session->phase = SESSION_ENDING;
    session->deadline_ms = session->worker->now_ms + RELAY_LINGER_MS;
}

/* The peer broke the protocol, or we are out of something; the server has said it where it can. */
static void fail(struct relay_session *session, err_t err) {
    if (session->phase < SESSION_ENDING) {
        leave(session, err_name(err));
        session->phase = SESSION_ENDING;
        session->deadline_ms = session->worker->now_ms + RELAY_LINGER_MS;
    }
}

void session_free(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    struct relay *relay = worker->relay;
    if (session->server != NULL) {
        struct transport_facts facts = {0};
        transport_facts(server_transport(session->server), &facts);
        COUNT(worker, rekeys_total, facts.exchanges > 1 ? facts.exchanges - 1 : 0);
    }
    if (session->who != NULL) {
        tell_ended(session);
        record_closed(session);
    }
    if (session->counted) {
        quota_leave(relay->quota, &session->from);
    }
    (void)close(session->source.fd); /* which takes it out of epoll as well */
    held_done(&session->output, &worker->held_bytes);
    held_done(&session->input, &worker->held_bytes);
    server_free(session->server);
    identity_free(session->who);
    free(session->channels);
    relay_setup_release(session->setup);
    COUNT(worker, sessions, -1);
    atomic_fetch_sub(&worker->load, 1);
    atomic_fetch_sub(&relay->sessions, 1);
    free(session);
}

/* --- sending --- */

static void sent(struct relay_session *session, size_t count) {
    struct relay_worker *worker = session->worker;
    session->ack_due &= count == 0; /* what was sent has acknowledged what came */
    session->bytes_out += count;
    COUNT(worker, bytes_to_clients_total, count);
    size_t held = session->output.len < count ? session->output.len : count;
    held_drop(&session->output, held, &worker->held_bytes);
    count -= held;
    if (count == worker->output.len) {
        buf_clear(&worker->output);
    } else if (failed(held_add(&session->output,
                               span_of(worker->output.data + count, worker->output.len - count),
                               &worker->held_bytes))) {
        session_abandon(session, "memory");
    }
}

/* Sends what was held and what this turn said; the session keeps what the socket does not take. */
static void send_output(struct relay_session *session) {
    struct buf *said = &session->worker->output;
    size_t count = 0, all = session->output.len + said->len;
    if (session->phase != SESSION_DEAD && session->source.writable && all > 0) {
        span_t held = held_span(&session->output);
        struct iovec parts[2] = {{(void *)(uintptr_t)held.data, held.len}, {said->data, said->len}};
        enum socket_result result = socket_write(session->source.fd, parts, 2, &count);
        session->source.writable = count == all;
        if (result == SOCKET_BROKEN) {
            session_abandon(session, "connection_lost");
        }
    }
    if (session->phase != SESSION_DEAD) {
        sent(session, count);
    }
    buf_clear(said);
    if (session->phase == SESSION_ENDING && session->output.len == 0) {
        socket_finish(session->source.fd);
        session_schedule(session);
    }
}

void session_settle(struct relay_session *session, err_t err) {
    if (failed(err)) {
        fail(session, err);
    }
    send_output(session);
}

/* --- a turn --- */

static err_t on_event(struct relay_session *session, const struct server_event *event) {
    switch (event->type) {
    case SERVER_NEEDS_INPUT:
        return OK;
    case SERVER_SIGN:
        return ask_sign(session, event);
    case SERVER_AUTH_METHOD:
    case SERVER_AUTH_OFFERED:
    case SERVER_AUTH_PROVED:
    case SERVER_AUTH_PASSWORD:
        return login_event(session, event);
    case SERVER_OPEN_DIRECT:
        return open_direct(session, event);
    case SERVER_OPEN_SESSION:
    case SERVER_SESSION_SHELL:
        return open_greeting(session, event);
    case SERVER_CHANNEL_DATA:
    case SERVER_CHANNEL_WINDOW:
    case SERVER_CHANNEL_EOF:
    case SERVER_CHANNEL_CLOSED:
        return forward_event(session, event);
    case SERVER_DISCONNECTED:
        session_abandon(session, "client_disconnected");
        return OK;
    case SERVER_SESSION_EXEC:
        return enrol_exec(session, event);
    }
    return FAIL(ERR_PROTOCOL);
}

static err_t take_events(struct relay_session *session, struct transport_input *input) {
    struct relay_worker *worker = session->worker;
    while (session->phase < SESSION_ENDING && !session->waits) {
        if (worker->output.len >= RELAY_TURN_BYTES) {
            session->input_due = true;
            return OK;
        }
        struct server_event event = {0};
        TRY(server_next(session->server, input, worker->now_ms, &worker->output, &event));
        if (event.type == SERVER_NEEDS_INPUT) {
            return OK;
        }
        TRY(on_event(session, &event));
    }
    session->input_due = session->waits;
    return OK;
}

/* What was left over, and what the socket has, in the worker's buffer. */
static enum socket_result read_more(struct relay_session *session, size_t most, size_t *len) {
    struct relay_worker *worker = session->worker;
    *len = session->input.len;
    if (*len > 0) {
        memcpy(worker->input, held_span(&session->input).data, *len);
        held_done(&session->input, &worker->held_bytes);
    }
    if (!session->source.readable || *len + most > worker->input_size) {
        return SOCKET_BLOCKED;
    }
    size_t count;
    enum socket_result result = socket_read(session->source.fd, worker->input + *len, most, &count);
    /* Fewer than there was room for: that was all, and the kernel tells of more. */
    session->source.readable = result == SOCKET_DONE && (count == most || session->source.ended);
    if (count > 0) {
        session->heard_ms = worker->now_ms;
        session->ack_due = session->quick > 0;
        session->bytes_in += count;
        COUNT(worker, bytes_from_clients_total, count);
    }
    *len += count;
    return result;
}

static err_t take_input(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    size_t len;
    size_t most = session->phase == SESSION_OPEN ? RELAY_READ_BYTES : LOGIN_READ_BYTES;
    enum socket_result result = read_more(session, most, &len);
    session->input_due = false;
    struct transport_input input = {worker->input, len};
    err_t err = take_events(session, &input);
    if (!failed(err)) {
        err = forward_flush(worker);
    }
    worker->gather.forward = NULL;
    TRY(err);
    if (session->phase < SESSION_ENDING) {
        TRY(held_add(&session->input, span_of(input.data, input.len), &worker->held_bytes));
        if (result == SOCKET_ENDED || result == SOCKET_BROKEN) {
            session_abandon(session, result == SOCKET_ENDED ? "client_closed" : "connection_lost");
        }
    }
    return OK;
}

static err_t take_proxy_header(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    size_t len;
    enum socket_result result = read_more(session, PROXY_READ_BYTES, &len);
    struct proxy_header header = proxy_protocol_read(span_of(worker->input, len));
    switch (header.result) {
    case PROXY_REFUSED:
        COUNT(worker, connections_refused_total, 1);
        record_arrival_refused(worker, &session->from, "proxy_header");
        session_abandon(session, "proxy_header");
        return OK;
    case PROXY_MORE:
        if (result == SOCKET_ENDED || result == SOCKET_BROKEN) {
            session_abandon(session, "client_closed");
            return OK;
        }
        return held_add(&session->input, span_of(worker->input, len), &worker->held_bytes);
    case PROXY_CLIENT:
        session->from = header.source;
        session->from_port = header.source_port;
        break;
    case PROXY_LOCAL:
        break;
    }
    TRY(held_add(&session->input, span_of(worker->input + header.len, len - header.len),
                 &worker->held_bytes));
    session->input_due = true;
    return welcome(session);
}

/* A courtesy, which must not take the places of those who come. */
static bool may_linger(const struct relay_session *session) {
    return atomic_load(&session->worker->relay->sessions) <=
           session->setup->config.sessions_max / 2;
}

/* The last words are out; what still comes is read and dropped, as a socket that is closed with
 * unread bytes in it sends a reset, which may overtake them. */
static void linger(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    size_t count;
    if (session->output.len > 0) {
        send_output(session);
    }
    if (session->phase == SESSION_ENDING && session->output.len == 0 && !may_linger(session)) {
        session_abandon(session, session->why);
    }
    if (session->phase != SESSION_ENDING || !session->source.readable) {
        return;
    }
    switch (socket_read(session->source.fd, worker->input, RELAY_READ_BYTES, &count)) {
    case SOCKET_DONE:
        session_schedule(session);
        break;
    case SOCKET_BLOCKED:
        session->source.readable = false;
        break;
    case SOCKET_ENDED:
    case SOCKET_BROKEN:
        session_abandon(session, session->why);
        break;
    }
}

static bool may_read(const struct relay_session *session) {
    size_t unsent_max = session->phase == SESSION_OPEN ? RELAY_UNSENT_BYTES : 0;
    return !session->waits && session->output.len <= unsent_max &&
           (session->source.readable || session->input_due);
}

static bool may_move(const struct relay_session *session) {
    return session->phase == SESSION_OPEN &&
           (session->drain_due || (!TAILQ_EMPTY(&session->active) && forward_may_speak(session)));
}

static err_t live_turn(struct relay_session *session) {
    if (session->output.len > 0 && session->source.writable) {
        send_output(session);
    }
    if (session->phase < SESSION_ENDING && may_read(session)) {
        TRY(session->phase == SESSION_PROXY ? take_proxy_header(session) : take_input(session));
    }
    return may_move(session) ? forward_run(session) : OK;
}

void session_turn(struct relay_session *session) {
    if (session->phase == SESSION_ENDING) {
        linger(session);
        return;
    }
    session_settle(session, live_turn(session));
    if (session->ack_due) {
        session->ack_due = false;
        if (!session->waits) { /* else our answer is on its way, and acknowledges as well */
            session->quick--;
            socket_quickack(session->source.fd);
        }
    }
    if (session->phase < SESSION_ENDING && (may_read(session) || may_move(session))) {
        session_schedule(session);
    }
}

void session_schedule(struct relay_session *session) {
    if (!session->runs && session->phase != SESSION_DEAD) {
        session->runs = true;
        TAILQ_INSERT_TAIL(&session->worker->running, session, of_running);
    }
}
