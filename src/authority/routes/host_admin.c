#include "authority/routes/host_admin.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/gate_sessions.h"
#include "authority/host_reports.h"
#include "authority/routes/account.h"
#include "authority/routes/publish.h"
#include "authority/routes/revoke.h"
#include "base/random.h"
#include "base/secret.h"
#include "feed/change_names.h"

enum { SSH_PORT = 22, ENROLMENT_S = 24 * 3600 };

const char *host_role_name(enum host_role role) { return change_host_role_names[role]; }

json_t *host_json(const struct host *host, const char *cluster_name) {
    json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:i,s:b,s:b}", "name", host->name, "role",
                             host_role_name(host->role), "cluster", cluster_name, "address",
                             host->address, "port", (int)host->port, "scheduler", host->scheduler,
                             "enrolled", host->token_hash[0] != '\0');
    if (json != NULL && host->seen_at != 0) {
        (void)json_object_set_new(json, "seenTime", call_json_time(host->seen_at));
    }
    if (json != NULL && host->key_line[0] != '\0') {
        size_t first = strcspn(host->key_line, "\n"); /* its other keys follow, a line each */
        (void)json_object_set_new(json, "hostKey", json_stringn(host->key_line, first));
    }
    return json;
}

err_t host_warn(json_t *answer, const char *name, const char *address) {
    const char *const places[] = {name, address};
    json_t *warnings = json_array();
    int failure = 0;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        const char *peril = host_name_peril(places[i]);
        if (peril != NULL) {
            failure |= json_array_append_new(
                warnings, json_sprintf("%s is %s: every jump host now leads there, most likely to "
                                       "itself; say where jump hosts reach it",
                                       places[i], peril));
        }
    }
    if (json_array_size(warnings) > 0) {
        failure |= json_object_set(answer, "warnings", warnings);
    }
    json_decref(warnings);
    return failure == 0 ? OK : FAIL(ERR_MEMORY);
}

static bool cluster_name_of(struct call *call, const struct host *host, struct cluster *cluster) {
    *cluster = (struct cluster){0};
    return host->cluster_id == 0 ||
           call_ok(call, store_cluster_get(call_store(call), host->cluster_id, cluster),
                   "the host's cluster");
}

/* What it says of itself, and what its polls show. */
static err_t add_report(const struct call *call, const struct host *host, json_t *json) {
    const struct host_report *report = host_reports_find(call->authority->host_reports, host->id);
    size_t at_gates = gate_sessions_count(call->authority->gate_sessions, host->id);
    int failure = 0;
    if (report != NULL) {
        call_json_set_text(json, "version", report->version);
        failure |= json_object_set_new(json, "seenTime", call_json_time(report->seen_at));
    }
    if (report != NULL && report->current_at != 0) {
        failure |=
            json_object_set_new(json, "replicaAge", json_integer(call->now - report->current_at));
    }
    if (at_gates > 0 || (report != NULL && report->has_sessions)) {
        size_t open = at_gates + (report == NULL ? 0 : report->sessions);
        failure |= json_object_set_new(json, "sessions", json_integer((json_int_t)open));
    }
    return failure == 0 ? OK : FAIL(ERR_MEMORY);
}

struct gathering {
    struct call *call;
    json_t *list;
};

static err_t add_host(void *context, const struct host *host) {
    struct gathering *gathering = context;
    struct cluster cluster = {0};
    if (host->cluster_id != 0) {
        TRY(store_cluster_get(call_store(gathering->call), host->cluster_id, &cluster));
    }
    json_t *json = host_json(host, cluster.name);
    if (json_array_append_new(gathering->list, json) != 0) {
        return FAIL(ERR_MEMORY);
    }
    return add_report(gathering->call, host, json);
}

static void list_run(struct call *call) {
    struct gathering gathering = {call, json_array()};
    gate_sessions_expire(call->authority->gate_sessions, call->now);
    err_t err = store_host_list(call_store(call), NULL, SIZE_MAX >> 1, add_host, &gathering);
    if (call_ok(call, err, "the hosts")) {
        call_answer(call, 200, json_pack("{s:o}", "hosts", gathering.list));
    } else {
        json_decref(gathering.list);
    }
}

struct host_request {
    char name[LIMIT_HOST_NAME_CHARS + 1];
    char address[LIMIT_HOST_NAME_CHARS + 1];
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1];
    enum host_role role;
    bool scheduler;
    int64_t port;
};

static err_t read_name(struct call *call, const char *field, enum call_presence presence,
                       char out[LIMIT_HOST_NAME_CHARS + 1]) {
    const char *name = NULL;
    struct fault fault = {0};
    TRY(call_read_string(call, field, presence, LIMIT_HOST_NAME_CHARS, &name));
    if (name == NULL) {
        return OK;
    }
    err_t err = host_name_check(span_str(name), field, &fault);
    if (failed(err)) {
        call_fault(call, strcmp(field, "name") == 0 ? "name_refused" : "address_refused", &fault);
        return err;
    }
    return call_copy_text(call, field, name, out, LIMIT_HOST_NAME_CHARS + 1);
}

