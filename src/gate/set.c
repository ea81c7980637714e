/* Starting the other processes, and starting them again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "gate/host_cert.h"
#include "gate/keys.h"
#include "gate/master.h"
#include "gate/process.h"

enum {
    REPORT_MS = 10 * 1000, /* for keys to load its files */
    LIVED_MS = 10 * 1000,  /* who lived shorter is started again only after … */
    PATIENCE_MS = 1000,
    FRAMES_AT_ONCE = 64, /* a relay that is well says a few in its life; others are not heard out */
};

static const char self[] = "/proc/self/exe";

/* ---- descriptors ----------------------------------------------------------------------------- */

struct fd_list {
    int fds[GATE_WORKERS_MAX + 2];
    size_t count;
};

static void fd_list_done(struct fd_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        fd_closep(&list->fds[i]);
    }
    list->count = 0;
}

/* A socket for each worker: the relay's ends, and the other's. */
static err_t make_sockets(size_t workers, struct fd_list *relay, struct fd_list *other) {
    for (size_t i = 0; i < workers; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
            return err_from_errno(errno);
        }
        relay->fds[relay->count++] = pair[0];
        other->fds[other->count++] = pair[1];
        /* The relay waits for nobody; the others do as they like with their ends. */
        if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
            return err_from_errno(errno);
        }
    }
    return OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static err_t read_report(int fd, struct buf *out) {
    int64_t deadline_ms = clock_monotonic_ms() + REPORT_MS;
    for (;;) {
        uint8_t *place;
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = left_ms > 0 ? poll(&ready, 1, (int)left_ms) : 0;
        if (count == 0) {
            return FAIL(ERR_TIMEOUT);
        }
        if (count < 0) {
            continue; /* a signal */
        }
        size_t before = out->len;
        TRY(buf_extend(out, 4096, &place));
        ssize_t got = read(fd, place, 4096);
        out->len = before + (got > 0 ? (size_t)got : 0);
        if (got <= 0) {
            return got == 0 ? OK : err_from_errno(errno);
        }
    }
}

