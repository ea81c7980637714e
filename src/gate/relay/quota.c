/*
 * Three tables under one lock. A name is what SHA-256 makes of the secret, what kind of name it is,
 * and the name; so all are of one length, and nobody can choose two that meet.
 */
#include "gate/relay/quota.h"

#include <pthread.h>

#include "base/rate.h"
#include "ssh/crypto.h"

enum {
    NAME_BYTES = 16,
    CHAINS = 4096,
    ROW_PLACES = 8,
    ROWS = QUOTA_FAILURES_COUNT / ROW_PLACES,
    PACE_ROWS = QUOTA_RATES_COUNT / ROW_PLACES,
};
enum name_kind { NAME_ADDRESS = 1, NAME_ACCOUNT };

struct name {
    uint8_t bytes[NAME_BYTES];
};

struct live {
    struct live *next;
    struct name name;
    uint32_t sessions;
};

struct place {
    struct name name;
    int64_t since_ms;
    uint32_t failures; /* zero: free */
};

struct pace {
    struct name name;
    struct rate rate; /* full: free */
};

struct quota {
    pthread_mutex_t mutex;
    uint8_t secret[QUOTA_SECRET_BYTES];
    struct live *chains[CHAINS];
    struct place rows[ROWS][ROW_PLACES];
    struct pace paces[PACE_ROWS][ROW_PLACES];
};

err_t quota_new(const uint8_t secret[QUOTA_SECRET_BYTES], struct quota **out) {
    struct quota *quota = calloc(1, sizeof *quota);
    if (quota == NULL || pthread_mutex_init(&quota->mutex, NULL) != 0) {
        free(quota);
        return FAIL(ERR_MEMORY);
    }
    memcpy(quota->secret, secret, sizeof quota->secret);
    *out = quota;
    return OK;
}

void quota_free(struct quota *quota) {
    if (quota == NULL) {
        return;
    }
    for (size_t i = 0; i < CHAINS; i++) {
        while (quota->chains[i] != NULL) {
            struct live *gone = quota->chains[i];
            quota->chains[i] = gone->next;
            free(gone);
        }
    }
    (void)pthread_mutex_destroy(&quota->mutex);
    free(quota);
}

static struct name name_make(const struct quota *quota, enum name_kind kind, span_t text) {
    uint8_t whole[QUOTA_SECRET_BYTES + 1 + 256] = {0};
    uint8_t digest[CRYPTO_SHA256_BYTES];
    size_t len = text.len < 256 ? text.len : 256;
    memcpy(whole, quota->secret, QUOTA_SECRET_BYTES);
    whole[QUOTA_SECRET_BYTES] = (uint8_t)kind;
    memcpy(whole + QUOTA_SECRET_BYTES + 1, text.data, len);
    crypto_sha256(span_of(whole, QUOTA_SECRET_BYTES + 1 + len), digest);
    struct name name;
    memcpy(name.bytes, digest, NAME_BYTES);
    return name;
}

static struct name name_of_address(const struct quota *quota, const struct inet_address *from) {
    return name_make(quota, NAME_ADDRESS, span_of(from->bytes, from->family_bits == 32 ? 4 : 8));
}

static struct name name_of_account(const struct quota *quota, const char *account) {
    return name_make(quota, NAME_ACCOUNT, span_str(account));
}

static bool name_equal(const struct name *a, const struct name *b) {
    return memcmp(a->bytes, b->bytes, NAME_BYTES) == 0;
}

static size_t name_number(const struct name *name) {
    uint32_t number;
    memcpy(&number, name->bytes, sizeof number);
    return number;
}

/* --- sessions --- */

/* The link that holds the name's entry, or the NULL at its chain's end. */
static struct live **live_find(struct quota *quota, const struct name *name) {
    struct live **link = &quota->chains[name_number(name) % CHAINS];
    while (*link != NULL && !name_equal(&(*link)->name, name)) {
        link = &(*link)->next;
    }
    return link;
}

static enum quota_verdict live_enter(struct quota *quota, const struct name *name, uint32_t max) {
    struct live **link = live_find(quota, name);
    if ((*link == NULL ? 0 : (*link)->sessions) >= max) {
        return QUOTA_SESSIONS;
    }
    if (*link == NULL) {
        *link = calloc(1, sizeof **link);
        if (*link == NULL) {
            return QUOTA_DENIED;
        }
        (*link)->name = *name;
    }
    (*link)->sessions++;
    return QUOTA_ALLOWED;
}

static void live_leave(struct quota *quota, const struct name *name) {
    struct live **link = live_find(quota, name);
    struct live *live = *link;
    INVARIANT(live != NULL && live->sessions > 0);
    if (--live->sessions == 0) {
        *link = live->next;
        free(live);
    }
}

/* --- rates --- */

