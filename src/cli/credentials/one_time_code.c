#include "cli/credentials/one_time_code.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum { SECRET_CHARS_MAX = (ONE_TIME_SECRET_BYTES_MAX * 8 + 4) / 5 };

/* Five bits a letter, the first ones first; what is left of the last byte is dropped. */
static err_t decode(span_t letters, uint8_t out[ONE_TIME_SECRET_BYTES_MAX], size_t *len) {
    uint32_t bits = 0;
    unsigned held = 0;
    size_t count = 0;
    for (size_t i = 0; i < letters.len; i++) {
        const char *at = letters.data[i] == '\0' ? NULL : strchr(base32, letters.data[i]);
        if (at == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        bits = (bits << 5 | (uint32_t)(at - base32)) & 0xfff;
        held += 5;
        if (held >= 8) {
            if (count == ONE_TIME_SECRET_BYTES_MAX) {
                return FAIL(ERR_RANGE);
            }
            held -= 8;
            out[count++] = (uint8_t)(bits >> held);
        }
    }
    if (count < ONE_TIME_SECRET_BYTES_MIN) {
        return FAIL(ERR_RANGE);
    }
    *len = count;
    return OK;
}

/* The value of a parameter of an address, "" where it is absent. */
static span_t parameter(span_t query, const char *name) {
    while (query.len > 0) {
        span_t value = span_until(&query, '&');
        if (span_equal_str(span_until(&value, '='), name)) {
            return value;
        }
    }
    return SPAN_LITERAL("");
}

static bool is_or_absent(span_t value, const char *wanted) {
    return value.len == 0 || (value.len == strlen(wanted) &&
                              strncasecmp((const char *)value.data, wanted, value.len) == 0);
}

/* "otpauth://totp/LABEL?secret=…&algorithm=SHA1&digits=6&period=30" */
static err_t letters_of_address(span_t text, span_t *out) {
    static const char totp[] = "otpauth://totp/";
    if (text.len < strlen(totp) || memcmp(text.data, totp, strlen(totp)) != 0) {
        return FAIL(ERR_UNSUPPORTED); /* HOTP, which counts */
    }
    (void)span_until(&text, '?');
    if (!is_or_absent(parameter(text, "algorithm"), "SHA1") ||
        !is_or_absent(parameter(text, "digits"), "6") ||
        !is_or_absent(parameter(text, "period"), "30")) {
        return FAIL(ERR_UNSUPPORTED);
    }
    *out = parameter(text, "secret");
    return OK;
}

err_t one_time_secret_parse(span_t text, secret_t *out) {
    static const char scheme[] = "otpauth:";
    char letters[SECRET_CHARS_MAX];
    uint8_t secret[ONE_TIME_SECRET_BYTES_MAX];
    size_t len = 0;
    size_t count = 0;
    if (text.len >= strlen(scheme) && memcmp(text.data, scheme, strlen(scheme)) == 0) {
        TRY(letters_of_address(text, &text));
    }
    while (text.len > 0 && text.data[text.len - 1] == '=') {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        char letter = (char)text.data[i];
        if (letter == ' ' || letter == '-') {
            continue;
        }
        if (count == sizeof letters) {
            secret_wipe(letters, sizeof letters);
            return FAIL(ERR_RANGE);
        }
        letters[count++] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    err_t err = decode(span_of(letters, count), secret, &len);
    err = failed(err) ? err : secret_copy(span_of(letters, count), sizeof letters, out);
    secret_wipe(letters, sizeof letters);
    secret_wipe(secret, sizeof secret);
    return err;
}

/* RFC 4226 section 5.3. */
err_t one_time_code(const secret_t *secret, int64_t step, char out[ONE_TIME_DIGITS + 1]) {
    uint8_t key[ONE_TIME_SECRET_BYTES_MAX];
    uint8_t counter[8];
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t key_len = 0;
    unsigned hash_len = 0;
    TRY(decode(secret_span(secret), key, &key_len));
    for (size_t i = 0; i < sizeof counter; i++) {
        counter[i] = (uint8_t)((uint64_t)step >> (8 * (7 - i)));
    }
    bool made =
        HMAC(EVP_sha1(), key, (int)key_len, counter, sizeof counter, hash, &hash_len) != NULL;
    secret_wipe(key, sizeof key);
    if (!made || hash_len < 20) {
        return FAIL(ERR_CRYPTO);
    }
    const uint8_t *at = hash + (hash[hash_len - 1] & 0xf);
    uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 |
                      (uint32_t)at[2] << 8 | (uint32_t)at[3];
    (void)snprintf(out, ONE_TIME_DIGITS + 1, "%06u", number % 1000000U);
    secret_wipe(hash, sizeof hash);
    return OK;
}
