/*
 * What wakes the thread: a new record (inotify), the end of a monitor (its pidfd), news in the
 * replica (an eventfd), a moment of the wall clock at which time ends something, or that clock's
 * being set (a timerfd), and the next step of an end under way. Nothing is polled, so that a
 * compute node is left alone while nothing happens.
 */
#include "host/sessions/sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/host.h"
#include "host/sessions/session_table.h"

enum { WAKES_COUNT = 64 };

/* What epoll tells: one of these, or the pid of a monitor, which is above 1 and fits 32 bits. */
#define WOKEN_BY_RECORDS (1ULL << 32)
#define WOKEN_BY_NEWS    (2ULL << 32)
#define WOKEN_BY_TIME    (3ULL << 32)

struct sessions {
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_size_t open; /* connections, for who asks */
    int news;           /* eventfd: the replica has changed, or the thread is to end */
    int epoll, inotify, timer;
    struct session_table table;
};

/* Wakes when the clock on the wall says so, or was set: then everything is judged by the new time.
 */
static void set_timer(struct sessions *sessions) {
    int64_t next = session_table_judge_at(&sessions->table);
    const struct itimerspec at = {.it_value = {.tv_sec = (time_t)next}};
    if (timerfd_settime(sessions->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) !=
        0) {
        log_error("timer_not_set", err_from_errno(errno), NULL);
    }
}

/* --- the thread --- */

/* How long there is nothing to do unless something happens. */
static int rest_ms(const struct sessions *sessions) {
    int64_t at_ms = session_table_due_ms(&sessions->table);
    int64_t left = at_ms - clock_monotonic_ms();
    return at_ms == 0 ? -1 : left > 0 ? (int)left : 0;
}

/* An inotify queue, an eventfd or a timer: what it says does not matter, that it said so does. */
static void drain(int fd) {
    char piece[4096];
    while (read(fd, piece, sizeof piece) > 0) {
    }
}

/* True when all are to be judged anew. */
static bool attend(struct sessions *sessions, uint64_t woken_by, struct session_turn *turn) {
    switch (woken_by) {
    case WOKEN_BY_RECORDS:
        drain(sessions->inotify);
        session_table_take(&sessions->table, sessions->table.logins, turn);
        return false;
    case WOKEN_BY_NEWS:
        drain(sessions->news);
        return true;
    case WOKEN_BY_TIME:
        drain(sessions->timer);
        return true;
    default:
        session_table_forget(&sessions->table, (pid_t)woken_by);
        return false;
    }
}

static void take_turn(struct sessions *sessions, const struct epoll_event *events, int count) {
    struct session_table *table = &sessions->table;
    struct session_turn turn CLEANUP(session_turn_done) = {.now_ms = clock_monotonic_ms()};
    bool judge_all = table->retry_at_ms != 0 && table->retry_at_ms <= turn.now_ms;
    for (int i = 0; i < count; i++) {
        judge_all |= attend(sessions, events[i].data.u64, &turn);
    }
    if (judge_all) {
        session_table_judge(table, &turn);
    }
    session_table_go_on(table, &turn);
    set_timer(sessions);
}

/* What is there already. */
static void take_first(struct sessions *sessions) {
    struct session_table *table = &sessions->table;
    struct session_turn turn CLEANUP(session_turn_done) = {.now_ms = clock_monotonic_ms()};
    session_table_take(table, table->kept, &turn);
    session_table_take(table, table->logins, &turn);
    set_timer(sessions);
}

static void *serve(void *context) {
    struct sessions *sessions = context;
    struct epoll_event events[WAKES_COUNT];
    take_first(sessions);
    while (!atomic_load(&sessions->stopping)) {
        atomic_store(&sessions->open, session_table_open(&sessions->table));
        int count = epoll_wait(sessions->epoll, events, WAKES_COUNT, rest_ms(sessions));
        take_turn(sessions, events, count > 0 ? count : 0);
    }
    return NULL;
}

size_t sessions_count(const struct sessions *sessions) {
    return sessions == NULL ? 0 : atomic_load(&sessions->open);
}

/* --- beginning and end --- */

static err_t open_dir(const struct config *config, const char *name, int *out) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(config->state_dir, name, &path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    *out = fd;
    return OK;
}

static err_t watch(struct sessions *sessions, int fd, uint64_t woken_by) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = woken_by};
    return fd >= 0 && epoll_ctl(sessions->epoll, EPOLL_CTL_ADD, fd, &event) == 0
               ? OK
               : err_from_errno(errno);
}

/* A pidfd for each session, and some files more. */
static void allow_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static err_t open_all(const struct config *config, struct sessions *sessions) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(config->state_dir, HOST_REPLICA_FILE, &sessions->table.replica_path));
    TRY(path_join(config->state_dir, LOGIN_RECORD_DIR, &path));
    TRY(open_dir(config, LOGIN_RECORD_DIR, &sessions->table.logins));
    TRY(open_dir(config, LOGIN_TAKEN_DIR, &sessions->table.kept));
    sessions->epoll = sessions->table.epoll = epoll_create1(EPOLL_CLOEXEC);
    sessions->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    sessions->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sessions->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    TRY(watch(sessions, sessions->inotify, WOKEN_BY_RECORDS));
    TRY(watch(sessions, sessions->news, WOKEN_BY_NEWS));
    TRY(watch(sessions, sessions->timer, WOKEN_BY_TIME));
    return inotify_add_watch(sessions->inotify, path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0
               ? err_from_errno(errno)
               : OK;
}

err_t sessions_start(const struct config *config, struct sessions **out, struct fault *fault) {
    struct sessions *sessions CLEANUP(sessions_freep) = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return FAIL(ERR_MEMORY);
    }
    sessions->epoll = sessions->inotify = sessions->news = sessions->timer = -1;
    sessions->table =
        (struct session_table){.epoll = -1, .logins = -1, .kept = -1, .rules = config->sessions};
    allow_files();
    err_t err = open_all(config, sessions);
    if (!failed(err)) {
        err = thread_start(serve, sessions, &sessions->thread);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, config->state_dir, "cannot follow sessions: %s",
                         err_text(err));
    }
    sessions->started = true;
    *out = TAKE(sessions);
    return OK;
}

void sessions_judge(struct sessions *sessions) {
    uint64_t one = 1;
    if (sessions != NULL) {
        /* It can only fail by being woken already. */
        ssize_t ignored = write(sessions->news, &one, sizeof one);
        (void)ignored;
    }
}

void sessions_free(struct sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    if (sessions->started) {
        atomic_store(&sessions->stopping, true);
        sessions_judge(sessions);
        (void)pthread_join(sessions->thread, NULL);
    }
    session_table_done(&sessions->table);
    fd_closep(&sessions->epoll);
    fd_closep(&sessions->inotify);
    fd_closep(&sessions->news);
    fd_closep(&sessions->timer);
    free(sessions);
}

void sessions_freep(struct sessions **sessions) {
    sessions_free(*sessions);
    *sessions = NULL;
}
