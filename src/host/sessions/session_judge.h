/*
 * May a session that sshd opened go on? What opened it is judged as a login is (feed/replica.h),
 * without the replica's age: an authority that is away ends nobody's session, and neither does one
 * that no longer lists this machine.
 */
#ifndef POSTERN_HOST_SESSION_JUDGE_H
#define POSTERN_HOST_SESSION_JUDGE_H

#include "feed/replica.h"
#include "host/login/login_record.h"

/* The site's choices. */
struct session_rules {
    bool cut_expired;    /* a session ends with its certificate or key */
    bool keep_job_ended; /* job ends are left to the scheduler's own means (pam_slurm_adopt) */
};

/* Zero ends the session. */
struct session_verdict {
    bool goes_on;
    enum replica_why why;
    int64_t judge_at; /* when time alone may end it; 0: never */
};
/* A failure to read judges nothing, and is returned. */
err_t session_judge(struct replica *replica, const struct session_rules *rules,
                    const struct login_record *record, int64_t now, struct session_verdict *out);

/* Tells the user why the session ends and what to type next: printable ASCII, without an end of
 * line. */
enum { SESSION_REASON_CHARS = 256 };
void session_explain(const struct login_record *record, enum replica_why why,
                     char out[SESSION_REASON_CHARS]);

#endif
