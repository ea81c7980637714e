/* Whether a service answers at a port of the host at a link's end, asked through the link. */
#ifndef POSTERN_CLI_SERVICE_H
#define POSTERN_CLI_SERVICE_H

#include "cli/connect/link.h"
#include "cli/connect/listeners.h"

enum service {
    SERVICE_UNKNOWN,   /* the link is down */
    SERVICE_ANSWERS,   /* at "localhost", as the host knows it */
    SERVICE_ELSEWHERE, /* at another address of the host alone */
    SERVICE_NONE,      /* nothing listens at that port */
    SERVICE_FORBIDDEN, /* the host forwards to no such port */
};

/* Takes a second or two, or until stop_fd is readable: ERR_CLOSED. *address is set with
 * SERVICE_ELSEWHERE alone. */
err_t service_look(struct link *link, uint16_t port, int stop_fd, enum service *out,
                   struct inet_address *address);

#endif
