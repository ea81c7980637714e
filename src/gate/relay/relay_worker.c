#include "gate/relay/relay.h"

#include <malloc.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    READY_COUNT = 256,
    ACCEPT_COUNT = 16,      /* in one turn */
    ACCEPT_WAIT_MS = 10,    /* while as many log in as may */
    ACCEPT_FAILED_MS = 200, /* after an error, of which the next call would be full as well */
    TRIM_MS = 10 * 1000,
    OUTPUT_BYTES_MAX = 4 * 1024 * 1024,
};

/* --- making --- */

static err_t wake_new(struct relay_worker *worker) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return FAIL(ERR_IO);
    }
    worker->wake = (struct poller_source){.fd = fd, .kind = SOURCE_WAKE};
    return poller_add(worker->poller, &worker->wake);
}

static err_t listen_to(struct relay_worker *worker, const struct relay_wiring *wiring) {
    for (size_t i = 0; i < wiring->listener_count; i++) {
        struct poller_source *source = &worker->listeners[i];
        *source = (struct poller_source){.fd = wiring->listeners[i], .kind = SOURCE_LISTENER};
        TRY(poller_add_shared(worker->poller, source));
        worker->listener_count++;
    }
    return OK;
}

static err_t buffers_new(struct relay_worker *worker) {
    worker->input_size = LIMIT_PACKET_BYTES + RELAY_TURN_BYTES + RELAY_READ_BYTES;
    worker->input = malloc(worker->input_size);
    buf_init(&worker->output, OUTPUT_BYTES_MAX);
    uint8_t *room;
    TRY(buf_extend(&worker->output, 2 * RELAY_TURN_BYTES, &room)); /* grown once, not by steps */
    buf_clear(&worker->output);
    return worker->input == NULL ? FAIL(ERR_MEMORY) : OK;
}

static err_t worker_fill(struct relay_worker *worker, const struct relay_wiring *wiring) {
    if (pthread_mutex_init(&worker->mailbox, NULL) != 0) {
        return FAIL(ERR_MEMORY);
    }
    TRY(poller_new(&worker->poller));
    TRY(wake_new(worker));
    TRY(listen_to(worker, wiring));
    worker->slots = calloc(LIMIT_NAMES_ASKED_COUNT, sizeof *worker->slots);
    TRY(worker->slots == NULL ? FAIL(ERR_MEMORY) : OK);
    TRY(buffers_new(worker));
    TRY(cert_memo_new(&worker->memo));
    ask_replace(worker, &worker->keys, SOURCE_KEYS, wiring->keys[worker->index]);
    ask_replace(worker, &worker->names, SOURCE_NAMES, wiring->names[worker->index]);
    return OK;
}

err_t relay_worker_new(struct relay *relay, unsigned index, const struct relay_wiring *wiring,
                       struct relay_worker **out) {
    struct relay_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return FAIL(ERR_MEMORY);
    }
    worker->relay = relay;
    worker->index = index;
    worker->counters = &relay->shared->workers[index];
    worker->wake.fd = worker->keys.source.fd = worker->names.source.fd = -1;
    worker->uplink.source.fd = -1;
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        worker->new_sockets[i] = -1;
    }
    TAILQ_INIT(&worker->sessions);
    TAILQ_INIT(&worker->running);
    TAILQ_INIT(&worker->dead);
    STAILQ_INIT(&worker->signing);
    TAILQ_INIT(&worker->uplink_waits);
    err_t err = worker_fill(worker, wiring);
    if (failed(err)) {
        relay_worker_free(worker);
        return err;
    }
    *out = worker;
    return OK;
}

static void close_fd(int fd) {
    if (fd >= 0) {
        (void)close(fd);
    }
}

void relay_worker_free(struct relay_worker *worker) {
    if (worker == NULL) {
        return;
    }
    while (worker->arrivals != NULL) {
        struct arrival *gone = worker->arrivals;
        worker->arrivals = gone->next;
        close_fd(gone->fd);
        free(gone);
    }
    tell_cuts_free(worker->cuts);
    ask_replace(worker, &worker->keys, SOURCE_KEYS, -1);
    ask_replace(worker, &worker->names, SOURCE_NAMES, -1);
    ask_replace(worker, &worker->uplink, SOURCE_UPLINK, -1);
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        close_fd(worker->new_sockets[i]);
    }
    close_fd(worker->wake.fd);
    poller_free(worker->poller);
    free(worker->slots);
    free(worker->input);
    buf_done(&worker->output);
    cert_memo_free(worker->memo);
    (void)pthread_mutex_destroy(&worker->mailbox);
    free(worker);
}

