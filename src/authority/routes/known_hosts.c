/*
 * GET /api/v1/known-hosts: the hosts that the caller may meet on the way in, and their keys: for
 * clients that do not read host certificates, and to configure any client. Compute hosts are among
 * them where they are asked for: they are many, and they change.
 */
#include <string.h>

#include "authority/authority.h"
#include "authority/routes/host_admin.h"

struct reached {
    entity_id id;
    char name[LIMIT_CLUSTER_NAME_CHARS + 1];
};

struct request {
    bool include_compute;
};

struct listing {
    const struct request *request;
    json_t *rows;
    struct reached clusters[LIMIT_FEED_CLUSTERS_COUNT]; /* that the caller reaches */
    size_t cluster_count;
};

static err_t read_query(struct call *call) {
    struct request *own = call_own(call, sizeof *own, NULL);
    return call_query_bool(call, "include_compute", &own->include_compute);
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    struct listing *listing = context;
    if (listing->cluster_count == LIMIT_FEED_CLUSTERS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    struct reached *reached = &listing->clusters[listing->cluster_count++];
    reached->id = cluster->id;
    memcpy(reached->name, cluster->name, sizeof reached->name);
    return OK;
}

/* The name of the host's cluster, "" of a jump host; NULL when the caller does not meet the host.
 */
static const char *cluster_met(const struct listing *listing, const struct host *host) {
    bool inside = host->role == HOST_LOGIN ||
                  (host->role == HOST_COMPUTE && listing->request->include_compute);
    if (host->key_line[0] == '\0' || (!inside && host->role != HOST_JUMP)) {
        return NULL;
    }
    for (size_t i = 0; inside && i < listing->cluster_count; i++) {
        if (listing->clusters[i].id == host->cluster_id) {
            return listing->clusters[i].name;
        }
    }
    return inside ? NULL : "";
}

static err_t add_host(void *context, const struct host *host) {
    struct listing *listing = context;
    const char *cluster = cluster_met(listing, host);
    if (cluster == NULL) {
        return OK;
    }
    json_t *row =
        json_pack("{s:s, s:s, s:i, s:o}", "name", host->name, "role", host_role_name(host->role),
                  "port", (int)host->port, "publicKeys", call_json_lines(host->key_line));
    if (row == NULL || json_array_append_new(listing->rows, row) != 0) {
        return FAIL(ERR_MEMORY);
    }
    call_json_set_text(row, "cluster", cluster);
    call_json_set_text(row, "address", host->address);
    return OK;
}

static void run(struct call *call) {
    struct store *store = call_store(call);
    struct listing listing = {.request = call_own(call, sizeof(struct request), NULL),
                              .rows = json_array()};
    err_t err = store_reach_list(store, call->caller.account.id, add_cluster, &listing);
    err = failed(err) ? err : store_host_list(store, NULL, SIZE_MAX >> 1, add_host, &listing);
    if (call_ok(call, err, "the hosts")) {
        call_answer(call, 200, json_pack("{s:o}", "knownHosts", listing.rows));
    } else {
        json_decref(listing.rows);
    }
}

const struct route known_hosts_routes[] = {
    {HTTP_GET, "/api/v1/known-hosts", ACCESS_ACCOUNT, "known-hosts.list", read_query, run, NULL},
    {.path = NULL},
};
