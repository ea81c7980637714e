#include "authority/routes/job_list.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/job_teller.h"
#include "feed/change_names.h"

enum { LISTED_NODES_MAX = 200 * 1000 }; /* of one page: it ends early, and says so */

static err_t add_node(void *context, const char *node) {
    return json_array_append_new(context, json_string(node)) == 0 ? OK : FAIL(ERR_MEMORY);
}

static int set_times(json_t *json, const struct job *job) {
    int failure = 0;
    if (job->ends_at != 0) {
        failure |= json_object_set_new(json, "endTime", call_json_time(job->ends_at));
    }
    if (job->ended_at != 0) {
        failure |= json_object_set_new(json, "endedTime", call_json_time(job->ended_at));
    }
    return failure;
}

err_t job_list_json(struct store *store, const struct job *job, json_t **out) {
    struct account account;
    struct cluster cluster;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)job->id);
    TRY(store_account_get(store, job->account_id, &account));
    TRY(store_cluster_get(store, job->cluster_id, &cluster));
    json_t *nodes = json_array();
    json_t *json CLEANUP(json_decrefp) =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:s,s:i,s:o,s:o}", "id", id, "job", job->name,
                  "cluster", cluster.name, "username", account.name, "user", job->user, "type",
                  change_job_type_names[job->type], "nodes", nodes, "address", job->address, "port",
                  (int)job->port, "hostKeys", call_json_lines(job->host_key_line), "startTime",
                  call_json_time(job->started_at));
    if (json == NULL || set_times(json, job) != 0) {
        return FAIL(ERR_MEMORY);
    }
    TRY(store_job_node_list(store, job->id, add_node, nodes));
    *out = TAKE(json);
    return OK;
}

struct listing {
    struct call *call;
    struct job_filter filter;
    const char *account, *cluster;
    uint64_t after;
    json_t *jobs;
    size_t nodes;
    entity_id next; /* where the page ended early */
    bool full;
};

static err_t read_listing(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    TRY(call_query_bool(call, "include_ended", &own->filter.include_ended));
    TRY(call_query_u64(call, "after", INT64_MAX, &own->after));
    own->filter.after_id = own->after;
    return call_query_limit(call, &own->filter.max);
}

static err_t own_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    TRY(call_query_string(call, "account", LIMIT_ACCOUNT_NAME_CHARS, &own->account));
    TRY(call_query_string(call, "cluster", LIMIT_CLUSTER_NAME_CHARS, &own->cluster));
    return read_listing(call);
}

static err_t add_row(void *context, const struct job *job) {
    struct listing *listing = context;
    json_t *json = NULL;
    if (listing->full) {
        return OK;
    }
    TRY(job_list_json(call_store(listing->call), job, &json));
    listing->nodes += job->node_count;
    listing->full = listing->nodes >= LISTED_NODES_MAX;
    listing->next = job->id;
    return json_array_append_new(listing->jobs, json) == 0 ? OK : FAIL(ERR_MEMORY);
}

static void list(struct call *call, struct listing *listing) {
    listing->call = call;
    listing->jobs = json_array();
    err_t err = store_job_list(call_store(call), &listing->filter, add_row, listing);
    json_t *body = json_pack("{s:o}", "jobs", listing->jobs);
    if (!failed(err) && listing->full &&
        json_object_set_new(body, "next", call_json_u64(listing->next)) != 0) {
        err = FAIL(ERR_MEMORY);
    }
    if (call_ok(call, err, "the jobs")) {
        call_answer(call, 200, json_incref(body));
    }
    json_decref(body);
}

static void cluster_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct job_teller teller;
    if (job_teller_find(call, &teller)) {
        own->filter.cluster_id = teller.cluster.id;
        own->filter.node = teller.node;
        list(call, own);
    }
}

static void own_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    const struct account *caller = &call->caller.account;
    struct account account = *caller;
    struct cluster cluster = {.id = 0};
    if (own->account != NULL && strcmp(own->account, caller->name) != 0 && !caller->administrator) {
        call_problem(call, 403, "not_permitted", "account",
                     "only administrators may see the jobs of others");
        return;
    }
    if ((own->account != NULL && !account_find(call, own->account, &account)) ||
        (own->cluster != NULL &&
         !call_ok(call, store_cluster_find(call_store(call), own->cluster, &cluster),
                  "the cluster"))) {
        return;
    }
    bool of_all = caller->administrator && own->account == NULL && own->cluster != NULL;
    own->filter.account_id = of_all ? 0 : account.id;
    own->filter.cluster_id = cluster.id;
    list(call, own);
}

const struct route job_list_routes[] = {
    {HTTP_GET, "/api/v1/jobs", ACCESS_ACCOUNT, "job.list", own_read, own_run, NULL},
    {HTTP_GET, "/api/v1/clusters/{cluster}/jobs", ACCESS_ACCOUNT_OR_HOST, "job.list_cluster",
     read_listing, cluster_run, NULL},
    {.path = NULL},
};
