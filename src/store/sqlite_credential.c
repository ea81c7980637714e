/* API keys, sessions, identities and registered keys over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_api_key_add(struct store *store, struct api_key *key) {
    return statement_add(store, STATEMENT_api_key_add, &api_key_shape, key, &key->id);
}

err_t sqlite_op_api_key_get(struct store *store, entity_id id, struct api_key *out) {
    return statement_get(store, STATEMENT_api_key_get, ARGUMENTS(U64(id)), &api_key_shape, out);
}

err_t sqlite_op_api_key_find(struct store *store, const char *hash, struct api_key *out) {
    return statement_get(store, STATEMENT_api_key_find, ARGUMENTS(TEXT(hash)), &api_key_shape, out);
}

err_t sqlite_op_api_key_update(struct store *store, const struct api_key *key) {
    return statement_update(store, STATEMENT_api_key_update, &api_key_shape, key);
}

err_t sqlite_op_api_key_list(struct store *store, entity_id account_id, EACH(api_key)) {
    return statement_list_of(store, STATEMENT_api_key_list, STATEMENT_api_key_list_account,
                             account_id, &api_key_shape, VISITOR(api_key));
}

err_t sqlite_op_session_add(struct store *store, const struct session *session) {
    return statement_put(store, STATEMENT_session_add, &session_shape, session);
}

err_t sqlite_op_session_find(struct store *store, const char *hash, struct session *out) {
    return statement_get(store, STATEMENT_session_find, ARGUMENTS(TEXT(hash)), &session_shape, out);
}

err_t sqlite_op_session_list(struct store *store, entity_id account_id, EACH(session)) {
    return statement_list(store, STATEMENT_session_list, ARGUMENTS(U64(account_id)), &session_shape,
                          VISITOR(session));
}

err_t sqlite_op_session_remove(struct store *store, const char *hash) {
    return statement_run_one(store, STATEMENT_session_remove, ARGUMENTS(TEXT(hash)));
}

err_t sqlite_op_session_update(struct store *store, const struct session *session) {
    return statement_update(store, STATEMENT_session_update, &session_shape, session);
}

err_t sqlite_op_session_remove_family(struct store *store, const char *family) {
    return statement_run(store, STATEMENT_session_remove_family, ARGUMENTS(TEXT(family)), NULL);
}

err_t sqlite_op_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                                   int64_t now) {
    return statement_run(store, STATEMENT_session_remove_all,
                         ARGUMENTS(U64(account_id), U64(api_key_id), I64(now)), NULL);
}

err_t sqlite_op_identity_add(struct store *store, const struct external_identity *identity) {
    return statement_put(store, STATEMENT_identity_add, &external_identity_shape, identity);
}

err_t sqlite_op_identity_get(struct store *store, entity_id account_id, const char *issuer,
                             struct external_identity *out) {
    return statement_get(store, STATEMENT_identity_get, ARGUMENTS(U64(account_id), TEXT(issuer)),
                         &external_identity_shape, out);
}

err_t sqlite_op_identity_remove_all(struct store *store, entity_id account_id) {
    return statement_run(store, STATEMENT_identity_remove_all, ARGUMENTS(U64(account_id)), NULL);
}

err_t sqlite_op_session_sweep(struct store *store, int64_t now) {
    return statement_run(store, STATEMENT_session_sweep, ARGUMENTS(I64(now)), NULL);
}

err_t sqlite_op_registered_key_add(struct store *store, struct registered_key *key) {
    return statement_add(store, STATEMENT_registered_key_add, &registered_key_shape, key, &key->id);
}

err_t sqlite_op_registered_key_remove(struct store *store, entity_id id) {
    return statement_run_one(store, STATEMENT_registered_key_remove, ARGUMENTS(U64(id)));
}

err_t sqlite_op_registered_key_get(struct store *store, entity_id id, struct registered_key *out) {
    return statement_get(store, STATEMENT_registered_key_get, ARGUMENTS(U64(id)),
                         &registered_key_shape, out);
}

err_t sqlite_op_registered_key_find(struct store *store, const char *fingerprint,
                                    struct registered_key *out) {
    return statement_get(store, STATEMENT_registered_key_find, ARGUMENTS(TEXT(fingerprint)),
                         &registered_key_shape, out);
}

err_t sqlite_op_registered_key_list(struct store *store, entity_id account_id,
                                    EACH(registered_key)) {
    return statement_list_of(store, STATEMENT_registered_key_list,
                             STATEMENT_registered_key_list_account, account_id,
                             &registered_key_shape, VISITOR(registered_key));
}
