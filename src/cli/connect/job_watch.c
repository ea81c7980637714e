#include "cli/connect/job_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/api.h"

enum { ASK_MS = 10 * 1000 };

struct job_watch {
    char *site, *name;
    int ended[2]; /* a byte when it has */
    int wake[2];  /* a byte to ask at once; closed to end */
    pthread_t thread;
};

static void watch_free(struct job_watch *watch) {
    for (int i = 0; i < 2; i++) {
        fd_closep(&watch->ended[i]);
        fd_closep(&watch->wake[i]);
    }
    free(watch->site);
    free(watch->name);
    free(watch);
}

static err_t look(struct job_watch *watch, bool *runs) {
    struct cli cli = {.site = watch->site};
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *jobs = NULL;
    TRY(site_open(&cli.trouble, watch->site, &site));
    TRY(api_open(&cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(api, "/api/v1/jobs", "jobs", "after", "id", &answer));
    TRY(answer_array(&cli, answer, "jobs", &jobs));
    bool found = false;
    size_t index;
    json_t *job;
    json_array_foreach(jobs, index, job) {
        const char *id = member_text(job, "job");
        size_t len = strlen(id);
        found = found || (strncmp(watch->name, id, len) == 0 && watch->name[len] == '@' &&
                          strcmp(watch->name + len + 1, member_text(job, "cluster")) == 0);
    }
    *runs = found;
    return OK;
}

/* False when nobody wants to know any more. */
static bool wait_a_while(struct job_watch *watch) {
    struct pollfd wake = {.fd = watch->wake[0], .events = POLLIN};
    char byte;
    return poll(&wake, 1, ASK_MS) <= 0 || read(watch->wake[0], &byte, 1) != 0;
}

static void *run(void *context) {
    struct job_watch *watch = context;
    while (wait_a_while(watch)) {
        bool runs = true;
        if (!failed(look(watch, &runs)) && !runs) {
            (void)!write(watch->ended[1], "", 1);
            break;
        }
    }
    /* Whoever left has closed these by now; else they do later. */
    while (wait_a_while(watch)) {
    }
    watch_free(watch);
    return NULL;
}

static err_t start_thread(struct job_watch *watch) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int failure = pthread_create(&watch->thread, NULL, run, watch);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? OK : err_from_errno(failure);
}

err_t job_watch_start(const char *site, const char *name, struct job_watch **out) {
    struct job_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *watch = (struct job_watch){.site = site != NULL ? strdup(site) : NULL,
                                .name = strdup(name),
                                .ended = {-1, -1},
                                .wake = {-1, -1}};
    err_t err = watch->name == NULL || (site != NULL && watch->site == NULL) ? FAIL(ERR_MEMORY)
                : pipe2(watch->ended, O_CLOEXEC) != 0 || pipe2(watch->wake, O_CLOEXEC) != 0
                    ? err_from_errno(errno)
                    : start_thread(watch);
    if (failed(err)) {
        watch_free(watch);
        return err;
    }
    *out = watch;
    return OK;
}

int job_watch_fd(const struct job_watch *watch) { return watch->ended[0]; }

void job_watch_ask(struct job_watch *watch) { (void)!write(watch->wake[1], "", 1); }

void job_watch_leave(struct job_watch *watch, bool wait) {
    if (watch == NULL) {
        return;
    }
    pthread_t thread = watch->thread;
    int wake = watch->wake[1];
    watch->wake[1] = -1; /* the thread frees the rest once it sees the end of this */
    (void)close(wake);
    if (wait) {
        (void)pthread_join(thread, NULL);
    } else {
        (void)pthread_detach(thread);
    }
}
