/*
 * Who has connected to a port of ours on the loopback, which every user of this machine can: on a
 * login node a tunnel would lead all of them to one person's notebook, and a proxy inside in that
 * person's name. Linux tells it (sock_diag(7)); other systems do not.
 */
#ifndef POSTERN_NET_LOCAL_PEER_H
#define POSTERN_NET_LOCAL_PEER_H

#include <stdbool.h>

/* Of a connection that was accepted at a port that still listens: whether the other end is this
 * user's or root's. True where the system does not tell, too. */
bool local_peer_may_enter(int fd);

#endif
