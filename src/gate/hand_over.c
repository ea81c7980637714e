/*
 * An upgrade that cuts nobody: the program is started anew with our listening sockets, and when it
 * accepts clients, we drain for as long as our sessions take.
 *
 * The successor gets the sockets as from systemd ($LISTEN_FDS), and after them a pipe, whose number
 * is in $POSTERN_GATE_READY_FD, on which it says one byte when it is ready. One that ends before
 * has changed nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "gate/master.h"
#include "gate/process.h"
#include "net/notify.h"

static void forget_successor(struct master *master) {
    watch_stop(TAKE(master->successor_watch));
    fd_closep(&master->successor_fd);
}

static void on_successor(void *context, bool readable, bool writable) {
    struct master *master = context;
    char byte;
    (void)readable;
    (void)writable;
    ssize_t got = read(master->successor_fd, &byte, 1);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    forget_successor(master);
    if (got != 1) {
        log_event(LOG_LEVEL_ERROR, "hand_over_failed", "reason",
                  "the new process ended before it was ready; this one goes on", NULL);
        return;
    }
    char pid[16], state[48];
    (void)snprintf(pid, sizeof pid, "%d", master->successor);
    (void)snprintf(state, sizeof state, "MAINPID=%s", pid);
    log_event(LOG_LEVEL_INFO, "handed_over", "pid", pid, NULL);
    notify_send(state);
    fd_closep(&master->metrics); /* they are the other's, also when names is started again */
    if (master->names != 0) {
        (void)kill(master->names, SIGUSR1);
    }
    master_drain(master, 0);
}

static err_t start_successor(struct master *master) {
    const char *const argv[] = {master->program, "serve", "-c", master->config_path, NULL};
    int fds[GATE_LISTEN_MAX + 2], pipe_fds[2];
    size_t count = 0;
    for (; count < master->listener_count; count++) {
        fds[count] = master->listeners[count];
    }
    if (master->metrics >= 0) {
        fds[count++] = master->metrics;
    }
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        return err_from_errno(errno);
    }
    int theirs CLEANUP(fd_closep) = pipe_fds[1];
    master->successor_fd = pipe_fds[0];
    fds[count] = theirs;
    TRY(process_spawn(&(struct process_start){master->program, argv, fds, count + 1, true},
                      &master->successor));
    return watch_start(master->loop, master->successor_fd, true, false, on_successor, master,
                       &master->successor_watch);
}

void hand_over_begin(struct master *master) {
    if (master->state != MASTER_RUNNING || master->successor_watch != NULL) {
        log_event(LOG_LEVEL_WARN, "hand_over_refused", "reason", "not running, or under way", NULL);
        return;
    }
    log_event(LOG_LEVEL_INFO, "handing_over", "program", master->program, NULL);
    err_t err = start_successor(master);
    if (failed(err)) {
        log_error("hand_over_failed", err, NULL);
        forget_successor(master);
    }
}

bool hand_over_on_death(struct master *master, pid_t pid, int status) {
    (void)status; /* on_successor() tells of an early one */
    if (pid != master->successor) {
        return false;
    }
    master->successor = 0;
    return true;
}

void hand_over_inherit(struct master *master) {
    const char *text = getenv(PROCESS_READY_VARIABLE);
    uint64_t fd;
    if (text != NULL && !failed(u64_parse(span_str(text), &fd)) && fd >= PROCESS_FIRST_FD &&
        fd < PROCESS_FIRST_FD + GATE_LISTEN_MAX + 2 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0) {
        master->predecessor_fd = (int)fd;
    }
    (void)unsetenv(PROCESS_READY_VARIABLE);
}

void hand_over_ready(struct master *master) {
    if (master->predecessor_fd >= 0) {
        ssize_t written = write(master->predecessor_fd, "1", 1);
        (void)written; /* one that has ended since has handed over all the same */
        fd_closep(&master->predecessor_fd);
    }
}

void hand_over_done(struct master *master) {
    forget_successor(master);
    fd_closep(&master->predecessor_fd);
}
