/* Runs a program without a shell. It leads a process group, so that whatever it starts can be ended
 * with it. */
#include "host/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* More than a pipe holds: what was left running may go on writing. */
enum { COMPLAINT_CHARS = 300, DRAIN_PIECES_MAX = 256 };

/* A running program. The descriptors are -1 when closed. */
struct child {
    pid_t pid;
    int process; /* its pidfd */
    int output;
    int errors;
};

static void child_done(struct child *child) {
    fd_closep(&child->process);
    fd_closep(&child->output);
    fd_closep(&child->errors);
}

/* In the child. */
static _Noreturn void become(const struct subprocess *run, int output, int errors) {
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setpgid(0, 0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(errors, STDERR_FILENO);
    char *const *environment =
        run->environment != NULL ? (char *const *)(uintptr_t)run->environment : environ;
    (void)execvpe(run->words[0], (char *const *)(uintptr_t)run->words, environment);
    (void)dprintf(STDERR_FILENO, "cannot be started: %s", err_text(err_from_errno(errno)));
    _exit(127);
}

/* Ours is not to wait in a read; the program's end is as programs expect it. */
static err_t open_pipe(int *ours, int *theirs) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *ours = ends[0];
    *theirs = ends[1];
    return OK;
}

static err_t begin(const struct subprocess *run, bool with_output, struct child *child) {
    int output CLEANUP(fd_closep) = -1;
    int errors CLEANUP(fd_closep) = -1;
    TRY(open_pipe(&child->errors, &errors));
    if (with_output) {
        TRY(open_pipe(&child->output, &output));
    }
    child->pid = fork();
    if (child->pid < 0) {
        return err_from_errno(errno);
    }
    if (child->pid == 0) {
        become(run, with_output ? output : errors, errors);
    }
    (void)setpgid(child->pid, child->pid);
    child->process = pidfd_open(child->pid, 0);
    return OK;
}

/* Keeps the beginning of what it says, and reads on so that it is not held up. */
static bool take_errors(int from, struct buf *said) {
    char piece[512];
    ssize_t len = read(from, piece, sizeof piece);
    for (ssize_t i = 0; i < len && said->len < said->len_max; i++) {
        char c = piece[i] >= ' ' && piece[i] <= '~' ? piece[i] : ' ';
        ignore_err(buf_add_byte(said, (uint8_t)c)); /* there is room, but for memory */
    }
    return len > 0;
}

/* Sets *more when there may be more. */
static err_t take_output(int from, struct buf *output, bool *more) {
    uint8_t piece[16 * 1024];
    ssize_t len = read(from, piece, sizeof piece);
    *more = len > 0;
    return len > 0 ? buf_add(output, span_of(piece, (size_t)len)) : OK;
}

static err_t drain(const struct child *child, struct buf *output, struct buf *said) {
    bool more = child->output >= 0;
    for (int pieces = 0; pieces < DRAIN_PIECES_MAX && take_errors(child->errors, said); pieces++) {
    }
    while (more) {
        TRY(take_output(child->output, output, &more));
    }
    return OK;
}

static err_t await_end(struct child *child, int timeout_ms, struct buf *output, struct buf *said) {
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    struct pollfd watched[] = {
        {child->process, POLLIN, 0}, {child->errors, POLLIN, 0}, {child->output, POLLIN, 0}};
    for (;;) {
        int64_t left = deadline - clock_monotonic_ms();
        int ready = left <= 0 ? 0 : poll(watched, COUNT_OF(watched), (int)left);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        /* What it started may hold its output open, so its end counts. */
        if (watched[0].revents != 0) {
            return drain(child, output, said);
        }
        if (watched[1].revents != 0 && !take_errors(child->errors, said)) {
            watched[1].fd = -1;
        }
        if (watched[2].revents != 0) {
            bool more = false;
            TRY(take_output(child->output, output, &more));
            watched[2].fd = more ? child->output : -1;
        }
    }
}

static err_t judge_end(const char *command, int status, const struct buf *said,
                       struct fault *fault) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return OK;
    }
    return fault_set(fault, ERR_IO, command, "ended with %s %d: %.*s",
                     WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (int)said->len,
                     said->len > 0 ? (const char *)said->data : "");
}

static err_t judge_failure(const struct subprocess *run, err_t err, const struct buf *output,
                           struct fault *fault) {
    switch (err.code) {
    case ERR_TIMEOUT:
        return fault_set(fault, err.code, run->words[0], "took longer than %d s, and was ended",
                         run->timeout_ms / 1000);
    case ERR_TOO_LONG:
        return fault_set(fault, err.code, run->words[0],
                         "printed more than %zu bytes, and was ended", output->len_max);
    default:
        return fault_set(fault, err.code, run->words[0], "%s", err_text(err));
    }
}

err_t subprocess_run(const struct subprocess *run, struct buf *output, struct fault *fault) {
    struct buf said CLEANUP(buf_done) = BUF(COMPLAINT_CHARS);
    struct child child CLEANUP(child_done) = {.process = -1, .output = -1, .errors = -1};
    TRY(begin(run, output != NULL, &child));
    err_t err = child.process < 0 ? err_from_errno(errno)
                                  : await_end(&child, run->timeout_ms, output, &said);
    if (failed(err)) {
        (void)kill(-child.pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    return failed(err) ? judge_failure(run, err, output, fault)
                       : judge_end(run->words[0], status, &said, fault);
}