void relay_worker_wake(struct relay_worker *worker) {
    uint64_t one = 1;
    ssize_t put = write(worker->wake.fd, &one, sizeof one);
    (void)put; /* a full counter wakes as well */
}

/* --- accepting --- */

static struct relay_worker *least_loaded(struct relay_worker *worker) {
    const struct relay *relay = worker->relay;
    struct relay_worker *least = worker;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct relay_worker *other = relay->workers[i];
        if (atomic_load(&other->load) + 1 < atomic_load(&least->load)) {
            least = other;
        }
    }
    return least;
}

static void begin(struct relay_worker *worker, int fd, const struct inet_address *from,
                  uint16_t port) {
    if (failed(session_begin(worker, fd, from, port))) {
        (void)close(fd);
        atomic_fetch_sub(&worker->load, 1);
        atomic_fetch_sub(&worker->relay->sessions, 1);
        atomic_fetch_sub(&worker->relay->logins, 1);
    }
}

static void send_arrival(struct relay_worker *to, struct arrival *arrival) {
    (void)pthread_mutex_lock(&to->mailbox);
    arrival->next = to->arrivals;
    to->arrivals = arrival;
    (void)pthread_mutex_unlock(&to->mailbox);
    relay_worker_wake(to);
}

/* Whoever accepts a connection gives it to the worker with the fewest: the kernel wakes the same
 * one again and again. */
static void admit(struct relay_worker *worker, int fd, const struct inet_address *from,
                  uint16_t port) {
    struct relay *relay = worker->relay;
    COUNT(worker, connections_total, 1);
    atomic_fetch_add(&relay->sessions, 1);
    atomic_fetch_add(&relay->logins, 1);
    struct relay_worker *to = least_loaded(worker);
    struct arrival *arrival = to == worker ? NULL : malloc(sizeof *arrival);
    if (arrival == NULL) {
        atomic_fetch_add(&worker->load, 1);
        begin(worker, fd, from, port);
        return;
    }
    atomic_fetch_add(&to->load, 1);
    *arrival = (struct arrival){.fd = fd, .from = *from, .port = port};
    send_arrival(to, arrival);
}

static void turn_away(struct relay_worker *worker, int fd, const struct inet_address *from) {
    static const char text[] =
        "posterngate: as many people are here as may be; try again later\r\n";
    struct iovec part = {(void *)(uintptr_t)text, sizeof text - 1};
    size_t count;
    (void)socket_write(fd, &part, 1, &count);
    (void)close(fd);
    COUNT(worker, connections_refused_total, 1);
    record_arrival_refused(worker, from, "sessions_max");
}

enum accepting { ACCEPT_LATER, ACCEPT_NOBODY, ACCEPT_MORE };

static enum accepting accept_from(struct relay_worker *worker, struct poller_source *listener,
                                  const struct gate_config *config) {
    struct relay *relay = worker->relay;
    for (unsigned i = 0; i < ACCEPT_COUNT; i++) {
        if (atomic_load(&relay->logins) >= config->logins_max) {
            atomic_store(&relay->crowded_ms, worker->now_ms);
            return ACCEPT_LATER; /* the backlog holds them meanwhile: nobody is dropped */
        }
        int fd;
        struct inet_address from;
        uint16_t port;
        err_t err = socket_accept(listener->fd, &fd, &from, &port);
        if (err.code == ERR_NOT_FOUND) {
            listener->readable = false;
            return ACCEPT_NOBODY;
        }
        if (failed(err)) {
            log_error("accept_failed", err, NULL);
            worker->accept_ms = worker->now_ms + ACCEPT_FAILED_MS;
            return ACCEPT_LATER;
        }
        if (atomic_load(&relay->sessions) >= config->sessions_max) {
            turn_away(worker, fd, &from);
        } else {
            admit(worker, fd, &from, port);
        }
    }
    return ACCEPT_MORE;
}

/* The last one to look away closes the sockets, so that clients are turned away at once by the
 * kernel, unless another process listens at them as well. */
