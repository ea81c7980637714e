/*
 * The registry of jobs: where an account may log in while its job runs, as who tells of them
 * (job_teller.h) puts and ends them.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/rate.h"
#include "authority/routes/account.h"
#include "authority/routes/job_change.h"
#include "authority/routes/job_list.h"
#include "authority/routes/job_place.h"
#include "authority/routes/job_teller.h"

enum {
    CLOCK_SLACK_S = 300,     /* a scheduler's clock may be ahead of ours */
    NODES_OF_A_CHANGE = 500, /* each as many more cost a compute host one more */
};

static void audit_job(struct call *call, const char *detail) {
    char target[LIMIT_HOST_NAME_CHARS + 1];
    (void)snprintf(target, sizeof target, "%.100s@%.100s", call_path(call, "job"),
                   call_path(call, "cluster"));
    call_audit(call, target, true, "ok", detail);
}

/* ---- telling of one ---------------------------------------------------------------------- */

static void release(void *own) { job_request_done(own); }

static err_t put_read(struct call *call) {
    return job_request_read(call, call_own(call, sizeof(struct job_request), release));
}

static bool refuse_more(struct call *call, const char *field) {
    call_problem(call, 403, "not_permitted", field,
                 "a compute host tells of its own part of a job alone; the rest is for the "
                 "cluster's scheduler");
    return false;
}

/* Before they are looked up: ten thousand names are work. */
static bool is_one(struct call *call, const struct node_names *told) {
    return told->count <= 1 || refuse_more(call, "nodes");
}

/* A compute host knows who runs on it, and nothing else of a job. */
static bool keeps_to_itself(struct call *call, const struct job_teller *teller,
                            const struct job_request *request, const struct node_names *nodes,
                            const struct job *job, bool runs, const struct account *account) {
    bool alone = nodes->count == 0 || (nodes->count == 1 && node_names_have(nodes, teller->node));
    if (!alone || request->type == JOB_CLUSTER || request->user != NULL ||
        request->address != NULL || request->port != 0 || request->host_keys.len != 0 ||
        request->enrol) {
        return refuse_more(call, alone ? NULL : "nodes");
    }
    if (runs &&
        (job->account_id != account->id || (request->type != 0 && request->type != job->type))) {
        call_problem(call, 409, "conflict", NULL,
                     "job %s runs as another account's or another type of job; only the cluster's "
                     "scheduler can change that",
                     job->name);
        return false;
    }
    return true;
}

static bool refuse(struct call *call, const char *field, const char *message) {
    call_problem(call, 422, "job_refused", field, "%s", message);
    return false;
}

/* Only machines of its own have a user, an address and keys that the scheduler tells. */
static bool fits_type(struct call *call, const struct job_request *request, const struct job *job,
                      const struct account *account, size_t node_count) {
    bool of_its_own = job->type == JOB_CLUSTER;
    if (!of_its_own && strcmp(job->user, account->name) != 0) {
        return refuse(call, "user", "the user is the account's name, but for type cluster");
    }
    if (!of_its_own && (job->address[0] != '\0' || request->port != 0 ||
                        job->host_key_line[0] != '\0' || request->enrol)) {
        return refuse(call, "type",
                      "address, port, hostKeys and enrol are for machines of a job's own: type "
                      "cluster");
    }
    if (node_count == 0 && job->address[0] == '\0') {
        return refuse(call, "nodes",
                      of_its_own ? "the job has neither nodes nor an address"
                                 : "the job has no nodes");
    }
    if (request->enrol && node_count > LIMIT_JOB_ENROLMENTS_COUNT) {
        call_problem(call, 422, "too_long", "nodes", "at most %d hosts can come with a job",
                     LIMIT_JOB_ENROLMENTS_COUNT);
        return false;
    }
    return true;
}

