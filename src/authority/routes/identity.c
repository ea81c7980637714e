/* Who an account is at external issuers: forgotten, when it becomes somebody else's there. */
#include "authority/authority.h"
#include "authority/routes/account.h"

/* The next to sign in by the account's name is whom it belongs to, so nobody before stays in, nor
 * gets in by what they left: certificates, grants, keys. */
static void forget_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct account account;
    call_audit(call, name, true, "ok", NULL);
    if (account_find(call, name, &account) &&
        call_ok(call, store_identity_remove_all(call_store(call), account.id), "the account") &&
        account_end_access(call, &account, "the account became another person's")) {
        call_answer(call, 200, json_pack("{s:s}", "username", account.name));
    }
}

const struct route identity_routes[] = {
    {HTTP_POST, "/api/v1/accounts/{name}/forget-identity", ACCESS_ADMINISTRATOR, "identity.forget",
     NULL, forget_run, NULL},
    {.path = NULL},
};
