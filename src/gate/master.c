/*
 * The master's life: start, signals, the end.
 *
 *   SIGHUP    configuration and host certificates anew, for sessions that begin from then on
 *   SIGTERM   accept nobody any more, end with the last session, or at times.drain
 *   SIGINT, or a second SIGTERM   end now
 *   SIGUSR2   hand over to the program as it is on disk now
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "gate/master.h"
#include "gate/process.h"
#include "net/notify.h"

enum {
    CERTIFICATES_LOOK_MS = 60 * 1000,
    STOP_MS = 5 * 1000, /* for the relay to say goodbye */
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    (void)context;
    log_event(LOG_LEVEL_ERROR, "configuration", "where", complaint->where, "field",
              complaint->field, "reason", complaint->reason, NULL);
}

/* ---- the end --------------------------------------------------------------------------------- */

void master_end(struct master *master, int status) {
    master->exit_status = status;
    loop_stop(master->loop);
}

static void on_too_late(void *context) {
    struct master *master = context;
    log_event(LOG_LEVEL_ERROR, "relay_killed", "reason", "it did not stop", NULL);
    if (master->relay != 0) {
        (void)kill(master->relay, SIGKILL);
    }
    master_end(master, 1);
}

static void set_deadline(struct master *master, int64_t delay_s, void (*call)(void *context)) {
    timer_stop(TAKE(master->deadline));
    int delay_ms = delay_s < INT_MAX / 1000 ? (int)delay_s * 1000 : INT_MAX;
    ignore_err(timer_start(master->loop, delay_ms, 0, call, master, &master->deadline));
}

static void stop_now(struct master *master, const char *text) {
    if (master->relay == 0) {
        master_end(master, 0);
        return;
    }
    master->state = MASTER_STOPPING;
    set_tell(master, CONTROL_STOP, text);
    set_deadline(master, STOP_MS / 1000, on_too_late);
}

static void on_drained_too_long(void *context) {
    struct master *master = context;
    log_event(LOG_LEVEL_WARN, "drain_limit", NULL);
    stop_now(master, "this gate is being stopped; connect again");
}

static void close_listeners(struct master *master) {
    while (master->listener_count > 0) {
        fd_closep(&master->listeners[--master->listener_count]);
    }
}

void master_drain(struct master *master, int64_t limit_s) {
    if (master->state < MASTER_DRAINING) {
        log_event(LOG_LEVEL_INFO, "draining", NULL);
        master->state = MASTER_DRAINING;
        close_listeners(master);
        set_tell(master, CONTROL_DRAIN, NULL);
    }
    if (master->relay == 0) {
        master_end(master, 0);
    } else if (limit_s > 0) {
        set_deadline(master, limit_s, on_drained_too_long);
    }
}

static void on_int(void *context) {
    struct master *master = context;
    notify_send("STOPPING=1");
    stop_now(master, "this gate is being stopped");
}

static void on_term(void *context) {
    struct master *master = context;
    if (master->terminated || master->state == MASTER_STARTING) {
        on_int(master);
        return;
    }
    /* One that has handed over drains without a limit; now it gets one. */
    master->terminated = true;
    notify_send("STOPPING=1");
    master_drain(master, master->config.drain_s);
}

/* ---- configuration --------------------------------------------------------------------------- */

static err_t load_config(const char *path, struct gate_config *config, struct buf *text) {
    TRY(gate_config_load(path, on_complaint, NULL, config));
    err_t err = file_read(config->settings.path, text);
    if (failed(err)) {
        gate_config_done(config);
    }
    return err;
}

