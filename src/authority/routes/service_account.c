/*
 * Service accounts and their API keys. A service account belongs to one project for good, and so do
 * those who may manage it: administrators, and the managers of that project.
 */
#include "authority/routes/service_account.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/project.h"
#include "authority/routes/publish.h"
#include "authority/routes/revoke.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"

enum { API_KEY_DEFAULT_S = 90 * 24 * 3600, HINT_CHARS = 10 };

struct listing {
    struct call *call;
    json_t *list;
    const char *project; /* NULL: all that the caller manages */
    entity_id project_id;
};

static err_t list_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    return call_query_string(call, "project", LIMIT_PROJECT_NAME_CHARS, &own->project);
}

static bool manages(struct call *call, entity_id project_id, err_t *err) {
    struct membership membership = {0};
    if (call->caller.account.administrator) {
        return true;
    }
    *err = store_member_get(call_store(call), project_id, call->caller.account.id, &membership);
    if (err->code == ERR_NOT_FOUND) {
        *err = OK;
    }
    return membership.role == MEMBER_MANAGER;
}

static err_t add_service_account(void *context, const struct account *account) {
    struct listing *listing = context;
    err_t err = OK;
    if (account->kind != ACCOUNT_SERVICE ||
        (listing->project_id != 0 && account->project_id != listing->project_id) ||
        !manages(listing->call, account->project_id, &err)) {
        return err;
    }
    return json_array_append_new(listing->list, account_json(listing->call, account)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct project project;
    if (own->project != NULL) {
        if (!project_find_managed(call, own->project, &project)) {
            return;
        }
        own->project_id = project.id;
    }
    own->call = call;
    own->list = json_array();
    err_t err = store_account_list(call_store(call), NULL, SIZE_MAX >> 1, add_service_account, own);
    if (call_ok(call, err, "the service accounts")) {
        call_answer(call, 200, json_pack("{s:o}", "accounts", own->list));
    } else {
        json_decref(own->list);
    }
}

struct create_request {
    struct account account;
    char project[LIMIT_PROJECT_NAME_CHARS + 1];
};

static err_t create_read(struct call *call) {
    struct create_request *own = call_own(call, sizeof *own, NULL);
    const char *project = NULL;
    TRY(call_read_name(call, account_name_check, own->account.name, sizeof own->account.name));
    TRY(call_read_string(call, "project", CALL_REQUIRED, LIMIT_PROJECT_NAME_CHARS, &project));
    return call_copy_text(call, "project", project, own->project, sizeof own->project);
}

static void create_run(struct call *call) {
    struct create_request *own = call_own(call, sizeof *own, NULL);
    struct account *account = &own->account;
    struct project project;
    char what[64], detail[128];
    (void)snprintf(detail, sizeof detail, "for the project %s", own->project);
    call_audit(call, account->name, true, "ok", detail);
    if (!project_find_managed(call, own->project, &project) ||
        !account_may_name(call, account->name)) {
        return;
    }
    account->kind = ACCOUNT_SERVICE;
    account->project_id = project.id;
    account->created_at = call->now;
    (void)snprintf(what, sizeof what, "an account named %s", account->name);
    if (!call_ok(call, store_account_add(call_store(call), account), what)) {
        return;
    }
    publish_account(call, account);
    json_t *json = account_json(call, account);
    if (!call_refused(call)) {
        call_answer(call, 201, json_pack("{s:o}", "account", json));
    }
}

/*
 * The service account of the path, when the caller may manage it. For others it makes no difference
 * whether there is one: 403.
 */
static bool find_managed(struct call *call, struct account *out) {
    const char *name = call_path(call, "name");
    struct account account = {0};
    char what[64];
    (void)snprintf(what, sizeof what, "the service account %.32s", name);
    err_t err = store_account_find(call_store(call), name, &account);
    if (!failed(err) && account.kind != ACCOUNT_SERVICE) {
        err = FAIL(ERR_NOT_FOUND);
    }
    if (err.code == ERR_NOT_FOUND && call->caller.account.administrator) {
        return call_ok(call, err, what);
    }
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, what)) {
        return false;
    }
    err_t judged = OK;
    if (failed(err) || !manages(call, account.project_id, &judged)) {
        if (call_ok(call, judged, what)) {
            call_problem(call, 403, "not_permitted", NULL,
                         "only administrators and the managers of its project may do this");
        }
        return false;
    }
    *out = account;
    return true;
}

