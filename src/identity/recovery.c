#include "identity/recovery.h"

#include <ctype.h>
#include <openssl/sha.h>

#include "base/secret.h"
#include "base/text.h"

enum { SYMBOLS_COUNT = 20, GROUP_CHARS = 5 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void recovery_make(const uint8_t random[RECOVERY_RANDOM_BYTES], char out[RECOVERY_CHARS]) {
    size_t len = 0;
    for (size_t i = 0; i < SYMBOLS_COUNT; i++) {
        if (i > 0 && i % GROUP_CHARS == 0) {
            out[len++] = '-';
        }
        out[len++] = alphabet[random[i] % 32];
    }
    out[len] = '\0';
}

static err_t normalise(span_t typed, char out[SYMBOLS_COUNT]) {
    size_t count = 0;
    for (size_t i = 0; i < typed.len; i++) {
        int c = toupper(typed.data[i]);
        if (c == '-' || c == ' ') {
            continue;
        }
        c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
        if (c == '\0' || strchr(alphabet, c) == NULL || count == SYMBOLS_COUNT) {
            return FAIL(ERR_MALFORMED);
        }
        out[count++] = (char)c;
    }
    return count == SYMBOLS_COUNT ? OK : FAIL(ERR_MALFORMED);
}

err_t recovery_hash(span_t typed, entity_id account_id, char hash[HASH_CHARS]) {
    char code[SYMBOLS_COUNT];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct buf input CLEANUP(buf_done) = BUF(128);
    struct buf hex CLEANUP(buf_done) = BUF(HASH_CHARS);
    TRY(normalise(typed, code));
    err_t err =
        buf_add_format(&input, "posterngate recovery code %llu ", (unsigned long long)account_id);
    err = failed(err) ? err : buf_add(&input, span_of(code, sizeof code));
    secret_wipe(code, sizeof code);
    TRY(err);
    (void)SHA256(input.data, input.len, digest);
    TRY(hex_encode(span_of(digest, sizeof digest), &hex));
    memcpy(hash, hex.data, hex.len);
    hash[hex.len] = '\0';
    return OK;
}
