#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "net/loop.h"

enum { WORKS_COUNT = 1000 };

struct counter {
    struct loop *loop;
    int calls;
    int stop_at;
};

static void count(void *context) {
    struct counter *counter = context;
    if (++counter->calls == counter->stop_at) {
        loop_stop(counter->loop);
    }
}

static void test_stop_before_run(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    assert_ok(loop_new(&loop));
    loop_stop(loop);
    assert_ok(loop_run(loop));
}

static void test_timers(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    assert_ok(loop_new(&loop));
    struct counter often = {.loop = loop, .stop_at = 5};
    struct counter once = {.loop = loop};
    struct counter never = {.loop = loop};
    struct timer *timers[3];
    assert_ok(timer_start(loop, 0, 2, count, &often, &timers[0]));
    assert_ok(timer_start(loop, 0, 0, count, &once, &timers[1]));
    assert_ok(timer_start(loop, 1, 0, count, &never, &timers[2]));
    timer_stop(timers[2]);
    timer_stop(NULL);
    assert_ok(loop_run(loop));
    assert_int_equal(often.calls, 5);
    assert_int_equal(once.calls, 1);
    assert_int_equal(never.calls, 0);
    timer_stop(timers[0]);
    timer_stop(timers[1]);
}

static void test_signal_is_an_event(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    assert_ok(loop_new(&loop));
    struct counter counter = {.loop = loop, .stop_at = 1};
    assert_ok(loop_on_signal(loop, SIGUSR1, count, &counter));
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(counter.calls, 0); /* not in the handler */
    assert_ok(loop_run(loop));
    assert_int_equal(counter.calls, 1);
}

struct pipe_end {
    struct loop *loop;
    struct watch *watch;
    int fd;
    int readable_calls, writable_calls;
};

static void on_pipe(void *context, bool readable, bool writable) {
    struct pipe_end *end = context;
    if (readable) {
        char byte;
        assert_int_equal(read(end->fd, &byte, 1), 1);
        end->readable_calls++;
    }
    if (writable) {
        end->writable_calls++;
        assert_ok(watch_change(end->watch, false, false));
    }
    loop_stop(end->loop);
}

