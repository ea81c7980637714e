/*
 * Automation grants: approved by a person who has just signed in, seen and revoked by that person
 * and by administrators. What a machine gets by one is in grant_renewal.c.
 */
#include "authority/routes/grant.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/metrics.h"
#include "authority/routes/account.h"
#include "authority/routes/revoke.h"
#include "authority/routes/signing.h"
#include "base/clock.h"
#include "base/text.h"
#include "model/policy_grant.h"

enum { DEFAULT_S = 30 * 24 * 3600 };

static bool has_ended(const struct call *call, const struct grant *grant) {
    return grant->revoked_at != 0 || grant->expires_at <= call->now;
}

static const char *state_of(const struct call *call, const struct grant *grant) {
    return grant->revoked_at != 0 ? "revoked" : has_ended(call, grant) ? "expired" : "valid";
}

static json_t *grant_json(const struct call *call, const struct grant *grant) {
    char id[24], duration[DURATION_CHARS];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)grant->id);
    duration_print(grant->duration_s, duration);
    json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:o,s:o,s:s}", "id", id, "name",
                             grant->name, "fingerprint", grant->fingerprint, "publicKey",
                             grant->key_line, "clusters", call_json_clusters(&grant->clusters),
                             "ipSubnets", call_json_subnets(&grant->subnets), "duration", duration,
                             "createTime", call_json_time(grant->created_at), "expireTime",
                             call_json_time(grant->expires_at), "state", state_of(call, grant));
    if (json != NULL && grant->last_used_at != 0) {
        (void)json_object_set_new(json, "lastUsedTime", call_json_time(grant->last_used_at));
    }
    if (json != NULL) {
        call_json_set_text(json, "lastUsedFrom", grant->last_source);
        call_json_set_text(json, "forceCommand", grant->force_command);
    }
    return json;
}

/* ---- approving --------------------------------------------------------------------------- */

struct approval {
    struct key *key;
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    span_t comment; /* borrowed from the body, as the command is */
    struct cluster_list clusters;
    struct subnet_list subnets;
    const char *force_command; /* NULL: none */
    int64_t duration_s;        /* of certificates; 0: the site's default */
    int64_t expires_at;        /* one of these two is asked for, or neither */
    int64_t lasts_s;
};

static void release(void *own) { key_free(((struct approval *)own)->key); }

static err_t create_read(struct call *call) {
    struct approval *own = call_own(call, sizeof *own, release);
    const char *name = NULL;
    bool from_given = false;
    TRY(call_read_public_key(call, "publicKey", &own->key, &own->comment));
    TRY(call_read_string(call, "name", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS, &name));
    TRY(call_read_clusters(call, "clusters", CALL_OPTIONAL, &own->clusters));
    TRY(call_read_sources(call, &own->subnets, &from_given));
    TRY(call_read_string(call, "forceCommand", CALL_OPTIONAL, LIMIT_GRANT_COMMAND_CHARS,
                         &own->force_command));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &own->duration_s));
    TRY(call_read_time(call, "expireTime", CALL_OPTIONAL, &own->expires_at));
    TRY(call_read_duration(call, "expiresIn", CALL_OPTIONAL, &own->lasts_s));
    if (!from_given) {
        call_problem(call, 400, "missing_field", "ipSubnets",
                     "say from which networks the machine may renew: ipSubnets, or from: mine or "
                     "everywhere");
        return FAIL(ERR_MALFORMED);
    }
    if (own->expires_at != 0 && own->lasts_s != 0) {
        call_problem(call, 422, "expiry_refused", "expireTime",
                     "give expireTime or expiresIn, not both");
        return FAIL(ERR_MALFORMED);
    }
    return name == NULL ? OK : call_copy_text(call, "name", name, own->name, sizeof own->name);
}

static void choose_name(const struct approval *own, struct grant *grant) {
    bool usable =
        own->comment.len > 0 && own->comment.len < sizeof grant->name && text_is_utf8(own->comment);
    (void)snprintf(grant->name, sizeof grant->name, "%.*s",
                   usable ? (int)own->comment.len : (int)strlen(grant->fingerprint),
                   usable ? (const char *)own->comment.data : grant->fingerprint);
    if (own->name[0] != '\0') {
        memcpy(grant->name, own->name, sizeof grant->name);
    }
}

