/*
 * What gates tell for the audit log: who was let in or refused, which channels were refused, which
 * sessions were cut. The rows are the gate's word: each names it as the target, and bears an action
 * that only this call writes.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/rate.h"
#include "authority/routes/host_call.h"
#include "base/clock.h"
#include "base/text.h"

enum { LATE_S = 10 }; /* older ones say when they were */

static const char *const actions[] = {"gate.login", "gate.channel", "gate.session"};

struct telling {
    struct audit events[LIMIT_AUDIT_EVENTS_COUNT];
    size_t count;
    int64_t dropped;
};

struct request {
    struct telling *telling;
};

static void release(void *own) { free(((struct request *)own)->telling); }

static err_t refuse(struct call *call, size_t index, const char *field) {
    call_problem(call, 422, "malformed", "events", "event %zu: %s is not what it must be",
                 index + 1, field);
    return FAIL(ERR_MALFORMED);
}

/* A text that can stand in a row; cut to what fits there. */
static err_t copy(const json_t *item, const char *field, char *out, size_t size) {
    const char *text = json_string_value(json_object_get(item, field));
    if (text == NULL || !text_is_utf8(span_str(text))) {
        return FAIL(ERR_MALFORMED);
    }
    size_t len = strlen(text);
    while (len >= size || (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)) {
        len--; /* not in the middle of a character */
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return OK;
}

static bool is_known(const char *action) {
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        if (strcmp(actions[i], action) == 0) {
            return true;
        }
    }
    return false;
}

static err_t copy_source(const json_t *item, char out[INET_CHARS]) {
    struct inet_address source;
    const char *text = json_string_value(json_object_get(item, "source"));
    TRY(text == NULL ? FAIL(ERR_MALFORMED) : inet_address_parse(span_str(text), &source));
    inet_address_print(&source, out);
    return OK;
}

/* The row's own time is when it was written, as the log's order is; one that waited says more. */
static err_t note_time(const struct call *call, const json_t *item, struct audit *row) {
    int64_t at;
    const char *text = json_string_value(json_object_get(item, "time"));
    TRY(text == NULL ? FAIL(ERR_MALFORMED) : time_parse(span_str(text), &at));
    if (call->now - at > LATE_S) {
        char when[TIME_CHARS];
        time_print_utc(at, when);
        size_t len = strlen(row->detail);
        (void)snprintf(row->detail + len, sizeof row->detail - len, "%sat %s", len == 0 ? "" : "; ",
                       when);
    }
    return OK;
}

static err_t read_event(struct call *call, const json_t *item, size_t index, struct audit *row) {
    const json_t *allowed = json_object_get(item, "allowed");
    if (failed(copy(item, "action", row->action, sizeof row->action)) || !is_known(row->action)) {
        return refuse(call, index, "action");
    }
    if (failed(copy(item, "actor", row->actor, sizeof row->actor))) {
        return refuse(call, index, "actor");
    }
    if (failed(copy(item, "code", row->code, sizeof row->code))) {
        return refuse(call, index, "code");
    }
    if (failed(copy(item, "detail", row->detail, sizeof row->detail - TIME_CHARS - 8))) {
        return refuse(call, index, "detail");
    }
    if (!json_is_boolean(allowed)) {
        return refuse(call, index, "allowed");
    }
    row->allowed = json_is_true(allowed);
    if (failed(copy_source(item, row->source))) {
        return refuse(call, index, "source");
    }
    return failed(note_time(call, item, row)) ? refuse(call, index, "time") : OK;
}

static err_t read(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    const json_t *events = NULL;
    int64_t dropped = 0;
    TRY(call_read_objects(call, "events", CALL_REQUIRED, LIMIT_AUDIT_EVENTS_COUNT, &events));
    TRY(call_read_int(call, "dropped", CALL_OPTIONAL, 0, INT64_MAX, &dropped));
    own->telling = calloc(1, sizeof *own->telling);
    if (own->telling == NULL) {
        return call_ok(call, FAIL(ERR_MEMORY), "the events") ? OK : FAIL(ERR_MEMORY);
    }
    own->telling->dropped = dropped;
    for (size_t i = 0; i < json_array_size(events); i++) {
        TRY(read_event(call, json_array_get(events, i), i,
                       &own->telling->events[own->telling->count++]));
    }
    return OK;
}

static bool append(struct call *call, struct audit *row) {
    row->at = call->now;
    (void)snprintf(row->target, sizeof row->target, "%s", call->caller.host_name);
    memcpy(row->request_id, call->request_id, sizeof row->request_id);
    return call_ok(call, store_audit_append(call_store(call), row), "the audit log");
}

static bool append_dropped(struct call *call, int64_t dropped) {
    struct audit row = {.action = "gate.events", .code = "dropped"};
    (void)snprintf(row.actor, sizeof row.actor, "host:%.42s", call->caller.host_name);
    (void)snprintf(row.detail, sizeof row.detail,
                   "%lld older events of this gate are not here: there were too many; its log has "
                   "them",
                   (long long)dropped);
    (void)snprintf(row.source, sizeof row.source, "%s", call->source_text);
    return append(call, &row);
}

static void run(struct call *call) {
    const struct request *own = call_own(call, sizeof *own, release);
    struct telling *telling = own->telling;
    struct host gate;
    if (!host_call_require(call, HOST_JUMP, &gate) || !rate_spend(call, RATE_EVENTS) ||
        (telling->dropped > 0 && !append_dropped(call, telling->dropped))) {
        return;
    }
    for (size_t i = 0; i < telling->count; i++) {
        if (!append(call, &telling->events[i])) {
            return;
        }
    }
    for (size_t i = 0; i < telling->count; i++) {
        tally_count(&call->authority->tallies, &telling->events[i]); /* now that all stay */
    }
    call_unrecorded(call); /* its rows are these */
    call_answer(call, 200, json_pack("{s:I}", "written", (json_int_t)telling->count));
}

const struct route gate_audit_routes[] = {
    {HTTP_POST, "/api/v1/host/audit", ACCESS_HOST, "gate.events", read, run, NULL},
    {0},
};
