/*
 * Invitations: how an account gets its password and one-time codes, and how both are reset. The
 * invitation is given to the person, who sets a password and gets a TOTP secret, as often as they
 * like; a first right code confirms both and uses the invitation up.
 */
#ifndef POSTERN_AUTHORITY_INVITATION_H
#define POSTERN_AUTHORITY_INVITATION_H

#include "authority/call.h"

enum { INVITATION_S = 2 * 24 * 3600 };

/* Store thread: a new invitation for the account, in place of any older one. Adds "invitation",
 * "invitationUrl" (the page that takes it, which no server sees: it stands after the #) and
 * "invitationExpireTime" to the answer. The login in force stays until it is confirmed. */
void invitation_issue(struct call *call, const struct account *account, json_t *answer);

/* Store thread: the person came by another issuer or a ticket. An invitation of an account that has
 * no password yet is for who has never come, and somebody else may have it: it ends. False with a
 * problem. */
bool invitation_withdraw(struct call *call, const struct account *account);

/* Of the routes, whose rows stand in login.c. */
err_t invitation_about_read(struct call *call);
void invitation_about_run(struct call *call);
err_t invitation_read(struct call *call);
void invitation_run(struct call *call);
err_t invitation_confirm_read(struct call *call);
void invitation_confirm_run(struct call *call);
void invitation_finish(struct call *call);

/* Answers with a new secret for one-time codes: as text, as address for authenticator apps, and as
 * the rows of the QR code of that. */
void invitation_answer_secret(struct call *call, const struct account *account, span_t secret);

#endif
