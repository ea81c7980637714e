/* Counts over time, for charts. */
#include <inttypes.h>

#include "authority/authority.h"
#include "authority/routes/since.h"
#include "base/clock.h"

static const char *const names[TALLY_KINDS_COUNT] = {
    [TALLY_GATE_LOGIN] = "gateLogins", [TALLY_GATE_REFUSAL] = "gateRefusals",
    [TALLY_SIGN_IN] = "signIns",       [TALLY_SIGNING] = "signings",
    [TALLY_REFUSAL] = "refusals",
};

struct asked {
    int64_t since, step_s;
    size_t count;
};

struct sums {
    const struct asked *asked;
    uint64_t counts[TALLY_KINDS_COUNT][LIMIT_STATISTICS_STEPS_COUNT];
};

static err_t read_step(struct call *call, int64_t *out) {
    const char *text = NULL;
    TRY(call_query_string(call, "step", 16, &text));
    if (text == NULL) {
        return OK;
    }
    if (failed(duration_parse(span_str(text), out)) || *out % TALLY_SHORT_S != 0) {
        call_problem(call, 400, "malformed", "step",
                     "step is a multiple of five minutes (5min, 1h, 1d)");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

/* Steps are counted from 1970, so that all who ask see the same ones. */
static err_t read(struct call *call) {
    struct asked *own = call_own(call, sizeof *own, NULL);
    own->since = call->now - 24 * 3600;
    own->step_s = TALLY_LONG_S;
    TRY(since_read(call, &own->since));
    TRY(read_step(call, &own->step_s));
    if (own->since < 0 || own->since > call->now) {
        call_problem(call, 400, "malformed", "since", "since is a time that has been");
        return FAIL(ERR_RANGE);
    }
    own->since -= own->since % own->step_s;
    int64_t count = (call->now - own->since) / own->step_s + 1;
    if (count > LIMIT_STATISTICS_STEPS_COUNT) {
        call_problem(call, 400, "too_many_steps", "step",
                     "that is %" PRId64 " steps, and an answer has %d at most: ask for longer ones",
                     count, LIMIT_STATISTICS_STEPS_COUNT);
        return FAIL(ERR_RANGE);
    }
    own->count = (size_t)count;
    return OK;
}

static err_t add(void *context, const struct tally *tally) {
    struct sums *sums = context;
    size_t index = (size_t)((tally->at - sums->asked->since) / sums->asked->step_s);
    if (index < sums->asked->count && (unsigned)tally->kind < TALLY_KINDS_COUNT) {
        sums->counts[tally->kind][index] += tally->count;
    }
    return OK;
}

/* NULL: out of memory. */
static json_t *print(const struct sums *sums) {
    json_t *all = json_object();
    int failure = all == NULL ? -1 : 0;
    for (unsigned kind = 1; kind < TALLY_KINDS_COUNT; kind++) {
        json_t *list = json_array();
        for (size_t i = 0; i < sums->asked->count; i++) {
            failure |= json_array_append_new(list, json_integer((json_int_t)sums->counts[kind][i]));
        }
        failure |= json_object_set_new(all, names[kind], list);
    }
    if (failure != 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

static void run(struct call *call) {
    const struct asked *own = call_own(call, sizeof *own, NULL);
    struct sums *sums CLEANUP(freep) = calloc(1, sizeof *sums);
    int64_t stretch_s = own->step_s % TALLY_LONG_S == 0 ? TALLY_LONG_S : TALLY_SHORT_S;
    if (!call_ok(call, sums == NULL ? FAIL(ERR_MEMORY) : OK, "the statistics")) {
        return;
    }
    sums->asked = own;
    if (call_ok(call, store_tally_list(call_store(call), stretch_s, own->since, add, sums),
                "the statistics")) {
        call_answer(call, 200,
                    json_pack("{s:o,s:I,s:o}", "sinceTime", call_json_time(own->since),
                              "stepSeconds", (json_int_t)own->step_s, "counts", print(sums)));
    }
}

const struct route statistics_routes[] = {
    {HTTP_GET, "/api/v1/statistics", ACCESS_ADMINISTRATOR, "statistics.show", read, run, NULL},
    {0},
};
