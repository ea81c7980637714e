/* Projects: what their managers may do, as routes of other files need it. */
#ifndef POSTERN_AUTHORITY_PROJECT_H
#define POSTERN_AUTHORITY_PROJECT_H

#include "authority/call.h"

/*
 * Store thread. Finds the project and judges: administrators, and the managers of just this
 * project; else 403 not_permitted, the same whether the project exists or not. An administrator
 * gets 404 for one that does not.
 */
bool project_find_managed(struct call *call, const char *name, struct project *out);

/*
 * Store thread: ends what a membership gave, which the caller has just removed. Whoever has no
 * project left keeps nothing; others keep what is not of this project alone, and hosts see by what
 * they reach where that is good. False with a problem.
 */
bool project_end_membership(struct call *call, const struct project *project,
                            const struct account *account);

#endif
