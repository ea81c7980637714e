/* Accounts, logins, projects and who belongs to them, in memory. */
#include "store/memory.h"

static err_t check_account(const struct memory_store *self, const struct account *account) {
    if (account->kind != ACCOUNT_PERSON && account->kind != ACCOUNT_SERVICE) {
        return FAIL(ERR_RANGE);
    }
    return require(account->project_id == 0 || memory_has_project(self, account->project_id));
}

err_t memory_op_account_add(struct store *store, struct account *account) {
    struct memory_store *self = memory_store_of(store);
    TRY(check_account(self, account));
    return ADD(self, &self->accounts, account, account);
}

err_t memory_op_account_get(struct store *store, entity_id id, struct account *out) {
    return GET(&memory_store_of(store)->accounts, account, row->id == id, out);
}

err_t memory_op_account_find(struct store *store, const char *name, struct account *out) {
    return GET(&memory_store_of(store)->accounts, account, strcmp(row->name, name) == 0, out);
}

err_t memory_op_account_update(struct store *store, const struct account *account) {
    struct memory_store *self = memory_store_of(store);
    size_t index = FIND(&self->accounts, account, row->id == account->id);
    TRY(require(index != NONE));
    TRY(check_account(self, account));
    return memory_replace(self, &self->accounts, index, account);
}

err_t memory_op_account_list(struct store *store, const char *after_name, size_t max,
                             EACH(account)) {
    LIST_AFTER_NAME(&memory_store_of(store)->accounts, account);
    return OK;
}

err_t memory_op_login_get(struct store *store, entity_id account_id, struct login *out) {
    return GET(&memory_store_of(store)->logins, login, row->account_id == account_id, out);
}

err_t memory_op_login_find_invitation(struct store *store, const char *hash, struct login *out) {
    return GET(&memory_store_of(store)->logins, login, same_hash(row->invitation_hash, hash), out);
}

err_t memory_op_login_put(struct store *store, const struct login *login) {
    struct memory_store *self = memory_store_of(store);
    TRY(require(memory_has_account(self, login->account_id)));
    return memory_put(self, &self->logins, login);
}

err_t memory_op_project_add(struct store *store, struct project *project) {
    return ADD(memory_store_of(store), &memory_store_of(store)->projects, project, project);
}

err_t memory_op_project_get(struct store *store, entity_id id, struct project *out) {
    return GET(&memory_store_of(store)->projects, project, row->id == id, out);
}

err_t memory_op_project_find(struct store *store, const char *name, struct project *out) {
    return GET(&memory_store_of(store)->projects, project, strcmp(row->name, name) == 0, out);
}

err_t memory_op_project_list(struct store *store, const char *after_name, size_t max,
                             EACH(project)) {
    LIST_AFTER_NAME(&memory_store_of(store)->projects, project);
    return OK;
}

err_t memory_op_member_put(struct store *store, const struct membership *membership) {
    struct memory_store *self = memory_store_of(store);
    if (membership->role != MEMBER && membership->role != MEMBER_MANAGER) {
        return FAIL(ERR_RANGE);
    }
    TRY(require(memory_has_project(self, membership->project_id)));
    TRY(require(memory_has_account(self, membership->account_id)));
    return memory_put(self, &self->members, membership);
}

static size_t member_index(const struct memory_store *self, entity_id project_id,
                           entity_id account_id) {
    return FIND(&self->members, membership,
                row->project_id == project_id && row->account_id == account_id);
}

err_t memory_op_member_get(struct store *store, entity_id project_id, entity_id account_id,
                           struct membership *out) {
    size_t index = member_index(memory_store_of(store), project_id, account_id);
    TRY(require(index != NONE));
    *out = *ROW(&memory_store_of(store)->members, membership, index);
    return OK;
}

err_t memory_op_member_remove(struct store *store, entity_id project_id, entity_id account_id) {
    struct memory_store *self = memory_store_of(store);
    return memory_remove(self, &self->members, member_index(self, project_id, account_id));
}

err_t memory_op_member_list(struct store *store, entity_id project_id, entity_id account_id,
                            EACH(membership)) {
    LIST_ALL(&memory_store_of(store)->members, membership,
             (project_id == 0 || row->project_id == project_id) &&
                 (account_id == 0 || row->account_id == account_id));
    return OK;
}
