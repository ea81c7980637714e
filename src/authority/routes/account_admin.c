/* What administrators do with accounts: listing, making, changing and inviting. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/invitation.h"
#include "authority/routes/publish.h"
#include "authority/routes/service_account.h"
#include "authority/routes/session.h"
#include "authority/routes/window.h"

static void answer(struct call *call, unsigned status, const struct account *account) {
    json_t *json = account_json(call, account);
    if (!call_refused(call)) {
        call_answer(call, status, json_pack("{s:o}", "account", json));
    }
}

struct listing {
    const char *after;
    size_t limit;
    struct call *call;
    json_t *list;
};

static err_t list_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    TRY(call_query_string(call, "after", LIMIT_ACCOUNT_NAME_CHARS, &own->after));
    return call_query_limit(call, &own->limit);
}

static err_t add_account(void *context, const struct account *account) {
    struct listing *listing = context;
    return json_array_append_new(listing->list, account_json(listing->call, account)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    own->call = call;
    own->list = json_array();
    err_t err = store_account_list(call_store(call), own->after, own->limit, add_account, own);
    if (call_ok(call, err, "the accounts")) {
        call_answer(call, 200, json_pack("{s:o}", "accounts", own->list));
    } else {
        json_decref(own->list);
    }
}

static void get_run(struct call *call) {
    struct account account;
    if (account_find(call, call_path(call, "name"), &account)) {
        answer(call, 200, &account);
    }
}

static err_t read_email(struct call *call, char *to, size_t to_size) {
    const char *text = NULL;
    TRY(call_read_string(call, "email", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS, &text));
    if (text == NULL) {
        return OK;
    }
    if (text[0] != '\0' && (strchr(text, '@') == NULL || strchr(text, ' ') != NULL)) {
        call_problem(call, 422, "email_refused", "email", "this is not an e-mail address");
        return FAIL(ERR_MALFORMED);
    }
    return call_copy_text(call, "email", text, to, to_size);
}

struct creation {
    struct account account;
    bool has_window;
    struct window_password window;
};

static void creation_release(void *own) { window_password_done(&((struct creation *)own)->window); }

static err_t create_read(struct call *call) {
    struct creation *creation = call_own(call, sizeof *creation, creation_release);
    struct account *own = &creation->account;
    own->kind = ACCOUNT_PERSON;
    TRY(call_read_name(call, account_name_check, own->name, sizeof own->name));
    TRY(call_read_display_name(call, own->display_name, sizeof own->display_name));
    TRY(read_email(call, own->email, sizeof own->email));
    TRY(call_read_bool(call, "administrator", CALL_OPTIONAL, &own->administrator, NULL));
    return call_read_bool(call, "passwordWindow", CALL_OPTIONAL, &creation->has_window, NULL);
}

static void create(struct call *call) {
    struct creation *own = call_own(call, sizeof *own, creation_release);
    struct account *account = &own->account;
    account->created_at = call->now;
    call_audit(call, account->name, true, "ok", account->administrator ? "administrator" : NULL);
    char what[64];
    (void)snprintf(what, sizeof what, "an account named %s", account->name);
    if ((own->has_window && !window_judge(call, account)) ||
        !call_ok(call, store_account_add(call_store(call), account), what)) {
        return;
    }
    json_t *body = json_object();
    invitation_issue(call, account, body);
    if (own->has_window) {
        window_open(call, account, &own->window, body);
    }
    publish_account(call, account);
    json_t *json = account_json(call, account);
    if (call_refused(call) || json_object_set_new(body, "account", json) != 0) {
        json_decref(body);
        (void)call_ok(call, FAIL(ERR_MEMORY), what); /* the first problem counts */
        return;
    }
    call_answer(call, 201, body);
}

static void hash_window_password(struct call *call) {
    struct creation *own = call_own(call, sizeof *own, creation_release);
    ignore_err(
        window_password_hash(call, &own->window)); /* window_open() sees that there is none */
}

