#include "authority/routes/frontend.h"

#include "authority/authority.h"

bool frontend_find_host(struct call *call, struct frontend *out) {
    struct store *store = call_store(call);
    if (!call_ok(call, store_host_get(store, call->caller.host_id, &out->host), "the host")) {
        return false;
    }
    if (out->host.role != HOST_LOGIN) {
        call_problem(call, 403, "not_permitted", NULL,
                     "only login hosts may ask this, and %s is none", out->host.name);
        return false;
    }
    return call_ok(call, store_cluster_get(store, out->host.cluster_id, &out->cluster),
                   "the host's cluster");
}

struct reach_search {
    entity_id cluster_id;
    bool found;
};

static err_t look_for_cluster(void *context, const struct cluster *cluster) {
    struct reach_search *search = context;
    search->found = search->found || cluster->id == search->cluster_id;
    return OK;
}

bool frontend_find(struct call *call, const char *username, struct frontend *out) {
    struct store *store = call_store(call);
    if (!frontend_find_host(call, out)) {
        return false;
    }
    struct reach_search search = {out->cluster.id, false};
    err_t err = store_account_find(store, username, &out->account);
    if (!failed(err) && !out->account.disabled) {
        err = store_reach_list(store, out->account.id, look_for_cluster, &search);
    }
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the account")) {
        return false;
    }
    if (!search.found) {
        call_problem(call, 404, "not_found", NULL, "no account %.40s reaches the cluster %s",
                     username, out->cluster.name);
    }
    return search.found;
}
