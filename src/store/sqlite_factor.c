/* Passkeys, what they answered, and recovery codes over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_passkey_add(struct store *store, struct passkey *passkey) {
    return statement_add(store, STATEMENT_passkey_add, &passkey_shape, passkey, &passkey->id);
}

err_t sqlite_op_passkey_get(struct store *store, entity_id id, struct passkey *out) {
    return statement_get(store, STATEMENT_passkey_get, ARGUMENTS(U64(id)), &passkey_shape, out);
}

err_t sqlite_op_passkey_find(struct store *store, const char *credential, struct passkey *out) {
    return statement_get(store, STATEMENT_passkey_find, ARGUMENTS(TEXT(credential)), &passkey_shape,
                         out);
}

err_t sqlite_op_passkey_update(struct store *store, const struct passkey *passkey) {
    return statement_update(store, STATEMENT_passkey_update, &passkey_shape, passkey);
}

err_t sqlite_op_passkey_remove(struct store *store, entity_id id) {
    return statement_run_one(store, STATEMENT_passkey_remove, ARGUMENTS(U64(id)));
}

err_t sqlite_op_passkey_remove_all(struct store *store, entity_id account_id) {
    return statement_run(store, STATEMENT_passkey_remove_all, ARGUMENTS(U64(account_id)), NULL);
}

err_t sqlite_op_passkey_list(struct store *store, entity_id account_id, EACH(passkey)) {
    return statement_list(store, STATEMENT_passkey_list, ARGUMENTS(U64(account_id)), &passkey_shape,
                          VISITOR(passkey));
}

err_t sqlite_op_answered_challenge_add(struct store *store,
                                       const struct answered_challenge *challenge) {
    return statement_run(store, STATEMENT_answered_challenge_add,
                         ARGUMENTS(TEXT(challenge->challenge), I64(challenge->expires_at)), NULL);
}

err_t sqlite_op_answered_challenge_sweep(struct store *store, int64_t now) {
    return statement_run(store, STATEMENT_answered_challenge_sweep, ARGUMENTS(I64(now)), NULL);
}

err_t sqlite_op_recovery_code_put(struct store *store, const struct recovery_code *code) {
    return statement_run(store, STATEMENT_recovery_code_put,
                         ARGUMENTS(U64(code->account_id), TEXT(code->hash)), NULL);
}

err_t sqlite_op_recovery_code_take(struct store *store, entity_id account_id, const char *hash) {
    return statement_run_one(store, STATEMENT_recovery_code_take,
                             ARGUMENTS(U64(account_id), TEXT(hash)));
}

err_t sqlite_op_recovery_code_count(struct store *store, entity_id account_id, size_t *out) {
    return statement_count(store, STATEMENT_recovery_code_count, account_id, out);
}

err_t sqlite_op_recovery_code_remove_all(struct store *store, entity_id account_id) {
    return statement_run(store, STATEMENT_recovery_code_remove_all, ARGUMENTS(U64(account_id)),
                         NULL);
}
