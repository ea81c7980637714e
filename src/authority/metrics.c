#include "authority/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "authority/authority.h"
#include "authority/routes.h"

/* Upper bounds in microseconds; the last bucket has none. */
static const int64_t bounds_us[] = {500,   1000,   2500,   5000,    10000,  25000,
                                    50000, 100000, 250000, 1000000, 5000000};
enum { BUCKETS_COUNT = COUNT_OF(bounds_us) + 1 };

/* The statuses that we answer with; what is not among them is counted in the last. */
static const unsigned statuses[] = {200, 201, 204, 400, 401, 403, 404, 405, 409,
                                    413, 415, 422, 429, 500, 503, 507, 0};

static const char *const decision_names[] = {
#define DECISION_NAME(code, status) #code,
    DECISION_LIST(DECISION_NAME)
#undef DECISION_NAME
};

struct route_counts {
    uint64_t by_status[COUNT_OF(statuses)];
    uint64_t buckets[BUCKETS_COUNT];
    int64_t sum_us;
    uint64_t count;
};

struct metrics {
    struct route_counts routes[METRICS_ROUTES_MAX + 1]; /* the last: no route */
    uint64_t certificates[CERT_HOST + 1];
    _Atomic uint64_t decisions[COUNT_OF(decision_names)];
    _Atomic uint64_t batches, batch_calls, batches_lost;
};

err_t metrics_new(struct metrics **out) {
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = metrics;
    return OK;
}

void metrics_free(struct metrics *metrics) { free(metrics); }

void metrics_count_call(const struct call *call, int64_t duration_us) {
    INVARIANT(call->route_index <= METRICS_NO_ROUTE);
    struct route_counts *counts = &call->authority->metrics->routes[call->route_index];
    size_t status = 0, bucket = 0;
    while (status + 1 < COUNT_OF(statuses) && statuses[status] != call->status) {
        status++;
    }
    while (bucket + 1 < BUCKETS_COUNT && duration_us > bounds_us[bucket]) {
        bucket++;
    }
    counts->by_status[status]++;
    counts->buckets[bucket]++;
    counts->sum_us += duration_us;
    counts->count++;
}

void metrics_count_certificate(struct metrics *metrics, enum cert_type type) {
    metrics->certificates[type]++;
}

void metrics_count_decision(struct metrics *metrics, enum decision_code code) {
    atomic_fetch_add_explicit(&metrics->decisions[code], 1, memory_order_relaxed);
}

void metrics_count_batch(struct metrics *metrics, size_t calls, bool committed) {
    atomic_fetch_add_explicit(&metrics->batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->batch_calls, calls, memory_order_relaxed);
    if (!committed) {
        atomic_fetch_add_explicit(&metrics->batches_lost, 1, memory_order_relaxed);
    }
}

/* ---- printing ---------------------------------------------------------------------------- */

static const struct route *route_at(size_t index) {
    for (size_t table = 0; route_tables[table] != NULL; table++) {
        for (const struct route *route = route_tables[table]; route->path != NULL; route++) {
            if (index-- == 0) {
                return route;
            }
        }
    }
    return NULL;
}

