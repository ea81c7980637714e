/*
 * One ssh to a host inside, through the hops, that others go through: a master connection with a
 * forwarding from a socket of ours (`ssh -M -L`), started again when it is lost.
 *
 * Nothing here blocks: the owner polls link_fd() and calls link_step() when it is readable, when
 * link_due() has come, and every now and then.
 */
#ifndef POSTERN_CLI_LINK_H
#define POSTERN_CLI_LINK_H

#include "cli/doctor/ssh_words.h"
#include "cli/process/process.h"
#include "cli/process/run_folder.h"

struct link {
    struct command_line ssh; /* "ssh", its options, and the host at its end; owned */
    size_t own_count;        /* how many of its words were there first: those before our own */
    size_t spec_at;          /* which one says where the forwarding leads */
    char *control;           /* the master's socket; owned */
    char *target;            /* of the forwarding; owned */
    struct process process;
    struct buf said; /* what ssh says, as far as it was not taken */
    bool up, was_up;
    unsigned tries;
    int64_t due_ms; /* the next try, by the monotonic clock */
};
#define LINK_NONE ((struct link){.process = PROCESS_NONE, .said = BUF(LIMIT_SSH_SAID_BYTES)})

enum link_event {
    LINK_NOTHING,
    LINK_CAME_UP,
    LINK_ENDED, /* it was up, or could not come up: `said` has why. It is tried again at due_ms */
    LINK_INTERRUPTED, /* by the person, while it had the terminal */
};

/*
 * `ssh` is taken over: the words up to the host, which is the last. forward is what ssh's -L or -D
 * takes behind the path: ":localhost:6006" or "".
 */
err_t link_init(struct link *link, struct command_line *ssh, const char *letter,
                const char *forward, const struct run_folder *folder);
void link_done(struct link *link); /* leaves no process behind */

/* Starts ssh; what it said before is forgotten. With `ask` it may ask for a passphrase. */
err_t link_start(struct cli *cli, struct link *link, bool ask);
enum link_event link_step(struct link *link, int64_t now_ms, unsigned random);
int link_fd(const struct link *link); /* -1: none */
/* What ssh has said by now, since it was started, came up, or link_forget(). */
span_t link_said(struct link *link);
void link_forget(struct link *link);

/* How long to wait before try number `tries` (from 1): a second, then twice as long each time up to
 * half a minute, a quarter more or less of it by `random`. */
int link_pause_ms(unsigned tries, unsigned random);

/* Another ssh that goes through this one, with these options (a NULL after the last), and a command
 * for the host (NULL: none). Without the master it fails. */
err_t link_command(const struct link *link, const char *const *options, const char *command,
                   struct command_line *out);

/* Leads elsewhere from now on, also after the link was lost: forward as with link_init(). */
err_t link_redirect(struct link *link, const char *forward, int stop_fd);

#endif
