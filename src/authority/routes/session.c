#include "authority/routes/session.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/browser.h"
#include "authority/rate.h"
#include "authority/routes/account.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"

static int64_t end_of(const struct call *call, const struct api_key *key) {
    int64_t end = call->now + call->authority->config->session_lifetime_s;
    return key != NULL && key->expires_at != 0 && key->expires_at < end ? key->expires_at : end;
}

bool session_add(struct call *call, struct session *session, char token[TOKEN_CHARS]) {
    static const enum token_kind kinds[] = {[SESSION_BEARER] = TOKEN_SESSION,
                                            [SESSION_REFRESH] = TOKEN_REFRESH,
                                            [SESSION_BROWSER] = TOKEN_BROWSER};
    uint8_t random[TOKEN_RANDOM_BYTES];
    INVARIANT(session->use != 0 && session->use < COUNT_OF(kinds));
    session->created_at = call->now;
    random_bytes(random, sizeof random);
    err_t err = token_make(kinds[session->use], random, token, session->hash);
    secret_wipe(random, sizeof random);
    struct store *store = call_store(call);
    return call_ok(call, err, "the session") &&
           call_ok(call, store_session_sweep(store, call->now), "the sessions") &&
           call_ok(call, store_session_add(store, session), "the session");
}

void session_answer(struct call *call, const struct account *account, struct session *session) {
    char token[TOKEN_CHARS];
    if (session_add(call, session, token)) {
        call_answer(call, 200,
                    json_pack("{s:s,s:s,s:I,s:s}", "access_token", token, "token_type", "Bearer",
                              "expires_in", (json_int_t)(session->expires_at - call->now),
                              "username", account->name));
    }
    secret_wipe(token, sizeof token);
}

void session_open(struct call *call, const struct account *account, const struct api_key *key) {
    struct session session = {.account_id = account->id,
                              .expires_at = end_of(call, key),
                              .use = SESSION_BEARER,
                              .authenticated_at = key == NULL ? call->now : 0};
    if (key != NULL) {
        session.api_key_id = key->id;
        session.subnets = key->subnets;
    } else {
        (void)snprintf(session.methods, sizeof session.methods, "%s", SESSION_METHODS_PASSWORD);
    }
    session_answer(call, account, &session);
}

/* ---- for a page of ours ---------------------------------------------------------------------- */

err_t session_cookie_read(struct call *call, struct session_cookie *out) {
    static const char *const uses[] = {"", "bearer", "browser"};
    unsigned use = 0;
    TRY(call_read_word(call, "session", CALL_OPTIONAL, uses, COUNT_OF(uses), &use));
    out->wanted = strcmp(uses[use], "browser") == 0;
    if (out->wanted && !browser_is_same_origin(call)) {
        call_problem(call, 403, "cross_site", "session",
                     "only the dashboard's own pages sign a browser in");
        return FAIL(ERR_REFUSED);
    }
    return OK;
}

/* What came of the same sign-in goes on: programs that were let in by it. */
static bool replace(struct call *call, const struct account *account) {
    struct session old;
    struct account owner;
    if (!browser_find(call, &old, &owner) || owner.id != account->id) {
        return !call_refused(call);
    }
    call_forget_bearers(call);
    return call_ok(call, store_session_remove(call_store(call), old.hash), "the session");
}

void session_cookie_open(struct call *call, const struct account *account, const char *methods,
                         struct session_cookie *cookie) {
    struct session session = {.account_id = account->id,
                              .expires_at = end_of(call, NULL),
                              .use = SESSION_BROWSER,
                              .authenticated_at = call->now};
    (void)snprintf(session.methods, sizeof session.methods, "%s", methods);
    oidc_new_family(session.family);
    if (replace(call, account) && session_add(call, &session, cookie->token)) {
        cookie->seconds = session.expires_at - call->now;
        call_answer(call, 200,
                    json_pack("{s:s,s:I}", "username", account->name, "expires_in",
                              (json_int_t)cookie->seconds));
    }
}

void session_cookie_set(struct call *call, const struct session_cookie *cookie) {
    if (cookie->token[0] != '\0') {
        browser_set_session(call, cookie->token, cookie->seconds);
    }
}

bool session_end(struct call *call, const struct session *session) {
    struct store *store = call_store(call);
    err_t err = session->family[0] != '\0' ? store_session_remove_family(store, session->family)
                                           : store_session_remove(store, session->hash);
    call_forget_bearers(call);
    return err.code == ERR_NOT_FOUND || call_ok(call, err, "the session");
}

