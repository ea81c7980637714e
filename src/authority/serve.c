/*
 * Start, requests, reload and stop.
 *
 * Order of the start: configuration, store and its lock, signer (a fork, so before any thread),
 * workers, listener. The stop takes them down the other way round: first no new requests, then
 * those under way to their end (STOP_MS at most), then the threads.
 */
#include "authority/serve.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/batch.h"
#include "authority/bearer.h"
#include "authority/gate_sessions.h"
#include "authority/host_reports.h"
#include "authority/issuer.h"
#include "authority/metrics.h"
#include "authority/plumbing.h"
#include "authority/rate.h"
#include "authority/routes.h"
#include "authority/routes/enrolment.h"
#include "authority/store_file.h"
#include "authority/tls_files.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/sanitised.h"
#include "net/notify.h"

enum {
    BATCH_CALLS_MAX = 512,
    STORE_QUEUE_MAX = 8192,
    MALLOC_TRIM_BYTES = 32 * 1024 * 1024,
    HASH_THREADS = 2,
    DESCRIPTORS_WANTED = 2 * LIMIT_HTTP_CONNECTIONS_COUNT,
    HASH_QUEUE_MAX = 256,
    ISSUER_THREADS = 4,
    ISSUER_QUEUE_MAX = 128,
    FAILED_BEARER_BUCKETS = 4096,
    FAILED_BEARER_BURST = 60,
    FAILED_BEARER_INTERVAL_MS = 1000,
    STOP_MS = 10 * 1000,
    STOP_LOOK_MS = 20,
    SWEEP_MS = 10 * 60 * 1000,
    TLS_LOOK_MS = 24 * 3600 * 1000,
    EVENTS_KEPT = 100 * 1000,
    JOB_LOOK_MS = 500,
    JOBS_KEPT_S = 30 * 24 * 3600, /* after their end */
    JOBS_PRUNED_AT_ONCE = 10 * 1000,
};

