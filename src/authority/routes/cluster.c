#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/host_admin.h"
#include "authority/routes/publish.h"
#include "feed/change_names.h"

enum { SSH_PORT = 22 };

/* The clusters to show, and the place of each one's hosts. */
struct listing {
    struct call *call;
    json_t *clusters;
    entity_id ids[LIMIT_FEED_CLUSTERS_COUNT];
    char names[LIMIT_FEED_CLUSTERS_COUNT][LIMIT_CLUSTER_NAME_CHARS + 1];
    json_t *hosts[LIMIT_FEED_CLUSTERS_COUNT]; /* borrowed from `clusters` */
    size_t count;
};

static err_t add_cluster(void *context, const struct cluster *cluster) {
    struct listing *listing = context;
    if (listing->count == LIMIT_FEED_CLUSTERS_COUNT) {
        return FAIL(ERR_TOO_LONG); /* create_run() keeps to it */
    }
    json_t *hosts = json_array();
    json_t *item = json_pack("{s:s,s:s,s:i,s:s,s:s,s:o}", "name", cluster->name, "address",
                             cluster->address, "port", (int)cluster->port, "nodeAccess",
                             change_node_access_names[cluster->node_access], "credentials",
                             change_credentials_names[cluster->credentials], "hosts", hosts);
    if (json_array_append_new(listing->clusters, item) != 0) {
        return FAIL(ERR_MEMORY);
    }
    listing->ids[listing->count] = cluster->id;
    memcpy(listing->names[listing->count], cluster->name, sizeof cluster->name);
    listing->hosts[listing->count++] = hosts;
    return OK;
}

static err_t add_host(void *context, const struct host *host) {
    struct listing *listing = context;
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->ids[i] == host->cluster_id) {
            json_t *item = host_json(host, listing->names[i]);
            return json_array_append_new(listing->hosts[i], item) == 0 ? OK : FAIL(ERR_MEMORY);
        }
    }
    return OK;
}

static void list_run(struct call *call) {
    struct store *store = call_store(call);
    struct listing *listing CLEANUP(freep) = calloc(1, sizeof *listing);
    if (listing == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), "the clusters");
        return;
    }
    listing->call = call;
    listing->clusters = json_array();
    err_t err = call->caller.account.administrator
                    ? store_cluster_list(store, NULL, SIZE_MAX >> 1, add_cluster, listing)
                    : store_reach_list(store, call->caller.account.id, add_cluster, listing);
    err = failed(err) ? err : store_host_list(store, NULL, SIZE_MAX >> 1, add_host, listing);
    if (call_ok(call, err, "the clusters")) {
        call_answer(call, 200, json_pack("{s:o}", "clusters", listing->clusters));
    } else {
        json_decref(listing->clusters);
    }
}

static void answer(struct call *call, unsigned status, const struct cluster *cluster) {
    struct listing *listing CLEANUP(freep) = calloc(1, sizeof *listing);
    if (call_refused(call)) {
        return;
    }
    if (listing == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), "the cluster");
        return;
    }
    listing->clusters = json_array();
    err_t err = add_cluster(listing, cluster);
    err = failed(err) ? err
                      : store_host_list(call_store(call), NULL, SIZE_MAX >> 1, add_host, listing);
    json_t *body = json_pack("{s:O}", "cluster", json_array_get(listing->clusters, 0));
    err = failed(err) ? err : host_warn(body, cluster->name, cluster->address);
    if (call_ok(call, err, "the cluster")) {
        call_answer(call, status, json_incref(body));
    }
    json_decref(body);
    json_decref(listing->clusters);
}

struct cluster_request {
    struct cluster cluster; /* node_access, credentials 0: not given */
    bool has_address;
    int64_t port; /* 0: not given */
};

/* Who may log in, and with what. */
static err_t read_rules(struct call *call, struct cluster_request *own) {
    unsigned node_access = 0;
    TRY(call_read_word(call, "nodeAccess", CALL_OPTIONAL, change_node_access_names,
                       CHANGE_NODE_ACCESSES_COUNT, &node_access));
    own->cluster.node_access = node_access;
    return call_read_word(call, "credentials", CALL_OPTIONAL, change_credentials_names,
                          CHANGE_CREDENTIALS_COUNT, &own->cluster.credentials);
}

static err_t read_place(struct call *call, struct cluster_request *own) {
    const char *address = NULL;
    struct fault fault = {0};
    TRY(call_read_string(call, "address", CALL_OPTIONAL, LIMIT_HOST_NAME_CHARS, &address));
    TRY(call_read_int(call, "port", CALL_OPTIONAL, 1, UINT16_MAX, &own->port));
    if (address == NULL) {
        return OK;
    }
    err_t err = host_name_check(span_str(address), "address", &fault);
    if (failed(err)) {
        call_fault(call, "address_refused", &fault);
        return err;
    }
    own->has_address = true;
    return call_copy_text(call, "address", address, own->cluster.address,
                          sizeof own->cluster.address);
}

