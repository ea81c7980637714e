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

enum { PROCESS_NOT_FOUND = 127 }; /* the exit status where there is no such program, as a shell's */

/* Becomes that program. Returns with trouble where it cannot be run. */
err_t process_become(struct cli *cli, const struct command_line *line);

/*
 * Runs it in the foreground and waits; cli->exit is its status. What ends a process is passed on to
 * it, and when a signal ended it, *by_signal says which, else 0: the caller puts away what it has
 * made before the same ends this process. `aside`: what it prints goes to standard error, since
 * standard output is for what the caller has to say.
 */
err_t process_run(struct cli *cli, const struct command_line *line, bool aside, int *by_signal);

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

struct process_terms {
    int timeout_ms; /* it is gone then, and what it started: ERR_TIMEOUT. 0: as long as it takes */
    int stop_fd;    /* readable, it ends the wait as well: ERR_CLOSED. 0: none */
    span_t input;   /* what it reads: PIPE_BUF bytes at most */
    bool both;      /* what it says on standard error too, in the order of writing; else that is
                       lost */
    bool cut;       /* what the buffer has no room for is lost, and not ERR_TOO_LONG */
    bool stranger;  /* $POSTERN_…, an API key first of all, is no business of it */
};

/*
 * Runs it for what it says: without a terminal and without ssh-askpass, so that it can ask nobody.
 * Appends that to *answer; on an error *answer has what came by then. *status is its exit status,
 * or 128 + N for signal N.
 */
err_t process_ask(const struct command_line *line, const struct process_terms *terms,
                  struct buf *answer, int *status);

#endif
