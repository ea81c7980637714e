/*
 * Guests of a gate, good and bad ones (gate_guest.h):
 *
 *   gate_stress ADDRESS PORT USER KEY CERTIFICATE SEED
 *
 * Takes commands on standard input, one line each, and answers each with a line:
 *
 *   steady N   so many well-behaved sessions from now on
 *   chaos N    always so many of the others, new ones for those that ended
 *   freeze     nobody does anything, while their connections stay
 *   thaw
 *   report     the tally so far as JSON; longest_ms is how long a steady guest went without a byte
 *
 * Whoever is too many is closed without a word. At the end of the input everybody is.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"
#include "gate_guest.h"

enum { GUESTS_MAX = 2000, BEGUN_IN_TICK = 2, EVENTS_COUNT = 256 };

struct stress {
    struct crowd crowd;
    struct guest *steady, *chaos; /* GUESTS_MAX of each; they do not move */
    size_t steady_count, chaos_count;
    uint64_t number; /* of the next guest */
    int64_t frozen_ms, tick_ms;
    bool frozen;
};

static void must(err_t err, const char *what) {
    if (failed(err)) {
        (void)fprintf(stderr, "gate_stress: %s: %s\n", what, err_text(err));
        exit(1);
    }
}

/* --- the guests --- */

static void fill(struct stress *stress, struct guest *guests, size_t wanted, bool steady) {
    size_t begun = 0;
    for (size_t i = 0; i < wanted && begun < BEGUN_IN_TICK; i++) {
        if (!guest_lives(&guests[i])) {
            guest_begin(&guests[i], &stress->crowd, stress->number++, steady);
            begun++;
        }
    }
}

static void tick(struct stress *stress) {
    fill(stress, stress->steady, stress->steady_count, true);
    fill(stress, stress->chaos, stress->chaos_count, false);
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        if (guest_lives(&stress->steady[i])) {
            guest_tick(&stress->steady[i]);
        }
        if (guest_lives(&stress->chaos[i])) {
            guest_tick(&stress->chaos[i]);
        }
    }
}

/* While all is frozen their clock stands still. */
static void look_at_clock(struct stress *stress) {
    stress->crowd.now_ms = clock_monotonic_ms() - stress->frozen_ms;
}

/* False when there is a line on standard input. */
static bool turn(struct stress *stress) {
    struct epoll_event events[EVENTS_COUNT];
    bool quiet = true;
    int count = epoll_wait(stress->crowd.epoll, events, EVENTS_COUNT, GUEST_TICK_MS / 2);
    look_at_clock(stress);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            quiet = false;
        } else {
            guest_serve(events[i].data.ptr, events[i].events);
        }
    }
    if (stress->crowd.now_ms >= stress->tick_ms) {
        stress->tick_ms = stress->crowd.now_ms + GUEST_TICK_MS;
        tick(stress);
    }
    return quiet;
}

static void wait_for_line(struct stress *stress) {
    if (!stress->frozen) {
        while (turn(stress)) {
        }
        return;
    }
    int64_t began_ms = clock_monotonic_ms();
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    (void)poll(&input, 1, -1);
    stress->frozen_ms += clock_monotonic_ms() - began_ms;
}

/* --- commands --- */

static void set_count(struct guest *guests, size_t *count, size_t wanted) {
    for (size_t i = wanted; i < GUESTS_MAX; i++) {
        guest_end(&guests[i]);
    }
    *count = wanted;
}

static size_t count_living(const struct guest *guests, int64_t *longest_ms) {
    size_t count = 0;
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        count += guest_lives(&guests[i]);
        *longest_ms = guests[i].longest_ms > *longest_ms ? guests[i].longest_ms : *longest_ms;
    }
    return count;
}

