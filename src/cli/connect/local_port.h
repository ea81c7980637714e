/* A TCP port of this machine's loopback, for IPv4 and, where there is any, IPv6. */
#ifndef POSTERN_CLI_LOCAL_PORT_H
#define POSTERN_CLI_LOCAL_PORT_H

#include <stdint.h>

#include "base/err.h"
#include "cli/trouble.h"

struct local_port {
    int fds[2]; /* listening, non-blocking: 127.0.0.1 and ::1, or -1 */
    uint16_t port;
};
#define LOCAL_PORT_NONE ((struct local_port){.fds = {-1, -1}})

/*
 * Listens at just that port: ERR_BUSY where another program has it, ERR_PERMISSION below 1024 as a
 * rule. Port 0 is any that is free.
 */
err_t local_port_open(uint16_t port, struct local_port *out);
/* A number of a port, as it is typed; what: "--local". */
err_t local_port_parse(struct trouble *trouble, const char *what, const char *text, uint16_t *out);
void local_port_close(struct local_port *port);

#endif
