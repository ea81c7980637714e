/*
 * Threads that take items in order.
 *
 * 1. `waiting` and `finished` are touched only under `mutex`; `before`, `run` and `after` are
 *    called without it.
 * 2. A piece of work is on exactly one of: `waiting`, a thread's own batch, `finished`, nowhere.
 * 3. The eventfd is written when `finished` stops being empty, so one wakeup stands for all items
 *    that finish before the loop comes round to take the whole list.
 */
#include "net/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct work_queue {
    struct work *head;
    struct work **tail;
};

struct worker {
    struct event wakeup;
    int wakeup_fd;
    pthread_mutex_t mutex;
    pthread_cond_t work_or_end;
    struct work_queue waiting;
    struct work_queue finished;
    _Atomic size_t waiting_count; /* written under the mutex, read by anybody */
    size_t queue_max;
    size_t batch_max;
    void (*before)(void *context);
    void (*after)(void *context);
    void *context;
    bool ending;
    unsigned thread_count;
    pthread_t threads[];
};

static void queue_init(struct work_queue *queue) {
    queue->head = NULL;
    queue->tail = &queue->head;
}

static void queue_add(struct work_queue *queue, struct work *work) {
    work->next = NULL;
    *queue->tail = work;
    queue->tail = &work->next;
}

/* Empties `from` into the end of `to`. */
static void queue_move(struct work_queue *to, struct work_queue *from) {
    if (from->head != NULL) {
        *to->tail = from->head;
        to->tail = from->tail;
        queue_init(from);
    }
}

/* Takes what waits, until the batch has `batch_max` items. Called with the mutex. */
static void take_waiting(struct worker *worker, struct work_queue *batch, size_t *count) {
    for (; *count < worker->batch_max && worker->waiting.head != NULL; ++*count) {
        struct work *work = worker->waiting.head;
        worker->waiting.head = work->next;
        if (work->next == NULL) {
            worker->waiting.tail = &worker->waiting.head;
        }
        queue_add(batch, work);
        worker->waiting_count--;
    }
}

/* Waits for work; an empty batch means the end. Called with the mutex. */
static void take_batch(struct worker *worker, struct work_queue *batch, size_t *count) {
    while (worker->waiting.head == NULL && !worker->ending) {
        (void)pthread_cond_wait(&worker->work_or_end, &worker->mutex);
    }
    take_waiting(worker, batch, count);
}

/* What comes while the batch runs still belongs to it: after() is what costs. */
static void run_batch(struct worker *worker, struct work_queue *batch, size_t count) {
    if (worker->before != NULL) {
        worker->before(worker->context);
    }
    struct work **next = &batch->head;
    while (*next != NULL) {
        for (; *next != NULL; next = &(*next)->next) {
            (*next)->run(*next);
        }
        if (count < worker->batch_max && worker->waiting_count > 0) {
            (void)pthread_mutex_lock(&worker->mutex);
            take_waiting(worker, batch, &count);
            (void)pthread_mutex_unlock(&worker->mutex);
        }
    }
    if (worker->after != NULL) {
        worker->after(worker->context);
    }
}

static void wake_loop(struct worker *worker) {
    uint64_t one = 1;
    ssize_t written = write(worker->wakeup_fd, &one, sizeof one);
    INVARIANT(written == (ssize_t)sizeof one);
}

