#include "authority/routes/revoke.h"

#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/publish.h"
#include "base/clock.h"

struct revoking {
    uint64_t serial;
    const char *reason;
    const char *username; /* NULL: the caller */
};

/* Writes and publishes one revocation. */
static bool revoke_one(struct call *call, struct issued *issued, const char *reason) {
    int64_t now = clock_now_s();
    if (!call_ok(call, store_issued_revoke(call_store(call), issued->serial, now, reason), NULL)) {
        return false;
    }
    issued->revoked_at = now;
    (void)snprintf(issued->revoked_reason, sizeof issued->revoked_reason, "%s", reason);
    json_t *state = publish_revocation_state(call_store(call), issued);
    if (state == NULL) {
        return call_ok(call, FAIL(ERR_MEMORY), NULL);
    }
    char key[24];
    (void)snprintf(key, sizeof key, "%" PRIu64, issued->serial);
    call_publish(call, "revocation", key, state, NULL);
    return !call_refused(call);
}

/* ---- one --------------------------------------------------------------------------------- */

static err_t read_revoke(struct call *call) {
    struct revoking *revoking = call_own(call, sizeof *revoking, NULL);
    revoking->reason = "";
    TRY(call_read_u64(call, "serialNumber", CALL_REQUIRED, &revoking->serial));
    return call_read_string(call, "reason", CALL_OPTIONAL, LIMIT_REASON_CHARS, &revoking->reason);
}

static bool may_revoke(const struct call *call, const struct issued *issued) {
    return call->caller.account.administrator ||
           (issued->account_id != 0 && issued->account_id == call->caller.account.id);
}

static void run_revoke(struct call *call) {
    struct revoking *revoking = call_own(call, sizeof *revoking, NULL);
    struct issued issued;
    char serial[24];
    (void)snprintf(serial, sizeof serial, "%" PRIu64, revoking->serial);
    call_audit(call, serial, true, "ok", revoking->reason);
    err_t err = store_issued_get(call_store(call), revoking->serial, &issued);
    /* Whose certificates exist is nobody else's business. */
    if (err.code == ERR_NOT_FOUND || (!failed(err) && !may_revoke(call, &issued))) {
        call_problem(call, 404, "not_found", "serialNumber",
                     "you have no certificate with the serial number %s; see: postern list --all",
                     serial);
        return;
    }
    if (!call_ok(call, err, NULL)) {
        return;
    }
    if (issued.revoked_at != 0) {
        call_problem(call, 409, "already_revoked", "serialNumber",
                     "the certificate %s is revoked already", serial);
        return;
    }
    if (!revoke_one(call, &issued, revoking->reason)) {
        return;
    }
    char message[128];
    (void)snprintf(message, sizeof message,
                   "the certificate %s is revoked; hosts refuse it from now on", serial);
    call_answer(call, 200, json_pack("{s:b, s:s}", "revoked", 1, "message", message));
}

/* ---- all --------------------------------------------------------------------------------- */

enum { PAGE_ROWS = 64 };

struct page {
    struct issued rows[PAGE_ROWS];
    size_t count;
};

static err_t add_row(void *context, const struct issued *issued) {
    struct page *page = context;
    page->rows[page->count++] = *issued;
    return OK;
}

/* Listings may not write while they run, so this reads a page and then revokes it; what is revoked
 * no longer shows. */
bool revoke_all(struct call *call, struct revoke_scope scope, const char *reason, size_t *count) {
    INVARIANT((scope.account_id != 0 || scope.by_id != 0) != (scope.host_id != 0));
    struct page *page CLEANUP(freep) = malloc(sizeof *page);
    struct issued_filter filter = {.account_id = scope.account_id,
                                   .host_id = scope.host_id,
                                   .api_key_id = scope.api_key_id,
                                   .grant_id = scope.grant_id,
                                   .by_id = scope.by_id,
                                   .now = call->now,
                                   .max = PAGE_ROWS};
    if (page == NULL) {
        return call_ok(call, FAIL(ERR_MEMORY), NULL);
    }
    size_t revoked = 0;
    do {
        page->count = 0;
        if (!call_ok(call, store_issued_list(call_store(call), &filter, add_row, page), NULL)) {
            return false;
        }
        for (size_t i = 0; i < page->count; i++) {
            if (!revoke_one(call, &page->rows[i], reason)) {
                return false;
            }
        }
        revoked += page->count;
    } while (page->count == PAGE_ROWS);
    *count = revoked;
    return true;
}

static err_t read_revoke_all(struct call *call) {
    struct revoking *revoking = call_own(call, sizeof *revoking, NULL);
    revoking->reason = "";
    TRY(call_read_string(call, "reason", CALL_OPTIONAL, LIMIT_REASON_CHARS, &revoking->reason));
    return call_read_string(call, "username", CALL_OPTIONAL, LIMIT_ACCOUNT_NAME_CHARS,
                            &revoking->username);
}

static void run_revoke_all(struct call *call) {
    struct revoking *revoking = call_own(call, sizeof *revoking, NULL);
    struct account account = call->caller.account;
    const char *name = revoking->username != NULL ? revoking->username : account.name;
    call_audit(call, name, true, "ok", revoking->reason);
    if (strcmp(name, account.name) != 0) {
        if (!account.administrator) {
            call_problem(call, 403, "not_permitted", "username",
                         "only administrators may revoke certificates of others");
            return;
        }
        char what[80];
        (void)snprintf(what, sizeof what, "the account %s", name);
        if (!call_ok(call, store_account_find(call_store(call), name, &account), what)) {
            return;
        }
    }
    size_t count = 0;
    struct revoke_scope scope = {.account_id = account.id};
    if (revoke_all(call, scope, revoking->reason, &count)) {
        call_answer(call, 200, json_pack("{s:I}", "revoked", (json_int_t)count));
    }
}

const struct route revoke_routes[] = {
    {HTTP_PUT, "/api/v1/ssh-keys/revoke", ACCESS_ACCOUNT, "certificate.revoke", read_revoke,
     run_revoke, NULL},
    {HTTP_PUT, "/api/v1/ssh-keys/revoke-all", ACCESS_ACCOUNT, "certificate.revoke_all",
     read_revoke_all, run_revoke_all, NULL},
    {.path = NULL},
};
