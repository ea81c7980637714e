/*
 * Secrets: a type of their own, wiped when done. The log has no function that takes one.
 */
#ifndef POSTERN_BASE_SECRET_H
#define POSTERN_BASE_SECRET_H

#include "base/err.h"
#include "base/span.h"

/* Wipes in a way the compiler may not remove. */
void secret_wipe(void *data, size_t len);

/* A password, passphrase, token or key: owned, NUL-terminated for C interfaces, wiped by
 * secret_done(). */
typedef struct secret {
    char *text; /* NULL when empty */
    size_t len;
} secret_t;

/* Copies; ERR_TOO_LONG beyond len_max. The source stays the caller's to wipe. */
err_t secret_copy(span_t from, size_t len_max, secret_t *out);
void secret_done(secret_t *secret);
span_t secret_span(const secret_t *secret);

#endif
