/* Signing in while nobody watches: by what is at hand, in this order. */
#ifndef POSTERN_CLI_SIGN_IN_H
#define POSTERN_CLI_SIGN_IN_H

#include "cli/api.h"
#include "cli/keys/key_file.h"

enum sign_in_way {
    SIGN_IN_SESSION,        /* the token of `postern login` */
    SIGN_IN_API_KEY,        /* $POSTERN_API_KEY */
    SIGN_IN_STORED_API_KEY, /* the keyring's */
    SIGN_IN_GRANT,          /* of the key: grant_renew(), and not sign_in() */
    SIGN_IN_PASSWORD,       /* password and TOTP secret of the keyring */
    SIGN_IN_WAYS,
};

/* "the session of postern login" */
const char *sign_in_text(enum sign_in_way way);

/*
 * ERR_NOT_FOUND, and trouble left alone, when there is nothing of that kind here. Trouble with
 * EXIT_LOGIN when the authority does not take it: another way may do. A secret of the keyring that
 * the authority refused is not offered again before it changes (record.h).
 *
 * SIGN_IN_PASSWORD waits for the next one-time code, half a minute at most, where this one was used
 * already, or may have been: once.
 */
err_t sign_in(struct cli *cli, struct site *site, enum sign_in_way way, struct api **out);

/* After sign_in(), or a call of what it opened, ended with EXIT_LOGIN: remembers it. */
void sign_in_was_refused(const struct site *site, enum sign_in_way way);

#endif
