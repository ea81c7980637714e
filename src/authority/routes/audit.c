#include "authority/authority.h"
#include "authority/routes/since.h"

enum { OWN_ROWS_SEEN = 10 * 1000 };

struct listing {
    struct audit_filter filter;
    json_t *list;
};

/* What was done in the caller's own name, and tried in it. */
static err_t read_own(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct audit_filter *filter = &own->filter;
    TRY(call_query_string(call, "action", 48, &filter->action));
    TRY(call_query_u64(call, "before", INT64_MAX, &filter->before_sequence));
    TRY(since_read(call, &filter->since));
    return call_query_limit(call, &filter->max);
}

static err_t read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    TRY(call_query_string(call, "actor", LIMIT_ACCOUNT_NAME_CHARS + 16, &own->filter.actor));
    return read_own(call);
}

static err_t add_row(void *context, const struct audit *audit) {
    json_t *item = json_pack(
        "{s:o,s:o,s:s,s:s,s:s,s:b,s:s,s:s,s:s,s:s}", "sequence", call_json_u64(audit->sequence),
        "time", call_json_time(audit->at), "actor", audit->actor, "action", audit->action, "target",
        audit->target, "allowed", audit->allowed, "code", audit->code, "detail", audit->detail,
        "source", audit->source, "requestId", audit->request_id);
    return json_array_append_new(context, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

static void run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    own->list = json_array();
    if (call_ok(call, store_audit_list(call_store(call), &own->filter, add_row, own->list),
                "the audit log")) {
        call_answer(call, 200, json_pack("{s:o}", "audit", own->list));
    } else {
        json_decref(own->list);
    }
}

static err_t take_sequence(void *context, const struct audit *audit) {
    *(uint64_t *)context = audit->sequence;
    return OK;
}

/* So that one look of anybody's is short, however long the log has become. */
static err_t bound(struct call *call, struct audit_filter *filter) {
    uint64_t newest = 0;
    const struct audit_filter last = {.max = 1};
    TRY(store_audit_list(call_store(call), &last, take_sequence, &newest));
    if (filter->before_sequence == 0 || filter->before_sequence > newest) {
        filter->before_sequence = newest + 1;
    }
    filter->after_sequence =
        filter->before_sequence > OWN_ROWS_SEEN ? filter->before_sequence - OWN_ROWS_SEEN - 1 : 0;
    return OK;
}

/* "next": where the next look begins; absent at the end of the log. */
static void run_own(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    own->filter.actor = call->caller.account.name;
    if (!call_ok(call, bound(call, &own->filter), "the audit log")) {
        return;
    }
    run(call);
    size_t count = json_array_size(own->list);
    if (call_refused(call)) {
        return;
    }
    if (count == own->filter.max) {
        const json_t *last = json_array_get(own->list, count - 1);
        call_json_set_text(call->answer, "next",
                           json_string_value(json_object_get(last, "sequence")));
    } else if (own->filter.after_sequence > 0) {
        (void)json_object_set_new(call->answer, "next",
                                  call_json_u64(own->filter.after_sequence + 1));
    }
}

const struct route audit_routes[] = {
    {HTTP_GET, "/api/v1/audit", ACCESS_ADMINISTRATOR, "audit.list", read, run, NULL},
    {HTTP_GET, "/api/v1/audit/mine", ACCESS_ACCOUNT, "audit.list_own", read_own, run_own, NULL},
    {0},
};
