#include "authority/bearer.h"

#include <stdio.h>

#include "authority/authority.h"
#include "base/text.h"

enum { BEARER_SLOTS = 4096 }; /* a power of two; a collision only costs a look-up in the store */

struct bearer_slot {
    uint64_t generation; /* 0: empty */
    struct caller caller;
};

struct bearer_cache {
    uint64_t generation; /* slots of another one are stale */
    struct bearer_slot *slots[BEARER_SLOTS];
};

err_t bearer_cache_new(struct bearer_cache **out) {
    struct bearer_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return FAIL(ERR_MEMORY);
    }
    cache->generation = 1;
    *out = cache;
    return OK;
}

void bearer_cache_free(struct bearer_cache *cache) {
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < BEARER_SLOTS; i++) {
        free(cache->slots[i]);
    }
    free(cache);
}

void bearer_cache_forget(struct bearer_cache *cache) { cache->generation++; }

/* The hash is of 256 random bits: its first characters are as good an index as any. */
static size_t slot_index(const char *hash) {
    size_t index = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned digit = (unsigned char)hash[i];
        index = index << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10u);
    }
    return index % BEARER_SLOTS;
}

static err_t count_one(void *context, const struct membership *membership) {
    (void)membership;
    ++*(size_t *)context;
    return OK;
}

err_t bearer_count_projects(struct store *store, const struct account *account, size_t *out) {
    size_t count = 0;
    if (account->kind == ACCOUNT_SERVICE) {
        count = account->project_id != 0 ? 1 : 0;
    } else {
        TRY(store_member_list(store, 0, account->id, count_one, &count));
    }
    *out = count;
    return OK;
}

/* Whether a second factor is among the methods (RFC 8176). */
static bool shows_second_factor(const char *methods) {
    span_t rest = span_str(methods);
    while (rest.len > 0) {
        if (span_equal_str(span_until(&rest, ' '), "mfa")) {
            return true;
        }
    }
    return false;
}

int64_t bearer_signed_in_at(const struct session *session) {
    return shows_second_factor(session->methods) ? session->authenticated_at : 0;
}

static err_t look_up(const struct authority *authority, const char *hash, enum session_use use,
                     int64_t now, struct caller *out) {
    struct store *store = authority->store;
    struct session session;
    TRY(store_session_find(store, hash, &session));
    if (session.use != use || session.expires_at <= now ||
        !config_takes_issuer(authority->config, session.issuer)) {
        return FAIL(ERR_NOT_FOUND);
    }
    struct caller caller = {.is_account = true, .session_use = use};
    TRY(store_account_get(store, session.account_id, &caller.account));
    TRY(bearer_count_projects(store, &caller.account, &caller.project_count));
    caller.signed_in_at = bearer_signed_in_at(&session);
    memcpy(caller.session_hash, hash, HASH_CHARS);
    caller.session_expires_at = session.expires_at;
    caller.api_key_id = session.api_key_id;
    caller.bounds = (struct bounds){.what = "API key", .subnets = session.subnets};
    if (session.api_key_id != 0) {
        struct api_key key;
        TRY(store_api_key_get(store, session.api_key_id, &key));
        caller.bounds.clusters = key.clusters;
        caller.bounds.duration_max_s = key.duration_max_s;
        caller.bounds.expires_at = key.expires_at;
    }
    *out = caller;
    return OK;
}

err_t bearer_find_account(struct authority *authority, const char *hash, enum session_use use,
                          int64_t now, struct caller *out) {
    struct bearer_cache *cache = authority->bearers;
    struct bearer_slot **slot = &cache->slots[slot_index(hash)];
    if (*slot != NULL && (*slot)->generation == cache->generation &&
        memcmp((*slot)->caller.session_hash, hash, HASH_CHARS) == 0 &&
        (*slot)->caller.session_use == use && (*slot)->caller.session_expires_at > now) {
        *out = (*slot)->caller;
        return OK;
    }
    TRY(look_up(authority, hash, use, now, out));
    if (*slot == NULL) {
        *slot = calloc(1, sizeof **slot);
    }
    if (*slot != NULL) {
        (*slot)->generation = cache->generation;
        (*slot)->caller = *out;
    }
    return OK;
}

err_t bearer_find_host(struct authority *authority, const char *hash, struct caller *out) {
    struct host host;
    TRY(store_host_find_token(authority->store, hash, &host));
    *out = (struct caller){.is_host = true, .host_id = host.id};
    (void)snprintf(out->host_name, sizeof out->host_name, "%s", host.name);
    return OK;
}