static void create_run(struct call *call) {
    struct creation *own = call_own(call, sizeof *own, creation_release);
    if (!own->has_window) {
        create(call);
    } else if (window_judge(call, &own->account) &&
               call_ok(call, window_password_make(&own->window), "the password")) {
        call_defer(call, hash_window_password, create);
    }
}

struct change_request {
    char display_name[LIMIT_DISPLAY_NAME_CHARS + 1];
    char email[LIMIT_DISPLAY_NAME_CHARS + 1];
    bool has_display_name, has_email;
    bool disabled, has_disabled;
    bool administrator, has_administrator;
    bool impersonates, has_impersonates;
    int64_t quota_per_day; /* -1: not given */
};

static err_t change_read(struct call *call) {
    struct change_request *own = call_own(call, sizeof *own, NULL);
    own->quota_per_day = -1;
    TRY(call_read_bool(call, "disabled", CALL_OPTIONAL, &own->disabled, &own->has_disabled));
    TRY(call_read_bool(call, "administrator", CALL_OPTIONAL, &own->administrator,
                       &own->has_administrator));
    TRY(call_read_bool(call, "impersonates", CALL_OPTIONAL, &own->impersonates,
                       &own->has_impersonates));
    TRY(call_read_display_name(call, own->display_name, sizeof own->display_name));
    TRY(read_email(call, own->email, sizeof own->email));
    own->has_display_name = json_is_string(json_object_get(call->body, "displayName"));
    own->has_email = json_is_string(json_object_get(call->body, "email"));
    return call_read_int(call, "quotaPerDay", CALL_OPTIONAL, 0, LIMIT_QUOTA_PER_DAY,
                         &own->quota_per_day);
}

struct administrator_search {
    struct store *store;
    entity_id but;
    bool found;
};

/* Only one who can sign in counts. */
static err_t look_for_administrator(void *context, const struct account *account) {
    struct administrator_search *search = context;
    if (search->found || !account->administrator || account->disabled ||
        account->id == search->but) {
        return OK;
    }
    struct login login = {0};
    err_t err = store_login_get(search->store, account->id, &login);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    search->found = login.password_hash[0] != '\0' && login.totp_secret_bytes != 0;
    return OK;
}

static bool leaves_an_administrator(struct call *call, const struct account *account) {
    struct administrator_search search = {call_store(call), account->id, false};
    err_t err =
        store_account_list(search.store, NULL, SIZE_MAX >> 1, look_for_administrator, &search);
    if (!call_ok(call, err, "the accounts")) {
        return false;
    }
    if (!search.found) {
        call_problem(call, 409, "last_administrator", NULL,
                     "%s is the last administrator who can sign in; make somebody else one first",
                     account->name);
    }
    return search.found;
}

static void apply(const struct change_request *request, struct account *account) {
    if (request->has_display_name) {
        memcpy(account->display_name, request->display_name, sizeof account->display_name);
    }
    if (request->has_email) {
        memcpy(account->email, request->email, sizeof account->email);
    }
    account->disabled = request->has_disabled ? request->disabled : account->disabled;
    account->administrator =
        request->has_administrator ? request->administrator : account->administrator;
    account->impersonates =
        request->has_impersonates ? request->impersonates : account->impersonates;
    if (request->quota_per_day >= 0) {
        account->quota_per_day = (uint32_t)request->quota_per_day;
    }
}

static void describe(const struct account *was, const struct account *is, char *out, size_t size) {
    const char *access = was->disabled == is->disabled ? ""
                         : is->disabled                ? "disabled "
                                                       : "enabled ";
    const char *rank = was->administrator == is->administrator ? ""
                       : is->administrator                     ? "made administrator "
                                                               : "administrator no more ";
    const char *others = was->impersonates == is->impersonates ? ""
                         : is->impersonates                    ? "may impersonate "
                                                               : "may impersonate no more ";
    const char *rest = was->quota_per_day == is->quota_per_day &&
                               strcmp(was->display_name, is->display_name) == 0 &&
                               strcmp(was->email, is->email) == 0
                           ? ""
                           : "details changed";
    (void)snprintf(out, size, "%s%s%s%s", access, rank, others, rest);
}

