/*
 * Signed JSON in the compact form (RFC 7515, RFC 7519). What a token's header says is a claim of
 * whoever wrote it: the keys come from the set alone, and the algorithm must be one of those
 * allowed and fit the key. A header that brings a key or the address of one (jwk, jku, x5c, x5u) or
 * asks for extensions (crit) is refused, and so is one that says that the token is of another kind
 * ("at+jwt", "logout+jwt": RFC 8725 section 3.11).
 */
#ifndef POSTERN_IDENTITY_JWS_H
#define POSTERN_IDENTITY_JWS_H

#include <jansson.h>

#include "identity/jwk.h"

struct jws_header {
    enum jws_algorithm algorithm;
    char key_id[JWK_ID_CHARS]; /* "" without */
};

/*
 * Gives the claims of a token whose signature holds; the caller frees *claims. They are judged by
 * id_token.h. ERR_TOO_LONG; ERR_MALFORMED; ERR_UNSUPPORTED for an algorithm that is not allowed;
 * ERR_NOT_FOUND for a key that is not in the set, when *header is filled all the same (a newer set
 * may have it); ERR_SIGNATURE.
 */
err_t jws_verify(span_t token, const struct jwk_set *keys, uint32_t algorithms,
                 struct jws_header *header, json_t **claims);

#endif
