/*
 * How much a client may send on a channel before the target has taken it: the flow control of
 * RFC 4254 section 5.2, and what bounds the memory of a session. Numbers alone.
 *
 * A channel has a size: the bytes that may be on their way to its target at most, be they window
 * that the client has not used, in flight, or held here. The sizes of a session's channels are
 * within its budget. A channel begins small and grows as its target proves that it takes what
 * comes, so that one bulk transfer over a long path is fast and a thousand idle channels are cheap.
 */
#ifndef POSTERN_GATE_WINDOW_H
#define POSTERN_GATE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WINDOW_MIN_BYTES = 4 * 1024,
    WINDOW_FIRST_BYTES = 128 * 1024,
    WINDOW_SHARE = 64, /* of what is left, a new channel gets so much at most */
    WINDOW_MAX_BYTES = 2 * 1024 * 1024,
};

struct window_budget {
    uint32_t bytes_max;
    uint32_t used; /* the sum of the sizes */
};

struct window {
    uint32_t size;    /* zero: not open */
    uint32_t owed;    /* taken by the target, not given back to the client yet */
    uint64_t drained; /* taken by the target since the size last changed */
};

/* Sets the size of a new channel, which is the first window: a share of what is left, so that many
 * find room. False: the budget is spent. */
bool window_open(struct window *window, struct window_budget *budget);
void window_close(struct window *window, struct window_budget *budget);

/*
 * The target took so many bytes; `idle`: and nothing is left for it. Returns how much to give the
 * client now, mostly 0. Where the budget gets tight, a channel that had grown shrinks instead.
 */
uint32_t window_drained(struct window *window, struct window_budget *budget, uint32_t bytes,
                        bool idle);

#endif
