/* Passwords: judged, and hashed by argon2id (libsodium). The costly calls block for ~20 ms: run
 * them on a worker. */
#ifndef POSTERN_IDENTITY_PASSWORD_H
#define POSTERN_IDENTITY_PASSWORD_H

#include "base/err.h"
#include "base/secret.h"
#include "model/entity.h"

/* Length bounds, not the account's name or a trivial pattern of it, not one repeated or sequential
 * run. The fault says how to mend it. */
err_t password_judge(const secret_t *password, const char *account_name, struct fault *fault);
/* argon2id, 19 MiB, 2 passes (OWASP's first choice). */
err_t password_hash(const secret_t *password, char out[128]);
/* ERR_REFUSED when it does not match. An empty hash costs the same time as a real one. */
err_t password_verify(const char *hash, const secret_t *password);

#endif
