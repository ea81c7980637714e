/* Questions to the authority, through postern-host on this machine (feed/uplink.h). */
#include "gate/relay/relay.h"

#include "base/log.h"

enum {
    EVENT_BYTES = LIMIT_UPLINK_EVENT_BYTES,
    UNTAKEN_BYTES = 256 * 1024, /* beyond that nobody reads: what is told is dropped */
};

static void wait_free(struct relay_worker *worker, struct uplink_wait *wait) {
    TAILQ_REMOVE(&worker->uplink_waits, wait, next);
    free(wait);
}

err_t ask_uplink(struct relay_worker *worker, enum uplink_call call, const struct buf *body,
                 struct relay_session *session, struct forward *forward) {
    INVARIANT((session == NULL) != (forward == NULL));
    struct buf frame CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES + 16);
    uint32_t id = ++worker->uplink_turn;
    TRY(uplink_put_question(&frame, id, call, buf_span(body)));
    struct uplink_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = ask_send(&worker->uplink, &frame);
    if (failed(err)) {
        free(wait);
        return err;
    }
    *wait = (struct uplink_wait){.id = id, .session = session, .forward = forward};
    TAILQ_INSERT_TAIL(&worker->uplink_waits, wait, next);
    if (session != NULL) {
        session->asking = wait;
    } else {
        forward->enrolment->asking = wait;
    }
    return OK;
}

void ask_uplink_forget(struct relay_worker *worker, struct uplink_wait *wait) {
    if (wait != NULL) {
        wait_free(worker, wait);
    }
}

static void tell_answer(struct relay_worker *worker, struct uplink_wait *wait, unsigned status,
                        span_t body) {
    struct relay_session *session = wait->session;
    struct forward *forward = wait->forward;
    wait_free(worker, wait);
    err_t err;
    if (session != NULL) {
        session->asking = NULL;
        err = login_answered(session, status, body);
    } else {
        session = forward->session;
        forward->enrolment->asking = NULL;
        err = enrol_answered(forward, status, body);
    }
    session_settle(session, err);
    session_schedule(session);
}

err_t ask_uplink_take(struct relay_worker *worker, span_t *stream) {
    struct uplink_answer answer;
    TRY(uplink_get_answer(stream, &answer));
    struct uplink_wait *wait;
    TAILQ_FOREACH(wait, &worker->uplink_waits, next) {
        if (wait->id == answer.id) {
            tell_answer(worker, wait, answer.status, answer.body);
            break;
        }
    }
    return OK; /* without one: who asked is gone */
}

void ask_uplink_fail_all(struct relay_worker *worker) {
    while (!TAILQ_EMPTY(&worker->uplink_waits)) {
        tell_answer(worker, TAILQ_FIRST(&worker->uplink_waits), 0, span_of(NULL, 0));
    }
}

err_t ask_uplink_put(struct relay_worker *worker, enum uplink_call call, const struct buf *body) {
    struct buf frame CLEANUP(buf_done) = BUF(EVENT_BYTES + 16);
    if (worker->uplink.output.len > UNTAKEN_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(uplink_put_question(&frame, 0, call, buf_span(body)));
    return ask_send(&worker->uplink, &frame);
}

static err_t tell(struct relay_worker *worker, const struct uplink_event *event) {
    struct buf body CLEANUP(buf_done) = BUF(EVENT_BYTES);
    TRY(uplink_put_event(&body, event));
    return ask_uplink_put(worker, UPLINK_EVENT, &body);
}

void ask_uplink_tell(struct relay_worker *worker, const struct uplink_event *event) {
    if (failed(tell(worker, event))) {
        COUNT(worker, events_dropped_total, 1);
    }
}
