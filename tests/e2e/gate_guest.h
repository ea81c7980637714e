/*
 * One SSH client of gate_stress, with up to GUEST_LANES_MAX channels to stress_target.py. A steady
 * one behaves well for as long as it is let; any other does what its number says, and comes to a
 * bad end at a moment that it does not choose: after so many bytes, wherever that is in the
 * protocol. Both look at every byte that comes through.
 *
 *   gate_guest.c   the connection: manners, the socket, what it does while it lives
 *   gate_doom.c    how it ends
 *   gate_lane.c    a channel: what is sent through it, and what must come back
 */
#ifndef POSTERN_TESTS_GATE_GUEST_H
#define POSTERN_TESTS_GATE_GUEST_H

#include <netinet/in.h>

#include "transport/client.h"

enum {
    GUEST_LANES_MAX = 5,
    GUEST_TICK_MS = 20,
    GUEST_READ_BYTES = 256 * 1024,
    GUEST_PATIENCE_MS = 40 * 1000, /* for what must end; a busy machine is slow */
};

/* What became of all guests. The second half must stay zero. */
struct tally {
    uint64_t begun, logins, rekeys, channels, refused, transfers, bytes;
    uint64_t dropped;   /* a session that had done nothing wrong */
    uint64_t corrupt;   /* bytes that are not those that were sent */
    uint64_t short_;    /* a transfer that ended before its end */
    uint64_t stuck;     /* something that did not end */
    uint64_t misopened; /* a channel that may not be, or one that may be and is not */
    char first[300];    /* what was wrong first */
};

struct crowd {
    int epoll;
    struct sockaddr_in gate;
    struct client_config client; /* every guest has a copy */
    uint64_t seed;
    int64_t now_ms;
    struct buf in, out; /* of the guest that is served */
    struct tally tally;
};

enum lane_target {
    TARGET_GOOD, /* does what it is asked */
    TARGET_MAD,  /* resets, closes, never reads, … */
    TARGET_REFUSING,
    TARGET_SILENT,    /* never answers a SYN */
    TARGET_UNKNOWN,   /* a name that does not resolve */
    TARGET_FORBIDDEN, /* by policy */
    TARGET_GREETING,  /* a session channel, which gets a text */
};
enum lane_state { LANE_FREE, LANE_OPENING, LANE_OPEN, LANE_CLOSING };

enum { REQUEST_BYTES = 13 };
struct lane {
    enum lane_state state;
    enum lane_target target;
    channel_id id;
    uint32_t window, owed; /* what is granted at first; what was taken since and not told */
    size_t packet_most;
    int64_t moved_ms;

    char what; /* as stress_target.py has it; 0: nothing is asked */
    uint32_t seed;
    uint64_t count;
    uint64_t to_send, to_get;
    uint64_t sent, got; /* the request not counted */
    uint8_t request[REQUEST_BYTES];
    size_t request_sent;
    uint64_t abandon_at;       /* closed after so many bytes sent; UINT64_MAX: never */
    bool ends, ended, got_end; /* EOF is sent behind the last byte; was; came */
};

/* How a guest's end comes. */
enum doom {
    DOOM_POLITE, /* it finishes everything, and says goodbye */
    DOOM_RESET,
    DOOM_CLOSE,      /* without a word */
    DOOM_HALF,       /* sends no more, and waits */
    DOOM_GARBAGE,    /* bytes that are no packet */
    DOOM_BREAK,      /* a packet that must not be */
    DOOM_SILENT,     /* stays, and neither reads nor writes */
    DOOM_DISCONNECT, /* says goodbye in the middle of everything */
    DOOMS_COUNT,
};

struct manner {
    enum doom doom;
    size_t read_most;
    unsigned pause_percent; /* how often it stops reading for a while */
    bool small_buffer;
    unsigned rekey_percent, noise_percent; /* in each tick */
    bool dies_in_rekey;
    size_t lanes;
    int64_t lives_ms;
};

struct guest {
    struct crowd *crowd;
    struct client_config config;
    uint64_t number, state; /* of its random numbers */
    bool steady;
    struct manner manner;
    int fd;                /* -1: none */
    struct client *client; /* NULL until connected */
    bool authenticated, leaving;
    struct buf in, out; /* what was not consumed, and what was not taken */
    struct lane lanes[GUEST_LANES_MAX];
    uint64_t moved, doom_at; /* bytes of both directions */
    int64_t until_ms, pause_ms, struck_ms;
    int64_t moved_ms;   /* a steady one's last byte */
    int64_t longest_ms; /* and its longest time without one */
};

void crowd_pattern_init(void);

/* Connects. `number` decides how it behaves. */
void guest_begin(struct guest *guest, struct crowd *crowd, uint64_t number, bool steady);
void guest_serve(struct guest *guest, uint32_t events);
void guest_tick(struct guest *guest);
/* Nothing is wrong: it has been told to go. */
void guest_end(struct guest *guest);
static inline bool guest_lives(const struct guest *guest) { return guest->fd >= 0; }

uint64_t guest_draw(struct guest *guest, uint64_t below);
static inline bool guest_chance(struct guest *guest, unsigned percent) {
    return guest_draw(guest, 100) < percent;
}
/* Something was wrong: counted at `count`, and the first is told in words. */
void guest_complain(struct guest *guest, uint64_t *count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sends what the crowd's buffer has. */
err_t guest_flush(struct guest *guest);
/* Tells the kernel what it waits for now: EPOLL_CTL_ADD or _MOD. */
void guest_watch(struct guest *guest, int operation);

/* The moment has come. Some are gone at once, the others wait for the gate to end it, … */
void doom_strike(struct guest *guest);
static inline bool guest_is_struck(const struct guest *guest) { return guest->struck_ms != 0; }
/* … of whom what the gate still says is of no interest, but that it ends. */
void doom_await_end(struct guest *guest, uint32_t events);
void doom_tick(struct guest *guest);

err_t lane_open(struct guest *guest, struct lane *lane);
/* A steady guest's next transfer, on a lane that is open and done. */
void lane_ask(struct guest *guest, struct lane *lane);
bool lane_is_done(const struct lane *lane);
err_t lane_event(struct guest *guest, const struct client_event *event);
/* Sends as much as channel and socket take. */
err_t lane_pump(struct guest *guest, struct lane *lane);

#endif
