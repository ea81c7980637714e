/* Jobs and their nodes, over SQLite. */
#include "store/sqlite_statement.h"

static err_t put_nodes(struct store *store, entity_id id, const char *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        TRY(statement_run(store, STATEMENT_job_node_add, ARGUMENTS(U64(id), U64(i), TEXT(nodes[i])),
                          NULL));
    }
    return OK;
}

/* Why no running job was found: there is none of this id, or it has ended. */
static err_t refuse(struct store *store, entity_id id) {
    struct job job;
    TRY(sqlite_op_job_get(store, id, &job));
    return job.ended_at != 0 ? FAIL(ERR_CONFLICT) : FAIL(ERR_NOT_FOUND);
}

static err_t change_job(struct store *store, const struct job *job, const char *const *nodes) {
    err_t err = statement_update(store, STATEMENT_job_update, &job_shape, job);
    if (err.code == ERR_NOT_FOUND) { /* also when its account or cluster is not there */
        return refuse(store, job->id);
    }
    TRY(err);
    TRY(statement_run(store, STATEMENT_job_node_remove, ARGUMENTS(U64(job->id)), NULL));
    return put_nodes(store, job->id, nodes, job->node_count);
}

err_t sqlite_op_job_put(struct store *store, struct job *job, const char *const *nodes,
                        size_t node_count) {
    struct job copy = *job;
    copy.node_count = (uint32_t)node_count;
    if (copy.id == 0) {
        TRY(statement_add(store, STATEMENT_job_add, &job_shape, &copy, &copy.id));
        TRY(put_nodes(store, copy.id, nodes, node_count));
    } else {
        TRY(change_job(store, &copy, nodes));
    }
    *job = copy;
    return OK;
}

err_t sqlite_op_job_get(struct store *store, entity_id id, struct job *out) {
    return statement_get(store, STATEMENT_job_get, ARGUMENTS(U64(id)), &job_shape, out);
}

err_t sqlite_op_job_find(struct store *store, entity_id cluster_id, const char *name,
                         struct job *out) {
    return statement_get(store, STATEMENT_job_find, ARGUMENTS(U64(cluster_id), TEXT(name)),
                         &job_shape, out);
}

err_t sqlite_op_job_end(struct store *store, entity_id id, int64_t at) {
    err_t err = statement_run_one(store, STATEMENT_job_end, ARGUMENTS(U64(id), I64(at)));
    if (err.code == ERR_NOT_FOUND) {
        return refuse(store, id);
    }
    TRY(err);
    return statement_run(store, STATEMENT_job_node_end, ARGUMENTS(U64(id)), NULL);
}

err_t sqlite_op_job_node_list(struct store *store, entity_id id,
                              err_t (*each)(void *context, const char *node), void *context) {
    sqlite3_stmt *statement CLEANUP(statement_resetp) = NULL;
    TRY(statement_take(store, STATEMENT_job_node_list, &statement));
    TRY(statement_bind(statement, ARGUMENTS(U64(id))));
    for (;;) {
        bool there;
        TRY(statement_step(statement, &there));
        if (!there) {
            return OK;
        }
        const unsigned char *name = sqlite3_column_text(statement, 0);
        if (name == NULL) {
            return FAIL(ERR_MEMORY);
        }
        TRY(each(context, (const char *)name));
    }
}

err_t sqlite_op_job_list(struct store *store, const struct job_filter *filter, EACH(job)) {
    bool ended = filter->include_ended;
    enum statement name =
        filter->node != NULL ? (ended ? STATEMENT_job_list_node_all : STATEMENT_job_list_node)
        : filter->account_id != 0
            ? (ended ? STATEMENT_job_list_account_all : STATEMENT_job_list_account)
        : filter->cluster_id != 0
            ? (ended ? STATEMENT_job_list_cluster_all : STATEMENT_job_list_cluster)
            : (ended ? STATEMENT_job_list_all : STATEMENT_job_list);
    const struct argument values[] = {U64(filter->after_id), U64(filter->max),
                                      U64(filter->cluster_id), U64(filter->account_id),
                                      TEXT(filter->node)};
    /* A statement takes its own and those before it. */
    size_t count = filter->node != NULL      ? 5
                   : filter->account_id != 0 ? 4
                   : filter->cluster_id != 0 ? 3
                                             : 2;
    return statement_list(store, name, (struct arguments){values, count}, &job_shape, VISITOR(job));
}

err_t sqlite_op_job_count(struct store *store, entity_id cluster_id, size_t *out) {
    return statement_count(store, STATEMENT_job_count, cluster_id, out);
}

err_t sqlite_op_job_list_due(struct store *store, int64_t at, size_t max, EACH(job)) {
    return statement_list(store, STATEMENT_job_list_due, ARGUMENTS(I64(at), U64(max)), &job_shape,
                          VISITOR(job));
}

err_t sqlite_op_job_prune(struct store *store, int64_t before, size_t max) {
    return statement_run(store, STATEMENT_job_prune, ARGUMENTS(I64(before), U64(max)), NULL);
}
