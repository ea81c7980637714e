/* Doing what a finding says that mends it. */
#ifndef POSTERN_CLI_MEND_H
#define POSTERN_CLI_MEND_H

#include "cli/doctor/checks.h"

/*
 * Does it, at this terminal where a command of it asks. Files are replaced by rename, keep their
 * mode, and lose nothing but what the mend is about; before a line of known_hosts goes, a copy is
 * made (.old), as ssh-keygen -R does. Trouble when it fails.
 */
err_t mend_do(struct cli *cli, const struct facts *facts, const struct mend *mend);

#endif
