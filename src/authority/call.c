/* A call from its request to its answer: the loop thread's part. */
#include "authority/call.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/metrics.h"
#include "authority/plumbing.h"
#include "authority/problem.h"
#include "authority/routes/feed_filter.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    FREE_CALLS_MAX = 256,   /* kept for reuse; what is beyond goes back to the heap */
    CALL_TEXT_KEPT = 16384, /* a larger answer's buffer is not kept with the call */
};

static int64_t monotonic_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- beginning and end ------------------------------------------------------------------- */

void call_free_all(struct authority *authority) {
    while (authority->free_calls != NULL) {
        struct call *call = authority->free_calls;
        authority->free_calls = call->next_free;
        buf_done(&call->text);
        free(call);
    }
}

/* One that nobody made yet. */
static err_t call_take(struct authority *authority, struct call **out) {
    struct call *call = authority->free_calls;
    if (call != NULL) {
        authority->free_calls = call->next_free;
        authority->free_call_count--;
    } else {
        call = calloc(1, sizeof *call);
        if (call == NULL) {
            return FAIL(ERR_MEMORY);
        }
        buf_init(&call->text, LIMIT_HTTP_ANSWER_BYTES);
    }
    call->authority = authority;
    call->started_us = monotonic_us();
    call->now = clock_now_s();
    (void)snprintf(call->request_id, sizeof call->request_id, "%s-%llx", authority->request_prefix,
                   (unsigned long long)++authority->next_request);
    authority->open_calls++;
    *out = call;
    return OK;
}

err_t call_begin(struct authority *authority, struct http_request *request, struct call **out) {
    struct call *call;
    TRY(call_take(authority, &call));
    call->request = request;
    call->source = http_request_source(request);
    inet_address_print(call->source, call->source_text);
    *out = call;
    return OK;
}

static void call_end(struct call *call) {
    struct authority *authority = call->authority;
    if (call->own_used && call->release != NULL) {
        call->release(call->own);
    }
    json_decref(call->body);
    json_decref(call->answer);
    feed_event_free(call->events);
    authority->open_calls--;
    struct buf text = call->text;
    if (authority->free_call_count >= FREE_CALLS_MAX || text.size > CALL_TEXT_KEPT) {
        buf_done(&call->text);
        secret_wipe(call, sizeof *call);
        free(call);
        return;
    }
    secret_wipe(text.data, text.len); /* it may have been a token or a private key */
    buf_clear(&text);
    if (call->own_used) {
        secret_wipe(call->own, call->own_size);
    }
    memset(call, 0, offsetof(struct call, own));
    call->text = text;
    call->next_free = authority->free_calls;
    authority->free_calls = call;
    authority->free_call_count++;
}

void *call_own(struct call *call, size_t size, void (*release)(void *own)) {
    INVARIANT(size <= CALL_OWN_BYTES);
    if (!call->own_used) {
        call->own_used = true;
        call->own_size = size;
        call->release = release;
    }
    return call->own;
}

const char *call_path(const struct call *call, const char *name) {
    size_t chars = strlen(name);
    for (size_t i = 0; i < call->path_count; i++) {
        if (call->path_name_chars[i] == chars && memcmp(call->path_names[i], name, chars) == 0) {
            return call->path_values[i];
        }
    }
    invariant_broken("the route's path has this parameter", __FILE__, __LINE__);
}

/* ---- the loop thread --------------------------------------------------------------------- */

static void submit(struct call *call);

static void on_work(struct work *work) {
    struct call *call = (struct call *)work;
    if (call->authority->late) {
        call_problem(call, 503, "overloaded", NULL, "the authority is stopping; try again");
    } else {
        call->next_work(call);
    }
}

static void on_work_done(struct work *work) {
    struct call *call = (struct call *)work;
    call->next_work = NULL;
    if (call->next_run != NULL) {
        submit(call);
    } else if (!call_refused(call) && call->route->finish != NULL) {
        call->route->finish(call);
    } else {
        call_send(call);
    }
}

static void submit_work(struct call *call) {
    call->work.run = on_work;
    call->work.done = on_work_done;
    if (failed(worker_submit(call->worker, &call->work))) {
        call_problem(call, 503, "overloaded", NULL, "the authority is busy; try again in a moment");
        call_retry_after(call, 2);
        call_send(call);
    }
}

