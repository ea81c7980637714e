/*
 * The gate's processes as the master starts them: who, with which descriptors. Each is a hidden
 * command of the same program, of no use by hand.
 */
#ifndef POSTERN_GATE_PROCESS_H
#define POSTERN_GATE_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "gate/gate.h"

enum { PROCESS_FIRST_FD = 3 };

/* postern-gate keys UID GID WORKERS FILE…: 3 a pipe, on which it tells the master once which public
 * keys it holds (keys.h), then a socket for each worker. */
enum { KEYS_REPORT_FD = PROCESS_FIRST_FD, KEYS_SOCKET_FD };
int keys_main(int argc, char **argv);

/* postern-gate names UID GID WORKERS: 3 struct gate_shared, 4 the listening socket of the metrics
 * (or /dev/null), then a socket for each worker. Ends when the last of these is closed. SIGUSR1:
 * gives up the metrics, which another process serves from now on. */
enum { NAMES_SHARED_FD = PROCESS_FIRST_FD, NAMES_METRICS_FD, NAMES_SOCKET_FD };
int names_main(int argc, char **argv);

/* postern-gate relay UID GID: 3 the control socket. */
enum { RELAY_CONTROL_FD = PROCESS_FIRST_FD };
int relay_main(int argc, char **argv);

/* postern-gate serve. `program` is argv[0], what a hand-over starts anew. */
int master_main(const char *program, const char *config_path);

/* What process.c has. */

/* The environment of a successor: how many listening sockets it gets, and the pipe after them. */
#define PROCESS_SOCKETS_VARIABLE     "LISTEN_FDS"
#define PROCESS_SOCKETS_PID_VARIABLE "LISTEN_PID"
#define PROCESS_READY_VARIABLE       "POSTERN_GATE_READY_FD"

/* Starts `path` with these descriptors from 3 on, and no others but the standard ones. `argv` ends
 * with NULL. */
struct process_start {
    const char *path;
    const char *const *argv;
    const int *fds;
    size_t fd_count;
    bool is_hand_over; /* to another master; hand_over.c */
};
err_t process_spawn(const struct process_start *start, pid_t *out);

/* Becomes the user for good where it is root; texts of numbers. ERR_PERMISSION, ERR_MALFORMED. */
err_t process_become(const char *uid, const char *gid);

/* The numbers of workers and the like in an argument: 1 to max. */
err_t process_count(const char *text, size_t max, size_t *out);

/* As many descriptors as may be; the fault says when that is too few for so many sessions, and the
 * log when it is too few for a destination of each. */
err_t process_raise_descriptors(uint32_t sessions_max, struct fault *fault);

/* Makes a memory for struct gate_shared, and maps it. */
err_t process_share(int *fd);
err_t process_map(int fd, bool writable, struct gate_shared **out);

#endif
