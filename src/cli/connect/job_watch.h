/*
 * Asks the authority every ten seconds whether a job still runs, on a thread of its own: what goes
 * through a tunnel does not wait for an answer. Whoever cannot be asked has said nothing.
 */
#ifndef POSTERN_CLI_JOB_WATCH_H
#define POSTERN_CLI_JOB_WATCH_H

#include "base/err.h"

struct job_watch;

/* site NULL: the only one. name: "4711@daint". */
err_t job_watch_start(const char *site, const char *name, struct job_watch **out);
/* Readable once the job has ended. */
int job_watch_fd(const struct job_watch *watch);
/* Asks at once, and not only when it is time. */
void job_watch_ask(struct job_watch *watch);
/*
 * Takes NULL. `wait`: until the thread has ended, and the answer come for which it may be waiting;
 * what runs at the end of a process (OpenSSL's clean-up) must not meet it. Who ends by a signal
 * does not wait.
 */
void job_watch_leave(struct job_watch *watch, bool wait);

#endif
