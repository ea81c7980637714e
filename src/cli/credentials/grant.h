/*
 * Automation grants: what a person approved that this machine may do unattended with a key. The
 * key, from its file or an agent, is all that it takes; nobody is asked for a passphrase.
 */
#ifndef POSTERN_CLI_GRANT_H
#define POSTERN_CLI_GRANT_H

#include "cli/keys/key_file.h"
#include "cli/site.h"
#include "ssh/cert.h"

/*
 * A certificate for the key by its grant, checked and written as by certificate_issue(); which and
 * how long, the grant says. Whose it is, the first one says, where nobody has signed in.
 * ERR_NOT_FOUND, and trouble left alone, where nobody approved the key, or this process cannot sign
 * with it. Trouble with EXIT_LOGIN when the grant has ended or the proof is not taken: another way
 * may do.
 */
err_t grant_renew(struct cli *cli, struct site *site, const struct user_key *key,
                  struct cert **out);

#endif
