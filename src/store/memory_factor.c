/* Passkeys, what they answered, and recovery codes, in memory. */
#include "store/memory.h"

static err_t check_passkey(const struct memory_store *self, const struct passkey *passkey) {
    TRY(require(memory_has_account(self, passkey->account_id)));
    return require_free(
        FIND(&self->passkeys, passkey,
             row->id != passkey->id && strcmp(row->credential, passkey->credential) == 0) != NONE);
}

err_t memory_op_passkey_add(struct store *store, struct passkey *passkey) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_passkey(self, passkey));
    return ADD(self, &self->passkeys, passkey, passkey);
}

err_t memory_op_passkey_get(struct store *store, entity_id id, struct passkey *out) {
    return GET(&memory_store_of(store)->passkeys, passkey, row->id == id, out);
}

err_t memory_op_passkey_find(struct store *store, const char *credential, struct passkey *out) {
    return GET(&memory_store_of(store)->passkeys, passkey, strcmp(row->credential, credential) == 0,
               out);
}

err_t memory_op_passkey_update(struct store *store, const struct passkey *passkey) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->passkeys, passkey, row->id == passkey->id);
    TRY(require(index != NONE));
    TRY(check_passkey(self, passkey));
    return memory_replace(self, &self->passkeys, index, passkey);
}

err_t memory_op_passkey_remove(struct store *store, entity_id id) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->passkeys, FIND(&self->passkeys, passkey, row->id == id));
}

err_t memory_op_passkey_remove_all(struct store *store, entity_id account_id) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->passkeys.count; i > 0; i--) {
        if (ROW(&self->passkeys, passkey, i - 1)->account_id == account_id) {
            TRY(table_remove(&self->passkeys, &self->log, i - 1));
        }
    }
    return OK;
}

err_t memory_op_passkey_list(struct store *store, entity_id account_id, EACH(passkey)) {
    LIST_ALL(&memory_store_of(store)->passkeys, passkey, row->account_id == account_id);
    return OK;
}

err_t memory_op_answered_challenge_add(struct store *store,
                                       const struct answered_challenge *challenge) {
    struct memory_store *self = memory_store_of(store);
    return table_insert(&self->answered_challenges, &self->log, challenge);
}

err_t memory_op_answered_challenge_sweep(struct store *store, int64_t now) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->answered_challenges.count; i > 0; i--) {
        if (ROW(&self->answered_challenges, answered_challenge, i - 1)->expires_at <= now) {
            TRY(table_remove(&self->answered_challenges, &self->log, i - 1));
        }
    }
    return OK;
}

err_t memory_op_recovery_code_put(struct store *store, const struct recovery_code *code) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_account(self, code->account_id)));
    return memory_put(self, &self->recovery_codes, code);
}

err_t memory_op_recovery_code_take(struct store *store, entity_id account_id, const char *hash) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->recovery_codes,
                         FIND(&self->recovery_codes, recovery_code,
                              row->account_id == account_id && strcmp(row->hash, hash) == 0));
}

err_t memory_op_recovery_code_count(struct store *store, entity_id account_id, size_t *out) {
    const struct table *codes = &memory_store_of(store)->recovery_codes;
    size_t count = 0;
    for (size_t i = 0; i < codes->count; i++) {
        count += ROW(codes, recovery_code, i)->account_id == account_id;
    }
    *out = count;
    return OK;
}

err_t memory_op_recovery_code_remove_all(struct store *store, entity_id account_id) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->recovery_codes.count; i > 0; i--) {
        if (ROW(&self->recovery_codes, recovery_code, i - 1)->account_id == account_id) {
            TRY(table_remove(&self->recovery_codes, &self->log, i - 1));
        }
    }
    return OK;
}
