#include "gate/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

/* ---- start ----------------------------------------------------------------------------------- */

static void set_number(const char *name, uint64_t value) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    (void)setenv(name, text, 1);
}

/* Descriptors to 3 and on: first out of one another's way, then to their places. */
static bool place_descriptors(const struct process_start *start) {
    int high[2 * GATE_WORKERS_MAX + GATE_LISTEN_MAX];
    if (start->fd_count > COUNT_OF(high)) {
        return false;
    }
    for (size_t i = 0; i < start->fd_count; i++) {
        high[i] = fcntl(start->fds[i], F_DUPFD, PROCESS_FIRST_FD + (int)start->fd_count);
        if (high[i] < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < start->fd_count; i++) {
        if (dup2(high[i], PROCESS_FIRST_FD + (int)i) < 0) {
            return false;
        }
    }
    return close_range((unsigned)(PROCESS_FIRST_FD + (int)start->fd_count), ~0U, 0) == 0;
}

/* In the child, which has one thread, as the master has. */
static void become(const struct process_start *start) {
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (start->is_hand_over) {
        size_t sockets = start->fd_count - 1;
        set_number(PROCESS_SOCKETS_VARIABLE, sockets);
        set_number(PROCESS_SOCKETS_PID_VARIABLE, (uint64_t)getpid());
        set_number(PROCESS_READY_VARIABLE, PROCESS_FIRST_FD + sockets);
    } else {
        (void)unsetenv("NOTIFY_SOCKET");
        (void)unsetenv("WATCHDOG_USEC");
        /* What a service manager gave the master for its ports is none of its children's. */
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    }
    if (place_descriptors(start)) {
        (void)execv(start->path, (char *const *)(uintptr_t)start->argv);
    }
    _exit(127);
}

err_t process_spawn(const struct process_start *start, pid_t *out) {
    pid_t pid = fork();
    if (pid < 0) {
        return err_from_errno(errno);
    }
    if (pid == 0) {
        become(start);
    }
    *out = pid;
    return OK;
}

/* ---- rights ---------------------------------------------------------------------------------- */

err_t process_become(const char *uid_text, const char *gid_text) {
    uint64_t uid, gid;
    TRY(u64_parse(span_str(uid_text), &uid));
    TRY(u64_parse(span_str(gid_text), &gid));
    if (geteuid() != 0) {
        return OK; /* there is nothing to give up */
    }
    if (uid == 0 || gid == 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) {
        return FAIL(ERR_PERMISSION);
    }
    if (setgroups(0, NULL) != 0 || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) != 0 ||
        setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0) {
        return err_from_errno(errno);
    }
    return setuid(0) == 0 ? FAIL(ERR_PERMISSION) : OK;
}

err_t process_count(const char *text, size_t max, size_t *out) {
    uint64_t count;
    TRY(u64_parse(span_str(text), &count));
    if (count == 0 || count > max) {
        return FAIL(ERR_RANGE);
    }
    *out = (size_t)count;
    return OK;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* Besides sessions: listeners, sockets to the other processes, event loops. */
enum { DESCRIPTORS_BESIDES = 512, DESCRIPTORS_ENOUGH = 4 * 1024 * 1024 };

err_t process_raise_descriptors(uint32_t sessions_max, struct fault *fault) {
    struct rlimit files;
    rlim_t least = (rlim_t)sessions_max + DESCRIPTORS_BESIDES;
    rlim_t wanted = least + sessions_max; /* a destination of each */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return err_from_errno(errno);
    }
    struct rlimit higher = {wanted, wanted};
    if (files.rlim_max < wanted && setrlimit(RLIMIT_NOFILE, &higher) == 0) {
        return OK;
    }
    if (files.rlim_max < least) {
        return fault_set(fault, ERR_RANGE, "limits.sessions",
                         "%u sessions need %llu descriptors, and twice as many with a destination "
                         "each; this process may have %llu: raise LimitNOFILE= of the service "
                         "(ulimit -n), or allow fewer sessions",
                         sessions_max, (unsigned long long)least,
                         (unsigned long long)files.rlim_max);
    }
    if (files.rlim_max < wanted) {
        log_event(LOG_LEVEL_WARN, "descriptors_few", "reason",
                  "not every session can have a destination: raise LimitNOFILE= of the service, or "
                  "allow fewer sessions",
                  NULL);
    }
    rlim_t enough = wanted < DESCRIPTORS_ENOUGH ? DESCRIPTORS_ENOUGH : wanted;
    files.rlim_cur = files.rlim_max < enough ? files.rlim_max : enough;
    return setrlimit(RLIMIT_NOFILE, &files) == 0 ? OK : err_from_errno(errno);
}

/* ---- shared numbers -------------------------------------------------------------------------- */

err_t process_share(int *out) {
    int fd CLEANUP(fd_closep) = memfd_create("postern-gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct gate_shared)) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return err_from_errno(errno);
    }
    *out = fd;
    fd = -1;
    return OK;
}

err_t process_map(int fd, bool writable, struct gate_shared **out) {
    int rights = PROT_READ | (writable ? PROT_WRITE : 0);
    void *memory = mmap(NULL, sizeof(struct gate_shared), rights, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return err_from_errno(errno);
    }
    *out = memory;
    return OK;
}
