/*
 * `postern-host sync`: follows the authority's feed. One connection, one answer at a time; between
 * answers it does what time asks for (renewal, pruning). A stop by signal at any moment loses
 * nothing: see sync_apply.c. Other threads tell the answers on, carry what gates and users ask, and
 * end sessions: see publisher.c, uplink_server.c, job_server.h and sessions.c.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "host/host.h"
#include "host/jobs/job_server.h"
#include "host/sessions/session_record.h"
#include "host/sessions/sessions.h"
#include "host/sync_host.h"
#include "net/notify.h"

#define FEED_PATH "/api/v1/feed"
/* What administrators see of this host. */
#define REPORT "version=" POSTERN_VERSION "&sessions=%zu"

enum {
    POLL_TIMEOUT_MS = (LIMIT_HTTP_LONG_POLL_S + 20) * 1000,
    CHORES_INTERVAL_MS = 10 * 60 * 1000,
    LOCK_WAIT_MS = 5000,
};

struct sync {
    struct config config;
    struct identity identity;
    struct replica *replica;
    struct http_client *client;
    struct http_response response;
    struct publisher *publisher;  /* NULL: nobody is told */
    struct uplink_server *uplink; /* NULL: nobody can ask */
    struct sessions *sessions;    /* NULL: none is ended */
    struct job_server *jobs;      /* NULL: this is no frontend */
    bool jobs_failed;             /* logged once */
    int lock;
    unsigned failures;          /* in a row */
    int64_t chores_at_ms;       /* monotonic */
    bool renewal_failed;        /* logged once, not at each attempt */
    int64_t reload_tried_ms;    /* reload_due_ms() when it was last tried */
    int64_t reload_retry_at_ms; /* monotonic */
};

static void sync_done(struct sync *sync) {
    publisher_free(sync->publisher);
    uplink_server_free(sync->uplink);
    sessions_free(sync->sessions);
    job_server_free(sync->jobs);
    http_response_done(&sync->response);
    http_client_free(sync->client);
    replica_close(sync->replica);
    identity_done(&sync->identity);
    config_done(&sync->config);
    fd_closep(&sync->lock);
}

static err_t open_replica(struct sync *sync, struct fault *fault) {
    char *path CLEANUP(freep) = NULL;
    char *lock CLEANUP(freep) = NULL;
    TRY(path_join(sync->config.state_dir, HOST_REPLICA_FILE, &path));
    TRY(path_join(sync->config.state_dir, "sync.lock", &lock));
    err_t err = file_lock(lock, LOCK_WAIT_MS, &sync->lock);
    if (failed(err)) {
        return fault_set(fault, err.code, lock, "another postern-host sync is at work");
    }
    bool emptied = false;
    err = replica_open_write(path, sync->config.command_group, &sync->replica);
    if (!failed(err)) {
        err = replica_claim(sync->replica, sync->identity.url, &emptied);
    }
    if (emptied) {
        log_event(LOG_LEVEL_WARN, "replica_emptied", "reason",
                  "it was of another site; nobody gets in until the authority has told its own",
                  "url", sync->identity.url, NULL);
    }
    return failed(err) ? fault_set(fault, err.code, path, "%s", replica_error_text(err)) : OK;
}

static err_t make_session_dirs(struct sync *sync, struct fault *fault) {
    err_t err = session_record_make_dirs(&sync->config);
    return failed(err) ? fault_set(fault, err.code, sync->config.state_dir,
                                   "cannot make the directories of sessions: %s", err_text(err))
                       : OK;
}

static err_t sync_open(const char *config, const char *state, struct sync *sync,
                       struct fault *fault) {
    struct replica_self self = {0};
    TRY(command_config(config, state, &sync->config, fault));
    TRY(identity_load(sync->config.state_dir, &sync->identity, fault));
    TRY(open_replica(sync, fault));
    TRY(make_session_dirs(sync, fault));
    (void)snprintf(self.name, sizeof self.name, "%s", sync->identity.name);
    self.best_effort = sync->config.best_effort;
    self.max_age_s = sync->config.max_age_s;
    TRY(replica_self_put(sync->replica, &self));
    err_t err = sync_repair(sync->config.state_dir, sync->replica, clock_now_s());
    if (failed(err)) {
        return fault_set(fault, err.code, sync->config.state_dir, "cannot write sshd's files: %s",
                         err_text(err));
    }
    return identity_client(&sync->identity, &sync->client, fault);
}

