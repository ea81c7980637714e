#include "cli/doctor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { PIECE_BYTES = 16 * 1024, REAP_MS = 20 };

static _Noreturn void become(const char *const *words) {
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)execvp(words[0], (char *const *)(uintptr_t)words);
    _exit(PROGRAM_NOT_FOUND);
}

/* A session of its own has no terminal, and is ended as a whole. */
static _Noreturn void become_alone(const char *const *words, int output) {
    int null = open("/dev/null", O_RDWR);
    (void)setsid();
    (void)setenv("SSH_ASKPASS_REQUIRE", "never", 1);
    (void)unsetenv("DISPLAY");
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
        _exit(PROGRAM_NOT_FOUND);
    }
    become(words);
}

static int status_of(int waited) {
    return WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
}

static void keep(struct buf *out, const uint8_t *bytes, size_t len) {
    size_t room = out->len_max - out->len;
    /* What does not fit is not missed: it is one more line of debugging. */
    ignore_err(buf_add(out, span_of(bytes, len < room ? len : room)));
}

/* Until the program has gone: what it left in the background may keep the pipe open. */
static bool read_until(int from, pid_t child, int64_t deadline_ms, struct buf *out, int *status) {
    uint8_t piece[PIECE_BYTES];
    bool gone = false, closed = false;
    for (;;) {
        struct pollfd wait = {.fd = closed ? -1 : from, .events = POLLIN};
        int ready = poll(&wait, 1, gone ? 0 : REAP_MS);
        ssize_t len = ready > 0 ? read(from, piece, sizeof piece) : -1;
        if (len > 0) {
            keep(out, piece, (size_t)len);
            continue;
        }
        closed = closed || len == 0;
        if (gone) {
            return true;
        }
        int waited;
        if (waitpid(child, &waited, WNOHANG) == child) {
            *status = status_of(waited);
            gone = true;
        } else if (clock_monotonic_ms() > deadline_ms) {
            return false;
        }
    }
}

err_t program_run(const char *const *words, int timeout_ms, struct buf *out, int *status) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    int from CLEANUP(fd_closep) = ends[0];
    int to CLEANUP(fd_closep) = ends[1];
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        become_alone(words, to);
    }
    fd_closep(&to);
    if (!read_until(from, child, clock_monotonic_ms() + timeout_ms, out, status)) {
        (void)kill(-child, SIGKILL);
        (void)kill(child, SIGKILL); /* it may not have come to setsid() yet */
        (void)waitpid(child, NULL, 0);
        *status = PROGRAM_TIMED_OUT;
    }
    return OK;
}

err_t program_run_here(const char *const *words, int *status) {
    (void)fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        become(words);
    }
    int waited = 0;
    while (waitpid(child, &waited, 0) < 0 && errno == EINTR) {
    }
    *status = status_of(waited);
    return OK;
}
