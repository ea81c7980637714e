#include "gate/relay/certified.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "model/entity.h"
#include "ssh/crypto.h"

struct place {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    int64_t until;
};

struct certified {
    pthread_mutex_t mutex; /* guards places */
    struct place places[LIMIT_CERTIFIED_COUNT];
};

err_t certified_new(struct certified **out) {
    struct certified *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return FAIL(ERR_MEMORY);
    }
    INVARIANT(pthread_mutex_init(&table->mutex, NULL) == 0);
    *out = table;
    return OK;
}

void certified_free(struct certified *table) {
    if (table != NULL) {
        (void)pthread_mutex_destroy(&table->mutex);
        free(table);
    }
}

/* A key's fingerprint has no space in it, and a user's name none that counts. */
static size_t find(const char *user, const struct key *key, uint8_t digest[CRYPTO_SHA256_BYTES]) {
    char fingerprint[FINGERPRINT_CHARS], name[FINGERPRINT_CHARS + LIMIT_ACCOUNT_NAME_CHARS + 1];
    key_fingerprint(key, fingerprint);
    (void)snprintf(name, sizeof name, "%s %s", fingerprint, user);
    crypto_sha256(span_str(name), digest);
    return ((size_t)digest[0] << 8 | digest[1]) % LIMIT_CERTIFIED_COUNT;
}

void certified_note(struct certified *table, const char *user, const struct key *key,
                    int64_t until) {
    struct place newcomer = {.until = until};
    size_t at = find(user, key, newcomer.digest);
    (void)pthread_mutex_lock(&table->mutex);
    table->places[at] = newcomer;
    (void)pthread_mutex_unlock(&table->mutex);
}

bool certified_knows(struct certified *table, const char *user, const struct key *key,
                     int64_t now) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    size_t at = find(user, key, digest);
    (void)pthread_mutex_lock(&table->mutex);
    struct place place = table->places[at];
    (void)pthread_mutex_unlock(&table->mutex);
    return place.until > now && memcmp(place.digest, digest, sizeof digest) == 0;
}
