/*
 * The master: what its files share.
 *
 * A *set* is a relay with its keys and its names. Sessions live in the relay, so it decides: when
 * it dies they are gone anyway, the other two end as their sockets close, and a whole new set is
 * started. When keys or names dies, only that one is started anew, and the relay gets sockets to
 * it; sessions go on, and whoever just then waits for an answer of it is refused.
 */
#ifndef POSTERN_GATE_MASTER_H
#define POSTERN_GATE_MASTER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/span.h"
#include "gate/control.h"
#include "gate/gate.h"
#include "gate/listen.h"
#include "net/loop.h"

enum master_state {
    MASTER_STARTING, /* no relay has accepted anybody yet */
    MASTER_RUNNING,
    MASTER_DRAINING,
    MASTER_STOPPING, /* the relay was told to end now */
};

/* What tells one file from what it was before. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct master {
    const char *config_path;
    char *program; /* what a hand-over starts */
    enum master_state state;
    bool terminated; /* SIGTERM came */
    int exit_status;
    struct gate_config config;
    struct buf config_text;
    char uid[16], gid[16]; /* whom the others become */
    size_t workers;

    struct loop *loop;
    struct timer *repair, *feed_retry, *deadline, *certificates;

    int listeners[GATE_LISTEN_MAX];
    size_t listener_count;
    int metrics; /* -1: none */

    /* The set. 0: not running. */
    pid_t relay, keys, names;
    int64_t relay_began_ms, keys_began_ms, names_began_ms;
    struct control control;
    struct watch *control_watch;
    struct gate_shared *shared;
    int shared_fd;
    bool reloading; /* a setup was sent because of SIGHUP, and not answered yet */

    struct key *host_keys[GATE_HOST_KEYS_MAX];
    size_t host_key_count;
    struct file_mark key_marks[GATE_HOST_KEYS_MAX]; /* when keys loaded them */
    struct buf setup_sent;

    int64_t feed_began_ms;
    int feed_delay_ms;

    /* hand_over.c */
    pid_t successor;
    int successor_fd; /* says when it is ready; -1 */
    struct watch *successor_watch;
    int predecessor_fd; /* to tell that we are; -1 */
};

/* --- set.c --- */

err_t set_start(struct master *master, struct fault *fault);
/* Starts what died, unless everything ends. */
void set_repair(struct master *master);
/* A child ended. */
void set_on_death(struct master *master, pid_t pid, int status);
/* Whether a host key's file is another than what `keys` has loaded. */
bool set_keys_changed(const struct master *master);
/* A new `keys` takes the place of the present one, which stays on failure. */
err_t set_renew_keys(struct master *master, struct fault *fault);
/* Configuration, host keys and certificates, if they are others than those sent last. */
err_t set_send_setup(struct master *master, bool *sent);
/* A frame without a body; a relay that does not take it is killed. */
void set_tell(struct master *master, enum control_type type, const char *text);
void set_done(struct master *master);

/* --- feed_link.c --- */

/* Connects the relay with the feed; tries again later when nobody is there. */
void feed_link_connect(struct master *master);
/* The relay lost it. */
void feed_link_ended(struct master *master);
void feed_link_stop(struct master *master);

/* --- hand_over.c --- */

void hand_over_begin(struct master *master);
/* True when it was the successor that ended. */
bool hand_over_on_death(struct master *master, pid_t pid, int status);
/* At the start: who handed over to us, if anybody; and that we are ready. */
void hand_over_inherit(struct master *master);
void hand_over_ready(struct master *master);
void hand_over_done(struct master *master);

/* --- master.c --- */

/* The relay said something. */
void master_on_frame(struct master *master, const struct control_frame *frame);
void master_end(struct master *master, int status);
/* Accepts nobody any more and ends with the last session; limit_s 0: whenever that is. */
void master_drain(struct master *master, int64_t limit_s);

#endif
