/*
 * The sessions that live at the gates: what gates tell of them, how administrators see them, and
 * the order to end one, which travels down the feed (feed/change.h: "cut").
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/gate_sessions.h"
#include "authority/rate.h"
#include "authority/routes/host_call.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "feed/change.h"

enum { NAME_CHARS = GATE_SESSION_ID_CHARS + 1 + LIMIT_HOST_NAME_CHARS }; /* "ID@GATE" */

/* ---- what a gate tells ------------------------------------------------------------------- */

struct telling {
    uint64_t epoch; /* 0: it begins */
    struct gate_session *sessions;
    size_t count;
    const json_t *ended;
};

static void release(void *own) {
    struct telling *telling = own;
    for (size_t i = 0; i < telling->count; i++) {
        gate_session_done(&telling->sessions[i]);
    }
    free(telling->sessions);
}

static bool is_id(const char *text) {
    return strlen(text) == GATE_SESSION_ID_CHARS &&
           strspn(text, "0123456789abcdef") == GATE_SESSION_ID_CHARS;
}

static err_t refuse(struct call *call, size_t index, const char *field) {
    call_problem(call, 422, "malformed", "sessions", "session %zu: %s is not what it must be",
                 index + 1, field);
    return FAIL(ERR_MALFORMED);
}

/* Printable, and short enough for what takes it; absent is "" where it may be. */
static bool copy(const json_t *item, const char *field, bool required, char *out, size_t size) {
    const json_t *member = json_object_get(item, field);
    const char *text = json_string_value(member);
    if (text == NULL) {
        return member == NULL && !required;
    }
    if (strlen(text) >= size || !text_is_printable(span_str(text))) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool copy_number(const json_t *item, const char *field, uint64_t *out) {
    json_int_t number = json_integer_value(json_object_get(item, field));
    *out = (uint64_t)number;
    return json_is_integer(json_object_get(item, field)) && number >= 0;
}

static bool copy_serial(const json_t *item, uint64_t *out) {
    const json_t *member = json_object_get(item, "serialNumber");
    const char *text = json_string_value(member);
    return member == NULL || (text != NULL && !failed(u64_parse(span_str(text), out)));
}

static bool copy_source(const json_t *item, char out[INET_CHARS]) {
    struct inet_address source;
    const char *text = json_string_value(json_object_get(item, "source"));
    if (text == NULL || failed(inet_address_parse(span_str(text), &source))) {
        return false;
    }
    inet_address_print(&source, out);
    return true;
}

static bool copy_since(const json_t *item, int64_t *out) {
    const char *text = json_string_value(json_object_get(item, "sinceTime"));
    return text != NULL && !failed(time_parse(span_str(text), out));
}

static err_t add_destination(struct buf *lines, const char *text) {
    if (text == NULL || text[0] == '\0' || !text_is_printable(span_str(text))) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(lines->len == 0 ? OK : buf_add_byte(lines, '\n'));
    return buf_add_str(lines, text);
}

static bool copy_destinations(const json_t *item, char **out) {
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_GATE_SESSION_BYTES);
    const json_t *list = json_object_get(item, "destinations");
    if (!json_is_array(list)) {
        return list == NULL;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (failed(add_destination(&lines, json_string_value(json_array_get(list, i))))) {
            return false;
        }
    }
    return lines.len == 0 || !failed(buf_to_str(&lines, out));
}

static err_t read_session(struct call *call, const json_t *item, size_t index,
                          struct gate_session *out) {
    if (!copy(item, "id", true, out->id, sizeof out->id) || !is_id(out->id)) {
        return refuse(call, index, "id");
    }
    if (!copy(item, "account", true, out->account, sizeof out->account)) {
        return refuse(call, index, "account");
    }
    if (!copy_serial(item, &out->serial)) {
        return refuse(call, index, "serialNumber");
    }
    if (!copy(item, "keyFingerprint", false, out->fingerprint, sizeof out->fingerprint)) {
        return refuse(call, index, "keyFingerprint");
    }
    if (!copy_source(item, out->source)) {
        return refuse(call, index, "source");
    }
    if (!copy_since(item, &out->since)) {
        return refuse(call, index, "sinceTime");
    }
    if (!copy_number(item, "bytesIn", &out->bytes_in) ||
        !copy_number(item, "bytesOut", &out->bytes_out)) {
        return refuse(call, index, "bytesIn or bytesOut");
    }
    return copy_destinations(item, &out->destinations) ? OK : refuse(call, index, "destinations");
}

