/* Clusters, who reaches them, and hosts, in memory. */
#include "store/memory.h"

err_t memory_op_project_cluster_put(struct store *store, entity_id project_id,
                                    entity_id cluster_id) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_project(self, project_id) && memory_has_cluster(self, cluster_id)));
    return memory_put(self, &self->links, &(struct link){project_id, cluster_id});
}

static bool is_linked(const struct memory_store *self, entity_id project_id, entity_id cluster_id) {
    return FIND(&self->links, link,
                row->project_id == project_id && row->cluster_id == cluster_id) != NONE;
}

err_t memory_op_project_cluster_remove(struct store *store, entity_id project_id,
                                       entity_id cluster_id) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(
        self, &self->links,
        FIND(&self->links, link, row->project_id == project_id && row->cluster_id == cluster_id));
}

err_t memory_op_project_cluster_list(struct store *store, entity_id project_id, EACH(cluster)) {
    const struct memory_store *self = memory_store_of(store);
    LIST_ALL(&self->clusters, cluster, is_linked(self, project_id, row->id));
    return OK;
}

static bool reaches(const struct memory_store *self, const struct account *account,
                    entity_id cluster_id) {
    if (account->kind == ACCOUNT_SERVICE) {
        return is_linked(self, account->project_id, cluster_id);
    }
    return FIND(&self->members, membership,
                row->account_id == account->id && is_linked(self, row->project_id, cluster_id)) !=
           NONE;
}

err_t memory_op_reach_list(struct store *store, entity_id account_id, EACH(cluster)) {
    const struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->accounts, account, row->id == account_id);
    if (index != NONE) {
        const struct account *account = ROW(&self->accounts, account, index);
        LIST_ALL(&self->clusters, cluster, reaches(self, account, row->id));
    }
    return OK;
}

static err_t check_cluster(const struct cluster *cluster) {
    return require_valid(
        (cluster->node_access == NODE_ACCESS_JOB || cluster->node_access == NODE_ACCESS_OPEN) &&
        cluster->credentials != 0 &&
        cluster->credentials <= (CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS));
}

err_t memory_op_cluster_add(struct store *store, struct cluster *cluster) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_cluster(cluster));
    return ADD(self, &self->clusters, cluster, cluster);
}

err_t memory_op_cluster_get(struct store *store, entity_id id, struct cluster *out) {
    return GET(&memory_store_of(store)->clusters, cluster, row->id == id, out);
}

err_t memory_op_cluster_find(struct store *store, const char *name, struct cluster *out) {
    return GET(&memory_store_of(store)->clusters, cluster, strcmp(row->name, name) == 0, out);
}

err_t memory_op_cluster_update(struct store *store, const struct cluster *cluster) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->clusters, cluster, row->id == cluster->id);
    TRY(require(index != NONE));
    TRY(check_cluster(cluster));
    return memory_replace(self, &self->clusters, index, cluster);
}

err_t memory_op_cluster_list(struct store *store, const char *after_name, size_t max,
                             EACH(cluster)) {
    LIST_AFTER_NAME(&memory_store_of(store)->clusters, cluster);
    return OK;
}

static err_t check_host(const struct memory_store *self, const struct host *host, entity_id id) {
    TRY(require_valid(host->role >= HOST_JUMP && host->role <= HOST_JOB &&
                      (host->role == HOST_JOB) == (host->job_id != 0)));
    TRY(require(host->cluster_id == 0 || memory_has_cluster(self, host->cluster_id)));
    TRY(require(host->job_id == 0 || memory_has_job(self, host->job_id)));
    return require_free(FIND(&self->hosts, host,
                             row->id != id && (same_hash(row->enrol_hash, host->enrol_hash) ||
                                               same_hash(row->token_hash, host->token_hash))) !=
                        NONE);
}

err_t memory_op_host_add(struct store *store, struct host *host) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_host(self, host, 0));
    return ADD(self, &self->hosts, host, host);
}

err_t memory_op_host_get(struct store *store, entity_id id, struct host *out) {
    return GET(&memory_store_of(store)->hosts, host, row->id == id, out);
}

err_t memory_op_host_find(struct store *store, const char *name, struct host *out) {
    return GET(&memory_store_of(store)->hosts, host, strcmp(row->name, name) == 0, out);
}

err_t memory_op_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out) {
    return GET(&memory_store_of(store)->hosts, host, same_hash(row->enrol_hash, enrol_hash), out);
}

err_t memory_op_host_find_token(struct store *store, const char *token_hash, struct host *out) {
    return GET(&memory_store_of(store)->hosts, host, same_hash(row->token_hash, token_hash), out);
}

err_t memory_op_host_update(struct store *store, const struct host *host) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->hosts, host, row->id == host->id);
    TRY(require(index != NONE));
    TRY(check_host(self, host, host->id));
    return memory_replace(self, &self->hosts, index, host);
}

err_t memory_op_host_remove(struct store *store, entity_id id) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->hosts, FIND(&self->hosts, host, row->id == id));
}

err_t memory_op_host_list(struct store *store, const char *after_name, size_t max, EACH(host)) {
    LIST_AFTER_NAME(&memory_store_of(store)->hosts, host);
    return OK;
}

err_t memory_op_host_list_by_job(struct store *store, entity_id job_id, EACH(host)) {
    LIST_ALL(&memory_store_of(store)->hosts, host, job_id != 0 && row->job_id == job_id);
    return OK;
}

err_t memory_op_host_list_by_role(struct store *store, enum host_role role, EACH(host)) {
    LIST_ALL(&memory_store_of(store)->hosts, host, row->role == role);
    return OK;
}
