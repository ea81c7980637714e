/* Automation grants: what a person allowed a key to do, once, so that programs sign in by it. */
#ifndef POSTERN_CLI_GRANT_H
#define POSTERN_CLI_GRANT_H

#include "cli/api.h"
#include "cli/keys/key_file.h"

/* Signs in by the grant of this key. ERR_NOT_FOUND, and trouble left alone, where there is none. */
err_t grant_open(struct cli *cli, struct site *site, const struct user_key *key, struct api **out);

#endif
