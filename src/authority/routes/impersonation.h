/*
 * Certificates of people that a service account asks for in their place, for portals that log in on
 * behalf of who uses them. It may so by an administrator's word alone, for people of its project,
 * and on the project's clusters: what else these people reach is not the portal's to have.
 */
#ifndef POSTERN_AUTHORITY_IMPERSONATION_H
#define POSTERN_AUTHORITY_IMPERSONATION_H

#include "authority/routes/signing.h"

struct impersonation {
    struct account account; /* whose certificate */
    struct bounds bounds;   /* the API key's, within the project's clusters */
    entity_id by_id, api_key_id;
};

/* Store thread: the caller, who is signed in by an API key, in the place of this account. False
 * with a problem, the same whether there is such an account or not. */
bool impersonation_begin(struct call *call, const char *username, struct impersonation *out);
/* *out borrows. */
struct signing_for impersonation_for(const struct impersonation *impersonation);

#endif
