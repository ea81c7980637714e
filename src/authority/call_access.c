/* Who calls, and whether they have the route's access. */
#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/browser.h"
#include "authority/plumbing.h"
#include "authority/routes/login.h"
#include "base/clock.h"

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

void call_authenticate(struct call *call) {
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

/* A token of either kind; the route's access says where it is looked up. A browser's session counts
 * only where there is no other credential. */
void call_take_bearer(struct call *call) {
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
