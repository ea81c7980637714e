/* The relay's connections to postern-host, which the master makes since the relay sees no files:
 * one to hear by, and one for each worker to ask by. They end together, so they are made together.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "feed/publish.h"
#include "feed/uplink.h"
#include "gate/master.h"

enum { DELAY_MIN_MS = 100, DELAY_MAX_MS = 2000, LASTED_MS = 10 * 1000 };

static err_t connect_to(const char *state_dir, const char *name, int *out) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int len = snprintf(to.sun_path, sizeof to.sun_path, "%s/%s", state_dir, name);
    if (len < 0 || (size_t)len >= sizeof to.sun_path) {
        return FAIL(ERR_TOO_LONG);
    }
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        return err_from_errno(errno);
    }
    *out = fd;
    fd = -1;
    return OK;
}

static void on_retry(void *context) {
    struct master *master = context;
    timer_stop(TAKE(master->feed_retry));
    feed_link_connect(master);
}

/* Longer each time, and short again after a connection that lasted. */
static void try_later(struct master *master) {
    int delay_ms = master->feed_delay_ms < DELAY_MIN_MS ? DELAY_MIN_MS : master->feed_delay_ms;
    master->feed_delay_ms = 2 * delay_ms < DELAY_MAX_MS ? 2 * delay_ms : DELAY_MAX_MS;
    if (master->feed_retry == NULL) {
        ignore_err(timer_start(master->loop, delay_ms, 0, on_retry, master, &master->feed_retry));
    }
}

/* A gate without it lets in whom it knows. */
static err_t connect_uplinks(struct master *master) {
    int fds[GATE_WORKERS_MAX];
    size_t count = 0;
    err_t err = OK;
    while (!failed(err) && count < master->workers) {
        err = connect_to(master->config.state_dir, UPLINK_SOCKET, &fds[count]);
        count += failed(err) ? 0 : 1;
    }
    if (failed(err)) {
        log_error("uplink_away", err, "state", master->config.state_dir, NULL);
        err = OK;
    } else {
        err = control_send(&master->control, CONTROL_UPLINK, fds, count, span_of(NULL, 0));
    }
    while (count > 0) {
        fd_closep(&fds[--count]);
    }
    return err;
}

void feed_link_connect(struct master *master) {
    int fd CLEANUP(fd_closep) = -1;
    err_t err = connect_to(master->config.state_dir, PUBLISH_SOCKET, &fd);
    if (!failed(err)) {
        master->feed_began_ms = clock_monotonic_ms();
        err = control_send(&master->control, CONTROL_FEED, &fd, 1, span_of(NULL, 0));
        err = failed(err) ? err : connect_uplinks(master);
    }
    if (failed(err)) {
        if (master->feed_delay_ms == 0) { /* once */
            log_error("feed_away", err, "state", master->config.state_dir, NULL);
        }
        try_later(master);
    }
}

void feed_link_ended(struct master *master) {
    if (clock_monotonic_ms() - master->feed_began_ms >= LASTED_MS) {
        master->feed_delay_ms = 0;
    }
    log_event(LOG_LEVEL_WARN, "feed_lost", NULL);
    try_later(master);
}

void feed_link_stop(struct master *master) {
    timer_stop(TAKE(master->feed_retry));
    master->feed_delay_ms = 0;
}
