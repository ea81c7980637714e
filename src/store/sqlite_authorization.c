/* Authorization codes and device grants over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_authorization_add(struct store *store, const struct authorization *authorization) {
    return statement_put(store, STATEMENT_authorization_add, &authorization_shape, authorization);
}

err_t sqlite_op_authorization_find(struct store *store, const char *hash,
                                   struct authorization *out) {
    return statement_get(store, STATEMENT_authorization_find, ARGUMENTS(TEXT(hash)),
                         &authorization_shape, out);
}

err_t sqlite_op_authorization_find_user_code(struct store *store, const char *user_code_hash,
                                             struct authorization *out) {
    return statement_get(store, STATEMENT_authorization_find_user_code,
                         ARGUMENTS(TEXT(user_code_hash)), &authorization_shape, out);
}

err_t sqlite_op_authorization_update(struct store *store,
                                     const struct authorization *authorization) {
    return statement_update(store, STATEMENT_authorization_update, &authorization_shape,
                            authorization);
}

err_t sqlite_op_authorization_remove(struct store *store, const char *hash) {
    return statement_run_one(store, STATEMENT_authorization_remove, ARGUMENTS(TEXT(hash)));
}

err_t sqlite_op_authorization_remove_oldest(struct store *store) {
    return statement_run_one(store, STATEMENT_authorization_remove_oldest, NO_ARGUMENTS);
}

err_t sqlite_op_authorization_remove_all(struct store *store, entity_id account_id) {
    return statement_run(store, STATEMENT_authorization_remove_all, ARGUMENTS(U64(account_id)),
                         NULL);
}

err_t sqlite_op_authorization_count(struct store *store, entity_id account_id, size_t *out) {
    return statement_count(store,
                           account_id == 0 ? STATEMENT_authorization_count
                                           : STATEMENT_authorization_count_account,
                           account_id, out);
}

err_t sqlite_op_authorization_sweep(struct store *store, int64_t ended_at) {
    return statement_run(store, STATEMENT_authorization_sweep, ARGUMENTS(I64(ended_at)), NULL);
}
