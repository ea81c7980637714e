#include "gate/relay/relay.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { TEXT_BYTES_MAX = 1024 };

/* --- refusing --- */

static err_t answer_no(struct relay_session *session, channel_id id, enum open_failure reason,
                       const char *text) {
    return server_open_refuse(session->server, id, reason, text, session->worker->now_ms,
                              &session->worker->output);
}

/* By policy or a limit, before there is anything of it. `why` is for the log. */
static err_t refuse(struct relay_session *session, const struct server_event *event,
                    enum open_failure reason, const char *why, const char *text) {
    COUNT(session->worker, channels_refused_total, 1);
    record_channel_refused(session, event->host, event->port, why);
    return answer_no(session, event->channel, reason, text);
}

/* One that is refused counts as well: it costs a question to policy and a line of the log. */
static bool asks_too_often(struct relay_session *session) {
    return !rate_take(&session->asked, session->setup->config.channels_per_minute_max,
                      session->worker->now_ms);
}

/* The log hears it once of a session: the lines are what must not be had without end. */
static err_t refuse_rate(struct relay_session *session, const struct server_event *event) {
    char text[TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "posterngate: this session has asked for %u channels in the last minute, which "
                   "is as often as may be; wait a little",
                   session->setup->config.channels_per_minute_max);
    if (session->asked_too_often) {
        COUNT(session->worker, channels_refused_total, 1);
        return answer_no(session, event->channel, OPEN_RESOURCE_SHORTAGE, text);
    }
    session->asked_too_often = true;
    return refuse(session, event, OPEN_RESOURCE_SHORTAGE, "channels_per_minute_max", text);
}

/* It was on its way. */
static err_t give_up(struct forward *forward, enum open_failure reason, const char *why,
                     const char *text) {
    struct relay_session *session = forward->session;
    channel_id id = forward->id;
    if (reason == OPEN_CONNECT_FAILED) {
        COUNT(session->worker, channels_failed_total, 1);
    } else {
        COUNT(session->worker, channels_refused_total, 1);
    }
    record_channel_refused(session, span_str(forward->host), forward->port, why);
    forward_drop(forward, why);
    return answer_no(session, id, reason, text);
}

static err_t refuse_without_job(struct relay_session *session, const struct server_event *event) {
    return refuse(session, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "no_job",
                  "posterngate: no job of yours runs on this node; see: postern jobs");
}

static err_t refuse_policy(struct relay_session *session, const struct server_event *event) {
    struct buf text CLEANUP(buf_done) = BUF(TEXT_BYTES_MAX);
    struct buf clusters CLEANUP(buf_done) = BUF(TEXT_BYTES_MAX / 2);
    /* A list that is too long is cut: it only helps. */
    ignore_err(greeting_clusters(session->worker->relay, session->who, &clusters));
    TRY(buf_add_format(&text, "posterngate: not a host of the clusters you reach (%.*s)",
                       (int)clusters.len, (const char *)clusters.data));
    TRY(buf_add_byte(&text, '\0'));
    return refuse(session, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "destination",
                  (const char *)text.data);
}

/* --- connecting --- */

static err_t opened(struct forward *forward) {
    struct relay_session *session = forward->session;
    struct relay_worker *worker = session->worker;
    forward->address = forward->opening->addresses[forward->opening->next - 1];
    free(TAKE(forward->opening));
    forward->state = FORWARD_OPEN;
    forward->counted = true;
    forward->quick = session->quick = RELAY_QUICK_COUNT;
    COUNT(worker, channels, 1);
    COUNT(worker, channels_total, 1);
    tell_later(session);
    record_channel_opened(forward);
    if (forward->source.readable) {
        forward_activate(forward);
    }
    return server_open_accept(session->server, forward->id, forward->window.size, worker->now_ms,
                              &worker->output);
}

