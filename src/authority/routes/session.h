/* Sessions: bearer tokens of the embedded issuer, opened by a login, a confirmed invitation or an
 * API key. */
#ifndef POSTERN_AUTHORITY_SESSION_H
#define POSTERN_AUTHORITY_SESSION_H

#include "authority/call.h"

/*
 * Store thread: opens a session and answers with its token. With an API key (else NULL) the session
 * ends with the key at the latest, and is good only from the key's subnets.
 */
void session_open(struct call *call, const struct account *account, const struct api_key *key);

/* Store thread: keeps the session, a bearer's, and answers with its token. */
void session_answer(struct call *call, const struct account *account, struct session *session);

/* How a password and a one-time code are told: RFC 8176. */
#define SESSION_METHODS_PASSWORD "pwd otp mfa"

/* Store thread: makes the token that the session's use asks for, and keeps the session under it.
 * False with a problem. The token is to be wiped after it was shown. */
bool session_add(struct call *call, struct session *session, char token[TOKEN_CHARS]);
/* Store thread: ends it and all that came of the same sign-in. False with a problem. */
bool session_end(struct call *call, const struct session *session);
/* Store thread: ends all of an account's, and what would become one: approved codes that nobody has
 * fetched yet. False with a problem. */
bool session_end_all(struct call *call, entity_id account_id);

/*
 * What a sign-in by the API hands to a page of ours ("session": "browser"): a session in a cookie,
 * which no script sees, instead of a token in the answer.
 */
struct session_cookie {
    bool wanted;
    char token[TOKEN_CHARS]; /* "" until it is open; to be wiped */
    int64_t seconds;
};
/* Loop thread, from read(). 403 cross_site where no page of ours asks. */
err_t session_cookie_read(struct call *call, struct session_cookie *out);
/* Store thread: opens it and answers. What this browser had of the same account's is replaced. */
void session_cookie_open(struct call *call, const struct account *account, const char *methods,
                         struct session_cookie *cookie);
/* Loop thread, from finish(): sets the cookie, if one was wanted. */
void session_cookie_set(struct call *call, const struct session_cookie *cookie);

/* Of the routes /auth/token, /auth/logout and /auth/whoami, whose rows stand in login.c. */
err_t session_token_read(struct call *call);
void session_token_run(struct call *call);
void session_token_finish(struct call *call);
void session_logout_run(struct call *call);
void session_logout_finish(struct call *call);
void session_whoami_run(struct call *call);

#endif
