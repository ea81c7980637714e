/* The page where a person registers a passkey: signing in anew where that was a while ago, then a
 * name and a touch. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/bearer.h"
#include "authority/browser.h"
#include "authority/page.h"
#include "authority/routes/factor.h"
#include "authority/routes/oidc.h"
#include "authority/routes/sign_in_form.h"

struct page {
    struct login_attempt attempt; /* first: login.h */
    struct passkey_creation creation;
    char form_token[BROWSER_FORM_TOKEN_CHARS];
    bool fresh_form_token;
    char browser[TOKEN_CHARS]; /* "" unless just signed in */
    int64_t browser_s;
};
_Static_assert(sizeof(struct page) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) { login_attempt_release(&((struct page *)own)->attempt); }

static struct page *page_of(struct call *call) {
    return call_own(call, sizeof(struct page), release);
}

static err_t begin_form(struct call *call, const char *title, const char *notice) {
    TRY(page_begin(call, title));
    if (notice != NULL) {
        TRY(page_add(call, PAGE_NOTICE, "text", notice, NULL));
    }
    TRY(page_add(call, PAGE_FORM, "action", "/passkeys", NULL));
    return page_add(call, PAGE_HIDDEN, "name", "form_token", "value", page_of(call)->form_token,
                    NULL);
}

static err_t write_sign_in(struct call *call, unsigned status, const char *notice) {
    const struct page *page = page_of(call);
    TRY(begin_form(call, "Sign in to add a passkey", notice));
    TRY(sign_in_form_write(call, &page->attempt));
    if (page->attempt.next.account_id == 0) {
        TRY(page_add(call, PAGE_BUTTON, "action", "sign-in", "text", "Sign in", NULL));
    }
    TRY(page_add(call, PAGE_FORM_END, NULL));
    return page_end(call, status);
}

/* Store thread. */
static void write_add(struct call *call, const struct account *account) {
    const struct page *page = page_of(call);
    json_t *options = passkey_creation_options(call, account, &page->attempt.next);
    char *text CLEANUP(freep) = options == NULL ? NULL : json_dumps(options, JSON_COMPACT);
    json_decref(options);
    if (call_refused(call)) {
        return;
    }
    err_t err = text == NULL ? FAIL(ERR_MEMORY) : begin_form(call, "Add a passkey", NULL);
    err = failed(err) ? err : page_add(call, PAGE_PASSKEY_NAME, "name", "", NULL);
    err = failed(err) ? err
                      : page_add(call, PAGE_PASSKEY, "options", text, "action", "add", "text",
                                 "Add passkey or security key", NULL);
    err = failed(err) ? err : page_add(call, PAGE_FORM_END, NULL);
    (void)call_ok(call, failed(err) ? err : page_end(call, 200), NULL);
}

static err_t read(struct call *call) {
    struct page *page = page_of(call);
    TRY(login_guard_admit_token(call));
    TRY(browser_form_token(call, page->form_token, &page->fresh_form_token));
    sign_in_form_read(call, &page->attempt, page->form_token);
    return OK;
}

/* Who is signed in here, a moment ago; else the form to do so. */
static bool is_fresh(struct call *call, struct account *account) {
    struct session session;
    struct login login;
    if (!browser_find(call, &session, account) ||
        call->now - bearer_signed_in_at(&session) > LIMIT_SIGN_IN_S) {
        if (!call_refused(call)) {
            (void)call_ok(call, write_sign_in(call, 200, NULL), NULL);
        }
        return false;
    }
    call_actor(call, account->name);
    return factor_may_change(call, account, bearer_signed_in_at(&session), &login);
}

static void show_run(struct call *call) {
    struct account account;
    if (is_fresh(call, &account)) {
        write_add(call, &account);
    }
}

static void signed_in(struct call *call, const struct account *account) {
    struct page *page = page_of(call);
    struct session session;
    if (oidc_open_browser(call, account, page->browser, &session)) {
        page->browser_s = session.expires_at - call->now;
        write_add(call, account);
    }
}

static void ask_again(struct call *call) {
    (void)call_ok(call, write_sign_in(call, 200, NULL), NULL);
}

static err_t answer_read(struct call *call) {
    struct page *page = page_of(call);
    const size_t most = BASE64URL_CHARS(LIMIT_WEBAUTHN_ANSWER_BYTES);
    const char *action = "";
    TRY(read(call));
    TRY(browser_check_form(call));
    TRY(oidc_read(call, "action", 16, &action));
    if (strcmp(action, "add") != 0) {
        page->attempt.succeed = signed_in;
        page->attempt.ask_again = ask_again;
        return login_attempt_read(call, &page->attempt);
    }
    struct passkey_creation *own = &page->creation;
    TRY(call_read_string(call, "passkey_name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS,
                         &own->name));
    TRY(call_read_string(call, "passkey_client_data", CALL_REQUIRED, most, &own->client_data));
    return call_read_string(call, "passkey_attestation", CALL_REQUIRED, most, &own->attestation);
}

static void add(struct call *call) {
    const struct page *page = page_of(call);
    struct account account;
    struct passkey passkey;
    if (!is_fresh(call, &account)) {
        return;
    }
    if (!passkey_register(call, &account, &page->creation, page->form_token, &passkey)) {
        return;
    }
    char text[LIMIT_DISPLAY_NAME_CHARS + 96];
    (void)snprintf(text, sizeof text, "“%s” is registered. You can close this page.", passkey.name);
    err_t err = page_begin(call, "Passkey added");
    err = failed(err) ? err : page_add(call, PAGE_TEXT, "text", text, NULL);
    (void)call_ok(call, failed(err) ? err : page_end(call, 200), NULL);
}

static void answer_run(struct call *call) {
    if (page_of(call)->attempt.succeed != NULL) {
        login_attempt_run(call);
    } else {
        add(call);
    }
}

static void add_headers(struct call *call) {
    const struct page *page = page_of(call);
    page_headers(call, "");
    if (page->fresh_form_token) {
        browser_set_form_token(call, page->form_token);
    }
    if (page->browser[0] != '\0') {
        browser_set_session(call, page->browser, page->browser_s);
    }
}

static void finish(struct call *call) {
    add_headers(call);
    if (page_of(call)->browser[0] != '\0') {
        login_guard_credit_token(call);
        login_attempt_credit(call);
    }
    call_send(call);
}

/* What can be mended by another try stands above the form; the rest is a page of its own. */
static void refuse(struct call *call) {
    const struct page *page = page_of(call);
    if (page->attempt.succeed == NULL || call->problem.status >= 500) {
        page_refuse(call);
        return;
    }
    add_headers(call);
    if (failed(write_sign_in(call, call->problem.status, call->problem.message))) {
        page_refuse(call);
    }
}

const struct route passkey_page_routes[] = {
    {HTTP_GET, "/passkeys", ACCESS_PUBLIC, "factor.page", read, show_run, finish, BODY_FORM,
     refuse},
    {HTTP_POST, "/passkeys", ACCESS_PUBLIC, "factor.page-add", answer_read, answer_run, finish,
     BODY_FORM, refuse},
    {.path = NULL},
};
