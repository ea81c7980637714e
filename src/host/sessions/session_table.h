/*
 * The sessions that are followed, and what is done about them: each login record is a session of
 * its own here, so a connection that was told "yes" for two credentials has two, and ends with the
 * first that ends (login_record.h says why). It belongs to one thread (sessions.c).
 */
#ifndef POSTERN_HOST_SESSION_TABLE_H
#define POSTERN_HOST_SESSION_TABLE_H

#include "host/process.h"
#include "host/sessions/session_judge.h"

struct sshd_session;
struct connection_end;

struct session_table {
    int epoll;        /* borrowed: tells of a monitor's end, by its pid */
    int logins, kept; /* the two directories of records; the table's */
    char *replica_path;
    struct session_rules rules;
    struct sshd_session *items;
    size_t count, size;
    struct connection_end **ends; /* under way */
    size_t end_count, end_size;
    int64_t retry_at_ms; /* monotonic; 0: nothing failed */
    bool failing;        /* and was logged */
};
void session_table_done(struct session_table *table);

/* What is looked at once in a turn of the thread, when the first asks. */
struct session_turn {
    int64_t now_ms; /* monotonic */
    struct process_list all;
    struct replica *replica;
};
void session_turn_done(struct session_turn *turn);

/* Takes over what lies in one of the two directories. */
void session_table_take(struct session_table *table, int dir, struct session_turn *turn);
/* That connection is over. */
void session_table_forget(struct session_table *table, pid_t monitor);
/* All of them, by the replica as it is now. */
void session_table_judge(struct session_table *table, struct session_turn *turn);
/* The next step of ends that are under way, and what terminals are told of jobs. */
void session_table_go_on(struct session_table *table, struct session_turn *turn);

/* When by the clock on the wall time alone may end one; 0: never. */
int64_t session_table_judge_at(const struct session_table *table);
/* When, monotonic, there is something to do without any news; 0: never. */
int64_t session_table_due_ms(const struct session_table *table);
/* Connections. */
size_t session_table_open(const struct session_table *table);

#endif