static void wake_feed(struct call *call) {
    if (call->published) {
        feed_wake(call->authority->feed, call->events);
        call_forget_events(call);
    }
}

static void on_run_done(struct work *work) {
    struct call *call = (struct call *)work;
    wake_feed(call);
    if (call->next_work != NULL) {
        submit_work(call);
    } else if (!call_refused(call) && call->route->finish != NULL) {
        call->route->finish(call);
    } else {
        call_send(call);
    }
}

static void submit(struct call *call) {
    call->work.run = call_run;
    call->work.done = on_run_done;
    call->audited = false;
    if (failed(worker_submit(call->authority->store_worker, &call->work))) {
        call_problem(call, 503, "overloaded", NULL, "the authority is busy; try again in a moment");
        call_retry_after(call, 2);
        call_send(call);
    }
}

void call_defer(struct call *call, void (*work)(struct call *call),
                void (*then)(struct call *call)) {
    call->worker = call->authority->hash_worker;
    call->next_work = work;
    call->next_run = then;
}

void call_defer_to_issuer(struct call *call, void (*work)(struct call *call),
                          void (*then)(struct call *call)) {
    call_defer(call, work, then);
    call->worker = call->authority->issuer_worker;
}

void call_again(struct call *call, void (*run)(struct call *call)) {
    call->next_run = run;
    call->next_work = NULL;
    submit(call);
}

void call_dispatch(struct call *call, const struct route *route) {
    call->route = route;
    call->next_run = route->run;
    if (call_parse_body(call) && route->read != NULL) {
        err_t err = route->read(call);
        INVARIANT(!failed(err) || call_refused(call));
    }
    if (!call_refused(call)) {
        call_refuse_unread(call);
    }
    if (route->run == NULL && route->access == ACCESS_PUBLIC && call->next_work == NULL) {
        if (!call_refused(call) && route->finish != NULL) {
            route->finish(call);
        } else {
            call_send(call);
        }
        return;
    }
    if (route->access != ACCESS_PUBLIC) {
        call_take_bearer(call);
    }
    if (call->next_work != NULL && !call_refused(call)) {
        INVARIANT(route->access == ACCESS_PUBLIC); /* others are judged first */
        submit_work(call);
        return;
    }
    submit(call);
}

static void on_system_done(struct work *work) {
    struct call *call = (struct call *)work;
    wake_feed(call);
    if (call_refused(call)) {
        log_event(LOG_LEVEL_ERROR, "system_call_failed", "action", call->route->action, "reason",
                  call->problem.message, NULL);
    }
    call->route->finish(call);
    call_end(call);
}

err_t call_system(struct authority *authority, const struct route *route) {
    struct call *call;
    TRY(call_take(authority, &call));
    call->route = route;
    call->next_run = route->run;
    call_actor(call, "system");
    call->work.run = call_run;
    call->work.done = on_system_done;
    err_t err = worker_submit(authority->store_worker, &call->work);
    if (failed(err)) {
        call_end(call);
    }
    return err;
}

/* ---- answers ----------------------------------------------------------------------------- */

void call_answer(struct call *call, unsigned status, json_t *json) {
    if (json == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
        return;
    }
    json_decref(call->answer);
    call->answer = json;
    call->status = status;
}

void call_answer_text(struct call *call, unsigned status, const char *content_type) {
    call->text_type = content_type;
    call->status = status;
}

static int dump_to_buf(const char *bytes, size_t len, void *context) {
    return failed(buf_add(context, span_of(bytes, len))) ? -1 : 0;
}

void call_send(struct call *call) {
    if (!call_refused(call) && call->answer != NULL) {
        buf_clear(&call->text);
        if (json_dump_callback(call->answer, dump_to_buf, &call->text, JSON_COMPACT) != 0) {
            (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
        }
        call->text_type = "application/json";
    }
    if (!call_refused(call) && call->status == 0) {
        log_event(LOG_LEVEL_ERROR, "route_without_answer", "action", call->route->action, NULL);
        call_problem(call, 500, "internal", NULL, "the authority made no answer; see its log");
    }
    if (call_refused(call)) {
        problem_write(call);
    }
    (void)problem_add_header(call, "X-Request-Id", call->request_id);
    metrics_count_call(call, monotonic_us() - call->started_us);
    http_answer(call->request, call->status, call->text_type, buf_span(&call->text));
    call_end(call);
}
