/*
 * The feed: a long poll that is answered the moment something changed.
 *
 * Invariants:
 *   1. A call waits only if nothing was published since it looked: feed_wakes() is noted on the
 *      loop thread before the look, and a call that finds another number looks again.
 *   2. Whoever waits is on the list, and nobody else; the list is in the order of deadlines.
 *   3. A call that is woken is judged anew: a host that was removed meanwhile learns nothing.
 *   4. Whoever waits has been told, or need not know, every change up to its `since`: a change that
 *      is not its business moves that on and leaves it waiting.
 */
#include <stdio.h>

#include "authority/host_reports.h"
#include "authority/problem.h"
#include "authority/rate.h"
#include "authority/routes/feed_answer.h"
#include "authority/routes/feed_state.h"
#include "authority/routes/publish.h"
#include "base/clock.h"
#include "feed/change.h"

enum {
    TICK_MS = 500,
    SEEN_EVERY_S = 60, /* how exact a host's "seen" is; each note of it is a write */
    HOST_BUCKETS_COUNT = 4096,
};

struct poll {
    struct call *call;
    struct feed_reader reader;            /* who asks, as of the last look */
    char version[HOST_VERSION_CHARS + 1]; /* what the host says of itself */
    bool has_sessions;
    uint64_t sessions;
    bool seen; /* by the first look */
    bool has_since;
    bool has_cursor; /* of a snapshot that it has begun */
    struct snapshot_cursor cursor;
    char next[FEED_NEXT_CHARS]; /* what brings the page after the answer's; "": none */
    uint64_t since;             /* moves on while it waits, past what is not its business */
    uint64_t wakes;
    int64_t deadline_ms;
    bool waiting;
    bool gone;
    struct poll *earlier, *later;
};

struct feed {
    struct authority *authority;
    struct timer *timer;
    struct poll *first, *last;
    size_t waiting;
    uint32_t waiting_by_host[HOST_BUCKETS_COUNT]; /* by id; hosts that share a bucket add up */
    uint64_t wakes;
    uint64_t woken;
    bool stopping;
    struct site_document site;
    struct feed_answers *answers; /* store */
};

uint64_t feed_wakes(const struct feed *feed) { return feed->wakes; }

struct site_document *feed_site(struct feed *feed) {
    return &feed->site;
}

size_t feed_waiting(const struct feed *feed) { return feed->waiting; }

uint64_t feed_woken(const struct feed *feed) { return feed->woken; }

/* ---- the store thread -------------------------------------------------------------------- */

static bool note_seen(struct call *call, struct host *host) {
    if (call->now - host->seen_at < SEEN_EVERY_S) {
        return true;
    }
    host->seen_at = call->now;
    return call_ok(call, store_host_update(call_store(call), host), "the host");
}

/* Whose job it came with; "" for other hosts. */
static bool find_account(struct call *call, const struct host *host, char *out) {
    struct store *store = call_store(call);
    struct job job;
    struct account account = {.name = ""};
    if (host->role == HOST_JOB &&
        (!call_ok(call, store_job_get(store, host->job_id, &job), "the host's job") ||
         !call_ok(call, store_account_get(store, job.account_id, &account), "the job's account"))) {
        return false;
    }
    memcpy(out, account.name, sizeof account.name);
    return true;
}

static bool find_reader(struct call *call, struct feed_reader *out) {
    struct host host;
    struct cluster cluster = {.id = 0};
    struct store *store = call_store(call);
    if (!call_ok(call, store_host_get(store, call->caller.host_id, &host), "the host") ||
        !note_seen(call, &host) ||
        (host.cluster_id != 0 &&
         !call_ok(call, store_cluster_get(store, host.cluster_id, &cluster), "the cluster")) ||
        !find_account(call, &host, out->account)) {
        return false;
    }
    out->role = host.role;
    memcpy(out->cluster, cluster.name, sizeof out->cluster);
    memcpy(out->name, host.name, sizeof out->name);
    return true;
}

/* A poll that asks for what comes after an answer has that answer. */
static void note_poll(const struct call *call, const struct poll *poll, uint64_t since,
                      struct host_report *report) {
    memcpy(report->version, poll->version, sizeof report->version);
    report->has_sessions = poll->has_sessions;
    report->sessions = (uint32_t)poll->sessions;
    report->seen_at = call->now;
    if (poll->has_since && since == report->told_revision) {
        report->current_at = report->told_at;
    }
}

