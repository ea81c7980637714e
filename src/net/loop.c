#include "net/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct signal_watch {
    struct event event;
    void (*call)(void *context);
    void *context;
    struct signal_watch *next;
};

struct loop {
    struct event_base *base;
    struct signal_watch *signals;
    bool stopped; /* kept apart from libevent's own flag, which event_base_loop() clears at start */
};

struct timer {
    struct event event;
    void (*call)(void *context);
    void *context;
};

struct watch {
    struct event event;
    void (*call)(void *context, bool readable, bool writable);
    void *context;
};

err_t loop_new(struct loop **out) {
    struct loop *loop CLEANUP(loop_freep) = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (loop == NULL || config == NULL) {
        event_config_free(config);
        return FAIL(ERR_MEMORY);
    }
    /* Other threads reach a loop only through a worker's eventfd, so libevent needs no locks. */
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0) {
        loop->base = event_base_new_with_config(config);
    }
    event_config_free(config);
    if (loop->base == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(loop);
    return OK;
}

void loop_free(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    while (loop->signals != NULL) {
        struct signal_watch *watch = loop->signals;
        loop->signals = watch->next;
        (void)event_del(&watch->event);
        free(watch);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    free(loop);
}

void loop_freep(struct loop **loop) { loop_free(*loop); }

struct event_base *loop_event_base(struct loop *loop) {
    return loop->base;
}

err_t loop_run(struct loop *loop) {
    while (!loop->stopped) {
        if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0) {
            return FAIL(ERR_IO);
        }
    }
    loop->stopped = false;
    return OK;
}

void loop_stop(struct loop *loop) {
    loop->stopped = true;
    (void)event_base_loopbreak(loop->base);
}

static void on_signal(evutil_socket_t signal, short what, void *context) {
    (void)signal;
    (void)what;
    struct signal_watch *watch = context;
    watch->call(watch->context);
}

err_t loop_on_signal(struct loop *loop, int signal, void (*call)(void *context), void *context) {
    struct signal_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return FAIL(ERR_MEMORY);
    }
    watch->call = call;
    watch->context = context;
    if (evsignal_assign(&watch->event, loop->base, signal, on_signal, watch) != 0 ||
        event_add(&watch->event, NULL) != 0) {
        free(watch);
        return FAIL(ERR_IO);
    }
    watch->next = loop->signals;
    loop->signals = watch;
    return OK;
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct timer *timer = context;
    timer->call(timer->context);
}

err_t timer_start(struct loop *loop, int delay_ms, int interval_ms, void (*call)(void *context),
                  void *context, struct timer **out) {
    INVARIANT(delay_ms >= 0 && interval_ms >= 0);
    struct timer *timer CLEANUP(freep) = calloc(1, sizeof *timer);
    if (timer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    timer->call = call;
    timer->context = context;
    int period_ms = interval_ms > 0 ? interval_ms : delay_ms;
    struct timeval period = {.tv_sec = period_ms / 1000, .tv_usec = period_ms % 1000 * 1000};
    if (event_assign(&timer->event, loop->base, -1, interval_ms > 0 ? EV_PERSIST : 0, on_timer,
                     timer) != 0 ||
        event_add(&timer->event, &period) != 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(timer);
    return OK;
}

void timer_stop(struct timer *timer) {
    if (timer != NULL) {
        (void)event_del(&timer->event);
        free(timer);
    }
}

static void on_watch(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    struct watch *watch = context;
    watch->call(watch->context, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

static err_t watch_arm(struct watch *watch, struct event_base *base, int fd, bool readable,
                       bool writable) {
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST);
    if (event_assign(&watch->event, base, fd, what, on_watch, watch) != 0) {
        return FAIL(ERR_IO);
    }
    /* Watching for nothing is a pause: the event stays known and is not added. */
    if ((readable || writable) && event_add(&watch->event, NULL) != 0) {
        return FAIL(ERR_IO);
    }
    return OK;
}

err_t watch_start(struct loop *loop, int fd, bool readable, bool writable,
                  void (*call)(void *context, bool readable, bool writable), void *context,
                  struct watch **out) {
    struct watch *watch CLEANUP(freep) = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return FAIL(ERR_MEMORY);
    }
    watch->call = call;
    watch->context = context;
    TRY(watch_arm(watch, loop->base, fd, readable, writable));
    *out = TAKE(watch);
    return OK;
}

err_t watch_change(struct watch *watch, bool readable, bool writable) {
    struct event_base *base = event_get_base(&watch->event);
    int fd = event_get_fd(&watch->event);
    if (event_del(&watch->event) != 0) {
        return FAIL(ERR_IO);
    }
    return watch_arm(watch, base, fd, readable, writable);
}

void watch_stop(struct watch *watch) {
    if (watch != NULL) {
        (void)event_del(&watch->event);
        free(watch);
    }
}
