/* A certificate of the authority for a key: asked for, held against what was asked, written beside
 * the key. */
#ifndef POSTERN_CLI_ISSUE_H
#define POSTERN_CLI_ISSUE_H

#include "cli/api.h"
#include "cli/keys/key_file.h"
#include "cli/site.h"
#include "ssh/cert.h"

/*
 * Needs the public key alone. principal: what it is to be good for; NULL: the caller's account.
 * wish: further members of the request ("duration", "forceCommand", "ipSubnets"), whose reference
 * is taken, also on failure; NULL for none. The certificate is checked (received_check()) and
 * replaces the one that was there by rename; on failure that one is as it was. *ssh_key (may be
 * NULL) is what the authority says of the certificate: "sshKey" of its answer.
 */
err_t certificate_issue(struct cli *cli, struct site *site, struct api *api,
                        const struct user_key *key, const char *principal, json_t *wish,
                        json_t **ssh_key, struct cert **out);

/* The same for an answer that came another way: what the authority says of the certificate
 * ("sshKey"), which must be this account's. */
err_t certificate_take(struct cli *cli, struct site *site, const struct user_key *key,
                       const char *username, const json_t *ssh_key, struct cert **out);

#endif
