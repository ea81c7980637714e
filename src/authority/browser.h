/*
 * The browser at the other end: its session and its protection against forged forms, both in
 * cookies that no script sees and no other site's page sends along.
 */
#ifndef POSTERN_AUTHORITY_BROWSER_H
#define POSTERN_AUTHORITY_BROWSER_H

#include "authority/call.h"

enum { BROWSER_COOKIE_CHARS = 300, BROWSER_FORM_TOKEN_CHARS = 43 + 1 };

/*
 * The form token: a random value, the same in a cookie and in every form. A form of another site
 * cannot know it. Loop thread. Takes the cookie's, or makes one; *fresh says that the cookie must
 * be set.
 */
err_t browser_form_token(struct call *call, char out[BROWSER_FORM_TOKEN_CHARS], bool *fresh);
/* From read() of a form: its field "form_token" is the cookie's; else 403 form_expired. */
err_t browser_check_form(struct call *call);
void browser_set_form_token(struct call *call, const char *token);

/* Store thread: who is signed in with this browser. False when nobody is, or with a problem. */
bool browser_find(struct call *call, struct session *session, struct account *account);

/*
 * The session as the credential of a call of the API. Cookies go along by themselves, so they count
 * only for what a page of this site asked for: the browser says that it was one (Sec-Fetch-Site,
 * and Origin where it is sent, as with everything but GET), and the page knows the session's own
 * token, which no other site can read. Loop thread.
 *
 * Fills hash for the look-up, "" when no session came along; false when one did, but not so.
 */
bool browser_take_session(const struct call *call, char hash[HASH_CHARS]);
/* Whether the browser says that a page of this site asks. */
bool browser_is_same_origin(const struct call *call);
/* The token that X-CSRF-Token must repeat: of the session's cookie, by a one-way function. False
 * when there is no such cookie. */
enum { BROWSER_CSRF_CHARS = 2 * 32 + 1 };
bool browser_csrf_token(const struct call *call, char out[BROWSER_CSRF_CHARS]);

/* Loop thread: hands the session's token to the browser until it ends; "" takes it away. */
void browser_set_session(struct call *call, const char *token, int64_t seconds);

/*
 * Loop thread: what a browser keeps for ten minutes while it is at an external issuer, which sends
 * it back. The one cookie that goes along with a link of another site (SameSite=Lax), and so proves
 * nothing but which browser it is. "" takes it away. The text borrows from the request.
 */
bool browser_visit(const struct call *call, span_t *out);
void browser_set_visit(struct call *call, const char *value);

#endif
