#include "host/sessions/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum {
    TITLE_BYTES = 256,
    STATUS_BYTES = 4096,
    PASSWD_BYTES = 16 * 1024,
    TERMINAL_MAJOR = 136, /* of pseudo-terminals, in devpts */
};

struct program {
    pid_t monitor;
    char path[4096]; /* of sshd, as it was started */
};

struct connection_end {
    pid_t monitor;
    uint64_t start;
    int64_t at_ms;
    bool terminated;           /* sshd's own processes were asked to end */
    struct process_list found; /* all that were ever seen of it */
};

/* --- what it is --- */

/* The beginning of a file in /proc, as a string. */
static bool read_text(pid_t pid, const char *file, char *out, size_t size) {
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, out, size - 1);
    if (len <= 0) {
        return false;
    }
    out[len] = '\0';
    return true;
}

static bool read_real_user(pid_t pid, uid_t *out) {
    char status[STATUS_BYTES];
    const char *uid =
        read_text(pid, "status", status, sizeof status) ? strstr(status, "\nUid:\t") : NULL;
    if (uid == NULL) {
        return false;
    }
    *out = (uid_t)strtoul(uid + strlen("\nUid:\t"), NULL, 10);
    return true;
}

/* The real user: while sshd asks a command, it is effectively the command's. */
static bool is_roots(pid_t pid) {
    uid_t user = 1;
    return read_real_user(pid, &user) && user == 0;
}

/* Whether the machine knows that user by another spelling, too: directories may not tell capital
 * letters from small ones, or take "alice@example.org". Who cannot be looked up may be. */
static bool is_spelling_of(const char *spelling, const char *user) {
    struct passwd entry;
    struct passwd *found = NULL;
    char text[PASSWD_BYTES];
    int failure = getpwnam_r(spelling, &entry, text, sizeof text, &found);
    return failure != 0 || (found != NULL && strcmp(found->pw_name, user) == 0);
}

/* sshd's monitor calls itself "sshd: alice [priv]" as soon as it knows for whom it is, by the name
 * that the client gave; where root logs in, it becomes the session: "sshd: root", "sshd:
 * root@pts/0". OpenSSH 9.8 on: sshd-session.
 */
static bool is_titled(pid_t pid, const char *user) {
    char title[TITLE_BYTES];
    size_t len = strlen(user);
    if (!read_text(pid, "cmdline", title, sizeof title)) {
        return false;
    }
    char *name = strstr(title, ": ");
    if (name == NULL ||
        (strncmp(title, "sshd: ", 6) != 0 && strncmp(title, "sshd-session: ", 14) != 0)) {
        return false;
    }
    name += 2;
    char *end = strstr(name, " [priv]");
    if (strncmp(name, user, len) == 0 &&
        (name + len == end || name[len] == '@' || name[len] == '\0')) {
        return true;
    }
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    return is_spelling_of(name, user);
}

bool connection_is_of(pid_t monitor, const char *user, uint64_t *start) {
    struct process process;
    if (failed(process_read(monitor, &process)) || !process_is_sshd(process.name) ||
        !is_roots(monitor) || !is_titled(monitor, user)) {
        return false;
    }
    *start = process.start;
    return true;
}

static bool read_program(pid_t pid, char *out, size_t size) {
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t len = readlink(path, out, size - 1);
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* The monitor, and those of its children that are sshd as well: a user may run one further down. */
static bool is_sshd(void *context, const struct process *process) {
    const struct program *program = context;
    char path[sizeof program->path];
    return process->pid == program->monitor ||
           (process->parent == program->monitor && read_program(process->pid, path, sizeof path) &&
            strcmp(path, program->path) == 0);
}

static err_t find_processes(const struct process_list *all, pid_t monitor,
                            struct process_list *out) {
    struct program program = {.monitor = monitor};
    (void)read_program(monitor, program.path, sizeof program.path);
    return process_list_connection(all, monitor, is_sshd, &program, out);
}

/* --- telling --- */

/* The number may be another user's terminal by now, or one of a mount of devpts that the user made:
 * the line is for who has the process. */
static bool tell_terminal(const struct process *process, const char *line) {
    int terminal = process->terminal;
    dev_t device = (dev_t)terminal;
    uid_t user = 0;
    /* proc(5): minor in bits 31 to 20 and 7 to 0, major in 15 to 8. */
    unsigned number = ((unsigned)terminal >> 12 & 0xfff00U) | ((unsigned)terminal & 0xffU);
    unsigned major_number = (unsigned)terminal >> 8 & 0xffU;
    char path[32];
    char text[512];
    struct stat status;
    if (major_number != TERMINAL_MAJOR) {
        return false;
    }
    device = makedev(major_number, number);
    (void)snprintf(path, sizeof path, "/dev/pts/%u", number);
    int fd CLEANUP(fd_closep) =
        open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode) || status.st_rdev != device ||
        !read_real_user(process->pid, &user) || status.st_uid != user) {
        return false;
    }
    int len = snprintf(text, sizeof text, "\r\npostern: %.400s\r\n", line);
    return write(fd, text, (size_t)len) > 0;
}

