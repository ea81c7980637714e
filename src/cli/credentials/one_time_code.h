/* Codes as an authenticator app shows them (RFC 6238: SHA-1, six digits, 30 s). Pure. */
#ifndef POSTERN_CLI_ONE_TIME_CODE_H
#define POSTERN_CLI_ONE_TIME_CODE_H

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

enum {
    ONE_TIME_STEP_S = 30,
    ONE_TIME_DIGITS = 6,
    ONE_TIME_SECRET_BYTES_MIN = 10, /* 80 bits, the shortest that authenticators are given */
    ONE_TIME_SECRET_BYTES_MAX = 64, /* a block of SHA-1 */
};

/*
 * The secret as people have it: base32 (RFC 4648 section 6), in any case, with spaces, hyphens and
 * padding or without; or the otpauth:// address of a QR code. *out is it in capitals without
 * anything between them. ERR_MALFORMED, ERR_RANGE for one that is too short or too long,
 * ERR_UNSUPPORTED for an address that asks for other codes than these.
 */
err_t one_time_secret_parse(span_t text, secret_t *out);

/* The code of a step, which is the time by ONE_TIME_STEP_S; `secret` as one_time_secret_parse()
 * gives it. */
err_t one_time_code(const secret_t *secret, int64_t step, char out[ONE_TIME_DIGITS + 1]);

#endif