static bool pace_take(struct quota *quota, const struct name *name, uint32_t per_minute,
                      int64_t now_ms) {
    if (per_minute == 0) {
        return true;
    }
    struct pace *row = quota->paces[name_number(name) % PACE_ROWS];
    struct pace *least = &row[0];
    for (size_t i = 0; i < ROW_PLACES; i++) {
        if (name_equal(&row[i].name, name)) {
            return rate_take(&row[i].rate, per_minute, now_ms);
        }
        if (row[i].rate.full_at_ns < least->rate.full_at_ns) {
            least = &row[i];
        }
    }
    *least = (struct pace){.name = *name};
    return rate_take(&least->rate, per_minute, now_ms);
}

static enum quota_verdict begin(struct quota *quota, const struct name *name, uint32_t sessions_max,
                                uint32_t per_minute, int64_t now_ms) {
    enum quota_verdict verdict = live_enter(quota, name, sessions_max);
    if (verdict == QUOTA_ALLOWED && !pace_take(quota, name, per_minute, now_ms)) {
        live_leave(quota, name);
        return QUOTA_RATE;
    }
    return verdict;
}

/* --- failures --- */

static bool is_over(const struct place *place, int64_t now_ms) {
    return place->failures == 0 || now_ms - place->since_ms >= QUOTA_FAILURES_S * INT64_C(1000);
}

static struct place *place_find(struct quota *quota, const struct name *name, int64_t now_ms) {
    struct place *row = quota->rows[name_number(name) % ROWS];
    for (size_t i = 0; i < ROW_PLACES; i++) {
        if (!is_over(&row[i], now_ms) && name_equal(&row[i].name, name)) {
            return &row[i];
        }
    }
    return NULL;
}

/* A free place, or that with the fewest failures, of those the oldest. */
static struct place *place_claim(struct quota *quota, const struct name *name, int64_t now_ms) {
    struct place *row = quota->rows[name_number(name) % ROWS];
    struct place *least = &row[0];
    for (size_t i = 0; i < ROW_PLACES; i++) {
        if (is_over(&row[i], now_ms)) {
            least = &row[i];
            break;
        }
        if (row[i].failures < least->failures ||
            (row[i].failures == least->failures && row[i].since_ms < least->since_ms)) {
            least = &row[i];
        }
    }
    *least = (struct place){.name = *name, .since_ms = now_ms};
    return least;
}

static uint32_t place_failed(struct quota *quota, const struct name *name, int64_t now_ms) {
    struct place *place = place_find(quota, name, now_ms);
    if (place == NULL) {
        place = place_claim(quota, name, now_ms);
    }
    if (place->failures < UINT32_MAX) {
        place->failures++;
    }
    return place->failures;
}

/* A second for the first failure beyond the limit, then twice as long each time. */
static int64_t delay_ms(uint32_t failures, uint32_t max) {
    if (failures <= max) {
        return 0;
    }
    uint32_t over = failures - max;
    return over > 3 ? QUOTA_DELAY_MS_MAX : INT64_C(1000) << (over - 1);
}

/* --- what others call --- */

enum quota_verdict quota_enter(struct quota *quota, const struct quota_limits *limits,
                               const struct inet_address *from, int64_t now_ms) {
    struct name name = name_of_address(quota, from);
    (void)pthread_mutex_lock(&quota->mutex);
    const struct place *place = place_find(quota, &name, now_ms);
    enum quota_verdict verdict = place != NULL && place->failures >= 2 * (uint64_t)limits->failures
                                     ? QUOTA_FAILURES
                                     : begin(quota, &name, limits->sessions_per_address,
                                             limits->connections_per_minute, now_ms);
    (void)pthread_mutex_unlock(&quota->mutex);
    return verdict;
}

void quota_leave(struct quota *quota, const struct inet_address *from) {
    struct name name = name_of_address(quota, from);
    (void)pthread_mutex_lock(&quota->mutex);
    live_leave(quota, &name);
    (void)pthread_mutex_unlock(&quota->mutex);
}

enum quota_verdict quota_login(struct quota *quota, const struct quota_limits *limits,
                               const char *account, int64_t now_ms) {
    struct name name = name_of_account(quota, account);
    (void)pthread_mutex_lock(&quota->mutex);
    enum quota_verdict verdict =
        begin(quota, &name, limits->sessions_per_account, limits->logins_per_minute, now_ms);
    (void)pthread_mutex_unlock(&quota->mutex);
    return verdict;
}

void quota_logout(struct quota *quota, const char *account) {
    struct name name = name_of_account(quota, account);
    (void)pthread_mutex_lock(&quota->mutex);
    live_leave(quota, &name);
    (void)pthread_mutex_unlock(&quota->mutex);
}

int64_t quota_failed(struct quota *quota, const struct quota_limits *limits,
                     const struct inet_address *from, const char *account, int64_t now_ms) {
    struct name address_name = name_of_address(quota, from);
    struct name account_name = name_of_account(quota, account == NULL ? "" : account);
    (void)pthread_mutex_lock(&quota->mutex);
    int64_t wait = delay_ms(place_failed(quota, &address_name, now_ms), limits->failures);
    if (account != NULL) {
        int64_t other = delay_ms(place_failed(quota, &account_name, now_ms), limits->failures);
        wait = other > wait ? other : wait;
    }
    (void)pthread_mutex_unlock(&quota->mutex);
    return wait;
}
