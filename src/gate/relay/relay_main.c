/*
 * The relay's process. Its own thread listens to the master and to the feed; the workers' threads
 * have the clients. Clients are accepted once the feed has been heard, if there is one: a gate that
 * starts, and one that is handed over to, refuses nobody because it does not know them yet.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "gate/process.h"
#include "gate/relay/relay_process.h"

enum {
    FEED_WAIT_MS = 5 * 1000, /* for the first answer */
    DRAIN_LOOK_MS = 50,
};

struct relay_process {
    struct control control;
    struct relay_feed feed;

    /* Until START. */
    int listeners[CONTROL_FDS_MAX], keys[CONTROL_FDS_MAX], names[CONTROL_FDS_MAX];
    int uplinks[CONTROL_FDS_MAX];
    size_t uplink_count; /* 0: there are none as yet */
    struct relay_wiring wiring;
    size_t names_count;
    struct relay_setup *setup;

    struct relay *relay; /* from START on */
    size_t workers;
    bool needs_feed, heard;
    bool accepting, draining, ended;
    int64_t accept_ms; /* then it accepts without having heard the feed */
};

/* ---- setup ----------------------------------------------------------------------------------- */

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    struct fault *fault = context;
    ignore_err(fault_set(fault, ERR_MALFORMED, complaint->field, "%s", complaint->reason));
}

/* Arrays of keys and certificates, which a setup owns. */
struct shown_keys {
    struct key **keys;
    struct cert **certs;
    size_t count;
};

static void shown_keys_done(struct shown_keys *shown) {
    for (size_t i = 0; i < shown->count; i++) {
        key_free(shown->keys[i]);
        cert_free(shown->certs[i]);
    }
    free(shown->keys);
    free(shown->certs);
}

static err_t parse_keys(const struct control_setup *from, struct shown_keys *out) {
    struct shown_keys shown CLEANUP(shown_keys_done) = {.count = 0};
    shown.keys = calloc(from->count, sizeof(struct key *));
    shown.certs = calloc(from->count, sizeof(struct cert *));
    if (shown.keys == NULL || shown.certs == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < from->count; i++) {
        shown.count++;
        TRY(key_parse(from->host_keys[i].key, &shown.keys[i]));
        if (from->host_keys[i].cert.len > 0) {
            TRY(cert_parse(from->host_keys[i].cert, &shown.certs[i]));
        }
    }
    *out = shown;
    shown = (struct shown_keys){.count = 0};
    return OK;
}

static err_t make_setup(span_t body, struct relay_setup **out, struct fault *fault) {
    struct control_setup from;
    struct gate_config config;
    struct shown_keys shown CLEANUP(shown_keys_done) = {.count = 0};
    TRY(control_get_setup(body, &from));
    TRY(parse_keys(&from, &shown));
    TRY(gate_config_parse(from.config, on_complaint, fault, &config));
    size_t count = shown.count;
    shown.count = 0;
    return relay_setup_new(&config, TAKE(shown.keys), TAKE(shown.certs), count, out, fault);
}

static err_t say(struct relay_process *process, enum control_type type, const char *text) {
    return control_send(&process->control, type, NULL, 0, span_str(text));
}