static bool fits_time(struct call *call, const struct job *job) {
    if (job->ends_at == 0) {
        return true;
    }
    if (job->ends_at <= job->started_at) {
        return refuse(call, "endTime", "the job would end before it starts");
    }
    return job->ends_at > call->now ||
           refuse(call, "endTime", "this time has passed; a job that has ended is DELETEd");
}

/* What is told takes the place of what was; what a new job lacks has a usual value. */
static void apply(const struct job_request *request, const struct account *account, int64_t now,
                  struct job *job) {
    const char *user = request->user != NULL ? request->user : account->name;
    job->account_id = account->id;
    job->type = request->type != 0 ? request->type : job->type != 0 ? job->type : JOB_SHARED;
    (void)snprintf(job->user, sizeof job->user, "%s", user);
    (void)snprintf(job->address, sizeof job->address, "%s",
                   request->address != NULL ? request->address : "");
    (void)snprintf(job->host_key_line, sizeof job->host_key_line, "%.*s",
                   (int)request->host_keys.len, (const char *)request->host_keys.data);
    job->port = request->address == NULL ? 0 : request->port != 0 ? (uint16_t)request->port : 22;
    if (request->started_at != 0) {
        job->started_at = request->started_at;
    } else if (job->started_at == 0) {
        job->started_at = now;
    }
    if (job->started_at > now && job->started_at <= now + CLOCK_SLACK_S) {
        job->started_at = now;
    }
    job->ends_at =
        request->duration_s != 0 ? job->started_at + request->duration_s : request->ends_at;
}

static bool resolve(struct call *call, const struct cluster *cluster, const struct node_names *told,
                    struct node_names *out) {
    const char *name = NULL;
    char found[LIMIT_HOST_NAME_CHARS + 1];
    while ((name = node_names_next(told, name)) != NULL) {
        if (!job_node_resolve(call, cluster, name, found) ||
            !call_ok(call, node_names_add(out, found), "the job's nodes")) {
            return false;
        }
    }
    return true;
}

struct reach_search {
    entity_id cluster_id;
    bool found;
};

static err_t look_for_cluster(void *context, const struct cluster *cluster) {
    struct reach_search *search = context;
    search->found |= cluster->id == search->cluster_id;
    return OK;
}

/* The account by whose right, when there is one: `skipped` says why not. Not an error: a scheduler
 * has users that are none of ours. */
static bool find_account(struct call *call, const struct cluster *cluster, const char *name,
                         struct account *out, const char **skipped) {
    struct store *store = call_store(call);
    struct reach_search search = {.cluster_id = cluster->id};
    err_t err = store_account_find(store, name, out);
    if (err.code == ERR_NOT_FOUND) {
        *skipped = "no_account";
        return true;
    }
    err = failed(err) ? err : store_reach_list(store, out->id, look_for_cluster, &search);
    *skipped = search.found ? NULL : "not_reached";
    return call_ok(call, err, "the account");
}

static bool find_job(struct call *call, const struct cluster *cluster, struct job *out,
                     bool *runs) {
    err_t err = store_job_find(call_store(call), cluster->id, call_path(call, "job"), out);
    *runs = !failed(err);
    if (err.code == ERR_NOT_FOUND) {
        *out = (struct job){.cluster_id = cluster->id};
        (void)snprintf(out->name, sizeof out->name, "%s", call_path(call, "job"));
        return true;
    }
    return call_ok(call, err, "the job");
}

static err_t count_job(void *context, const struct job *job) {
    (void)job;
    ++*(size_t *)context;
    return OK;
}

/* One compute host, or who has its token, cannot use up the cluster's. */
static bool has_room_on_node(struct call *call, const struct job_teller *teller) {
    const struct job_filter filter = {
        .cluster_id = teller->cluster.id, .node = teller->node, .max = LIMIT_JOBS_PER_NODE_COUNT};
    size_t count = 0;
    if (teller->node == NULL) {
        return true;
    }
    if (call_ok(call, store_job_list(call_store(call), &filter, count_job, &count), "the jobs") &&
        count >= LIMIT_JOBS_PER_NODE_COUNT) {
        call_problem(call, 409, "too_many", NULL,
                     "%d jobs run on this host, and it may tell of "
                     "no more",
                     LIMIT_JOBS_PER_NODE_COUNT);
    }
    return !call_refused(call);
}

