/*
 * Marks of homes (home.h), taken by a process beside this one: a file server that is away holds up
 * that process and not us. One that gives no answer in time is killed, as far as it can be, and
 * another takes its place for the next home.
 */
#ifndef POSTERN_HOST_HOME_MARKER_H
#define POSTERN_HOST_HOME_MARKER_H

#include "host/home/home.h"

struct home_marker {
    int process; /* a pidfd; -1: none yet */
    int socket;
};
#define HOME_MARKER ((struct home_marker){-1, -1})

/* ERR_TIMEOUT after LIMIT_HOME_MARK_MS, ERR_TOO_LONG for a home of such a name, ERR_CLOSED when the
 * process ended, or the error of making one; the fault has the home. */
err_t home_marker_ask(struct home_marker *marker, const struct home *home, struct home_mark *out,
                      struct fault *fault);
void home_marker_done(struct home_marker *marker);

#endif
