/* A certificate as it came from the authority, held against what was asked before anybody uses it.
 */
#ifndef POSTERN_CLI_RECEIVED_H
#define POSTERN_CLI_RECEIVED_H

#include "cli/cli.h"
#include "cli/site.h"
#include "ssh/cert.h"

/*
 * Parses the line and checks: a user certificate, for this key (NULL: any), of this account, which
 * it may bind to clusters (model/scope.h), signed by a pinned CA, valid now. An unknown CA makes it
 * look again at what the authority says of itself, once (see api_refresh_document()), so that a CA
 * may be replaced.
 */
err_t received_check(struct cli *cli, struct site *site, const char *line, const struct key *key,
                     const char *username, struct cert **out);

/* "2026-04-01 16:15:20 +02:00 (in a day)", or "forever". */
void received_until(const struct cert *cert, char out[80]);

/* Writes KEY-cert.pub by rename, 0644. */
err_t received_write(struct cli *cli, const struct cert *cert, const char *comment,
                     const char *path);

#endif