bool session_end_all(struct call *call, entity_id account_id) {
    struct store *store = call_store(call);
    call_forget_bearers(call);
    return call_ok(call, authorizations_forget(store, account_id), "the waiting sign-ins") &&
           call_ok(call, store_session_remove_all(store, account_id, 0, call->now), "the sessions");
}

struct exchange {
    char hash[HASH_CHARS]; /* "" when the header holds nothing like an API key */
};

err_t session_token_read(struct call *call) {
    TRY(login_guard_admit_token(call));
    struct exchange *own = call_own(call, sizeof *own, NULL);
    const char *header = http_request_header(call->request, "X-API-Key");
    if (header != NULL) {
        /* A malformed key is refused like an unknown one, in run(), and leaves the same trace. */
        ignore_err(token_hash(TOKEN_API_KEY, span_str(header), own->hash));
    }
    return OK;
}

/* Why the key is not good: for the audit log, never for the caller. NULL when it is. */
static const char *judge(struct call *call, const char *hash, struct api_key *key,
                         struct account *account) {
    struct store *store = call_store(call);
    if (hash[0] == '\0') {
        return "the header X-API-Key holds no API key";
    }
    err_t err = store_api_key_find(store, hash, key);
    if (err.code == ERR_NOT_FOUND) {
        return "no such API key";
    }
    if (!call_ok(call, err, "the API key") ||
        !call_ok(call, store_account_get(store, key->account_id, account), "the account")) {
        return "the store failed";
    }
    call_actor(call, account->name);
    return account->kind != ACCOUNT_SERVICE                   ? "not a service account"
           : account->disabled                                ? "the account is disabled"
           : key->revoked_at != 0                             ? "the API key is revoked"
           : key->expires_at <= call->now                     ? "the API key has expired"
           : !subnet_list_allows(&key->subnets, call->source) ? "outside the API key's subnets"
                                                              : NULL;
}

void session_token_run(struct call *call) {
    const struct exchange *own = call_own(call, sizeof *own, NULL);
    struct api_key key = {0};
    struct account account = {0};
    const char *reason = judge(call, own->hash, &key, &account);
    if (call_refused(call)) {
        return;
    }
    call_audit(call, key.name, reason == NULL, reason == NULL ? "ok" : "invalid_api_key", reason);
    if (reason != NULL) {
        call_problem(call, 401, "invalid_api_key", NULL,
                     "this API key is not accepted here; it may be unknown, expired, revoked, or "
                     "not meant for this network; ask a manager of the project");
        return;
    }
    key.last_used_at = call->now;
    if (rate_spend_of(call, &account, RATE_CALLS) &&
        call_ok(call, store_api_key_update(call_store(call), &key), "the API key")) {
        session_open(call, &account, &key);
    }
}

void session_token_finish(struct call *call) {
    login_guard_credit_token(call);
    call_send(call);
}

void session_logout_run(struct call *call) {
    call_audit(call, call->caller.account.name, true, "ok", NULL);
    struct session session;
    err_t err = store_session_find(call_store(call), call->caller.session_hash, &session);
    if ((err.code == ERR_NOT_FOUND || call_ok(call, err, "the session")) &&
        (failed(err) || session_end(call, &session))) {
        call_answer(call, 200, json_object());
    }
}

void session_logout_finish(struct call *call) {
    if (call->caller.session_use == SESSION_BROWSER) {
        browser_set_session(call, "", 0);
    }
    call_send(call);
}

static err_t add_cluster_name(void *context, const struct cluster *cluster) {
    return json_array_append_new(context, json_string(cluster->name)) == 0 ? OK : FAIL(ERR_MEMORY);
}

void session_whoami_run(struct call *call) {
    const struct account *account = &call->caller.account;
    json_t *clusters = json_array();
    json_t *projects = account_projects_json(call, account);
    err_t err = store_reach_list(call_store(call), account->id, add_cluster_name, clusters);
    if (!call_ok(call, err, "the clusters")) {
        json_decref(clusters);
        json_decref(projects);
        return;
    }
    call_answer(call, 200,
                json_pack("{s:s,s:s,s:b,s:s,s:o,s:o,s:o,s:s,s:s}", "username", account->name,
                          "kind", account_kind_name(account->kind), "administrator",
                          account->administrator, "displayName", account->display_name, "projects",
                          projects, "clusters", clusters, "expireTime",
                          call_json_time(call->caller.session_expires_at), "credential",
                          call->caller.api_key_id != 0 ? "api-key" : "session", "address",
                          call->source_text));
}