static json_t *api_key_json(const struct api_key *key) {
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    json_t *json = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:b}", "id", id, "name", key->name,
                             "hint", key->hint, "ipSubnets", call_json_subnets(&key->subnets),
                             "clusters", call_json_clusters(&key->clusters), "createdTime",
                             call_json_time(key->created_at), "expireTime",
                             call_json_time(key->expires_at), "revoked", key->revoked_at != 0);
    if (json != NULL && key->last_used_at != 0) {
        (void)json_object_set_new(json, "lastUsedTime", call_json_time(key->last_used_at));
    }
    if (json != NULL && key->duration_max_s != 0) {
        char text[DURATION_CHARS];
        duration_print(key->duration_max_s, text);
        (void)json_object_set_new(json, "maxDuration", json_string(text));
    }
    return json;
}

static err_t add_api_key(void *context, const struct api_key *key) {
    return json_array_append_new(context, api_key_json(key)) == 0 ? OK : FAIL(ERR_MEMORY);
}

static void keys_run(struct call *call) {
    struct account account;
    if (!find_managed(call, &account)) {
        return;
    }
    json_t *list = json_array();
    if (call_ok(call, store_api_key_list(call_store(call), account.id, add_api_key, list),
                "the API keys")) {
        call_answer(call, 200, json_pack("{s:o}", "apiKeys", list));
    } else {
        json_decref(list);
    }
}

struct key_request {
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    int64_t lifetime_s;
    struct subnet_list subnets;
    struct cluster_list clusters;
    int64_t duration_max_s; /* 0: the site's */
};

static err_t key_read(struct call *call) {
    struct key_request *own = call_own(call, sizeof *own, NULL);
    const char *name = NULL;
    own->lifetime_s = API_KEY_DEFAULT_S;
    TRY(call_read_string(call, "name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS, &name));
    TRY(call_read_duration(call, "expiresIn", CALL_OPTIONAL, &own->lifetime_s));
    TRY(call_read_subnets(call, "ipSubnets", CALL_OPTIONAL, &own->subnets));
    TRY(call_read_clusters(call, "clusters", CALL_OPTIONAL, &own->clusters));
    TRY(call_read_duration(call, "maxDuration", CALL_OPTIONAL, &own->duration_max_s));
    if (name[0] == '\0') {
        call_problem(call, 422, "name_refused", "name", "give the key a name to tell it by");
        return FAIL(ERR_MALFORMED);
    }
    return call_copy_text(call, "name", name, own->name, sizeof own->name);
}

struct key_count {
    int64_t now;
    size_t count;
};

static err_t count_key(void *context, const struct api_key *key) {
    struct key_count *count = context;
    count->count += key->revoked_at == 0 && key->expires_at > count->now;
    return OK;
}

bool service_account_count_keys(struct call *call, const struct account *account, size_t *out) {
    struct key_count count = {call->now, 0};
    err_t err = store_api_key_list(call_store(call), account->id, count_key, &count);
    *out = count.count;
    return call_ok(call, err, "the API keys");
}

static bool has_room(struct call *call, const struct account *account) {
    size_t count;
    if (!service_account_count_keys(call, account, &count)) {
        return false;
    }
    if (count >= LIMIT_API_KEYS_COUNT) {
        call_problem(call, 409, "too_many", NULL,
                     "%s has %d valid API keys; revoke those that are not used", account->name,
                     LIMIT_API_KEYS_COUNT);
        return false;
    }
    return true;
}

/* Managers say who is a member: one with a portal's key could be whom he likes. */
static bool may_hand_out(struct call *call, const struct account *account) {
    bool may = !account->impersonates || call->caller.account.administrator;
    if (!may) {
        call_problem(call, 403, "not_permitted", NULL,
                     "%s may impersonate, so administrators alone make its API keys",
                     account->name);
    }
    return may;
}

/* A manager gives what the project has, and no certificate lasts as long as none does here. */
static bool may_bind(struct call *call, const struct account *account,
                     const struct key_request *own) {
    const char *unreached;
    if (!account_unreached(call, account, &own->clusters, &unreached)) {
        return false;
    }
    if (unreached != NULL) {
        call_problem(call, 422, "clusters_refused", "clusters",
                     "the project of %s does not reach %s", account->name, unreached);
        return false;
    }
    if (own->duration_max_s != 0) {
        struct decision decision = policy_duration(&call->authority->policy, own->duration_max_s);
        (void)snprintf(decision.field, sizeof decision.field, "maxDuration");
        call_decision(call, &decision);
    }
    return !call_refused(call);
}

static void audit_key(struct call *call, const char *key, const char *detail) {
    char target[LIMIT_HOST_NAME_CHARS + 1];
    (void)snprintf(target, sizeof target, "%.100s/%.140s", call_path(call, "name"), key);
    call_audit(call, target, true, "ok", detail);
}

static void key_create_run(struct call *call) {
    const struct key_request *own = call_own(call, sizeof *own, NULL);
    struct account account;
    audit_key(call, own->name, NULL);
    if (!find_managed(call, &account) || !may_hand_out(call, &account) ||
        !may_bind(call, &account, own) || !has_room(call, &account)) {
        return;
    }
    struct api_key key = {.account_id = account.id,
                          .subnets = own->subnets,
                          .clusters = own->clusters,
                          .duration_max_s = own->duration_max_s,
                          .created_at = call->now,
                          .expires_at = call->now + own->lifetime_s};
    memcpy(key.name, own->name, sizeof key.name);
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS] = "";
    random_bytes(random, sizeof random);
    err_t err = token_make(TOKEN_API_KEY, random, token, key.hash);
    memcpy(key.hint, token, HINT_CHARS);
    if (call_ok(call, err, "the API key") &&
        call_ok(call, store_api_key_add(call_store(call), &key), "the API key")) {
        char id[24];
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key.id);
        call_answer(call, 201,
                    json_pack("{s:s,s:s,s:o}", "apiKey", token, "id", id, "expireTime",
                              call_json_time(key.expires_at)));
    }
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
}

