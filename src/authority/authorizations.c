#include "authority/authorizations.h"

#include <string.h>

err_t authorizations_sweep(struct store *store, int64_t now) {
    return store_authorization_sweep(store, now - AUTHORIZATION_KEPT_S);
}

err_t authorizations_forget(struct store *store, entity_id account_id) {
    return store_authorization_remove_all(store, account_id);
}

/* What became tokens counts, as it is remembered. */
static err_t admit_account(struct store *store, entity_id account_id) {
    size_t count;
    TRY(store_authorization_count(store, account_id, &count));
    return count < LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT ? OK : FAIL(ERR_BUSY);
}

/* In a free place, else in that of the oldest grant that nobody has approved. */
static err_t add(struct store *store, const struct authorization *authorization) {
    size_t count;
    TRY(store_authorization_count(store, 0, &count));
    if (count >= LIMIT_AUTHORIZATIONS_COUNT) {
        err_t err = store_authorization_remove_oldest(store);
        TRY(err.code == ERR_NOT_FOUND ? FAIL(ERR_BUSY) : err);
    }
    return store_authorization_add(store, authorization);
}

/* ERR_NOT_FOUND as well for what is no token of that kind. */
static err_t find(struct store *store, enum token_kind kind, span_t code, int64_t now,
                  struct authorization *out) {
    char hash[HASH_CHARS];
    if (failed(token_hash(kind, code, hash))) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(store_authorization_find(store, hash, out));
    return authorization_is_gone(out, now) ? FAIL(ERR_NOT_FOUND) : OK;
}

err_t authorizations_add_code(struct store *store, const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS]) {
    struct authorization made;
    char shown[TOKEN_CHARS];
    TRY(authorization_make_code(random, request, approval, now, shown, &made));
    TRY(authorizations_sweep(store, now));
    TRY(admit_account(store, approval->account_id));
    TRY(add(store, &made));
    memcpy(code, shown, sizeof shown);
    return OK;
}

err_t authorizations_redeem(struct store *store, span_t code, const char *client,
                            const char *redirect_uri, const char *verifier, int64_t now,
                            struct authorization *out) {
    struct authorization found;
    TRY(find(store, TOKEN_CODE, code, now, &found));
    err_t err = authorization_redeem(&found, client, redirect_uri, verifier, now);
    if (err.code == ERR_NOT_FOUND || err.code == ERR_REFUSED) {
        TRY(store_authorization_remove(store, found.hash));
        return err;
    }
    if (!failed(err)) {
        TRY(store_authorization_update(store, &found));
    }
    *out = found;
    return err;
}

err_t authorizations_add_device(struct store *store,
                                const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS]) {
    struct authorization made;
    char shown[TOKEN_CHARS], typed[AUTHORIZATION_USER_CODE_CHARS];
    TRY(authorization_make_device(random, request, now, shown, typed, &made));
    TRY(authorizations_sweep(store, now));
    err_t err = add(store, &made);
    TRY(err.code == ERR_EXISTS ? FAIL(ERR_BUSY) : err); /* another's user code */
    memcpy(device_code, shown, sizeof shown);
    memcpy(user_code, typed, sizeof typed);
    return OK;
}

err_t authorizations_find_user_code(struct store *store, const char *typed, int64_t now,
                                    struct authorization *out) {
    char hash[HASH_CHARS];
    struct authorization found;
    if (failed(authorization_hash_user_code(typed, hash))) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(store_authorization_find_user_code(store, hash, &found));
    if (!authorization_waits(&found, now)) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = found;
    return OK;
}

err_t authorizations_decide(struct store *store, const char *typed,
                            const struct authorization_approval *approval, int64_t now) {
    struct authorization found;
    TRY(authorizations_find_user_code(store, typed, now, &found));
    if (approval != NULL) {
        TRY(authorizations_sweep(store, now));
        TRY(admit_account(store, approval->account_id));
    }
    authorization_decide(&found, approval);
    return store_authorization_update(store, &found);
}

err_t authorizations_poll(struct store *store, span_t device_code, const char *client, int64_t now,
                          enum authorization_poll *poll, struct authorization *out) {
    struct authorization found;
    err_t err = find(store, TOKEN_DEVICE, device_code, now, &found);
    if (err.code == ERR_NOT_FOUND) {
        *poll = POLL_UNKNOWN;
        return OK;
    }
    TRY(err);
    enum authorization_poll answer = authorization_poll(&found, client, now);
    if (answer != POLL_UNKNOWN && answer != POLL_EXPIRED) {
        TRY(store_authorization_update(store, &found));
    }
    if (answer == POLL_APPROVED) {
        *out = found;
    }
    *poll = answer;
    return OK;
}
