#include "identity/webauthn_challenge.h"

#include <sodium.h>

_Static_assert((int)WEBAUTHN_CHALLENGE_SECRET_BYTES == crypto_auth_hmacsha256_KEYBYTES,
               "the secret is a key of the MAC");

/* When it was made, in seconds; for which account; random bytes; a MAC over these and the asker. */
enum {
    TIME_BYTES = 5,
    ACCOUNT_BYTES = 7,
    HEAD_BYTES = TIME_BYTES + ACCOUNT_BYTES + WEBAUTHN_CHALLENGE_RANDOM_BYTES,
    MAC_BYTES = 16,
};
_Static_assert(HEAD_BYTES + MAC_BYTES == LIMIT_WEBAUTHN_CHALLENGE_BYTES, "they fill a challenge");

static void put_number(uint64_t number, uint8_t *out, size_t bytes) {
    for (size_t i = bytes; i > 0; i--) {
        out[i - 1] = (uint8_t)number;
        number >>= 8;
    }
    INVARIANT(number == 0);
}

static uint64_t get_number(const uint8_t *from, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number = number << 8 | from[i];
    }
    return number;
}

static void make_mac(const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES],
                     const uint8_t head[HEAD_BYTES], span_t asker, uint8_t out[MAC_BYTES]) {
    crypto_auth_hmacsha256_state state;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    /* Documented to always succeed. */
    (void)crypto_auth_hmacsha256_init(&state, secret, WEBAUTHN_CHALLENGE_SECRET_BYTES);
    (void)crypto_auth_hmacsha256_update(&state, head, HEAD_BYTES);
    (void)crypto_auth_hmacsha256_update(&state, asker.data, asker.len);
    (void)crypto_auth_hmacsha256_final(&state, mac);
    memcpy(out, mac, MAC_BYTES);
}

void webauthn_challenge_make(const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES],
                             const uint8_t random[WEBAUTHN_CHALLENGE_RANDOM_BYTES], span_t asker,
                             entity_id account_id, int64_t now, struct webauthn_challenge *out) {
    *out = (struct webauthn_challenge){.made_at = now, .account_id = account_id};
    put_number((uint64_t)now, out->bytes, TIME_BYTES);
    put_number(account_id, out->bytes + TIME_BYTES, ACCOUNT_BYTES);
    memcpy(out->bytes + TIME_BYTES + ACCOUNT_BYTES, random, WEBAUTHN_CHALLENGE_RANDOM_BYTES);
    make_mac(secret, out->bytes, asker, out->bytes + HEAD_BYTES);
}

err_t webauthn_challenge_read(const uint8_t secret[WEBAUTHN_CHALLENGE_SECRET_BYTES], span_t asker,
                              span_t bytes, int64_t now, struct webauthn_challenge *out) {
    struct webauthn_challenge challenge;
    uint8_t mac[MAC_BYTES];
    if (bytes.len != sizeof challenge.bytes) {
        return FAIL(ERR_REFUSED);
    }
    memcpy(challenge.bytes, bytes.data, bytes.len);
    make_mac(secret, challenge.bytes, asker, mac);
    if (!span_equal_secret(span_of(mac, sizeof mac),
                           span_of(challenge.bytes + HEAD_BYTES, MAC_BYTES))) {
        return FAIL(ERR_REFUSED);
    }
    challenge.made_at = (int64_t)get_number(challenge.bytes, TIME_BYTES);
    challenge.account_id = get_number(challenge.bytes + TIME_BYTES, ACCOUNT_BYTES);
    if (challenge.made_at + WEBAUTHN_CHALLENGE_S <= now) {
        return FAIL(ERR_EXPIRED);
    }
    *out = challenge;
    return OK;
}
