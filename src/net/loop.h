/*
 * The event loop of a program: timers, signals, and work that would block, done on threads of its
 * own.
 *
 * Everything runs on the loop's thread except a item's run().
 */
#ifndef POSTERN_NET_LOOP_H
#define POSTERN_NET_LOOP_H

#include "base/err.h"

struct event_base;
struct loop;

err_t loop_new(struct loop **out);
void loop_free(struct loop *loop);
void loop_freep(struct loop **loop);
struct event_base *loop_event_base(struct loop *loop); /* for the other files of this room */

/* Runs until loop_stop(). */
err_t loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Calls back on a signal, as an ordinary event and never in a signal handler. */
err_t loop_on_signal(struct loop *loop, int signal, void (*call)(void *context), void *context);

struct timer;
/*
 * Once after delay_ms, or (interval_ms > 0) every interval_ms. timer_stop() frees a timer, one that
 * has fired as well, and may be called from its own call().
 */
err_t timer_start(struct loop *loop, int delay_ms, int interval_ms, void (*call)(void *context),
                  void *context, struct timer **out);
void timer_stop(struct timer *timer); /* takes NULL */

/* A descriptor that somebody wants to read from or write to. */
struct watch;
err_t watch_start(struct loop *loop, int fd, bool readable, bool writable,
                  void (*call)(void *context, bool readable, bool writable), void *context,
                  struct watch **out);
err_t watch_change(struct watch *watch, bool readable, bool writable);
void watch_stop(struct watch *watch); /* takes NULL; does not close */

/*
 * A worker: threads that take items in order. run() is called on a worker thread, done() afterwards
 * on the loop's thread. The queue is bounded: worker_submit() says ERR_BUSY beyond queue_max (items
 * waiting, those at work not counted), and ERR_CLOSED once worker_free() has begun. Only the loop's
 * thread submits. Worker threads take no signals.
 */
struct worker;
struct work {
    void (*run)(struct work *work);
    void (*done)(struct work *work);
    struct work *next; /* the worker's while it has it */
};
err_t worker_new(struct loop *loop, unsigned threads, size_t queue_max, struct worker **out);
/*
 * A worker of one thread that takes all items waiting, up to batch_max, calls before(), each run(),
 * after(), and only then has each done() called: many items share one transaction. A batch is
 * whatever gathered while the last one was at work, and what comes before its own after().
 */
err_t worker_new_batching(struct loop *loop, size_t batch_max, size_t queue_max,
                          void (*before)(void *context), void (*after)(void *context),
                          void *context, struct worker **out);
err_t worker_submit(struct worker *worker, struct work *work);
size_t worker_queued(const struct worker *worker);
/* Finishes the queue, joins the threads, calls every done(). Not from a done(); takes NULL. */
void worker_free(struct worker *worker);

#endif
