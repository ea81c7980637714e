/* Certificates, API keys, sessions, identities and registered keys, in
 * memory. */
#include <stdio.h>

#include "store/memory.h"

err_t memory_op_issued_add(struct store *store, const struct issued *issued) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(issued->account_id == 0 || memory_has_account(self, issued->account_id)));
    return table_insert(&self->issued, &self->log, issued);
}

err_t memory_op_issued_get(struct store *store, uint64_t serial, struct issued *out) {
    return GET(&memory_store_of(store)->issued, issued, row->serial == serial, out);
}

err_t memory_op_issued_facts(struct store *store, entity_id account_id, const char *fingerprint,
                             int64_t since, int64_t now, uint32_t *count, bool *key_has_valid) {
    const struct table *table = &memory_store_of(store)->issued;
    uint32_t counted = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct issued *row = ROW(table, issued, i);
        counted += row->account_id == account_id && row->counts && row->issued_at >= since;
    }
    *count = counted;
    *key_has_valid =
        FIND(table, issued,
             row->account_id == account_id && row->revoked_at == 0 && row->valid_before > now &&
                 !issued_is_for_job(row) && strcmp(row->fingerprint, fingerprint) == 0) != NONE;
    return OK;
}

err_t memory_op_issued_oldest(struct store *store, entity_id account_id, int64_t since,
                              int64_t *issued_at) {
    const struct table *table = &memory_store_of(store)->issued;
    const struct issued *oldest = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct issued *row = ROW(table, issued, i);
        if (row->account_id == account_id && row->counts && row->issued_at >= since &&
            (oldest == NULL || row->issued_at < oldest->issued_at)) {
            oldest = row;
        }
    }
    TRY(require(oldest != NULL));
    *issued_at = oldest->issued_at;
    return OK;
}

static bool passes(const struct issued_filter *filter, const struct issued *issued) {
    return (filter->account_id == 0 || issued->account_id == filter->account_id) &&
           (filter->host_id == 0 || issued->host_id == filter->host_id) &&
           (filter->api_key_id == 0 || issued->api_key_id == filter->api_key_id) &&
           (filter->grant_id == 0 || issued->grant_id == filter->grant_id) &&
           (filter->by_id == 0 || issued->by_id == filter->by_id) &&
           (filter->include_expired || issued->valid_before > filter->now) &&
           (filter->include_revoked || issued->revoked_at == 0) &&
           (filter->before_serial == 0 || issued->serial < filter->before_serial);
}

err_t memory_op_issued_list(struct store *store, const struct issued_filter *filter, EACH(issued)) {
    const struct table *table = &memory_store_of(store)->issued;
    size_t left = filter->max;
    for (size_t i = table->count; i > 0 && left > 0; i--) {
        const struct issued *row = ROW(table, issued, i - 1);
        if (passes(filter, row)) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

err_t memory_op_issued_revoke(struct store *store, uint64_t serial, int64_t at,
                              const char *reason) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->issued, issued, row->serial == serial);
    TRY(require(index != NONE));
    struct issued issued = *ROW(&self->issued, issued, index);
    if (issued.revoked_at != 0) {
        return FAIL(ERR_CONFLICT);
    }
    issued.revoked_at = at;
    (void)snprintf(issued.revoked_reason, sizeof issued.revoked_reason, "%s", reason);
    return memory_replace(self, &self->issued, index, &issued);
}

err_t memory_op_revoked_list(struct store *store, int64_t now, uint64_t after_serial, size_t max,
                             EACH(issued)) {
    LIST_ALL(&memory_store_of(store)->issued, issued,
             row->revoked_at != 0 && row->valid_before > now && row->serial > after_serial &&
                 max > 0 && max-- > 0);
    return OK;
}

static err_t check_api_key(const struct memory_store *self, const struct api_key *key,
                           entity_id id) {
    TRY(require(memory_has_account(self, key->account_id)));
    return require_free(
        FIND(&self->api_keys, api_key, row->id != id && strcmp(row->hash, key->hash) == 0) != NONE);
}

err_t memory_op_api_key_add(struct store *store, struct api_key *key) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_api_key(self, key, 0));
    return ADD(self, &self->api_keys, api_key, key);
}

err_t memory_op_api_key_get(struct store *store, entity_id id, struct api_key *out) {
    return GET(&memory_store_of(store)->api_keys, api_key, row->id == id, out);
}

err_t memory_op_api_key_find(struct store *store, const char *hash, struct api_key *out) {
    return GET(&memory_store_of(store)->api_keys, api_key, strcmp(row->hash, hash) == 0, out);
}

err_t memory_op_api_key_update(struct store *store, const struct api_key *key) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->api_keys, api_key, row->id == key->id);
    TRY(require(index != NONE));
    TRY(check_api_key(self, key, key->id));
    return memory_replace(self, &self->api_keys, index, key);
}

err_t memory_op_api_key_list(struct store *store, entity_id account_id, EACH(api_key)) {
    LIST_ALL(&memory_store_of(store)->api_keys, api_key,
             account_id == 0 || row->account_id == account_id);
    return OK;
}

