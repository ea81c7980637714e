/* What a person is asked for at the terminal when they sign in, or change how they do. */
#ifndef POSTERN_CLI_ASK_H
#define POSTERN_CLI_ASK_H

#include "cli/terminal.h"

enum { ASK_TRIES = 3, ASK_CODE_CHARS = 32 + 1 };

/* A code as authenticators show it, "123 456" included; with `recovery`, a recovery code as well.
 */
err_t ask_code(struct terminal *terminal, bool recovery, char out[ASK_CODE_CHARS]);
/* A new password, twice the same. */
err_t ask_new_password(struct terminal *terminal, secret_t *out);
/* The secret of one-time codes, to be scanned or typed. */
void ask_show_totp_secret(struct terminal *terminal, const char *uri, const char *secret);

#endif