/* What comes of a look, of which the host may have seen nothing yet. */
static void note_outcome(struct call *call, struct poll *poll, uint64_t since, uint64_t newest) {
    struct host_report *report;
    int64_t now = clock_now_s();
    /* Without memory for it nobody sees how the host is, which is no reason to tell it less. */
    if (failed(host_reports_take(call->authority->host_reports, call->caller.host_id, &report))) {
        return;
    }
    if (!poll->seen) {
        note_poll(call, poll, since, report);
        poll->seen = true;
    }
    if (call->status == 0) {
        report->current_at = now; /* it waits, and has all */
    } else if (poll->next[0] == '\0') {
        report->told_revision = newest;
        report->told_at = now;
    }
}

/* The first page, or the one that was asked for. */
static err_t answer_page(struct call *call, struct poll *poll, uint64_t newest) {
    buf_clear(&call->text);
    return feed_answer_page(call->authority, call->authority->feed->answers, &poll->reader,
                            poll->has_cursor ? &poll->cursor : NULL, newest, call->now, poll->next,
                            &call->text);
}

static void refuse_cursor(struct call *call) {
    call_problem(call, 410, "snapshot_gone", "after",
                 "what has changed since this snapshot was begun, or what it stands at, is not "
                 "kept any more; begin a new one, without snapshot and after");
}

static void look_at_page(struct call *call, struct poll *poll, uint64_t newest, uint64_t oldest) {
    if (poll->cursor.revision == 0 || poll->cursor.revision > newest ||
        poll->cursor.revision + 1 < oldest) {
        refuse_cursor(call);
        return;
    }
    if (!rate_spend(call, RATE_PAGES)) {
        return;
    }
    err_t err = answer_page(call, poll, newest);
    if (err.code == ERR_NOT_FOUND) {
        refuse_cursor(call);
    } else if (call_ok(call, err, "the feed")) {
        call_answer_text(call, 200, "application/json");
    }
}

static void look_at_changes(struct call *call, struct poll *own, uint64_t newest, uint64_t oldest) {
    bool snapshot = !own->has_since || own->since > newest || own->since + 1 < oldest ||
                    newest - own->since > LIMIT_FEED_EVENTS_COUNT;
    enum feed_outcome outcome = snapshot ? FEED_ANEW : FEED_NOTHING;
    err_t err = OK;
    if (!snapshot && own->since < newest) {
        buf_clear(&call->text);
        err = feed_answer_events(call->authority, call->authority->feed->answers, &own->reader,
                                 own->since, newest, &outcome, &call->text);
    }
    if (!failed(err) && outcome == FEED_ANEW) {
        if (!rate_spend(call, RATE_SNAPSHOTS)) {
            return;
        }
        err = answer_page(call, own, newest);
    }
    if (!call_ok(call, err, "the feed")) {
        return;
    }
    if (outcome == FEED_NOTHING) {
        own->since = newest; /* finish() makes it wait */
    } else {
        call_answer_text(call, 200, "application/json");
    }
}

static void look(struct call *call) {
    struct poll *own = call_own(call, sizeof *own, NULL);
    uint64_t newest = 0, oldest = 0;
    uint64_t since = own->since;
    if (!find_reader(call, &own->reader) ||
        !call_ok(call, store_event_revision(call_store(call), &newest, &oldest), "the feed")) {
        return;
    }
    if (own->has_cursor) {
        look_at_page(call, own, newest, oldest);
    } else {
        look_at_changes(call, own, newest, oldest);
    }
    if (!call_refused(call)) {
        note_outcome(call, own, since, newest);
    }
}

/* ---- the loop thread --------------------------------------------------------------------- */

static uint32_t *bucket_of(struct feed *feed, const struct poll *poll) {
    return &feed->waiting_by_host[(uint64_t)poll->call->caller.host_id % HOST_BUCKETS_COUNT];
}

static void leave_list(struct feed *feed, struct poll *poll) {
    INVARIANT(poll->waiting);
    *(poll->earlier == NULL ? &feed->first : &poll->earlier->later) = poll->later;
    *(poll->later == NULL ? &feed->last : &poll->later->earlier) = poll->earlier;
    poll->earlier = poll->later = NULL;
    poll->waiting = false;
    feed->waiting--;
    --*bucket_of(feed, poll);
}

static void answer_nothing(struct poll *poll);

/* A host needs one poll, and leaves some behind when its network breaks; each of them costs a look
 * at every change. */
static void bound_polls(struct feed *feed, const struct poll *newest) {
    struct poll *oldest = NULL;
    size_t count = 0;
    if (*bucket_of(feed, newest) <= LIMIT_FEED_POLLS_COUNT) {
        return;
    }
    for (struct poll *poll = feed->first; poll != NULL; poll = poll->later) {
        if (poll->call->caller.host_id == newest->call->caller.host_id) {
            oldest = oldest == NULL ? poll : oldest;
            count++;
        }
    }
    if (count > LIMIT_FEED_POLLS_COUNT) {
        leave_list(feed, oldest);
        answer_nothing(oldest);
    }
}

