#include "identity/totp.h"

#include <liboath/oath.h>
#include <pthread.h>
#include <stdio.h>

#include "base/secret.h"

enum { TOTP_DIGITS = 6, TOTP_SECRET_BYTES_MAX = 32, TOTP_BASE32_CHARS = 64 };

static int oath_state = OATH_CRYPTO_ERROR;

static void start_oath(void) { oath_state = oath_init(); }

static err_t oath_ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start_oath);
    return oath_state == OATH_OK ? OK : FAIL(ERR_CRYPTO);
}

static bool is_code(span_t code) {
    if (code.len != TOTP_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < code.len; i++) {
        if (code.data[i] < '0' || code.data[i] > '9') {
            return false;
        }
    }
    return true;
}

static err_t code_of_step(span_t secret, int64_t step, char out[TOTP_DIGITS + 1]) {
    int result =
        oath_totp_generate((const char *)secret.data, secret.len, (time_t)(step * TOTP_STEP_S),
                           TOTP_STEP_S, OATH_TOTP_DEFAULT_START_TIME, TOTP_DIGITS, out);
    return result == OATH_OK ? OK : FAIL(ERR_CRYPTO);
}

err_t totp_verify(span_t secret, span_t code, int64_t now, int64_t *last_step) {
    if (!is_code(code) || secret.len == 0 || secret.len > TOTP_SECRET_BYTES_MAX || now < 0) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(oath_ready());
    int64_t newest = now / TOTP_STEP_S + 1;
    int64_t accepted = -1;
    /* All three are computed whatever matches, so that the time does not tell which one did. */
    for (int64_t step = newest; step >= 0 && step > newest - 3; step--) {
        char expected[TOTP_DIGITS + 1];
        TRY(code_of_step(secret, step, expected));
        bool equal = span_equal_secret(code, span_of(expected, TOTP_DIGITS));
        secret_wipe(expected, sizeof expected);
        /* RFC 6238 section 5.2: "The verifier MUST NOT accept the second attempt of the OTP". */
        if (equal && step > *last_step) {
            accepted = step;
        }
    }
    if (accepted < 0) {
        return FAIL(ERR_REFUSED);
    }
    *last_step = accepted;
    return OK;
}

err_t totp_base32(span_t secret, char out[TOTP_BASE32_CHARS]) {
    if (secret.len == 0 || secret.len > TOTP_SECRET_BYTES_MAX) {
        return FAIL(ERR_RANGE);
    }
    TRY(oath_ready());
    char *text = NULL;
    size_t len = 0;
    if (oath_base32_encode((const char *)secret.data, secret.len, &text, &len) != OATH_OK) {
        return FAIL(ERR_CRYPTO);
    }
    size_t kept = 0;
    while (kept < len && text[kept] != '=') { /* authenticator apps want it without padding */
        kept++;
    }
    INVARIANT(kept < TOTP_BASE32_CHARS);
    memcpy(out, text, kept);
    out[kept] = '\0';
    secret_wipe(text, len);
    free(text);
    return OK;
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* RFC 3986 section 2.1. */
static err_t add_escaped(struct buf *out, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if (is_unreserved(*c)) {
            TRY(buf_add_byte(out, (uint8_t)*c));
        } else {
            TRY(buf_add_format(out, "%%%02X", (unsigned)(uint8_t)*c));
        }
    }
    return OK;
}

err_t totp_uri(span_t secret, const char *issuer, const char *account, char out[TOTP_URI_CHARS]) {
    char base32[TOTP_BASE32_CHARS];
    TRY(totp_base32(secret, base32));
    struct buf text CLEANUP(buf_done) = BUF(TOTP_URI_CHARS - 1);
    err_t err = buf_add_str(&text, "otpauth://totp/");
    err = failed(err) ? err : add_escaped(&text, issuer);
    err = failed(err) ? err : buf_add_str(&text, ":");
    err = failed(err) ? err : add_escaped(&text, account);
    err = failed(err) ? err : buf_add_str(&text, "?secret=");
    err = failed(err) ? err : buf_add_str(&text, base32);
    err = failed(err) ? err : buf_add_str(&text, "&issuer=");
    err = failed(err) ? err : add_escaped(&text, issuer);
    err = failed(err) ? err : buf_add_str(&text, "&algorithm=SHA1&digits=6&period=30");
    secret_wipe(base32, sizeof base32);
    TRY(err);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return OK;
}