static void *thread_main(void *context) {
    struct worker *worker = context;
    (void)pthread_mutex_lock(&worker->mutex);
    for (;;) {
        struct work_queue batch;
        size_t count = 0;
        queue_init(&batch);
        take_batch(worker, &batch, &count);
        if (batch.head == NULL) {
            break;
        }
        (void)pthread_mutex_unlock(&worker->mutex);
        run_batch(worker, &batch, count);
        (void)pthread_mutex_lock(&worker->mutex);
        bool was_empty = worker->finished.head == NULL;
        queue_move(&worker->finished, &batch);
        if (was_empty) {
            (void)pthread_mutex_unlock(&worker->mutex);
            wake_loop(worker);
            (void)pthread_mutex_lock(&worker->mutex);
        }
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

static void deliver_finished(struct worker *worker) {
    struct work_queue finished;
    queue_init(&finished);
    (void)pthread_mutex_lock(&worker->mutex);
    queue_move(&finished, &worker->finished);
    (void)pthread_mutex_unlock(&worker->mutex);
    for (struct work *work = finished.head, *next; work != NULL; work = next) {
        next = work->next; /* done() may free or submit it again */
        work->done(work);
    }
}

/* The event is edge-triggered: each write is an edge, and the counter is never read. */
static void on_wakeup(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    deliver_finished(context);
}

/* Signals are the loop's: its thread is the only one that takes them. */
static err_t start_threads(struct worker *worker, unsigned threads) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (failure == 0 && worker->thread_count < threads) {
        failure = pthread_create(&worker->threads[worker->thread_count], NULL, thread_main, worker);
        worker->thread_count += failure == 0 ? 1 : 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? OK : FAIL(ERR_MEMORY);
}

static void worker_freep(struct worker **worker) { worker_free(*worker); }

static err_t worker_make(struct loop *loop, unsigned threads, size_t queue_max, size_t batch_max,
                         void (*before)(void *context), void (*after)(void *context), void *context,
                         struct worker **out) {
    INVARIANT(threads > 0 && batch_max > 0);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return FAIL(ERR_IO);
    }
    struct worker *made = calloc(1, sizeof *made + threads * sizeof made->threads[0]);
    if (made == NULL) {
        (void)close(fd);
        return FAIL(ERR_MEMORY);
    }
    made->wakeup_fd = fd;
    (void)pthread_mutex_init(&made->mutex, NULL);
    (void)pthread_cond_init(&made->work_or_end, NULL);
    queue_init(&made->waiting);
    queue_init(&made->finished);
    made->queue_max = queue_max;
    made->batch_max = batch_max;
    made->before = before;
    made->after = after;
    made->context = context;
    (void)event_assign(&made->wakeup, loop_event_base(loop), fd, EV_READ | EV_ET | EV_PERSIST,
                       on_wakeup, made);
    struct worker *worker CLEANUP(worker_freep) = made;
    if (event_add(&worker->wakeup, NULL) != 0) {
        return FAIL(ERR_IO);
    }
    TRY(start_threads(worker, threads));
    *out = TAKE(worker);
    return OK;
}

err_t worker_new(struct loop *loop, unsigned threads, size_t queue_max, struct worker **out) {
    return worker_make(loop, threads, queue_max, 1, NULL, NULL, NULL, out);
}

err_t worker_new_batching(struct loop *loop, size_t batch_max, size_t queue_max,
                          void (*before)(void *context), void (*after)(void *context),
                          void *context, struct worker **out) {
    return worker_make(loop, 1, queue_max, batch_max, before, after, context, out);
}

err_t worker_submit(struct worker *worker, struct work *work) {
    (void)pthread_mutex_lock(&worker->mutex);
    err_t err = OK;
    if (worker->ending) {
        err = FAIL(ERR_CLOSED);
    } else if (worker->waiting_count >= worker->queue_max) {
        err = FAIL(ERR_BUSY);
    } else {
        queue_add(&worker->waiting, work);
        worker->waiting_count++;
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    if (!failed(err)) {
        (void)pthread_cond_signal(&worker->work_or_end);
    }
    return err;
}

size_t worker_queued(const struct worker *worker) { return worker->waiting_count; }

void worker_free(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&worker->mutex);
    worker->ending = true;
    (void)pthread_mutex_unlock(&worker->mutex);
    (void)pthread_cond_broadcast(&worker->work_or_end);
    for (unsigned i = 0; i < worker->thread_count; i++) {
        (void)pthread_join(worker->threads[i], NULL);
    }
    deliver_finished(worker);
    (void)event_del(&worker->wakeup);
    (void)close(worker->wakeup_fd);
    (void)pthread_cond_destroy(&worker->work_or_end);
    (void)pthread_mutex_destroy(&worker->mutex);
    free(worker);
}
