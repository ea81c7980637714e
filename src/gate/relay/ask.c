/*
 * Questions to the processes `keys` and `names`, and the sockets of all questions. They are few, so
 * each answer may cost a small allocation.
 */
#include "gate/relay/relay.h"

#include <unistd.h>

#include "base/log.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

enum { READ_BYTES = 8 * 1024 };

/* --- the socket --- */

static void write_out(struct ask *ask) {
    if (ask->output.len == 0 || !ask->source.writable) {
        return;
    }
    span_t held = held_span(&ask->output);
    struct iovec part = {(void *)(uintptr_t)held.data, held.len};
    size_t count;
    /* A broken socket shows at the next read. */
    (void)socket_write(ask->source.fd, &part, 1, &count);
    ask->source.writable = count == held.len;
    secret_wipe(part.iov_base, count); /* it may have been a password */
    held_drop(&ask->output, count, &ask->held_bytes);
}

err_t ask_send(struct ask *ask, const struct buf *question) {
    if (ask->source.fd < 0) {
        return FAIL(ERR_CLOSED);
    }
    TRY(held_add(&ask->output, buf_span(question), &ask->held_bytes));
    write_out(ask);
    return OK;
}

/* --- signatures --- */

static void refuse_signature(struct relay_session *session) {
    session_end(session, DISCONNECT_KEY_EXCHANGE_FAILED, "host_key",
                "posterngate: the host key is not to be had at the moment; try again");
}

static err_t put_sign_request(const struct server_event *event, struct buf *out) {
    uint32_t flags = 0;
    if (strcmp(event->algorithm, "rsa-sha2-512") == 0) {
        flags = AGENT_RSA_SHA2_512;
    } else if (strcmp(event->algorithm, "rsa-sha2-256") == 0) {
        flags = AGENT_RSA_SHA2_256;
    }
    return agent_put_sign_request(out, key_blob(event->host_key->key), event->data, flags);
}

err_t ask_sign(struct relay_session *session, const struct server_event *event) {
    struct relay_worker *worker = session->worker;
    struct buf question CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    TRY(put_sign_request(event, &question));
    struct sign_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (failed(ask_send(&worker->keys, &question))) {
        free(wait);
        refuse_signature(session);
        return OK;
    }
    wait->session = session;
    session->signing = wait;
    session->waits = true;
    STAILQ_INSERT_TAIL(&worker->signing, wait, next);
    return OK;
}

void ask_sign_forget(struct relay_session *session) {
    if (session->signing != NULL) {
        session->signing->session = NULL;
        session->signing = NULL;
    }
}

/* The oldest question is answered; NULL: with no signature. */
static void answer_signature(struct relay_worker *worker, const span_t *signature) {
    struct sign_wait *wait = STAILQ_FIRST(&worker->signing);
    if (wait == NULL) {
        return;
    }
    STAILQ_REMOVE_HEAD(&worker->signing, next);
    struct relay_session *session = wait->session;
    free(wait);
    if (session == NULL) {
        return;
    }
    session->signing = NULL;
    session->waits = false;
    session->input_due = true;
    err_t err = OK;
    if (signature == NULL) {
        refuse_signature(session);
    } else {
        err = server_signed(session->server, *signature, worker->now_ms, &worker->output);
    }
    session_settle(session, err);
    session_schedule(session);
}

static err_t take_signature(struct relay_worker *worker, span_t *stream) {
    span_t message, signature;
    TRY(agent_get_frame(stream, &message));
    bool signs = !failed(agent_get_sign_response(message, &signature));
    answer_signature(worker, signs ? &signature : NULL);
    return OK;
}

/* --- names --- */

static struct name_slot *free_slot(struct relay_worker *worker) {
    for (size_t i = 0; i < LIMIT_NAMES_ASKED_COUNT; i++) {
        if (!worker->slots[i].asked) {
            return &worker->slots[i];
        }
    }
    return NULL;
}

static err_t put_name_request(uint32_t id, const char *name, struct buf *out) {
    size_t mark;
    TRY(wire_string_begin(out, &mark));
    TRY(wire_put_u32(out, id));
    TRY(wire_put_text(out, name));
    wire_string_end(out, mark);
    return OK;
}

err_t ask_name(struct forward *forward, const char *name) {
    struct relay_worker *worker = forward->session->worker;
    struct buf question CLEANUP(buf_done) = BUF(GATE_NAMES_MESSAGE_BYTES);
    struct name_slot *slot = free_slot(worker);
    if (slot == NULL) {
        return open_resolved(forward, GATE_NAMES_TRY_AGAIN, NULL, 0);
    }
    uint32_t id = (uint32_t)(slot - worker->slots);
    TRY(put_name_request(id, name, &question));
    if (failed(ask_send(&worker->names, &question))) {
        return open_resolved(forward, GATE_NAMES_TRY_AGAIN, NULL, 0);
    }
    *slot = (struct name_slot){.asked = true, .forward = forward};
    forward->opening->name_id = id;
    return OK;
}

void ask_name_forget(struct forward *forward) {
    if (forward->opening == NULL) {
        return;
    }
    struct name_slot *slot = &forward->session->worker->slots[forward->opening->name_id];
    if (slot->forward == forward) {
        slot->forward = NULL;
    }
}

