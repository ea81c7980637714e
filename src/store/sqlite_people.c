/* Accounts, logins, projects and who belongs to them, over SQLite. */
#include "store/sqlite_statement.h"

err_t sqlite_op_account_add(struct store *store, struct account *account) {
    return statement_add(store, STATEMENT_account_add, &account_shape, account, &account->id);
}

err_t sqlite_op_account_get(struct store *store, entity_id id, struct account *out) {
    return statement_get(store, STATEMENT_account_get, ARGUMENTS(U64(id)), &account_shape, out);
}

err_t sqlite_op_account_find(struct store *store, const char *name, struct account *out) {
    return statement_get(store, STATEMENT_account_find, ARGUMENTS(TEXT(name)), &account_shape, out);
}

err_t sqlite_op_account_update(struct store *store, const struct account *account) {
    return statement_update(store, STATEMENT_account_update, &account_shape, account);
}

err_t sqlite_op_account_list(struct store *store, const char *after_name, size_t max,
                             EACH(account)) {
    return statement_list_after(store, STATEMENT_account_list, after_name, max, &account_shape,
                                VISITOR(account));
}

err_t sqlite_op_login_get(struct store *store, entity_id account_id, struct login *out) {
    return statement_get(store, STATEMENT_login_get, ARGUMENTS(U64(account_id)), &login_shape, out);
}

err_t sqlite_op_login_find_invitation(struct store *store, const char *hash, struct login *out) {
    return statement_get(store, STATEMENT_login_find_invitation, ARGUMENTS(TEXT(hash)),
                         &login_shape, out);
}

err_t sqlite_op_login_put(struct store *store, const struct login *login) {
    return statement_put(store, STATEMENT_login_put, &login_shape, login);
}

err_t sqlite_op_project_add(struct store *store, struct project *project) {
    return statement_add(store, STATEMENT_project_add, &project_shape, project, &project->id);
}

err_t sqlite_op_project_get(struct store *store, entity_id id, struct project *out) {
    return statement_get(store, STATEMENT_project_get, ARGUMENTS(U64(id)), &project_shape, out);
}

err_t sqlite_op_project_find(struct store *store, const char *name, struct project *out) {
    return statement_get(store, STATEMENT_project_find, ARGUMENTS(TEXT(name)), &project_shape, out);
}

err_t sqlite_op_project_list(struct store *store, const char *after_name, size_t max,
                             EACH(project)) {
    return statement_list_after(store, STATEMENT_project_list, after_name, max, &project_shape,
                                VISITOR(project));
}

err_t sqlite_op_member_put(struct store *store, const struct membership *membership) {
    return statement_put(store, STATEMENT_member_put, &membership_shape, membership);
}

err_t sqlite_op_member_get(struct store *store, entity_id project_id, entity_id account_id,
                           struct membership *out) {
    return statement_get(store, STATEMENT_member_get, ARGUMENTS(U64(project_id), U64(account_id)),
                         &membership_shape, out);
}

err_t sqlite_op_member_remove(struct store *store, entity_id project_id, entity_id account_id) {
    return statement_run_one(store, STATEMENT_member_remove,
                             ARGUMENTS(U64(project_id), U64(account_id)));
}

err_t sqlite_op_member_list(struct store *store, entity_id project_id, entity_id account_id,
                            EACH(membership)) {
    if (project_id != 0 && account_id != 0) {
        struct membership membership;
        err_t err = sqlite_op_member_get(store, project_id, account_id, &membership);
        if (err.code == ERR_NOT_FOUND) {
            return OK;
        }
        TRY(err);
        return each(context, &membership);
    }
    enum statement name = project_id != 0   ? STATEMENT_member_list_project
                          : account_id != 0 ? STATEMENT_member_list_account
                                            : STATEMENT_member_list;
    struct arguments one = ARGUMENTS(U64(project_id != 0 ? project_id : account_id));
    return statement_list(store, name, name == STATEMENT_member_list ? NO_ARGUMENTS : one,
                          &membership_shape, VISITOR(membership));
}
