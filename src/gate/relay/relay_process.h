/* The relay's process around the relay: what comes from the master, and the feed. */
#ifndef POSTERN_GATE_RELAY_PROCESS_H
#define POSTERN_GATE_RELAY_PROCESS_H

#include "gate/control.h"
#include "gate/gate.h"

/* relay_sandbox.c. For good, and for the threads that are started from then on. */
err_t relay_lock_in(void);

/* relay_feed.c: the stream of feed/publish.h. */
struct relay_feed {
    int fd; /* -1: none */
    struct buf input;
};
void relay_feed_init(struct relay_feed *feed);
/* Another connection; the bytes of the one before are forgotten. Takes -1. */
void relay_feed_set(struct relay_feed *feed, int fd);
/*
 * Reads what is there and applies what is whole. ERR_CLOSED at the end, else what was wrong with
 * what was told; a new connection begins with a snapshot. *applied: how many answers.
 */
err_t relay_feed_read(struct relay_feed *feed, struct relay *relay, size_t *applied);
void relay_feed_done(struct relay_feed *feed);

#endif
