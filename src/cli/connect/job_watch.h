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
 * The thread may be waiting for an answer: it is not waited for, and what it uses is its own. Takes
 * NULL.
 */
void job_watch_leave(struct job_watch *watch);

#endif