err_t memory_op_session_add(struct store *store, const struct session *session) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_account(self, session->account_id)));
    TRY(require(session->api_key_id == 0 ||
                FIND(&self->api_keys, api_key, row->id == session->api_key_id) != NONE));
    return table_insert(&self->sessions, &self->log, session);
}

err_t memory_op_session_find(struct store *store, const char *hash, struct session *out) {
    return GET(&memory_store_of(store)->sessions, session, strcmp(row->hash, hash) == 0, out);
}

err_t memory_op_session_list(struct store *store, entity_id account_id, EACH(session)) {
    LIST_ALL(&memory_store_of(store)->sessions, session, row->account_id == account_id);
    return OK;
}

err_t memory_op_session_remove(struct store *store, const char *hash) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->sessions,
                         FIND(&self->sessions, session, strcmp(row->hash, hash) == 0));
}

err_t memory_op_session_update(struct store *store, const struct session *session) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->sessions, session, strcmp(row->hash, session->hash) == 0);
    TRY(require(index != NONE));
    return memory_replace(self, &self->sessions, index, session);
}

err_t memory_op_session_remove_family(struct store *store, const char *family) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->sessions.count; i > 0; i--) {
        const struct session *row = ROW(&self->sessions, session, i - 1);
        if (family[0] != '\0' && strcmp(row->family, family) == 0) {
            TRY(table_remove(&self->sessions, &self->log, i - 1));
        }
    }
    return OK;
}

err_t memory_op_identity_add(struct store *store, const struct external_identity *identity) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_account(self, identity->account_id)));
    TRY(require_free(FIND(&self->identities, external_identity,
                          strcmp(row->issuer, identity->issuer) == 0 &&
                              strcmp(row->subject, identity->subject) == 0) != NONE));
    return table_insert(&self->identities, &self->log, identity);
}

err_t memory_op_identity_get(struct store *store, entity_id account_id, const char *issuer,
                             struct external_identity *out) {
    return GET(&memory_store_of(store)->identities, external_identity,
               row->account_id == account_id && strcmp(row->issuer, issuer) == 0, out);
}

err_t memory_op_identity_remove_all(struct store *store, entity_id account_id) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->identities.count; i > 0; i--) {
        if (ROW(&self->identities, external_identity, i - 1)->account_id == account_id) {
            TRY(table_remove(&self->identities, &self->log, i - 1));
        }
    }
    return OK;
}

static bool is_expired(const struct session *session, int64_t now) {
    return session->expires_at != 0 && session->expires_at <= now;
}

err_t memory_op_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                                   int64_t now) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->sessions.count; i > 0; i--) {
        const struct session *row = ROW(&self->sessions, session, i - 1);
        bool matches = row->use != SESSION_SPENT &&
                       (account_id == 0 || row->account_id == account_id) &&
                       (api_key_id == 0 || row->api_key_id == api_key_id);
        if (matches || is_expired(row, now)) {
            TRY(table_remove(&self->sessions, &self->log, i - 1));
        }
    }
    return OK;
}

err_t memory_op_session_sweep(struct store *store, int64_t now) {
    struct memory_store *self = memory_store_of(store);
    for (size_t i = self->sessions.count; i > 0; i--) {
        if (is_expired(ROW(&self->sessions, session, i - 1), now)) {
            TRY(table_remove(&self->sessions, &self->log, i - 1));
        }
    }
    return OK;
}

err_t memory_op_registered_key_add(struct store *store, struct registered_key *key) {
    struct memory_store *self = memory_store_of(store);
    TRY(require_valid((key->use == KEY_USE_PERSON && key->cluster_id == 0) ||
                      (key->use == KEY_USE_INTERNAL && key->cluster_id != 0)));
    TRY(require_free(FIND(&self->registered_keys, registered_key,
                          strcmp(row->fingerprint, key->fingerprint) == 0) != NONE));
    TRY(require(memory_has_account(self, key->account_id)));
    TRY(require(key->cluster_id == 0 || memory_has_cluster(self, key->cluster_id)));
    return ADD(self, &self->registered_keys, registered_key, key);
}

err_t memory_op_registered_key_remove(struct store *store, entity_id id) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->registered_keys,
                         FIND(&self->registered_keys, registered_key, row->id == id));
}

err_t memory_op_registered_key_get(struct store *store, entity_id id, struct registered_key *out) {
    return GET(&memory_store_of(store)->registered_keys, registered_key, row->id == id, out);
}

err_t memory_op_registered_key_find(struct store *store, const char *fingerprint,
                                    struct registered_key *out) {
    return GET(&memory_store_of(store)->registered_keys, registered_key,
               strcmp(row->fingerprint, fingerprint) == 0, out);
}

err_t memory_op_registered_key_list(struct store *store, entity_id account_id,
                                    EACH(registered_key)) {
    LIST_ALL(&memory_store_of(store)->registered_keys, registered_key,
             account_id == 0 || row->account_id == account_id);
    return OK;
}