/* Whoever has a leaked key has what it obtained, too: its sessions and certificates end with it. */
static bool end_key(struct call *call, struct api_key *key, size_t *certificates) {
    struct store *store = call_store(call);
    const struct revoke_scope own = {.account_id = key->account_id, .api_key_id = key->id};
    const struct revoke_scope for_others = {.by_id = key->account_id, .api_key_id = key->id};
    size_t others = 0;
    key->revoked_at = call->now;
    call_forget_bearers(call);
    return call_ok(call, store_api_key_update(store, key), "the API key") &&
           call_ok(call, store_session_remove_all(store, key->account_id, key->id, call->now),
                   "the sessions") &&
           revoke_all(call, for_others, "API key revoked", &others) &&
           revoke_all(call, own, "API key revoked", certificates) &&
           (*certificates += others, true);
}

static void key_revoke_run(struct call *call) {
    struct account account;
    struct api_key key = {0};
    uint64_t id = 0;
    size_t certificates = 0;
    audit_key(call, call_path(call, "id"), NULL);
    if (!find_managed(call, &account)) {
        return;
    }
    err_t err = u64_parse(span_str(call_path(call, "id")), &id);
    err = failed(err) || id > INT64_MAX ? FAIL(ERR_NOT_FOUND)
                                        : store_api_key_get(call_store(call), id, &key);
    /* The id of another account's key is as good as none: that key is for others to manage. */
    if (!failed(err) && key.account_id != account.id) {
        err = FAIL(ERR_NOT_FOUND);
    }
    if (!call_ok(call, err, "the API key")) {
        return;
    }
    audit_key(call, key.name, NULL);
    if (key.revoked_at == 0 && !end_key(call, &key, &certificates)) {
        return;
    }
    call_answer(
        call, 200,
        json_pack("{s:b,s:I}", "revoked", 1, "certificatesRevoked", (json_int_t)certificates));
}

const struct route service_account_routes[] = {
    {HTTP_GET, "/api/v1/service-accounts", ACCESS_ACCOUNT, "service-account.list", list_read,
     list_run, NULL},
    {HTTP_POST, "/api/v1/service-accounts", ACCESS_ACCOUNT, "service-account.create", create_read,
     create_run, NULL},
    {HTTP_GET, "/api/v1/service-accounts/{name}/api-keys", ACCESS_ACCOUNT, "api-key.list", NULL,
     keys_run, NULL},
    {HTTP_POST, "/api/v1/service-accounts/{name}/api-keys", ACCESS_ACCOUNT, "api-key.create",
     key_read, key_create_run, NULL},
    {HTTP_DELETE, "/api/v1/service-accounts/{name}/api-keys/{id}", ACCESS_ACCOUNT, "api-key.revoke",
     NULL, key_revoke_run, NULL},
    {0},
};
