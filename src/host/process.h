/*
 * Processes as /proc tells of them, and those that belong to one connection of sshd.
 *
 * A pid is reused; a pid and its start time are not, until the next boot.
 */
#ifndef POSTERN_HOST_PROCESS_H
#define POSTERN_HOST_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

struct process {
    pid_t pid;
    pid_t parent;
    pid_t session;
    int terminal;   /* the number of its controlling terminal, as proc(5) gives tty_nr; 0: none */
    uint64_t start; /* in clock ticks since boot */
    char name[64];  /* of the program: cut, and whatever the process says */
    bool sshd;      /* sshd's own part of a connection: process_list_connection() says so */
};

/* /proc/PID/stat. ERR_NOT_FOUND when there is none, or it may not be seen (hidepid). */
err_t process_read(pid_t pid, struct process *out);
/* The text of it. ERR_MALFORMED; the name may hold blanks, brackets and line breaks. */
err_t process_parse(span_t stat, struct process *out);

/* Whether that is what one part of sshd is called that serves a connection. */
bool process_is_sshd(const char *name);

struct process_list {
    struct process *items;
    size_t count, size;
};
void process_list_done(struct process_list *list);
err_t process_list_add(struct process_list *list, const struct process *process);
/* In the order that process_list_connection() needs. */
void process_list_sort(struct process_list *list);
/* All that there are at about this moment, sorted. */
err_t process_list_read(struct process_list *out);

/*
 * What a connection consists of: its monitor, the sshd processes below it, and of each that sshd
 * started the processes that stayed in its session (setsid). So what was detached is not part of
 * it: tmux, screen, setsid, daemons. `is_sshd` says of a process whether it is sshd's own program.
 * *out has parents before children, the monitor first. ERR_NOT_FOUND without a monitor.
 */
err_t process_list_connection(const struct process_list *from, pid_t monitor,
                              bool (*is_sshd)(void *context, const struct process *process),
                              void *context, struct process_list *out);

#endif