static void join_list(struct feed *feed, struct poll *poll) {
    INVARIANT(!poll->waiting);
    poll->earlier = feed->last;
    poll->later = NULL;
    *(feed->last == NULL ? &feed->first : &feed->last->later) = poll;
    feed->last = poll;
    poll->waiting = true;
    feed->waiting++;
    ++*bucket_of(feed, poll);
    bound_polls(feed, poll);
}

/* Nothing changed for as long as a poll may last. */
static void answer_nothing(struct poll *poll) {
    struct call *call = poll->call;
    buf_clear(&call->text);
    err_t err = change_answer_begin(&call->text, poll->since, false);
    err = failed(err) ? err : change_answer_end(&call->text);
    if (call_ok(call, err, "the feed")) {
        call_answer_text(call, 200, "application/json");
    }
    call_send(call);
}

static void look_again(struct feed *feed, struct poll *poll) {
    poll->wakes = feed->wakes;
    call_again(poll->call, look);
}

static void on_gone(void *context, struct http_request *request) {
    (void)request;
    struct poll *poll = context;
    struct feed *feed = poll->call->authority->feed;
    poll->gone = true;
    if (poll->waiting) {
        leave_list(feed, poll);
        answer_nothing(poll);
    }
}

static err_t read_cursor(struct call *call, struct poll *own) {
    const char *after = http_request_query(call->request, "after");
    bool has_snapshot = http_request_query(call->request, "snapshot") != NULL;
    if (after == NULL && !has_snapshot) {
        return OK;
    }
    if (after == NULL || !has_snapshot || own->has_since ||
        failed(snapshot_cursor_parse(span_str(after), &own->cursor))) {
        call_problem(call, 400, "malformed", "after",
                     "a page is asked for by the revision of the first as snapshot, and as after "
                     "what the one before it told as next");
        return FAIL(ERR_MALFORMED);
    }
    own->has_cursor = true;
    return call_query_u64(call, "snapshot", INT64_MAX, &own->cursor.revision);
}

/* What the host says of itself. */
static err_t read_report(struct call *call, struct poll *own) {
    const char *version = NULL;
    TRY(call_query_string(call, "version", HOST_VERSION_CHARS, &version));
    (void)snprintf(own->version, sizeof own->version, "%s", version == NULL ? "" : version);
    own->has_sessions = http_request_query(call->request, "sessions") != NULL;
    return call_query_u64(call, "sessions", UINT32_MAX, &own->sessions);
}

static err_t read(struct call *call) {
    struct poll *own = call_own(call, sizeof *own, NULL);
    own->call = call;
    own->has_since = http_request_query(call->request, "since") != NULL;
    own->wakes = call->authority->feed->wakes;
    own->deadline_ms = clock_monotonic_ms() + 1000LL * LIMIT_HTTP_LONG_POLL_S;
    TRY(call_query_u64(call, "since", INT64_MAX, &own->since));
    TRY(read_cursor(call, own));
    TRY(read_report(call, own));
    http_request_on_gone(call->request, on_gone, own);
    return OK;
}

/* Where the next page is stands before this one, so that a host may ask for it before it reads this
 * one, and we make it meanwhile. */
static void say_next(const struct poll *poll) {
    char link[FEED_NEXT_CHARS + 16];
    if (poll->next[0] != '\0') {
        (void)snprintf(link, sizeof link, "<%s>; rel=\"next\"", poll->next);
        (void)problem_add_header(poll->call, "Link", link);
    }
}

static void finish(struct call *call) {
    struct poll *own = call_own(call, sizeof *own, NULL);
    struct feed *feed = call->authority->feed;
    if (call->status != 0) {
        say_next(own);
        call_send(call);
    } else if (own->gone || feed->stopping || clock_monotonic_ms() >= own->deadline_ms) {
        answer_nothing(own);
    } else if (own->wakes != feed->wakes) {
        look_again(feed, own);
    } else {
        join_list(feed, own);
    }
}

/* Whether a poll that waits must look: one that is behind cannot be judged by these alone. */
static bool is_concerned(struct poll *poll, const struct feed_event *events) {
    for (const struct feed_event *event = events; event != NULL; event = event->next) {
        if (event->revision <= poll->since) {
            continue;
        }
        if (event->revision != poll->since + 1 ||
            feed_judge(event, &poll->reader).verdict != FEED_SKIP) {
            return true;
        }
        poll->since = event->revision;
    }
    return false;
}

