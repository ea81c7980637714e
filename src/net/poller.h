/*
 * epoll for a program whose connections are many and mostly silent. Every descriptor is watched
 * edge-triggered in both directions from its first day to its last, so that the path of the data
 * makes no epoll_ctl(): what the kernel said once stands as a flag in the source until the owner
 * finds, by reading or writing, that it is over.
 */
#ifndef POSTERN_NET_POLLER_H
#define POSTERN_NET_POLLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Embedded in whatever is watched; it must stay where it is until poller_remove(). */
struct poller_source {
    int fd;       /* the owner's, who also closes it */
    uint8_t kind; /* the owner's word for what this is embedded in */
    /* Set by poller_wait(), cleared by the owner when a call would block. */
    bool readable, writable;
    bool ended; /* the peer sends no more, or the connection broke: reading tells which. Stays. */
};

struct poller;
err_t poller_new(struct poller **out);
void poller_free(struct poller *poller);

err_t poller_add(struct poller *poller, struct poller_source *source);
/* A listening socket that several pollers watch: a new connection wakes one of them, or few. */
err_t poller_add_shared(struct poller *poller, struct poller_source *source);
void poller_remove(struct poller *poller, struct poller_source *source);

/*
 * Waits at most timeout_ms (-1: without end) and sets the flags of what became ready; ready[] gets
 * those sources, each once, at most `max`. A signal ends the wait with none. Removing one source
 * while the others of the same wait are looked through is safe as long as it is not freed.
 */
err_t poller_wait(struct poller *poller, int timeout_ms, size_t max, struct poller_source **ready,
                  size_t *count);

#endif
