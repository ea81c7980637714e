/* Jobs and their nodes, in memory. */
#include <stdio.h>

#include "store/memory.h"

static size_t job_index(const struct memory_store *self, entity_id id) {
    return FIND(&self->jobs, job, row->id == id);
}

/* Where the nodes of a job stand, one after another: the first of them. */
static size_t first_node(const struct memory_store *self, entity_id job_id) {
    bool found;
    return table_search(&self->job_nodes, &(struct job_node){.job_id = job_id}, &found);
}

static const struct job_node *node_at(const struct memory_store *self, entity_id job_id,
                                      size_t index) {
    const struct table *table = &self->job_nodes;
    return index < table->count && ROW(table, job_node, index)->job_id == job_id
               ? ROW(table, job_node, index)
               : NULL;
}

static err_t remove_nodes(struct memory_store *self, entity_id job_id) {
    size_t first = first_node(self, job_id), end = first;
    while (node_at(self, job_id, end) != NULL) {
        end++;
    }
    for (; end > first; end--) {
        TRY(table_remove(&self->job_nodes, &self->log, end - 1));
    }
    return OK;
}

static err_t add_nodes(struct memory_store *self, entity_id job_id, const char *const *nodes,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct job_node node = {.job_id = job_id, .position = i};
        (void)snprintf(node.name, sizeof node.name, "%s", nodes[i]);
        TRY(table_insert(&self->job_nodes, &self->log, &node));
    }
    return OK;
}

static bool has_node(const struct memory_store *self, entity_id job_id, const char *name) {
    const struct job_node *node;
    for (size_t i = first_node(self, job_id); (node = node_at(self, job_id, i)) != NULL; i++) {
        if (strcmp(node->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static err_t check_job(const struct memory_store *self, const struct job *job) {
    TRY(require_valid(job->type >= JOB_SHARED && job->type <= JOB_CLUSTER));
    TRY(require_free(FIND(&self->jobs, job,
                          row->id != job->id && row->ended_at == 0 &&
                              row->cluster_id == job->cluster_id &&
                              strcmp(row->name, job->name) == 0) != NONE));
    return require(memory_has_cluster(self, job->cluster_id) &&
                   memory_has_account(self, job->account_id));
}

static err_t require_running(const struct memory_store *self, size_t index) {
    TRY(require(index != NONE));
    return ROW(&self->jobs, job, index)->ended_at == 0 ? OK : FAIL(ERR_CONFLICT);
}

err_t memory_op_job_put(struct store *store, struct job *job, const char *const *nodes,
                        size_t node_count) {
    struct memory_store *self = memory_store_of(store);
    struct job copy = *job;
    copy.node_count = (uint32_t)node_count;
    if (copy.id == 0) {
        TRY(check_job(self, &copy));
        TRY(ADD(self, &self->jobs, job, &copy));
    } else {
        size_t index = job_index(self, copy.id);
        TRY(require_running(self, index));
        TRY(check_job(self, &copy));
        TRY(memory_replace(self, &self->jobs, index, &copy));
        TRY(remove_nodes(self, copy.id));
    }
    TRY(add_nodes(self, copy.id, nodes, node_count));
    *job = copy;
    return OK;
}

err_t memory_op_job_get(struct store *store, entity_id id, struct job *out) {
    return GET(&memory_store_of(store)->jobs, job, row->id == id, out);
}

err_t memory_op_job_find(struct store *store, entity_id cluster_id, const char *name,
                         struct job *out) {
    return GET(&memory_store_of(store)->jobs, job,
               row->ended_at == 0 && row->cluster_id == cluster_id && strcmp(row->name, name) == 0,
               out);
}

err_t memory_op_job_end(struct store *store, entity_id id, int64_t at) {
    struct memory_store *self = memory_store_of(store);
    size_t index = job_index(self, id);
    TRY(require_running(self, index));
    struct job job = *ROW(&self->jobs, job, index);
    job.ended_at = at;
    return memory_replace(self, &self->jobs, index, &job);
}

err_t memory_op_job_node_list(struct store *store, entity_id id,
                              err_t (*each)(void *context, const char *node), void *context) {
    const struct memory_store *self = memory_store_of(store);
    const struct job_node *node;
    for (size_t i = first_node(self, id); (node = node_at(self, id, i)) != NULL; i++) {
        TRY(each(context, node->name));
    }
    return OK;
}

static bool passes(const struct memory_store *self, const struct job_filter *filter,
                   const struct job *job) {
    return job->id > filter->after_id && (filter->include_ended || job->ended_at == 0) &&
           (filter->account_id == 0 || job->account_id == filter->account_id) &&
           (filter->cluster_id == 0 || job->cluster_id == filter->cluster_id) &&
           (filter->node == NULL || has_node(self, job->id, filter->node));
}

err_t memory_op_job_list(struct store *store, const struct job_filter *filter, EACH(job)) {
    const struct memory_store *self = memory_store_of(store);
    size_t left = filter->max;
    for (size_t i = 0; i < self->jobs.count && left > 0; i++) {
        const struct job *row = ROW(&self->jobs, job, i);
        if (passes(self, filter, row)) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

err_t memory_op_job_count(struct store *store, entity_id cluster_id, size_t *out) {
    const struct memory_store *self = memory_store_of(store);
    size_t count = 0;
    for (size_t i = 0; i < self->jobs.count; i++) {
        const struct job *row = ROW(&self->jobs, job, i);
        count += row->cluster_id == cluster_id && row->ended_at == 0;
    }
    *out = count;
    return OK;
}

static bool is_due(const struct job *job, int64_t at) {
    return job->ended_at == 0 && job->ends_at != 0 && job->ends_at <= at;
}

/* The one that follows `last` in the order of ends; NULL: none. */
static const struct job *next_due(const struct memory_store *self, const struct job *last,
                                  int64_t at) {
    const struct job *next = NULL;
    for (size_t i = 0; i < self->jobs.count; i++) {
        const struct job *row = ROW(&self->jobs, job, i);
        bool follows = last == NULL || row->ends_at > last->ends_at ||
                       (row->ends_at == last->ends_at && row->id > last->id);
        if (is_due(row, at) && follows && (next == NULL || row->ends_at < next->ends_at)) {
            next = row;
        }
    }
    return next;
}

err_t memory_op_job_list_due(struct store *store, int64_t at, size_t max, EACH(job)) {
    const struct memory_store *self = memory_store_of(store);
    const struct job *job = next_due(self, NULL, at);
    for (; job != NULL && max > 0; max--, job = next_due(self, job, at)) {
        TRY(each(context, job));
    }
    return OK;
}

err_t memory_op_job_prune(struct store *store, int64_t before, size_t max) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->jobs.count, left = max; i > 0 && left > 0; i--) {
        const struct job *job = ROW(&self->jobs, job, i - 1);
        entity_id id = job->id;
        if (job->ended_at != 0 && job->ended_at < before &&
            FIND(&self->hosts, host, row->job_id == id) == NONE) {
            TRY(remove_nodes(self, id));
            TRY(table_remove(&self->jobs, &self->log, i - 1));
            left--;
        }
    }
    return OK;
}