struct service {
    struct authority authority;
    int lock_fd;
    struct timer *watchdog, *sweep, *jobs, *tls, *stop;
    int64_t stop_deadline_ms;
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    (void)context;
    log_event(LOG_LEVEL_ERROR, "configuration", "where", complaint->where, "field",
              complaint->field, "reason", complaint->reason, NULL);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* For paths that no route has: the call is sent without being dispatched. */
static const struct route no_route = {.method = HTTP_GET, .path = "", .action = "none"};

static void refuse(struct call *call, unsigned status, const char *code, const char *message) {
    call->route = &no_route;
    call->route_index = METRICS_NO_ROUTE;
    call_problem(call, status, code, NULL, "%s", message);
    call_send(call);
}

static void on_request(void *context, struct http_request *request) {
    struct authority *authority = context;
    struct call *call;
    if (failed(call_begin(authority, request, &call))) {
        http_answer(request, 503, "text/plain", SPAN_LITERAL("out of memory\n"));
        return;
    }
    const char *path = http_request_path(request);
    size_t len = strlen(path);
    if (authority->stopping) {
        refuse(call, 503, "shutting_down", "the authority is shutting down; try again");
        return;
    }
    if (len >= sizeof call->path) {
        refuse(call, 404, "not_found", "there is nothing at this path");
        return;
    }
    memcpy(call->path, path, len + 1);
    struct route_match match = routes_find(http_request_method(request), call->path);
    if (match.route == NULL) {
        if (match.path_known) {
            refuse(call, 405, "method_not_allowed", "this path does not take this method");
        } else {
            refuse(call, 404, "not_found", "there is nothing at this path");
        }
        return;
    }
    call->route_index = match.index;
    call->path_count = match.count;
    for (size_t i = 0; i < match.count; i++) {
        call->path_names[i] = match.names[i];
        call->path_name_chars[i] = match.name_chars[i];
        call->path_values[i] = match.values[i];
    }
    call_dispatch(call, match.route);
}

/* ---- work of the store that are nobody's request ----------------------------------------- */

struct chore {
    struct work work;
    struct authority *authority;
    struct policy policy;
};

static void on_chore_done(struct work *work) { free(work); }

static void submit_chore(struct authority *authority, void (*run)(struct work *work),
                         const struct policy *policy) {
    struct chore *chore = calloc(1, sizeof *chore);
    if (chore == NULL) {
        return;
    }
    chore->work = (struct work){.run = run, .done = on_chore_done};
    chore->authority = authority;
    if (policy != NULL) {
        chore->policy = *policy;
    }
    if (failed(worker_submit(authority->store_worker, &chore->work))) {
        log_event(LOG_LEVEL_WARN, "chore_dropped", NULL);
        free(chore);
    }
}

static err_t sweep(struct store *store) {
    uint64_t newest, oldest;
    TRY(store_session_sweep(store, clock_now_s()));
    TRY(authorizations_sweep(store, clock_now_s()));
    TRY(store_answered_challenge_sweep(store, clock_now_s()));
    TRY(store_job_prune(store, clock_now_s() - JOBS_KEPT_S, JOBS_PRUNED_AT_ONCE));
    TRY(store_event_revision(store, &newest, &oldest));
    return newest - oldest + 1 > EVENTS_KEPT ? store_event_prune(store, newest - EVENTS_KEPT) : OK;
}

static void run_sweep(struct work *work) {
    struct authority *authority = ((struct chore *)work)->authority;
    if (!failed(authority->batch_err)) {
        authority->batch_err = sweep(authority->store);
    }
    err_t err = issuer_rotate_if_due(authority->issuer, clock_now_s());
    if (failed(err)) {
        log_error("issuer_key_not_kept", err, NULL);
    }
}

static void on_sweep(void *context) { submit_chore(context, run_sweep, NULL); }

static void on_job_look(void *context) {
    struct authority *authority = context;
    if (!authority->stopping) {
        job_expiry_tick(authority);
    }
}

static void warn_of_tls(void *context) {
    const struct config *config = ((struct authority *)context)->config;
    int64_t ends_at;
    char when[TIME_CHARS];
    if (tls_files_end_soon(config, clock_now_s(), &ends_at)) {
        time_print_utc(ends_at, when);
        log_event(LOG_LEVEL_WARN, "tls_certificate_ends", "path", config->tls_certificate, "time",
                  when, NULL);
    }
}

static void run_policy(struct work *work) {
    struct chore *chore = (struct chore *)work;
    chore->authority->policy = chore->policy;
}

/* ---- reload and stop --------------------------------------------------------------------- */

/* What a running authority can change: TLS files, policy, log level. */
static void on_reload(void *context) {
    struct service *service = context;
    struct authority *authority = &service->authority;
    struct config *config CLEANUP(config_freep) = NULL;
    struct fault fault = {.reason = ""};
    notify_send("RELOADING=1");
    if (!failed(config_load(authority->config->settings.path, on_complaint, NULL, &config))) {
        log_set_level(config->log_level);
        submit_chore(authority, run_policy, &config->policy);
    }
    err_t err = authority->config->tls_certificate != NULL
                    ? http_server_reload_tls(authority->server, &fault)
                    : OK;
    if (failed(err)) {
        log_error("tls_not_reloaded", err, "reason", fault.reason, NULL);
    }
    log_event(LOG_LEVEL_INFO, config != NULL ? "reloaded" : "reload_refused", NULL);
    notify_send("READY=1");
}

static void on_stop_look(void *context) {
    struct service *service = context;
    bool late = clock_monotonic_ms() >= service->stop_deadline_ms;
    if (service->authority.open_calls == 0 || late) {
        service->authority.late = late; /* what is queued fails at once */
        log_event(late ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "stopping", "drained",
                  late ? "no" : "yes", NULL);
        loop_stop(service->authority.loop);
    }
}

static void on_stop(void *context) {
    struct service *service = context;
    struct authority *authority = &service->authority;
    if (authority->stopping) {
        return;
    }
    notify_send("STOPPING=1");
    authority->stopping = true;
    http_server_drain(authority->server);
    feed_stop(authority->feed);
    service->stop_deadline_ms = clock_monotonic_ms() + STOP_MS;
    if (failed(
            timer_start(authority->loop, 0, STOP_LOOK_MS, on_stop_look, service, &service->stop))) {
        loop_stop(authority->loop);
    }
}

/* ---- start ------------------------------------------------------------------------------- */

static err_t open_store(struct service *service, struct fault *fault) {
    struct authority *authority = &service->authority;
    const char *path = authority->config->store_path;
    char lock[4096];
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    err_t err = file_lock(lock, 0, &service->lock_fd);
    if (failed(err)) {
        return fault_set(fault, err.code, "store.path", "%s: %s", path,
                         err.code == ERR_BUSY ? "another posternd is running on this store"
                                              : err_text(err));
    }
    err = store_open_sqlite(path, &authority->store);
    if (failed(err)) {
        return fault_set(fault, err.code, "store.path", "%s: %s", path,
                         err.code == ERR_UNSUPPORTED
                             ? "was written by a newer posternd; install that one"
                             : err_text(err));
    }
    return OK;
}

static err_t begin_feed(struct authority *authority, uint64_t *revision) {
    uint64_t oldest;
    TRY(feed_revision_start(authority));
    TRY(feed_publish_cas(authority, clock_now_s()));
    return store_event_revision(authority->store, revision, &oldest);
}

static err_t prepare_feed(struct authority *authority) {
    uint64_t revision;
    TRY(store_begin(authority->store));
    err_t err = begin_feed(authority, &revision);
    if (failed(err)) {
        store_rollback(authority->store);
        return err;
    }
    TRY(store_commit(authority->store));
    feed_revision_note(authority, revision);
    return OK;
}

/* What stands beside the store and not in it: store_file.h. */
static err_t open_secrets(struct authority *authority, struct fault *fault) {
    TRY(issuer_new(authority->config, clock_now_s(), &authority->issuer, fault));
    err_t err = store_file_secret(authority->config, STORE_FILE_CHALLENGES,
                                  authority->challenge_secret, sizeof authority->challenge_secret);
    return !failed(err)
               ? OK
               : fault_set(fault, err.code, "store.path", "%s.%s: %s",
                           authority->config->store_path, STORE_FILE_CHALLENGES, err_text(err));
}

static err_t make_parts(struct authority *authority) {
    uint8_t random[4];
    random_bytes(random, sizeof random);
    (void)snprintf(authority->request_prefix, sizeof authority->request_prefix, "%02x%02x%02x%02x",
                   random[0], random[1], random[2], random[3]);
    authority->policy = authority->config->policy;
    authority->serials.replica = authority->config->replica;
    TRY(bearer_cache_new(&authority->bearers));
    TRY(metrics_new(&authority->metrics));
    TRY(throttle_new(FAILED_BEARER_BUCKETS, FAILED_BEARER_BURST, FAILED_BEARER_INTERVAL_MS,
                     &authority->failed_bearers));
    TRY(rates_new(&authority->rates));
    TRY(host_reports_new(&authority->host_reports));
    TRY(gate_sessions_new(&authority->gate_sessions));
    TRY(enrolments_new(&authority->enrolments));
    TRY(login_guard_new(&authority->login_guard));
    return feed_new(authority, &authority->feed);
}

static err_t start_threads(struct authority *authority) {
    TRY(worker_new_batching(authority->loop, BATCH_CALLS_MAX, STORE_QUEUE_MAX, batch_before,
                            batch_after, authority, &authority->store_worker));
    TRY(worker_new(authority->loop, HASH_THREADS, HASH_QUEUE_MAX, &authority->hash_worker));
    return worker_new(authority->loop, ISSUER_THREADS, ISSUER_QUEUE_MAX, &authority->issuer_worker);
}

static err_t watch_signals(struct service *service) {
    struct loop *loop = service->authority.loop;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk, not the end */
    TRY(loop_on_signal(loop, SIGTERM, on_stop, service));
    TRY(loop_on_signal(loop, SIGINT, on_stop, service));
    return loop_on_signal(loop, SIGHUP, on_reload, service);
}

static err_t listen_at(struct authority *authority, struct fault *fault) {
    const struct config *config = authority->config;
    struct http_server_config server = {
        .address = config->listen_address,
        .port = config->listen_port,
        .tls_cert_file = config->tls_certificate,
        .tls_key_file = config->tls_key,
    };
    return http_server_start(authority->loop, &server, on_request, authority, &authority->server,
                             fault);
}

static err_t start(struct service *service, struct fault *fault) {
    struct authority *authority = &service->authority;
    const struct config *config = authority->config;
    TRY(open_store(service, fault));
    TRY(loop_new(&authority->loop));
    const struct signer_client_config signer = {.directory = config->signer_directory,
                                                .agent_socket = config->signer_agent};
    TRY(signer_client_start(authority->loop, &signer, &authority->signer, fault));
    TRY(open_secrets(authority, fault));
    TRY(make_parts(authority));
    TRY(prepare_feed(authority));
    TRY(watch_signals(service));
    TRY(start_threads(authority));
    TRY(listen_at(authority, fault));
    TRY(timer_start(authority->loop, SWEEP_MS, SWEEP_MS, on_sweep, authority, &service->sweep));
    TRY(timer_start(authority->loop, JOB_LOOK_MS, JOB_LOOK_MS, on_job_look, authority,
                    &service->jobs));
    TRY(timer_start(authority->loop, TLS_LOOK_MS, TLS_LOOK_MS, warn_of_tls, authority,
                    &service->tls));
    return notify_watchdog(authority->loop, &service->watchdog);
}

static void stop(struct service *service) {
    struct authority *authority = &service->authority;
    timer_stop(service->watchdog);
    timer_stop(service->sweep);
    timer_stop(service->jobs);
    timer_stop(service->tls);
    timer_stop(service->stop);
    if (authority->issuer_worker != NULL) {
        worker_free(authority->issuer_worker);
    }
    if (authority->hash_worker != NULL) {
        worker_free(authority->hash_worker);
    }
    if (authority->store_worker != NULL) {
        worker_free(authority->store_worker);
    }
    signer_client_free(authority->signer);
    if (authority->server != NULL) {
        http_server_free(authority->server);
    }
    feed_free(authority->feed);
    issuer_free(authority->issuer);
    login_guard_free(authority->login_guard);
    enrolments_free(authority->enrolments);
    throttle_free(authority->failed_bearers);
    rates_free(authority->rates);
    host_reports_free(authority->host_reports);
    gate_sessions_free(authority->gate_sessions);
    metrics_free(authority->metrics);
    bearer_cache_free(authority->bearers);
    call_free_all(authority);
    store_close(authority->store);
    loop_free(authority->loop);
    fd_closep(&service->lock_fd);
    config_free(authority->config);
}

static void log_started(const struct authority *authority) {
    char port[8], pid[16];
    (void)snprintf(port, sizeof port, "%u", http_server_port(authority->server));
    (void)snprintf(pid, sizeof pid, "%d", signer_client_pid(authority->signer));
    log_event(LOG_LEVEL_INFO, "started", "version", POSTERN_VERSION, "address",
              authority->config->listen_address, "port", port, "url", authority->config->public_url,
              "signer_pid", pid, NULL);
}

/* A shell gives a program 1,024 descriptors, and more for the asking; connections need more. */
static void raise_descriptors(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < DESCRIPTORS_WANTED) {
        files.rlim_cur = files.rlim_max < DESCRIPTORS_WANTED ? files.rlim_max : DESCRIPTORS_WANTED;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* fewer connections are no reason not to start */
    }
}