static err_t tell_read(struct call *call) {
    struct telling *own = call_own(call, sizeof *own, release);
    const json_t *sessions = NULL;
    TRY(call_read_u64(call, "epoch", CALL_OPTIONAL, &own->epoch));
    TRY(call_read_objects(call, "sessions", CALL_REQUIRED, LIMIT_GATE_SESSIONS_TOLD_COUNT,
                          &sessions));
    TRY(call_read_strings(call, "ended", CALL_OPTIONAL, LIMIT_GATE_SESSIONS_TOLD_COUNT,
                          GATE_SESSION_ID_CHARS, &own->ended));
    own->sessions = calloc(json_array_size(sessions) + 1, sizeof *own->sessions);
    if (own->sessions == NULL) {
        return call_ok(call, FAIL(ERR_MEMORY), "the sessions") ? OK : FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        TRY(read_session(call, json_array_get(sessions, i), i, &own->sessions[own->count++]));
    }
    return OK;
}

/* False: the call has a problem. */
static bool go_on(struct call *call, struct telling *own) {
    struct gate_sessions *all = call->authority->gate_sessions;
    entity_id gate = call->caller.host_id;
    if (own->epoch == 0) {
        own->epoch = random_u64() >> 1 | 1;
        return call_ok(
            call, gate_sessions_begin(all, gate, call->caller.host_name, own->epoch, call->now),
            "the sessions");
    }
    if (failed(gate_sessions_heard(all, gate, own->epoch, call->now))) {
        call_problem(call, 409, "begin_anew", "epoch",
                     "what this gate told before is not kept here any more: tell all that there "
                     "is, without an epoch");
        call_unrecorded(call);
    }
    return !call_refused(call);
}

static void tell_run(struct call *call) {
    struct telling *own = call_own(call, sizeof *own, release);
    struct gate_sessions *all = call->authority->gate_sessions;
    struct host gate;
    gate_sessions_expire(all, call->now);
    if (!host_call_require(call, HOST_JUMP, &gate) || !rate_spend(call, RATE_SESSIONS) ||
        !go_on(call, own)) {
        return;
    }
    for (size_t i = 0; i < json_array_size(own->ended); i++) {
        gate_sessions_end(all, gate.id, json_string_value(json_array_get(own->ended, i)));
    }
    for (size_t i = 0; i < own->count; i++) {
        err_t err = gate_sessions_put(all, gate.id, &own->sessions[i]);
        if (err.code == ERR_TOO_LONG) {
            call_problem(call, 422, "too_many_sessions", "sessions",
                         "the authority keeps no more sessions of this gate");
        }
        if (!call_ok(call, err, "the sessions")) {
            return;
        }
    }
    call_unrecorded(call); /* nothing that lasts */
    call_answer(call, 200, json_pack("{s:o}", "epoch", call_json_u64(own->epoch)));
}

/* ---- what administrators see ------------------------------------------------------------- */

struct listing {
    struct gate_session_filter filter;
    char id[GATE_SESSION_ID_CHARS + 1];
    json_t *list;
};

