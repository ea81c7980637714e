#include "authority/routes/holdings.h"

#include "store/store.h"

struct counting {
    int64_t now;
    struct holdings *holdings;
};

static err_t count_certificate(void *context, const struct issued *issued) {
    (void)issued;
    ((struct counting *)context)->holdings->certificates++;
    return OK;
}

static err_t count_key(void *context, const struct registered_key *key) {
    struct counting *counting = context;
    counting->holdings->registered_keys +=
        key->use == KEY_USE_PERSON && key->expires_at > counting->now;
    return OK;
}

static err_t count_grant(void *context, const struct grant *grant) {
    struct counting *counting = context;
    counting->holdings->grants += grant->revoked_at == 0 && grant->expires_at > counting->now;
    return OK;
}

static err_t count_passkey(void *context, const struct passkey *passkey) {
    ((struct counting *)context)->holdings->passkeys += passkey->locked_at == 0;
    return OK;
}

static err_t count_all(struct call *call, entity_id account_id, struct holdings *out) {
    struct store *store = call_store(call);
    struct counting counting = {.now = call->now, .holdings = out};
    const struct issued_filter valid = {
        .account_id = account_id, .now = call->now, .max = INT32_MAX};
    TRY(store_issued_list(store, &valid, count_certificate, &counting));
    TRY(store_registered_key_list(store, account_id, count_key, &counting));
    TRY(store_grant_list(store, account_id, count_grant, &counting));
    return store_passkey_list(store, account_id, count_passkey, &counting);
}

bool holdings_count(struct call *call, entity_id account_id, struct holdings *out) {
    struct holdings holdings = {0};
    if (!call_ok(call, count_all(call, account_id, &holdings), "what the account has")) {
        return false;
    }
    *out = holdings;
    return true;
}

json_t *holdings_json(const struct holdings *holdings) {
    return json_pack("{s:I, s:I, s:I, s:I}", "certificates", (json_int_t)holdings->certificates,
                     "registeredKeys", (json_int_t)holdings->registered_keys, "grants",
                     (json_int_t)holdings->grants, "passkeys", (json_int_t)holdings->passkeys);
}