static err_t read_role(struct call *call, enum host_role *out) {
    static const enum host_role roles[] = {HOST_JUMP, HOST_LOGIN, HOST_COMPUTE};
    const char *text = NULL;
    TRY(call_read_string(call, "role", CALL_REQUIRED, 16, &text));
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        if (strcmp(text, host_role_name(roles[i])) == 0) {
            *out = roles[i];
            return OK;
        }
    }
    call_problem(call, 422, "role_refused", "role",
                 "the role is jump, login or compute; hosts of role job come with a job");
    return FAIL(ERR_MALFORMED);
}

static err_t create_read(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, NULL);
    const char *cluster = NULL;
    own->port = SSH_PORT;
    TRY(read_name(call, "name", CALL_REQUIRED, own->name));
    TRY(read_name(call, "address", CALL_OPTIONAL, own->address));
    TRY(read_role(call, &own->role));
    TRY(call_read_string(call, "cluster", CALL_OPTIONAL, LIMIT_CLUSTER_NAME_CHARS, &cluster));
    TRY(call_read_int(call, "port", CALL_OPTIONAL, 1, UINT16_MAX, &own->port));
    TRY(call_read_bool(call, "scheduler", CALL_OPTIONAL, &own->scheduler, NULL));
    if (own->scheduler && own->role == HOST_JUMP) {
        call_problem(call, 422, "role_refused", "scheduler",
                     "a scheduler is a login or compute host of the cluster that it speaks for");
        return FAIL(ERR_MALFORMED);
    }
    if (own->role != HOST_JUMP && cluster == NULL) {
        call_problem(call, 400, "missing_field", "cluster",
                     "a login or compute host belongs to a cluster: say which");
        return FAIL(ERR_MALFORMED);
    }
    if (own->role == HOST_JUMP && cluster != NULL) {
        call_problem(call, 422, "cluster_refused", "cluster",
                     "a jump host stands before all clusters and belongs to none");
        return FAIL(ERR_MALFORMED);
    }
    return cluster == NULL
               ? OK
               : call_copy_text(call, "cluster", cluster, own->cluster, sizeof own->cluster);
}

/* A new one-time token, in place of an older one that was not used. */
static bool issue_enrolment(struct call *call, struct host *host, json_t *answer) {
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS] = "";
    random_bytes(random, sizeof random);
    err_t err = token_make(TOKEN_ENROL, random, token, host->enrol_hash);
    host->enrol_expires_at = call->now + ENROLMENT_S;
    if (!failed(err) && (json_object_set_new(answer, "enrolmentToken", json_string(token)) != 0 ||
                         json_object_set_new(answer, "enrolmentExpireTime",
                                             call_json_time(host->enrol_expires_at)) != 0)) {
        err = FAIL(ERR_MEMORY);
    }
    secret_wipe(random, sizeof random);
    secret_wipe(token, sizeof token);
    return call_ok(call, err, "the enrolment token");
}

/*
 * The certificate of a login host also names its cluster, so no other host may take that name: it
 * would be believed to be the cluster.
 */
struct impostor_check {
    const struct host *host;
    const char *taken; /* a cluster whose name or address it would take */
    char name[LIMIT_CLUSTER_NAME_CHARS + 1];
    char host_name[LIMIT_HOST_NAME_CHARS + 1];
};

static err_t look_for_impostor(void *context, const struct cluster *cluster) {
    struct impostor_check *check = context;
    const struct host *host = check->host;
    bool same = strcmp(host->name, cluster->name) == 0 ||
                strcmp(host->address, cluster->name) == 0 ||
                (cluster->address[0] != '\0' && (strcmp(host->name, cluster->address) == 0 ||
                                                 strcmp(host->address, cluster->address) == 0));
    if (same && (host->role != HOST_LOGIN || host->cluster_id != cluster->id)) {
        memcpy(check->name, cluster->name, sizeof check->name);
        check->taken = check->name;
    }
    return OK;
}

/* A host's certificate names its address too: no host may have another's name for it. */
static err_t look_for_namesake(void *context, const struct host *other) {
    struct impostor_check *check = context;
    if (strcmp(check->host->address, other->name) == 0 ||
        strcmp(check->host->name, other->address) == 0) {
        memcpy(check->host_name, other->name, sizeof check->host_name);
    }
    return OK;
}

static bool refuse_namesake(struct call *call, const struct host *host) {
    struct impostor_check check = {.host = host};
    err_t err = store_host_list(call_store(call), NULL, SIZE_MAX >> 1, look_for_namesake, &check);
    if (call_ok(call, err, "the hosts") && check.host_name[0] != '\0' &&
        strcmp(check.host_name, host->name) != 0) {
        call_problem(call, 409, "conflict", "address",
                     "the name of one and the address of the other are the same for this host and "
                     "%s",
                     check.host_name);
    }
    return call_refused(call);
}

