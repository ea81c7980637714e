#include "cli/agent/agent_start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/agent/agent_find.h"

enum { LOCK_WAIT_MS = 30 * 1000, START_WAIT_MS = 10 * 1000, STOP_WAIT_MS = 10 * 1000, STEP_MS = 5 };

/* *dir: the folder of the socket, the caller's to free. */
static err_t make_folder(struct cli *cli, const char *socket_path, char **dir) {
    char *folder CLEANUP(freep) =
        strndup(socket_path, (size_t)(strrchr(socket_path, '/') - socket_path));
    TRY(folder == NULL ? FAIL(ERR_MEMORY) : OK);
    err_t err = file_make_dirs(folder, 0700);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot make %s", folder);
    }
    struct stat status;
    if (lstat(folder, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & 077) != 0) {
        trouble_next(&cli->trouble, "chmod 700 %s", folder);
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "%s is not a folder of yours alone: an agent there could be another's",
                           folder);
    }
    if (strlen(socket_path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "%s is too long for the name of a socket; set XDG_RUNTIME_DIR to a "
                           "folder with a shorter one",
                           socket_path);
    }
    *dir = TAKE(folder);
    return OK;
}

/* In the child. With -D ssh-agent stays the process that listens, so that the kernel can say later
 * which one it is. Nothing of ours may stay open in it: a pipe would keep its reader waiting. */
_Noreturn static void become_agent(const char *socket_path, int report_fd) {
    int null_fd = open("/dev/null", O_RDWR);
    if (null_fd >= 0 && setsid() >= 0 && chdir("/") == 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
        dup2(null_fd, STDOUT_FILENO) >= 0 && dup2(null_fd, STDERR_FILENO) >= 0 &&
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
        (void)execlp("ssh-agent", "ssh-agent", "-D", "-a", socket_path, (char *)NULL);
    }
    int why = errno;
    (void)!write(report_fd, &why, sizeof why);
    _exit(127);
}

static err_t spawn(struct cli *cli, const char *socket_path, pid_t *out) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    int reader CLEANUP(fd_closep) = ends[0];
    int writer CLEANUP(fd_closep) = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        become_agent(socket_path, writer);
    }
    fd_closep(&writer);
    int why = 0;
    if (pid < 0) {
        return err_from_errno(errno);
    }
    if (read(reader, &why, sizeof why) == (ssize_t)sizeof why) {
        (void)waitpid(pid, NULL, 0);
        return trouble_set(&cli->trouble, EXIT_MISSING, "cannot start ssh-agent: %s",
                           strerror(why));
    }
    *out = pid;
    return OK;
}

static err_t await(struct cli *cli, const char *socket_path, pid_t pid) {
    int64_t deadline_ms = clock_monotonic_ms() + START_WAIT_MS;
    while (failed(agent_find_try(socket_path))) {
        int status = 0;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return trouble_set(&cli->trouble, EXIT_INTERNAL,
                               "ssh-agent ended at once; try: ssh-agent -D -a %s", socket_path);
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return trouble_set(&cli->trouble, EXIT_INTERNAL, "ssh-agent does not answer at %s",
                               socket_path);
        }
        (void)poll(NULL, 0, STEP_MS);
    }
    return OK;
}

static err_t lock_folder(struct cli *cli, const char *dir, int *out) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(dir, "agent.lock", &path));
    err_t err = file_lock(path, LOCK_WAIT_MS, out);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot lock %s", path) : OK;
}

err_t agent_start(struct cli *cli, char **out, bool *started) {
    char *socket_path CLEANUP(freep) = NULL;
    char *dir CLEANUP(freep) = NULL;
    int lock CLEANUP(fd_closep) = -1;
    pid_t pid = -1;
    TRY(agent_find_own_path(&socket_path));
    TRY(make_folder(cli, socket_path, &dir));
    TRY(lock_folder(cli, dir, &lock));
    err_t err = agent_find_try(socket_path); /* another may have started it meanwhile */
    bool lives = !failed(err);
    if (!lives && err.code != ERR_CONNECT) {
        trouble_next(&cli->trouble, "postern agent --kill");
        return trouble_of(&cli->trouble, err, "the agent at %s gives no answer", socket_path);
    }
    if (!lives) {
        (void)unlink(socket_path);
        TRY(spawn(cli, socket_path, &pid));
        TRY(await(cli, socket_path, pid));
    }
    *out = TAKE(socket_path);
    *started = !lives;
    return OK;
}

/* The process that listens, held so that its number cannot become another's. -1: nobody listens. */
static int listener_of(const char *socket_path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid != geteuid()) {
        return -1;
    }
    int process = pidfd_open(peer.pid, 0);
    char path[64];
    struct buf name CLEANUP(buf_done) = BUF(64);
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)peer.pid);
    /* Someone may have put an agent there that forked after it listened. */
    if (failed(file_read(path, &name)) || !span_equal_str(buf_span(&name), "ssh-agent\n")) {
        fd_closep(&process);
    }
    return process;
}

err_t agent_stop(struct cli *cli, bool *ended) {
    char *socket_path CLEANUP(freep) = NULL;
    char *dir CLEANUP(freep) = NULL;
    int lock CLEANUP(fd_closep) = -1;
    TRY(agent_find_own_path(&socket_path));
    TRY(make_folder(cli, socket_path, &dir));
    TRY(lock_folder(cli, dir, &lock));
    int process CLEANUP(fd_closep) = listener_of(socket_path);
    if (process < 0) {
        if (agent_find_try(socket_path).code == ERR_CONNECT) {
            (void)unlink(socket_path);
            *ended = false;
            return OK;
        }
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "the agent at %s was not started by postern; end it as you started it",
                           socket_path);
    }
    struct pollfd gone = {.fd = process, .events = POLLIN};
    if (pidfd_send_signal(process, SIGTERM, NULL, 0) != 0 || poll(&gone, 1, STOP_WAIT_MS) != 1) {
        return trouble_set(&cli->trouble, EXIT_INTERNAL, "the agent at %s does not end",
                           socket_path);
    }
    (void)unlink(socket_path);
    *ended = true;
    return OK;
}