static void stop_listening(struct relay_worker *worker) {
    struct relay *relay = worker->relay;
    if (worker->listener_count == 0) {
        return;
    }
    for (size_t i = 0; i < worker->listener_count; i++) {
        poller_remove(worker->poller, &worker->listeners[i]);
    }
    worker->listener_count = 0;
    if (atomic_fetch_sub(&relay->listening, 1) == 1) {
        relay_close_listeners(relay);
    }
}

/* How long the loop may wait for the sake of who is at the door; -1: nobody is. */
static int accept_some(struct relay_worker *worker) {
    if (atomic_load(&worker->relay->draining)) {
        stop_listening(worker);
    }
    int wait_ms = -1;
    struct relay_setup *setup = NULL;
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (!worker->listeners[i].readable) {
            continue;
        }
        if (worker->now_ms < worker->accept_ms) {
            wait_ms = ACCEPT_WAIT_MS;
            break;
        }
        setup = setup == NULL ? relay_setup_now(worker->relay) : setup;
        switch (accept_from(worker, &worker->listeners[i], &setup->config)) {
        case ACCEPT_MORE:
            wait_ms = 0;
            break;
        case ACCEPT_LATER:
            wait_ms = wait_ms == 0 ? 0 : ACCEPT_WAIT_MS;
            break;
        case ACCEPT_NOBODY:
            break;
        }
    }
    relay_setup_release(setup);
    return wait_ms;
}

/* --- what others asked of this thread --- */

static void take_socket(struct relay_worker *worker, struct ask *ask, enum source_kind kind,
                        int fd) {
    if (fd >= 0) {
        ask_replace(worker, ask, kind, fd);
    }
}

static void read_mail(struct relay_worker *worker) {
    uint64_t count;
    ssize_t got = read(worker->wake.fd, &count, sizeof count);
    (void)got;
    worker->wake.readable = false;
    (void)pthread_mutex_lock(&worker->mailbox);
    struct arrival *arrivals = TAKE(worker->arrivals);
    struct cut *cuts = TAKE(worker->cuts);
    int sockets[ASKED_COUNT];
    for (size_t i = 0; i < ASKED_COUNT; i++) {
        sockets[i] = worker->new_sockets[i];
        worker->new_sockets[i] = -1;
    }
    (void)pthread_mutex_unlock(&worker->mailbox);
    take_socket(worker, &worker->keys, SOURCE_KEYS, sockets[ASKED_KEYS]);
    take_socket(worker, &worker->names, SOURCE_NAMES, sockets[ASKED_NAMES]);
    take_socket(worker, &worker->uplink, SOURCE_UPLINK, sockets[ASKED_UPLINK]);
    if (sockets[ASKED_UPLINK] >= 0) {
        tell_anew(worker);
    }
    tell_obey(worker, cuts);
    tell_cuts_free(cuts);
    while (arrivals != NULL) {
        struct arrival *next = arrivals->next;
        begin(worker, arrivals->fd, &arrivals->from, arrivals->port);
        free(arrivals);
        arrivals = next;
    }
}

static void say_farewell(struct relay_worker *worker, const char *text) {
    struct relay_session *next;
    for (struct relay_session *session = TAILQ_FIRST(&worker->sessions); session != NULL;
         session = next) {
        next = TAILQ_NEXT(session, of_worker);
        session_end(session, DISCONNECT_BY_APPLICATION, "stopped", text);
        session_settle(session, OK);
    }
    worker->said_farewell = true;
    worker->stop_ms = worker->now_ms + RELAY_LINGER_MS;
}

static void obey(struct relay_worker *worker) {
    uint64_t judgements = atomic_load(&worker->relay->judgements);
    if (judgements != worker->judged) {
        worker->judged = judgements;
        judge_all(worker);
    }
    const char *farewell = atomic_load(&worker->relay->farewell);
    if (farewell != NULL && !worker->said_farewell) {
        say_farewell(worker, farewell);
    }
}

/* --- the loop --- */

