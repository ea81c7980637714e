#include "cli/connect/forward.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"
#include "cli/doctor/probe.h"
#include "cli/process/stop.h"

enum {
    PROBE_MS = 5000,
    TICK_MS = 50,    /* while ssh logs in: it says nothing when it is done */
    QUIET_MS = 1000, /* otherwise */
    FINAL_TRIES_MAX =
        4 /* of reconnecting against a refusal: a job's end takes a while to be told */
};

void forward_done(struct forward *forward) {
    job_watch_leave(forward->watch, forward->by_signal == 0);
    relay_freep(&forward->relay);
    link_done(&forward->link);
    local_port_close(&forward->local);
    run_folder_remove(&forward->folder);
    destination_done(&forward->to);
    ssh_file_done(&forward->file);
}

/* --- setting up --- */

static err_t open_port(struct forward *forward, uint16_t wanted, bool exact) {
    struct cli *cli = forward->cli;
    err_t err = local_port_open(wanted, &forward->local);
    if (failed(err) && !exact && wanted != 0) {
        err = local_port_open(0, &forward->local);
    }
    if (err.code == ERR_BUSY) {
        return trouble_set(&cli->trouble, EXIT_CONFLICT,
                           "the local port %u is in use by another program; say none, and one that "
                           "is free is found",
                           (unsigned)wanted);
    }
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot listen at the local port %u",
                                    (unsigned)wanted)
                       : OK;
}

static void find_way(struct forward *forward) {
    struct way way = {0};
    const struct reach *reach = forward->file.reach;
    if (!forward->to.direct && reach->jump_count > 0) {
        way.hops[way.count++] = reach->jumps[0].name;
    }
    if (forward->through_login) {
        way.hops[way.count++] = forward->to.cluster;
    }
    way.hops[way.count++] = forward->to.node;
    way.user = forward->to.job != NULL ? member_text(forward->to.job, "user") : reach->username;
    forward->way = way;
}

static err_t start_watch(struct forward *forward) {
    char *name CLEANUP(freep) = NULL;
    if (forward->to.job == NULL) {
        return OK;
    }
    TRY(destination_job_name(&forward->to, &name));
    return job_watch_start(forward->file.site->name, name, &forward->watch);
}

err_t forward_open(struct forward *forward, uint16_t wanted, bool exact, const char *letter,
                   const char *spec) {
    struct command_line ssh CLEANUP(command_line_done) = {0};
    struct cli *cli = forward->cli;
    find_way(forward);
    TRY(open_port(forward, wanted, exact));
    TRY(run_folder_make(cli, &forward->folder));
    TRY(ssh_file_add(&forward->file, &ssh));
    TRY(process_has_terminal() ? OK : command_line_option(&ssh, "BatchMode=yes"));
    TRY(destination_add_options(cli, &forward->file, &forward->to, &ssh));
    TRY(command_line_add(&ssh, forward->to.host));
    TRY(link_init(&forward->link, &ssh, letter, spec, &forward->folder));
    TRY(relay_new(&forward->local, forward->link.target, &forward->relay));
    TRY(stop_begin(&forward->stop_fd));
    return start_watch(forward);
}

/* --- its life --- */

static void read_verdict(const struct link *link, struct ssh_verdict *out) {
    ssh_words_read(buf_span(&link->said), out);
}

static err_t link_ended(struct forward *forward) {
    struct ssh_verdict verdict;
    struct link *link = &forward->link;
    bool again = link->was_up;
    read_verdict(link, &verdict);
    relay_set_open(forward->relay, false);
    again = again && !(broken_link_is_final(&verdict) && link->tries >= FINAL_TRIES_MAX);
    if (!again) {
        return broken_link_tell(&forward->cli->trouble, &forward->way, &verdict);
    }
    if (link->tries == 0) {
        (void)fprintf(stderr, "The connection to %s is lost; connecting again…\n",
                      forward->to.node);
    } else {
        print_warning("not connected yet: %s", broken_link_reason(&verdict));
    }
    if (forward->watch != NULL) {
        job_watch_ask(forward->watch); /* its end may be why */
    }
    return OK;
}

