/*
 * Registering public keys at a gate, by the command that people know: ssh-copy-id. The gate runs
 * nothing. It knows the two commands that ssh-copy-id sends, takes what comes on the channel for
 * lines of public keys, and asks the authority, which has the policy and says what became of each.
 */
#include "gate/relay/relay.h"

#include <stdio.h>

enum {
    PATIENCE_MS = 30 * 1000, /* for the keys to come, and for the authority to answer */
    TEXT_BYTES = LIMIT_SESSION_TEXT_BYTES,
    MESSAGE_CHARS = 512,
};

/* --- which command --- */

/* ssh-copy-id's one-liner, of every version: it appends its input to authorized_keys. So does who
 * types that by hand. */
static bool is_install(span_t command) {
    return span_find_str(command, ".ssh/authorized_keys") != NULL &&
           span_find_str(command, "cat >>") != NULL;
}

static err_t grant(struct relay_session *session, const struct server_event *event, bool granted) {
    struct relay_worker *worker = session->worker;
    return server_exec_answer(session->server, event->channel, granted, worker->now_ms,
                              &worker->output);
}

static err_t end(struct relay_session *session, channel_id channel, const struct buf *text,
                 uint32_t status) {
    struct relay_worker *worker = session->worker;
    return server_channel_end(session->server, channel, buf_span(text), status, worker->now_ms,
                              &worker->output);
}

/* One line for the user, and the channel ends. */
static err_t give_up(struct forward *forward, const char *text) {
    struct relay_session *session = forward->session;
    struct buf line CLEANUP(buf_done) = BUF(TEXT_BYTES);
    TRY(buf_add_format(&line, "posterngate: %s%s", text,
                       forward->enrolment->has_pty ? "\r\n" : "\n"));
    enrol_forget(forward);
    forward->state = FORWARD_GREETING; /* it says nothing any more */
    return end(session, forward->id, &line, 1);
}

static err_t begin(struct forward *forward, const struct server_event *event) {
    forward->enrolment = calloc(1, sizeof *forward->enrolment);
    if (forward->enrolment == NULL) {
        return FAIL(ERR_MEMORY);
    }
    forward->enrolment->has_pty = event->has_pty;
    forward->enrolment->deadline_ms = forward->session->worker->now_ms + PATIENCE_MS;
    forward->state = FORWARD_KEYS;
    return OK;
}

err_t enrol_exec(struct relay_session *session, const struct server_event *event) {
    struct forward *forward = session->channels[event->channel];
    INVARIANT(forward != NULL);
    TRY(forward_flush(session->worker));
    if (span_equal_str(event->data, "exit")) {
        /* How ssh-copy-id finds out which keys are good already. With a password none was shown. */
        struct buf nothing CLEANUP(buf_done) = BUF(0);
        TRY(grant(session, event, true));
        return end(session, event->channel, &nothing, session->who->by_window ? 1 : 0);
    }
    bool install = is_install(event->data);
    TRY(grant(session, event, install));
    if (!install) {
        return OK;
    }
    TRY(begin(forward, event));
    return !session->who->restricted
               ? OK
               : give_up(forward, "your certificate is restricted, which a key that it registers "
                                  "would not be; use: postern key add");
}

/* --- keys --- */

err_t enrol_data(struct forward *forward, span_t data) {
    if (forward->held.len + data.len > LIMIT_ENROLMENT_INPUT_BYTES) {
        return give_up(forward, "that is more than public keys take; give one file at a time: "
                                "ssh-copy-id -i KEY.pub");
    }
    return held_add(&forward->held, data, &forward->session->worker->held_bytes);
}

static struct uplink_bearer bearer_of(const struct identity *who) {
    return (struct uplink_bearer){
        .username = who->user,
        .token = who->by_window ? who->token.text : NULL,
        .serial = who->serial,
        .fingerprint = who->fingerprint,
    };
}

static const char *why_not_sent(err_t err) {
    switch (err.code) {
    case ERR_NOT_FOUND:
        return "no public key came";
    case ERR_RANGE:
        return "these are too many keys; give one file at a time: ssh-copy-id -i KEY.pub";
    case ERR_MALFORMED:
    case ERR_TOO_LONG:
        return "what came are no lines of public keys";
    default:
        return "the authority cannot be asked at the moment; nothing was registered, try again "
               "later";
    }
}

err_t enrol_ask(struct forward *forward) {
    struct relay_session *session = forward->session;
    struct uplink_bearer bearer = bearer_of(session->who);
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES - 16);
    size_t count;
    err_t err = uplink_put_keys(&body, &bearer, held_span(&forward->held), &session->from, &count);
    held_done(&forward->held, &session->worker->held_bytes);
    if (!failed(err)) {
        err = ask_uplink(session->worker, UPLINK_KEYS, &body, NULL, forward);
    }
    return failed(err) ? give_up(forward, why_not_sent(err)) : OK;
}

/* --- the answer --- */

struct outcome {
    struct buf text;
    const char *end;
    bool all;
};

static err_t add_outcome(void *context, bool registered, const char *text) {
    struct outcome *outcome = context;
    outcome->all = outcome->all && registered;
    return buf_add_format(&outcome->text, "posterngate: %s%s", text, outcome->end);
}

static err_t tell_outcomes(struct forward *forward, span_t body) {
    struct outcome outcome = {
        .text = BUF(TEXT_BYTES), .end = forward->enrolment->has_pty ? "\r\n" : "\n", .all = true};
    struct relay_session *session = forward->session;
    err_t err = uplink_get_keys(body, add_outcome, &outcome);
    if (failed(err)) {
        err = give_up(forward, "the authority's answer cannot be read; see: postern key list");
    } else {
        enrol_forget(forward);
        forward->state = FORWARD_GREETING;
        err = end(session, forward->id, &outcome.text, outcome.all ? 0 : 1);
    }
    buf_done(&outcome.text);
    return err;
}

err_t enrol_answered(struct forward *forward, unsigned status, span_t body) {
    char message[MESSAGE_CHARS];
    if (status == 200) {
        return tell_outcomes(forward, body);
    }
    uplink_get_message(body, message, sizeof message);
    return give_up(forward, status != 0 && message[0] != '\0'
                                ? message
                                : "the authority cannot be asked at the moment; whether it has "
                                  "registered the key is not known, try again later");
}

err_t enrol_sweep(struct forward *forward) {
    if (forward->session->worker->now_ms < forward->enrolment->deadline_ms) {
        return OK;
    }
    return give_up(forward, forward->enrolment->asking == NULL
                                ? "no key came for a long time"
                                : "the authority does not answer; whether it has registered the "
                                  "key is not known, try again later");
}

void enrol_forget(struct forward *forward) {
    if (forward->enrolment != NULL) {
        ask_uplink_forget(forward->session->worker, forward->enrolment->asking);
        free(TAKE(forward->enrolment));
    }
    held_done(&forward->held, &forward->session->worker->held_bytes);
}
