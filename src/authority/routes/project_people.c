/* How managers invite people into their project, and again those who did not come in time. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/invitation.h"
#include "authority/routes/project.h"
#include "authority/routes/publish.h"
#include "base/secret.h"

/* ---- inviting ---------------------------------------------------------------------------- */

static err_t invite_read(struct call *call) {
    struct account *own = call_own(call, sizeof *own, NULL);
    TRY(call_read_name(call, account_name_check, own->name, sizeof own->name));
    return call_read_display_name(call, own->display_name, sizeof own->display_name);
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

/* ---- again ------------------------------------------------------------------------------- */

static err_t count_membership(void *context, const struct membership *membership) {
    (void)membership;
    ++*(size_t *)context;
    return OK;
}

static err_t count_session(void *context, const struct session *session) {
    (void)session;
    ++*(size_t *)context;
    return OK;
}

static err_t count_issued(void *context, const struct issued *issued) {
    (void)issued;
    ++*(size_t *)context;
    return OK;
}

static err_t count_key(void *context, const struct registered_key *key) {
    (void)key;
    ++*(size_t *)context;
    return OK;
}

/*
 * Whoever gets an invitation becomes the account. So a manager makes a second one only for a person
 * whom an invitation into this project made (a manager may take in anybody, and would get at whom
 * administrators made), who is in no other, is no administrator, and has never come: who signs in
 * by another issuer has no password either, but a session or what was made with one.
 */
static bool never_came(struct call *call, const struct account *account, const struct login *login,
                       const struct membership *membership) {
    struct store *store = call_store(call);
    size_t memberships = 0, used = 0;
    const struct issued_filter any = {.account_id = account->id,
                                      .now = call->now,
                                      .include_expired = true,
                                      .include_revoked = true,
                                      .max = 1};
    err_t err = store_member_list(store, 0, account->id, count_membership, &memberships);
    err = failed(err) ? err : store_session_list(store, account->id, count_session, &used);
    err = failed(err) ? err : store_issued_list(store, &any, count_issued, &used);
    err = failed(err) ? err : store_registered_key_list(store, account->id, count_key, &used);
    return call_ok(call, err, "what the account has") && account->kind == ACCOUNT_PERSON &&
           !account->administrator && !account->disabled && membership->role == MEMBER &&
           membership->since == account->created_at && memberships == 1 && used == 0 &&
           login->password_hash[0] == '\0' && login->invitation_hash[0] != '\0';
}

/* Whether the name is that of somebody who may be invited again; a problem when it is taken by
 * anybody else. */
static bool may_invite_again(struct call *call, const struct project *project,
                             const struct account *account) {
    struct store *store = call_store(call);
    struct membership membership = {0};
    struct login login = {0};
    err_t err = store_member_get(store, project->id, account->id, &membership);
    err = failed(err) ? err : store_login_get(store, account->id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the membership")) {
        return false;
    }
    bool again = !failed(err) && never_came(call, account, &login, &membership);
    if (!again) {
        call_problem(call, 409, "exists", NULL,
                     "an account named %s (take it into the project instead) exists already",
                     account->name);
    } else if (login.invitation_expires_at > call->now) {
        call_problem(call, 409, "invitation_open", NULL,
                     "%s has an invitation that is still good; when it has run out you can make "
                     "another, and an administrator can at once",
                     account->name);
    }
    secret_wipe(&login, sizeof login);
    return !call_refused(call);
}

/* ---- the call ---------------------------------------------------------------------------- */

/* Makes the account where there is none yet; false when a problem is told. */
static bool find_or_add(struct call *call, const struct project *project, struct account *account,
                        bool *again) {
    struct account found;
    err_t err = store_account_find(call_store(call), account->name, &found);
    *again = !failed(err);
    if (err.code == ERR_NOT_FOUND) {
        return add_person(call, project, account);
    }
    if (!call_ok(call, err, "the account") || !may_invite_again(call, project, &found)) {
        return false;
    }
    *account = found;
    return true;
}

static void invite_run(struct call *call) {
    struct account *account = call_own(call, sizeof *account, NULL);
    bool again;
    struct project project;
    char detail[128];
    (void)snprintf(detail, sizeof detail, "to the project %.64s", call_path(call, "name"));
    call_audit(call, account->name, true, "ok", detail);
    if (!project_find_managed(call, call_path(call, "name"), &project) ||
        !account_may_name(call, account->name)) {
        return;
    }
    if (!find_or_add(call, &project, account, &again)) {
        return;
    }
    json_t *body = json_object();
    invitation_issue(call, account, body);
    if (!again) {
        publish_account(call, account);
    }
    json_t *json = account_json(call, account);
    if (call_refused(call) || json_object_set_new(body, "account", json) != 0) {
        json_decref(body);
        (void)call_ok(call, FAIL(ERR_MEMORY), "the invitation"); /* the first problem counts */
        return;
    }
    call_answer(call, again ? 200 : 201, body);
}

const struct route project_people_routes[] = {
    {HTTP_POST, "/api/v1/projects/{name}/invitations", ACCESS_ACCOUNT, "project.invite",
     invite_read, invite_run, NULL},
    {.path = NULL},
};