static bool has_room(struct call *call, const struct job_teller *teller) {
    const struct cluster *cluster = &teller->cluster;
    size_t count = 0;
    if (!has_room_on_node(call, teller) ||
        !call_ok(call, store_job_count(call_store(call), cluster->id, &count), "the jobs")) {
        return false;
    }
    if (count >= LIMIT_JOBS_COUNT) {
        call_problem(call, 409, "too_many", NULL, "%d jobs run on %s, and no more can",
                     LIMIT_JOBS_COUNT, cluster->name);
    }
    return !call_refused(call);
}

/* What a compute host changes is kept and published with all the job's nodes. */
static bool spend(struct call *call, const struct job_teller *teller, size_t node_count) {
    bool spent = true;
    for (size_t i = 0; teller->node != NULL && spent && i <= node_count / NODES_OF_A_CHANGE; i++) {
        spent = rate_spend(call, RATE_NODE_JOBS);
    }
    return spent;
}

static bool is_same(const struct job *a, const struct job *b) {
    return a->account_id == b->account_id && a->type == b->type && a->port == b->port &&
           a->started_at == b->started_at && a->ends_at == b->ends_at &&
           strcmp(a->user, b->user) == 0 && strcmp(a->address, b->address) == 0 &&
           strcmp(a->host_key_line, b->host_key_line) == 0;
}

static void answer(struct call *call, const struct job *job, bool changed, json_t *enrolments) {
    json_t *json = NULL;
    if (call_ok(call, job_list_json(call_store(call), job, &json), "the job")) {
        call_answer(
            call, 200,
            json_pack("{s:o,s:b,s:O}", "job", json, "changed", changed, "enrolments", enrolments));
    }
}

/* Nobody of ours: if it was somebody's until now, it is no more. */
static void skip(struct call *call, const struct job *job, bool runs, const char *why) {
    audit_job(call, why);
    if (!runs || job_end(call, job)) {
        call_answer(call, 200, json_pack("{s:s}", "skipped", why));
    }
}

/* The nodes that the job now has: what is told, or with a compute host's own what there was. */
static bool choose_nodes(struct call *call, const struct job_teller *teller,
                         const struct node_names *told, const struct node_names *were,
                         struct node_names *out) {
    const struct node_names *from = teller->node != NULL ? were : told;
    const char *name = NULL;
    err_t err = OK;
    while (!failed(err) && (name = node_names_next(from, name)) != NULL) {
        err = node_names_add(out, name);
    }
    if (!failed(err) && teller->node != NULL && !node_names_have(out, teller->node)) {
        err = node_names_add(out, teller->node);
    }
    return call_ok(call, err, "the job's nodes");
}

static void put_known(struct call *call, const struct job_teller *teller,
                      const struct job_request *request, const struct account *account,
                      const struct job *was, bool runs) {
    struct node_names told CLEANUP(node_names_done), were CLEANUP(node_names_done),
        nodes CLEANUP(node_names_done);
    json_t *enrolments CLEANUP(json_decrefp) = json_array();
    struct job is = *was;
    node_names_init(&told);
    node_names_init(&were);
    node_names_init(&nodes);
    if ((teller->node != NULL && !is_one(call, &request->nodes)) ||
        !resolve(call, &teller->cluster, &request->nodes, &told) ||
        (runs && !job_nodes_get(call, was, &were)) ||
        !choose_nodes(call, teller, &told, &were, &nodes) ||
        (teller->node != NULL &&
         !keeps_to_itself(call, teller, request, &told, was, runs, account))) {
        return;
    }
    if (teller->node == NULL || !runs) {
        apply(request, account, call->now, &is);
    }
    bool moved = !runs || strcmp(is.address, was->address) != 0;
    if (!fits_type(call, request, &is, account, nodes.count) || !fits_time(call, &is) ||
        (moved && !job_place_allowed(call, is.address)) || (!runs && !has_room(call, teller))) {
        return;
    }
    bool changed =
        !runs || request->enrol || !is_same(was, &is) || !node_names_equal(&were, &nodes);
    if (!changed || (spend(call, teller, nodes.count) &&
                     job_put(call, &is, &nodes, request->enrol ? enrolments : NULL))) {
        answer(call, &is, changed, enrolments);
    }
}

