/* What the files of the certificate module share. Not for other modules. */
#ifndef POSTERN_SSH_CERT_INTERNAL_H
#define POSTERN_SSH_CERT_INTERNAL_H

#include "ssh/cert.h"

/* cert_new() without a nonce, for a certificate that brings its own. */
err_t cert_new_empty(struct cert **out);
/* cert_principal_check() but for wildcards, which others' certificates have and we show. */
err_t cert_principal_check_shown(span_t principal);
/* ERR_TOO_LONG beyond the count alone. */
err_t cert_add_principal_unchecked(struct cert *cert, span_t principal);
/* A name of printable characters, within the limits; value NULL for a flag. */
err_t cert_option_check(span_t name, const span_t *value);
err_t cert_insert_option(struct cert_option **options, size_t *count, size_t at, span_t name,
                         const span_t *value);
/* The signature blob of a signed certificate; empty when there is none. */
span_t cert_signature(const struct cert *cert);
/* The CA's signature, as key_verify() does it; from memory where the memo knows it. */
err_t cert_memo_verify(struct cert_memo *memo, const struct cert *cert);

#endif
