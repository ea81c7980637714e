/*
 * What the master and the relay say to one another: frames on a Unix stream socket.
 *
 *   uint32  length of what follows
 *   byte    type
 *   byte    how many descriptors come with it; they travel (SCM_RIGHTS) beside its first byte
 *   bytes   body
 *
 * Neither trusts the other more than it must: what is not exactly so, is too long, or has other
 * descriptors than it says, ends the connection, and with it the relay.
 */
#ifndef POSTERN_GATE_CONTROL_H
#define POSTERN_GATE_CONTROL_H

#include "base/limits.h"
#include "base/span.h"
#include "gate/gate.h"

enum control_type {
    /* To the relay. A start is LISTENERS, SHARED, KEYS, NAMES, SETUP, FEED if there is one, START;
     * the rest may come at any time after it. */
    CONTROL_LISTENERS = 1, /* the listening sockets */
    CONTROL_SHARED,        /* memory: struct gate_shared */
    CONTROL_KEYS,          /* a socket for each worker */
    CONTROL_NAMES,         /* a socket for each worker */
    CONTROL_SETUP,         /* see control_put_setup() */
    CONTROL_START,         /* nothing is missing; with a body: but end if the feed is not heard */
    CONTROL_FEED,          /* a socket that is connected to the feed's */
    CONTROL_UPLINK,        /* a socket for each worker, connected to the uplink's */
    CONTROL_DRAIN,         /* accept nobody any more, end when the last session has ended */
    CONTROL_STOP,          /* end now; the text is for the clients */
    /* To the master. */
    CONTROL_READY,         /* clients are accepted */
    CONTROL_FEED_ENDED,    /* another connection, please */
    CONTROL_SETUP_REFUSED, /* the body says why */
};

enum {
    CONTROL_FDS_MAX = GATE_WORKERS_MAX,
    /* Configuration, and host keys with certificates. */
    CONTROL_BODY_BYTES_MAX = LIMIT_CONFIG_FILE_BYTES +
                             GATE_HOST_KEYS_MAX * (LIMIT_KEY_BLOB_BYTES + LIMIT_CERT_BLOB_BYTES) +
                             1024,
    CONTROL_ANSWER_BYTES_MAX = 4096, /* of a body to the master */
};

struct control_frame {
    enum control_type type;
    span_t body;
    size_t fd_count;
    int fds[CONTROL_FDS_MAX];
};

/* Without the descriptors: takes a whole frame off the front. ERR_TRUNCATED: wait for more;
 * ERR_TOO_LONG beyond body_max, ERR_RANGE for more descriptors than there may be, ERR_MALFORMED. */
err_t control_get(span_t *stream, size_t body_max, struct control_frame *out);
err_t control_put(struct buf *out, enum control_type type, size_t fd_count, span_t body);

/* The body of SETUP: string configuration · uint32 count · for each host key: string public key
 * blob · string certificate blob, or empty. */
struct control_setup {
    span_t config;
    size_t count;
    struct {
        span_t key, cert;
    } host_keys[GATE_HOST_KEYS_MAX];
};
err_t control_put_setup(struct buf *out, const struct control_setup *setup);
err_t control_get_setup(span_t body, struct control_setup *out); /* borrows from the body */

/* One end of the socket. */
struct control {
    int fd; /* non-blocking */
    size_t body_max;
    struct buf input;
    size_t used; /* of input: the frame that was given last */
    int fds[2 * CONTROL_FDS_MAX];
    size_t fd_count;
};
void control_init(struct control *control, int fd, size_t body_max);
void control_done(struct control *control); /* closes */
/*
 * The next frame: ERR_TRUNCATED when none is whole yet, ERR_CLOSED at the end, else the peer's
 * fault. The body is valid until the next call; the descriptors are the caller's.
 */
err_t control_receive(struct control *control, struct control_frame *out);
void control_frame_close(struct control_frame *frame); /* the descriptors */
/* Waits for room for CONTROL_SEND_MS at most: ERR_TIMEOUT. The descriptors stay the caller's. */
enum { CONTROL_SEND_MS = 10 * 1000 };
err_t control_send(struct control *control, enum control_type type, const int *fds, size_t fd_count,
                   span_t body);

#endif
