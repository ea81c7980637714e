#include "host/sessions/session_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/sessions/connection.h"
#include "host/sessions/session_record.h"

enum {
    TELL_FIRST_MS =
        100, /* after the record: sshd has yet to check a signature, and to start a shell */
    TELL_LAST_MS = 10000,
    RETRY_MS = 1000, /* after a failure to read the replica, or to take records over */
};

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

void session_turn_done(struct session_turn *turn) {
    process_list_done(&turn->all);
    replica_close(turn->replica);
}

static const struct process_list *all_processes(struct session_turn *turn) {
    if (turn->all.count == 0) {
        err_t err = process_list_read(&turn->all);
        if (failed(err)) {
            log_error("processes_not_read", err, NULL);
        }
    }
    return &turn->all;
}

/* --- ending --- */

static bool is_under_way(const struct session_table *table, pid_t monitor) {
    for (size_t i = 0; i < table->end_count; i++) {
        if (connection_end_monitor(table->ends[i]) == monitor) {
            return true;
        }
    }
    return false;
}

static err_t add_end(struct session_table *table, struct connection_end *end) {
    if (table->end_count == table->end_size) {
        size_t size = table->end_size == 0 ? 16 : 2 * table->end_size;
        void *ends = reallocarray(table->ends, size, sizeof(struct connection_end *));
        if (ends == NULL) {
            return FAIL(ERR_MEMORY);
        }
        table->ends = ends;
        table->end_size = size;
    }
    table->ends[table->end_count++] = end;
    return OK;
}

static err_t begin_end(struct session_table *table, const struct login_record *record,
                       const char *reason, struct session_turn *turn) {
    struct connection_end *end CLEANUP(connection_end_freep) = NULL;
    char line[SESSION_REASON_CHARS + 32];
    if (is_under_way(table, record->monitor)) {
        return OK;
    }
    (void)snprintf(line, sizeof line, "this session ends: %s", reason);
    TRY(connection_end_begin(all_processes(turn), record->monitor, record->monitor_start, line,
                             turn->now_ms, &end));
    TRY(add_end(table, end));
    end = NULL;
    return OK;
}

static void end_session(struct session_table *table, struct sshd_session *session,
                        enum replica_why why, struct session_turn *turn) {
    const struct login_record *record = &session->record;
    char reason[SESSION_REASON_CHARS];
    char serial[24];
    session_explain(record, why, reason);
    err_t err = begin_end(table, record, reason, turn);
    if (failed(err)) {
        log_error("session_not_ended", err, "user", record->user, "account", record->account, NULL);
        table->retry_at_ms = turn->now_ms + RETRY_MS;
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

static void go_on_with_ends(struct session_table *table, struct session_turn *turn) {
    for (size_t i = 0; i < table->end_count;) {
        struct connection_end *end = table->ends[i];
        if (connection_end_at_ms(end) <= turn->now_ms) {
            connection_end_go_on(end, all_processes(turn), turn->now_ms);
        }
        if (connection_end_at_ms(end) != 0) {
            i++;
            continue;
        }
        connection_end_free(end);
        table->ends[i] = table->ends[--table->end_count];
    }
}

/* --- judging --- */

static err_t open_replica(struct session_table *table, struct session_turn *turn) {
    return turn->replica != NULL ? OK : replica_open_read(table->replica_path, &turn->replica);
}

/* What cannot be judged now is judged again: an error is no reason to end a session. */
static void judge(struct session_table *table, struct sshd_session *session,
                  struct session_turn *turn) {
    struct session_verdict verdict = {0};
    if (session->ending) {
        return;
    }
    err_t err = open_replica(table, turn);
    if (!failed(err)) {
        err =
            session_judge(turn->replica, &table->rules, &session->record, clock_now_s(), &verdict);
    }
    if (failed(err)) {
        if (!table->failing) {
            log_error("session_not_judged", err, "user", session->record.user, NULL);
        }
        table->failing = true;
        table->retry_at_ms = turn->now_ms + RETRY_MS;
    } else if (!verdict.goes_on) {
        end_session(table, session, verdict.why, turn);
    } else {
        session->judge_at = verdict.judge_at;
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

static struct sshd_session *find_session(struct session_table *table, const char *name,
                                         const struct login_record *record) {
    for (size_t i = 0; i < table->count; i++) {
        struct sshd_session *session = &table->items[i];
        if (session->record.serial == record->serial && strcmp(session->name, name) == 0) {
            return session;
        }
    }
    return NULL;
}

static err_t add_session(struct session_table *table, const struct sshd_session *session) {
    if (table->count == table->size) {
        size_t size = table->size == 0 ? 64 : 2 * table->size;
        struct sshd_session *items = reallocarray(table->items, size, sizeof *items);
        if (items == NULL) {
            return FAIL(ERR_MEMORY);
        }
        table->items = items;
        table->size = size;
    }
    table->items[table->count++] = *session;
    return OK;
}

/* The session whose pidfd holds that monitor. */
static const struct sshd_session *find_holder(const struct session_table *table, pid_t monitor) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].process >= 0 && table->items[i].record.monitor == monitor) {
            return &table->items[i];
        }
    }
    return NULL;
}

/* Of a connection that is held, a look at what is known of it will do. */
static bool is_living(const struct session_table *table, struct login_record *record) {
    const struct sshd_session *holder = find_holder(table, record->monitor);
    if (holder == NULL || strcmp(holder->record.user, record->user) != 0 ||
        (record->monitor_start != 0 && record->monitor_start != holder->record.monitor_start)) {
        return session_record_is_living(record);
    }
    record->monitor_start = holder->record.monitor_start;
    return true;
}

