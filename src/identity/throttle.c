/*
 * Each bucket is one number: the time at which it is full again ("theoretical arrival time" of the
 * generic cell rate algorithm). A free token is the same as that time lying at most
 * (burst - 1) intervals ahead.
 *
 * Invariants:
 * 1. Every bucket is on the list of use, most recent first, always.
 * 2. A bucket that is in use is on exactly one hash chain; a fresh one is on none and stands at the
 *    list's end.
 */
#include "identity/throttle.h"

#include <assert.h>
#include <sodium.h>

enum { KEY_BYTES = 16, BUCKETS_MAX = 1 << 24 };

#define NONE UINT32_MAX

struct bucket {
    uint8_t key[KEY_BYTES];
    int64_t full_at_ms;
    uint32_t chain_next;
    uint32_t newer, older;
    bool used;
};

struct throttle {
    struct bucket *buckets;
    uint32_t *chains;
    uint32_t count;
    uint32_t newest, oldest;
    int64_t interval_ms;
    int64_t ahead_ms_max; /* how far full_at_ms may lie ahead for a token to be free */
};

err_t throttle_new(size_t buckets, unsigned burst, int64_t interval_ms, struct throttle **out) {
    if (buckets == 0 || buckets > BUCKETS_MAX || burst == 0 || interval_ms <= 0 ||
        interval_ms > INT64_MAX / 4 / burst || sodium_init() < 0) {
        return FAIL(ERR_RANGE);
    }
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL) {
        return FAIL(ERR_MEMORY);
    }
    throttle->buckets = calloc(buckets, sizeof *throttle->buckets);
    throttle->chains = calloc(buckets, sizeof *throttle->chains);
    if (throttle->buckets == NULL || throttle->chains == NULL) {
        throttle_free(throttle);
        return FAIL(ERR_MEMORY);
    }
    throttle->count = (uint32_t)buckets;
    throttle->interval_ms = interval_ms;
    throttle->ahead_ms_max = interval_ms * (int64_t)(burst - 1);
    for (uint32_t i = 0; i < throttle->count; i++) {
        throttle->chains[i] = NONE;
        throttle->buckets[i].chain_next = NONE;
        throttle->buckets[i].newer = i == 0 ? NONE : i - 1;
        throttle->buckets[i].older = i + 1 == throttle->count ? NONE : i + 1;
    }
    throttle->oldest = throttle->count - 1;
    *out = throttle;
    return OK;
}

void throttle_free(struct throttle *throttle) {
    if (throttle != NULL) {
        free(throttle->buckets);
        free(throttle->chains);
        free(throttle);
    }
}

/* Keys may be of any length and chosen by an attacker: 128 bits of BLAKE2b stand for them. */
static void digest(span_t key, uint8_t out[KEY_BYTES]) {
    (void)crypto_generichash(out, KEY_BYTES, key.data, key.len, NULL, 0);
}

size_t throttle_place(const uint8_t secret[THROTTLE_SECRET_BYTES], span_t name, size_t places) {
    static_assert(THROTTLE_SECRET_BYTES == crypto_shorthash_KEYBYTES, "SipHash's key");
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash's output");
    INVARIANT(places > 0);
    (void)crypto_shorthash((uint8_t *)&hash, name.data, name.len, secret);
    return (size_t)(hash % places);
}

static uint32_t *chain_of(const struct throttle *throttle, const uint8_t key[KEY_BYTES]) {
    uint32_t number;
    memcpy(&number, key, sizeof number);
    return &throttle->chains[number % throttle->count];
}

static uint32_t find(const struct throttle *throttle, const uint8_t key[KEY_BYTES]) {
    uint32_t at = *chain_of(throttle, key);
    while (at != NONE && memcmp(throttle->buckets[at].key, key, KEY_BYTES) != 0) {
        at = throttle->buckets[at].chain_next;
    }
    return at;
}

static void make_newest(struct throttle *throttle, uint32_t at) {
    struct bucket *bucket = &throttle->buckets[at];
    if (throttle->newest == at) {
        return;
    }
    throttle->buckets[bucket->newer].older = bucket->older;
    if (bucket->older == NONE) {
        throttle->oldest = bucket->newer;
    } else {
        throttle->buckets[bucket->older].newer = bucket->newer;
    }
    bucket->newer = NONE;
    bucket->older = throttle->newest;
    throttle->buckets[throttle->newest].newer = at;
    throttle->newest = at;
}

static void leave_chain(struct throttle *throttle, uint32_t at) {
    uint32_t *link = chain_of(throttle, throttle->buckets[at].key);
    while (*link != at) {
        INVARIANT(*link != NONE);
        link = &throttle->buckets[*link].chain_next;
    }
    *link = throttle->buckets[at].chain_next;
}

/* The bucket of a key, taken from the least recently used one when the key has none. */
static uint32_t claim(struct throttle *throttle, const uint8_t key[KEY_BYTES], int64_t now_ms) {
    uint32_t at = find(throttle, key);
    if (at == NONE) {
        at = throttle->oldest;
        struct bucket *bucket = &throttle->buckets[at];
        if (bucket->used) {
            leave_chain(throttle, at);
        }
        uint32_t *chain = chain_of(throttle, key);
        memcpy(bucket->key, key, KEY_BYTES);
        bucket->used = true;
        bucket->full_at_ms = now_ms;
        bucket->chain_next = *chain;
        *chain = at;
    }
    make_newest(throttle, at);
    return at;
}

bool throttle_allow(struct throttle *throttle, span_t key, int64_t now_ms, int *retry_after_s) {
    uint8_t hash[KEY_BYTES];
    digest(key, hash);
    struct bucket *bucket = &throttle->buckets[claim(throttle, hash, now_ms)];
    if (bucket->full_at_ms < now_ms) {
        bucket->full_at_ms = now_ms;
    }
    int64_t wait_ms = bucket->full_at_ms - now_ms - throttle->ahead_ms_max;
    if (wait_ms > 0) {
        int64_t wait_s = (wait_ms + 999) / 1000;
        *retry_after_s = wait_s > INT32_MAX ? INT32_MAX : (int)wait_s;
        return false;
    }
    bucket->full_at_ms += throttle->interval_ms;
    return true;
}

void throttle_credit(struct throttle *throttle, span_t key) {
    uint8_t hash[KEY_BYTES];
    digest(key, hash);
    uint32_t at = find(throttle, hash);
    if (at != NONE) {
        throttle->buckets[at].full_at_ms -= throttle->interval_ms;
    }
}

enum { LOCKOUT_FAILURES = 5, LOCKOUT_FIRST_S = 30, LOCKOUT_LAST_S = 15 * 60 };

int64_t lockout_until(unsigned failures, int64_t now) {
    if (failures < LOCKOUT_FAILURES) {
        return 0;
    }
    int64_t wait_s = LOCKOUT_FIRST_S;
    for (unsigned i = LOCKOUT_FAILURES; i < failures && wait_s < LOCKOUT_LAST_S; i++) {
        wait_s *= 2;
    }
    return now + (wait_s < LOCKOUT_LAST_S ? wait_s : LOCKOUT_LAST_S);
}
