/* Signals that end a command which has something to put away first, as a descriptor to poll. */
#ifndef POSTERN_CLI_STOP_H
#define POSTERN_CLI_STOP_H

#include "base/err.h"

/* Catches SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on; once for a process. */
err_t stop_begin(int *fd);
/* Which of them came; 0: none yet. It stays readable. */
int stop_signal(void);
/* Ends this process as that signal would have. Returns when it is 0. */
void stop_by(int signal_number);

#endif