/* "ID@GATE"; *gate borrows. */
static err_t part_name(const char *name, char id[GATE_SESSION_ID_CHARS + 1], const char **gate) {
    if (strlen(name) <= GATE_SESSION_ID_CHARS || name[GATE_SESSION_ID_CHARS] != '@') {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(id, name, GATE_SESSION_ID_CHARS);
    id[GATE_SESSION_ID_CHARS] = '\0';
    *gate = name + GATE_SESSION_ID_CHARS + 1;
    return is_id(id) ? OK : FAIL(ERR_MALFORMED);
}

static err_t list_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct gate_session_filter *filter = &own->filter;
    const char *before = NULL;
    TRY(call_query_string(call, "account", LIMIT_ACCOUNT_NAME_CHARS, &filter->account));
    TRY(call_query_string(call, "gate", LIMIT_HOST_NAME_CHARS, &filter->gate));
    TRY(call_query_string(call, "before", NAME_CHARS, &before));
    if (before != NULL && failed(part_name(before, own->id, &filter->before_gate))) {
        call_problem(call, 400, "malformed", "before", "before is the id of a session, ID@GATE");
        return FAIL(ERR_MALFORMED);
    }
    filter->before_id = before == NULL ? NULL : own->id;
    return call_query_limit(call, &filter->max);
}

/* NULL: out of memory. */
static json_t *session_json(const struct gate_session *session) {
    char name[NAME_CHARS + 1];
    (void)snprintf(name, sizeof name, "%s@%s", session->id, session->gate);
    json_t *json = json_pack(
        "{s:s,s:s,s:s,s:s,s:o,s:o,s:I,s:I}", "id", name, "gate", session->gate, "account",
        session->account, "source", session->source, "sinceTime", call_json_time(session->since),
        "destinations", call_json_lines(session->destinations == NULL ? "" : session->destinations),
        "bytesIn", (json_int_t)session->bytes_in, "bytesOut", (json_int_t)session->bytes_out);
    if (json != NULL && session->serial != 0) {
        (void)json_object_set_new(json, "serialNumber", call_json_u64(session->serial));
    }
    if (json != NULL) {
        call_json_set_text(json, "keyFingerprint", session->fingerprint);
    }
    return json;
}

static err_t add_session(void *context, const struct gate_session *session) {
    return json_array_append_new(context, session_json(session)) == 0 ? OK : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct gate_sessions *all = call->authority->gate_sessions;
    gate_sessions_expire(all, call->now);
    own->list = json_array();
    if (call_ok(call, gate_sessions_list(all, &own->filter, add_session, own->list),
                "the sessions")) {
        call_answer(call, 200, json_pack("{s:o}", "sessions", own->list));
    } else {
        json_decref(own->list);
    }
}

/* ---- ending one -------------------------------------------------------------------------- */

static void cut_run(struct call *call) {
    const char *name = call_path(call, "id");
    const char *gate = NULL;
    char id[GATE_SESSION_ID_CHARS + 1], detail[128];
    struct gate_sessions *all = call->authority->gate_sessions;
    gate_sessions_expire(all, call->now);
    call_audit(call, name, true, "ok", NULL);
    const struct gate_session *session =
        failed(part_name(name, id, &gate)) ? NULL : gate_sessions_find(all, gate, id);
    if (session == NULL) {
        call_problem(call, 404, "not_found", "id", "no gate has a session %.300s (any more)", name);
        return;
    }
    (void)snprintf(detail, sizeof detail, "%s from %s", session->account, session->source);
    call_audit(call, name, true, "ok", detail);
    json_t *order = json_pack("{s:s}", "host", gate);
    if (!call_ok(call, order == NULL ? FAIL(ERR_MEMORY) : OK, "the order")) {
        return;
    }
    call_publish(call, CHANGE_CUT, id, order, NULL);
    call_answer(call, 200, json_pack("{s:o}", "session", session_json(session)));
}

const struct route gate_session_routes[] = {
    {HTTP_GET, "/api/v1/gate-sessions", ACCESS_ADMINISTRATOR, "gate_session.list", list_read,
     list_run, NULL},
    {HTTP_DELETE, "/api/v1/gate-sessions/{id}", ACCESS_ADMINISTRATOR, "gate_session.cut", NULL,
     cut_run, NULL},
    {HTTP_POST, "/api/v1/host/gate-sessions", ACCESS_HOST, "gate.sessions", tell_read, tell_run,
     NULL},
    {0},
};
