/*
 * 1. `items` is the sum of the sizes of all arrays.
 * 2. A key's valid_before is the latest among its certificates that are not revoked. A revocation
 *    cannot be noted, since it may uncover an earlier one: it forgets the account.
 */
#include "store/issued_facts.h"

#include <string.h>

struct valid_key {
    char fingerprint[sizeof((struct issued *)NULL)->fingerprint];
    int64_t valid_before;
};

struct account_facts {
    entity_id account_id;
    int64_t since, now;             /* what is before them is not remembered */
    int64_t asked_since, asked_now; /* the last question, to know what may go */
    int64_t *counted;               /* issued_at of those that count */
    struct valid_key *keys;
    size_t counted_count, counted_size;
    size_t key_count, key_size;
};

struct issued_facts {
    size_t items;
    struct account_facts *slots[ISSUED_FACTS_SLOTS];
};

err_t issued_facts_new(struct issued_facts **out) {
    struct issued_facts *facts = calloc(1, sizeof *facts);
    if (facts == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = facts;
    return OK;
}

static struct account_facts **slot_of(struct issued_facts *facts, entity_id account_id) {
    return &facts->slots[account_id % ISSUED_FACTS_SLOTS];
}

static void empty_slot(struct issued_facts *facts, struct account_facts **slot) {
    struct account_facts *account = *slot;
    if (account != NULL) {
        facts->items -= account->counted_size + account->key_size;
        free(account->counted);
        free(account->keys);
        free(account);
        *slot = NULL;
    }
}

void issued_facts_forget(struct issued_facts *facts, entity_id account_id) {
    struct account_facts **slot = slot_of(facts, account_id);
    if (*slot != NULL && (*slot)->account_id == account_id) {
        empty_slot(facts, slot);
    }
}

void issued_facts_forget_all(struct issued_facts *facts) {
    for (size_t i = 0; i < ISSUED_FACTS_SLOTS; i++) {
        empty_slot(facts, &facts->slots[i]);
    }
}

void issued_facts_free(struct issued_facts *facts) {
    if (facts != NULL) {
        issued_facts_forget_all(facts);
        free(facts);
    }
}

struct account_facts *issued_facts_find(struct issued_facts *facts, entity_id account_id,
                                        int64_t since, int64_t now) {
    struct account_facts *account = *slot_of(facts, account_id);
    if (account == NULL || account->account_id != account_id || since < account->since ||
        now < account->now) {
        return NULL;
    }
    return account;
}

err_t issued_facts_start(struct issued_facts *facts, entity_id account_id, int64_t since,
                         int64_t now, struct account_facts **out) {
    if (facts->items > ISSUED_FACTS_ITEMS_MAX) {
        issued_facts_forget_all(facts);
    }
    struct account_facts *account = calloc(1, sizeof *account);
    if (account == NULL) {
        return FAIL(ERR_MEMORY);
    }
    account->account_id = account_id;
    account->since = account->asked_since = since;
    account->now = account->asked_now = now;
    struct account_facts **slot = slot_of(facts, account_id);
    empty_slot(facts, slot);
    *slot = account;
    *out = account;
    return OK;
}

/* ---- noting ---- */

/* Lets go of what the last question did not look at. */
static void prune(struct account_facts *account) {
    size_t kept = 0;
    account->since = account->asked_since;
    account->now = account->asked_now;
    for (size_t i = 0; i < account->counted_count; i++) {
        if (account->counted[i] >= account->since) {
            account->counted[kept++] = account->counted[i];
        }
    }
    account->counted_count = kept;
    kept = 0;
    for (size_t i = 0; i < account->key_count; i++) {
        if (account->keys[i].valid_before > account->now) {
            account->keys[kept++] = account->keys[i];
        }
    }
    account->key_count = kept;
}

/* The array with room for one more, where it is now; NULL leaves it as it was. */
static void *grow(struct issued_facts *facts, void *array, size_t *size, size_t count,
                  size_t item_size) {
    if (count < *size) {
        return array;
    }
    size_t larger = *size == 0 ? 4 : *size * 2;
    void *moved = realloc(array, larger * item_size);
    if (moved != NULL) {
        facts->items += larger - *size;
        *size = larger;
    }
    return moved;
}

static err_t note_counted(struct issued_facts *facts, struct account_facts *account,
                          int64_t issued_at) {
    if (account->counted_count == account->counted_size) {
        prune(account);
    }
    int64_t *counted = grow(facts, account->counted, &account->counted_size, account->counted_count,
                            sizeof *counted);
    if (counted == NULL) {
        return FAIL(ERR_MEMORY);
    }
    account->counted = counted;
    counted[account->counted_count++] = issued_at;
    return OK;
}

static err_t note_key(struct issued_facts *facts, struct account_facts *account,
                      const struct issued *issued) {
    for (size_t i = 0; i < account->key_count; i++) {
        struct valid_key *key = &account->keys[i];
        if (strcmp(key->fingerprint, issued->fingerprint) == 0) {
            if (key->valid_before < issued->valid_before) {
                key->valid_before = issued->valid_before;
            }
            return OK;
        }
    }
    if (account->key_count == account->key_size) {
        prune(account);
    }
    struct valid_key *keys =
        grow(facts, account->keys, &account->key_size, account->key_count, sizeof *keys);
    if (keys == NULL) {
        return FAIL(ERR_MEMORY);
    }
    account->keys = keys;
    struct valid_key *key = &keys[account->key_count++];
    memcpy(key->fingerprint, issued->fingerprint, sizeof key->fingerprint);
    key->valid_before = issued->valid_before;
    return OK;
}

static err_t note(struct issued_facts *facts, struct account_facts *account,
                  const struct issued *issued) {
    if (issued->counts && issued->issued_at >= account->since) {
        TRY(note_counted(facts, account, issued->issued_at));
    }
    if (issued->revoked_at == 0 && issued->valid_before > account->now &&
        !issued_is_for_job(issued)) {
        TRY(note_key(facts, account, issued));
    }
    return OK;
}

err_t issued_facts_note(struct issued_facts *facts, const struct issued *issued) {
    struct account_facts *account = *slot_of(facts, issued->account_id);
    if (account == NULL || account->account_id != issued->account_id) {
        return OK;
    }
    err_t err = note(facts, account, issued);
    if (failed(err)) {
        issued_facts_forget(facts, issued->account_id);
    }
    return err;
}

/* ---- answers ---- */

uint32_t account_facts_count(struct account_facts *account, int64_t since) {
    uint32_t count = 0;
    account->asked_since = since;
    for (size_t i = 0; i < account->counted_count; i++) {
        count += account->counted[i] >= since ? 1 : 0;
    }
    return count;
}

bool account_facts_key_is_valid(struct account_facts *account, const char *fingerprint,
                                int64_t now) {
    account->asked_now = now;
    for (size_t i = 0; i < account->key_count; i++) {
        if (account->keys[i].valid_before > now &&
            strcmp(account->keys[i].fingerprint, fingerprint) == 0) {
            return true;
        }
    }
    return false;
}

err_t account_facts_oldest(const struct account_facts *account, int64_t since, int64_t *issued_at) {
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < account->counted_count; i++) {
        if (account->counted[i] >= since && account->counted[i] < oldest) {
            oldest = account->counted[i];
        }
    }
    if (oldest == INT64_MAX) {
        return FAIL(ERR_NOT_FOUND);
    }
    *issued_at = oldest;
    return OK;
}