static void test_watch(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    assert_ok(loop_new(&loop));
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct pipe_end reader = {.loop = loop, .fd = fds[0]};
    struct pipe_end writer = {.loop = loop, .fd = fds[1]};
    assert_ok(watch_start(loop, fds[1], false, true, on_pipe, &writer, &writer.watch));
    assert_ok(loop_run(loop));
    assert_ok(watch_start(loop, fds[0], true, false, on_pipe, &reader, &reader.watch));
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_ok(loop_run(loop));
    assert_int_equal(writer.writable_calls, 1); /* paused after the first */
    assert_int_equal(reader.readable_calls, 1);
    watch_stop(reader.watch);
    watch_stop(writer.watch);
    watch_stop(NULL);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* The bench of the worker tests: a gate that holds the first item until the test opens it. */
struct bench {
    struct loop *loop;
    struct worker *worker;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open, entered;
    pthread_t loop_thread;
    int runs, dones, stop_at;
    int batches, batch_open, batch_runs, batch_largest;
};

struct numbered_work {
    struct work work;
    struct bench *bench;
    int number;
    bool gated, ran;
};

static void bench_init(struct bench *bench) {
    *bench = (struct bench){.loop_thread = pthread_self()};
    (void)pthread_mutex_init(&bench->mutex, NULL);
    (void)pthread_cond_init(&bench->changed, NULL);
    assert_ok(loop_new(&bench->loop));
}

static void bench_done(struct bench *bench) {
    worker_free(bench->worker);
    loop_free(bench->loop);
    (void)pthread_cond_destroy(&bench->changed);
    (void)pthread_mutex_destroy(&bench->mutex);
}

static void bench_signal(struct bench *bench, bool *flag) {
    (void)pthread_mutex_lock(&bench->mutex);
    *flag = true;
    (void)pthread_cond_broadcast(&bench->changed);
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void bench_await(struct bench *bench, const bool *flag) {
    (void)pthread_mutex_lock(&bench->mutex);
    while (!*flag) {
        (void)pthread_cond_wait(&bench->changed, &bench->mutex);
    }
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void work_run(struct work *work) {
    struct numbered_work *numbered = (struct numbered_work *)work;
    struct bench *bench = numbered->bench;
    INVARIANT(pthread_equal(pthread_self(), bench->loop_thread) == 0);
    if (numbered->gated) {
        bench_signal(bench, &bench->entered);
        bench_await(bench, &bench->open);
    }
    numbered->ran = true;
    (void)pthread_mutex_lock(&bench->mutex);
    bench->runs++;
    bench->batch_runs++;
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void work_done(struct work *work) {
    struct numbered_work *numbered = (struct numbered_work *)work;
    struct bench *bench = numbered->bench;
    assert_true(pthread_equal(pthread_self(), bench->loop_thread) != 0);
    assert_true(numbered->ran);
    assert_int_equal(bench->batch_open, 0);
    if (++bench->dones == bench->stop_at) {
        loop_stop(bench->loop);
    }
}

static struct numbered_work *works_new(struct bench *bench, int works_count) {
    struct numbered_work *works = calloc((size_t)works_count, sizeof *works);
    assert_non_null(works);
    for (int i = 0; i < works_count; i++) {
        works[i] = (struct numbered_work){{work_run, work_done, NULL}, bench, i, false, false};
    }
    return works;
}

static void test_queue_is_bounded(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    assert_ok(worker_new(bench.loop, 1, 2, &bench.worker));
    struct numbered_work *works CLEANUP(freep) = works_new(&bench, 4);
    works[0].gated = true;
    assert_ok(worker_submit(bench.worker, &works[0].work));
    bench_await(&bench, &bench.entered);
    assert_ok(worker_submit(bench.worker, &works[1].work));
    assert_ok(worker_submit(bench.worker, &works[2].work));
    assert_fails(worker_submit(bench.worker, &works[3].work), ERR_BUSY);
    assert_int_equal(worker_queued(bench.worker), 2);
    bench_signal(&bench, &bench.open);
    bench.stop_at = 3;
    assert_ok(loop_run(bench.loop));
    assert_int_equal(bench.runs, 3);
    assert_false(works[3].ran);
    bench_done(&bench);
}

static void test_threads_finish_everything(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    assert_ok(worker_new(bench.loop, 4, WORKS_COUNT, &bench.worker));
    struct numbered_work *works CLEANUP(freep) = works_new(&bench, WORKS_COUNT);
    for (int i = 0; i < WORKS_COUNT; i++) {
        assert_ok(worker_submit(bench.worker, &works[i].work));
    }
    bench.stop_at = WORKS_COUNT;
    assert_ok(loop_run(bench.loop));
    assert_int_equal(bench.runs, WORKS_COUNT);
    assert_int_equal(worker_queued(bench.worker), 0);
    bench_done(&bench);
}

static void resubmit_refused(struct work *work) {
    struct numbered_work *numbered = (struct numbered_work *)work;
    numbered->bench->dones++;
    assert_fails(worker_submit(numbered->bench->worker, work), ERR_CLOSED);
}

static void test_free_finishes_the_queue(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    assert_ok(worker_new(bench.loop, 2, WORKS_COUNT, &bench.worker));
    struct numbered_work *works CLEANUP(freep) = works_new(&bench, WORKS_COUNT);
    for (int i = 0; i < WORKS_COUNT; i++) {
        works[i].work.done = resubmit_refused;
        assert_ok(worker_submit(bench.worker, &works[i].work));
    }
    worker_free(bench.worker);
    bench.worker = NULL;
    assert_int_equal(bench.runs, WORKS_COUNT);
    assert_int_equal(bench.dones, WORKS_COUNT);
    bench_done(&bench);
}

static void batch_before(void *context) {
    struct bench *bench = context;
    (void)pthread_mutex_lock(&bench->mutex);
    bench->batch_open++;
    bench->batch_runs = 0;
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void batch_after(void *context) {
    struct bench *bench = context;
    (void)pthread_mutex_lock(&bench->mutex);
    bench->batch_open--;
    bench->batches++;
    if (bench->batch_runs > bench->batch_largest) {
        bench->batch_largest = bench->batch_runs;
    }
    (void)pthread_mutex_unlock(&bench->mutex);
}

static void test_batches(void **state) {
    (void)state;
    struct bench bench;
    bench_init(&bench);
    assert_ok(
        worker_new_batching(bench.loop, 10, 100, batch_before, batch_after, &bench, &bench.worker));
    struct numbered_work *works CLEANUP(freep) = works_new(&bench, 36);
    works[0].gated = true;
    assert_ok(worker_submit(bench.worker, &works[0].work));
    bench_await(&bench, &bench.entered);
    for (int i = 1; i < 36; i++) {
        assert_ok(worker_submit(bench.worker, &works[i].work));
    }
    bench_signal(&bench, &bench.open);
    worker_free(bench.worker);
    bench.worker = NULL;
    /* What gathered while the gated work ran joins it: 36 in batches of at most 10. */
    assert_int_equal(bench.batches, 4);
    assert_int_equal(bench.batch_largest, 10);
    assert_int_equal(bench.dones, 36);
    bench_done(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_signal_is_an_event),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_threads_finish_everything),
        cmocka_unit_test(test_free_finishes_the_queue),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
