/* Authorization codes and device grants, in memory. */
#include "store/memory.h"

static err_t check_authorization(const struct memory_store *self,
                                 const struct authorization *authorization) {
    entity_id account_id = authorization->approval.account_id;
    TRY(require(account_id == 0 || memory_has_account(self, account_id)));
    return require_free(FIND(&self->authorizations, authorization,
                             same_hash(row->user_code_hash, authorization->user_code_hash) &&
                                 strcmp(row->hash, authorization->hash) != 0) != NONE);
}

err_t memory_op_authorization_add(struct store *store, const struct authorization *authorization) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_authorization(self, authorization));
    return table_insert(&self->authorizations, &self->log, authorization);
}

err_t memory_op_authorization_find(struct store *store, const char *hash,
                                   struct authorization *out) {
    return GET(&memory_store_of(store)->authorizations, authorization, strcmp(row->hash, hash) == 0,
               out);
}

err_t memory_op_authorization_find_user_code(struct store *store, const char *user_code_hash,
                                             struct authorization *out) {
    return GET(&memory_store_of(store)->authorizations, authorization,
               same_hash(row->user_code_hash, user_code_hash), out);
}

err_t memory_op_authorization_update(struct store *store,
                                     const struct authorization *authorization) {
    struct memory_store *self = memory_store_of(store);
    size_t index =
        FIND(&self->authorizations, authorization, strcmp(row->hash, authorization->hash) == 0);
    TRY(require(index != NONE));
    TRY(check_authorization(self, authorization));
    return memory_replace(self, &self->authorizations, index, authorization);
}

err_t memory_op_authorization_remove(struct store *store, const char *hash) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->authorizations,
                         FIND(&self->authorizations, authorization, strcmp(row->hash, hash) == 0));
}

err_t memory_op_authorization_remove_oldest(struct store *store) {
    struct memory_store *self = memory_store_of(store);
    size_t oldest = NONE;
    for (size_t i = 0; i < self->authorizations.count; i++) {
        const struct authorization *row = ROW(&self->authorizations, authorization, i);
        if (row->approval.account_id == 0 &&
            (oldest == NONE ||
             row->expires_at < ROW(&self->authorizations, authorization, oldest)->expires_at)) {
            oldest = i;
        }
    }
    return memory_remove(self, &self->authorizations, oldest);
}

/* Removes the rows of which the condition on `row` holds. */
#define REMOVE_ALL(self, condition)                                                                \
    do {                                                                                           \
        for (size_t i_ = (self)->authorizations.count; i_ > 0; i_--) {                             \
            const struct authorization *row = ROW(&(self)->authorizations, authorization, i_ - 1); \
            if (condition) {                                                                       \
                TRY(table_remove(&(self)->authorizations, &(self)->log, i_ - 1));                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

err_t memory_op_authorization_remove_all(struct store *store, entity_id account_id) {
    struct memory_store *self = memory_store_of(store);
    REMOVE_ALL(self, account_id != 0 && row->approval.account_id == account_id &&
                         row->state != AUTHORIZATION_USED);
    return OK;
}

err_t memory_op_authorization_count(struct store *store, entity_id account_id, size_t *out) {
    const struct table *rows = &memory_store_of(store)->authorizations;
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        entity_id by = ROW(rows, authorization, i)->approval.account_id;
        count += account_id == 0 || by == account_id;
    }
    *out = count;
    return OK;
}

err_t memory_op_authorization_sweep(struct store *store, int64_t ended_at) {
    struct memory_store *self = memory_store_of(store);
    REMOVE_ALL(self, row->expires_at <= ended_at);
    return OK;
}