static bool fill(struct call *call, const struct approval *own, struct grant *grant) {
    int64_t longest_s = call->authority->policy.grant_max_s;
    int64_t usual_s = longest_s < DEFAULT_S ? longest_s : DEFAULT_S;
    struct buf line CLEANUP(buf_done) = BUF(sizeof grant->key_line - 1);
    *grant = (struct grant){
        .account_id = call->caller.account.id,
        .clusters = own->clusters,
        .subnets = own->subnets,
        .duration_s = own->duration_s,
        .created_at = call->now,
        .expires_at = own->expires_at != 0
                          ? own->expires_at
                          : call->now + (own->lasts_s != 0 ? own->lasts_s : usual_s),
    };
    if (!call_ok(call, key_print_line(own->key, NULL, &line), "the key")) {
        return false;
    }
    memcpy(grant->key_line, line.data, line.len);
    key_fingerprint(own->key, grant->fingerprint);
    choose_name(own, grant);
    if (own->force_command != NULL) {
        (void)snprintf(grant->force_command, sizeof grant->force_command, "%s", own->force_command);
    }
    return true;
}

static bool decide(struct call *call, const struct approval *own, struct grant *grant) {
    const struct caller *caller = &call->caller;
    const struct signing_for for_caller = signing_for_caller(call);
    struct approval_facts facts = {.by_person = caller->signed_in_at != 0,
                                   .signed_in_at = caller->signed_in_at};
    struct subnet_list jump_hosts;
    struct sign_facts sign;
    if (!account_unreached(call, &caller->account, &own->clusters, &facts.unreached) ||
        !signing_facts(call, &for_caller, own->key, &jump_hosts, &sign)) {
        return false;
    }
    struct decision decision =
        policy_approve(&call->authority->policy, own->key, &facts, &sign, grant);
    return signing_judged(call, &decision, own->key);
}

struct others {
    const struct call *call;
    const struct grant *grant;
    size_t count;
    bool same_key;
};

static err_t look_at_other(void *context, const struct grant *grant) {
    struct others *others = context;
    if (!has_ended(others->call, grant)) {
        others->count++;
        others->same_key |= strcmp(grant->fingerprint, others->grant->fingerprint) == 0;
    }
    return OK;
}

/* One grant for a key, so that the machine need not say which of them it means. */
static bool has_room(struct call *call, const struct grant *grant) {
    struct others others = {.call = call, .grant = grant};
    err_t err = store_grant_list(call_store(call), grant->account_id, look_at_other, &others);
    if (!call_ok(call, err, "the grants")) {
        return false;
    }
    if (others.same_key) {
        call_problem(call, 409, "exists", "publicKey",
                     "you have a grant for this key; revoke it to make another: postern grant "
                     "list");
    } else if (others.count >= LIMIT_GRANTS_COUNT) {
        call_problem(call, 409, "too_many", NULL,
                     "you have %d grants; revoke those that are not used: postern grant list",
                     LIMIT_GRANTS_COUNT);
    }
    return !call_refused(call);
}

static void create_run(struct call *call) {
    const struct approval *own = call_own(call, sizeof *own, release);
    struct grant *grant CLEANUP(freep) = malloc(sizeof *grant);
    if (grant == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
        return;
    }
    if (!fill(call, own, grant) || !decide(call, own, grant) || !has_room(call, grant) ||
        !call_ok(call, store_grant_add(call_store(call), grant), "the grant")) {
        return;
    }
    char until[TIME_CHARS], detail[256];
    time_print_utc(grant->expires_at, until);
    (void)snprintf(detail, sizeof detail, "%.100s, until %s", grant->name, until);
    call_audit(call, grant->fingerprint, true, "ok", detail);
    call_answer(call, 201, json_pack("{s:o}", "grant", grant_json(call, grant)));
}

/* ---- seeing ------------------------------------------------------------------------------ */

struct listing {
    struct call *call;
    const char *account;
    bool include_ended;
    json_t *grants;
};

static err_t list_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    TRY(call_query_string(call, "account", LIMIT_ACCOUNT_NAME_CHARS, &own->account));
    return call_query_bool(call, "include_ended", &own->include_ended);
}

