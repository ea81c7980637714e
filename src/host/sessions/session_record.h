/* Login records as they are found: where they lie, and whether what they tell of lives. */
#ifndef POSTERN_HOST_SESSION_RECORD_H
#define POSTERN_HOST_SESSION_RECORD_H

#include "host/login/login_record.h"
#include "host/sync_host.h"

/* Makes both directories (login_record.h): one that the command user's group may add to and not
 * read, and one that is root's alone. */
err_t session_record_make_dirs(const struct config *config);

/* The record of that name in an open directory; false when there is none, or nonsense. */
bool session_record_read(int dir, const char *name, struct login_record *out);
/* Whether the connection lives that it tells of. Learns the start time that its writer could not
 * see. */
bool session_record_is_living(struct login_record *record);

/* The records of connections that live, from both directories, in no order. ERR_PERMISSION for
 * others than root. */
err_t session_record_list(const char *state_dir,
                          err_t (*each)(void *context, const struct login_record *record),
                          void *context);

#endif