static err_t tell_and_apply(struct sync *sync, const struct change_answer *answer, uint64_t since) {
    int64_t now = clock_now_s();
    if (!answer->snapshot && answer->revision < since) {
        return FAIL(ERR_ORDER); /* as the replica will say; so nobody is told */
    }
    publisher_begin(sync->publisher, answer, now);
    err_t err = sync_apply(sync->config.state_dir, sync->replica, answer, now);
    publisher_end(sync->publisher);
    return err;
}

/* The authority makes the next page while this one is read and applied. What its head says of the
 * next is a hint: should the page itself say otherwise, the call for that asks anew. */
static void ask_next(struct sync *sync) {
    char path[sizeof FEED_PATH + sizeof sync->response.next_query];
    if (sync->response.next_query[0] != '\0') {
        (void)snprintf(path, sizeof path, FEED_PATH "%s", sync->response.next_query);
        http_client_ask(sync->client, path, POLL_TIMEOUT_MS);
    }
}

/* One answer of the feed. */
static err_t fetch(struct sync *sync, const char *path, struct change_answer **out,
                   struct fault *fault) {
    TRY(http_client_call(sync->client, HTTP_GET, path, span_of(NULL, 0), POLL_TIMEOUT_MS,
                         &sync->response, fault));
    if (sync->response.status != 200) {
        return answer_problem(&sync->response, fault);
    }
    ask_next(sync);
    return change_answer_decode(buf_span(&sync->response.body), out, fault);
}

/* Where the page that follows is. */
static err_t next_path(const struct change_answer *page, uint64_t snapshot, char *path, size_t size,
                       struct fault *fault) {
    if (page->next[0] == '\0') {
        return fault_set(fault, ERR_MALFORMED, "next", "is missing");
    }
    (void)snprintf(path, size, FEED_PATH "?snapshot=%llu&after=%s", (unsigned long long)snapshot,
                   page->next);
    return OK;
}

/* Applies a page of the snapshot that began at that revision, and puts the next one in its place.
 */
static err_t take_page(struct sync *sync, uint64_t snapshot, struct change_answer **page,
                       struct fault *fault) {
    char path[64 + LIMIT_FEED_CURSOR_CHARS];
    TRY(next_path(*page, snapshot, path, sizeof path, fault));
    http_client_ask(sync->client, path, POLL_TIMEOUT_MS); /* unless its head said so already */
    err_t err = sync_apply(sync->config.state_dir, sync->replica, *page, clock_now_s());
    if (failed(err)) {
        return fault_set(fault, err.code, "", "cannot apply a page: %s", err_text(err));
    }
    change_answer_freep(page);
    TRY(fetch(sync, path, page, fault));
    return (*page)->continues
               ? OK
               : fault_set(fault, ERR_ORDER, "snapshot", "does not continue the one that began");
}

/* Applies all the pages of a snapshot but the last, which takes the place of the first in *page;
 * *count is how many changes they had. */
static err_t take_pages(struct sync *sync, struct change_answer **page, size_t *count,
                        struct fault *fault) {
    uint64_t snapshot = (*page)->revision;
    for (size_t pages = 1; (*page)->more; pages++) {
        if (pages == LIMIT_FEED_PAGES_COUNT) {
            return fault_set(fault, ERR_TOO_LONG, "", "the snapshot does not end");
        }
        *count += (*page)->count;
        TRY(take_page(sync, snapshot, page, fault));
    }
    return OK;
}

static void tell_log(const struct change_answer *answer, size_t count) {
    char revision[24];
    char changes[24];
    (void)snprintf(revision, sizeof revision, "%llu", (unsigned long long)answer->revision);
    (void)snprintf(changes, sizeof changes, "%zu", count);
    log_event(LOG_LEVEL_INFO, answer->snapshot ? "feed_snapshot" : "feed_changes", "revision",
              revision, "changes", changes, NULL);
}

/* What the feed answers, taken in whole. whole: a snapshot, at once, instead of waiting for news.
 */