/* The first one must be good; of a later one that is not, the master is told. */
static err_t take_setup(struct relay_process *process, span_t body) {
    struct fault fault = {.reason = ""};
    struct relay_setup *setup;
    err_t err = make_setup(body, &setup, &fault);
    if (failed(err)) {
        char text[640];
        (void)snprintf(text, sizeof text, "%s: %s", fault.field,
                       fault.reason[0] != '\0' ? fault.reason : err_text(err));
        log_error("setup_refused", err, "reason", text, NULL);
        return process->relay != NULL ? say(process, CONTROL_SETUP_REFUSED, text) : err;
    }
    if (process->relay == NULL) {
        relay_setup_release(process->setup);
        process->setup = setup;
        return OK;
    }
    relay_set_setup(process->relay, setup);
    return process->accepting ? say(process, CONTROL_READY, "") : OK;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* The frame's descriptors become those at `place`, which had none. */
static err_t take_fds(struct control_frame *frame, size_t max, int *place, size_t *count) {
    if (*count != 0 || frame->fd_count == 0 || frame->fd_count > max) {
        return FAIL(ERR_PROTOCOL);
    }
    memcpy(place, frame->fds, frame->fd_count * sizeof place[0]);
    *count = frame->fd_count;
    frame->fd_count = 0;
    return OK;
}

static err_t take_shared(struct relay_process *process, struct control_frame *frame) {
    if (frame->fd_count != 1 || process->wiring.shared != NULL) {
        return FAIL(ERR_PROTOCOL);
    }
    return process_map(frame->fds[0], true, &process->wiring.shared);
}

static err_t take_feed(struct relay_process *process, struct control_frame *frame) {
    if (frame->fd_count != 1) {
        return FAIL(ERR_PROTOCOL);
    }
    relay_feed_set(&process->feed, frame->fds[0]);
    frame->fd_count = 0;
    return OK;
}

/* The walls go up before anything of the network's is read. */
static err_t begin(struct relay_process *process, span_t body) {
    struct relay_wiring *wiring = &process->wiring;
    if (process->workers == 0 || process->names_count != process->workers ||
        wiring->listener_count == 0 || wiring->shared == NULL || process->setup == NULL) {
        return FAIL(ERR_PROTOCOL);
    }
    wiring->workers = (unsigned)process->workers;
    wiring->listeners = process->listeners;
    wiring->keys = process->keys;
    wiring->names = process->names;
    TRY(relay_lock_in());
    TRY(relay_new(wiring, TAKE(process->setup), &process->relay));
    if (process->uplink_count == process->workers) {
        TRY(relay_set_uplinks(process->relay, process->uplinks));
    }
    process->needs_feed = body.len > 0;
    process->accept_ms = clock_monotonic_ms() + (process->feed.fd >= 0 ? FEED_WAIT_MS : 0);
    return OK;
}

static err_t on_frame_before(struct relay_process *process, struct control_frame *frame) {
    switch ((unsigned)frame->type) {
    case CONTROL_LISTENERS:
        return take_fds(frame, GATE_LISTEN_MAX, process->listeners,
                        &process->wiring.listener_count);
    case CONTROL_SHARED:
        return take_shared(process, frame);
    case CONTROL_KEYS:
        return take_fds(frame, GATE_WORKERS_MAX, process->keys, &process->workers);
    case CONTROL_NAMES:
        return take_fds(frame, GATE_WORKERS_MAX, process->names, &process->names_count);
    case CONTROL_SETUP:
        return take_setup(process, frame->body);
    case CONTROL_FEED:
        return take_feed(process, frame);
    case CONTROL_UPLINK:
        return take_fds(frame, GATE_WORKERS_MAX, process->uplinks, &process->uplink_count);
    case CONTROL_START:
        return begin(process, frame->body);
    default:
        return FAIL(ERR_PROTOCOL);
    }
}

static err_t renew(struct relay_process *process, struct control_frame *frame,
                   err_t (*set)(struct relay *relay, const int *fds)) {
    if (frame->fd_count != process->workers) {
        return FAIL(ERR_PROTOCOL);
    }
    frame->fd_count = 0;
    return set(process->relay, frame->fds);
}

static err_t stop(struct relay_process *process, span_t text) {
    char line[256];
    (void)snprintf(line, sizeof line, "%.*s", (int)text.len, (const char *)text.data);
    process->ended = true;
    if (process->accepting) {
        relay_stop(process->relay, line);
    }
    return OK;
}

static err_t on_frame_after(struct relay_process *process, struct control_frame *frame) {
    switch ((unsigned)frame->type) {
    case CONTROL_KEYS:
        return renew(process, frame, relay_set_keys);
    case CONTROL_NAMES:
        return renew(process, frame, relay_set_names);
    case CONTROL_SETUP:
        return take_setup(process, frame->body);
    case CONTROL_FEED:
        return take_feed(process, frame);
    case CONTROL_UPLINK:
        return renew(process, frame, relay_set_uplinks);
    case CONTROL_DRAIN:
        relay_drain(process->relay);
        process->draining = true;
        return OK;
    case CONTROL_STOP:
        return stop(process, frame->body);
    default:
        return FAIL(ERR_PROTOCOL);
    }
}

static err_t on_control(struct relay_process *process) {
    struct control_frame frame;
    err_t err;
    while (!failed(err = control_receive(&process->control, &frame))) {
        err = process->relay == NULL ? on_frame_before(process, &frame)
                                     : on_frame_after(process, &frame);
        control_frame_close(&frame);
        TRY(err);
    }
    return err.code == ERR_TRUNCATED ? OK : err;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static err_t accept_clients(struct relay_process *process) {
    if (process->needs_feed && !process->heard) {
        log_event(LOG_LEVEL_ERROR, "feed_not_heard", "reason",
                  "a gate that knows nobody does not take over; is postern-host sync running?",
                  NULL);
        return FAIL(ERR_TIMEOUT);
    }
    TRY(relay_start(process->relay));
    process->accepting = true;
    return say(process, CONTROL_READY, "");
}

static err_t on_feed(struct relay_process *process) {
    size_t applied;
    if (failed(relay_feed_read(&process->feed, process->relay, &applied))) {
        relay_feed_set(&process->feed, -1);
        process->accept_ms = 0; /* what it says is not to be had now */
        return say(process, CONTROL_FEED_ENDED, "");
    }
    if (applied > 0) {
        process->heard = true;
        process->accept_ms = 0;
    }
    return OK;
}

static int timeout_ms(const struct relay_process *process) {
    if (process->relay != NULL && !process->accepting) {
        int64_t left_ms = process->accept_ms - clock_monotonic_ms();
        return left_ms > 0 ? (int)left_ms : 0;
    }
    return process->draining ? DRAIN_LOOK_MS : -1;
}

static err_t turn(struct relay_process *process) {
    struct pollfd ready[2] = {
        {.fd = process->control.fd, .events = POLLIN},
        {.fd = process->relay != NULL ? process->feed.fd : -1, .events = POLLIN}};
    if (poll(ready, COUNT_OF(ready), timeout_ms(process)) < 0) {
        return errno == EINTR ? OK : err_from_errno(errno);
    }
    if (ready[0].revents != 0) {
        TRY(on_control(process));
    }
    /* Only if the master has not replaced it just now. */
    if (!process->ended && ready[1].revents != 0 && ready[1].fd == process->feed.fd) {
        TRY(on_feed(process));
    }
    if (process->draining && (!process->accepting || relay_sessions(process->relay) == 0)) {
        return stop(process, SPAN_LITERAL("this gate is being stopped"));
    }
    bool due = process->relay != NULL && !process->accepting && !process->ended;
    return due && timeout_ms(process) == 0 ? accept_clients(process) : OK;
}

static err_t run(struct relay_process *process, char **argv) {
    TRY(process_become(argv[1], argv[2]));
    while (!process->ended) {
        TRY(turn(process));
    }
    return OK;
}

int relay_main(int argc, char **argv) {
    static struct relay_process process;
    if (argc != 3) {
        return 2;
    }
    /* The master says when to end; a signal to all of the service must not. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    control_init(&process.control, RELAY_CONTROL_FD, CONTROL_BODY_BYTES_MAX);
    relay_feed_init(&process.feed);
    err_t err = run(&process, argv);
    if (failed(err)) {
        log_error("relay_ended", err, NULL);
        if (process.accepting && !process.ended) {
            relay_stop(process.relay, "this gate has failed; connect again");
        }
    }
    relay_feed_done(&process.feed);
    control_done(&process.control);
    relay_free(process.relay);
    relay_setup_release(process.setup);
    return failed(err) ? 1 : 0;
}
