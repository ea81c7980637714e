/*
 * What comes to a local port goes to a socket in the file system at which ssh listens, and back. So
 * the port is ours while ssh comes and goes: connections that come meanwhile wait for it. Those
 * of other users of this machine are turned away (local_peer.h).
 *
 * Nothing here blocks. The owner polls: relay_prepare(), poll(), relay_work().
 */
#ifndef POSTERN_CLI_RELAY_H
#define POSTERN_CLI_RELAY_H

#include <poll.h>

#include "cli/connect/local_port.h"

struct relay;

/* The port is borrowed and must outlive the relay. target_path is copied. */
err_t relay_new(const struct local_port *port, const char *target_path, struct relay **out);
void relay_freep(struct relay **relay);

/* Whether somebody listens at the target. At first nobody does. */
void relay_set_open(struct relay *relay, bool open);

/* Appends what to poll to fds, which has room for RELAY_FDS_MAX; *count is how many. */
enum { RELAY_FDS_MAX = 2 + 2 * 256 };
void relay_prepare(struct relay *relay, struct pollfd *fds, size_t *count);
/* With what poll() said of the same. */
void relay_work(struct relay *relay, const struct pollfd *fds, size_t count);

/* Connections there are, those that wait included. */
size_t relay_connections(const struct relay *relay);

#endif
