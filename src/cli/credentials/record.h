/*
 * What is known here of the secrets in the keyring, without any of them: which ones the authority
 * refused, and which one-time codes were used. In
 * $XDG_STATE_HOME/posterngate/SITE/credentials.json.
 */
#ifndef POSTERN_CLI_RECORD_H
#define POSTERN_CLI_RECORD_H

#include "cli/credentials/keyring.h"
#include "cli/site.h"

/*
 * True when the authority refused it, and nothing was stored or removed since: what was wrong once
 * is wrong each time, and an account is locked by wrong passwords.
 */
bool record_is_refused(const struct keyring_name *name);
err_t record_refused(const struct keyring_name *name);

/* The step of the last one-time code that was sent for the account; 0 when there was none. */
int64_t record_last_step(const char *site, const char *account);
err_t record_step(const char *site, const char *account, int64_t step);

/* After something was stored or removed. */
void record_forget(const char *site);

#endif
