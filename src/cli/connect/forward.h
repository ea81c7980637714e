/*
 * A local port that leads inside through a link, kept until the person, the job or a refusal ends
 * it: what tunnels and SOCKS proxies share.
 */
#ifndef POSTERN_CLI_FORWARD_H
#define POSTERN_CLI_FORWARD_H

#include "cli/connect/broken_link.h"
#include "cli/connect/destination.h"
#include "cli/connect/job_watch.h"
#include "cli/connect/link.h"
#include "cli/connect/local_port.h"
#include "cli/connect/relay.h"

struct forward {
    struct cli *cli;
    struct ssh_file file;
    struct destination to;
    struct way way;
    bool through_login;
    const char *noun; /* "tunnel" */
    struct local_port local;
    struct run_folder folder;
    struct link link;
    struct relay *relay;
    struct job_watch *watch; /* NULL: of no job */
    int stop_fd;
    bool over;     /* by a signal, or with the job */
    int by_signal; /* 0: it was not a signal */
};
#define FORWARD_NONE ((struct forward){.local = LOCAL_PORT_NONE, .link = LINK_NONE, .stop_fd = -1})

/* Leaves no process, no socket and no file behind. For CLEANUP(). */
void forward_done(struct forward *forward);

/*
 * With cli, file, to and noun set: listens at the local port (wanted: 0 for any; exact: that or
 * trouble), and sets up ssh. letter and spec are those of link_init().
 */
err_t forward_open(struct forward *forward, uint16_t wanted, bool exact, const char *letter,
                   const char *spec);
/* Logs in through the hops, and says which link is broken where that fails. Returns early when it
 * is over. */
err_t forward_connect(struct forward *forward);
/* Does what there is to do, for so long at most; connections are taken from forward_connect() on.
 */
err_t forward_turn(struct forward *forward, int timeout_ms);
/* --json: one line, at once, since whoever reads it waits for it. */
err_t forward_tell(const json_t *ready);
/* Until it is over. */
err_t forward_keep(struct forward *forward);

#endif
