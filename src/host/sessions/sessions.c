/*
 * Each record is a session of its own here: a connection that was told "yes" for two credentials
 * has two, and ends with the first that ends (login_record.h says why).
 *
 * What wakes the thread: a new record (inotify), the end of a monitor (its pidfd), news in the
 * replica (an eventfd), a moment of the wall clock at which time ends something, or that clock's
 * being set (a timerfd), and the next step of an end under way. Nothing is polled, so that a
 * compute node is left alone while nothing happens.
 */
#include "host/sessions/sessions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/host.h"
#include "host/sessions/connection.h"
#include "host/sessions/session_judge.h"
#include "host/sessions/session_record.h"

enum {
    WAKES_COUNT = 64,
    TELL_FIRST_MS =
        100, /* after the record: sshd has yet to check a signature, and to start a shell */
    TELL_LAST_MS = 10000,
    RETRY_MS = 1000, /* after a failure to read the replica, or to take records over */
};

/* What epoll tells: one of these, or the pid of a monitor, which is above 1 and fits 32 bits. */
#define WOKEN_BY_RECORDS (1ULL << 32)
#define WOKEN_BY_NEWS    (2ULL << 32)
#define WOKEN_BY_TIME    (3ULL << 32)

struct sshd_session {
    struct login_record record;
    char name[LOGIN_RECORD_NAME_CHARS]; /* of its file */
    bool taken;                         /* the file is in our directory */
    bool ending;
    int process; /* a pidfd of the monitor; -1: another record's has it, or none was to be had */
    int64_t tell_at_ms; /* monotonic: when to look for its terminal, to tell of its job; 0: never */
    int64_t tell_after_ms; /* how long after the one before */
    int64_t judge_at;      /* when time alone may end it; 0: never */
};

struct sessions {
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    atomic_size_t open; /* connections, for who asks */
    int news;           /* eventfd: the replica has changed, or the thread is to end */
    int epoll, inotify, timer;
    int logins, kept; /* the two directories */
    char *replica_path;
    struct session_rules rules;
    struct sshd_session *items;
    size_t count, size;
    struct connection_end **ends;
    size_t end_count, end_size;
    int64_t retry_at_ms; /* monotonic; 0: nothing failed */
    bool failing;        /* and was logged */
};

/* One turn of the thread. */
struct turn {
    int64_t now_ms;          /* monotonic */
    struct process_list all; /* read when the first asks */
    struct replica *replica; /* the same */
    bool judge_all;
};

static void turn_done(struct turn *turn) {
    process_list_done(&turn->all);
    replica_close(turn->replica);
}

static const struct process_list *all_processes(struct turn *turn) {
    if (turn->all.count == 0) {
        err_t err = process_list_read(&turn->all);
        if (failed(err)) {
            log_error("processes_not_read", err, NULL);
        }
    }
    return &turn->all;
}

/* --- ending --- */

static bool is_under_way(const struct sessions *sessions, pid_t monitor) {
    for (size_t i = 0; i < sessions->end_count; i++) {
        if (connection_end_monitor(sessions->ends[i]) == monitor) {
            return true;
        }
    }
    return false;
}

static err_t add_end(struct sessions *sessions, struct connection_end *end) {
    if (sessions->end_count == sessions->end_size) {
        size_t size = sessions->end_size == 0 ? 16 : 2 * sessions->end_size;
        void *ends = reallocarray(sessions->ends, size, sizeof(struct connection_end *));
        if (ends == NULL) {
            return FAIL(ERR_MEMORY);
        }
        sessions->ends = ends;
        sessions->end_size = size;
    }
    sessions->ends[sessions->end_count++] = end;
    return OK;
}

static err_t begin_end(struct sessions *sessions, const struct login_record *record,
                       const char *reason, struct turn *turn) {
    struct connection_end *end CLEANUP(connection_end_freep) = NULL;
    char line[SESSION_REASON_CHARS + 32];
    if (is_under_way(sessions, record->monitor)) {
        return OK;
    }
    (void)snprintf(line, sizeof line, "this session ends: %s", reason);
    TRY(connection_end_begin(all_processes(turn), record->monitor, record->monitor_start, line,
                             turn->now_ms, &end));
    TRY(add_end(sessions, end));
    end = NULL;
    return OK;
}

