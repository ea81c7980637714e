#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "gate/names.h"
#include "net/http_server.h"

static const struct counter {
    const char *name, *kind, *help;
    size_t offset;
} counters[] = {
#define COUNTER(name, kind, help) {#name, #kind, help, offsetof(struct gate_counters, name)},
    GATE_COUNTER_LIST(COUNTER)
#undef COUNTER
};

/* The relay may write what it likes there, but nothing else than numbers. */
static uint64_t read_counter(const struct gate_counters *worker, const struct counter *counter) {
    const char *place = (const char *)worker + counter->offset;
    return atomic_load_explicit((const _Atomic uint64_t *)(const void *)place,
                                memory_order_relaxed);
}

static uint64_t sum_of(const struct gate_shared *shared, const struct counter *counter) {
    uint64_t sum = 0;
    for (size_t i = 0; i < GATE_WORKERS_MAX; i++) {
        sum += read_counter(&shared->workers[i], counter);
    }
    return sum;
}

static uint64_t longest_of(const struct gate_shared *shared, const struct counter *counter) {
    uint64_t longest = 0;
    for (size_t i = 0; i < GATE_WORKERS_MAX; i++) {
        uint64_t value = read_counter(&shared->workers[i], counter);
        longest = value > longest ? value : longest;
    }
    return longest;
}

static err_t put_head(struct buf *out, const char *name, const char *kind, const char *help) {
    return buf_add_format(out, "# HELP postern_gate_%s %s.\n# TYPE postern_gate_%s %s\n", name,
                          help, name, kind);
}

/* Times are told in seconds, and are the longest of any worker; the others are sums. */
static err_t put_counter(struct buf *out, const struct gate_shared *shared,
                         const struct counter *counter) {
    static const char us[] = "_us";
    size_t stem = strlen(counter->name) - (sizeof us - 1);
    char name[64];
    if (strcmp(counter->name + stem, us) != 0) {
        TRY(put_head(out, counter->name, counter->kind, counter->help));
        return buf_add_format(out, "postern_gate_%s %" PRIu64 "\n", counter->name,
                              sum_of(shared, counter));
    }
    (void)snprintf(name, sizeof name, "%.*s_seconds", (int)stem, counter->name);
    TRY(put_head(out, name, counter->kind, counter->help));
    return buf_add_format(out, "postern_gate_%s %g\n", name,
                          (double)longest_of(shared, counter) / 1e6);
}

err_t gate_metrics_print(const struct gate_shared *shared, struct buf *out) {
    for (size_t i = 0; i < COUNT_OF(counters); i++) {
        TRY(put_counter(out, shared, &counters[i]));
    }
    TRY(put_head(out, "feed_revision", "gauge", "Revision of the authority's feed; 0: none yet"));
    TRY(buf_add_format(out, "postern_gate_feed_revision %" PRIu64 "\n",
                       atomic_load(&shared->feed_revision)));
    TRY(put_head(out, "feed_synced_timestamp_seconds", "gauge",
                 "When the authority was last heard; 0: never"));
    TRY(buf_add_format(out, "postern_gate_feed_synced_timestamp_seconds %" PRId64 "\n",
                       atomic_load(&shared->feed_synced_at)));
    TRY(put_head(out, "draining", "gauge", "1 while no new connections are accepted"));
    return buf_add_format(out, "postern_gate_draining %d\n", atomic_load(&shared->draining) != 0);
}

static void answer_metrics(const struct gate_shared *shared, struct http_request *request) {
    struct buf text CLEANUP(buf_done) = BUF(64 * 1024);
    if (failed(gate_metrics_print(shared, &text))) {
        http_answer_problem(request, 500, "internal", "the numbers cannot be printed");
    } else {
        http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
    }
}

static void answer_ready(const struct gate_shared *shared, struct http_request *request) {
    if (atomic_load(&shared->draining) != 0) {
        http_answer_problem(request, 503, "draining", "the gate accepts no new connections");
    } else if (atomic_load(&shared->feed_synced_at) == 0) {
        http_answer_problem(request, 503, "no_feed",
                            "the gate has not heard from the authority; is postern-host sync "
                            "running?");
    } else {
        http_answer(request, 200, "application/json", SPAN_LITERAL("{\"status\":\"ready\"}\n"));
    }
}

void gate_metrics_serve(void *context, struct http_request *request) {
    const struct gate_shared *shared = context;
    const char *path = http_request_path(request);
    if (http_request_method(request) != HTTP_GET) {
        http_answer_problem(request, 405, "method_not_allowed", "only GET is served here");
    } else if (strcmp(path, "/metrics") == 0) {
        answer_metrics(shared, request);
    } else if (strcmp(path, "/readyz") == 0) {
        answer_ready(shared, request);
    } else if (strcmp(path, "/healthz") == 0) {
        http_answer(request, 200, "application/json", SPAN_LITERAL("{\"status\":\"ok\"}\n"));
    } else {
        http_answer_problem(request, 404, "not_found", "there is nothing at this path");
    }
}