static err_t poll_once(struct sync *sync, bool whole, struct fault *fault) {
    char path[128];
    uint64_t since = 0;
    size_t count = 0;
    bool needs = false;
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    TRY(replica_revision(sync->replica, &since));
    TRY(replica_needs_snapshot(sync->replica, clock_now_s(), &needs));
    if (whole || needs) {
        (void)snprintf(path, sizeof path, FEED_PATH "?" REPORT, sessions_count(sync->sessions));
    } else {
        (void)snprintf(path, sizeof path, FEED_PATH "?since=%llu&" REPORT,
                       (unsigned long long)since, sessions_count(sync->sessions));
    }
    TRY(fetch(sync, path, &answer, fault));
    err_t err = take_pages(sync, &answer, &count, fault);
    if (failed(err)) {
        replica_rollback(sync->replica);
        return err;
    }
    err = tell_and_apply(sync, answer, since);
    if (failed(err)) {
        return fault_set(fault, err.code, "", "cannot apply the answer: %s", err_text(err));
    }
    if (answer->snapshot || answer->count > 0) {
        sessions_judge(sync->sessions);
        tell_log(answer, count + answer->count);
    }
    return OK;
}

static void renew_if_due(struct sync *sync) {
    int64_t renew_at = 0;
    int64_t ends_at = 0;
    certificates_due(&sync->config, &renew_at, &ends_at);
    if (sync->config.host_key_count == 0 || clock_now_s() < renew_at) {
        return;
    }
    struct fault fault = {0};
    err_t err = certificates_renew(&sync->config, sync->client, &fault);
    if (!failed(err)) {
        log_event(LOG_LEVEL_INFO, "host_certificates_renewed", NULL);
    } else if (!sync->renewal_failed) {
        log_error("host_certificates_not_renewed", err, "field", fault.field, "reason",
                  fault.reason, NULL);
    }
    sync->renewal_failed = failed(err);
}

static err_t run_reload_command(const struct config *config, struct fault *fault) {
    const char *words[CONFIG_RELOAD_WORDS_MAX + 1] = {NULL};
    memcpy(words, config->reload_command, config->reload_word_count * sizeof words[0]);
    TRY(reload_run(words, LIMIT_RELOAD_S * 1000, fault));
    return reload_unmark(config->state_dir);
}

/* A reload that fails is tried again with the chores, and at the next change. */
static void reload_if_due(struct sync *sync) {
    int64_t due_ms = reload_due_ms(sync->config.state_dir);
    int64_t now = clock_monotonic_ms();
    bool news = due_ms != sync->reload_tried_ms;
    if (due_ms == 0 || (!news && now < sync->reload_retry_at_ms)) {
        return;
    }
    sync->reload_tried_ms = due_ms;
    sync->reload_retry_at_ms = now + CHORES_INTERVAL_MS;
    struct fault fault = {0};
    if (sync->config.reload_word_count > 0) {
        err_t err = run_reload_command(&sync->config, &fault);
        if (failed(err)) {
            log_error("sshd_not_reloaded", err, "command", fault.field, "reason", fault.reason,
                      NULL);
        } else {
            log_event(LOG_LEVEL_INFO, "sshd_reloaded", NULL);
        }
    } else if (news) {
        log_event(LOG_LEVEL_WARN, "sshd_reload_by_hand", "reason",
                  "destinations or host certificates have changed and no reload_command is set",
                  NULL);
    }
}

static void do_chores(struct sync *sync) {
    int64_t now = clock_monotonic_ms();
    if (now < sync->chores_at_ms) {
        return;
    }
    sync->chores_at_ms = now + CHORES_INTERVAL_MS;
    renew_if_due(sync);
    err_t err = sync_repair(sync->config.state_dir, sync->replica, clock_now_s());
    if (failed(err)) {
        log_error("sshd_files_not_written", err, "state", sync->config.state_dir, NULL);
    }
}

static void wait_after_failure(struct sync *sync) {
    int delay_ms = sync_backoff_ms(sync->failures++, random_u64());
    if (sync->response.retry_after_s > 0 && sync->response.retry_after_s * 1000 > delay_ms &&
        sync->response.retry_after_s <= BACKOFF_MAX_MS / 1000) {
        delay_ms = sync->response.retry_after_s * 1000;
    }
    struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000L};
    (void)nanosleep(&delay, NULL);
}