static bool text_equal(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_listeners(const struct gate_config *a, const struct gate_config *b) {
    bool same = a->listen_count == b->listen_count;
    for (size_t i = 0; same && i < a->listen_count; i++) {
        same = text_equal(a->listen[i], b->listen[i]);
    }
    return same;
}

/* What only a new master can do. */
static void warn_of_unchanged(const struct gate_config *before, const struct gate_config *now) {
    const char *field = !same_listeners(before, now) ? "listen"
                        : !text_equal(before->metrics_listen, now->metrics_listen)
                            ? "metrics_listen"
                        : !text_equal(before->user, now->user)     ? "user"
                        : before->workers != now->workers          ? "workers"
                        : before->sessions_max < now->sessions_max ? "limits.sessions"
                                                                   : NULL;
    if (field != NULL) {
        log_event(LOG_LEVEL_WARN, "hand_over_needed", "field", field, "reason",
                  "a reload does not change it; send SIGUSR2, or restart", NULL);
    }
}

static void refuse_reload(struct master *master, const char *reason) {
    log_event(LOG_LEVEL_ERROR, "reload_refused", "reason", reason, NULL);
    master->reloading = false;
    notify_send("READY=1");
}

/* The new configuration takes its place, and the old one comes back when the keys cannot be had. */
static void take_config(struct master *master, struct gate_config *config, struct buf *text) {
    struct gate_config before = master->config;
    struct fault fault = {.reason = ""};
    bool sent = false;
    master->config = *config;
    err_t err = set_keys_changed(master) ? set_renew_keys(master, &fault) : OK;
    if (failed(err)) {
        *config = master->config;
        master->config = before;
        refuse_reload(master, fault.reason);
        return;
    }
    warn_of_unchanged(&before, &master->config);
    *config = before; /* the caller's to free */
    struct buf text_before = master->config_text;
    master->config_text = *text;
    *text = text_before;
    if (failed(set_send_setup(master, &sent))) {
        refuse_reload(master, "the relay takes no orders");
    } else if (!sent) {
        log_event(LOG_LEVEL_INFO, "reloaded", "changed", "nothing", NULL);
        master->reloading = false;
        notify_send("READY=1");
    }
}

static void on_reload(void *context) {
    struct master *master = context;
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    char state[64];
    if (master->state != MASTER_RUNNING || master->relay == 0) {
        log_event(LOG_LEVEL_WARN, "reload_refused", "reason", "not running", NULL);
        return;
    }
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)clock_monotonic_ms() * 1000);
    notify_send(state);
    master->reloading = true;
    if (failed(load_config(master->config_path, &config, &text))) {
        refuse_reload(master, "the configuration is not good; the one before stays");
        return;
    }
    take_config(master, &config, &text);
}

/* postern-host renews them; what is new is shown without being told. */
static void on_certificates(void *context) {
    struct master *master = context;
    bool sent = false;
    if (master->relay != 0 && master->state == MASTER_RUNNING && !master->reloading &&
        !failed(set_send_setup(master, &sent)) && sent) {
        log_event(LOG_LEVEL_INFO, "host_certificates_changed", NULL);
    }
}

/* ---- the relay and the others ---------------------------------------------------------------- */

static void log_started(const struct master *master) {
    char workers[16], relay[16];
    (void)snprintf(workers, sizeof workers, "%zu", master->workers);
    (void)snprintf(relay, sizeof relay, "%d", master->relay);
    log_event(LOG_LEVEL_INFO, "started", "version", POSTERN_VERSION, "listen",
              master->config.listen[0], "workers", workers, "relay_pid", relay, NULL);
}

static void on_relay_ready(struct master *master) {
    if (master->reloading) {
        log_event(LOG_LEVEL_INFO, "reloaded", NULL);
        master->reloading = false;
    } else if (master->state == MASTER_STARTING) {
        master->state = MASTER_RUNNING;
        log_started(master);
        hand_over_ready(master);
    }
    notify_send("READY=1");
}

void master_on_frame(struct master *master, const struct control_frame *frame) {
    char reason[512];
    switch ((unsigned)frame->type) {
    case CONTROL_READY:
        on_relay_ready(master);
        break;
    case CONTROL_FEED_ENDED:
        feed_link_ended(master);
        break;
    case CONTROL_SETUP_REFUSED:
        (void)snprintf(reason, sizeof reason, "%.*s", (int)frame->body.len, frame->body.data);
        refuse_reload(master, reason);
        break;
    default:
        set_tell(master, CONTROL_STOP, "internal error");
        break;
    }
}

/* The relay's end is told first: that of the others may follow from it. */
static void on_child(void *context) {
    struct master *master = context;
    int status;
    pid_t relay = master->relay;
    if (relay != 0 && waitpid(relay, &status, WNOHANG) == relay) {
        set_on_death(master, relay, status);
    }
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (!hand_over_on_death(master, pid, status)) {
            set_on_death(master, pid, status);
        }
    }
}

static void on_hand_over(void *context) { hand_over_begin(context); }

/* ---- start ----------------------------------------------------------------------------------- */

static err_t watch_signals(struct master *master) {
    (void)signal(SIGPIPE, SIG_IGN);
    TRY(loop_on_signal(master->loop, SIGTERM, on_term, master));
    TRY(loop_on_signal(master->loop, SIGINT, on_int, master));
    TRY(loop_on_signal(master->loop, SIGHUP, on_reload, master));
    TRY(loop_on_signal(master->loop, SIGUSR2, on_hand_over, master));
    return loop_on_signal(master->loop, SIGCHLD, on_child, master);
}

