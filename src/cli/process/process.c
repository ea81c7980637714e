#include "cli/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/clock.h"
#include "base/file.h"

enum { STATUS_NOT_FOUND = 127, STATUS_LOST = 255, STOP_MS = 2000, LOOK_MS = 10 };

static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

static void set_signals(void (*of_terminal)(int), void (*others)(int)) {
    (void)signal(SIGINT, of_terminal);
    (void)signal(SIGQUIT, of_terminal);
    for (size_t i = 0; i < COUNT_OF(passed); i++) {
        (void)signal(passed[i], others);
    }
}

/* A program starts with the signals that every program has. */
static void exec_line(const struct command_line *line) {
    set_signals(SIG_DFL, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGTTOU, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)execvp(line->words[0], line->words);
}

static _Noreturn void become_child(const struct command_line *line) {
    exec_line(line);
    (void)fprintf(stderr, "postern: cannot run %s: %s\n", line->words[0], strerror(errno));
    _exit(STATUS_NOT_FOUND);
}

err_t process_become(struct cli *cli, const struct command_line *line) {
    (void)fflush(NULL);
    exec_line(line);
    return trouble_of(&cli->trouble, err_from_errno(errno), "cannot run %s", line->words[0]);
}

/* --- in the foreground --- */

static volatile sig_atomic_t child_process;

/* From the terminal it has them already; those that are sent to us alone are meant for it. */
static void pass_on(int signal_number) {
    if (child_process > 0) {
        (void)kill((pid_t)child_process, signal_number);
    }
}

static void wait_for(pid_t child, int *status) {
    while (waitpid(child, status, 0) < 0 && errno == EINTR) {
    }
}

err_t process_run(struct cli *cli, const struct command_line *line, int *by_signal) {
    (void)fflush(NULL);
    set_signals(SIG_IGN, pass_on);
    pid_t child = fork();
    if (child < 0) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot run %s", line->words[0]);
    }
    if (child == 0) {
        become_child(line);
    }
    child_process = child;
    int status = 0;
    wait_for(child, &status);
    child_process = 0;
    cli->exit = (enum exit_code)(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_INTERNAL);
    *by_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return OK;
}

/* --- in the background --- */

static void give_terminal(pid_t group) {
    int fd CLEANUP(fd_closep) = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        /* Whoever is not in the foreground is stopped for this, unless it ignores that. */
        void (*before)(int) = signal(SIGTTOU, SIG_IGN);
        (void)tcsetpgrp(fd, group);
        (void)signal(SIGTTOU, before);
    }
}

bool process_has_terminal(void) {
    int fd CLEANUP(fd_closep) = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 && tcgetpgrp(fd) == getpgrp();
}

void process_take_terminal(struct process *process) {
    if (process->foreground) {
        process->foreground = false;
        give_terminal(getpgrp());
    }
}

static _Noreturn void become_background(const struct command_line *line, pid_t parent, bool ask,
                                        int out, int err) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setpgid(0, 0);
    if (ask) {
        give_terminal(getpgrp());
    }
#ifdef __linux__
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (getppid() != parent) {
        _exit(STATUS_LOST); /* it ended before we asked to be told */
    }
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(out >= 0 ? out : nothing, STDOUT_FILENO);
    (void)dup2(err >= 0 ? err : nothing, STDERR_FILENO);
    become_child(line);
}

/* `read` and `written` are the ends of a pipe to the child's standard output or error. */
static err_t start(const struct command_line *line, bool ask, bool output, int *reading,
                   pid_t *pid) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    int from CLEANUP(fd_closep) = ends[0];
    int to CLEANUP(fd_closep) = ends[1];
    (void)fcntl(from, F_SETFL, O_NONBLOCK);
    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        become_background(line, parent, ask, output ? to : -1, output ? -1 : to);
    }
    (void)setpgid(child, child); /* both do it, since nobody knows who comes first */
    *pid = child;
    *reading = from;
    from = -1;
    return OK;
}

err_t process_start(struct cli *cli, const struct command_line *line, bool ask,
                    struct process *out) {
    bool foreground = ask && process_has_terminal();
    struct process process = {.foreground = foreground};
    err_t err = start(line, foreground, false, &process.said, &process.pid);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot run %s", line->words[0]);
    }
    *out = process;
    return OK;
}

bool process_ended(struct process *process, int *status) {
    if (process->pid > 0 && waitpid(process->pid, status, WNOHANG) == process->pid) {
        (void)kill(-process->pid, SIGTERM); /* what it has started */
        process_take_terminal(process);
        process->pid = 0;
        return true;
    }
    return false;
}

/* Its own children end with it as a rule; those that hang on a dead network do not. */
static void stop_group(pid_t group) {
    int64_t deadline = clock_monotonic_ms() + STOP_MS;
    int status = 0;
    (void)kill(-group, SIGTERM);
    (void)kill(-group, SIGCONT);
    while (waitpid(group, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > deadline) {
            (void)kill(-group, SIGKILL);
            wait_for(group, &status);
            break;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    (void)kill(-group, SIGKILL);
}

void process_stop(struct process *process) {
    if (process->pid > 0) {
        stop_group(process->pid);
        process_take_terminal(process);
        process->pid = 0;
    }
    fd_closep(&process->said);
}

/* --- for an answer --- */

static err_t read_answer(int fd, int64_t deadline, int stop_fd, struct buf *answer) {
    for (;;) {
        int64_t left = deadline - clock_monotonic_ms();
        if (left <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        if (poll(fds, COUNT_OF(fds), (int)left) <= 0) {
            continue; /* over, or interrupted by a signal that stop_fd tells of */
        }
        if (fds[1].revents != 0) {
            return FAIL(ERR_CLOSED);
        }
        uint8_t bytes[4096];
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0) {
            return OK;
        }
        TRY(got > 0 ? buf_add(answer, span_of(bytes, (size_t)got)) : OK);
    }
}

err_t process_ask(const struct command_line *line, int timeout_ms, int stop_fd, struct buf *answer,
                  int *status) {
    pid_t pid = 0;
    int fd CLEANUP(fd_closep) = -1;
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    TRY(start(line, false, true, &fd, &pid));
    err_t err = read_answer(fd, deadline, stop_fd, answer);
    if (failed(err)) {
        stop_group(pid);
        return err;
    }
    int wait_status = 0;
    wait_for(pid, &wait_status);
    *status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : STATUS_LOST;
    return OK;
}
