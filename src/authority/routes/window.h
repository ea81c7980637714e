/*
 * The enrolment window: until it closes, the password alone lets an account in at a gate, to
 * register keys and for nothing else. It is for accounts that have no second factor yet; whoever
 * has one registers keys by `postern key add`.
 *
 * It ends with its time, with the first key, with the second factor, or by an administrator; each
 * but the first is published.
 */
#ifndef POSTERN_AUTHORITY_WINDOW_H
#define POSTERN_AUTHORITY_WINDOW_H

#include "authority/call.h"
#include "base/secret.h"

/* An initial password on its way; zero is none. */
struct window_password {
    secret_t password;
    char hash[128];
};
/* Any thread but the loop's; 100 random bits, in a form to be read out on the telephone. The second
 * blocks for some 20 ms: for the hash worker. */
err_t window_password_make(struct window_password *password);
err_t window_password_hash(const struct call *call, struct window_password *password);
void window_password_done(struct window_password *password);

/* Store thread: false with a problem when this account gets no window: the site has none, the
 * account is no person's, disabled, or has a second factor. */
bool window_judge(struct call *call, const struct account *account);
/* Store thread, after window_judge(), in whatever transaction: opens it with this password, and
 * adds "windowPassword" and "windowExpireTime" to the answer. Publishes nothing. */
void window_open(struct call *call, const struct account *account,
                 const struct window_password *password, json_t *answer);
/* Store thread: closes what is open, and publishes that; the initial password is gone then. A
 * failure becomes the call's problem. */
void window_close(struct call *call, const struct account *account);

#endif