/* Of each session that has one, once: its leader is what sshd started on it. */
static bool tell_terminals(const struct process_list *list, const char *line) {
    bool told = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct process *process = &list->items[i];
        if (process->pid == process->session && process->terminal != 0) {
            told |= tell_terminal(process, line);
        }
    }
    return told;
}

bool connection_tell(const struct process_list *all, pid_t monitor, const char *line) {
    struct process_list list CLEANUP(process_list_done) = {0};
    return !failed(find_processes(all, monitor, &list)) && tell_terminals(&list, line);
}

/* --- ending --- */

/* A signal for that very process: the pid is held, then it is looked whose it is. */
static void send_signal(const struct process *process, int signal) {
    struct process now;
    int fd CLEANUP(fd_closep) = pidfd_open(process->pid, 0);
    if (fd >= 0 && !failed(process_read(process->pid, &now)) && now.start == process->start) {
        (void)pidfd_send_signal(fd, signal, NULL, 0);
    }
}

static bool ignores_hangup(pid_t pid) {
    char status[STATUS_BYTES];
    const char *mask =
        read_text(pid, "status", status, sizeof status) ? strstr(status, "\nSigIgn:\t") : NULL;
    return mask != NULL &&
           (strtoull(mask + strlen("\nSigIgn:\t"), NULL, 16) & 1ULL << (SIGHUP - 1)) != 0;
}

static bool is_among(const struct process_list *list, const struct process *process) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].pid == process->pid && list->items[i].start == process->start) {
            return true;
        }
    }
    return false;
}

/* Remembers whoever is new: without its parent, nobody would find it any more. */
static void look(struct connection_end *end, const struct process_list *all,
                 struct process_list *list) {
    if (failed(find_processes(all, end->monitor, list)) || list->items[0].start != end->start) {
        list->count = 0;
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!is_among(&end->found, &list->items[i])) {
            /* Without memory for it, it gets what signals this step has. */
            ignore_err(process_list_add(&end->found, &list->items[i]));
        }
    }
}

static void hang_up(const struct process_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].sshd) {
            send_signal(&list->items[i], SIGHUP);
            send_signal(&list->items[i], SIGCONT); /* one that is stopped takes no signal */
        }
    }
}

/* The monitor last: it sees to what is left of the login (PAM, utmp) when its child has ended. */
static void terminate(struct connection_end *end, const struct process_list *list, int64_t now_ms) {
    for (size_t i = list->count; i > 0; i--) {
        if (list->items[i - 1].sshd) {
            send_signal(&list->items[i - 1], SIGTERM);
        }
    }
    end->terminated = true;
    end->at_ms = now_ms + CONNECTION_GRACE_MS;
}

err_t connection_end_begin(const struct process_list *all, pid_t monitor, uint64_t start,
                           const char *line, int64_t now_ms, struct connection_end **out) {
    struct connection_end *end CLEANUP(connection_end_freep) = calloc(1, sizeof *end);
    struct process_list list CLEANUP(process_list_done) = {0};
    if (end == NULL) {
        return FAIL(ERR_MEMORY);
    }
    end->monitor = monitor;
    end->start = start;
    look(end, all, &list);
    bool told = tell_terminals(&list, line);
    hang_up(&list);
    if (told) {
        end->at_ms = now_ms + CONNECTION_TELL_MS; /* sshd is to carry the line to the client */
    } else {
        terminate(end, &list, now_ms);
    }
    *out = TAKE(end);
    return OK;
}

int64_t connection_end_at_ms(const struct connection_end *end) { return end->at_ms; }

pid_t connection_end_monitor(const struct connection_end *end) { return end->monitor; }

void connection_end_go_on(struct connection_end *end, const struct process_list *all,
                          int64_t now_ms) {
    struct process_list list CLEANUP(process_list_done) = {0};
    look(end, all, &list);
    if (!end->terminated) {
        hang_up(&list);
        terminate(end, &list, now_ms);
        return;
    }
    for (size_t i = 0; i < end->found.count; i++) {
        const struct process *process = &end->found.items[i];
        if (process->sshd || !ignores_hangup(process->pid)) {
            send_signal(process, SIGKILL);
        }
    }
    end->at_ms = 0;
}

void connection_end_free(struct connection_end *end) {
    if (end != NULL) {
        process_list_done(&end->found);
        free(end);
    }
}

void connection_end_freep(struct connection_end **end) {
    connection_end_free(*end);
    *end = NULL;
}