static bool refuse_impostor(struct call *call, const struct host *host) {
    struct impostor_check check = {.host = host};
    if (refuse_namesake(call, host)) {
        return true;
    }
    err_t err =
        store_cluster_list(call_store(call), NULL, SIZE_MAX >> 1, look_for_impostor, &check);
    if (!call_ok(call, err, "the clusters")) {
        return true;
    }
    if (check.taken != NULL) {
        call_problem(call, 409, "conflict", "name",
                     "this name or address is that of the cluster %s; only a login host of it may "
                     "have it",
                     check.taken);
        return true;
    }
    return false;
}

bool host_begin(struct call *call, struct host *host, json_t *answer) {
    char what[LIMIT_HOST_NAME_CHARS + 32];
    (void)snprintf(what, sizeof what, "a host named %s", host->name);
    if (refuse_impostor(call, host) || !issue_enrolment(call, host, answer) ||
        !call_ok(call, store_host_add(call_store(call), host), what)) {
        return false;
    }
    publish_host(call, host);
    return !call_refused(call);
}

bool host_end(struct call *call, const struct host *host, size_t *revoked) {
    const struct revoke_scope scope = {.host_id = host->id};
    if (!revoke_all(call, scope, "host removed", revoked) ||
        !call_ok(call, store_host_remove(call_store(call), host->id), "the host")) {
        return false;
    }
    call_forget_bearers(call);
    host_reports_forget(call->authority->host_reports, host->id);
    gate_sessions_forget(call->authority->gate_sessions, host->id);
    publish_host_gone(call, host);
    return !call_refused(call);
}

static void create_run(struct call *call) {
    const struct host_request *own = call_own(call, sizeof *own, NULL);
    struct store *store = call_store(call);
    struct host host = {
        .role = own->role, .port = (uint16_t)own->port, .scheduler = own->scheduler};
    struct cluster cluster = {0};
    char what[LIMIT_HOST_NAME_CHARS + 32];
    call_audit(call, own->name, true, "ok",
               own->scheduler ? "scheduler" : host_role_name(own->role));
    memcpy(host.name, own->name, sizeof host.name);
    memcpy(host.address, own->address, sizeof host.address);
    (void)snprintf(what, sizeof what, "the cluster %s", own->cluster);
    if (own->cluster[0] != '\0' &&
        !call_ok(call, store_cluster_find(store, own->cluster, &cluster), what)) {
        return;
    }
    host.cluster_id = cluster.id;
    json_t *body = json_object();
    if (host_begin(call, &host, body)) {
        int set = json_object_set_new(body, "host", host_json(&host, cluster.name));
        err_t err = set == 0 ? OK : FAIL(ERR_MEMORY);
        if (!failed(err) && host.role != HOST_JUMP) { /* no jump host leads to another */
            err = host_warn(body, host.name, host.address);
        }
        if (call_ok(call, err, "the host")) {
            call_answer(call, 201, json_incref(body));
        }
    }
    json_decref(body);
}

static bool find(struct call *call, const char *name, struct host *out) {
    char what[LIMIT_HOST_NAME_CHARS + 32];
    (void)snprintf(what, sizeof what, "the host %.253s", name);
    return call_ok(call, store_host_find(call_store(call), name, out), what);
}

static void renew_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct host host;
    call_audit(call, name, true, "ok", NULL);
    if (!find(call, name, &host)) {
        return;
    }
    json_t *body = json_object();
    if (issue_enrolment(call, &host, body) &&
        call_ok(call, store_host_update(call_store(call), &host), "the host")) {
        call_answer(call, 200, json_incref(body));
    }
    json_decref(body);
}

static void remove_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct host host;
    struct cluster cluster;
    call_audit(call, name, true, "ok", NULL);
    size_t revoked = 0;
    if (!find(call, name, &host) || !cluster_name_of(call, &host, &cluster) ||
        !host_end(call, &host, &revoked)) {
        return;
    }
    call_answer(call, 200,
                json_pack("{s:o,s:I}", "host", host_json(&host, cluster.name),
                          "certificatesRevoked", (json_int_t)revoked));
}

const struct route host_admin_routes[] = {
    {HTTP_GET, "/api/v1/hosts", ACCESS_ADMINISTRATOR, "host.list", NULL, list_run, NULL},
    {HTTP_POST, "/api/v1/hosts", ACCESS_ADMINISTRATOR, "host.create", create_read, create_run,
     NULL},
    {HTTP_POST, "/api/v1/hosts/{name}/enrolment", ACCESS_ADMINISTRATOR, "host.invite", NULL,
     renew_run, NULL},
    {HTTP_DELETE, "/api/v1/hosts/{name}", ACCESS_ADMINISTRATOR, "host.remove", NULL, remove_run,
     NULL},
    {0},
};
