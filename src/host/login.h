/* What sshd's two login-time commands share: the replica, the answer to a jump host's user, and
 * where a refusal is told. */
#ifndef POSTERN_HOST_LOGIN_H
#define POSTERN_HOST_LOGIN_H

#include "feed/replica.h"

err_t login_open_replica(const char *state_dir, struct replica **out);
/*
 * On a jump host, appends the options that bind the account to what it reaches, ending in a space:
 * nothing but forwarding to those destinations. Elsewhere nothing.
 */
err_t login_put_options(struct replica *replica, const struct replica_login *login,
                        struct buf *out);
/* sshd discards what its commands say on standard error, so a refusal goes to the system's log. */
void login_log_refusal(const char *user, const char *serial, const char *why);
/* All or nothing: a half list of principals is never given out. */
err_t login_answer(const struct buf *answer);

#endif