static uint64_t now_us(void) {
    struct timespec now;
    INVARIANT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void look_at_clock(struct relay_worker *worker) {
    worker->now_ms = clock_monotonic_ms();
    worker->now_s = clock_now_s();
}

static void trim(struct relay_worker *worker) {
    size_t held = worker->held_bytes + worker->keys.held_bytes + worker->names.held_bytes +
                  worker->uplink.held_bytes;
    uint64_t before = atomic_load_explicit(&worker->counters->held_bytes, memory_order_relaxed);
    worker->trim |= held < before;
    atomic_store_explicit(&worker->counters->held_bytes, held, memory_order_relaxed);
    if (worker->trim && worker->now_ms >= worker->trim_ms) {
        worker->trim = false;
        worker->trim_ms = worker->now_ms + TRIM_MS;
        (void)malloc_trim(0);
    }
}

static void sweep(struct relay_worker *worker) {
    worker->sweep_ms = worker->now_ms + RELAY_SWEEP_MS;
    tell_begin_sweep(worker);
    struct relay_session *next;
    for (struct relay_session *session = TAILQ_FIRST(&worker->sessions); session != NULL;
         session = next) {
        next = TAILQ_NEXT(session, of_worker);
        session_sweep(session);
    }
    trim(worker);
    atomic_store_explicit(&worker->counters->loop_lag_us, worker->turn_us_max,
                          memory_order_relaxed);
    worker->turn_us_max = 0;
}

/* Those that have more to do come again in the next turn, after all others. */
static void run(struct relay_worker *worker) {
    struct run_list now = TAILQ_HEAD_INITIALIZER(now);
    TAILQ_CONCAT(&now, &worker->running, of_running);
    struct relay_session *session;
    while ((session = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, session, of_running);
        session->runs = false;
        if (session->phase != SESSION_DEAD) {
            session_turn(session);
        }
    }
}

static void bury(struct relay_worker *worker) {
    struct relay_session *session;
    while ((session = TAILQ_FIRST(&worker->dead)) != NULL) {
        TAILQ_REMOVE(&worker->dead, session, of_worker);
        if (session->runs) {
            TAILQ_REMOVE(&worker->running, session, of_running);
        }
        session_free(session);
        worker->trim = true;
    }
}

/* Only looks at what is ready; nothing is freed here. */
static void look_at(struct poller_source **ready, size_t count) {
    for (size_t i = 0; i < count; i++) {
        switch ((enum source_kind)ready[i]->kind) {
        case SOURCE_CLIENT:
            session_schedule((struct relay_session *)ready[i]);
            break;
        case SOURCE_TARGET:
            forward_activate((struct forward *)ready[i]);
            break;
        case SOURCE_WAKE:
        case SOURCE_LISTENER:
        case SOURCE_KEYS:
        case SOURCE_NAMES:
        case SOURCE_UPLINK:
            break; /* their flags say it */
        }
    }
}

/* One turn; returns how long the next may wait. */
static int turn(struct relay_worker *worker) {
    if (worker->wake.readable) {
        read_mail(worker);
    }
    obey(worker);
    ask_ready(worker, &worker->keys);
    ask_ready(worker, &worker->names);
    ask_ready(worker, &worker->uplink);
    run(worker);
    int wait_ms = accept_some(worker);
    if (worker->now_ms >= worker->sweep_ms) {
        sweep(worker);
    }
    bury(worker);
    if (!TAILQ_EMPTY(&worker->running)) {
        return 0;
    }
    int64_t left = worker->sweep_ms - worker->now_ms;
    return wait_ms >= 0 && wait_ms < left ? wait_ms : (int)left;
}

static bool is_over(const struct relay_worker *worker) {
    return worker->said_farewell &&
           (TAILQ_EMPTY(&worker->sessions) || worker->now_ms >= worker->stop_ms);
}

static void end_all(struct relay_worker *worker) {
    struct relay_session *session;
    while ((session = TAILQ_FIRST(&worker->sessions)) != NULL) {
        session_abandon(session, "stopped");
    }
    bury(worker);
}

void *relay_worker_main(void *context) {
    struct relay_worker *worker = context;
    look_at_clock(worker);
    worker->sweep_ms = worker->now_ms + RELAY_SWEEP_MS;
    int wait_ms = 0;
    while (!is_over(worker)) {
        struct poller_source *ready[READY_COUNT];
        size_t count;
        INVARIANT(!failed(poller_wait(worker->poller, wait_ms, READY_COUNT, ready, &count)));
        uint64_t began_us = now_us();
        look_at_clock(worker);
        look_at(ready, count);
        wait_ms = turn(worker);
        uint64_t took_us = now_us() - began_us;
        worker->turn_us_max = took_us > worker->turn_us_max ? took_us : worker->turn_us_max;
    }
    end_all(worker);
    return NULL;
}