static err_t put_head(struct buf *out, const char *name, const char *type, const char *help) {
    return buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static err_t put_one(struct buf *out, const char *name, const char *type, const char *help,
                     uint64_t value) {
    TRY(put_head(out, name, type, help));
    return buf_add_format(out, "%s %" PRIu64 "\n", name, value);
}

/* The rows to print: every route, then what had none. */
static const char *action_at(size_t *index) {
    if (*index > METRICS_NO_ROUTE) {
        return NULL;
    }
    const struct route *route = route_at(*index);
    if (route == NULL) {
        *index = METRICS_NO_ROUTE;
        return "none";
    }
    return route->action;
}

static err_t put_requests(const struct metrics *metrics, struct buf *out) {
    TRY(put_head(out, "posternd_requests_total", "counter",
                 "Answered requests by what they do and how they ended."));
    const char *action;
    for (size_t i = 0; (action = action_at(&i)) != NULL; i++) {
        for (size_t status = 0; status < COUNT_OF(statuses); status++) {
            if (metrics->routes[i].by_status[status] > 0) {
                TRY(buf_add_format(
                    out, "posternd_requests_total{action=\"%s\",status=\"%u\"} %" PRIu64 "\n",
                    action, statuses[status], metrics->routes[i].by_status[status]));
            }
        }
    }
    return OK;
}

static err_t put_durations(const struct metrics *metrics, struct buf *out) {
    static const char name[] = "posternd_request_duration_seconds";
    TRY(put_head(out, name, "histogram", "Time from a request's last byte to its answer."));
    const char *action;
    for (size_t i = 0; (action = action_at(&i)) != NULL; i++) {
        const struct route_counts *counts = &metrics->routes[i];
        uint64_t below = 0;
        if (counts->count == 0) {
            continue;
        }
        for (size_t bucket = 0; bucket < COUNT_OF(bounds_us); bucket++) {
            below += counts->buckets[bucket];
            TRY(buf_add_format(out, "%s_bucket{action=\"%s\",le=\"%g\"} %" PRIu64 "\n", name,
                               action, (double)bounds_us[bucket] / 1e6, below));
        }
        TRY(buf_add_format(out,
                           "%s_bucket{action=\"%s\",le=\"+Inf\"} %" PRIu64
                           "\n%s_sum{action=\"%s\"} %g\n%s_count{action=\"%s\"} %" PRIu64 "\n",
                           name, action, counts->count, name, action, (double)counts->sum_us / 1e6,
                           name, action, counts->count));
    }
    return OK;
}

static err_t put_signing(struct authority *authority, struct buf *out) {
    struct metrics *metrics = authority->metrics;
    struct signer_counts signer = signer_client_count(authority->signer);
    TRY(put_head(out, "posternd_certificates_signed_total", "counter",
                 "Certificates signed and answered."));
    TRY(buf_add_format(out,
                       "posternd_certificates_signed_total{type=\"user\"} %" PRIu64
                       "\nposternd_certificates_signed_total{type=\"host\"} %" PRIu64 "\n",
                       metrics->certificates[CERT_USER], metrics->certificates[CERT_HOST]));
    TRY(put_head(out, "posternd_sign_decisions_total", "counter",
                 "Policy decisions on certificates by code."));
    for (size_t i = 0; i < COUNT_OF(decision_names); i++) {
        TRY(buf_add_format(out, "posternd_sign_decisions_total{code=\"%s\"} %" PRIu64 "\n",
                           decision_names[i], atomic_load(&metrics->decisions[i])));
    }
    TRY(put_one(out, "posternd_signer_up", "gauge", "1 while the signer is there.", signer.up));
    TRY(put_one(out, "posternd_signer_pending", "gauge", "Signatures asked for and not answered.",
                signer.pending));
    TRY(put_one(out, "posternd_signer_restarts_total", "counter", "Times the signer came back.",
                signer.restarts));
    return put_one(out, "posternd_signer_refusals_total", "counter",
                   "Certificates that the signer would not sign.", signer.refusals);
}

static err_t put_machinery(struct authority *authority, struct buf *out) {
    struct metrics *metrics = authority->metrics;
    struct http_server_counts http = http_server_count(authority->server);
    TRY(put_one(out, "posternd_store_queue", "gauge", "Calls that wait for the store.",
                worker_queued(authority->store_worker)));
    TRY(put_one(out, "posternd_store_batches_total", "counter", "Transactions of the store.",
                atomic_load(&metrics->batches)));
    TRY(put_one(out, "posternd_store_calls_total", "counter", "Calls within them.",
                atomic_load(&metrics->batch_calls)));
    TRY(put_one(out, "posternd_store_batches_lost_total", "counter",
                "Transactions that could not be committed.", atomic_load(&metrics->batches_lost)));
    TRY(put_one(out, "posternd_feed_waiting", "gauge", "Hosts that wait for changes.",
                feed_waiting(authority->feed)));
    TRY(put_one(out, "posternd_feed_woken_total", "counter",
                "Hosts that waited and were concerned by a change.", feed_woken(authority->feed)));
    TRY(put_one(out, "posternd_connections", "gauge", "Open connections.", http.connections_open));
    TRY(put_one(out, "posternd_connections_total", "counter", "Accepted connections.",
                http.connections_total));
    TRY(put_one(out, "posternd_connections_refused_total", "counter", "Connections beyond a limit.",
                http.connections_refused));
    TRY(put_one(out, "posternd_connections_evicted_total", "counter",
                "Idle connections that gave way to new ones.", http.idle_evicted));
    return put_one(out, "posternd_requests_malformed_total", "counter",
                   "Requests that were not HTTP as we take it.", http.requests_malformed);
}

static void finish_metrics(struct call *call) {
    struct authority *authority = call->authority;
    struct buf *out = &call->text;
    err_t err = put_requests(authority->metrics, out);
    if (!failed(err)) {
        err = put_durations(authority->metrics, out);
    }
    if (!failed(err)) {
        err = put_signing(authority, out);
    }
    if (!failed(err)) {
        err = put_machinery(authority, out);
    }
    if (call_ok(call, err, NULL)) {
        call_answer_text(call, 200, "text/plain; version=0.0.4; charset=utf-8");
    }
    call_send(call);
}

const struct route metrics_routes[] = {
    {HTTP_GET, "/metrics", ACCESS_PUBLIC, "metrics.read", NULL, NULL, finish_metrics},
    {.path = NULL},
};
