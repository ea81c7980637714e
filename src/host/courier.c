#include "host/courier.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/queue.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "host/gate_table.h"

enum {
    CALL_MS = 10 * 1000,
    BATCH_MS = 1000, /* between two */
    MORE_MS = 100,   /* between two of sessions, of which there is more */
    REMIND_MS = LIMIT_GATE_SILENT_S / 3 * 1000, /* that sessions live */
    REFUSED_MS = 10 * 60 * 1000, /* until an authority is asked again that wants none */
    BATCH_BYTES = LIMIT_AUDIT_EVENTS_COUNT * (LIMIT_UPLINK_EVENT_BYTES + 1) + 512,
};
_Static_assert(BATCH_BYTES <= (int)LIMIT_HTTP_BODY_BYTES, "the authority reads no longer body");

struct question {
    STAILQ_ENTRY(question) next;
    uint64_t asker;
    uint32_t id;
    enum uplink_call call;
    struct buf body;
};
STAILQ_HEAD(question_list, question);

struct courier {
    pthread_mutex_t mutex;
    pthread_cond_t news;
    pthread_t thread;
    bool started, stopping;
    courier_answered *answered;
    void *context;
    struct http_client *client; /* the thread's, as is the next */
    struct http_response response;

    struct question_list questions;
    size_t question_count;
    char *events[LIMIT_UPLINK_EVENTS_COUNT]; /* a ring */
    uint64_t first, end;                     /* of all events there ever were, the kept ones */
    uint64_t dropped;                        /* and not told yet */
    int64_t batch_ms;                        /* monotonic: not before that */
    struct gate_table *sessions;
    uint64_t epoch;      /* in which the authority knows them; 0: it knows none */
    int64_t sessions_ms; /* as batch_ms */
    int64_t heard_ms;    /* when the authority last heard of them */
    bool sessions_full;  /* logged once */
    int64_t away_ms;     /* until then the authority is not asked */
    unsigned failures;   /* in a row */
};

/* --- questions --- */

static void question_free(struct question *question) {
    buf_done(&question->body);
    free(question);
}

/* With the mutex: whoever is told may not come back from within. */
static void give_up_all(struct courier *courier) {
    struct question *question;
    while ((question = STAILQ_FIRST(&courier->questions)) != NULL) {
        STAILQ_REMOVE_HEAD(&courier->questions, next);
        courier->question_count--;
        courier->answered(courier->context, question->asker, question->id, 0, span_of(NULL, 0));
        question_free(question);
    }
}

static bool enqueue(struct courier *courier, uint64_t asker, uint32_t id, enum uplink_call call,
                    span_t body) {
    if (courier->question_count == LIMIT_UPLINK_QUESTIONS_COUNT ||
        clock_monotonic_ms() < courier->away_ms) {
        return false;
    }
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL) {
        return false;
    }
    *question = (struct question){
        .asker = asker, .id = id, .call = call, .body = BUF(LIMIT_UPLINK_FRAME_BYTES)};
    if (failed(buf_add(&question->body, body))) {
        question_free(question);
        return false;
    }
    STAILQ_INSERT_TAIL(&courier->questions, question, next);
    courier->question_count++;
    (void)pthread_cond_signal(&courier->news);
    return true;
}

void courier_ask(struct courier *courier, uint64_t asker, uint32_t id, enum uplink_call call,
                 span_t body) {
    INVARIANT(call == UPLINK_WINDOW || call == UPLINK_KEYS);
    (void)pthread_mutex_lock(&courier->mutex);
    bool waits = enqueue(courier, asker, id, call, body);
    (void)pthread_mutex_unlock(&courier->mutex);
    if (!waits) {
        courier->answered(courier->context, asker, id, 0, span_of(NULL, 0));
    }
}

/* --- events --- */

static char **place_of(struct courier *courier, uint64_t number) {
    return &courier->events[number % LIMIT_UPLINK_EVENTS_COUNT];
}

static void forget_oldest(struct courier *courier) {
    free(TAKE(*place_of(courier, courier->first)));
    courier->first++;
}

