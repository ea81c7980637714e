#include "authority/routes/sign_in_form.h"

#include "authority/authority.h"
#include "authority/page.h"
#include "authority/routes/passkey.h"

void sign_in_form_read(struct call *call, struct login_attempt *attempt, const char *form_token) {
    attempt->asker = form_token;
    passkey_challenge_make(call, form_token, 0, &attempt->next);
}

static err_t write_passkey(struct call *call, const struct login_attempt *attempt,
                           const char *label) {
    json_t *options = passkey_request_options(call, &attempt->next);
    char *text CLEANUP(freep) = options == NULL ? NULL : json_dumps(options, JSON_COMPACT);
    json_decref(options);
    return text == NULL ? FAIL(ERR_MEMORY)
                        : page_add(call, PAGE_PASSKEY, "options", text, "action", "sign-in", "text",
                                   label, NULL);
}

err_t sign_in_form_write(struct call *call, const struct login_attempt *attempt) {
    if (attempt->next.account_id != 0) {
        TRY(page_add(call, PAGE_TEXT, "text",
                     "The password is right. Now show that it is you: with a security key, or a "
                     "passkey of this device.",
                     NULL));
        return write_passkey(call, attempt, "Use security key or passkey");
    }
    TRY(page_add(call, PAGE_CREDENTIALS, "username", attempt->name, NULL));
    return passkey_site(call->authority) ? write_passkey(call, attempt, "Sign in with a passkey")
                                         : OK;
}
