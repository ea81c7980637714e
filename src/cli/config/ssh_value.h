/* What may stand in an ssh configuration, so that it means there what it says. Pure. */
#ifndef POSTERN_CLI_SSH_VALUE_H
#define POSTERN_CLI_SSH_VALUE_H

#include "base/err.h"
#include "base/span.h"

/* Appends one argument of a line, quoted where it must be; ERR_MALFORMED for quotes, backslashes,
 * percent signs, "${" and control characters, and nothing is appended. */
err_t ssh_value_put(struct buf *out, const char *text);

/* "[user@]host[:port]", as ssh -J takes it: ERR_MALFORMED for what a shell or ssh could take for
 * something else. */
err_t ssh_value_check_hop(const char *hop);
/* ".g5k": a dot and labels of lower-case letters, digits and hyphens. ERR_MALFORMED. */
err_t ssh_value_check_suffix(const char *suffix);
/* True of a whole path that any shell leaves as it is, so that a Match line can run the program. */
bool ssh_value_can_run(const char *path);
/* True when the text has ASCII letters, digits and these others alone. */
bool ssh_value_has_only(const char *text, const char *others);

#endif
