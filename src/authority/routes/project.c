#include "authority/routes/project.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/routes/account.h"
#include "authority/routes/grant.h"
#include "authority/routes/publish.h"
#include "authority/routes/revoke.h"

/* The caller's role in a project; 0 for none. Service accounts have none: they belong to a project
 * and never manage one. */
static bool role_in(struct call *call, const struct project *project, enum member_role *role) {
    struct membership membership = {0};
    err_t err =
        store_member_get(call_store(call), project->id, call->caller.account.id, &membership);
    *role = membership.role;
    return err.code == ERR_NOT_FOUND || call_ok(call, err, "the membership");
}

static bool find_for(struct call *call, const char *name, enum member_role needed,
                     struct project *out) {
    struct project project = {0};
    enum member_role role = 0;
    char what[96];
    (void)snprintf(what, sizeof what, "the project %.64s", name);
    err_t err = store_project_find(call_store(call), name, &project);
    if (call->caller.account.administrator) {
        if (!call_ok(call, err, what)) {
            return false;
        }
        *out = project;
        return true;
    }
    if (err.code != ERR_NOT_FOUND &&
        (!call_ok(call, err, what) || !role_in(call, &project, &role))) {
        return false;
    }
    if (role != MEMBER_MANAGER && (role == 0 || needed == MEMBER_MANAGER)) {
        call_problem(call, 403, "not_permitted", NULL,
                     needed == MEMBER_MANAGER
                         ? "only administrators and the managers of this project may do this"
                         : "only administrators and the members of this project may see it");
        return false;
    }
    *out = project;
    return true;
}

bool project_find_managed(struct call *call, const char *name, struct project *out) {
    return find_for(call, name, MEMBER_MANAGER, out);
}

struct gathering {
    struct store *store;
    struct call *call;
    json_t *list;
};

