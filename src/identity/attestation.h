/*
 * What an authenticator says of a key that it made (Web Authentication Level 3, sections 6.5 and
 * 8): "none", or "packed", signed by the key itself or by a key of the authenticator's maker.
 *
 * No root is known here, so a maker's certificate vouches for nothing: whoever has none says
 * "none". What is said must hold all the same: the signature, and section 8.2.1 of the certificate.
 */
#ifndef POSTERN_IDENTITY_ATTESTATION_H
#define POSTERN_IDENTITY_ATTESTATION_H

#include <openssl/evp.h>

#include "identity/webauthn.h"

/* The attestation object, as it came; borrows from it. */
struct attestation {
    span_t format;
    span_t statement; /* a map */
    span_t authenticator_data;
};

/* ERR_TOO_LONG beyond LIMIT_WEBAUTHN_ANSWER_BYTES, else what cbor.h says. */
err_t attestation_read(span_t bytes, struct attestation *out);

/* Of what it speaks. */
struct attested {
    span_t signed_data; /* the authenticator's data, and the hash of the client's */
    const struct webauthn_credential *credential;
    EVP_PKEY *key; /* the credential's */
    int64_t now;   /* by which a certificate is valid, in seconds */
};

/* ERR_UNSUPPORTED: another format or algorithm. ERR_SIGNATURE. ERR_EXPIRED, ERR_REFUSED: the
 * certificate is over, or none of an authenticator, or of another model. */
err_t attestation_verify(const struct attestation *attestation, const struct attested *attested);

#endif
