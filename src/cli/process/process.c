#include "cli/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "base/secret.h"

enum { STATUS_LOST = 255, STOP_MS = 2000, LOOK_MS = 10, PIECE_BYTES = 16 * 1024 };

/* What ends a process: from a terminal, then from elsewhere. */
static const int ending[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum { FROM_TERMINAL = 2 };

static err_t open_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    *reading = ends[0];
    *writing = ends[1];
    return OK;
}

/* A program starts with the signals that every program has. */
static void exec_line(const struct command_line *line) {
    for (size_t i = 0; i < COUNT_OF(ending); i++) {
        (void)signal(ending[i], SIG_DFL);
    }
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGTTOU, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)execvp(line->words[0], line->words);
}

static _Noreturn void become_child(const struct command_line *line) {
    exec_line(line);
    (void)fprintf(stderr, "postern: cannot run %s: %s\n", line->words[0], strerror(errno));
    _exit(PROCESS_NOT_FOUND);
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

typedef void handler(int);

static void step_back(handler *before[COUNT_OF(ending)]) {
    for (size_t i = 0; i < COUNT_OF(ending); i++) {
        before[i] = signal(ending[i], i < FROM_TERMINAL ? SIG_IGN : pass_on);
    }
}

static void step_forth(handler *const before[COUNT_OF(ending)]) {
    for (size_t i = 0; i < COUNT_OF(ending); i++) {
        (void)signal(ending[i], before[i]);
    }
}

err_t process_run(struct cli *cli, const struct command_line *line, bool aside, int *by_signal) {
    handler *before[COUNT_OF(ending)];
    (void)fflush(NULL);
    step_back(before);
    pid_t child = fork();
    if (child < 0) {
        err_t err = err_from_errno(errno);
        step_forth(before);
        return trouble_of(&cli->trouble, err, "cannot run %s", line->words[0]);
    }
    if (child == 0) {
        if (aside) {
            (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        }
        become_child(line);
    }
    child_process = child;
    int status = 0;
    wait_for(child, &status);
    child_process = 0;
    step_forth(before);
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

/* It ends with this process, or has ended before it could ask for that. */
static void live_with(pid_t parent) {
#ifdef __linux__
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (getppid() != parent) {
        _exit(STATUS_LOST);
    }
}

static _Noreturn void become_background(const struct command_line *line, pid_t parent, bool ask,
                                        int said) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setpgid(0, 0);
    if (ask) {
        give_terminal(getpgrp());
    }
    live_with(parent);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
    (void)dup2(said, STDERR_FILENO);
    become_child(line);
}

err_t process_start(struct cli *cli, const struct command_line *line, bool ask,
                    struct process *out) {
    bool foreground = ask && process_has_terminal();
    int from CLEANUP(fd_closep) = -1;
    int to CLEANUP(fd_closep) = -1;
    err_t err = open_pipe(&from, &to);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot run %s", line->words[0]);
    }
    (void)fcntl(from, F_SETFL, O_NONBLOCK);
    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot run %s", line->words[0]);
    }
    if (child == 0) {
        become_background(line, parent, foreground, to);
    }
    (void)setpgid(child, child); /* both do it, since nobody knows who comes first */
    *out = (struct process){.pid = child, .said = from, .foreground = foreground};
    from = -1;
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

/* Alone where it has not come to have a group yet. */
static void tell_group(pid_t leader, int signal_number) {
    if (kill(-leader, signal_number) != 0) {
        (void)kill(leader, signal_number);
    }
}

/* Its own children end with it as a rule; those that hang on a dead network do not. */
static void stop_group(pid_t group) {
    int64_t deadline = clock_monotonic_ms() + STOP_MS;
    int status = 0;
    tell_group(group, SIGTERM);
    tell_group(group, SIGCONT);
    while (waitpid(group, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() > deadline) {
            tell_group(group, SIGKILL);
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

static void forget_ours(void) {
    static const char ours[] = "POSTERN_";
    for (size_t i = 0; environ[i] != NULL;) {
        char *name = NULL;
        if (strncmp(environ[i], ours, strlen(ours)) != 0 ||
            (name = strndup(environ[i], strcspn(environ[i], "="))) == NULL || unsetenv(name) != 0) {
            i++;
        }
        free(name);
    }
}

/* A session of its own has no terminal, and is ended as a whole. */
static _Noreturn void become_asked(const struct command_line *line,
                                   const struct process_terms *terms, pid_t parent, int in,
                                   int out) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    live_with(parent);
    (void)setenv("SSH_ASKPASS_REQUIRE", "never", 1);
    (void)unsetenv("DISPLAY"); /* with which an ssh before 8.4 would ask */
    if (terms->stranger) {
        forget_ours();
    }
    if (dup2(in >= 0 ? in : nothing, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(terms->both ? out : nothing, STDERR_FILENO) >= 0) {
        exec_line(line);
    }
    _exit(PROCESS_NOT_FOUND);
}

static err_t take(int from, const struct process_terms *terms, struct buf *answer, bool *ended) {
    uint8_t piece[PIECE_BYTES];
    ssize_t len = read(from, piece, sizeof piece);
    *ended = len == 0;
    if (len <= 0) {
        return OK;
    }
    size_t room = answer->len_max - answer->len;
    err_t err =
        buf_add(answer, span_of(piece, terms->cut && (size_t)len > room ? room : (size_t)len));
    secret_wipe(piece, (size_t)len); /* it may be a keyring's */
    return err;
}

/* Until it is gone and what it wrote is read: what it left in the background may keep the pipe. */
static err_t hear(int from, pid_t child, const struct process_terms *terms, struct buf *answer,
                  bool *gone, int *status) {
    int64_t deadline = clock_monotonic_ms() + terms->timeout_ms;
    bool ended = false;
    for (;;) {
        struct pollfd fds[] = {{.fd = ended ? -1 : from, .events = POLLIN},
                               {.fd = terms->stop_fd > 0 ? terms->stop_fd : -1, .events = POLLIN}};
        int ready = poll(fds, COUNT_OF(fds), *gone ? 0 : ended ? 1 : LOOK_MS);
        if (ready > 0 && fds[1].revents != 0) {
            return FAIL(ERR_CLOSED);
        }
        if (ready > 0) {
            TRY(take(from, terms, answer, &ended));
        } else if (*gone) {
            return OK;
        } else {
            *gone = waitpid(child, status, WNOHANG) == child;
        }
        if (terms->timeout_ms > 0 && clock_monotonic_ms() > deadline) {
            return FAIL(ERR_TIMEOUT);
        }
    }
}

/* A pipe holds so much without a reader. */
static err_t open_input(span_t input, int *reading) {
    INVARIANT(input.len <= PIPE_BUF);
    int from CLEANUP(fd_closep) = -1;
    int to CLEANUP(fd_closep) = -1;
    TRY(open_pipe(&from, &to));
    if (write(to, input.data, input.len) != (ssize_t)input.len) {
        return err_from_errno(errno);
    }
    *reading = from;
    from = -1;
    return OK;
}

err_t process_ask(const struct command_line *line, const struct process_terms *terms,
                  struct buf *answer, int *status) {
    int in CLEANUP(fd_closep) = -1;
    int from CLEANUP(fd_closep) = -1;
    int to CLEANUP(fd_closep) = -1;
    TRY(terms->input.len > 0 ? open_input(terms->input, &in) : OK);
    TRY(open_pipe(&from, &to));
    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        become_asked(line, terms, parent, in, to);
    }
    fd_closep(&to);
    int waited = 0;
    bool gone = false;
    err_t err = hear(from, child, terms, answer, &gone, &waited);
    if (!gone) {
        stop_group(child);
    }
    TRY(err);
    *status = WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
    return OK;
}