/* False when it is over. Of one that cannot be held, the end is noticed when it is next judged. */
static bool hold(struct session_table *table, struct sshd_session *session) {
    if (find_holder(table, session->record.monitor) != NULL) {
        return true;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)session->record.monitor};
    session->process = pidfd_open(session->record.monitor, 0);
    if (session->process < 0 ||
        epoll_ctl(table->epoll, EPOLL_CTL_ADD, session->process, &event) != 0) {
        log_error("session_not_held", err_from_errno(errno), "user", session->record.user, NULL);
    }
    return session_record_is_living(&session->record); /* the pid that is held now */
}

/* One connection has a few credentials. Who leaves records without end is the command user, and not
 * sshd; as none of them may be passed over, the connection ends. */
static bool has_too_many(struct session_table *table, const struct login_record *record,
                         struct session_turn *turn) {
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        count += table->items[i].record.monitor == record->monitor;
    }
    if (count < LIMIT_LOGIN_CREDENTIALS_COUNT) {
        return false;
    }
    if (!is_under_way(table, record->monitor)) {
        log_event(LOG_LEVEL_WARN, "session_ended", "user", record->user, "reason",
                  "there are more records of credentials than a connection has", NULL);
        ignore_err(begin_end(table, record, "too many credentials were offered", turn));
    }
    return true;
}

static void follow(struct session_table *table, const char *name, const struct login_record *record,
                   bool taken, struct session_turn *turn) {
    struct sshd_session session = {.record = *record, .taken = taken, .process = -1};
    (void)snprintf(session.name, sizeof session.name, "%s", name);
    bool lives = !has_too_many(table, record, turn) && hold(table, &session);
    if (record->job_why != LOGIN_JOB_ONLY) {
        session.tell_after_ms = TELL_FIRST_MS;
        session.tell_at_ms = turn->now_ms + session.tell_after_ms;
    }
    err_t err = lives ? add_session(table, &session) : FAIL(ERR_CLOSED);
    if (!failed(err)) {
        judge(table, &table->items[table->count - 1], turn);
        return;
    }
    fd_closep(&session.process);
    (void)unlinkat(taken ? table->kept : table->logins, name, 0);
}

/* What is not ours, or over, is put away. A record that cannot be moved is followed where it is. */
static void take_over(struct session_table *table, int dir, const char *name,
                      struct session_turn *turn) {
    struct login_record record;
    if (!session_record_read(dir, name, &record) || !is_living(table, &record)) {
        (void)unlinkat(dir, name, 0);
        return;
    }
    bool taken = dir == table->kept || renameat(dir, name, table->kept, name) == 0;
    struct sshd_session *known = find_session(table, name, &record);
    if (known != NULL) {
        known->taken = taken;
    } else {
        follow(table, name, &record, taken, turn);
    }
}

void session_table_take(struct session_table *table, int dir, struct session_turn *turn) {
    DIR *listing CLEANUP(close_dirp) = open_listing(dir);
    if (listing == NULL) {
        log_error("logins_not_read", err_from_errno(errno), NULL);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] != '.') {
            take_over(table, dir, entry->d_name, turn);
        }
    }
}

static void forget(struct session_table *table, size_t at) {
    struct sshd_session *session = &table->items[at];
    (void)unlinkat(session->taken ? table->kept : table->logins, session->name, 0);
    fd_closep(&session->process);
    *session = table->items[--table->count];
}

void session_table_forget(struct session_table *table, pid_t monitor) {
    for (size_t i = table->count; i > 0; i--) {
        if (table->items[i - 1].record.monitor == monitor) {
            forget(table, i - 1);
        }
    }
}

void session_table_judge(struct session_table *table, struct session_turn *turn) {
    table->retry_at_ms = 0;
    for (size_t i = table->count; i > 0 && table->retry_at_ms == 0; i--) {
        struct sshd_session *session = &table->items[i - 1];
        if (session->process < 0 && !is_living(table, &session->record)) {
            forget(table, i - 1);
        } else {
            judge(table, session, turn);
        }
    }
    table->failing = table->retry_at_ms != 0;
}

/* --- telling of jobs --- */

/* The terminal comes a while after the record, or never. */
static void tell_jobs(struct session_table *table, struct session_turn *turn) {
    for (size_t i = 0; i < table->count; i++) {
        struct sshd_session *session = &table->items[i];
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

void session_table_go_on(struct session_table *table, struct session_turn *turn) {
    go_on_with_ends(table, turn);
    tell_jobs(table, turn);
}

/* --- what is next --- */

/* 0 is never. */
static int64_t earlier(int64_t a, int64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

int64_t session_table_judge_at(const struct session_table *table) {
    int64_t at = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct sshd_session *session = &table->items[i];
        at = session->ending ? at : earlier(at, session->judge_at);
    }
    return at;
}

int64_t session_table_due_ms(const struct session_table *table) {
    int64_t at_ms = table->retry_at_ms;
    for (size_t i = 0; i < table->end_count; i++) {
        at_ms = earlier(at_ms, connection_end_at_ms(table->ends[i]));
    }
    for (size_t i = 0; i < table->count; i++) {
        at_ms = earlier(at_ms, table->items[i].tell_at_ms);
    }
    return at_ms;
}

/* Of a connection's records one has the process. */
size_t session_table_open(const struct session_table *table) {
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        count += table->items[i].process >= 0 ? 1 : 0;
    }
    return count;
}

/* --- its end --- */

void session_table_done(struct session_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        fd_closep(&table->items[i].process);
    }
    for (size_t i = 0; i < table->end_count; i++) {
        connection_end_free(table->ends[i]);
    }
    fd_closep(&table->logins);
    fd_closep(&table->kept);
    free(table->items);
    free(table->ends);
    free(table->replica_path);
}