void feed_wake(struct feed *feed, const struct feed_event *events) {
    feed->wakes++;
    for (struct poll *poll = feed->first, *later; poll != NULL; poll = later) {
        later = poll->later;
        if (is_concerned(poll, events)) {
            leave_list(feed, poll);
            feed->woken++;
            look_again(feed, poll);
        }
    }
}

/*
 * The list is in the order of arrival but for those that were woken for nothing and wait again,
 * whose deadline may be nearer; they are found here all the same, a little later.
 */
static void on_tick(void *context) {
    struct feed *feed = context;
    int64_t now_ms = clock_monotonic_ms();
    for (struct poll *poll = feed->first, *later; poll != NULL; poll = later) {
        later = poll->later;
        if (poll->deadline_ms <= now_ms) {
            leave_list(feed, poll);
            answer_nothing(poll);
        }
    }
}

void feed_stop(struct feed *feed) {
    feed->stopping = true;
    while (feed->first != NULL) {
        struct poll *poll = feed->first;
        leave_list(feed, poll);
        answer_nothing(poll);
    }
}

err_t feed_new(struct authority *authority, struct feed **out) {
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return FAIL(ERR_MEMORY);
    }
    feed->authority = authority;
    buf_init(&feed->site.text, LIMIT_HTTP_ANSWER_BYTES);
    err_t err = feed_answers_new(&feed->answers);
    err = failed(err) ? err
                      : timer_start(authority->loop, TICK_MS, TICK_MS, on_tick, feed, &feed->timer);
    if (failed(err)) {
        feed_free(feed);
        return err;
    }
    *out = feed;
    return OK;
}

void feed_free(struct feed *feed) {
    if (feed != NULL) {
        timer_stop(feed->timer);
        feed_answers_free(feed->answers);
        buf_done(&feed->site.text);
        free(feed);
    }
}

/* ---- CA keys ----------------------------------------------------------------------------- */

static err_t gather_cas(struct authority *authority, enum cert_type type, json_t *out) {
    struct signer_keys keys = signer_client_keys(authority->signer, type);
    for (size_t i = 0; i < keys.count; i++) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(keys.keys[i], fingerprint);
        if (json_object_set_new(out, fingerprint, publish_ca_state(keys.keys[i], type)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return OK;
}

static err_t publish_ca(struct store *store, const char *fingerprint, const json_t *state,
                        int64_t now) {
    uint64_t revision;
    char *text CLEANUP(freep) = state == NULL ? strdup("") : json_dumps(state, JSON_COMPACT);
    return text == NULL ? FAIL(ERR_MEMORY)
                        : store_event_append(store, "ca", fingerprint, text, now, &revision);
}

static err_t publish_differences(struct store *store, json_t *was, json_t *is, int64_t now) {
    const char *fingerprint;
    json_t *state;
    json_object_foreach(was, fingerprint, state) {
        if (json_object_get(is, fingerprint) == NULL) {
            TRY(publish_ca(store, fingerprint, NULL, now));
        }
    }
    json_object_foreach(is, fingerprint, state) {
        if (!json_equal(json_object_get(was, fingerprint), state)) {
            TRY(publish_ca(store, fingerprint, state, now));
        }
    }
    return OK;
}

err_t feed_publish_cas(struct authority *authority, int64_t now) {
    struct store *store = authority->store;
    char *published CLEANUP(freep) = NULL;
    err_t err = store_meta_get(store, "published_cas", &published);
    if (err.code != ERR_NOT_FOUND) {
        TRY(err);
    }
    json_t *was CLEANUP(json_decrefp) =
        published == NULL ? json_object() : json_loads(published, JSON_REJECT_DUPLICATES, NULL);
    json_t *is CLEANUP(json_decrefp) = json_object();
    if (!json_is_object(was) || is == NULL) {
        return FAIL(is == NULL ? ERR_MEMORY : ERR_MALFORMED);
    }
    TRY(gather_cas(authority, CERT_USER, is));
    TRY(gather_cas(authority, CERT_HOST, is));
    TRY(publish_differences(store, was, is, now));
    char *text CLEANUP(freep) = json_dumps(is, JSON_COMPACT | JSON_SORT_KEYS);
    return text == NULL ? FAIL(ERR_MEMORY) : store_meta_put(store, "published_cas", text);
}

const struct route feed_routes[] = {
    {HTTP_GET, "/api/v1/feed", ACCESS_HOST, "feed.read", read, look, finish},
    {0},
};
