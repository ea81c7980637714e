#include "identity/password.h"

#include <ctype.h>
#include <sodium.h>
#include <strings.h>

#include "base/strength.h"
#include "base/text.h"

enum {
    RUNS_MIN = 5, /* "abcdefgh1234" is two runs: it looks long and is guessed at once */
    REST_CHARS_MIN = 8,
    NAME_CHARS_MIN = 3, /* shorter names occur in words by chance */
};

_Static_assert(crypto_pwhash_STRBYTES <= 128, "an encoded hash fits struct login");

static bool starts_with_name(const char *at, size_t left, const char *name, size_t name_len) {
    if (left < name_len) {
        return false;
    }
    bool forward = strncasecmp(at, name, name_len) == 0;
    bool backward = true;
    for (size_t i = 0; i < name_len; i++) {
        backward = backward && tolower((uint8_t)at[i]) == tolower((uint8_t)name[name_len - 1 - i]);
    }
    return forward || backward;
}

/* How many characters are left without the account's name, forwards or backwards. */
static size_t rest_without(const char *text, size_t len, const char *name) {
    size_t name_len = strlen(name);
    size_t rest = 0;
    for (size_t i = 0; i < len;) {
        if (name_len >= NAME_CHARS_MIN && starts_with_name(text + i, len - i, name, name_len)) {
            i += name_len;
        } else {
            rest++;
            i++;
        }
    }
    return rest;
}

err_t password_judge(const secret_t *password, const char *account_name, struct fault *fault) {
    span_t text = secret_span(password);
    const struct strength strength = strength_of(text);
    if (!text_is_utf8(text)) {
        return fault_set(fault, ERR_MALFORMED, "password",
                         "the password has control characters or is not UTF-8 text");
    }
    if (strength.chars < LIMIT_PASSWORD_CHARS_MIN) {
        return fault_set(fault, ERR_RANGE, "password",
                         "the password has %zu characters and needs at least %d; four or five "
                         "unrelated words make a good one",
                         strength.chars, LIMIT_PASSWORD_CHARS_MIN);
    }
    if (text.len > LIMIT_PASSWORD_CHARS_MAX) {
        return fault_set(fault, ERR_TOO_LONG, "password",
                         "the password is longer than %d bytes; take a shorter one",
                         LIMIT_PASSWORD_CHARS_MAX);
    }
    if (rest_without(password->text, text.len, account_name) < REST_CHARS_MIN) {
        return fault_set(fault, ERR_REFUSED, "password",
                         "the password is little more than the account's name; choose something "
                         "that does not contain it");
    }
    if (strength.period < LIMIT_PASSWORD_CHARS_MIN && strength.period <= text.len / 2) {
        return fault_set(fault, ERR_REFUSED, "password",
                         "the password repeats a short text; choose something less regular, such "
                         "as four or five unrelated words");
    }
    if (strength.runs < RUNS_MIN) {
        return fault_set(fault, ERR_REFUSED, "password",
                         "the password is a run of neighbouring characters; choose something less "
                         "regular, such as four or five unrelated words");
    }
    if (strength_is_common(text)) {
        return fault_set(fault, ERR_REFUSED, "password",
                         "the password is among the first that anybody tries; choose four or five "
                         "unrelated words");
    }
    return OK;
}

static size_t bytes_of(const struct password_cost *cost) {
    return (size_t)cost->memory_mib * 1024 * 1024;
}

err_t password_hash(const secret_t *password, const struct password_cost *cost, char out[128]) {
    char hash[crypto_pwhash_STRBYTES];
    if (sodium_init() < 0) {
        return FAIL(ERR_CRYPTO);
    }
    const char *text = password->len == 0 ? "" : password->text;
    /* Fails only when the memory cannot be had. */
    if (crypto_pwhash_str_alg(hash, text, password->len, cost->passes, bytes_of(cost),
                              crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return FAIL(ERR_MEMORY);
    }
    memcpy(out, hash, sizeof hash);
    return OK;
}

bool password_has_cost(const char *hash, const struct password_cost *cost) {
    return crypto_pwhash_str_needs_rehash(hash, cost->passes, bytes_of(cost)) == 0;
}

err_t password_verify(const char *hash, const secret_t *password,
                      const struct password_cost *cost) {
    char nobodys[128];
    if (hash[0] == '\0') {
        TRY(password_hash(password, cost, nobodys)); /* which takes as long */
        return FAIL(ERR_REFUSED);
    }
    if (sodium_init() < 0) {
        return FAIL(ERR_CRYPTO);
    }
    const char *text = password->len == 0 ? "" : password->text;
    return crypto_pwhash_str_verify(hash, text, password->len) == 0 ? OK : FAIL(ERR_REFUSED);
}
