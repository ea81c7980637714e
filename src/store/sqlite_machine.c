/* Clusters, who reaches them, and hosts over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_project_cluster_put(struct store *store, entity_id project_id,
                                    entity_id cluster_id) {
    return statement_run(store, STATEMENT_project_cluster_put,
                         ARGUMENTS(U64(project_id), U64(cluster_id)), NULL);
}

err_t sqlite_op_project_cluster_remove(struct store *store, entity_id project_id,
                                       entity_id cluster_id) {
    return statement_run_one(store, STATEMENT_project_cluster_remove,
                             ARGUMENTS(U64(project_id), U64(cluster_id)));
}

err_t sqlite_op_project_cluster_list(struct store *store, entity_id project_id, EACH(cluster)) {
    return statement_list(store, STATEMENT_project_cluster_list, ARGUMENTS(U64(project_id)),
                          &cluster_shape, VISITOR(cluster));
}

err_t sqlite_op_reach_list(struct store *store, entity_id account_id, EACH(cluster)) {
    struct account account;
    err_t err = sqlite_op_account_get(store, account_id, &account);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    if (account.kind == ACCOUNT_SERVICE) {
        return sqlite_op_project_cluster_list(store, account.project_id, each, context);
    }
    return statement_list(store, STATEMENT_reach_list, ARGUMENTS(U64(account_id)), &cluster_shape,
                          VISITOR(cluster));
}

err_t sqlite_op_cluster_add(struct store *store, struct cluster *cluster) {
    return statement_add(store, STATEMENT_cluster_add, &cluster_shape, cluster, &cluster->id);
}

err_t sqlite_op_cluster_get(struct store *store, entity_id id, struct cluster *out) {
    return statement_get(store, STATEMENT_cluster_get, ARGUMENTS(U64(id)), &cluster_shape, out);
}

err_t sqlite_op_cluster_find(struct store *store, const char *name, struct cluster *out) {
    return statement_get(store, STATEMENT_cluster_find, ARGUMENTS(TEXT(name)), &cluster_shape, out);
}

err_t sqlite_op_cluster_update(struct store *store, const struct cluster *cluster) {
    return statement_update(store, STATEMENT_cluster_update, &cluster_shape, cluster);
}

err_t sqlite_op_cluster_list(struct store *store, const char *after_name, size_t max,
                             EACH(cluster)) {
    return statement_list_after(store, STATEMENT_cluster_list, after_name, max, &cluster_shape,
                                VISITOR(cluster));
}

err_t sqlite_op_host_add(struct store *store, struct host *host) {
    return statement_add(store, STATEMENT_host_add, &host_shape, host, &host->id);
}

err_t sqlite_op_host_get(struct store *store, entity_id id, struct host *out) {
    return statement_get(store, STATEMENT_host_get, ARGUMENTS(U64(id)), &host_shape, out);
}

err_t sqlite_op_host_find(struct store *store, const char *name, struct host *out) {
    return statement_get(store, STATEMENT_host_find, ARGUMENTS(TEXT(name)), &host_shape, out);
}

err_t sqlite_op_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out) {
    return statement_get(store, STATEMENT_host_find_enrol, ARGUMENTS(TEXT(enrol_hash)), &host_shape,
                         out);
}

err_t sqlite_op_host_find_token(struct store *store, const char *token_hash, struct host *out) {
    return statement_get(store, STATEMENT_host_find_token, ARGUMENTS(TEXT(token_hash)), &host_shape,
                         out);
}

err_t sqlite_op_host_update(struct store *store, const struct host *host) {
    return statement_update(store, STATEMENT_host_update, &host_shape, host);
}

err_t sqlite_op_host_remove(struct store *store, entity_id id) {
    return statement_run_one(store, STATEMENT_host_remove, ARGUMENTS(U64(id)));
}

err_t sqlite_op_host_list(struct store *store, const char *after_name, size_t max, EACH(host)) {
    return statement_list_after(store, STATEMENT_host_list, after_name, max, &host_shape,
                                VISITOR(host));
}

err_t sqlite_op_host_list_by_job(struct store *store, entity_id job_id, EACH(host)) {
    return statement_list(store, STATEMENT_host_list_by_job, ARGUMENTS(U64(job_id)), &host_shape,
                          VISITOR(host));
}

err_t sqlite_op_host_list_by_role(struct store *store, enum host_role role, EACH(host)) {
    return statement_list(store, STATEMENT_host_list_by_role, ARGUMENTS(U64(role)), &host_shape,
                          VISITOR(host));
}