/* Managers may have made its keys, and would be given what administrators alone give. */
static bool has_no_keys(struct call *call, const struct account *account) {
    size_t count;
    if (!service_account_count_keys(call, account, &count)) {
        return false;
    }
    if (count != 0) {
        call_problem(call, 409, "has_keys", "impersonates",
                     "%s has API keys, which managers may hold; revoke them, and make new ones "
                     "once it may impersonate: postern admin service-account key list %s",
                     account->name, account->name);
    }
    return count == 0;
}

static void change_run(struct call *call) {
    const struct change_request *own = call_own(call, sizeof *own, NULL);
    const char *name = call_path(call, "name");
    call_audit(call, name, true, "ok", NULL);
    struct account was;
    if (!account_find(call, name, &was)) {
        return;
    }
    struct account is = was;
    apply(own, &is);
    char detail[128];
    describe(&was, &is, detail, sizeof detail);
    call_audit(call, name, true, "ok", detail);
    if (is.administrator && is.kind != ACCOUNT_PERSON) {
        call_problem(call, 422, "not_a_person", "administrator",
                     "%s is a service account; only people can be administrators", is.name);
        return;
    }
    if (is.impersonates && is.kind != ACCOUNT_SERVICE) {
        call_problem(call, 422, "not_a_service", "impersonates",
                     "%s is a person; only service accounts ask for certificates of others",
                     is.name);
        return;
    }
    if (is.impersonates && !was.impersonates && !has_no_keys(call, &is)) {
        return;
    }
    bool was_ruling = was.administrator && !was.disabled;
    bool is_ruling = is.administrator && !is.disabled;
    if (was_ruling && !is_ruling && !leaves_an_administrator(call, &was)) {
        return;
    }
    if (!call_ok(call, store_account_update(call_store(call), &is), "the account")) {
        return;
    }
    call_forget_bearers(call);
    /* By an issuer or a ticket, which may open no administrator's, whoever runs it could wait. */
    if (is_ruling && !was_ruling && !session_end_all(call, is.id)) {
        return;
    }
    if (is.disabled && !was.disabled && !account_end_access(call, &is, "account disabled")) {
        return;
    }
    if (is.disabled != was.disabled) {
        publish_reach(call, &is);
    }
    if (!call_refused(call)) {
        answer(call, 200, &is);
    }
}

static void invite_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct account account;
    call_audit(call, name, true, "ok", NULL);
    if (!account_find(call, name, &account)) {
        return;
    }
    if (account.kind != ACCOUNT_PERSON) {
        call_problem(call, 422, "not_a_person", NULL,
                     "%s is a service account: it signs in with an API key", account.name);
        return;
    }
    json_t *body = json_object();
    invitation_issue(call, &account, body);
    if (call_refused(call)) {
        json_decref(body);
        return;
    }
    call_answer(call, 200, body);
}

const struct route account_routes[] = {
    {HTTP_GET, "/api/v1/accounts", ACCESS_ADMINISTRATOR, "account.list", list_read, list_run, NULL},
    {HTTP_POST, "/api/v1/accounts", ACCESS_ADMINISTRATOR, "account.create", create_read, create_run,
     NULL},
    {HTTP_GET, "/api/v1/accounts/{name}", ACCESS_ADMINISTRATOR, "account.show", NULL, get_run,
     NULL},
    {HTTP_PUT, "/api/v1/accounts/{name}", ACCESS_ADMINISTRATOR, "account.change", change_read,
     change_run, NULL},
    {HTTP_POST, "/api/v1/accounts/{name}/invitation", ACCESS_ADMINISTRATOR, "account.invite", NULL,
     invite_run, NULL},
    {0},
};
