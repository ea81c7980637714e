/* Grants and tickets, in memory. */
#include "store/memory.h"

static err_t check_grant(const struct memory_store *self, const struct grant *grant) {
    TRY(require_valid(grant->duration_s > 0));
    return require(memory_has_account(self, grant->account_id));
}

err_t memory_op_grant_add(struct store *store, struct grant *grant) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_grant(self, grant));
    return ADD(self, &self->grants, grant, grant);
}

err_t memory_op_grant_get(struct store *store, entity_id id, struct grant *out) {
    return GET(&memory_store_of(store)->grants, grant, row->id == id, out);
}

err_t memory_op_grant_update(struct store *store, const struct grant *grant) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->grants, grant, row->id == grant->id);
    TRY(require(index != NONE));
    TRY(check_grant(self, grant));
    return memory_replace(self, &self->grants, index, grant);
}

err_t memory_op_grant_list(struct store *store, entity_id account_id, EACH(grant)) {
    LIST_ALL(&memory_store_of(store)->grants, grant,
             account_id == 0 || row->account_id == account_id);
    return OK;
}

err_t memory_op_grant_list_by_key(struct store *store, const char *fingerprint, EACH(grant)) {
    LIST_ALL(&memory_store_of(store)->grants, grant, strcmp(row->fingerprint, fingerprint) == 0);
    return OK;
}

err_t memory_op_ticket_add(struct store *store, const struct ticket *ticket) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_account(self, ticket->account_id)));
    TRY(require(FIND(&self->api_keys, api_key, row->id == ticket->api_key_id) != NONE));
    return table_insert(&self->tickets, &self->log, ticket);
}

err_t memory_op_ticket_find(struct store *store, const char *hash, struct ticket *out) {
    return GET(&memory_store_of(store)->tickets, ticket, strcmp(row->hash, hash) == 0, out);
}

err_t memory_op_ticket_remove(struct store *store, const char *hash) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->tickets,
                         FIND(&self->tickets, ticket, strcmp(row->hash, hash) == 0));
}

err_t memory_op_ticket_sweep(struct store *store, int64_t now) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->tickets.count; i > 0; i--) {
        if (ROW(&self->tickets, ticket, i - 1)->expires_at <= now) {
            TRY(table_remove(&self->tickets, &self->log, i - 1));
        }
    }
    return OK;
}
