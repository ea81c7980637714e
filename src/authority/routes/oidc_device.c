/*
 * The device grant (RFC 8628): a program without a browser shows a code, and a person types it into
 * a page here, on whichever machine has one.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/browser.h"
#include "authority/page.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "authority/routes/session.h"
#include "authority/routes/sign_in_form.h"
#include "base/random.h"

/* ---- the device asks ----------------------------------------------------------------------- */

struct device {
    struct authorization_request request;
};

/* The throttle gets nothing back for it: one stranger could drive out whoever else waits. */
static err_t begin_read(struct call *call) {
    struct device *own = call_own(call, sizeof *own, NULL);
    TRY(login_guard_admit_token(call));
    TRY(oidc_read_client(call, own->request.client));
    return oidc_read_scope(call, &own->request.offline);
}

static void begin_run(struct call *call) {
    const struct device *own = call_own(call, sizeof *own, NULL);
    const char *url = call->authority->config->public_url;
    uint8_t random[AUTHORIZATION_RANDOM_BYTES];
    char code[TOKEN_CHARS], user_code[AUTHORIZATION_USER_CODE_CHARS];
    random_bytes(random, sizeof random);
    struct authorization_request request = own->request;
    memcpy(request.source, call->source_text, sizeof request.source);
    err_t err =
        authorizations_add_device(call_store(call), random, &request, call->now, code, user_code);
    call_unrecorded(call); /* whoever has no bearer must not be able to fill the disk */
    if (err.code == ERR_BUSY) {
        call_problem(call, 503, "overloaded", NULL,
                     "too many sign-ins are waiting; try again in a moment");
    } else if (call_ok(call, err, NULL)) {
        call_answer(call, 200,
                    json_pack("{s:s, s:s, s:s+, s:s++, s:i, s:i}", "device_code", code, "user_code",
                              user_code, "verification_uri", url, "/device",
                              "verification_uri_complete", url, "/device?user_code=", user_code,
                              "expires_in", (int)AUTHORIZATION_DEVICE_S, "interval",
                              (int)AUTHORIZATION_INTERVAL_S));
    }
}

/* ---- the person answers -------------------------------------------------------------------- */

struct approval {
    struct login_attempt attempt; /* first: login.h */
    char user_code[16];
    struct authorization_request asker; /* what the code of a link is of, where there is such */
    char action[16];                    /* "sign-in", "approve", "deny" */
    char form_token[BROWSER_FORM_TOKEN_CHARS];
    bool fresh_form_token;
    bool signed_in;
    char browser[TOKEN_CHARS];
    int64_t browser_s;
};
_Static_assert(sizeof(struct approval) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) { login_attempt_release(&((struct approval *)own)->attempt); }

static struct approval *own_of(struct call *call) {
    return call_own(call, sizeof(struct approval), release);
}

/* RFC 8628 section 5.4: whoever is sent a link with somebody else's code can see that it is. The
 * request is asked for on the store thread. */
static err_t add_asker(struct call *call) {
    const struct approval *own = own_of(call);
    char text[256];
    if (own->asker.client[0] == '\0') {
        return OK;
    }
    (void)snprintf(text, sizeof text,
                   "%.60s asks, from the address %s. Yours is %s: is that your other machine?",
                   own->asker.client, own->asker.source, call->source_text);
    return page_add(call, PAGE_TEXT, "text", text, NULL);
}

/* Who is not signed in does so with the same form, which approves at once. */
static err_t write_form(struct call *call, const struct account *account, unsigned status,
                        const char *notice) {
    const struct approval *own = own_of(call);
    TRY(page_begin(call, "Sign in on another machine"));
    if (notice != NULL) {
        TRY(page_add(call, PAGE_NOTICE, "text", notice, NULL));
    }
    TRY(add_asker(call));
    TRY(page_add(call, PAGE_FORM, "action", "/device", NULL));
    TRY(page_add(call, PAGE_HIDDEN, "name", "form_token", "value", own->form_token, NULL));
    TRY(page_add(call, PAGE_USER_CODE, "user_code", own->user_code, NULL));
    if (account == NULL) {
        TRY(sign_in_form_write(call, &own->attempt));
        if (own->attempt.next.account_id == 0) {
            TRY(page_add(call, PAGE_BUTTON, "action", "sign-in", "text", "Sign in and allow",
                         NULL));
        }
    } else {
        char text[160];
        (void)snprintf(text, sizeof text, "Allow it to act as %s", account->name);
        TRY(page_add(call, PAGE_BUTTON, "action", "approve", "text", text, NULL));
        TRY(page_add(call, PAGE_OTHER_BUTTON, "action", "deny", "text", "Refuse", NULL));
    }
    TRY(page_add(call, PAGE_FORM_END, NULL));
    return page_end(call, status);
}

static err_t write_done(struct call *call, bool allowed) {
    TRY(page_begin(call, allowed ? "Signed in" : "Refused"));
    TRY(page_add(call, PAGE_TEXT, "text",
                 allowed ? "The other machine is signed in. You can close this page."
                         : "Nothing was allowed. You can close this page.",
                 NULL));
    return page_end(call, 200);
}