static err_t open_one(struct listen_inherited *inherited, const char *text, int *out,
                      struct fault *fault) {
    struct listen_address address;
    TRY(listen_parse(text, &address));
    int fd = listen_take(inherited, &address);
    if (fd < 0) {
        return listen_open(&address, text, out, fault);
    }
    *out = fd;
    return OK;
}

/* The default is all addresses of both kinds, of which a machine may have only one. */
static err_t open_listeners(struct master *master, struct listen_inherited *inherited,
                            struct fault *fault) {
    const struct gate_config *config = &master->config;
    bool chosen = settings_is_set(&config->settings, "listen");
    for (size_t i = 0; i < config->listen_count; i++) {
        int fd;
        err_t err = open_one(inherited, config->listen[i], &fd, fault);
        if (failed(err) && !chosen && i > 0 && err.code != ERR_BUSY) {
            log_event(LOG_LEVEL_WARN, "not_listening", "reason", fault->reason, NULL);
            continue;
        }
        TRY(err);
        master->listeners[master->listener_count++] = fd;
    }
    return config->metrics_listen != NULL
               ? open_one(inherited, config->metrics_listen, &master->metrics, fault)
               : OK;
}

static err_t find_user(struct master *master, struct fault *fault) {
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (uid == 0) {
        const struct passwd *user = getpwnam(master->config.user);
        if (user == NULL) {
            return fault_set(fault, ERR_NOT_FOUND, "user", "there is no such user");
        }
        uid = user->pw_uid;
        gid = user->pw_gid;
    }
    (void)snprintf(master->uid, sizeof master->uid, "%u", uid);
    (void)snprintf(master->gid, sizeof master->gid, "%u", gid);
    return OK;
}

static size_t processors(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > GATE_WORKERS_MAX ? GATE_WORKERS_MAX : (size_t)count;
}

/* What to run at a hand-over: what argv[0] leads to then, so that a new program takes its place. */
static err_t find_program(const char *program, char **out) {
    char path[PATH_MAX];
    if (program[0] == '/') {
        (void)snprintf(path, sizeof path, "%s", program);
    } else if (strchr(program, '/') != NULL) {
        char *folder CLEANUP(freep) = getcwd(NULL, 0);
        return folder != NULL ? path_join(folder, program, out) : err_from_errno(errno);
    } else {
        ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
        if (len < 0) {
            return err_from_errno(errno);
        }
        path[len] = '\0';
    }
    *out = strdup(path);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

static err_t start(struct master *master, const char *program, struct fault *fault) {
    struct listen_inherited inherited;
    hand_over_inherit(master);
    listen_inherit(&inherited);
    TRY(find_program(program, &master->program));
    TRY(find_user(master, fault));
    master->workers = master->config.workers != 0 ? master->config.workers : processors();
    TRY(process_raise_descriptors(master->config.sessions_max, fault));
    TRY(open_listeners(master, &inherited, fault));
    listen_inherited_done(&inherited);
    TRY(loop_new(&master->loop));
    TRY(watch_signals(master));
    TRY(timer_start(master->loop, 0, CERTIFICATES_LOOK_MS, on_certificates, master,
                    &master->certificates));
    return set_start(master, fault);
}

static void stop(struct master *master) {
    timer_stop(master->repair);
    timer_stop(master->deadline);
    timer_stop(master->certificates);
    if (master->loop != NULL) {
        set_done(master);
    }
    hand_over_done(master);
    loop_free(master->loop);
    close_listeners(master);
    fd_closep(&master->metrics);
    gate_config_done(&master->config);
    buf_done(&master->config_text);
    free(master->program);
}

int master_main(const char *program, const char *config_path) {
    struct master master = {.config_path = config_path,
                            .metrics = -1,
                            .shared_fd = -1,
                            .control = {.fd = -1},
                            .successor_fd = -1,
                            .predecessor_fd = -1};
    struct fault fault = {.reason = ""};
    buf_init(&master.config_text, LIMIT_CONFIG_FILE_BYTES);
    buf_init(&master.setup_sent, CONTROL_BODY_BYTES_MAX);
    if (failed(load_config(config_path, &master.config, &master.config_text))) {
        stop(&master);
        return 2;
    }
    err_t err = start(&master, program, &fault);
    if (!failed(err)) {
        err = loop_run(master.loop);
    } else {
        log_error("not_started", err, "field", fault.field, "reason", fault.reason, NULL);
    }
    stop(&master);
    return failed(err) ? 1 : master.exit_status;
}
