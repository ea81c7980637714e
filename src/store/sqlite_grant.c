/* Grants and tickets over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_grant_add(struct store *store, struct grant *grant) {
    return statement_add(store, STATEMENT_grant_add, &grant_shape, grant, &grant->id);
}

err_t sqlite_op_grant_get(struct store *store, entity_id id, struct grant *out) {
    return statement_get(store, STATEMENT_grant_get, ARGUMENTS(U64(id)), &grant_shape, out);
}

err_t sqlite_op_grant_update(struct store *store, const struct grant *grant) {
    return statement_update(store, STATEMENT_grant_update, &grant_shape, grant);
}

err_t sqlite_op_grant_list(struct store *store, entity_id account_id, EACH(grant)) {
    return statement_list_of(store, STATEMENT_grant_list, STATEMENT_grant_list_account, account_id,
                             &grant_shape, VISITOR(grant));
}

err_t sqlite_op_grant_list_by_key(struct store *store, const char *fingerprint, EACH(grant)) {
    return statement_list(store, STATEMENT_grant_list_by_key, ARGUMENTS(TEXT(fingerprint)),
                          &grant_shape, VISITOR(grant));
}

err_t sqlite_op_ticket_add(struct store *store, const struct ticket *ticket) {
    return statement_put(store, STATEMENT_ticket_add, &ticket_shape, ticket);
}

err_t sqlite_op_ticket_find(struct store *store, const char *hash, struct ticket *out) {
    return statement_get(store, STATEMENT_ticket_find, ARGUMENTS(TEXT(hash)), &ticket_shape, out);
}

err_t sqlite_op_ticket_remove(struct store *store, const char *hash) {
    return statement_run_one(store, STATEMENT_ticket_remove, ARGUMENTS(TEXT(hash)));
}

err_t sqlite_op_ticket_sweep(struct store *store, int64_t now) {
    return statement_run(store, STATEMENT_ticket_sweep, ARGUMENTS(I64(now)), NULL);
}