/* One that is no JSON would spoil the batch it goes with. */
static err_t check_event(span_t event) {
    if (event.len > LIMIT_UPLINK_EVENT_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    json_t *root = json_loadb((const char *)event.data, event.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(root);
    json_decref(root);
    return good ? OK : FAIL(ERR_MALFORMED);
}

err_t courier_note(struct courier *courier, span_t event) {
    char *text;
    TRY(check_event(event));
    TRY(span_to_str(event, &text));
    (void)pthread_mutex_lock(&courier->mutex);
    if (courier->end - courier->first == LIMIT_UPLINK_EVENTS_COUNT) {
        forget_oldest(courier);
        courier->dropped++;
    }
    *place_of(courier, courier->end++) = text;
    (void)pthread_cond_signal(&courier->news);
    (void)pthread_mutex_unlock(&courier->mutex);
    return OK;
}

/* --- sessions --- */

static err_t settle_session(struct courier *courier, err_t err) {
    bool full = err.code == ERR_RANGE;
    if (full && !courier->sessions_full) {
        log_error("sessions_not_told", err, NULL);
    }
    courier->sessions_full = full;
    (void)pthread_cond_signal(&courier->news);
    return full ? OK : err;
}

err_t courier_note_session(struct courier *courier, uint64_t asker, span_t session) {
    (void)pthread_mutex_lock(&courier->mutex);
    err_t err = settle_session(courier, gate_table_put(courier->sessions, asker, session));
    (void)pthread_mutex_unlock(&courier->mutex);
    return err;
}

err_t courier_note_ended(struct courier *courier, uint64_t asker, span_t ended) {
    (void)pthread_mutex_lock(&courier->mutex);
    err_t err = settle_session(courier, gate_table_end(courier->sessions, asker, ended));
    (void)pthread_mutex_unlock(&courier->mutex);
    return err;
}

void courier_forget_asker(struct courier *courier, uint64_t asker) {
    (void)pthread_mutex_lock(&courier->mutex);
    gate_table_drop_peer(courier->sessions, asker);
    (void)pthread_cond_signal(&courier->news);
    (void)pthread_mutex_unlock(&courier->mutex);
}

/* --- batches --- */

/* The oldest, up to *end, and how many are missing before them. */
static err_t put_batch(struct courier *courier, struct buf *out, uint64_t *end) {
    TRY(buf_add_format(out, "{\"dropped\":%llu,\"events\":[",
                       (unsigned long long)courier->dropped));
    uint64_t last = courier->first + LIMIT_AUDIT_EVENTS_COUNT;
    last = last < courier->end ? last : courier->end;
    for (uint64_t i = courier->first; i < last; i++) {
        TRY(buf_add_str(out, i == courier->first ? "" : ","));
        TRY(buf_add_str(out, *place_of(courier, i)));
    }
    *end = last;
    return buf_add_str(out, "]}");
}

/* --- the thread; the mutex is held but during a call --- */

static void back_off(struct courier *courier, err_t err, const struct fault *fault) {
    if (courier->failures % 8 == 0) {
        log_error("uplink_failed", err, "field", fault->field, "reason", fault->reason, NULL);
    }
    courier->away_ms = clock_monotonic_ms() + sync_backoff_ms(courier->failures++, random_u64());
    give_up_all(courier);
}

/* The status; 0: it was not to be had. */
static unsigned call(struct courier *courier, const char *path, span_t body) {
    struct fault fault = {0};
    (void)pthread_mutex_unlock(&courier->mutex);
    err_t err = http_client_call(courier->client, HTTP_POST, path, body, CALL_MS,
                                 &courier->response, &fault);
    (void)pthread_mutex_lock(&courier->mutex);
    if (failed(err)) {
        back_off(courier, err, &fault);
        return 0;
    }
    courier->failures = 0;
    courier->away_ms = 0;
    return courier->response.status;
}

static void ask_next(struct courier *courier) {
    static const char *const paths[] = {
        [UPLINK_WINDOW] = "/api/v1/host/enrolment", [UPLINK_KEYS] = "/api/v1/host/enrolment/keys"};
    struct question *question = STAILQ_FIRST(&courier->questions);
    STAILQ_REMOVE_HEAD(&courier->questions, next);
    courier->question_count--;
    unsigned status = call(courier, paths[question->call], buf_span(&question->body));
    span_t body = status == 0 ? span_of(NULL, 0) : buf_span(&courier->response.body);
    if (body.len > LIMIT_UPLINK_ANSWER_BYTES) {
        body = span_of(NULL, 0);
    }
    courier->answered(courier->context, question->asker, question->id, status, body);
    buf_done(&courier->response.body); /* it may have been a token */
    question_free(question);
}

/* What the authority has no room for now is told later; what it does not want, never. */
static void judge_batch(struct courier *courier, unsigned status, uint64_t dropped, uint64_t end) {
    if (status == 429 || status >= 500) {
        int wait_s = courier->response.retry_after_s;
        courier->batch_ms += (int64_t)(wait_s > 0 ? wait_s : 1) * 1000;
        return;
    }
    if (status != 200) {
        struct fault fault = {0};
        err_t err = answer_problem(&courier->response, &fault);
        log_error("events_refused", err, "field", fault.field, "reason", fault.reason, NULL);
    }
    courier->dropped -= dropped;
    while (courier->first < end) {
        forget_oldest(courier);
    }
}

static void tell_events(struct courier *courier) {
    struct buf body CLEANUP(buf_done) = BUF(BATCH_BYTES);
    uint64_t end, dropped = courier->dropped;
    courier->batch_ms = clock_monotonic_ms() + BATCH_MS;
    if (failed(put_batch(courier, &body, &end))) {
        return; /* memory: later */
    }
    unsigned status = call(courier, "/api/v1/host/audit", buf_span(&body));
    if (status != 0) {
        judge_batch(courier, status, dropped, end);
    }
}

static err_t put_sessions(struct courier *courier, struct buf *out) {
    TRY(buf_add_byte(out, '{'));
    if (courier->epoch != 0) {
        TRY(buf_add_format(out, "\"epoch\":\"%llu\",", (unsigned long long)courier->epoch));
    }
    TRY(gate_table_begin_batch(courier->sessions, out));
    return buf_add_byte(out, '}');
}

/* 0: the answer has none. */
static uint64_t get_epoch(span_t body) {
    uint64_t epoch = 0;
    json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(root, "epoch"));
    if (text == NULL || failed(u64_parse(span_str(text), &epoch))) {
        epoch = 0;
    }
    json_decref(root);
    return epoch;
}

static void begin_anew(struct courier *courier) {
    courier->epoch = 0;
    gate_table_tell_anew(courier->sessions);
}

static void judge_sessions(struct courier *courier, unsigned status) {
    int64_t now_ms = clock_monotonic_ms();
    int wait_s = courier->response.retry_after_s;
    if (status == 200) {
        /* Without an epoch nothing can follow but a new beginning. */
        courier->epoch = get_epoch(buf_span(&courier->response.body));
        courier->heard_ms = now_ms;
        return;
    }
    if (status != 429) {
        begin_anew(courier);
    }
    if (status == 429 || status >= 500) {
        courier->sessions_ms = now_ms + (int64_t)(wait_s > 0 ? wait_s : 1) * 1000;
    } else if (status != 409) {
        struct fault fault = {0};
        err_t err = answer_problem(&courier->response, &fault);
        log_error("sessions_refused", err, "field", fault.field, "reason", fault.reason, NULL);
        courier->sessions_ms = now_ms + REFUSED_MS;
    }
}

static void tell_sessions(struct courier *courier) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES);
    courier->sessions_ms = clock_monotonic_ms() + BATCH_MS;
    err_t err = put_sessions(courier, &body);
    unsigned status =
        failed(err) ? 0 : call(courier, "/api/v1/host/gate-sessions", buf_span(&body));
    gate_table_end_batch(courier->sessions, status == 200);
    if (status == 0) {
        begin_anew(courier); /* what it has heard is not known */
    } else {
        judge_sessions(courier, status);
    }
    if (status == 200 && gate_table_has_news(courier->sessions)) {
        courier->sessions_ms = clock_monotonic_ms() + MORE_MS;
    }
}