static err_t step_link(struct forward *forward, int64_t now) {
    struct link *link = &forward->link;
    bool before = link->was_up;
    if (link->process.pid == 0 && now >= link->due_ms) {
        ssh_file_renew(forward->cli, &forward->file);
        TRY(link_start(forward->cli, link, !before));
    }
    switch (link_step(link, now, (unsigned)random_u64())) {
    case LINK_CAME_UP:
        relay_set_open(forward->relay, true);
        if (before) {
            (void)fprintf(stderr, "Connected again.\n");
        }
        return OK;
    case LINK_ENDED:
        return link_ended(forward);
    case LINK_INTERRUPTED:
        forward->over = true;
        forward->by_signal = SIGINT;
        return OK;
    case LINK_NOTHING:
    default:
        return OK;
    }
}

static void note_end(struct forward *forward, const struct pollfd *stop,
                     const struct pollfd *watch) {
    if (stop->revents != 0) {
        forward->over = true;
        forward->by_signal = stop_signal();
    } else if (watch->revents != 0) {
        forward->over = true;
        (void)fprintf(stderr, "The job %s has ended, and the %s with it.\n",
                      member_text(forward->to.job, "job"), forward->noun);
    }
}

err_t forward_turn(struct forward *forward, int timeout_ms) {
    struct pollfd fds[3 + RELAY_FDS_MAX];
    size_t count = 3;
    int tick = forward->link.up ? QUIET_MS : TICK_MS;
    fds[0] = (struct pollfd){.fd = forward->stop_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = forward->watch != NULL ? job_watch_fd(forward->watch) : -1,
                             .events = POLLIN};
    fds[2] = (struct pollfd){.fd = link_fd(&forward->link), .events = POLLIN};
    relay_prepare(forward->relay, fds, &count);
    if (poll(fds, (nfds_t)count, timeout_ms < tick ? timeout_ms : tick) < 0) {
        return OK; /* a signal, of which stop_fd tells at the next turn */
    }
    note_end(forward, &fds[0], &fds[1]);
    if (!forward->over) {
        TRY(step_link(forward, clock_monotonic_ms()));
        relay_work(forward->relay, fds, count);
    }
    return OK;
}

/* Without logging in, since ssh itself waits minutes for one that does not answer. */
static err_t probe_first_hop(struct forward *forward) {
    static const enum ssh_outcome outcomes[] = {
        [PROBE_NOT_DONE] = SSH_UNKNOWN,      [PROBE_SSH] = SSH_UNKNOWN,
        [PROBE_NO_NAME] = SSH_NO_NAME,       [PROBE_REFUSED] = SSH_CONNECTION_REFUSED,
        [PROBE_UNREACHABLE] = SSH_NO_ANSWER, [PROBE_NO_ANSWER] = SSH_NO_ANSWER,
        [PROBE_SILENT] = SSH_NOT_SSH,        [PROBE_OTHER] = SSH_NOT_SSH,
    };
    const struct reach *reach = forward->file.reach;
    struct probe probe;
    char port[8];
    if (forward->to.direct || reach->jump_count == 0) {
        return OK;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)reach->jumps[0].port);
    probe_ssh(reach->jumps[0].address, port, PROBE_MS, &probe);
    if (probe.result == PROBE_SSH) {
        return OK;
    }
    struct ssh_verdict verdict = {.outcome = outcomes[probe.result]};
    return broken_link_tell(&forward->cli->trouble, &forward->way, &verdict);
}

err_t forward_connect(struct forward *forward) {
    if (!forward->link.was_up) {
        TRY(probe_first_hop(forward));
    }
    while (!forward->over && !forward->link.up) {
        TRY(forward_turn(forward, TICK_MS));
    }
    return OK;
}

err_t forward_keep(struct forward *forward) {
    while (!forward->over) {
        TRY(forward_turn(forward, QUIET_MS));
    }
    return OK;
}

err_t forward_tell(const json_t *ready) {
    if (json_dumpf(ready, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) != 0) {
        return FAIL(ERR_IO);
    }
    (void)putchar('\n');
    return fflush(stdout) == 0 ? OK : FAIL(ERR_IO);
}
