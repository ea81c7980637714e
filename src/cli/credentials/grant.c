#include "cli/credentials/grant.h"

/* No authority gives any yet. */
err_t grant_open(struct cli *cli, struct site *site, const struct user_key *key, struct api **out) {
    (void)cli;
    (void)site;
    (void)key;
    (void)out;
    return FAIL(ERR_NOT_FOUND);
}
