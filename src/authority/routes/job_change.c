#include "authority/routes/job_change.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/host_admin.h"
#include "authority/routes/publish.h"

enum { NAMESAKES_MAX = 16 }; /* hosts of other clusters with the same first label */

static err_t add_name(void *context, const char *node) { return node_names_add(context, node); }

bool job_nodes_get(struct call *call, const struct job *job, struct node_names *out) {
    return call_ok(call, store_job_node_list(call_store(call), job->id, add_name, out),
                   "the job's nodes");
}

/* ---- names ------------------------------------------------------------------------------- */

struct label_search {
    entity_id cluster_id;
    const char *label; /* "n1." */
    char *found;
};

/* Hosts come by name, and so one after the other where they begin with the label. */
static err_t look_for_label(void *context, const struct host *host) {
    const struct label_search *search = context;
    bool labelled = strncmp(host->name, search->label, strlen(search->label)) == 0;
    if (labelled && host->cluster_id == search->cluster_id && search->found[0] == '\0') {
        memcpy(search->found, host->name, strlen(host->name) + 1);
    }
    return OK;
}

bool job_node_resolve(struct call *call, const struct cluster *cluster, const char *told,
                      char *out) {
    struct store *store = call_store(call);
    struct host host;
    char label[LIMIT_HOST_NAME_CHARS + 2];
    char found[LIMIT_HOST_NAME_CHARS + 1] = "";
    err_t err = store_host_find(store, told, &host);
    if (err.code == ERR_NOT_FOUND) {
        (void)snprintf(label, sizeof label, "%s.", told);
        struct label_search search = {cluster->id, label, found};
        err = store_host_list(store, label, NAMESAKES_MAX, look_for_label, &search);
    }
    if (!call_ok(call, err, "the job's nodes")) {
        return false;
    }
    const char *name = found[0] != '\0' ? found : told;
    memcpy(out, name, strlen(name) + 1);
    return true;
}

/* ---- hosts that come with a job ---------------------------------------------------------- */

static err_t add_host(void *context, const struct host *host) {
    return node_names_add(context, host->name);
}

/* A host leaves with its node; all do when there are no nodes. */
static bool end_hosts(struct call *call, const struct job *job, const struct node_names *nodes) {
    struct store *store = call_store(call);
    struct node_names hosts CLEANUP(node_names_done);
    node_names_init(&hosts);
    if (!call_ok(call, store_host_list_by_job(store, job->id, add_host, &hosts), "the hosts")) {
        return false;
    }
    const char *name = NULL;
    while ((name = node_names_next(&hosts, name)) != NULL) {
        struct host host;
        size_t revoked;
        if (nodes != NULL && node_names_have(nodes, name)) {
            continue;
        }
        if (!call_ok(call, store_host_find(store, name, &host), "the host") ||
            !host_end(call, &host, &revoked)) {
            return false;
        }
    }
    return true;
}

/* The job's address is that of its first node, which clients dial. */
static bool enrol_host(struct call *call, const struct job *job, const char *name, bool is_first,
                       json_t *enrolments) {
    struct host host = {.cluster_id = job->cluster_id,
                        .role = HOST_JOB,
                        .job_id = job->id,
                        .port = job->port != 0 ? job->port : 22};
    memcpy(host.name, name, strlen(name) + 1);
    if (is_first) {
        memcpy(host.address, job->address, sizeof host.address);
    }
    json_t *item = json_pack("{s:s}", "host", name);
    if (json_array_append_new(enrolments, item) != 0) {
        return call_ok(call, FAIL(ERR_MEMORY), "the enrolment");
    }
    return host_begin(call, &host, item);
}

static bool enrol_hosts(struct call *call, const struct job *job, const struct node_names *nodes,
                        json_t *enrolments) {
    const char *name = NULL;
    while ((name = node_names_next(nodes, name)) != NULL) {
        struct host host;
        err_t err = store_host_find(call_store(call), name, &host);
        if (err.code == ERR_NOT_FOUND) {
            if (!enrol_host(call, job, name, name == node_names_next(nodes, NULL), enrolments)) {
                return false;
            }
            continue;
        }
        if (!call_ok(call, err, "the host")) {
            return false;
        }
        if (host.job_id != job->id) {
            call_problem(call, 409, "conflict", "nodes",
                         "%.200s is a host already, and not of this job; its token is not the "
                         "job's to give",
                         name);
            return false;
        }
    }
    return true;
}

/* ---- beginning and end ------------------------------------------------------------------- */

static bool store_job(struct call *call, struct job *job, const struct node_names *nodes) {
    const char **items CLEANUP(freep) = calloc(nodes->count + 1, sizeof *items);
    size_t count = 0;
    const char *name = NULL;
    if (items == NULL) {
        return call_ok(call, FAIL(ERR_MEMORY), "the job");
    }
    while ((name = node_names_next(nodes, name)) != NULL) {
        items[count++] = name;
    }
    return call_ok(call, store_job_put(call_store(call), job, items, count), "the job");
}

static void note_end(struct authority *authority, int64_t ends_at) {
    if (ends_at != 0 && ends_at < authority->job_due_at) {
        authority->job_due_at = ends_at;
    }
}

bool job_put(struct call *call, struct job *job, const struct node_names *nodes,
             json_t *enrolments) {
    struct node_names were CLEANUP(node_names_done);
    node_names_init(&were);
    if ((job->id != 0 && !job_nodes_get(call, job, &were)) || !store_job(call, job, nodes) ||
        !end_hosts(call, job, nodes) ||
        (enrolments != NULL && !enrol_hosts(call, job, nodes, enrolments))) {
        return false;
    }
    note_end(call->authority, job->ends_at);
    publish_job(call, job, &were);
    return !call_refused(call);
}

bool job_end(struct call *call, const struct job *job) {
    struct node_names were CLEANUP(node_names_done);
    struct job ended = *job;
    node_names_init(&were);
    ended.ended_at = call->now;
    if (!job_nodes_get(call, job, &were) || !end_hosts(call, job, NULL) ||
        !call_ok(call, store_job_end(call_store(call), job->id, ended.ended_at), "the job")) {
        return false;
    }
    publish_job(call, &ended, &were);
    return !call_refused(call);
}
