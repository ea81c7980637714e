/* Token exchange (RFC 8693): what an external issuer said of a person becomes a bearer of ours. */
#ifndef POSTERN_AUTHORITY_OIDC_EXCHANGE_H
#define POSTERN_AUTHORITY_OIDC_EXCHANGE_H

#include "authority/call.h"
#include "identity/id_token.h"

struct external_issuer;

struct exchange {
    struct external_issuer *issuer;
    const char *client; /* whom it must be meant for */
    const char *claim;  /* that says whose it is */
    int64_t age_max_s;
    bool creates;                             /* an account that is not there is made */
    const char *token, *nonce, *access_token; /* of the body; "" without */
    struct id_token found;
    json_t *claims; /* NULL until verified */
};
/* As the issuer's file has it for sign-ins. */
struct exchange exchange_by(struct external_issuer *issuer);
void exchange_release(struct exchange *exchange);

/* read(): which issuer it is, of those configured. */
err_t exchange_read(struct call *call, struct exchange *exchange);
/* The same for a token that stands for one signature: false where no issuer's tokens are taken so,
 * or where it is none. */
bool exchange_read_one_time(const struct call *call, const char *token, struct exchange *exchange);
/* On a worker: sets a problem unless the token is good. */
void exchange_verify(struct call *call, struct exchange *exchange);
/* Store thread: whose it is; the token is used up. False with a problem. */
bool exchange_take(struct call *call, const struct exchange *exchange, struct account *out);
/* Store thread: the session it is worth, with its account. False with a problem. */
bool exchange_judge(struct call *call, const struct exchange *exchange, struct session *out);

#endif
