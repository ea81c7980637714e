/*
 * A call on the store thread: its access, what its route does between a mark and the keeping or
 * undoing of it, and its audit row.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/plumbing.h"
#include "authority/problem.h"
#include "authority/rate.h"
#include "authority/routes/feed_filter.h"
#include "base/clock.h"

/* ---- audit and events -------------------------------------------------------------------- */

static void copy_printable(char *to, size_t size, const char *from) {
    size_t i = 0;
    for (; from[i] != '\0' && i + 1 < size; i++) {
        to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
    }
    to[i] = '\0';
}

void call_actor(struct call *call, const char *actor) {
    copy_printable(call->audit.actor, sizeof call->audit.actor, actor);
}

void call_audit(struct call *call, const char *target, bool allowed, const char *code,
                const char *detail) {
    struct audit *audit = &call->audit;
    call->audited = true;
    audit->allowed = allowed;
    copy_printable(audit->target, sizeof audit->target, target != NULL ? target : "");
    copy_printable(audit->code, sizeof audit->code, code);
    copy_printable(audit->detail, sizeof audit->detail, detail != NULL ? detail : "");
}

void call_unrecorded(struct call *call) { call->unrecorded = true; }

void call_on_behalf(struct call *call, const struct inet_address *source) {
    INVARIANT(call->caller.is_host);
    inet_address_print(source, call->source_text);
}

static void complete_audit(struct call *call) {
    struct audit *audit = &call->audit;
    audit->at = clock_now_s();
    if (call_refused(call)) {
        if (!call->audited || audit->allowed) {
            char target[sizeof audit->target];
            memcpy(target, audit->target, sizeof target);
            call_audit(call, target, false, call->problem.code, call->problem.message);
        }
    } else if (!call->audited) {
        call_audit(call, call->path_count > 0 ? call->path_values[0] : "", true, "ok", NULL);
    }
    if (audit->actor[0] == '\0') {
        if (call->caller.is_account) {
            call_actor(call, call->caller.account.name);
        } else if (call->caller.is_host) {
            (void)snprintf(audit->actor, sizeof audit->actor, "host:%.42s", call->caller.host_name);
        } else {
            call_actor(call, "anonymous");
        }
    }
    (void)snprintf(audit->action, sizeof audit->action, "%s", call->route->action);
    memcpy(audit->source, call->source_text, sizeof audit->source);
    memcpy(audit->request_id, call->request_id, sizeof audit->request_id);
}

/* Whether the call leaves a row: everything but plain reads that were allowed. */
static bool leaves_row(const struct call *call) {
    if (call->unrecorded) {
        return false;
    }
    if (call->audited || call_refused(call)) {
        return true;
    }
    return call->route->method != HTTP_GET && call->next_work == NULL;
}

/* ---- what is told to gates and hosts ----------------------------------------------------- */

void call_forget_events(struct call *call) {
    feed_event_free(call->events);
    call->events = call->last_event = NULL;
    call->published = false;
}

/* Keeps what was published for those who wait. */
static err_t append_event(struct call *call, const char *kind, const char *key, const json_t *state,
                          const char *text) {
    uint64_t revision;
    struct feed_event *event;
    TRY(store_event_append(call_store(call), kind, key, text, clock_now_s(), &revision));
    TRY(feed_event_new(revision, kind, key, state, &event));
    *(call->events == NULL ? &call->events : &call->last_event->next) = event;
    call->last_event = event;
    call->published = true;
    return OK;
}

void call_publish(struct call *call, const char *kind, const char *key, json_t *state,
                  json_t *audience) {
    json_t *whole CLEANUP(json_decrefp) = state == NULL && audience != NULL ? json_object() : state;
    char *text CLEANUP(freep) = NULL;
    bool made = audience == NULL || json_object_set_new(whole, "for", audience) == 0;
    text = !made           ? NULL
           : whole == NULL ? strdup("")
                           : json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS);
    err_t err = text == NULL ? FAIL(ERR_MEMORY) : append_event(call, kind, key, whole, text);
    (void)call_ok(call, err, NULL);
}

void call_forget_bearers(struct call *call) { bearer_cache_forget(call->authority->bearers); }

struct store *call_store(struct call *call) {
    return call->authority->store;
}

void call_keep_writes(struct call *call) { call->keep_writes = true; }

/* ---- the transaction --------------------------------------------------------------------- */

/* A store that fails here takes the whole batch with it. */
static bool store_ok(struct call *call, err_t err) {
    if (failed(err)) {
        call->authority->batch_err = err;
    }
    return !failed(err);
}

static void run_in_mark(struct call *call, void (*run)(struct call *call)) {
    struct store *store = call_store(call);
    if (!store_ok(call, store_mark(store))) {
        return;
    }
    call_authenticate(call);
    bool plain_read = call->route->method == HTTP_GET && !call_refused(call);
    if ((plain_read || rate_spend(call, RATE_CALLS)) && !call_refused(call) && run != NULL) {
        run(call);
    }
    if (plain_read && call_refused(call)) {
        (void)rate_spend(call, RATE_CALLS); /* it leaves a row after all */
    }
    if (failed(call->authority->batch_err)) {
        return;
    }
    bool undo = call_refused(call) && !call->keep_writes;
    if (undo) {
        call_forget_events(call);
        call->next_work = NULL;
    }
    if (!store_ok(call, undo ? store_undo(store) : store_keep(store))) {
        return;
    }
    if (leaves_row(call)) {
        complete_audit(call);
        call->wrote_audit = true;
        tally_count(&call->authority->tallies, &call->audit);
        (void)store_ok(call, store_audit_append(store, &call->audit));
    }
}

void call_run(struct work *work) {
    struct call *call = (struct call *)work;
    struct authority *authority = call->authority;
    call->refused_before = call_refused(call);
    call->batch_next = authority->batch_calls;
    authority->batch_calls = call;
    if (failed(authority->batch_err)) {
        return; /* the batch is lost; batch_after() tells each of its calls */
    }
    run_in_mark(call, call->next_run);
}

void call_lost(struct call *call, err_t err) {
    call->problem.status = 0;
    call_forget_events(call);
    call->next_work = NULL;
    call->status = 0;
    json_decref(TAKE(call->answer));
    buf_clear(&call->text);
    problem_from_err(call, err);
}

bool call_run_alone(struct call *call) {
    if (call->route->method != HTTP_GET || call->wrote_audit) {
        return false;
    }
    if (!call->refused_before) {
        call->problem.status = 0;
    }
    json_decref(TAKE(call->answer));
    buf_clear(&call->text);
    run_in_mark(call, call->next_run);
    /* What a GET did beyond reading (a browser that comes back from an issuer gets a session) goes
     * with this transaction: it must neither be answered nor told to hosts. */
    return call_refused(call) || !call->wrote_audit;
}
