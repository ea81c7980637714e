#include "feed/view.h"

#include "feed/reach.h"
#include "feed/view_things.h"

err_t view_new(struct view **out) {
    struct view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = view;
    return OK;
}

void view_free(struct view *view) {
    if (view != NULL) {
        view_things_done(&view->things);
        view_things_done(&view->fresh);
        free(view);
    }
}

void view_freep(struct view **view) {
    view_free(*view);
    *view = NULL;
}

void view_heard(struct view *view, int64_t synced_at) { view->synced_at = synced_at; }

uint64_t view_revision(const struct view *view) { return view->revision; }

int64_t view_synced_at(const struct view *view) { return view->synced_at; }

size_t view_prune(struct view *view, int64_t now) {
    const struct view_table *table = &view->things.by_key[CHANGE_REVOCATION];
    size_t before = table->count;
    for (size_t i = 0; i < table->size; i++) {
        for (struct view_link *link = table->slots[i]; link != NULL;) {
            struct view_link *next = link->next;
            if (((struct view_revocation *)link)->expires_at < now - REPLICA_PRUNE_SLACK_S) {
                view_things_drop(&view->things, CHANGE_REVOCATION, link);
            }
            link = next;
        }
    }
    size_t pruned = before - table->count;
    if (pruned > 0 && now > view->pruned_at) {
        view->pruned_at = now;
    }
    return pruned;
}

err_t view_cluster_list(const struct view *view, const char *user,
                        err_t (*each)(void *context, const char *cluster), void *context) {
    const struct view_account *account = view_find_account(view, user);
    return account == NULL ? OK : reach_each(view_account_reach(account), each, context);
}

static bool is_newer(const struct view_job *a, const struct view_job *b) {
    int64_t difference = a->right.started_at - b->right.started_at;
    return difference != 0 ? difference > 0 : strcmp(a->name, b->name) > 0;
}

/* The newest of the jobs that run and are older than `last` (NULL: than none). */
static const struct view_job *next_running(const struct view *view, const char *user, int64_t now,
                                           const struct view_job *last) {
    const struct view_job *newest = NULL;
    for (const struct view_job *job = NULL; (job = view_next_job(view, user, job)) != NULL;) {
        if (job_right_runs(&job->right, now) && (last == NULL || is_newer(last, job)) &&
            (newest == NULL || is_newer(job, newest))) {
            newest = job;
        }
    }
    return newest;
}

err_t view_job_list(const struct view *view, const char *user, int64_t now,
                    err_t (*each)(void *context, const char *job, const char *nodes,
                                  size_t node_count),
                    void *context) {
    for (const struct view_job *job = NULL; (job = next_running(view, user, now, job)) != NULL;) {
        TRY(each(context, job->name, job->nodes, job->node_count));
    }
    return OK;
}

struct view_counts view_count(const struct view *view) {
    const struct view_table *tables = view->things.by_key;
    return (struct view_counts){
        .accounts = tables[CHANGE_ACCOUNT].count,
        .revocations = tables[CHANGE_REVOCATION].count,
        .keys = tables[CHANGE_KEY].count,
        .clusters = tables[CHANGE_CLUSTER].count,
        .hosts = tables[CHANGE_HOST].count,
        .cas = tables[CHANGE_CA].count,
        .jobs = tables[CHANGE_JOB].count,
    };
}
