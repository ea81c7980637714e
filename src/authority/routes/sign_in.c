/* Signing in for the dashboard: the form of the authority's own pages, which ends at "/". */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/browser.h"
#include "authority/external_issuer.h"
#include "authority/page.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "authority/routes/sign_in_form.h"
#include "authority/routes/sign_in_place.h"
#include "base/secret.h"

struct entry {
    struct login_attempt attempt;    /* first: login.h */
    char place[SIGN_IN_PLACE_CHARS]; /* of the dashboard, where it goes on: "keys" */
    char form_token[BROWSER_FORM_TOKEN_CHARS];
    bool fresh_form_token;
    bool known; /* signed in already */
    char browser[TOKEN_CHARS];
    int64_t browser_s;
};
_Static_assert(sizeof(struct entry) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) {
    struct entry *entry = own;
    login_attempt_release(&entry->attempt);
    secret_wipe(entry->browser, sizeof entry->browser);
}

static struct entry *entry_of(struct call *call) {
    return call_own(call, sizeof(struct entry), release);
}

/* The external issuers of the site go first: whoever has no account of this authority's own. */
static err_t write_issuers(struct call *call) {
    const struct config *config = call->authority->config;
    const struct entry *entry = entry_of(call);
    for (size_t i = 0; i < config->external_count; i++) {
        const struct external_config *issuer = external_issuer_config(config->externals[i]);
        char address[EXTERNAL_ID_CHARS + SIGN_IN_PLACE_CHARS + 32], text[160];
        (void)snprintf(address, sizeof address, "/sign-in/with/%s?place=%s", issuer->id,
                       entry->place);
        (void)snprintf(text, sizeof text, "Sign in with %.120s", issuer->title);
        TRY(page_add(call, PAGE_LINK, "address", address, "text", text, NULL));
    }
    return config->external_count == 0
               ? OK
               : page_add(call, PAGE_TEXT, "text", "Or with an account of this site's own:", NULL);
}

static err_t write_form(struct call *call, unsigned status, const char *notice) {
    const struct entry *entry = entry_of(call);
    TRY(page_begin(call, "Sign in"));
    if (notice != NULL) {
        TRY(page_add(call, PAGE_NOTICE, "text", notice, NULL));
    }
    if (entry->attempt.next.account_id == 0) {
        TRY(write_issuers(call));
    }
    TRY(page_add(call, PAGE_FORM, "action", "/sign-in", NULL));
    TRY(page_add(call, PAGE_HIDDEN, "name", "form_token", "value", entry->form_token, NULL));
    TRY(page_add(call, PAGE_HIDDEN, "name", "place", "value", entry->place, NULL));
    TRY(sign_in_form_write(call, &entry->attempt));
    if (entry->attempt.next.account_id == 0) {
        TRY(page_add(call, PAGE_BUTTON, "action", "sign-in", "text", "Sign in", NULL));
    }
    TRY(page_add(call, PAGE_FORM_END, NULL));
    return page_end(call, status);
}

static err_t read(struct call *call) {
    struct entry *entry = entry_of(call);
    TRY(login_guard_admit_token(call));
    TRY(sign_in_place_read(call, entry->place));
    TRY(browser_form_token(call, entry->form_token, &entry->fresh_form_token));
    sign_in_form_read(call, &entry->attempt, entry->form_token);
    return OK;
}

static void show_run(struct call *call) {
    struct session session;
    struct account account;
    entry_of(call)->known = browser_find(call, &session, &account);
    if (!call_refused(call)) {
        (void)call_ok(call, write_form(call, 200, NULL), NULL);
    }
}

static void signed_in(struct call *call, const struct account *account) {
    struct entry *entry = entry_of(call);
    struct session session;
    if (oidc_open_browser(call, account, entry->browser, &session)) {
        entry->browser_s = session.expires_at - call->now;
        entry->known = true;
        call_answer_text(call, 303, "text/plain");
    }
}

static void ask_again(struct call *call) { (void)call_ok(call, write_form(call, 200, NULL), NULL); }

static err_t answer_read(struct call *call) {
    TRY(read(call));
    TRY(browser_check_form(call));
    entry_of(call)->attempt.succeed = signed_in;
    entry_of(call)->attempt.ask_again = ask_again;
    return login_attempt_read(call, &entry_of(call)->attempt);
}

static void add_headers(struct call *call) {
    const struct entry *entry = entry_of(call);
    page_headers(call, "");
    if (entry->fresh_form_token) {
        browser_set_form_token(call, entry->form_token);
    }
    if (entry->browser[0] != '\0') {
        browser_set_session(call, entry->browser, entry->browser_s);
    }
}

static void finish(struct call *call) {
    const struct entry *entry = entry_of(call);
    add_headers(call);
    if (entry->attempt.succeed != NULL && entry->known) {
        login_guard_credit_token(call);
        login_attempt_credit(call);
    }
    if (entry->known) {
        char location[SIGN_IN_PLACE_CHARS + 8];
        (void)snprintf(location, sizeof location, "/#/%s", entry->place);
        call_header(call, "Location", location);
        buf_clear(&call->text);
        call_answer_text(call, 303, "text/plain");
    }
    call_send(call);
}

/* What can be mended by another try stands above the form; the rest is a page of its own. */
static void refuse(struct call *call) {
    const struct entry *entry = entry_of(call);
    if (entry->form_token[0] == '\0' || call->problem.status >= 500) {
        page_refuse(call);
        return;
    }
    add_headers(call);
    if (failed(write_form(call, call->problem.status, call->problem.message))) {
        page_refuse(call);
    }
}

const struct route sign_in_routes[] = {
    {HTTP_GET, "/sign-in", ACCESS_PUBLIC, "dashboard.sign-in", read, show_run, finish, BODY_FORM,
     refuse},
    {HTTP_POST, "/sign-in", ACCESS_PUBLIC, "session.sign-in", answer_read, login_attempt_run,
     finish, BODY_FORM, refuse},
    {.path = NULL},
};