static void end_session(struct sessions *sessions, struct sshd_session *session,
                        enum replica_why why, struct turn *turn) {
    const struct login_record *record = &session->record;
    char reason[SESSION_REASON_CHARS];
    char serial[24];
    session_explain(record, why, reason);
    err_t err = begin_end(sessions, record, reason, turn);
    if (failed(err)) {
        log_error("session_not_ended", err, "user", record->user, "account", record->account, NULL);
        sessions->retry_at_ms = turn->now_ms + RETRY_MS;
        return;
    }
    session->ending = true;
    (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)record->serial);
    log_event(LOG_LEVEL_INFO, "session_ended", "user", record->user, "account", record->account,
              "job", record->job[0] != '\0' ? record->job : NULL, "serial",
              record->serial != 0 ? serial : NULL, "key",
              record->serial == 0 ? record->fingerprint : NULL, "reason", replica_why_text(why),
              NULL);
}

static void go_on_with_ends(struct sessions *sessions, struct turn *turn) {
    for (size_t i = 0; i < sessions->end_count;) {
        struct connection_end *end = sessions->ends[i];
        if (connection_end_at_ms(end) <= turn->now_ms) {
            connection_end_go_on(end, all_processes(turn), turn->now_ms);
        }
        if (connection_end_at_ms(end) != 0) {
            i++;
            continue;
        }
        connection_end_free(end);
        sessions->ends[i] = sessions->ends[--sessions->end_count];
    }
}

/* --- judging --- */

static err_t open_replica(struct sessions *sessions, struct turn *turn) {
    return turn->replica != NULL ? OK : replica_open_read(sessions->replica_path, &turn->replica);
}

/* What cannot be judged now is judged again: an error is no reason to end a session. */
static void judge(struct sessions *sessions, struct sshd_session *session, struct turn *turn) {
    struct session_verdict verdict = {0};
    if (session->ending) {
        return;
    }
    err_t err = open_replica(sessions, turn);
    if (!failed(err)) {
        err = session_judge(turn->replica, &sessions->rules, &session->record, clock_now_s(),
                            &verdict);
    }
    if (failed(err)) {
        if (!sessions->failing) {
            log_error("session_not_judged", err, "user", session->record.user, NULL);
        }
        sessions->failing = true;
        sessions->retry_at_ms = turn->now_ms + RETRY_MS;
    } else if (!verdict.goes_on) {
        end_session(sessions, session, verdict.why, turn);
    } else {
        session->judge_at = verdict.judge_at;
    }
}

/* Wakes when the clock on the wall says so, or was set: then everything is judged by the new time.
 */
static void set_timer(struct sessions *sessions) {
    int64_t next = 0;
    for (size_t i = 0; i < sessions->count; i++) {
        const struct sshd_session *session = &sessions->items[i];
        if (!session->ending && session->judge_at != 0 && (next == 0 || session->judge_at < next)) {
            next = session->judge_at;
        }
    }
    const struct itimerspec at = {.it_value = {.tv_sec = (time_t)next}};
    if (timerfd_settime(sessions->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) !=
        0) {
        log_error("timer_not_set", err_from_errno(errno), NULL);
    }
}

/* --- coming and going --- */

static void close_dirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

/* Takes the descriptor's own position along, so it opens the directory anew. */
static DIR *open_listing(int dir) {
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        fd_closep(&fd);
    }
    return listing;
}

static struct sshd_session *find_session(struct sessions *sessions, const char *name,
                                         const struct login_record *record) {
    for (size_t i = 0; i < sessions->count; i++) {
        struct sshd_session *session = &sessions->items[i];
        if (session->record.serial == record->serial && strcmp(session->name, name) == 0) {
            return session;
        }
    }
    return NULL;
}

static err_t add_session(struct sessions *sessions, const struct sshd_session *session) {
    if (sessions->count == sessions->size) {
        size_t size = sessions->size == 0 ? 64 : 2 * sessions->size;
        struct sshd_session *items = reallocarray(sessions->items, size, sizeof *items);
        if (items == NULL) {
            return FAIL(ERR_MEMORY);
        }
        sessions->items = items;
        sessions->size = size;
    }
    sessions->items[sessions->count++] = *session;
    return OK;
}

/* The session whose pidfd holds that monitor. */
static const struct sshd_session *find_holder(const struct sessions *sessions, pid_t monitor) {
    for (size_t i = 0; i < sessions->count; i++) {
        if (sessions->items[i].process >= 0 && sessions->items[i].record.monitor == monitor) {
            return &sessions->items[i];
        }
    }
    return NULL;
}

/* Of a connection that is held, a look at what is known of it will do. */
static bool is_living(const struct sessions *sessions, struct login_record *record) {
    const struct sshd_session *holder = find_holder(sessions, record->monitor);
    if (holder == NULL || strcmp(holder->record.user, record->user) != 0 ||
        (record->monitor_start != 0 && record->monitor_start != holder->record.monitor_start)) {
        return session_record_is_living(record);
    }
    record->monitor_start = holder->record.monitor_start;
    return true;
}

