#include "authority/routes/job_teller.h"

#include <stdio.h>

#include "authority/authority.h"

static bool judge_host(struct call *call, struct job_teller *teller) {
    const struct host *host = &teller->host;
    if (!call_ok(call, store_host_get(call_store(call), call->caller.host_id, &teller->host),
                 "the host")) {
        return false;
    }
    bool inside = host->cluster_id == teller->cluster.id && host->cluster_id != 0;
    if (inside && host->scheduler) {
        return true;
    }
    if (inside && host->role == HOST_COMPUTE) {
        teller->node = host->name;
        return true;
    }
    call_problem(call, 403, "not_permitted", NULL,
                 inside ? "this host is no scheduler; an administrator can make one: postern admin "
                          "host add --scheduler"
                        : "this host is none of the cluster's");
    return false;
}

bool job_teller_find(struct call *call, struct job_teller *out) {
    const char *name = call_path(call, "cluster");
    char what[96];
    *out = (struct job_teller){.node = NULL};
    if (call->caller.is_account && !call->caller.account.administrator) {
        call_problem(call, 403, "not_permitted", NULL,
                     "jobs are told of by schedulers and administrators; yours: postern jobs");
        return false;
    }
    (void)snprintf(what, sizeof what, "the cluster %.64s", name);
    return call_ok(call, store_cluster_find(call_store(call), name, &out->cluster), what) &&
           (call->caller.is_account || judge_host(call, out));
}
