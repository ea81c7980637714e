/* Where a host listens, as Linux tells in /proc/net/tcp and /proc/net/tcp6. Pure. */
#ifndef POSTERN_CLI_LISTENERS_H
#define POSTERN_CLI_LISTENERS_H

#include <stdint.h>

#include "base/inet.h"
#include "base/span.h"

enum listener {
    LISTENER_NONE,      /* nobody listens at that port */
    LISTENER_LOCALHOST, /* at 127.0.0.1 or ::1, or at every address */
    LISTENER_ELSEWHERE, /* at others alone, one of which is told */
};

/* text: both files, one after the other, of a little-endian machine. Lines that are none are passed
 * over. */
enum listener listeners_find(span_t text, uint16_t port, struct inet_address *out);

#endif
