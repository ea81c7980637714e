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
enum {
    PASSWORD_MIB_MIN = 19, /* OWASP's first choice, with 2 passes */
    PASSWORD_MIB_MAX = 1024,
    PASSWORD_PASSES_MIN = 2,
    PASSWORD_PASSES_MAX = 16,
};

/* Of argon2id, in one lane. */
struct password_cost {
    uint32_t memory_mib; /* PASSWORD_MIB_MIN to _MAX */
    uint32_t passes;     /* PASSWORD_PASSES_MIN to _MAX */
};

err_t password_hash(const secret_t *password, const struct password_cost *cost, char out[128]);
/* Whether a hash was made at this cost. */
bool password_has_cost(const char *hash, const struct password_cost *cost);
/* ERR_REFUSED when it does not match. An empty hash costs the same time as one at this cost. */
err_t password_verify(const char *hash, const secret_t *password, const struct password_cost *cost);

#endif
