/* Accounts, as routes of other files need them. */
#ifndef POSTERN_AUTHORITY_ACCOUNT_H
#define POSTERN_AUTHORITY_ACCOUNT_H

#include "authority/call.h"

const char *account_kind_name(enum account_kind kind); /* "person", "service" */

/* Store thread. False with 404 not_found. */
bool account_find(struct call *call, const char *name, struct account *out);
/* Store thread: whose `what` ("grants") are to be listed: with a name (NULL: the caller) that of
 * another, for administrators alone. False with 403 not_permitted or 404 not_found. */
bool account_listed(struct call *call, const char *name, const char *what, struct account *out);
/* [{"name","role"}…]: a service account belongs to its one project as a member. NULL with a
 * problem. */
json_t *account_projects_json(struct call *call, const struct account *account);
json_t *account_json(struct call *call, const struct account *account);

/* Store thread: the first of these clusters that the account does not reach, NULL when there is
 * none. False with a problem. */
bool account_unreached(struct call *call, const struct account *account,
                       const struct cluster_list *clusters, const char **out);

/*
 * Users that distributions, their cloud images and cluster software make (and whom the audit log
 * calls so without an account: "anonymous", "system"): a certificate for one of
 * these names would be a login as it on every host that has it, which no project's manager has to
 * give away.
 */
bool account_is_system_user(const char *name);
/* Store thread: whether the caller, who manages the project that it is for, may make an account of
 * this name. False with a problem. */
bool account_may_name(struct call *call, const char *name);

/* Store thread: everything that the account could still use ends in this transaction: its sessions,
 * certificates (those that it asked for in the place of others, too), grants and keys. What it
 * could get anew is the caller's to bar. False with a problem. */
bool account_end_access(struct call *call, const struct account *account, const char *why);

#endif
