/* Keys that live on a security token (FIDO). */
#ifndef POSTERN_CLI_TOKEN_KEY_H
#define POSTERN_CLI_TOKEN_KEY_H

#include "cli/cli.h"
#include "ssh/private_key.h"

/* "ed25519-sk" and "ecdsa-sk". */
bool token_key_is_type(const char *name);

/*
 * Has ssh-keygen make one, which talks to the token, at the terminal where the token wants a PIN
 * or a touch. -O of the arguments ("resident", "verify-required", …) goes to it as it is. What
 * comes is the handle by which the token knows the key; nothing stays behind on the disk.
 */
err_t token_key_make(struct cli *cli, const struct arguments *arguments, const char *type,
                     struct private_key **out);

#endif
