/* How far back a listing goes. */
#ifndef POSTERN_AUTHORITY_SINCE_H
#define POSTERN_AUTHORITY_SINCE_H

#include "authority/call.h"

/* The query's "since": an RFC 3339 time, or a duration: that long ago. Absent: *out is left alone.
 */
err_t since_read(struct call *call, int64_t *out);

#endif