static void report(const struct stress *stress) {
    const struct tally *tally = &stress->crowd.tally;
    char first[sizeof tally->first];
    int64_t longest_ms = 0;
    for (size_t i = 0; i < sizeof first; i++) {
        unsigned char byte = (unsigned char)tally->first[i];
        first[i] = (char)(byte == '"' || byte == '\\' || (byte > 0 && byte < ' ') ? ' ' : byte);
    }
    (void)printf("{\"steady\":%zu,\"chaos\":%zu,\"begun\":%" PRIu64 ",\"logins\":%" PRIu64
                 ",\"rekeys\":%" PRIu64 ",\"channels\":%" PRIu64 ",\"refused\":%" PRIu64
                 ",\"transfers\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"dropped\":%" PRIu64
                 ",\"corrupt\":%" PRIu64 ",\"short\":%" PRIu64 ",\"stuck\":%" PRIu64
                 ",\"misopened\":%" PRIu64,
                 count_living(stress->steady, &longest_ms),
                 count_living(stress->chaos, &(int64_t){0}), tally->begun, tally->logins,
                 tally->rekeys, tally->channels, tally->refused, tally->transfers, tally->bytes,
                 tally->dropped, tally->corrupt, tally->short_, tally->stuck, tally->misopened);
    (void)printf(",\"longest_ms\":%" PRId64 ",\"first\":\"%s\"}\n", longest_ms, first);
}

static void obey(struct stress *stress, const char *line) {
    size_t count;
    if (sscanf(line, "steady %zu", &count) == 1 && count <= GUESTS_MAX) {
        set_count(stress->steady, &stress->steady_count, count);
    } else if (sscanf(line, "chaos %zu", &count) == 1 && count <= GUESTS_MAX) {
        set_count(stress->chaos, &stress->chaos_count, count);
    } else if (strcmp(line, "freeze\n") == 0 || strcmp(line, "thaw\n") == 0) {
        stress->frozen = line[0] == 'f';
    } else if (strcmp(line, "report\n") != 0) {
        must(FAIL(ERR_UNSUPPORTED), line);
    }
    if (line[0] == 'r') {
        report(stress);
    } else {
        (void)puts("done");
    }
    (void)fflush(stdout);
}

/* --- beginning --- */

static const struct private_key *load_key(const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct private_key *key = NULL;
    must(file_read(path, &file), path);
    must(private_key_load(buf_span(&file), NULL, &key, NULL), path);
    return key;
}

static const struct cert *load_cert(const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct cert *cert = NULL;
    must(file_read(path, &file), path);
    must(cert_parse_line(buf_span(&file), &cert, NULL), path);
    return cert;
}

static struct guest *nobody(void) {
    struct guest *guests = calloc(GUESTS_MAX, sizeof *guests);
    INVARIANT(guests != NULL);
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        guests[i].fd = -1;
    }
    return guests;
}

static void stress_init(struct stress *stress, char **argv) {
    struct crowd *crowd = &stress->crowd;
    crowd->gate.sin_family = AF_INET;
    crowd->gate.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    must(inet_pton(AF_INET, argv[1], &crowd->gate.sin_addr) == 1 ? OK : FAIL(ERR_MALFORMED),
         argv[1]);
    crowd->client = (struct client_config){
        .transport = {.role = TRANSPORT_CLIENT,
                      .software = "PosternStress",
                      .random = randomness_of_kernel},
        .user = argv[3],
        .key = load_key(argv[4]),
        .cert = load_cert(argv[5]),
        .offer_first = true,
    };
    crowd->seed = strtoull(argv[6], NULL, 10);
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    INVARIANT(crowd->epoll >= 0);
    buf_init(&crowd->in, SIZE_MAX);
    buf_init(&crowd->out, SIZE_MAX);
    stress->steady = nobody();
    stress->chaos = nobody();
    look_at_clock(stress);
}

static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct stress stress = {0};
    if (argc != 7) {
        (void)fputs("usage: gate_stress ADDRESS PORT USER KEY CERTIFICATE SEED\n", stderr);
        return 2;
    }
    raise_descriptors();
    crowd_pattern_init();
    stress_init(&stress, argv);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    INVARIANT(epoll_ctl(stress.crowd.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0);
    /* One command at a time: who sends them waits for each answer. */
    for (;;) {
        char line[128];
        wait_for_line(&stress);
        if (fgets(line, sizeof line, stdin) == NULL) {
            break;
        }
        obey(&stress, line);
    }
    set_count(stress.steady, &stress.steady_count, 0);
    set_count(stress.chaos, &stress.chaos_count, 0);
    return 0;
}
