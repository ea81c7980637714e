#include "identity/webauthn_challenge.h"

#include <openssl/sha.h>

struct place {
    bool open;
    uint8_t asker[SHA256_DIGEST_LENGTH]; /* its hash: what it is known by is a secret */
    int64_t expires_at;
    struct webauthn_challenge challenge;
};

struct webauthn_challenges {
    uint8_t secret[THROTTLE_SECRET_BYTES];
    struct place places[WEBAUTHN_CHALLENGES_COUNT];
};

err_t webauthn_challenges_new(const uint8_t secret[THROTTLE_SECRET_BYTES],
                              struct webauthn_challenges **out) {
    struct webauthn_challenges *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memcpy(table->secret, secret, sizeof table->secret);
    *out = table;
    return OK;
}

void webauthn_challenges_free(struct webauthn_challenges *table) { free(table); }

static struct place *place_of(struct webauthn_challenges *table, span_t asker) {
    return &table->places[throttle_place(table->secret, asker, WEBAUTHN_CHALLENGES_COUNT)];
}

void webauthn_challenges_put(struct webauthn_challenges *table, span_t asker,
                             const struct webauthn_challenge *challenge, int64_t now) {
    struct place *place = place_of(table, asker);
    (void)SHA256(asker.data, asker.len, place->asker);
    place->open = true;
    place->expires_at = now + WEBAUTHN_CHALLENGE_S;
    place->challenge = *challenge;
}

bool webauthn_challenges_take(struct webauthn_challenges *table, span_t asker, int64_t now,
                              struct webauthn_challenge *out) {
    struct place *place = place_of(table, asker);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    (void)SHA256(asker.data, asker.len, hash);
    if (!place->open || memcmp(hash, place->asker, sizeof hash) != 0) {
        return false;
    }
    place->open = false;
    if (place->expires_at <= now) {
        return false;
    }
    *out = place->challenge;
    return true;
}
