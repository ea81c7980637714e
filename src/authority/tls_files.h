/* The TLS files of a fresh installation: when they end, and new ones in their place. */
#ifndef POSTERN_AUTHORITY_TLS_FILES_H
#define POSTERN_AUTHORITY_TLS_FILES_H

#include "authority/config.h"

/* Whether the certificate ends within TLS_WARN_S of `now`, or has ended: then *ends_at is when.
 * False also for one that cannot be read, which config_check_files() tells. */
enum { TLS_WARN_S = 30 * 24 * 3600 };
bool tls_files_end_soon(const struct config *config, int64_t now, int64_t *ends_at);

/*
 * `posternd renew-tls`: has the CA that `posternd init` made, ca.pem and ca.key beside the
 * certificate, issue another one for the same names, with a key of its own. Both files are replaced
 * by rename, the key first; if that is cut short between the two, the next run mends it. Returns
 * the exit status.
 */
int tls_files_renew(const struct config *config);

#endif