static err_t create_read(struct call *call) {
    struct cluster_request *own = call_own(call, sizeof *own, NULL);
    TRY(call_read_name(call, cluster_name_check, own->cluster.name, sizeof own->cluster.name));
    TRY(read_place(call, own));
    return read_rules(call, own);
}

static err_t count_cluster(void *context, const struct cluster *cluster) {
    (void)cluster;
    ++*(size_t *)context;
    return OK;
}

/*
 * The other half of host_admin.c's check: a host that has this name or address already holds, or
 * gets, certificates that clients would believe to be the cluster's.
 */
struct squatter_check {
    const struct cluster *cluster;
    char host[LIMIT_HOST_NAME_CHARS + 1];
};

static err_t look_for_squatter(void *context, const struct host *host) {
    struct squatter_check *check = context;
    const struct cluster *cluster = check->cluster;
    bool same = strcmp(host->name, cluster->name) == 0 ||
                strcmp(host->address, cluster->name) == 0 ||
                (cluster->address[0] != '\0' && (strcmp(host->name, cluster->address) == 0 ||
                                                 strcmp(host->address, cluster->address) == 0));
    if (same && (host->role != HOST_LOGIN || cluster->id == 0 || host->cluster_id != cluster->id)) {
        memcpy(check->host, host->name, sizeof check->host);
    }
    return OK;
}

static bool refuse_taken(struct call *call, const struct cluster *cluster) {
    struct squatter_check check = {.cluster = cluster};
    err_t err = store_host_list(call_store(call), NULL, SIZE_MAX >> 1, look_for_squatter, &check);
    if (call_ok(call, err, "the hosts") && check.host[0] != '\0') {
        call_problem(call, 409, "conflict", "name",
                     "this name or address is that of the host %s, which is no login host of this "
                     "cluster",
                     check.host);
    }
    return call_refused(call);
}

static void create_run(struct call *call) {
    struct cluster_request *own = call_own(call, sizeof *own, NULL);
    struct store *store = call_store(call);
    size_t count = 0;
    char what[96];
    call_audit(call, own->cluster.name, true, "ok", NULL);
    if (!call_ok(call, store_cluster_list(store, NULL, SIZE_MAX >> 1, count_cluster, &count),
                 "the clusters")) {
        return;
    }
    if (count >= LIMIT_FEED_CLUSTERS_COUNT) {
        call_problem(call, 409, "too_many", NULL, "there can be at most %d clusters",
                     LIMIT_FEED_CLUSTERS_COUNT);
        return;
    }
    own->cluster.port = own->port == 0 ? SSH_PORT : (uint16_t)own->port;
    own->cluster.created_at = call->now;
    if (own->cluster.node_access == 0) {
        own->cluster.node_access = NODE_ACCESS_JOB;
    }
    if (own->cluster.credentials == 0) {
        own->cluster.credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS;
    }
    (void)snprintf(what, sizeof what, "a cluster named %s", own->cluster.name);
    if (!refuse_taken(call, &own->cluster) &&
        call_ok(call, store_cluster_add(store, &own->cluster), what)) {
        publish_cluster(call, &own->cluster);
        answer(call, 201, &own->cluster);
    }
}

static err_t change_read(struct call *call) {
    struct cluster_request *own = call_own(call, sizeof *own, NULL);
    TRY(read_place(call, own));
    return read_rules(call, own);
}

static void change_run(struct call *call) {
    const struct cluster_request *own = call_own(call, sizeof *own, NULL);
    const char *name = call_path(call, "name");
    struct cluster cluster;
    char what[96];
    (void)snprintf(what, sizeof what, "the cluster %.64s", name);
    call_audit(call, name, true, "ok", NULL);
    if (!call_ok(call, store_cluster_find(call_store(call), name, &cluster), what)) {
        return;
    }
    if (own->has_address) {
        memcpy(cluster.address, own->cluster.address, sizeof cluster.address);
    }
    if (own->port != 0) {
        cluster.port = (uint16_t)own->port;
    }
    if (own->cluster.node_access != 0) {
        cluster.node_access = own->cluster.node_access;
    }
    if (own->cluster.credentials != 0) {
        cluster.credentials = own->cluster.credentials;
    }
    if (!refuse_taken(call, &cluster) &&
        call_ok(call, store_cluster_update(call_store(call), &cluster), what)) {
        publish_cluster(call, &cluster);
        answer(call, 200, &cluster);
    }
}

const struct route cluster_routes[] = {
    {HTTP_GET, "/api/v1/clusters", ACCESS_ACCOUNT, "cluster.list", NULL, list_run, NULL},
    {HTTP_POST, "/api/v1/clusters", ACCESS_ADMINISTRATOR, "cluster.create", create_read, create_run,
     NULL},
    {HTTP_PUT, "/api/v1/clusters/{name}", ACCESS_ADMINISTRATOR, "cluster.change", change_read,
     change_run, NULL},
    {0},
};
