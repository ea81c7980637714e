/* What a keyring calls a secret, and a TOTP secret as people have it: what is read, written again,
 * is read the same. */
#include "fuzz.h"

#include "cli/credentials/keyring.h"
#include "cli/credentials/one_time_code.h"

static void read_name(span_t text) {
    struct keyring_entry entry = {.place = KEYRING_KERNEL};
    char described[KEYRING_DESCRIPTION_CHARS];
    if (failed(keyring_entry_parse(text, &entry))) {
        return;
    }
    const struct keyring_name name = {entry.site, entry.kind, entry.account};
    must(keyring_describe(&name, described));
    INVARIANT(span_equal_str(text, described));
}

static void read_secret(span_t text) {
    secret_t secret CLEANUP(secret_done) = {0};
    secret_t again CLEANUP(secret_done) = {0};
    char code[ONE_TIME_DIGITS + 1];
    if (failed(one_time_secret_parse(text, &secret))) {
        INVARIANT(secret.text == NULL);
        return;
    }
    must(one_time_secret_parse(secret_span(&secret), &again));
    INVARIANT(span_equal(secret_span(&secret), secret_span(&again)));
    must(one_time_code(&secret, 1, code));
    INVARIANT(strlen(code) == ONE_TIME_DIGITS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    read_name(span_of(data, len));
    read_secret(span_of(data, len));
    return 0;
}
