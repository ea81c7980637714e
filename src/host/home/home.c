#include "host/home/home.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"
#include "host/home/home_files.h"

/* What the child tells: a struct of this very program, but from a process that the user may have
 * got hold of. */
struct report {
    enum err_code code;
    struct fault fault;
    char public_line[HOME_PUBLIC_CHARS];
};

typedef err_t deed(const struct home *home, const void *context, struct report *report);

/* For good: real, effective and saved ids, and no way back. */
static bool become(const struct home *home) {
    static const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)umask(077);
    if (geteuid() == 0) {
        if (home->uid == 0 || setgroups(1, &home->gid) != 0 ||
            setresgid(home->gid, home->gid, home->gid) != 0 ||
            setresuid(home->uid, home->uid, home->uid) != 0 || setresuid(0, 0, 0) == 0) {
            return false;
        }
    }
    /* Nor may the user look into what it has inherited, or keep it by stopping it. */
    return geteuid() == home->uid && getuid() == home->uid && prctl(PR_SET_DUMPABLE, 0) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

static _Noreturn void run_child(const struct home *home, deed *run, const void *context,
                                int output) {
    static struct report report; /* shorter than PIPE_BUF: written at once */
    _Static_assert(sizeof report <= 4096, "a pipe takes it whole");
    file_keep_only(output);
    err_t err = become(home) ? run(home, context, &report) : FAIL(ERR_PERMISSION);
    report.code = err.code;
    if (failed(err) && report.fault.reason[0] == '\0') {
        (void)fault_set(&report.fault, err.code, home->dir, "%s", err_text(err));
    }
    ssize_t ignored = write(output, &report, sizeof report);
    (void)ignored;
    _exit(0);
}

static bool receive(int input, struct report *out) {
    int64_t deadline = clock_monotonic_ms() + LIMIT_HOME_S * 1000;
    struct pollfd watched = {input, POLLIN, 0};
    for (;;) {
        int64_t left = deadline - clock_monotonic_ms();
        int ready = left <= 0 ? 0 : poll(&watched, 1, (int)left);
        if (ready > 0) {
            return read(input, out, sizeof *out) == (ssize_t)sizeof *out;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

/* Nothing of it may do harm where it is logged or compared. */
static void hold_to_form(struct report *report) {
    report->fault.field[sizeof report->fault.field - 1] = '\0';
    report->fault.reason[sizeof report->fault.reason - 1] = '\0';
    report->public_line[sizeof report->public_line - 1] = '\0';
    if ((unsigned)report->code > ERR_CLOSED || !text_is_printable(span_str(report->fault.field)) ||
        !text_is_printable(span_str(report->fault.reason)) ||
        !text_is_printable(span_str(report->public_line))) {
        *report = (struct report){.code = ERR_PROTOCOL};
    }
}

static err_t run_as_user(const struct home *home, deed *run, const void *context,
                         struct report *report, struct fault *fault) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    int input CLEANUP(fd_closep) = pipes[0];
    int output CLEANUP(fd_closep) = pipes[1];
    while (waitpid(-1, NULL, WNOHANG) > 0) { /* those that were not waited for */
    }
    pid_t child = fork();
    if (child < 0) {
        return err_from_errno(errno);
    }
    if (child == 0) {
        run_child(home, run, context, output);
    }
    fd_closep(&output);
    bool heard = receive(input, report);
    /* Its user may have stopped it; and one that waits for a dead file server does not even die by
     * this, so only one that has answered is waited for. */
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, heard ? 0 : WNOHANG);
    if (!heard) {
        return fault_set(fault, ERR_TIMEOUT, home->dir, "gave no answer within %d s", LIMIT_HOME_S);
    }
    hold_to_form(report);
    return report->code == ERR_NONE
               ? OK
               : fault_set(fault, report->code, report->fault.field, "%s", report->fault.reason);
}

static err_t look(const struct home *home, const void *context, struct report *report) {
    (void)context;
    return home_files_look(home, report->public_line, &report->fault);
}

static err_t put(const struct home *home, const void *context, struct report *report) {
    const span_t *private_text = context;
    return home_files_put(home, *private_text, &report->fault);
}

static err_t remove_pair(const struct home *home, const void *context, struct report *report) {
    return home_files_remove(home, context, &report->fault);
}

err_t home_look(const struct home *home, char out[HOME_PUBLIC_CHARS], struct fault *fault) {
    struct report report = {0};
    TRY(run_as_user(home, look, NULL, &report, fault));
    memcpy(out, report.public_line, HOME_PUBLIC_CHARS);
    return OK;
}

err_t home_put(const struct home *home, span_t private_text, struct fault *fault) {
    struct report report = {0};
    return run_as_user(home, put, &private_text, &report, fault);
}

err_t home_remove(const struct home *home, const char *public_line, struct fault *fault) {
    struct report report = {0};
    return run_as_user(home, remove_pair, public_line, &report, fault);
}

/* --- marks --- */

static bool mark_one(int folder, const char *name, bool contents, struct home_mark_of *out) {
    struct stat status;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return false;
    }
    out->device = status.st_dev;
    out->inode = status.st_ino;
    out->owner = status.st_uid;
    out->mode = status.st_mode;
    if (contents) {
        out->changed_s = status.st_ctim.tv_sec;
        out->changed_ns = status.st_ctim.tv_nsec;
        out->links = status.st_nlink;
    }
    return true;
}

static void mark_home(const struct home *home, struct home_mark *out) {
    int folder CLEANUP(fd_closep) = open(home->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || !mark_one(folder, ".", false, &out->home) ||
        !mark_one(folder, ".ssh", false, &out->ssh)) {
        return;
    }
    int ssh CLEANUP(fd_closep) =
        openat(folder, ".ssh", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char public_name[NAME_MAX + 1];
    (void)snprintf(public_name, sizeof public_name, "%s.pub", home->file);
    if (ssh >= 0 && mark_one(ssh, home->file, true, &out->file)) {
        (void)mark_one(ssh, public_name, true, &out->public_file);
    }
}

void home_mark(const struct home *home, struct home_mark *out) {
    memset(out, 0, sizeof *out);
    if (geteuid() != 0) {
        mark_home(home, out);
        return;
    }
    if (home->uid != 0 && setgroups(1, &home->gid) == 0 && setegid(home->gid) == 0) {
        if (seteuid(home->uid) == 0) {
            mark_home(home, out);
        }
        /* What cannot go back must not go on. */
        INVARIANT(seteuid(0) == 0 && setegid(0) == 0);
    }
}
