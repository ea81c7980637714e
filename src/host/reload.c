/*
 * sshd reads its configuration and host certificates at its start alone. When they change, a mark
 * is left before the change, and taken away when sshd was made to read them: so a reload that was
 * interrupted, or failed, is made up for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/sync_host.h"

err_t reload_mark(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, FILE_RELOAD_DUE, &path));
    return file_replace(path, span_of(NULL, 0), 0644, FILE_DURABLE);
}

err_t reload_unmark(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, FILE_RELOAD_DUE, &path));
    return unlink(path) == 0 || errno == ENOENT ? OK : err_from_errno(errno);
}

int64_t reload_due_ms(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    struct stat status;
    if (failed(path_join(state_dir, FILE_RELOAD_DUE, &path)) || stat(path, &status) != 0) {
        return 0;
    }
    return (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
}

/* In the child. It leads a process group, so that whatever it starts can be ended with it. */
static _Noreturn void become(const char *const *words, int output) {
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setpgid(0, 0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execvp(words[0], (char *const *)(uintptr_t)words);
    (void)dprintf(STDERR_FILENO, "cannot be started: %s", err_text(err_from_errno(errno)));
    _exit(127);
}

/* Keeps the beginning of what it says, and reads on so that it is not held up. */
static bool take_output(int output, struct buf *said) {
    char piece[512];
    ssize_t len = read(output, piece, sizeof piece);
    for (ssize_t i = 0; i < len && said->len < said->len_max; i++) {
        char c = piece[i] >= ' ' && piece[i] <= '~' ? piece[i] : ' ';
        ignore_err(buf_add_byte(said, (uint8_t)c)); /* there is room, but for memory */
    }
    return len > 0;
}

/* False when it took too long. What it started may hold its output open, so its end counts. */
static bool await_end(int process, int output, int timeout_ms, struct buf *said) {
    int64_t deadline = clock_monotonic_ms() + timeout_ms;
    struct pollfd watched[] = {{process, POLLIN, 0}, {output, POLLIN, 0}};
    for (;;) {
        int64_t left = deadline - clock_monotonic_ms();
        int ready = left <= 0 ? 0 : poll(watched, COUNT_OF(watched), (int)left);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return false;
        }
        if (watched[0].revents != 0) {
            while (take_output(output, said)) {
            }
            return true;
        }
        if (watched[1].revents != 0 && !take_output(output, said)) {
            watched[1].fd = -1;
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

err_t reload_run(const char *const *words, int timeout_ms, struct fault *fault) {
    struct buf said CLEANUP(buf_done) = BUF(300);
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) {
        return err_from_errno(errno);
    }
    int output CLEANUP(fd_closep) = pipes[0];
    int input CLEANUP(fd_closep) = pipes[1];
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        (void)fcntl(input, F_SETFL, 0);
        become(words, input);
    }
    (void)setpgid(child, child);
    fd_closep(&input);
    int process CLEANUP(fd_closep) = pidfd_open(child, 0);
    bool ended = process >= 0 && await_end(process, output, timeout_ms, &said);
    if (!ended) {
        (void)kill(-child, SIGKILL);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) {
        return fault_set(fault, ERR_TIMEOUT, words[0], "took longer than %d s, and was ended",
                         timeout_ms / 1000);
    }
    return judge_end(words[0], status, &said, fault);
}
