/*
 * What authenticators answer, judged (Web Authentication Level 3, sections 7.1 and 7.2): passkeys
 * and security keys. Pure: no clock, no store; whether a challenge is still open is the caller's to
 * know (webauthn_challenge.h).
 *
 * Keys are ES256, EdDSA (Ed25519) or RS256. Attestation "none", or "packed"
 * (attestation.h); anything else is refused.
 *
 * By our own parsing and not by libfido2: its verification leaves challenge, origin and type to the
 * caller as well, and it brings the drivers of authenticators into the process.
 */
#ifndef POSTERN_IDENTITY_WEBAUTHN_H
#define POSTERN_IDENTITY_WEBAUTHN_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

enum { WEBAUTHN_AAGUID_BYTES = 16, WEBAUTHN_RSA_BITS_MAX = 4096 };

/* COSE's numbers of algorithms (RFC 9053, RFC 8812), best first. */
enum webauthn_algorithm { WEBAUTHN_ES256 = -7, WEBAUTHN_EDDSA = -8, WEBAUTHN_RS256 = -257 };

struct webauthn_expected {
    const char *origin; /* "https://authority.example" */
    const char *rp_id;  /* "authority.example" */
    span_t challenge;
    bool user_verified; /* by PIN or finger: then it is two factors in one */
    int64_t now;        /* seconds; a registration's alone: certificates of makers are valid then */
};

/* Appends the challenge that an answer says it is to, which is to be judged first. ERR_MALFORMED,
 * ERR_TOO_LONG; the fault says what of. */
err_t webauthn_client_challenge(span_t client_data, struct buf *out, struct fault *fault);

/* What came back from the browser, decoded from base64url. */
struct webauthn_registration {
    span_t client_data; /* JSON */
    span_t attestation; /* CBOR */
};

struct webauthn_credential {
    span_t id;         /* borrow from the registration */
    span_t public_key; /* COSE_Key (RFC 9052 section 7) */
    enum webauthn_algorithm algorithm;
    uint8_t aaguid[WEBAUTHN_AAGUID_BYTES]; /* the model, where it says so */
    uint32_t counter;
    bool user_verified;
    bool may_be_copied; /* "backup eligible": a passkey that a service keeps */
};

/*
 * ERR_MALFORMED and what cbor.h says for what cannot be read; ERR_UNSUPPORTED for another
 * algorithm or attestation; ERR_KEY_INVALID, ERR_KEY_SIZE; ERR_REFUSED when it is an answer to
 * another question (type, challenge, origin, relying party) or lacks a flag; ERR_SIGNATURE; what
 * attestation.h says of a maker's certificate. The fault says which.
 */
err_t webauthn_register(const struct webauthn_expected *expected,
                        const struct webauthn_registration *from, struct webauthn_credential *out,
                        struct fault *fault);

struct webauthn_assertion {
    span_t client_data;        /* JSON */
    span_t authenticator_data; /* bytes */
    span_t signature;
};

struct webauthn_proof {
    uint32_t counter; /* 0: it has none */
    bool user_verified;
};

/* Whether the assertion is by the key of a credential. The same errors. Of the counter the caller
 * must think: webauthn_counter_moved(). */
err_t webauthn_verify(const struct webauthn_expected *expected, span_t public_key,
                      const struct webauthn_assertion *from, struct webauthn_proof *out,
                      struct fault *fault);

/* Section 6.1.1: a counter that does not move on shows that there are two of them; one that is 0
 * and stays so is none. */
bool webauthn_counter_moved(uint32_t last, uint32_t now);

/* "https://authority.example:8443/x" → "authority.example". ERR_UNSUPPORTED for an address in place
 * of a name, which no browser takes (section 5.1.3), and for http:// elsewhere than at localhost.
 */
enum { WEBAUTHN_RP_ID_CHARS = LIMIT_HOST_NAME_CHARS + 1 };
err_t webauthn_rp_id(const char *url, char out[WEBAUTHN_RP_ID_CHARS]);
/* Its origin: without path, and without the default port (RFC 6454 section 6.2). */
enum { WEBAUTHN_ORIGIN_CHARS = LIMIT_HOST_NAME_CHARS + 16 };
err_t webauthn_origin(const char *url, char out[WEBAUTHN_ORIGIN_CHARS]);

#endif
