#include "authority/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/browser.h"
#include "authority/metrics.h"
#include "authority/plumbing.h"
#include "authority/problem.h"
#include "authority/rate.h"
#include "authority/routes/feed_filter.h"
#include "authority/routes/login.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum {
    FREE_CALLS_MAX = 256,   /* kept for reuse; what is beyond goes back to the heap */
    CALL_TEXT_KEPT = 16384, /* a larger answer's buffer is not kept with the call */
    FAILED_BEARER_RETRY_S = 10,
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

struct store *call_store(struct call *call) {
    return call->authority->store;
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

void call_keep_writes(struct call *call) { call->keep_writes = true; }

static void forget_events(struct call *call) {
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

void call_on_behalf(struct call *call, const struct inet_address *source) {
    INVARIANT(call->caller.is_host);
    inet_address_print(source, call->source_text);
}

void call_forget_bearers(struct call *call) { bearer_cache_forget(call->authority->bearers); }

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

/* ---- the store thread -------------------------------------------------------------------- */

static void refuse_bearer(struct call *call) {
    int retry_after_s;
    struct authority *authority = call->authority;
    span_t key = login_guard_key(call->source);
    if (!throttle_allow(authority->failed_bearers, key, clock_monotonic_ms(), &retry_after_s)) {
        /* No audit row: whoever has no bearer must not be able to fill the disk. */
        call_problem(call, 429, "too_many_requests", NULL,
                     "too many requests without a valid login from this address; try again in %d s",
                     retry_after_s);
        call_retry_after(call, retry_after_s);
        call->unrecorded = true;
        return;
    }
    if (call->forged) {
        call_problem(call, 403, "cross_site", NULL,
                     "this browser's session counts for requests of the pages at %s alone; open "
                     "the page again",
                     authority->config->public_url);
        return;
    }
    call_problem(call, 401, "not_logged_in", NULL, "%s",
                 call->route->access == ACCESS_HOST || call->bearer_is_host
                     ? "this host is not enrolled here, or its token is no longer valid; run: "
                       "postern-host join"
                     : "you are not logged in, or the login has expired; run: postern login");
}

static void judge_access(struct call *call) {
    const struct caller *caller = &call->caller;
    switch (call->route->access) {
    case ACCESS_PUBLIC:
        return;
    case ACCESS_HOST:
        if (!caller->is_host) {
            refuse_bearer(call);
        }
        return;
    case ACCESS_ACCOUNT_OR_HOST:
        if (caller->is_host) {
            return;
        }
        __attribute__((fallthrough));
    case ACCESS_ACCOUNT:
    case ACCESS_ADMINISTRATOR:
        if (!caller->is_account) {
            refuse_bearer(call);
        } else if (caller->account.disabled) {
            call_problem(call, 403, "account_disabled", NULL,
                         "the account %s is disabled; ask your site's administrators",
                         caller->account.name);
        } else if (!subnet_list_allows(&caller->bounds.subnets, call->source)) {
            call_problem(call, 403, "source_refused", NULL, "this API key may not be used from %s",
                         call->source_text);
        } else if (call->route->access == ACCESS_ADMINISTRATOR && !caller->account.administrator) {
            call_problem(call, 403, "not_permitted", NULL, "only administrators may do this");
        }
        return;
    case ACCESS_NONE:
        break;
    }
    call_problem(call, 403, "not_permitted", NULL, "nobody may do this");
}

/*
 * Access comes before what is wrong with the body: who is not logged in learns that first, and
 * learns nothing else.
 */
static void authenticate(struct call *call) {
    struct problem read_problem = call->problem;
    call->problem.status = 0;
    call->caller = (struct caller){0}; /* who it was in an earlier run() does not count any more */
    if (call->route->access != ACCESS_PUBLIC && call->bearer_hash[0] != '\0') {
        err_t err = call->bearer_is_host
                        ? bearer_find_host(call->authority, call->bearer_hash, &call->caller)
                        : bearer_find_account(call->authority, call->bearer_hash, call->bearer_use,
                                              clock_now_s(), &call->caller);
        if (err.code != ERR_NOT_FOUND && !call_ok(call, err, NULL)) {
            return;
        }
    }
    judge_access(call);
    if (!call_refused(call)) {
        call->problem = read_problem;
    }
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
    authenticate(call);
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
        forget_events(call);
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

static void on_run(struct work *work) {
    struct call *call = (struct call *)work;
    struct authority *authority = call->authority;
    call->batch_next = authority->batch_calls;
    authority->batch_calls = call;
    if (failed(authority->batch_err)) {
        return; /* the batch is lost; batch_after() tells each of its calls */
    }
    run_in_mark(call, call->next_run);
}

void call_lost(struct call *call, err_t err) {
    call->problem.status = 0;
    forget_events(call);
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
    call->problem.status = 0;
    json_decref(TAKE(call->answer));
    buf_clear(&call->text);
    run_in_mark(call, call->next_run);
    return true;
}

/* ---- the loop thread --------------------------------------------------------------------- */

static void submit(struct call *call);

static void on_work(struct work *work) {
    struct call *call = (struct call *)work;
    call->next_work(call);
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
    if (failed(worker_submit(call->authority->hash_worker, &call->work))) {
        call_problem(call, 503, "overloaded", NULL, "the authority is busy; try again in a moment");
        call_retry_after(call, 2);
        call_send(call);
    }
}

static void wake_feed(struct call *call) {
    if (call->published) {
        feed_wake(call->authority->feed, call->events);
        forget_events(call);
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
    call->work.run = on_run;
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
    call->next_work = work;
    call->next_run = then;
}

void call_again(struct call *call, void (*run)(struct call *call)) {
    call->next_run = run;
    call->next_work = NULL;
    submit(call);
}

/* A token of either kind; the route's access says where it is looked up. A browser's session counts
 * only where there is no other credential. */
static void take_bearer(struct call *call) {
    const char *header = http_request_header(call->request, "authorization");
    enum access access = call->route->access;
    span_t token;
    if (header == NULL && access != ACCESS_HOST) {
        call->bearer_use = SESSION_BROWSER;
        call->forged = !browser_take_session(call, call->bearer_hash);
        return;
    }
    if (header == NULL || failed(token_from_header(header, &token))) {
        return;
    }
    call->bearer_use = SESSION_BEARER;
    bool either = access == ACCESS_ACCOUNT_OR_HOST;
    bool taken = false;
    if (access != ACCESS_HOST) {
        taken = !failed(token_hash(TOKEN_SESSION, token, call->bearer_hash));
    }
    if (access == ACCESS_HOST || (either && !taken)) {
        taken = call->bearer_is_host = !failed(token_hash(TOKEN_HOST, token, call->bearer_hash));
    }
    if (!taken) {
        call->bearer_hash[0] = '\0';
    }
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
    if (route->run == NULL && route->access == ACCESS_PUBLIC) {
        if (!call_refused(call) && route->finish != NULL) {
            route->finish(call);
        } else {
            call_send(call);
        }
        return;
    }
    if (route->access != ACCESS_PUBLIC) {
        take_bearer(call);
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
    call->work.run = on_run;
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

/* ---- certificates ------------------------------------------------------------------------ */

static void on_signature(void *context, err_t err, span_t signature) {
    struct call *call = context;
    struct cert *cert = call->certs[call->cert_count - call->cert_pending];
    if (!failed(err) && !failed(call->cert_err)) {
        err = cert_attach_signature_unchecked(cert, signature);
    }
    if (failed(err)) {
        call->cert_err = err;
    }
    if (--call->cert_pending > 0) {
        return;
    }
    if (!failed(call->cert_err)) {
        call->certified(call);
        return;
    }
    log_error("signing_failed", call->cert_err, "request", call->request_id, NULL);
    call_problem(call, 503, "signer_unavailable", NULL,
                 "the signer is not available at the moment; nothing was signed");
    call_retry_after(call, 2);
    call_send(call);
}

/* Answers come in the order of the questions, so that counting them tells whose each one is. */
void call_certify(struct call *call, struct cert **certs, size_t count,
                  void (*then)(struct call *call)) {
    INVARIANT(count > 0);
    struct signer_client *signer = call->authority->signer;
    for (size_t i = 0; i < count; i++) {
        struct signer_keys keys = signer_client_keys(signer, certs[i]->type);
        if (keys.count == 0 || !call_ok(call, cert_prepare(certs[i], keys.keys[0]), NULL)) {
            call_problem(call, 503, "signer_unavailable", NULL, "there is no CA key for this");
            call_send(call);
            return;
        }
    }
    call->certs = certs;
    call->cert_count = call->cert_pending = count;
    call->cert_err = OK;
    call->certified = then;
    for (size_t i = 0; i < count; i++) {
        signer_client_sign(signer, certs[i]->type, cert_tbs(certs[i]), on_signature, call);
    }
}