static int64_t later(int64_t one_ms, int64_t other_ms) {
    return one_ms > other_ms ? one_ms : other_ms;
}

/* When events may be told; INT64_MAX without any. */
static int64_t events_due_ms(const struct courier *courier) {
    return courier->first == courier->end ? INT64_MAX : later(courier->batch_ms, courier->away_ms);
}

static int64_t sessions_due_ms(const struct courier *courier) {
    if (gate_table_has_news(courier->sessions)) {
        return later(courier->sessions_ms, courier->away_ms);
    }
    return gate_table_count(courier->sessions) == 0
               ? INT64_MAX
               : later(later(courier->sessions_ms, courier->heard_ms + REMIND_MS),
                       courier->away_ms);
}

static void wait_for_news(struct courier *courier, int64_t until_ms) {
    if (until_ms == INT64_MAX) {
        (void)pthread_cond_wait(&courier->news, &courier->mutex);
        return;
    }
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    (void)pthread_cond_timedwait(&courier->news, &courier->mutex, &until);
}

static void *serve(void *context) {
    struct courier *courier = context;
    (void)pthread_mutex_lock(&courier->mutex);
    while (!courier->stopping) {
        int64_t events_ms = events_due_ms(courier), sessions_ms = sessions_due_ms(courier);
        int64_t now_ms = clock_monotonic_ms();
        if (events_ms <= now_ms) {
            tell_events(courier); /* one batch a second; strangers can keep questions coming */
        } else if (sessions_ms <= now_ms) {
            tell_sessions(courier);
        } else if (!STAILQ_EMPTY(&courier->questions)) {
            ask_next(courier);
        } else {
            wait_for_news(courier, events_ms < sessions_ms ? events_ms : sessions_ms);
        }
    }
    (void)pthread_mutex_unlock(&courier->mutex);
    return NULL;
}