static struct file_mark mark_of(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        return (struct file_mark){.size = -1};
    }
    return (struct file_mark){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

static bool mark_equal(const struct file_mark *a, const struct file_mark *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

bool set_keys_changed(const struct master *master) {
    bool changed = master->config.host_key_count != master->host_key_count;
    for (size_t i = 0; !changed && i < master->host_key_count; i++) {
        struct file_mark mark = mark_of(master->config.host_keys[i]);
        changed = !mark_equal(&mark, &master->key_marks[i]);
    }
    return changed;
}

static void forget_keys(struct master *master) {
    while (master->host_key_count > 0) {
        key_freep(&master->host_keys[--master->host_key_count]);
    }
}

static err_t spawn_keys(struct master *master, struct fd_list *fds, pid_t *pid) {
    const char *argv[5 + GATE_HOST_KEYS_MAX] = {"postern-gate-keys", "keys", master->uid,
                                                master->gid};
    char workers[16];
    size_t count = 4;
    (void)snprintf(workers, sizeof workers, "%zu", master->workers);
    argv[count++] = workers;
    for (size_t i = 0; i < master->config.host_key_count; i++) {
        argv[count + i] = master->config.host_keys[i];
    }
    return process_spawn(&(struct process_start){self, argv, fds->fds, fds->count}, pid);
}

/* Starts it and learns which keys it has. */
static err_t start_keys(struct master *master, struct fd_list *relay_ends, struct fault *fault) {
    struct fd_list own_ends CLEANUP(fd_list_done) = {.count = 0};
    struct buf report CLEANUP(buf_done) = BUF(KEYS_REPORT_BYTES + 4096);
    struct key *keys[GATE_HOST_KEYS_MAX];
    struct file_mark marks[GATE_HOST_KEYS_MAX];
    size_t count = 0;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    int report_fd CLEANUP(fd_closep) = pipe_fds[0];
    own_ends.fds[own_ends.count++] = pipe_fds[1];
    for (size_t i = 0; i < master->config.host_key_count; i++) {
        marks[i] = mark_of(master->config.host_keys[i]);
    }
    TRY(make_sockets(master->workers, relay_ends, &own_ends));
    pid_t pid;
    TRY(spawn_keys(master, &own_ends, &pid));
    fd_list_done(&own_ends); /* so that the pipe ends with the process */
    err_t err = read_report(report_fd, &report);
    if (!failed(err)) {
        err = keys_get_report(buf_span(&report), keys, &count);
    }
    if (failed(err)) {
        (void)kill(pid, SIGKILL);
        return fault_set(fault, err.code, "host_keys",
                         "the process of the host keys did not "
                         "start; it has said why");
    }
    forget_keys(master);
    master->keys = pid;
    master->keys_began_ms = clock_monotonic_ms();
    memcpy(master->key_marks, marks, sizeof marks);
    for (size_t i = 0; i < count; i++) {
        master->host_keys[master->host_key_count++] = keys[i];
    }
    return OK;
}

/* ---- names ----------------------------------------------------------------------------------- */

static err_t start_names(struct master *master, struct fd_list *relay_ends) {
    struct fd_list own_ends CLEANUP(fd_list_done) = {.count = 0};
    char workers[16];
    (void)snprintf(workers, sizeof workers, "%zu", master->workers);
    const char *argv[] = {"postern-gate-names", "names", master->uid, master->gid, workers, NULL};
    int metrics = master->metrics >= 0 ? fcntl(master->metrics, F_DUPFD_CLOEXEC, 0)
                                       : open("/dev/null", O_RDONLY | O_CLOEXEC);
    own_ends.fds[own_ends.count++] = fcntl(master->shared_fd, F_DUPFD_CLOEXEC, 0);
    own_ends.fds[own_ends.count++] = metrics;
    TRY(make_sockets(master->workers, relay_ends, &own_ends));
    TRY(process_spawn(&(struct process_start){self, argv, own_ends.fds, own_ends.count},
                      &master->names));
    master->names_began_ms = clock_monotonic_ms();
    return OK;
}

/* ---- setup ----------------------------------------------------------------------------------- */

/* A certificate that is not to be shown is said so, and the key stands alone. */
static struct cert *load_cert(const struct master *master, size_t index) {
    struct fault fault = {.reason = ""};
    struct cert *cert = NULL;
    err_t err = host_cert_load(master->config.host_keys[index], master->host_keys[index],
                               clock_now_s(), &cert, &fault);
    if (failed(err)) {
        log_error("host_certificate_not_shown", err, "file", fault.field, "reason", fault.reason,
                  NULL);
    }
    return cert;
}

static err_t put_setup(const struct master *master, struct buf *out) {
    struct control_setup setup = {.config = buf_span(&master->config_text),
                                  .count = master->host_key_count};
    struct cert *certs[GATE_HOST_KEYS_MAX] = {NULL};
    for (size_t i = 0; i < setup.count; i++) {
        certs[i] = load_cert(master, i);
        setup.host_keys[i].key = key_blob(master->host_keys[i]);
        setup.host_keys[i].cert = certs[i] != NULL ? buf_span(&certs[i]->blob) : span_of(NULL, 0);
    }
    err_t err = control_put_setup(out, &setup);
    for (size_t i = 0; i < setup.count; i++) {
        cert_free(certs[i]);
    }
    return err;
}

err_t set_send_setup(struct master *master, bool *sent) {
    struct buf setup CLEANUP(buf_done) = BUF(CONTROL_BODY_BYTES_MAX);
    TRY(put_setup(master, &setup));
    bool same = span_equal(buf_span(&setup), buf_span(&master->setup_sent));
    if (!same) {
        TRY(control_send(&master->control, CONTROL_SETUP, NULL, 0, buf_span(&setup)));
        buf_clear(&master->setup_sent);
        TRY(buf_add(&master->setup_sent, buf_span(&setup)));
    }
    *sent = !same;
    return OK;
}

/* ---- the relay ------------------------------------------------------------------------------- */

static void kill_relay(struct master *master, const char *why) {
    if (master->relay != 0) {
        log_event(LOG_LEVEL_ERROR, "relay_killed", "reason", why, NULL);
        (void)kill(master->relay, SIGKILL);
    }
}

void set_tell(struct master *master, enum control_type type, const char *text) {
    span_t body = text != NULL ? span_str(text) : span_of(NULL, 0);
    if (master->relay != 0 && failed(control_send(&master->control, type, NULL, 0, body))) {
        kill_relay(master, "it takes no orders");
    }
}

static void on_control(void *context, bool readable, bool writable) {
    struct master *master = context;
    struct control_frame frame;
    (void)readable;
    (void)writable;
    err_t err;
    for (unsigned count = 0; !failed(err = control_receive(&master->control, &frame)); count++) {
        if (frame.fd_count > 0 || count == FRAMES_AT_ONCE) {
            control_frame_close(&frame);
            err = FAIL(ERR_PROTOCOL);
            break;
        }
        master_on_frame(master, &frame);
    }
    if (err.code != ERR_TRUNCATED) {
        watch_stop(TAKE(master->control_watch)); /* its death follows, or is helped */
        if (err.code != ERR_CLOSED) {
            kill_relay(master, err_text(err));
        }
    }
}

static err_t spawn_relay(struct master *master) {
    const char *const argv[] = {"postern-gate-relay", "relay", master->uid, master->gid, NULL};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return err_from_errno(errno);
    }
    int theirs CLEANUP(fd_closep) = pair[1];
    control_init(&master->control, pair[0], CONTROL_ANSWER_BYTES_MAX);
    TRY(process_spawn(&(struct process_start){self, argv, &theirs, 1}, &master->relay));
    master->relay_began_ms = clock_monotonic_ms();
    return watch_start(master->loop, pair[0], true, false, on_control, master,
                       &master->control_watch);
}

static err_t share_numbers(struct master *master) {
    TRY(process_share(&master->shared_fd));
    TRY(process_map(master->shared_fd, true, &master->shared));
    return OK;
}

static err_t wire_relay(struct master *master, const struct fd_list *keys,
                        const struct fd_list *names) {
    struct control *control = &master->control;
    span_t none = span_of(NULL, 0);
    bool sent;
    /* One in wrong hands may have made them deaf; it changes nothing of those that listen. */
    for (size_t i = 0; i < master->listener_count; i++) {
        (void)listen(master->listeners[i], SOMAXCONN);
    }
    TRY(control_send(control, CONTROL_LISTENERS, master->listeners, master->listener_count, none));
    TRY(control_send(control, CONTROL_SHARED, &master->shared_fd, 1, none));
    TRY(control_send(control, CONTROL_KEYS, keys->fds, keys->count, none));
    TRY(control_send(control, CONTROL_NAMES, names->fds, names->count, none));
    buf_clear(&master->setup_sent);
    TRY(set_send_setup(master, &sent));
    feed_link_connect(master);
    /* One that knows nobody must not take the place of one that does. */
    span_t needs_feed = master->predecessor_fd >= 0 ? SPAN_LITERAL("feed") : none;
    return control_send(control, CONTROL_START, NULL, 0, needs_feed);
}

err_t set_start(struct master *master, struct fault *fault) {
    struct fd_list keys CLEANUP(fd_list_done) = {.count = 0};
    struct fd_list names CLEANUP(fd_list_done) = {.count = 0};
    TRY(share_numbers(master));
    TRY(start_keys(master, &keys, fault));
    TRY(start_names(master, &names));
    TRY(spawn_relay(master));
    return wire_relay(master, &keys, &names);
}

/* Who has lost its relay ends by itself, since its sockets are closed. */
static void drop_set(struct master *master) {
    watch_stop(TAKE(master->control_watch));
    control_done(&master->control);
    feed_link_stop(master);
    if (master->shared != NULL) {
        (void)munmap(TAKE(master->shared), sizeof *master->shared);
    }
    fd_closep(&master->shared_fd);
    master->relay = master->keys = master->names = 0;
    master->reloading = false;
}

void set_done(struct master *master) {
    drop_set(master);
    forget_keys(master);
    buf_done(&master->setup_sent);
}

/* ---- again ----------------------------------------------------------------------------------- */

static void send_sockets(struct master *master, enum control_type type,
                         const struct fd_list *sockets) {
    if (failed(
            control_send(&master->control, type, sockets->fds, sockets->count, span_of(NULL, 0)))) {
        kill_relay(master, "it takes no orders");
    }
}

err_t set_renew_keys(struct master *master, struct fault *fault) {
    struct fd_list keys CLEANUP(fd_list_done) = {.count = 0};
    TRY(start_keys(master, &keys, fault));
    send_sockets(master, CONTROL_KEYS, &keys);
    return OK;
}

static err_t renew_names(struct master *master) {
    struct fd_list names CLEANUP(fd_list_done) = {.count = 0};
    TRY(start_names(master, &names));
    send_sockets(master, CONTROL_NAMES, &names);
    return OK;
}

static void on_repair(void *context) {
    struct master *master = context;
    timer_stop(TAKE(master->repair));
    set_repair(master);
}

static void repair_after(struct master *master, int delay_ms) {
    timer_stop(TAKE(master->repair));
    ignore_err(timer_start(master->loop, delay_ms, 0, on_repair, master, &master->repair));
}

void set_repair(struct master *master) {
    struct fault fault = {.reason = ""};
    err_t err = OK;
    if (master->relay == 0) {
        if (master->state >= MASTER_DRAINING) {
            return;
        }
        drop_set(master);
        err = set_start(master, &fault);
    } else {
        if (master->keys == 0) {
            err = set_renew_keys(master, &fault);
        }
        if (!failed(err) && master->names == 0) {
            err = renew_names(master);
        }
    }
    if (failed(err)) {
        log_error("not_restarted", err, "field", fault.field, "reason", fault.reason, NULL);
        repair_after(master, PATIENCE_MS);
    }
}

static void log_death(const char *which, int status) {
    char how[32];
    (void)snprintf(how, sizeof how, "%s %d", WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    log_event(LOG_LEVEL_ERROR, "process_died", "process", which, "how", how, NULL);
}

static int patience(int64_t began_ms) {
    return clock_monotonic_ms() - began_ms < LIVED_MS ? PATIENCE_MS : 0;
}

static void on_relay_death(struct master *master, int status) {
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int delay_ms = patience(master->relay_began_ms);
    if (!well || master->state < MASTER_DRAINING) {
        log_death("relay", status);
    }
    drop_set(master);
    if (master->state == MASTER_STARTING || master->state >= MASTER_DRAINING) {
        master_end(master, well && master->state != MASTER_STARTING ? 0 : 1);
    } else {
        repair_after(master, delay_ms);
    }
}

/* One that ends well has seen all its sockets closed, so the relay's death is likely to follow. */
static void on_helper_death(struct master *master, const char *which, int status, pid_t *pid,
                            int64_t began_ms) {
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    *pid = 0;
    if (!well) {
        log_death(which, status);
    }
    repair_after(master, well ? PATIENCE_MS : patience(began_ms));
}

void set_on_death(struct master *master, pid_t pid, int status) {
    if (pid == master->relay) {
        on_relay_death(master, status);
    } else if (pid == master->keys) {
        on_helper_death(master, "keys", status, &master->keys, master->keys_began_ms);
    } else if (pid == master->names) {
        on_helper_death(master, "names", status, &master->names, master->names_began_ms);
    }
}