static err_t unreachable(struct forward *forward) {
    char text[TEXT_BYTES_MAX];
    const char *how = "cannot be reached";
    switch (forward->opening->failure.code) {
    case ERR_REFUSED:
        how = "refused the connection";
        break;
    case ERR_TIMEOUT:
        how = "did not answer";
        break;
    default:
        break;
    }
    if (forward->opening->forbidden && !failed(forward->opening->failure)) {
        return give_up(forward, OPEN_ADMINISTRATIVELY_PROHIBITED, "address",
                       "posterngate: the name leads to an address where nobody may go");
    }
    (void)snprintf(text, sizeof text, "posterngate: %s:%u %s", forward->host, forward->port, how);
    return give_up(forward, OPEN_CONNECT_FAILED, how, text);
}

/* The next address that takes an attempt. */
static err_t connect_next(struct forward *forward) {
    struct opening *opening = forward->opening;
    while (opening->next < opening->address_count) {
        const struct inet_address *to = &opening->addresses[opening->next++];
        int fd;
        err_t err = socket_connect(to, forward->port, &fd);
        if (!failed(err)) {
            forward->source.fd = fd;
            err = poller_add(forward->session->worker->poller, &forward->source);
            if (!failed(err)) {
                forward->state = FORWARD_CONNECTING;
                return OK;
            }
            (void)close(fd);
            forward->source.fd = -1;
        }
        opening->failure = err;
    }
    return unreachable(forward);
}

err_t open_step(struct forward *forward) {
    if (!forward->source.writable) {
        return OK;
    }
    err_t err = socket_connected(forward->source.fd);
    if (!failed(err)) {
        return opened(forward);
    }
    forward->opening->failure = err;
    (void)close(forward->source.fd);
    forward->source = (struct poller_source){.fd = -1, .kind = SOURCE_TARGET};
    return connect_next(forward);
}

/* --- names --- */

/* Keeps those that may be connected to. */
static void take_addresses(struct forward *forward, const struct view_destination *destination,
                           const struct inet_address *addresses, size_t count) {
    struct opening *opening = forward->opening;
    for (size_t i = 0; i < count && i < GATE_ADDRESSES_MAX; i++) {
        if (view_address_allowed(destination, &addresses[i])) {
            opening->addresses[opening->address_count++] = addresses[i];
        } else {
            opening->forbidden = true;
        }
    }
}

err_t open_resolved(struct forward *forward, enum gate_names_status status,
                    const struct inet_address *addresses, size_t count) {
    static const struct view_destination by_name = {.allowed = true, .address = ""};
    char text[TEXT_BYTES_MAX];
    forward->state = FORWARD_CONNECTING;
    if (status == GATE_NAMES_FOUND && count > 0) {
        take_addresses(forward, &by_name, addresses, count);
        return connect_next(forward);
    }
    (void)snprintf(text, sizeof text, "posterngate: the name of %s is %s", forward->host,
                   status == GATE_NAMES_TRY_AGAIN ? "not to be had at the moment; try again later"
                                                  : "not known");
    return give_up(forward, OPEN_CONNECT_FAILED,
                   status == GATE_NAMES_TRY_AGAIN ? "names_away" : "name_unknown", text);
}

err_t open_sweep(struct forward *forward) {
    char text[TEXT_BYTES_MAX], waited[DURATION_CHARS];
    struct relay_session *session = forward->session;
    if (session->worker->now_ms < forward->opening->deadline_ms) {
        return OK;
    }
    duration_print(session->setup->config.connect_s, waited);
    (void)snprintf(text, sizeof text, "posterngate: %s:%u did not answer within %s", forward->host,
                   forward->port, waited);
    return give_up(forward, OPEN_CONNECT_FAILED, "timeout", text);
}

err_t open_forbid(struct forward *forward) {
    return give_up(forward, OPEN_ADMINISTRATIVELY_PROHIBITED, "policy",
                   "posterngate: not a host of the clusters you reach any more");
}

/* --- policy --- */

/* A copy of what policy said, as the view may change any time. */
struct destination {
    bool allowed, named_itself, lacks_job;
    uint16_t port;
    int64_t ends_at;
    char address[LIMIT_HOST_NAME_CHARS + 1];
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1];
};