/* Logins of this machine do not depend on them, so they are no reason to follow nobody. */
static void serve_gates(struct sync *sync) {
    struct fault fault = {0};
    err_t err = publisher_start(&sync->config, &sync->publisher, &fault);
    if (failed(err)) {
        log_error("feed_not_served", err, "socket", fault.field, NULL);
    }
    err = uplink_server_start(&sync->config, &sync->identity, &sync->uplink, &fault);
    if (failed(err)) {
        log_error("uplink_not_served", err, "socket", fault.field, "reason", fault.reason, NULL);
    }
}

static void follow_sessions(struct sync *sync) {
    struct fault fault = {0};
    err_t err = sessions_start(&sync->config, &sync->sessions, &fault);
    if (failed(err)) {
        log_error("sessions_not_followed", err, "state", fault.field, "reason", fault.reason, NULL);
    }
}

/* On a frontend, which the authority may make of this host at any time. */
static void serve_users(struct sync *sync) {
    enum host_role role;
    struct fault fault = {0};
    err_t err = replica_role(sync->replica, &role);
    if (failed(err) || role != HOST_LOGIN) {
        return;
    }
    err = job_server_write_known_hosts(&sync->config, sync->replica);
    if (!failed(err) && sync->jobs == NULL) {
        err = job_server_start(&sync->config, &sync->identity, &sync->jobs, &fault);
    }
    if (failed(err) && !sync->jobs_failed) {
        log_error("jobs_not_served", err, "socket", sync->config.job_socket, NULL);
    }
    sync->jobs_failed = failed(err);
}

static err_t drop_jobs(struct replica *replica, bool *dropped) {
    TRY(replica_begin(replica));
    TRY(replica_drop_jobs(replica, dropped));
    return replica_commit(replica);
}

/* A job's own machine is removed with its job, and then hears nothing of its end but this: that it
 * is not known any more. */
static void leave_if_removed(struct sync *sync, err_t why, const struct fault *fault) {
    enum host_role role;
    bool dropped = false;
    if (why.code != ERR_REFUSED || strcmp(fault->field, "not_logged_in") != 0 ||
        failed(replica_role(sync->replica, &role)) || role != HOST_JOB) {
        return;
    }
    err_t err = drop_jobs(sync->replica, &dropped);
    if (failed(err)) {
        replica_rollback(sync->replica);
        log_error("jobs_not_ended", err, NULL);
    } else if (dropped) {
        log_event(LOG_LEVEL_INFO, "host_removed", "reason", "the job of this machine has ended",
                  NULL);
        sessions_judge(sync->sessions);
    }
}

static _Noreturn void follow(struct sync *sync) {
    serve_gates(sync);
    follow_sessions(sync);
    serve_users(sync);
    notify_send("READY=1\nSTATUS=following the authority");
    renew_if_due(sync); /* the first answer may take as long as nothing happens */
    for (;;) {
        struct fault fault = {0};
        reload_if_due(sync);
        err_t err = poll_once(sync, false, &fault);
        if (!failed(err)) {
            if (sync->failures > 0) {
                log_event(LOG_LEVEL_INFO, "authority_back", "url", sync->identity.url, NULL);
            }
            sync->failures = 0;
            serve_users(sync);
            do_chores(sync);
            continue;
        }
        leave_if_removed(sync, err, &fault);
        /* The first failure and then every eighth: an authority that is away is no news. */
        if (sync->failures % 8 == 0) {
            log_error("feed_failed", err, "url", sync->identity.url, "field", fault.field, "reason",
                      fault.reason, NULL);
        }
        wait_after_failure(sync);
    }
}

const char sync_usage[] = "usage: postern-host sync [--once] [--config FILE] [--state DIR]\n";

int command_sync(int argc, char **argv) {
    struct command_options options;
    if (!command_read_options(argc, argv, "once", sync_usage, &options)) {
        return HOST_EXIT_USAGE;
    }
    struct sync sync CLEANUP(sync_done) = {.lock = -1};
    struct fault fault = {0};
    http_response_init(&sync.response);
    err_t err = sync_open(options.config, options.state, &sync, &fault);
    if (!failed(err) && !options.flag) {
        follow(&sync);
    }
    if (!failed(err)) {
        err = poll_once(&sync, true, &fault);
    }
    if (failed(err)) {
        return command_failed("sync", err, &fault);
    }
    renew_if_due(&sync);
    reload_if_due(&sync);
    return HOST_EXIT_OK;
}