static err_t add_row(void *context, const struct grant *grant) {
    const struct listing *listing = context;
    if (!listing->include_ended && has_ended(listing->call, grant)) {
        return OK;
    }
    return json_array_append_new(listing->grants, grant_json(listing->call, grant)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct account account;
    if (!account_listed(call, own->account, "grants", &account)) {
        return;
    }
    own->call = call;
    own->grants = json_array();
    if (call_ok(call, store_grant_list(call_store(call), account.id, add_row, own), "the grants")) {
        call_answer(call, 200, json_pack("{s:o}", "grants", own->grants));
    } else {
        json_decref(own->grants);
    }
}

/* ---- revoking ---------------------------------------------------------------------------- */

struct ids {
    const struct call *call;
    entity_id items[LIMIT_GRANTS_COUNT];
    size_t count;
};

static err_t note_id(void *context, const struct grant *grant) {
    struct ids *ids = context;
    if (!has_ended(ids->call, grant) && ids->count < LIMIT_GRANTS_COUNT) {
        ids->items[ids->count++] = grant->id;
    }
    return OK;
}

struct reach {
    const struct grant *grant;
    bool any;
};

static err_t note_reached(void *context, const struct cluster *cluster) {
    struct reach *reach = context;
    if (reach->grant->clusters.count != 0 &&
        cluster_list_has(&reach->grant->clusters, cluster->name)) {
        reach->any = true;
    }
    return OK;
}

/* Whether none of the clusters that it is bound to is reached. */
static err_t is_unreached(struct store *store, const struct grant *grant, bool *out) {
    struct reach reach = {.grant = grant, .any = grant->clusters.count == 0};
    TRY(store_reach_list(store, grant->account_id, note_reached, &reach));
    *out = !reach.any;
    return OK;
}

/* Whoever has a leaked key has what it obtained, too: the grant's certificates end with it. */
static bool end_obtained(struct call *call, const struct grant *grant, size_t *certificates) {
    const struct revoke_scope scope = {.account_id = grant->account_id, .grant_id = grant->id};
    size_t count = 0;
    bool done = revoke_all(call, scope, "grant revoked", &count);
    *certificates += count;
    return done;
}

/* A listing may not write, so they are gathered first. */
static bool end_some(struct call *call, entity_id account_id, bool unreached_only, size_t *count,
                     size_t *certificates) {
    struct store *store = call_store(call);
    struct ids ids = {.call = call};
    struct grant *grant CLEANUP(freep) = malloc(sizeof *grant);
    err_t err =
        grant == NULL ? FAIL(ERR_MEMORY) : store_grant_list(store, account_id, note_id, &ids);
    size_t ended = 0;
    for (size_t i = 0; i < ids.count && !failed(err); i++) {
        bool unreached = true;
        err = store_grant_get(store, ids.items[i], grant);
        if (!failed(err) && unreached_only) {
            err = is_unreached(store, grant, &unreached);
        }
        if (!failed(err) && unreached) {
            grant->revoked_at = call->now;
            err = store_grant_update(store, grant);
            ended++;
        }
        if (!failed(err) && unreached && certificates != NULL &&
            !end_obtained(call, grant, certificates)) {
            return false;
        }
    }
    *count = ended;
    return call_ok(call, err, "the grants");
}

bool grant_end_all(struct call *call, entity_id account_id, size_t *count, size_t *certificates) {
    return end_some(call, account_id, false, count, certificates);
}

bool grant_end_unreached(struct call *call, const struct account *account, size_t *count) {
    return end_some(call, account->id, true, count, NULL);
}

static bool find(struct call *call, const char *text, struct grant *out) {
    const struct account *caller = &call->caller.account;
    uint64_t id = 0;
    err_t err = u64_parse(span_str(text), &id);
    err = failed(err) || id > INT64_MAX ? FAIL(ERR_NOT_FOUND)
                                        : store_grant_get(call_store(call), id, out);
    /* Which ids others' grants have is nobody's business. */
    if (!failed(err) && out->account_id != caller->id && !caller->administrator) {
        err = FAIL(ERR_NOT_FOUND);
    }
    if (err.code == ERR_NOT_FOUND) {
        call_problem(call, 404, "not_found", NULL,
                     "you have no grant %.24s; see: postern grant list", text);
        return false;
    }
    return call_ok(call, err, "the grant");
}

static bool end(struct call *call, struct grant *grant, size_t *certificates) {
    grant->revoked_at = call->now;
    return call_ok(call, store_grant_update(call_store(call), grant), "the grant") &&
           end_obtained(call, grant, certificates);
}

static void revoke_run(struct call *call) {
    struct grant *grant CLEANUP(freep) = malloc(sizeof *grant);
    const char *text = call_path(call, "id");
    size_t certificates = 0;
    call_audit(call, text, true, "ok", NULL);
    if (grant == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
        return;
    }
    if (!find(call, text, grant)) {
        return;
    }
    call_audit(call, grant->fingerprint, true, "ok", grant->name);
    if (grant->revoked_at == 0 && !end(call, grant, &certificates)) {
        return;
    }
    call_answer(call, 200,
                json_pack("{s:o,s:I}", "grant", grant_json(call, grant), "certificatesRevoked",
                          (json_int_t)certificates));
}

const struct route grant_routes[] = {
    {HTTP_GET, "/api/v1/grants", ACCESS_ACCOUNT, "grant.list", list_read, list_run, NULL},
    {HTTP_POST, "/api/v1/grants", ACCESS_ACCOUNT, "grant.create", create_read, create_run, NULL},
    {HTTP_DELETE, "/api/v1/grants/{id}", ACCESS_ACCOUNT, "grant.revoke", NULL, revoke_run, NULL},
    {.path = NULL},
};