static struct destination ask_policy(struct relay_session *session, span_t host, uint16_t port) {
    struct relay *relay = session->worker->relay;
    const struct view_asked asked = judge_asked(session, host, port);
    struct destination found = {0};
    (void)pthread_rwlock_rdlock(&relay->policy);
    struct view_destination destination = view_destination(relay->view, &asked);
    found.lacks_job = destination.lacks_job;
    if (destination.allowed) {
        found.allowed = strlen(destination.address) < sizeof found.address;
        found.named_itself = destination.named_itself;
        found.port = destination.port;
        found.ends_at = destination.ends_at;
        (void)snprintf(found.address, sizeof found.address, "%s", destination.address);
        (void)snprintf(found.cluster, sizeof found.cluster, "%s", destination.cluster);
    }
    (void)pthread_rwlock_unlock(&relay->policy);
    return found;
}

static err_t begin(struct forward *forward, const struct destination *to) {
    struct relay_session *session = forward->session;
    forward->opening = calloc(1, sizeof *forward->opening);
    if (forward->opening == NULL) {
        return FAIL(ERR_MEMORY);
    }
    forward->opening->deadline_ms =
        session->worker->now_ms + session->setup->config.connect_s * 1000;
    struct inet_address literal;
    if (failed(inet_address_parse(span_str(to->address), &literal))) {
        forward->state = FORWARD_RESOLVING;
        return ask_name(forward, to->address);
    }
    const struct view_destination itself = {
        .allowed = true, .address = to->address, .named_itself = to->named_itself};
    forward->state = FORWARD_CONNECTING;
    take_addresses(forward, &itself, &literal, 1);
    return connect_next(forward);
}

err_t open_direct(struct relay_session *session, const struct server_event *event) {
    TRY(forward_flush(session->worker));
    if (asks_too_often(session)) {
        return refuse_rate(session, event);
    }
    if (session->who->by_window) {
        return refuse(session, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "window",
                      "posterngate: a password only registers a key here; do that, with "
                      "ssh-copy-id, and come back with the key");
    }
    if (!session->who->may_forward) {
        return refuse(session, event, OPEN_ADMINISTRATIVELY_PROHIBITED, "certificate",
                      "posterngate: your certificate lacks permit-port-forwarding, without which "
                      "nobody goes through");
    }
    struct destination to = ask_policy(session, event->host, event->port);
    if (!to.allowed) {
        return to.lacks_job ? refuse_without_job(session, event) : refuse_policy(session, event);
    }
    struct forward *forward;
    TRY(forward_new(session, event->channel, &forward));
    forward->port = to.port;
    forward->asked_port = event->port;
    forward->ends_at = to.ends_at;
    forward->cluster = strdup(to.cluster);
    forward->entry = strdup(to.address);
    TRY(span_to_str(event->host, &forward->host));
    if (forward->cluster == NULL || forward->entry == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (!window_open(&forward->window, &session->budget)) {
        return give_up(
            forward, OPEN_RESOURCE_SHORTAGE, "session_bytes_max",
            "posterngate: your open channels use up the memory of a session; close some");
    }
    return begin(forward, &to);
}

/* --- a session channel: it gets a greeting and no shell --- */

enum {
    GREETING_WINDOW_BYTES = 4096,
    KEYS_WINDOW_BYTES = LIMIT_ENROLMENT_INPUT_BYTES + 1, /* one more, to see that it is too much */
};

err_t open_greeting(struct relay_session *session, const struct server_event *event) {
    struct relay_worker *worker = session->worker;
    TRY(forward_flush(worker));
    if (event->type == SERVER_OPEN_SESSION) {
        if (asks_too_often(session)) {
            return refuse_rate(session, event);
        }
        struct forward *forward;
        TRY(forward_new(session, event->channel, &forward));
        forward->state = FORWARD_GREETING;
        return server_open_accept(session->server, event->channel,
                                  session->setup->config.enrolment ? KEYS_WINDOW_BYTES
                                                                   : GREETING_WINDOW_BYTES,
                                  worker->now_ms, &worker->output);
    }
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SESSION_TEXT_BYTES);
    TRY(greeting_write(session, event->has_pty, &text));
    return server_channel_end(session->server, event->channel, buf_span(&text),
                              session->who->by_window ? 1 : 0, worker->now_ms, &worker->output);
}
