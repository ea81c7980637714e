/*
 * The authorization code flow (RFC 6749 section 4.1) of a browser that signs in for the dashboard
 * at an external issuer.
 *
 * Nothing of it is kept here: the browser holds one random secret in a cookie until it comes back,
 * and state, nonce and code verifier are derived of that secret and of the issuer. So an answer
 * is good only in the browser that asked, and only as the answer of the issuer that was asked;
 * and any authority of the site can take it.
 */
#ifndef POSTERN_AUTHORITY_EXTERNAL_CODE_H
#define POSTERN_AUTHORITY_EXTERNAL_CODE_H

#include "authority/external_issuer.h"
#include "base/span.h"

enum { EXTERNAL_CODE_CHARS = 43 + 1 };

struct external_code {
    char state[EXTERNAL_CODE_CHARS], nonce[EXTERNAL_CODE_CHARS], verifier[EXTERNAL_CODE_CHARS];
};

/* Of the browser's secret: 43 characters. Pure. */
void external_code_derive(const char *issuer_id, span_t secret, struct external_code *out);

/*
 * These may ask the issuer, and wait: not on the loop's thread or the store's. redirect_uri is
 * the address of ours that the browser comes back to.
 *
 * Appends the address to send the browser to. ERR_CONNECT, or ERR_UNSUPPORTED for an issuer that
 * offers no such flow, with a fault.
 */
err_t external_code_url(struct external_issuer *issuer, const struct external_code *code,
                        const char *redirect_uri, int64_t now, struct buf *out,
                        struct fault *fault);
/* Trades what the browser brought for the issuer's tokens, which the caller frees. ERR_REFUSED and
 * ERR_CONNECT with a fault. */
err_t external_code_trade(struct external_issuer *issuer, const struct external_code *code,
                          const char *redirect_uri, const char *brought, int64_t now,
                          json_t **tokens, struct fault *fault);

#endif
