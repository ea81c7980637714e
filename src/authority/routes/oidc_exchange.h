/* Token exchange (RFC 8693): what an external issuer said of a person becomes a bearer of ours. */
#ifndef POSTERN_AUTHORITY_OIDC_EXCHANGE_H
#define POSTERN_AUTHORITY_OIDC_EXCHANGE_H

#include "authority/call.h"
#include "identity/id_token.h"

struct external_issuer;

struct exchange {
    struct external_issuer *issuer;
    const char *client;                       /* whom it must be meant for */
    const char *token, *nonce, *access_token; /* of the body; "" without */
    struct id_token found;
    json_t *claims; /* NULL until verified */
};
void exchange_release(struct exchange *exchange);

/* read(): which issuer it is, of those configured. */
err_t exchange_read(struct call *call, struct exchange *exchange);
/* On a worker: sets a problem unless the token is good. */
void exchange_verify(struct call *call, struct exchange *exchange);
/* Store thread: the session it is worth, with its account. False with a problem. */
bool exchange_judge(struct call *call, const struct exchange *exchange, struct session *out);

#endif