static err_t add_member(void *context, const struct membership *membership) {
    struct gathering *gathering = context;
    struct account account;
    TRY(store_account_get(gathering->store, membership->account_id, &account));
    json_t *item = json_pack("{s:s,s:s}", "username", account.name, "role",
                             membership->role == MEMBER_MANAGER ? "manager" : "member");
    return json_array_append_new(gathering->list, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    struct gathering *gathering = context;
    return json_array_append_new(gathering->list, json_string(cluster->name)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static json_t *project_json(struct call *call, const struct project *project) {
    struct store *store = call_store(call);
    struct gathering members = {store, call, json_array()};
    struct gathering clusters = {store, call, json_array()};
    err_t err = store_member_list(store, project->id, 0, add_member, &members);
    err =
        failed(err) ? err : store_project_cluster_list(store, project->id, add_cluster, &clusters);
    if (!call_ok(call, err, "the project's members and clusters")) {
        json_decref(members.list);
        json_decref(clusters.list);
        return NULL;
    }
    return json_pack("{s:s,s:s,s:o,s:o}", "name", project->name, "displayName",
                     project->display_name, "members", members.list, "clusters", clusters.list);
}

static void answer(struct call *call, unsigned status, const struct project *project) {
    if (call_refused(call)) {
        return;
    }
    json_t *json = project_json(call, project);
    if (!call_refused(call)) {
        call_answer(call, status, json_pack("{s:o}", "project", json));
    }
}

/* Administrators see all projects, others their own. */
static err_t add_project(void *context, const struct project *project) {
    struct gathering *gathering = context;
    struct call *call = gathering->call;
    enum member_role role = MEMBER;
    if (!call->caller.account.administrator && !role_in(call, project, &role)) {
        return FAIL(ERR_IO); /* role_in() set the problem */
    }
    if (role == 0) {
        return OK;
    }
    return json_array_append_new(gathering->list, project_json(call, project)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct gathering gathering = {call_store(call), call, json_array()};
    err_t err =
        store_project_list(gathering.store, NULL, LIMIT_LIST_ROWS_COUNT, add_project, &gathering);
    if (call_ok(call, err, "the projects")) {
        call_answer(call, 200, json_pack("{s:o}", "projects", gathering.list));
    } else {
        json_decref(gathering.list);
    }
}

static err_t create_read(struct call *call) {
    struct project *own = call_own(call, sizeof *own, NULL);
    TRY(call_read_name(call, project_name_check, own->name, sizeof own->name));
    return call_read_display_name(call, own->display_name, sizeof own->display_name);
}

static void create_run(struct call *call) {
    struct project *project = call_own(call, sizeof *project, NULL);
    project->created_at = call->now;
    char what[96];
    (void)snprintf(what, sizeof what, "a project named %s", project->name);
    call_audit(call, project->name, true, "ok", NULL);
    if (call_ok(call, store_project_add(call_store(call), project), what)) {
        answer(call, 201, project);
    }
}

static void get_run(struct call *call) {
    struct project project;
    if (find_for(call, call_path(call, "name"), MEMBER, &project)) {
        answer(call, 200, &project);
    }
}

static err_t member_read(struct call *call) {
    enum member_role *own = call_own(call, sizeof *own, NULL);
    const char *role = NULL;
    TRY(call_read_string(call, "role", CALL_REQUIRED, 16, &role));
    *own = strcmp(role, "member") == 0 ? MEMBER : strcmp(role, "manager") == 0 ? MEMBER_MANAGER : 0;
    if (*own == 0) {
        call_problem(call, 422, "role_refused", "role", "the role is member or manager");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

static void audit_member(struct call *call, const char *change) {
    char target[LIMIT_HOST_NAME_CHARS + 1];
    (void)snprintf(target, sizeof target, "%.120s/%.120s", call_path(call, "name"),
                   call_path(call, "account"));
    call_audit(call, target, true, "ok", change);
}

/* Administrators are not for managers to take in, nor to put out, which ends all that they have. */
static bool find_member(struct call *call, struct account *out) {
    if (!account_find(call, call_path(call, "account"), out)) {
        return false;
    }
    if (out->administrator && !call->caller.account.administrator) {
        call_problem(call, 403, "not_permitted", NULL,
                     "%s is an administrator, whose projects administrators alone change",
                     out->name);
    }
    return !call_refused(call);
}

static void member_put_run(struct call *call) {
    const enum member_role *role = call_own(call, sizeof *role, NULL);
    struct project project;
    struct account account;
    audit_member(call, *role == MEMBER_MANAGER ? "as manager" : "as member");
    if (!project_find_managed(call, call_path(call, "name"), &project) ||
        !find_member(call, &account)) {
        return;
    }
    if (account.kind != ACCOUNT_PERSON) {
        call_problem(call, 422, "not_a_person", NULL,
                     "%s is a service account; it belongs to the project it was made for, alone",
                     account.name);
        return;
    }
    struct store *store = call_store(call);
    struct membership membership = {0};
    err_t err = store_member_get(store, project.id, account.id, &membership);
    if (err.code == ERR_NOT_FOUND) {
        membership = (struct membership){
            .project_id = project.id, .account_id = account.id, .since = call->now};
    } else if (!call_ok(call, err, "the membership")) {
        return;
    }
    membership.role = *role;
    if (call_ok(call, store_member_put(store, &membership), "the membership")) {
        call_forget_bearers(call);
        publish_reach(call, &account);
        answer(call, 200, &project);
    }
}

static void member_remove_run(struct call *call) {
    struct project project;
    struct account account;
    char what[128];
    audit_member(call, NULL);
    if (!project_find_managed(call, call_path(call, "name"), &project) ||
        !find_member(call, &account)) {
        return;
    }
    (void)snprintf(what, sizeof what, "%s as a member of %.64s", account.name, project.name);
    if (call_ok(call, store_member_remove(call_store(call), project.id, account.id), what) &&
        project_end_membership(call, &project, &account)) {
        call_forget_bearers(call);
        publish_reach(call, &account);
        answer(call, 200, &project);
    }
}

/* The accounts whose reach a project decides; gathered first, as a listing may not write. */
struct affected {
    entity_id project_id;
    entity_id *ids;
    size_t count, size;
};

static void affected_done(struct affected *affected) { free(affected->ids); }

static err_t add_id(struct affected *affected, entity_id id) {
    if (affected->count == affected->size) {
        size_t size = affected->size == 0 ? 64 : affected->size * 2;
        entity_id *ids = realloc(affected->ids, size * sizeof *ids);
        if (ids == NULL) {
            return FAIL(ERR_MEMORY);
        }
        affected->ids = ids;
        affected->size = size;
    }
    affected->ids[affected->count++] = id;
    return OK;
}

static err_t note_member(void *context, const struct membership *membership) {
    return add_id(context, membership->account_id);
}

static err_t note_service(void *context, const struct account *account) {
    struct affected *affected = context;
    return account->kind == ACCOUNT_SERVICE && account->project_id == affected->project_id
               ? add_id(affected, account->id)
               : OK;
}

bool project_end_membership(struct call *call, const struct project *project,
                            const struct account *account) {
    struct store *store = call_store(call);
    struct affected services CLEANUP(affected_done) = {.project_id = project->id};
    size_t projects = 0, count = 0;
    char why[128];
    (void)snprintf(why, sizeof why, "removed from the project %.64s", project->name);
    err_t err = bearer_count_projects(store, account, &projects);
    err =
        failed(err) ? err : store_account_list(store, NULL, SIZE_MAX >> 1, note_service, &services);
    if (!call_ok(call, err, "the project's accounts")) {
        return false;
    }
    for (size_t i = 0; i < services.count; i++) {
        const struct revoke_scope by_portal = {.account_id = account->id, .by_id = services.ids[i]};
        if (!revoke_all(call, by_portal, why, &count)) {
            return false;
        }
    }
    return projects == 0 ? account_end_access(call, account, why)
                         : grant_end_unreached(call, account, &count);
}

static void publish_accounts(struct call *call, const struct project *project) {
    struct store *store = call_store(call);
    struct affected affected CLEANUP(affected_done) = {.project_id = project->id};
    err_t err = store_member_list(store, project->id, 0, note_member, &affected);
    err =
        failed(err) ? err : store_account_list(store, NULL, SIZE_MAX >> 1, note_service, &affected);
    if (!call_ok(call, err, "the project's accounts")) {
        return;
    }
    for (size_t i = 0; i < affected.count && !call_refused(call); i++) {
        struct account account;
        if (call_ok(call, store_account_get(store, affected.ids[i], &account), "the account")) {
            publish_reach(call, &account);
        }
    }
}

/* Which clusters a project reaches is the administrators' to say: the routes' access sees to it. */
static void change_grant(struct call *call, err_t (*change)(struct store *store, entity_id project,
                                                            entity_id cluster)) {
    struct project project;
    struct cluster cluster;
    char target[LIMIT_HOST_NAME_CHARS + 1];
    (void)snprintf(target, sizeof target, "%.120s/%.120s", call_path(call, "name"),
                   call_path(call, "cluster"));
    call_audit(call, target, true, "ok", NULL);
    struct store *store = call_store(call);
    if (!find_for(call, call_path(call, "name"), MEMBER_MANAGER, &project) ||
        !call_ok(call, store_cluster_find(store, call_path(call, "cluster"), &cluster),
                 "the cluster") ||
        !call_ok(call, change(store, project.id, cluster.id), "the project's cluster")) {
        return;
    }
    publish_accounts(call, &project);
    answer(call, 200, &project);
}

static void grant_run(struct call *call) { change_grant(call, store_project_cluster_put); }

static void withdraw_run(struct call *call) { change_grant(call, store_project_cluster_remove); }

const struct route project_routes[] = {
    {HTTP_GET, "/api/v1/projects", ACCESS_ACCOUNT, "project.list", NULL, list_run, NULL},
    {HTTP_POST, "/api/v1/projects", ACCESS_ADMINISTRATOR, "project.create", create_read, create_run,
     NULL},
    {HTTP_GET, "/api/v1/projects/{name}", ACCESS_ACCOUNT, "project.show", NULL, get_run, NULL},
    {HTTP_PUT, "/api/v1/projects/{name}/members/{account}", ACCESS_ACCOUNT, "project.member.put",
     member_read, member_put_run, NULL},
    {HTTP_DELETE, "/api/v1/projects/{name}/members/{account}", ACCESS_ACCOUNT,
     "project.member.remove", NULL, member_remove_run, NULL},
    {HTTP_PUT, "/api/v1/projects/{name}/clusters/{cluster}", ACCESS_ADMINISTRATOR,
     "project.cluster.put", NULL, grant_run, NULL},
    {HTTP_DELETE, "/api/v1/projects/{name}/clusters/{cluster}", ACCESS_ADMINISTRATOR,
     "project.cluster.remove", NULL, withdraw_run, NULL},
    {0},
};