static err_t read_code(struct call *call) {
    struct approval *own = own_of(call);
    const char *code = "";
    TRY(login_guard_admit_token(call));
    TRY(oidc_read(call, "user_code", sizeof own->user_code - 1, &code));
    (void)snprintf(own->user_code, sizeof own->user_code, "%s", code);
    TRY(browser_form_token(call, own->form_token, &own->fresh_form_token));
    sign_in_form_read(call, &own->attempt, own->form_token);
    return OK;
}

static void show_run(struct call *call) {
    struct approval *own = own_of(call);
    struct session session;
    struct account account;
    struct authorization found;
    err_t err = authorizations_find_user_code(call_store(call), own->user_code, call->now, &found);
    if (!failed(err)) {
        own->asker = found.request;
    } else if (err.code != ERR_NOT_FOUND && !call_ok(call, err, NULL)) {
        return;
    }
    bool known = browser_find(call, &session, &account);
    if (!call_refused(call)) {
        (void)call_ok(call, write_form(call, known ? &account : NULL, 200, NULL), NULL);
    }
}

static void decide(struct call *call, const struct session *session, bool allow) {
    struct approval *own = own_of(call);
    struct authorization_approval approval = {.account_id = session->account_id,
                                              .authenticated_at = session->authenticated_at};
    memcpy(approval.methods, session->methods, sizeof approval.methods);
    call_audit(call, "device", true, "ok", allow ? "allowed" : "refused");
    err_t err = authorizations_decide(call_store(call), own->user_code, allow ? &approval : NULL,
                                      call->now);
    if (err.code == ERR_NOT_FOUND) {
        call_keep_writes(call); /* the one-time code of a sign-in stays used */
        call_problem(call, 404, "no_such_code", "user_code",
                     "there is no such code, or it is too old; look again at what your terminal "
                     "shows");
    } else if (err.code == ERR_BUSY) {
        call_keep_writes(call);
        call_problem(call, 429, "too_many_requests", NULL,
                     "you have allowed many sign-ins within minutes; wait a moment, and try again");
    } else {
        (void)call_ok(call, failed(err) ? err : write_done(call, allow), NULL);
    }
}

static void signed_in(struct call *call, const struct account *account) {
    struct approval *own = own_of(call);
    struct session session;
    if (oidc_open_browser(call, account, own->browser, &session)) {
        own->browser_s = session.expires_at - call->now;
        own->signed_in = true;
        decide(call, &session, true);
    }
}

static void ask_again(struct call *call) {
    (void)call_ok(call, write_form(call, NULL, 200, NULL), NULL);
}

static err_t answer_read(struct call *call) {
    struct approval *own = own_of(call);
    const char *action = "";
    TRY(read_code(call));
    TRY(browser_check_form(call));
    TRY(oidc_read(call, "action", sizeof own->action - 1, &action));
    (void)snprintf(own->action, sizeof own->action, "%s", action);
    if (strcmp(action, "sign-in") != 0) {
        return OK;
    }
    own->attempt.succeed = signed_in;
    own->attempt.ask_again = ask_again;
    return login_attempt_read(call, &own->attempt);
}

static void answer_run(struct call *call) {
    const struct approval *own = own_of(call);
    struct session session;
    struct account account;
    if (own->attempt.succeed != NULL) {
        login_attempt_run(call);
        return;
    }
    bool known = browser_find(call, &session, &account);
    bool allow = strcmp(own->action, "approve") == 0;
    if (known && (allow || strcmp(own->action, "deny") == 0)) {
        call_actor(call, account.name);
        decide(call, &session, allow);
    } else if (!call_refused(call)) {
        call_unrecorded(call);
        (void)call_ok(call, write_form(call, known ? &account : NULL, 200, NULL), NULL);
    }
}

static void add_headers(struct call *call) {
    const struct approval *own = own_of(call);
    page_headers(call, "");
    if (own->fresh_form_token) {
        browser_set_form_token(call, own->form_token);
    }
    if (own->browser[0] != '\0') {
        browser_set_session(call, own->browser, own->browser_s);
    }
}

static void finish(struct call *call) {
    const struct approval *own = own_of(call);
    add_headers(call);
    if (own->signed_in) {
        login_guard_credit_token(call);
        login_attempt_credit(call);
    }
    call_send(call);
}

static void refuse(struct call *call) {
    const struct approval *own = own_of(call);
    bool again = own->form_token[0] != '\0' && call->problem.status < 500;
    if (!again) {
        page_refuse(call);
        return;
    }
    add_headers(call);
    if (failed(write_form(call, NULL, call->problem.status, call->problem.message))) {
        page_refuse(call);
    }
}

const struct route oidc_device_routes[] = {
    {HTTP_POST, "/oauth/device", ACCESS_PUBLIC, "issuer.device", begin_read, begin_run, NULL,
     BODY_FORM, oidc_refuse},
    {HTTP_GET, "/device", ACCESS_PUBLIC, "device.show", read_code, show_run, finish, BODY_FORM,
     refuse},
    {HTTP_POST, "/device", ACCESS_PUBLIC, "device.answer", answer_read, answer_run, finish,
     BODY_FORM, refuse},
    {.path = NULL},
};
