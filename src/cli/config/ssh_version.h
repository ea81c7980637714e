/* Which OpenSSH this is. Pure. */
#ifndef POSTERN_CLI_SSH_VERSION_H
#define POSTERN_CLI_SSH_VERSION_H

#include "base/err.h"

struct ssh_version {
    unsigned major, minor; /* 0.0: not known; as today's */
};

/* From what `ssh -V` says: "OpenSSH_9.2p1 Debian-2", "OpenSSH_for_Windows_8.1p1". ERR_MALFORMED. */
err_t ssh_version_parse(const char *text, struct ssh_version *out);
/* Not known counts as newer than any. */
bool ssh_version_before(struct ssh_version version, unsigned major, unsigned minor);

#endif
