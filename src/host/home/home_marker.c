#include "host/home/home_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"

struct question {
    uid_t uid;
    gid_t gid;
    char file[LIMIT_HOME_FILE_CHARS + 1];
    char dir[PATH_MAX];
};

/* Ends with the one who asks, whose end of the socket is then gone. */
static _Noreturn void serve(int socket) {
    static struct question question;
    struct home_mark mark;
    while (recv(socket, &question, sizeof question, 0) == (ssize_t)sizeof question) {
        const struct home home = {question.uid, question.gid, question.dir, question.file};
        home_mark(&home, &mark);
        if (send(socket, &mark, sizeof mark, MSG_NOSIGNAL) != (ssize_t)sizeof mark) {
            break;
        }
    }
    _exit(0);
}

static err_t begin(struct home_marker *marker) {
    int pair[2];
    if (marker->process >= 0) {
        return OK;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return err_from_errno(errno);
    }
    pid_t process = fork();
    if (process == 0) {
        file_keep_only(pair[1]);
        serve(pair[1]);
    }
    int error = errno;
    (void)close(pair[1]);
    *marker = (struct home_marker){process < 0 ? -1 : pidfd_open(process, 0), pair[0]};
    if (marker->process < 0) {
        error = process < 0 ? error : errno;
        home_marker_done(marker); /* and with the socket the process */
        return err_from_errno(error);
    }
    return OK;
}

/* Who waits for a dead file server may not even die by this, so it is not waited for here: whoever
 * forks next in home.c does. */
void home_marker_done(struct home_marker *marker) {
    siginfo_t info;
    if (marker->process >= 0) {
        (void)pidfd_send_signal(marker->process, SIGKILL, NULL, 0);
        (void)waitid(P_PIDFD, (id_t)marker->process, &info, WEXITED | WNOHANG);
    }
    fd_closep(&marker->process);
    fd_closep(&marker->socket);
    *marker = HOME_MARKER;
}

static err_t ask(int socket, const struct question *question, struct home_mark *out) {
    int64_t deadline = clock_monotonic_ms() + LIMIT_HOME_MARK_MS;
    struct pollfd watched = {socket, POLLIN, 0};
    if (send(socket, question, sizeof *question, MSG_NOSIGNAL) != (ssize_t)sizeof *question) {
        return FAIL(ERR_CLOSED);
    }
    for (;;) {
        int64_t left = deadline - clock_monotonic_ms();
        int ready = left <= 0 ? 0 : poll(&watched, 1, (int)left);
        if (ready > 0) {
            return recv(socket, out, sizeof *out, 0) == (ssize_t)sizeof *out ? OK
                                                                             : FAIL(ERR_CLOSED);
        }
        if (ready == 0) {
            return FAIL(ERR_TIMEOUT);
        }
        if (errno != EINTR) {
            return err_from_errno(errno);
        }
    }
}

static err_t take(struct question *question, const struct home *home) {
    if (strlen(home->dir) >= sizeof question->dir || strlen(home->file) >= sizeof question->file) {
        return FAIL(ERR_TOO_LONG);
    }
    /* All of it travels, so what is not written must be nothing. */
    memset(question, 0, sizeof *question);
    question->uid = home->uid;
    question->gid = home->gid;
    memcpy(question->dir, home->dir, strlen(home->dir));
    memcpy(question->file, home->file, strlen(home->file));
    return OK;
}

err_t home_marker_ask(struct home_marker *marker, const struct home *home, struct home_mark *out,
                      struct fault *fault) {
    struct question question;
    struct home_mark mark;
    err_t err = take(&question, home);
    err = failed(err) ? err : begin(marker);
    if (failed(err)) {
        return fault_set(fault, err.code, home->dir, "%s", err_text(err));
    }
    err = ask(marker->socket, &question, &mark);
    if (failed(err)) {
        home_marker_done(marker);
        return err.code == ERR_TIMEOUT
                   ? fault_set(fault, err.code, home->dir,
                               "its file system gave no answer within %d ms", LIMIT_HOME_MARK_MS)
                   : fault_set(fault, err.code, home->dir, "%s", err_text(err));
    }
    *out = mark;
    return OK;
}