int serve_main(const char *config_path) {
    /* OpenSSL takes and gives back its buffers with every record (tls.c); at each of them malloc
     * would go through all of its fast bins, and return memory that is wanted again at once. */
    (void)mallopt(M_MXFAST, 0);
    (void)mallopt(M_TRIM_THRESHOLD, MALLOC_TRIM_BYTES);
    struct service service = {.lock_fd = -1};
    struct fault fault = {.reason = ""};
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core); /* tokens are in memory */
    raise_descriptors();
    if (!SANITISED) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* nor a debugger; LeakSanitizer is one */
    }
    if (failed(config_load(config_path, on_complaint, NULL, &service.authority.config)) ||
        failed(config_check_files(service.authority.config, CONFIG_WITHOUT_KEYS, on_complaint,
                                  NULL))) {
        config_free(service.authority.config);
        return 2;
    }
    log_set_level(service.authority.config->log_level);
    err_t err = start(&service, &fault);
    if (failed(err)) {
        log_error("not_started", err, "field", fault.field, "reason", fault.reason, NULL);
    } else {
        log_started(&service.authority);
        warn_of_tls(&service.authority);
        notify_send("READY=1");
        err = loop_run(service.authority.loop);
    }
    stop(&service);
    return failed(err) ? 1 : 0;
}