static void put_run(struct call *call) {
    const struct job_request *request = call_own(call, sizeof *request, release);
    struct job_teller teller;
    struct account account;
    struct job job;
    const char *skipped;
    bool runs;
    audit_job(call, request->username);
    if (!job_teller_find(call, &teller) || !find_job(call, &teller.cluster, &job, &runs) ||
        !find_account(call, &teller.cluster, request->username, &account, &skipped)) {
        return;
    }
    if (skipped == NULL && runs && teller.node == NULL && job.account_id != account.id) {
        /* Another job of that name: what came with the first one is not the second one's. */
        if (!job_end(call, &job) || !find_job(call, &teller.cluster, &job, &runs)) {
            return;
        }
    }
    if (skipped == NULL) {
        put_known(call, &teller, request, &account, &job, runs);
    } else if (runs && teller.node != NULL) {
        call_problem(call, 409, "conflict", NULL,
                     "job %s runs as another account's; only the cluster's scheduler can change "
                     "that",
                     job.name);
    } else {
        skip(call, &job, runs, skipped);
    }
}

/* ---- its end ----------------------------------------------------------------------------- */

/* A node that leaves; the job ends with its last. */
static bool leave(struct call *call, const struct job_teller *teller, struct job *job,
                  bool *ended) {
    struct node_names were CLEANUP(node_names_done), nodes CLEANUP(node_names_done);
    const char *name = NULL;
    err_t err = OK;
    node_names_init(&were);
    node_names_init(&nodes);
    if (!job_nodes_get(call, job, &were)) {
        return false;
    }
    while (!failed(err) && (name = node_names_next(&were, name)) != NULL) {
        err = strcmp(name, teller->node) == 0 ? OK : node_names_add(&nodes, name);
    }
    if (!call_ok(call, err, "the job's nodes")) {
        return false;
    }
    *ended = nodes.count == 0;
    if (nodes.count == were.count) {
        call_problem(call, 404, "not_found", NULL, "job %s does not run on this host", job->name);
        return false;
    }
    return spend(call, teller, nodes.count) &&
           (*ended ? job_end(call, job) : job_put(call, job, &nodes, NULL));
}

static void end_run(struct call *call) {
    struct job_teller teller;
    struct job job;
    bool runs, ended = true;
    audit_job(call, NULL);
    if (!job_teller_find(call, &teller) || !find_job(call, &teller.cluster, &job, &runs)) {
        return;
    }
    if (!runs) {
        call_problem(call, 404, "not_found", NULL,
                     "no job %.64s runs on %s: it has ended, or nobody told of it", job.name,
                     teller.cluster.name);
        return;
    }
    if (teller.node != NULL ? leave(call, &teller, &job, &ended) : job_end(call, &job)) {
        call_answer(call, 200, json_pack("{s:b}", "ended", ended));
    }
}

const struct route job_routes[] = {
    {HTTP_PUT, "/api/v1/clusters/{cluster}/jobs/{job}", ACCESS_ACCOUNT_OR_HOST, "job.put", put_read,
     put_run, NULL},
    {HTTP_DELETE, "/api/v1/clusters/{cluster}/jobs/{job}", ACCESS_ACCOUNT_OR_HOST, "job.end", NULL,
     end_run, NULL},
    {.path = NULL},
};
