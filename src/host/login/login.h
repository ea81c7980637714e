/* What sshd's two login-time commands share, so that certificates and keys get the same answer: by
 * whose right one may log in, under which restrictions, what is left behind of the answer, and
 * where a refusal is told. */
#ifndef POSTERN_HOST_LOGIN_H
#define POSTERN_HOST_LOGIN_H

#include "feed/replica.h"
#include "host/login/login_record.h"

err_t login_open_replica(const char *state_dir, struct replica **out);

/* A copy of a replica_entry. */
struct login_entry {
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char job[LOGIN_JOB_CHARS];
    char *subnets;
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1]; /* "" on a jump host */
};
struct login_entries {
    struct login_entry *items; /* newest job first */
    size_t count;
};
void login_entries_done(struct login_entries *entries);
/* What replica_entry_list() gives, of that job alone (NULL: of all). */
err_t login_entries_get(struct replica *replica, const struct replica_login *login, const char *job,
                        struct replica_verdict *verdict, struct login_entries *out);
/* Whether an earlier one, by a newer job, is of the same account. */
bool login_entries_repeat(const struct login_entries *entries, size_t at);
/* Whether an account has more than one of them, of which the newest is taken. */
enum login_job_why login_entries_why(const struct login_entries *entries, const char *account);

/*
 * The options of a line, "from=\"…\",restrict", built up one by one: login_put_line() puts the line
 * with a space between, where there are any.
 */
/* On a jump host, those that bind the account to what it reaches: nothing but forwarding to those
 * destinations, of the clusters `within` (",daint,santis,"; NULL: of all). Elsewhere none. */
err_t login_put_reach(struct replica *replica, const struct replica_login *login,
                      const char *within, struct buf *options);
/* One more. */
err_t login_put_option(struct buf *options, const char *name, const char *value);
err_t login_put_line(struct buf *out, const struct buf *options, const char *lead,
                     const char *text);

/*
 * login_from.c: from= of a line. What comes through a jump host has that one's address here, and
 * was judged there; so its addresses are added to where an account or a key is good from, and
 * excluded from where an internal key is. Jump hosts count that the authority knows by address.
 */
/* "" when it is good from everywhere. */
err_t login_from_account(struct replica *replica, const char *subnets, struct buf *out);
/* Where both the account and the key are good from; *nowhere is set when that is nowhere. */
err_t login_from_key(struct replica *replica, const char *account_subnets,
                     const struct replica_key *key, struct buf *out, bool *nowhere);

/*
 * Leaves a record of an answer that lets in. False when that failed and the replica's `when_stale`
 * is strict: a session that nobody could end is not begun. Both ways it is logged.
 */
bool login_leave_record(const char *state_dir, struct replica *replica,
                        const struct login_record *record);

/* sshd discards what its commands say on standard error, so a refusal goes to the system's log. */
void login_log_refusal(const char *user, const char *serial, const char *why);
/* All or nothing: a half list of principals is never given out. */
err_t login_answer(const struct buf *answer);

#endif
