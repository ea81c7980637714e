/*
 * Sessions are told with the sweep, so that what comes and goes within a second costs nothing, and
 * a busy one costs a frame a minute. What could not be told is told with the next.
 */
#include "gate/relay/relay.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/random.h"

enum { DESTINATIONS_COUNT = 8, DESTINATION_CHARS = LIMIT_HOST_NAME_CHARS + 8 };

struct cut {
    struct cut *next;
    char id[LIMIT_CUT_CHARS + 1];
};

struct destinations {
    char texts[DESTINATIONS_COUNT][DESTINATION_CHARS];
    const char *items[DESTINATIONS_COUNT];
    size_t count;
};

/* As the client named it, each once. */
static void add_destination(struct destinations *to, const struct forward *forward) {
    char *text = to->texts[to->count];
    (void)snprintf(text, DESTINATION_CHARS, "%s:%u", forward->host, forward->asked_port);
    for (size_t i = 0; i < to->count; i++) {
        if (strcmp(to->items[i], text) == 0) {
            return;
        }
    }
    to->items[to->count++] = text;
}

static void gather(const struct relay_session *session, struct destinations *out) {
    for (size_t i = 0; i < session->channel_slots && out->count < DESTINATIONS_COUNT; i++) {
        const struct forward *forward = session->channels[i];
        if (forward != NULL && forward->state == FORWARD_OPEN && forward->host != NULL) {
            add_destination(out, forward);
        }
    }
}

/* Ordered by the second of their making. */
static void make_id(struct relay_session *session) {
    (void)snprintf(session->id, sizeof session->id, "%08" PRIx32 "%016" PRIx64,
                   (uint32_t)session->worker->now_s, random_u64());
}

static err_t tell(struct relay_session *session) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_GATE_SESSION_BYTES);
    const struct identity *who = session->who;
    struct relay_worker *worker = session->worker;
    struct destinations to = {.count = 0};
    gather(session, &to);
    const struct uplink_session told = {
        .id = session->id,
        .account = who->user,
        .serial = who->serial,
        .fingerprint = who->by_window ? "" : who->fingerprint,
        .source = &session->from,
        .since = worker->now_s - (worker->now_ms - session->began_ms) / 1000,
        .destinations = to.items,
        .destination_count = to.count,
        .bytes_in = session->bytes_in,
        .bytes_out = session->bytes_out,
    };
    TRY(uplink_put_session(&body, &told));
    return ask_uplink_put(worker, UPLINK_SESSION, &body);
}

void tell_later(struct relay_session *session) { session->tell_due = true; }

void tell_sweep(struct relay_session *session) {
    int64_t now_ms = session->worker->now_ms;
    uint64_t bytes = session->bytes_in + session->bytes_out;
    bool moved = bytes != session->told_bytes && now_ms - session->told_ms >= RELAY_TELL_BYTES_MS;
    if (session->worker->tell_anew || (!session->tell_due && !moved)) {
        return;
    }
    if (session->id[0] == '\0') {
        make_id(session);
    }
    if (!failed(tell(session))) {
        session->known = true;
        session->tell_due = false;
        session->told_ms = now_ms;
        session->told_bytes = bytes;
    }
}

void tell_ended(struct relay_session *session) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_GATE_SESSION_BYTES);
    if (session->known && !failed(uplink_put_ended(&body, session->id)) &&
        failed(ask_uplink_put(session->worker, UPLINK_ENDED, &body))) {
        tell_anew(session->worker);
    }
}

void tell_anew(struct relay_worker *worker) { worker->tell_anew = true; }

void tell_begin_sweep(struct relay_worker *worker) {
    struct buf body CLEANUP(buf_done) = BUF(16);
    if (!worker->tell_anew || failed(buf_add_str(&body, "{}")) ||
        failed(ask_uplink_put(worker, UPLINK_ANEW, &body))) {
        return;
    }
    worker->tell_anew = false;
    struct relay_session *session;
    TAILQ_FOREACH(session, &worker->sessions, of_worker) {
        session->known = false;
        session->tell_due = true;
    }
}

/* --- orders --- */

err_t tell_cut(struct relay_worker *worker, const char *id) {
    struct cut *cut = calloc(1, sizeof *cut);
    if (cut == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)snprintf(cut->id, sizeof cut->id, "%s", id);
    (void)pthread_mutex_lock(&worker->mailbox);
    cut->next = worker->cuts;
    worker->cuts = cut;
    (void)pthread_mutex_unlock(&worker->mailbox);
    relay_worker_wake(worker);
    return OK;
}

void tell_cuts_free(struct cut *cuts) {
    while (cuts != NULL) {
        struct cut *next = cuts->next;
        free(cuts);
        cuts = next;
    }
}

static void end_session(struct relay_session *session) {
    COUNT(session->worker, sessions_cut_total, 1);
    session->cut = true;
    session_end(session, DISCONNECT_BY_APPLICATION, "ordered",
                "posterngate: an administrator has ended this session");
    session_settle(session, OK);
}

void tell_obey(struct relay_worker *worker, const struct cut *cuts) {
    for (; cuts != NULL; cuts = cuts->next) {
        struct relay_session *session;
        TAILQ_FOREACH(session, &worker->sessions, of_worker) {
            if (session->phase == SESSION_OPEN && strcmp(session->id, cuts->id) == 0) {
                end_session(session);
                break;
            }
        }
    }
}
