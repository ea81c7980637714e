#include "authority/routes/since.h"

#include "base/clock.h"

err_t since_read(struct call *call, int64_t *out) {
    const char *text = NULL;
    int64_t ago_s = 0;
    TRY(call_query_string(call, "since", TIME_CHARS, &text));
    if (text == NULL) {
        return OK;
    }
    if (!failed(duration_parse(span_str(text), &ago_s))) {
        *out = call->now - ago_s;
        return OK;
    }
    err_t err = time_parse(span_str(text), out);
    if (failed(err)) {
        call_problem(call, 400, "malformed", "since",
                     "since is a time (2026-04-01T14:00:00Z) or how long ago (1h, 7d)");
    }
    return err;
}
