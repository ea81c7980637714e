/*
 * JSON Web Keys that verify signatures (RFC 7517, RFC 7518 section 6, RFC 8037), and the algorithms
 * of signatures (RFC 7518 section 3). Public keys alone; a set that holds a secret is refused.
 *
 * By OpenSSL and not by a JOSE library: of those in Debian 12 and 13, cjose knows no EdDSA,
 * libjwt's 1.x no key sets, and rhonabwy brings GnuTLS as a second cryptographic library into the
 * process.
 */
#ifndef POSTERN_IDENTITY_JWK_H
#define POSTERN_IDENTITY_JWK_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

/* "none" and the HMACs are not here, so nothing can allow them. */
enum jws_algorithm {
    JWS_RS256 = 1,
    JWS_RS384,
    JWS_RS512,
    JWS_PS256,
    JWS_PS384,
    JWS_PS512,
    JWS_ES256,
    JWS_ES384,
    JWS_ES512,
    JWS_EDDSA, /* Ed25519 */
    JWS_ALGORITHMS_END,
};
/* Sets of algorithms are masks of these. */
#define JWS_BIT(algorithm) (UINT32_C(1) << (algorithm))
#define JWS_ALL            ((UINT32_C(1) << JWS_ALGORITHMS_END) - 2)

err_t jws_algorithm_parse(const char *name, enum jws_algorithm *out); /* ERR_UNSUPPORTED */
const char *jws_algorithm_name(enum jws_algorithm algorithm);

enum { JWK_ID_CHARS = LIMIT_JWK_ID_CHARS + 1 };

struct jwk_set;

/*
 * A key set as a provider publishes it. Keys that are for something else (encryption, a type or
 * curve not known here) or too weak are left out, as RFC 7517 section 5 says; what is not a key set
 * at all is ERR_MALFORMED, and so is one with a private key. ERR_TOO_LONG beyond
 * LIMIT_JWK_SET_KEYS_COUNT.
 */
err_t jwk_set_parse(span_t json, struct jwk_set **out);
void jwk_set_free(struct jwk_set *set);
void jwk_set_freep(struct jwk_set **set);
size_t jwk_set_count(const struct jwk_set *set);

/*
 * Whether the signature over `input` is by a key of the set that may be used for this algorithm. An
 * id, unless empty, must be the key's; without one, the set must hold just one key that fits.
 * ERR_NOT_FOUND when no key (or more than one) fits; ERR_SIGNATURE.
 */
err_t jwk_set_verify(const struct jwk_set *set, const char *id, enum jws_algorithm algorithm,
                     span_t input, span_t signature);

#endif