static void answer_name(struct name_slot *slot, enum gate_names_status status,
                        const struct inet_address *addresses, size_t count) {
    struct forward *forward = TAKE(slot->forward);
    slot->asked = false;
    if (forward != NULL) {
        struct relay_session *session = forward->session;
        session_settle(session, open_resolved(forward, status, addresses, count));
        session_schedule(session);
    }
}

static err_t get_address(span_t *from, struct inet_address *out) {
    uint8_t kind;
    span_t bytes;
    TRY(wire_get_u8(from, &kind));
    if (kind != 4 && kind != 6) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(wire_get_bytes(from, kind == 4 ? 4 : 16, &bytes));
    *out = (struct inet_address){.family_bits = kind == 4 ? 32 : 128};
    memcpy(out->bytes, bytes.data, bytes.len);
    return OK;
}

static err_t take_name(struct relay_worker *worker, span_t *stream) {
    span_t message;
    uint32_t id;
    uint8_t status;
    struct inet_address addresses[GATE_ADDRESSES_MAX];
    size_t count = 0;
    TRY(wire_get_string(stream, &message));
    if (message.len > GATE_NAMES_MESSAGE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(failed(wire_get_u32(&message, &id)) || failed(wire_get_u8(&message, &status))
            ? FAIL(ERR_MALFORMED)
            : OK);
    while (message.len > 0) {
        if (count == GATE_ADDRESSES_MAX || failed(get_address(&message, &addresses[count++]))) {
            return FAIL(ERR_MALFORMED);
        }
    }
    if (id < LIMIT_NAMES_ASKED_COUNT && worker->slots[id].asked) {
        answer_name(&worker->slots[id],
                    status <= GATE_NAMES_TRY_AGAIN ? (enum gate_names_status)status
                                                   : GATE_NAMES_TRY_AGAIN,
                    addresses, count);
    }
    return OK;
}

/* --- both --- */

static void fail_all(struct relay_worker *worker, enum source_kind kind) {
    if (kind == SOURCE_UPLINK) {
        ask_uplink_fail_all(worker);
        return;
    }
    if (kind == SOURCE_KEYS) {
        while (!STAILQ_EMPTY(&worker->signing)) {
            answer_signature(worker, NULL);
        }
        return;
    }
    for (size_t i = 0; worker->slots != NULL && i < LIMIT_NAMES_ASKED_COUNT; i++) {
        if (worker->slots[i].asked) {
            answer_name(&worker->slots[i], GATE_NAMES_TRY_AGAIN, NULL, 0);
        }
    }
}

void ask_replace(struct relay_worker *worker, struct ask *ask, enum source_kind kind, int fd) {
    if (ask->source.fd >= 0) {
        (void)close(ask->source.fd);
    }
    held_done(&ask->output, &ask->held_bytes);
    held_done(&ask->input, &ask->held_bytes);
    ask->source = (struct poller_source){.fd = -1, .kind = (uint8_t)kind};
    fail_all(worker, kind);
    if (fd < 0) {
        return;
    }
    ask->source.fd = fd;
    err_t err = poller_add(worker->poller, &ask->source);
    ask->source.writable = true;
    if (failed(err)) {
        log_error("helper_lost", err, NULL);
        (void)close(fd);
        ask->source.fd = -1;
    }
}

static err_t take_answer(struct relay_worker *worker, const struct ask *ask, span_t *stream) {
    switch ((enum source_kind)ask->source.kind) {
    case SOURCE_KEYS:
        return take_signature(worker, stream);
    case SOURCE_NAMES:
        return take_name(worker, stream);
    default:
        return ask_uplink_take(worker, stream);
    }
}

static err_t take_answers(struct relay_worker *worker, struct ask *ask) {
    span_t stream = held_span(&ask->input);
    const uint8_t *taken = stream.data;
    err_t err = OK;
    while (!failed(err)) {
        err = take_answer(worker, ask, &stream);
    }
    size_t len = ask->input.len - stream.len;
    secret_wipe((void *)(uintptr_t)taken, len); /* it may have been a token */
    held_drop(&ask->input, len, &ask->held_bytes);
    return err.code == ERR_TRUNCATED ? OK : err;
}

static err_t read_in(struct relay_worker *worker, struct ask *ask) {
    uint8_t bytes[READ_BYTES];
    size_t count;
    switch (socket_read(ask->source.fd, bytes, sizeof bytes, &count)) {
    case SOCKET_DONE:
        ask->source.readable = count == sizeof bytes || ask->source.ended;
        TRY(held_add(&ask->input, span_of(bytes, count), &ask->held_bytes));
        return take_answers(worker, ask);
    case SOCKET_BLOCKED:
        ask->source.readable = false;
        return OK;
    case SOCKET_ENDED:
    case SOCKET_BROKEN:
        break;
    }
    return FAIL(ERR_CLOSED);
}

void ask_ready(struct relay_worker *worker, struct ask *ask) {
    static const char *const names[] = {
        [SOURCE_KEYS] = "keys", [SOURCE_NAMES] = "names", [SOURCE_UPLINK] = "uplink"};
    if (ask->source.fd < 0) {
        return;
    }
    write_out(ask);
    while (ask->source.readable) {
        err_t err = read_in(worker, ask);
        if (failed(err)) {
            enum source_kind kind = (enum source_kind)ask->source.kind;
            log_error("helper_lost", err, "helper", names[kind], NULL);
            ask_replace(worker, ask, kind, -1);
            return;
        }
    }
}
