/* What managers do for the people of their project: invite new ones, and see who has which
 * certificates. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/invitation.h"
#include "authority/routes/project.h"
#include "authority/routes/publish.h"

/* ---- inviting ---------------------------------------------------------------------------- */

static err_t invite_read(struct call *call) {
    struct account *own = call_own(call, sizeof *own, NULL);
    const char *name = NULL, *title = NULL;
    struct fault fault = {0};
    TRY(call_read_string(call, "name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS, &name));
    TRY(call_read_string(call, "displayName", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS, &title));
    err_t err = account_name_check(span_str(name), &fault);
    if (failed(err)) {
        call_problem(call, 422, "name_refused", "name", "%s", fault.reason);
        return err;
    }
    TRY(account_copy_text(call, "name", name, own->name, sizeof own->name));
    return title == NULL ? OK
                         : account_copy_text(call, "displayName", title, own->display_name,
                                             sizeof own->display_name);
}

static bool add_person(struct call *call, const struct project *project, struct account *account) {
    struct store *store = call_store(call);
    char what[128];
    (void)snprintf(what, sizeof what,
                   "an account named %s (take it into the project instead), which", account->name);
    account->kind = ACCOUNT_PERSON;
    account->created_at = call->now;
    if (!call_ok(call, store_account_add(store, account), what)) {
        return false;
    }
    const struct membership membership = {
        .project_id = project->id, .account_id = account->id, .role = MEMBER, .since = call->now};
    return call_ok(call, store_member_put(store, &membership), "the membership");
}

static void invite_run(struct call *call) {
    struct account *account = call_own(call, sizeof *account, NULL);
    struct project project;
    char detail[128];
    (void)snprintf(detail, sizeof detail, "to the project %.64s", call_path(call, "name"));
    call_audit(call, account->name, true, "ok", detail);
    if (!project_find_managed(call, call_path(call, "name"), &project) ||
        !account_may_name(call, account->name)) {
        return;
    }
    if (!add_person(call, &project, account)) {
        return;
    }
    json_t *body = json_object();
    invitation_issue(call, account, body);
    publish_account(call, account);
    json_t *json = account_json(call, account);
    if (call_refused(call) || json_object_set_new(body, "account", json) != 0) {
        json_decref(body);
        (void)call_ok(call, FAIL(ERR_MEMORY), "the invitation"); /* the first problem counts */
        return;
    }
    call_answer(call, 201, body);
}

/* ---- seeing ------------------------------------------------------------------------------ */

struct gathering {
    struct call *call;
    entity_id project_id;
    const char *username; /* whose are listed now */
    size_t left;
    json_t *list;
};

static err_t add_certificate(void *context, const struct issued *issued) {
    struct gathering *gathering = context;
    const char *by = issued->by_id != 0        ? "portal"
                     : issued->grant_id != 0   ? "grant"
                     : issued->api_key_id != 0 ? "api-key"
                                               : "session";
    json_t *item = json_pack("{s:s,s:o,s:s,s:o,s:o,s:s}", "username", gathering->username,
                             "serialNumber", call_json_u64(issued->serial), "fingerprint",
                             issued->fingerprint, "createTime", call_json_time(issued->issued_at),
                             "expireTime", call_json_time(issued->valid_before), "obtainedBy", by);
    gathering->left--;
    return json_array_append_new(gathering->list, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t add_of(struct gathering *gathering, const struct account *account) {
    const struct issued_filter filter = {
        .account_id = account->id, .now = gathering->call->now, .max = gathering->left};
    gathering->username = account->name;
    return gathering->left == 0 ? OK
                                : store_issued_list(call_store(gathering->call), &filter,
                                                    add_certificate, gathering);
}

static err_t add_member(void *context, const struct membership *membership) {
    struct gathering *gathering = context;
    struct account account;
    TRY(store_account_get(call_store(gathering->call), membership->account_id, &account));
    return add_of(gathering, &account);
}

static err_t add_service(void *context, const struct account *account) {
    struct gathering *gathering = context;
    return account->kind == ACCOUNT_SERVICE && account->project_id == gathering->project_id
               ? add_of(gathering, account)
               : OK;
}

static void certificates_run(struct call *call) {
    struct project project;
    if (!project_find_managed(call, call_path(call, "name"), &project)) {
        return;
    }
    struct gathering gathering = {.call = call,
                                  .project_id = project.id,
                                  .left = LIMIT_LIST_ROWS_COUNT,
                                  .list = json_array()};
    struct store *store = call_store(call);
    err_t err = store_member_list(store, project.id, 0, add_member, &gathering);
    err =
        failed(err) ? err : store_account_list(store, NULL, SIZE_MAX >> 1, add_service, &gathering);
    if (call_ok(call, err, "the certificates")) {
        call_answer(
            call, 200,
            json_pack("{s:o,s:b}", "certificates", gathering.list, "complete", gathering.left > 0));
    } else {
        json_decref(gathering.list);
    }
}

const struct route project_people_routes[] = {
    {HTTP_POST, "/api/v1/projects/{name}/invitations", ACCESS_ACCOUNT, "project.invite",
     invite_read, invite_run, NULL},
    {HTTP_GET, "/api/v1/projects/{name}/certificates", ACCESS_ACCOUNT, "project.certificates", NULL,
     certificates_run, NULL},
    {.path = NULL},
};