/* False when it is over. Of one that cannot be held, the end is noticed when it is next judged. */
static bool hold(struct sessions *sessions, struct sshd_session *session) {
    if (find_holder(sessions, session->record.monitor) != NULL) {
        return true;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)session->record.monitor};
    session->process = pidfd_open(session->record.monitor, 0);
    if (session->process < 0 ||
        epoll_ctl(sessions->epoll, EPOLL_CTL_ADD, session->process, &event) != 0) {
        log_error("session_not_held", err_from_errno(errno), "user", session->record.user, NULL);
    }
    return session_record_is_living(&session->record); /* the pid that is held now */
}

/* One connection has a few credentials. Who leaves records without end is the command user, and not
 * sshd; as none of them may be passed over, the connection ends. */
static bool has_too_many(struct sessions *sessions, const struct login_record *record,
                         struct turn *turn) {
    size_t count = 0;
    for (size_t i = 0; i < sessions->count; i++) {
        count += sessions->items[i].record.monitor == record->monitor;
    }
    if (count < LIMIT_LOGIN_CREDENTIALS_COUNT) {
        return false;
    }
    if (!is_under_way(sessions, record->monitor)) {
        log_event(LOG_LEVEL_WARN, "session_ended", "user", record->user, "reason",
                  "there are more records of credentials than a connection has", NULL);
        ignore_err(begin_end(sessions, record, "too many credentials were offered", turn));
    }
    return true;
}

static void follow(struct sessions *sessions, const char *name, const struct login_record *record,
                   bool taken, struct turn *turn) {
    struct sshd_session session = {.record = *record, .taken = taken, .process = -1};
    (void)snprintf(session.name, sizeof session.name, "%s", name);
    bool lives = !has_too_many(sessions, record, turn) && hold(sessions, &session);
    if (record->job_why != LOGIN_JOB_ONLY) {
        session.tell_after_ms = TELL_FIRST_MS;
        session.tell_at_ms = turn->now_ms + session.tell_after_ms;
    }
    err_t err = lives ? add_session(sessions, &session) : FAIL(ERR_CLOSED);
    if (!failed(err)) {
        judge(sessions, &sessions->items[sessions->count - 1], turn);
        return;
    }
    fd_closep(&session.process);
    (void)unlinkat(taken ? sessions->kept : sessions->logins, name, 0);
}

/* What is not ours, or over, is put away. A record that cannot be moved is followed where it is. */
static void take_over(struct sessions *sessions, int dir, const char *name, struct turn *turn) {
    struct login_record record;
    if (!session_record_read(dir, name, &record) || !is_living(sessions, &record)) {
        (void)unlinkat(dir, name, 0);
        return;
    }
    bool taken = dir == sessions->kept || renameat(dir, name, sessions->kept, name) == 0;
    struct sshd_session *known = find_session(sessions, name, &record);
    if (known != NULL) {
        known->taken = taken;
    } else {
        follow(sessions, name, &record, taken, turn);
    }
}

static void take_all(struct sessions *sessions, int dir, struct turn *turn) {
    DIR *listing CLEANUP(close_dirp) = open_listing(dir);
    if (listing == NULL) {
        log_error("logins_not_read", err_from_errno(errno), NULL);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] != '.') {
            take_over(sessions, dir, entry->d_name, turn);
        }
    }
}

static void forget(struct sessions *sessions, size_t at) {
    struct sshd_session *session = &sessions->items[at];
    (void)unlinkat(session->taken ? sessions->kept : sessions->logins, session->name, 0);
    fd_closep(&session->process);
    *session = sessions->items[--sessions->count];
}

static void forget_monitor(struct sessions *sessions, pid_t monitor) {
    for (size_t i = sessions->count; i > 0; i--) {
        if (sessions->items[i - 1].record.monitor == monitor) {
            forget(sessions, i - 1);
        }
    }
}

static void judge_all(struct sessions *sessions, struct turn *turn) {
    sessions->retry_at_ms = 0;
    for (size_t i = sessions->count; i > 0 && sessions->retry_at_ms == 0; i--) {
        struct sshd_session *session = &sessions->items[i - 1];
        if (session->process < 0 && !is_living(sessions, &session->record)) {
            forget(sessions, i - 1);
        } else {
            judge(sessions, session, turn);
        }
    }
    sessions->failing = sessions->retry_at_ms != 0;
}

/* --- telling of jobs --- */

