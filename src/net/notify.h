/* Telling systemd (sd_notify(3)) how the service fares: one datagram a message, nothing without
 * $NOTIFY_SOCKET. */
#ifndef POSTERN_NET_NOTIFY_H
#define POSTERN_NET_NOTIFY_H

#include "net/loop.h"

void notify_send(const char *state); /* "READY=1" */
/* Sends WATCHDOG=1 twice in each interval that systemd asked for; *timer is NULL when it did not.
 */
err_t notify_watchdog(struct loop *loop, struct timer **timer);

#endif
