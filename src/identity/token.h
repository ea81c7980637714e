/*
 * Bearer tokens, API keys, invitations and enrolment tokens: random, shown once, kept as SHA-256.
 * 256 bits of randomness need no slow hash. The prefix tells people and secret scanners what they
 * found: "pgs_" session, "pgk_" API key, "pgh_" host token, "pge_" host enrolment, "pgi_"
 * invitation, "pgt_" a one-time token, "pgw_" a session that the enrolment window let in, "pgr_"
 * refresh token, "pgb_" a browser's session, "pgc_" authorization code, "pgd_" device code.
 */
#ifndef POSTERN_IDENTITY_TOKEN_H
#define POSTERN_IDENTITY_TOKEN_H

#include "base/err.h"
#include "base/secret.h"
#include "model/entity.h"

enum token_kind {
    TOKEN_SESSION,
    TOKEN_API_KEY,
    TOKEN_HOST,
    TOKEN_ENROL,
    TOKEN_INVITATION,
    TOKEN_TICKET,
    TOKEN_WINDOW,
    TOKEN_REFRESH,
    TOKEN_BROWSER,
    TOKEN_CODE,
    TOKEN_DEVICE,
};
enum { TOKEN_RANDOM_BYTES = 32, TOKEN_CHARS = 4 + 43 + 1 };

/* random is the caller's; *out is to be wiped after it was shown. */
err_t token_make(enum token_kind kind, const uint8_t random[TOKEN_RANDOM_BYTES],
                 char out[TOKEN_CHARS], char hash[HASH_CHARS]);
/* ERR_MALFORMED unless it looks like a token of that kind; then its hash for the look-up. */
err_t token_hash(enum token_kind kind, span_t token, char hash[HASH_CHARS]);
/* "Bearer TOKEN" → TOKEN; ERR_MALFORMED. */
err_t token_from_header(const char *authorization, span_t *token);

#endif
