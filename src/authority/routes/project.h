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

#endif