/* The terminal comes a while after the record, or never. */
static void tell_jobs(struct sessions *sessions, struct turn *turn) {
    for (size_t i = 0; i < sessions->count; i++) {
        struct sshd_session *session = &sessions->items[i];
        char line[256];
        if (session->tell_at_ms == 0 || session->tell_at_ms > turn->now_ms) {
            continue;
        }
        (void)snprintf(line, sizeof line, "this session belongs to your job %s%s",
                       session->record.job,
                       session->record.job_why == LOGIN_JOB_NEWEST
                           ? ", the newest here. For another: postern job shell JOB, or from "
                             "outside postern sign --job JOB"
                           : ", and ends with it");
        session->tell_after_ms *= 2;
        bool over = session->ending || session->tell_after_ms > TELL_LAST_MS ||
                    connection_tell(all_processes(turn), session->record.monitor, line);
        session->tell_at_ms = over ? 0 : turn->now_ms + session->tell_after_ms;
    }
}

/* --- the thread --- */

static int64_t earlier(int64_t a, int64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

/* How long there is nothing to do unless something happens. */
static int rest_ms(const struct sessions *sessions) {
    int64_t at_ms = sessions->retry_at_ms;
    for (size_t i = 0; i < sessions->end_count; i++) {
        at_ms = earlier(at_ms, connection_end_at_ms(sessions->ends[i]));
    }
    for (size_t i = 0; i < sessions->count; i++) {
        at_ms = earlier(at_ms, sessions->items[i].tell_at_ms);
    }
    int64_t left = at_ms - clock_monotonic_ms();
    return at_ms == 0 ? -1 : left > 0 ? (int)left : 0;
}

/* An inotify queue, an eventfd or a timer: what it says does not matter, that it said so does. */
static void drain(int fd) {
    char piece[4096];
    while (read(fd, piece, sizeof piece) > 0) {
    }
}

static void attend(struct sessions *sessions, uint64_t woken_by, struct turn *turn) {
    if (woken_by == WOKEN_BY_RECORDS) {
        drain(sessions->inotify);
        take_all(sessions, sessions->logins, turn);
    } else if (woken_by == WOKEN_BY_NEWS) {
        drain(sessions->news);
        turn->judge_all = true;
    } else if (woken_by == WOKEN_BY_TIME) {
        drain(sessions->timer);
        turn->judge_all = true;
    } else {
        forget_monitor(sessions, (pid_t)woken_by);
    }
}

static void take_turn(struct sessions *sessions, const struct epoll_event *events, int count) {
    struct turn turn CLEANUP(turn_done) = {.now_ms = clock_monotonic_ms()};
    turn.judge_all = sessions->retry_at_ms != 0 && sessions->retry_at_ms <= turn.now_ms;
    for (int i = 0; i < count; i++) {
        attend(sessions, events[i].data.u64, &turn);
    }
    if (turn.judge_all) {
        judge_all(sessions, &turn);
    }
    go_on_with_ends(sessions, &turn);
    tell_jobs(sessions, &turn);
    set_timer(sessions);
}

/* Of a connection's records one has the process. */
static void count_open(struct sessions *sessions) {
    size_t count = 0;
    for (size_t i = 0; i < sessions->count; i++) {
        count += sessions->items[i].process >= 0 ? 1 : 0;
    }
    atomic_store(&sessions->open, count);
}

static void *serve(void *context) {
    struct sessions *sessions = context;
    struct epoll_event events[WAKES_COUNT];
    struct turn turn = {.now_ms = clock_monotonic_ms()};
    take_all(sessions, sessions->kept, &turn);
    take_all(sessions, sessions->logins, &turn);
    turn_done(&turn);
    set_timer(sessions);
    while (!atomic_load(&sessions->stopping)) {
        count_open(sessions);
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
    TRY(path_join(config->state_dir, HOST_REPLICA_FILE, &sessions->replica_path));
    TRY(path_join(config->state_dir, LOGIN_RECORD_DIR, &path));
    TRY(open_dir(config, LOGIN_RECORD_DIR, &sessions->logins));
    TRY(open_dir(config, LOGIN_TAKEN_DIR, &sessions->kept));
    sessions->epoll = epoll_create1(EPOLL_CLOEXEC);
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
    sessions->logins = sessions->kept = -1;
    sessions->rules = config->sessions;
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
    for (size_t i = 0; i < sessions->count; i++) {
        fd_closep(&sessions->items[i].process);
    }
    for (size_t i = 0; i < sessions->end_count; i++) {
        connection_end_free(sessions->ends[i]);
    }
    int *const files[] = {&sessions->epoll, &sessions->inotify, &sessions->news,
                          &sessions->timer, &sessions->logins,  &sessions->kept};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        fd_closep(files[i]);
    }
    free(sessions->items);
    free(sessions->ends);
    free(sessions->replica_path);
    free(sessions);
}

void sessions_freep(struct sessions **sessions) {
    sessions_free(*sessions);
    *sessions = NULL;
}
