#include "authority/routes/account.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/grant.h"
#include "authority/routes/internal_key.h"
#include "authority/routes/registered_key.h"
#include "authority/routes/revoke.h"
#include "authority/routes/session.h"

const char *account_kind_name(enum account_kind kind) {
    return kind == ACCOUNT_SERVICE ? "service" : "person";
}

bool account_find(struct call *call, const char *name, struct account *out) {
    char what[64];
    (void)snprintf(what, sizeof what, "the account %.40s", name);
    return call_ok(call, store_account_find(call_store(call), name, out), what);
}

bool account_listed(struct call *call, const char *name, const char *what, struct account *out) {
    const struct account *caller = &call->caller.account;
    if (name == NULL || strcmp(name, caller->name) == 0) {
        *out = *caller;
        return true;
    }
    if (!caller->administrator) {
        call_problem(call, 403, "not_permitted", "account",
                     "only administrators may see the %s of others", what);
        return false;
    }
    return account_find(call, name, out);
}

struct reach_check {
    const struct cluster_list *clusters;
    bool reached[LIMIT_BOUND_CLUSTERS_COUNT];
};

static err_t note_reached(void *context, const struct cluster *cluster) {
    struct reach_check *check = context;
    for (size_t i = 0; i < check->clusters->count; i++) {
        check->reached[i] |= strcmp(check->clusters->names[i], cluster->name) == 0;
    }
    return OK;
}

bool account_unreached(struct call *call, const struct account *account,
                       const struct cluster_list *clusters, const char **out) {
    struct reach_check check = {.clusters = clusters};
    if (!call_ok(call, store_reach_list(call_store(call), account->id, note_reached, &check),
                 "the clusters")) {
        return false;
    }
    *out = NULL;
    for (size_t i = clusters->count; i > 0; i--) {
        *out = check.reached[i - 1] ? *out : clusters->names[i - 1];
    }
    return true;
}

struct project_gathering {
    struct store *store;
    json_t *list;
};

static err_t add_project(void *context, const struct membership *membership) {
    struct project_gathering *gathering = context;
    struct project project;
    TRY(store_project_get(gathering->store, membership->project_id, &project));
    json_t *item = json_pack("{s:s,s:s}", "name", project.name, "role",
                             membership->role == MEMBER_MANAGER ? "manager" : "member");
    return json_array_append_new(gathering->list, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

json_t *account_projects_json(struct call *call, const struct account *account) {
    struct project_gathering gathering = {call_store(call), json_array()};
    const struct membership owned = {.project_id = account->project_id, .role = MEMBER};
    err_t err = account->kind == ACCOUNT_SERVICE
                    ? add_project(&gathering, &owned)
                    : store_member_list(gathering.store, 0, account->id, add_project, &gathering);
    if (!call_ok(call, err, "the projects")) {
        json_decref(gathering.list);
        return NULL;
    }
    return gathering.list;
}

json_t *account_json(struct call *call, const struct account *account) {
    struct login login = {0};
    err_t err = store_login_get(call_store(call), account->id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return NULL;
    }
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:b,s:b,s:I,s:o,s:b,s:o}", "name", account->name, "kind",
                  account_kind_name(account->kind), "displayName", account->display_name, "email",
                  account->email, "administrator", account->administrator, "disabled",
                  account->disabled, "quotaPerDay", (json_int_t)account->quota_per_day, "projects",
                  account_projects_json(call, account), "enrolled",
                  login.password_hash[0] != '\0' && login.totp_secret_bytes != 0, "createdTime",
                  call_json_time(account->created_at));
    if (json != NULL && account->kind == ACCOUNT_SERVICE &&
        json_object_set_new(json, "impersonates", json_boolean(account->impersonates)) != 0) {
        json_decref(json);
        return NULL;
    }
    if (json != NULL && login.window_until > call->now &&
        json_object_set_new(json, "windowExpireTime", call_json_time(login.window_until)) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

bool account_is_system_user(const char *name) {
    static const char *const names[] = {
        "_apt",          "_chrony",    "adm",        "admin",
        "administrator", "almalinux",  "alpine",     "anonymous",
        "apache",        "arch",       "azureuser",  "backup",
        "bin",           "centos",     "ceph",       "chrony",
        "cloud-user",    "core",       "daemon",     "dbus",
        "debian",        "dnsmasq",    "docker",     "ec2-user",
        "fedora",        "ftp",        "games",      "gdm",
        "git",           "gluster",    "halt",       "irc",
        "libvirt",       "list",       "lp",         "lpd",
        "mail",          "man",        "messagebus", "munge",
        "mysql",         "named",      "news",       "nginx",
        "nobody",        "nslcd",      "ntp",        "nvidia-persistenced",
        "opc",           "operator",   "polkitd",    "postfix",
        "postgres",      "prometheus", "proxy",      "redis",
        "rocky",         "rpc",        "rpcuser",    "shutdown",
        "slurm",         "slurmdb",    "spack",      "sshd",
        "sssd",          "sudo",       "sync",       "sys",
        "syslog",        "system",     "tcpdump",    "tss",
        "ubuntu",        "unbound",    "uucp",       "vagrant",
        "wheel",         "www-data",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return strncmp(name, "systemd", 7) == 0;
}

bool account_may_name(struct call *call, const char *name) {
    if (call->caller.account.administrator) {
        return true;
    }
    if (!call->authority->policy.managers_name_accounts) {
        call_problem(call, 403, "not_permitted", NULL,
                     "administrators make accounts here; ask one of them, and take the account "
                     "into the project");
    } else if (account_is_system_user(name)) {
        call_problem(call, 422, "name_refused", "name",
                     "%s is a user of the operating system on many hosts; choose another name, or "
                     "ask an administrator",
                     name);
    }
    return !call_refused(call);
}

bool account_end_access(struct call *call, const struct account *account, const char *why) {
    size_t count = 0;
    const struct revoke_scope own = {.account_id = account->id};
    const struct revoke_scope for_others = {.by_id = account->id};
    return session_end_all(call, account->id) && revoke_all(call, own, why, &count) &&
           revoke_all(call, for_others, why, &count) &&
           grant_end_all(call, account->id, &count, NULL) &&
           registered_key_drop_all(call, account->id, &count) &&
           internal_key_drop(call, account->id, NULL, &count);
}
