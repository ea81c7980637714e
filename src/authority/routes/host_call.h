/* What hosts ask, as other files need it. */
#ifndef POSTERN_AUTHORITY_HOST_CALL_H
#define POSTERN_AUTHORITY_HOST_CALL_H

#include "authority/call.h"

/* Store thread, of ACCESS_HOST: the host that calls, when it has this role; else false with 403. */
bool host_call_require(struct call *call, enum host_role role, struct host *out);

#endif
