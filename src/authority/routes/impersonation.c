#include "authority/routes/impersonation.h"

#include "authority/authority.h"
#include "authority/metrics.h"

/* More clusters than one certificate names are only good where the API key says which. */
struct clusters {
    const struct cluster_list *wanted; /* the API key's; empty: all */
    struct cluster_list list;
    bool too_many;
};

static err_t add_cluster(void *context, const struct cluster *cluster) {
    struct clusters *clusters = context;
    if (clusters->wanted->count == 0 || cluster_list_has(clusters->wanted, cluster->name)) {
        err_t err = cluster_list_add(&clusters->list, span_str(cluster->name));
        clusters->too_many |= err.code == ERR_TOO_LONG;
        return err.code == ERR_TOO_LONG ? OK : err;
    }
    return OK;
}

/* Never the empty list, which would be every cluster that the person reaches. */
static bool bind_clusters(struct call *call, struct impersonation *to) {
    const struct account *service = &call->caller.account;
    struct clusters clusters = {.wanted = &call->caller.bounds.clusters};
    err_t err =
        store_project_cluster_list(call_store(call), service->project_id, add_cluster, &clusters);
    if (!call_ok(call, err, "the project's clusters")) {
        return false;
    }
    if (clusters.too_many || clusters.list.count == 0) {
        call_problem(call, 403, "clusters_refused", NULL,
                     clusters.too_many
                         ? "the project of %s reaches more than %d clusters; make an API key for "
                           "some of them"
                         : "the project of %s reaches none of the clusters that the API key is "
                           "for (of at most %d)",
                     service->name, LIMIT_BOUND_CLUSTERS_COUNT);
        return false;
    }
    to->bounds.clusters = clusters.list;
    return true;
}

bool impersonation_begin(struct call *call, const char *username, struct impersonation *out) {
    const struct caller *caller = &call->caller;
    struct store *store = call_store(call);
    struct impersonation found = {
        .bounds = caller->bounds, .by_id = caller->account.id, .api_key_id = caller->api_key_id};
    struct membership membership = {0};
    err_t err = store_account_find(store, username, &found.account);
    if (!failed(err)) {
        err = store_member_get(store, caller->account.project_id, found.account.id, &membership);
    }
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the account")) {
        return false;
    }
    struct decision decision =
        policy_impersonate(&caller->account, &found.account, membership.role != 0);
    if (!decision.allowed) {
        metrics_count_decision(call->authority->metrics, decision.code);
        call_audit(call, username, false, decision_code_name(decision.code), decision.reason);
        call_decision(call, &decision);
        return false;
    }
    if (!bind_clusters(call, &found)) {
        return false;
    }
    *out = found;
    return true;
}

struct signing_for impersonation_for(const struct impersonation *impersonation) {
    return (struct signing_for){.account = &impersonation->account,
                                .project_count = 1,
                                .bounds = &impersonation->bounds,
                                .api_key_id = impersonation->api_key_id,
                                .by_id = impersonation->by_id,
                                .uncounted = true};
}
