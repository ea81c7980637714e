#include "authority/routes/job_choice.h"

#include <stdio.h>
#include <string.h>

#include "authority/authority.h"

struct search {
    struct store *store;
    const char *name;      /* "1234" */
    entity_id account_id;  /* 0: whosever it is */
    struct job_choice one; /* the last that was found */
    size_t count;
};

static err_t look_at(void *context, const struct cluster *cluster) {
    struct search *search = context;
    struct job job;
    err_t err = store_job_find(search->store, cluster->id, search->name, &job);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    if (search->account_id == 0 || job.account_id == search->account_id) {
        search->one = (struct job_choice){true, job, *cluster};
        search->count++;
    }
    return OK;
}

/* One cluster (NULL: all). */
static err_t run(struct search *search, const char *cluster_name) {
    struct cluster cluster;
    if (cluster_name == NULL) {
        return store_cluster_list(search->store, NULL, SIZE_MAX >> 1, look_at, search);
    }
    err_t err = store_cluster_find(search->store, cluster_name, &cluster);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    return look_at(search, &cluster);
}

/* A copy of what stands before the '@'; what follows it, NULL without one. */
static const char *split(const char *name, char bare[JOB_KEY_CHARS + 1]) {
    size_t len = strcspn(name, "@");
    (void)snprintf(bare, JOB_KEY_CHARS + 1, "%.*s", (int)len, name);
    return name[len] == '@' ? name + len + 1 : NULL;
}

bool job_choice_find(struct call *call, const char *name, const struct account *account,
                     struct job_choice *out) {
    char bare[JOB_KEY_CHARS + 1];
    const char *cluster = split(name, bare);
    struct search search = {.store = call_store(call),
                            .name = bare,
                            .account_id = account->id,
                            .one = {.found = false}};
    if (!call_ok(call, run(&search, cluster), "the job")) {
        return false;
    }
    if (search.count > 1) {
        call_problem(call, 409, "conflict", "job",
                     "%s has a job %.64s on more than one cluster; say which: %.64s@CLUSTER",
                     account->name, bare, bare);
        return false;
    }
    if (search.count == 1 && (search.one.cluster.credentials & CREDENTIALS_CERTIFICATES) == 0) {
        call_problem(call, 409, "no_credential", "job", "the cluster %s takes no certificates",
                     search.one.cluster.name);
        return false;
    }
    *out = search.one;
    return true;
}

bool job_choice_find_on(struct call *call, const char *name, const struct cluster *cluster,
                        struct job_choice *out) {
    char bare[JOB_KEY_CHARS + 1];
    const char *said = split(name, bare);
    struct search search = {.store = call_store(call), .name = bare, .one = {.found = false}};
    bool elsewhere = said != NULL && strcmp(said, cluster->name) != 0;
    if (!elsewhere && !call_ok(call, look_at(&search, cluster), "the job")) {
        return false;
    }
    *out = search.one;
    return true;
}

void job_choice_principal(const struct job_choice *choice, char out[JOB_PRINCIPAL_CHARS]) {
    (void)snprintf(out, JOB_PRINCIPAL_CHARS, "job:%s@%s", choice->job.name, choice->cluster.name);
}
