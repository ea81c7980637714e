/*
 * Programs that are run, ssh and its like: in the foreground with the terminal and the signals that
 * are theirs, in the background with what they say in a pipe, or for an answer.
 */
#ifndef POSTERN_CLI_PROCESS_H
#define POSTERN_CLI_PROCESS_H

#include <sys/types.h>

#include "base/span.h"
#include "cli/cli.h"
#include "cli/process/command_line.h"

/* Becomes that program. Returns with trouble where it cannot be run. */
err_t process_become(struct cli *cli, const struct command_line *line);

/*
 * Runs it in the foreground and waits; cli->exit is its status. What ends a process is passed on to
 * it, and when a signal ended it, *by_signal says which, else 0: the caller puts away what it has
 * made before the same ends this process.
 */
err_t process_run(struct cli *cli, const struct command_line *line, int *by_signal);

/*
 * One in the background, in a process group of its own, so that whatever it starts ends with it. It
 * ends with this process too, where the system (Linux) offers that.
 */
struct process {
    pid_t pid;       /* 0: none */
    int said;        /* the reading end, non-blocking, of its standard error; -1: none */
    bool foreground; /* it has the terminal, to ask for a passphrase */
};
#define PROCESS_NONE ((struct process){.said = -1})

/* With `ask` it is given the terminal, if this process has it, until process_take_terminal(). */
err_t process_start(struct cli *cli, const struct command_line *line, bool ask,
                    struct process *out);
/* True where processes started here could ask somebody. */
bool process_has_terminal(void);
void process_take_terminal(struct process *process);
/* True once it has ended, with its wait status; it is then none. What it said can still be read. */
bool process_ended(struct process *process, int *status);
/* Ends it and all of its group; what it said is closed. Harmless for none. */
void process_stop(struct process *process);

/*
 * Runs it for what it prints on its standard output, at most timeout_ms: ERR_TIMEOUT beyond, and it
 * is gone then. *status is its exit status, 255 where a signal ended it. Readable `stop_fd` (-1:
 * none) ends the wait as well: ERR_CLOSED.
 */
err_t process_ask(const struct command_line *line, int timeout_ms, int stop_fd, struct buf *answer,
                  int *status);

#endif
