/* The caller's certificates. */
#include "authority/authority.h"

struct listing {
    struct issued_filter filter;
    json_t *rows; /* the answer's, once call_answer() took it */
};

static err_t read_list(struct call *call) {
    struct listing *listing = call_own(call, sizeof *listing, NULL);
    TRY(call_query_bool(call, "include_expired", &listing->filter.include_expired));
    TRY(call_query_bool(call, "include_revoked", &listing->filter.include_revoked));
    TRY(call_query_u64(call, "before", UINT64_MAX, &listing->filter.before_serial));
    return call_query_limit(call, &listing->filter.max);
}

static const char *status_of(const struct issued *issued, int64_t now) {
    if (issued->revoked_at != 0) {
        return "revoked";
    }
    return issued->valid_before <= now ? "expired" : "valid";
}

static err_t add_row(void *context, const struct issued *issued) {
    const struct listing *listing = context;
    json_t *row = json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:s}", "serialNumber",
                            call_json_u64(issued->serial), "keyId", issued->key_id, "fingerprint",
                            issued->fingerprint, "issuedTime", call_json_time(issued->issued_at),
                            "expireTime", call_json_time(issued->valid_before), "status",
                            status_of(issued, listing->filter.now), "source", issued->source);
    if (row == NULL || json_array_append_new(listing->rows, row) != 0) {
        return FAIL(ERR_MEMORY);
    }
    if (issued->revoked_at != 0) {
        if (json_object_set_new(row, "revokedTime", call_json_time(issued->revoked_at)) != 0) {
            return FAIL(ERR_MEMORY);
        }
        call_json_set_text(row, "reason", issued->revoked_reason);
    }
    return OK;
}

static void run_list(struct call *call) {
    struct listing *listing = call_own(call, sizeof *listing, NULL);
    json_t *rows = json_array();
    call_answer(call, 200, json_pack("{s:o}", "sshKeys", rows));
    if (call_refused(call)) {
        return;
    }
    listing->rows = rows;
    listing->filter.account_id = call->caller.account.id;
    listing->filter.now = call->now;
    (void)call_ok(call, store_issued_list(call_store(call), &listing->filter, add_row, listing),
                  NULL);
}

const struct route list_routes[] = {
    {HTTP_GET, "/api/v1/ssh-keys", ACCESS_ACCOUNT, "certificate.list", read_list, run_list, NULL},
    {.path = NULL},
};