/* --- beginning and end --- */

/* The clock of clock_monotonic_ms(). */
static err_t news_init(pthread_cond_t *news) {
    pthread_condattr_t kind;
    if (pthread_condattr_init(&kind) != 0) {
        return FAIL(ERR_MEMORY);
    }
    (void)pthread_condattr_setclock(&kind, CLOCK_MONOTONIC);
    int failure = pthread_cond_init(news, &kind);
    (void)pthread_condattr_destroy(&kind);
    return failure == 0 ? OK : FAIL(ERR_MEMORY);
}

err_t courier_start(const struct identity *identity, courier_answered *answered, void *context,
                    struct courier **out, struct fault *fault) {
    struct courier *courier = calloc(1, sizeof *courier);
    if (courier == NULL) {
        return FAIL(ERR_MEMORY);
    }
    courier->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    courier->answered = answered;
    courier->context = context;
    STAILQ_INIT(&courier->questions);
    http_response_init(&courier->response);
    err_t err = news_init(&courier->news);
    err = failed(err) ? err : gate_table_new(&courier->sessions);
    err = failed(err) ? err : identity_client(identity, &courier->client, fault);
    err = failed(err) ? err : thread_start(serve, courier, &courier->thread);
    courier->started = !failed(err);
    if (failed(err)) {
        courier_free(courier);
        return err;
    }
    *out = courier;
    return OK;
}

void courier_free(struct courier *courier) {
    if (courier == NULL) {
        return;
    }
    if (courier->started) {
        (void)pthread_mutex_lock(&courier->mutex);
        courier->stopping = true;
        (void)pthread_cond_signal(&courier->news);
        (void)pthread_mutex_unlock(&courier->mutex);
        (void)pthread_join(courier->thread, NULL);
    }
    struct question *question;
    while ((question = STAILQ_FIRST(&courier->questions)) != NULL) {
        STAILQ_REMOVE_HEAD(&courier->questions, next);
        question_free(question);
    }
    while (courier->first < courier->end) {
        forget_oldest(courier);
    }
    gate_table_free(courier->sessions);
    http_response_done(&courier->response);
    http_client_free(courier->client);
    (void)pthread_cond_destroy(&courier->news);
    (void)pthread_mutex_destroy(&courier->mutex);
    free(courier);
}
