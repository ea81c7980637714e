/*
 * One connection of sshd, from outside: who serves it, its terminals, and its end. Linux alone.
 *
 * A connection ends as if its network was lost, but surely: its processes get SIGHUP, sshd's own
 * SIGTERM, and what is still there after a grace SIGKILL. So what a lost connection leaves running
 * runs on: what was detached (setsid, tmux, screen), and what ignores SIGHUP (nohup). That is the
 * job's, or the site's, to end.
 */
#ifndef POSTERN_HOST_CONNECTION_H
#define POSTERN_HOST_CONNECTION_H

#include "host/process.h"

/*
 * Whether `monitor` is the process of sshd's that serves a connection of `user`: root's, an sshd,
 * and called so, or by another name that the machine knows the user by. *start is its start time.
 */
bool connection_is_of(pid_t monitor, const char *user, uint64_t *start);

/* Writes a line on each of its terminals; never waits for one. False when there was none. `all` are
 * the processes that there are now. */
bool connection_tell(const struct process_list *all, pid_t monitor, const char *line);

enum { CONNECTION_TELL_MS = 100, CONNECTION_GRACE_MS = 1000 };

struct connection_end;
/* Begins: tells the terminals, and hangs up. Whoever has the pid later is left alone. */
err_t connection_end_begin(const struct process_list *all, pid_t monitor, uint64_t start,
                           const char *line, int64_t now_ms, struct connection_end **out);
/* When to go on, monotonic; 0: it is done. */
int64_t connection_end_at_ms(const struct connection_end *end);
pid_t connection_end_monitor(const struct connection_end *end);
void connection_end_go_on(struct connection_end *end, const struct process_list *all,
                          int64_t now_ms);
void connection_end_free(struct connection_end *end); /* takes NULL */
void connection_end_freep(struct connection_end **end);

#endif
