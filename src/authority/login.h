/* The guard against guessing that all sign-in calls share. */
#ifndef POSTERN_AUTHORITY_LOGIN_H
#define POSTERN_AUTHORITY_LOGIN_H

#include "authority/call.h"

/*
 * Loop thread, from read(): takes a token of the caller's address, or sets 429 too_many_requests.
 * What presents 256 random bits (API keys, invitations, enrolment tokens) cannot be guessed; its
 * bound only keeps a flood off the store. A success gives the token back, from finish().
 */
err_t login_guard_admit_token(struct call *call);
void login_guard_credit_token(struct call *call);

/* What an address is known by to throttles: who has one IPv6 address has its /64. */
span_t login_guard_key(const struct inet_address *address);

#endif
