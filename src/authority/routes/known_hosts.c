/*
 * GET /api/v1/known-hosts: the host keys of what the caller may meet on the way in, for clients
 * that do not read host certificates. Compute nodes are not among them: they are many, they change,
 * and who reaches them comes from inside.
 */
#include <string.h>

#include "authority/authority.h"

struct listing {
    struct call *call;
    json_t *rows;
    entity_id clusters[LIMIT_FEED_CLUSTERS_COUNT]; /* that the caller reaches */
    size_t cluster_count;
};

static err_t add_cluster(void *context, const struct cluster *cluster) {
    struct listing *listing = context;
    if (listing->cluster_count == LIMIT_FEED_CLUSTERS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    listing->clusters[listing->cluster_count++] = cluster->id;
    return OK;
}

static bool is_met(const struct listing *listing, const struct host *host) {
    bool reached = host->role == HOST_JUMP;
    for (size_t i = 0; host->role == HOST_LOGIN && i < listing->cluster_count; i++) {
        reached |= listing->clusters[i] == host->cluster_id;
    }
    return reached && host->key_line[0] != '\0';
}

static err_t add_host(void *context, const struct host *host) {
    struct listing *listing = context;
    if (!is_met(listing, host)) {
        return OK;
    }
    json_t *row = json_pack("{s:s, s:i, s:o}", "name", host->name, "port", (int)host->port,
                            "publicKeys", call_json_lines(host->key_line));
    if (row == NULL || json_array_append_new(listing->rows, row) != 0) {
        return FAIL(ERR_MEMORY);
    }
    call_json_set_text(row, "address", host->address);
    return OK;
}

static void run(struct call *call) {
    struct store *store = call_store(call);
    struct listing listing = {.call = call, .rows = json_array()};
    err_t err = store_reach_list(store, call->caller.account.id, add_cluster, &listing);
    err = failed(err) ? err : store_host_list(store, NULL, SIZE_MAX >> 1, add_host, &listing);
    if (call_ok(call, err, "the hosts")) {
        call_answer(call, 200, json_pack("{s:o}", "knownHosts", listing.rows));
    } else {
        json_decref(listing.rows);
    }
}

const struct route known_hosts_routes[] = {
    {HTTP_GET, "/api/v1/known-hosts", ACCESS_ACCOUNT, "known-hosts.list", NULL, run, NULL},
    {.path = NULL},
};
