/* Time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 s), by liboath. */
#ifndef POSTERN_IDENTITY_TOTP_H
#define POSTERN_IDENTITY_TOTP_H

#include "base/err.h"
#include "base/span.h"

enum { TOTP_SECRET_BYTES = 20, TOTP_STEP_S = 30, TOTP_URI_CHARS = 512 };

/*
 * Accepts the code of the step at now, the one before or the one after, but never a step at or
 * before *last_step, which moves on when it accepts. ERR_REFUSED otherwise; ERR_MALFORMED when it
 * is not six digits.
 */
err_t totp_verify(span_t secret, span_t code, int64_t now, int64_t *last_step);

/* "otpauth://totp/…" for authenticator apps, and the secret in base32 for typing. */
err_t totp_uri(span_t secret, const char *issuer, const char *account, char out[TOTP_URI_CHARS]);
err_t totp_base32(span_t secret, char out[64]);

#endif
