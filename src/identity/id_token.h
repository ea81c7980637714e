/*
 * What an ID token's claims must say (OpenID Connect Core 1.0 section 3.1.3.7), once its signature
 * holds: jws.h. Pure: the time is the caller's.
 */
#ifndef POSTERN_IDENTITY_ID_TOKEN_H
#define POSTERN_IDENTITY_ID_TOKEN_H

#include <jansson.h>

#include "base/err.h"
#include "base/limits.h"
#include "identity/jws.h"

struct id_token_rules {
    const char *issuer;       /* exactly */
    const char *audience;     /* must be among "aud"; alone there, or named by "azp" */
    const char *nonce;        /* NULL: it must have none */
    const char *access_token; /* that came with it, for "at_hash"; NULL: none came */
    int64_t skew_s;           /* how far clocks may disagree */
    int64_t age_max_s;        /* since "iat" */
    /* Of each that is not empty, the token must name one: "amr" holds a list, "acr" a word. */
    const char *const *amr;
    size_t amr_count;
    const char *const *acr;
    size_t acr_count;
};

struct id_token {
    char subject[LIMIT_SUBJECT_CHARS + 1];
    int64_t expires_at;
    int64_t authenticated_at; /* "auth_time", now at the latest; 0 when not told */
};

/* ERR_REFUSED with a fault that names the claim; ERR_EXPIRED when that is all that is wrong. */
err_t id_token_judge(const json_t *claims, enum jws_algorithm algorithm,
                     const struct id_token_rules *rules, int64_t now, struct id_token *out,
                     struct fault *fault);

/* The left half of the hash that the algorithm uses, in base64url: "at_hash". EdDSA's is SHA-512.
 */
err_t id_token_half_hash(enum jws_algorithm algorithm, span_t text, struct buf *out);

#endif
