/*
 * The device grant (RFC 8628): a program without a browser shows a code, and a person types it into
 * a page here, on whichever machine has one.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/browser.h"
#include "authority/issuer.h"
#include "authority/page.h"
#include "authority/routes/login.h"
#include "authority/routes/oidc.h"
#include "authority/routes/session.h"
#include "authority/routes/sign_in_form.h"
#include "base/clock.h"
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

/* What asks, once a code is known. */
struct asker {
    bool known;
    char client[CLIENT_CHARS];
    char source[INET_CHARS];
    int64_t asked_at;
};

/* Who is signed in with this browser. */
struct person {
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1]; /* "": nobody */
    bool administrator;
    int64_t signed_in_at;
};

struct approval {
    struct login_attempt attempt; /* first: login.h */
    char user_code[16];           /* as it was typed, until it is known */
    struct asker asker;
    struct person person;
    char action[16]; /* "find", "sign-in", "approve", "deny" */
    char form_token[BROWSER_FORM_TOKEN_CHARS];
    bool fresh_form_token;
    char browser[TOKEN_CHARS]; /* "" unless just signed in */
    int64_t browser_s;
};
_Static_assert(sizeof(struct approval) <= CALL_OWN_BYTES, "it fits call_own()");

static void release(void *own) { login_attempt_release(&((struct approval *)own)->attempt); }

static struct approval *own_of(struct call *call) {
    return call_own(call, sizeof(struct approval), release);
}

/* ---- the pages ---- */

enum { FACT_CHARS = 320 };

static void print_source(struct call *call, const struct asker *asker, char out[FACT_CHARS]) {
    bool same = strcmp(asker->source, call->source_text) == 0;
    (void)snprintf(out, FACT_CHARS, "%s; %s%s", asker->source,
                   same ? "you are at that address too" : "you are at ",
                   same ? "" : call->source_text);
}

static void print_time(struct call *call, const struct asker *asker, char out[FACT_CHARS]) {
    char when[TIME_CHARS], ago[DURATION_CHARS];
    time_print_utc(asker->asked_at, when);
    duration_print_relative(asker->asked_at, call->now, ago);
    (void)snprintf(out, FACT_CHARS, "%s (%s)", asker->asked_at < call->now ? ago : "just now",
                   when);
}

static void print_power(struct call *call, const struct person *person, char out[FACT_CHARS]) {
    char end[DURATION_CHARS];
    int64_t from = person->name[0] != '\0' ? person->signed_in_at : call->now;
    duration_print_relative(from + call->authority->config->session_lifetime_s, call->now, end);
    (void)snprintf(out, FACT_CHARS,
                   "all that you can: get certificates and log in by them, change your keys and "
                   "grants%s. Its sign-in ends %s.",
                   person->administrator ? ", administer this site" : "", end);
}

/* RFC 8628 sections 3.3.1 and 5.4: whoever is made to enter somebody else's code can see that it
 * is.
 */
static err_t add_asker(struct call *call) {
    const struct approval *own = own_of(call);
    char source[FACT_CHARS], time[FACT_CHARS], power[FACT_CHARS];
    bool ours = strcmp(own->asker.client, ISSUER_CLIENT) == 0;
    print_source(call, &own->asker, source);
    print_time(call, &own->asker, time);
    print_power(call, &own->person, power);
    return page_add(call, PAGE_ASKER, "program",
                    ours ? "postern, the command line" : own->asker.client, "source", source,
                    "time", time, "code", own->user_code, "power", power, NULL);
}

static err_t begin_form(struct call *call) {
    TRY(page_add(call, PAGE_FORM, "action", "/device", NULL));
    return page_add(call, PAGE_HIDDEN, "name", "form_token", "value", own_of(call)->form_token,
                    NULL);
}

/* Nothing is allowed by a code alone: it leads to the next page. */
static err_t add_entry(struct call *call) {
    TRY(begin_form(call));
    TRY(page_add(call, PAGE_USER_CODE, "user_code", own_of(call)->user_code, NULL));
    return page_add(call, PAGE_BUTTON, "action", "find", "text", "Continue", NULL);
}

static err_t add_sign_in(struct call *call) {
    const struct login_attempt *attempt = &own_of(call)->attempt;
    if (attempt->next.account_id != 0) { /* a passkey is asked for */
        return sign_in_form_write(call, attempt);
    }
    TRY(page_add(call, PAGE_TEXT, "text",
                 "Sign in first. You are asked afterwards whether to allow it.", NULL));
    TRY(sign_in_form_write(call, attempt));
    return page_add(call, PAGE_BUTTON, "action", "sign-in", "text", "Sign in", NULL);
}

static err_t add_question(struct call *call) {
    const struct approval *own = own_of(call);
    TRY(add_asker(call));
    TRY(begin_form(call));
    TRY(page_add(call, PAGE_HIDDEN, "name", "user_code", "value", own->user_code, NULL));
    if (own->person.name[0] == '\0') {
        return add_sign_in(call);
    }
    char text[LIMIT_ACCOUNT_NAME_CHARS + 16];
    (void)snprintf(text, sizeof text, "Allow as %s", own->person.name);
    TRY(page_add(call, PAGE_BUTTON, "action", "approve", "text", text, NULL));
    return page_add(call, PAGE_OTHER_BUTTON, "action", "deny", "text", "Refuse", NULL);
}

static err_t write_page(struct call *call, unsigned status, const char *notice) {
    const struct approval *own = own_of(call);
    TRY(page_begin(call, own->asker.known ? "Allow a sign-in?" : "Sign in on another machine"));
    if (notice != NULL) {
        TRY(page_add(call, PAGE_NOTICE, "text", notice, NULL));
    }
    TRY(own->asker.known ? add_question(call) : add_entry(call));
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

/* ---- what is known ---- */

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

/* False with a problem. */
static bool find_asker(struct call *call) {
    struct approval *own = own_of(call);
    struct authorization found;
    err_t err = authorizations_find_user_code(call_store(call), own->user_code, call->now, &found);
    own->asker.known = !failed(err);
    if (err.code == ERR_NOT_FOUND) {
        call_problem(call, 404, "no_such_code", "user_code",
                     "there is no such code, or it is too old or was answered already; look again "
                     "at what your terminal shows");
        return false;
    }
    if (!call_ok(call, err, NULL)) {
        return false;
    }
    memcpy(own->asker.client, found.request.client, sizeof own->asker.client);
    memcpy(own->asker.source, found.request.source, sizeof own->asker.source);
    own->asker.asked_at = found.created_at;
    return call_ok(call, authorization_print_user_code(own->user_code, own->user_code), NULL);
}

static void note_person(struct call *call, const struct account *account,
                        const struct session *session) {
    struct person *person = &own_of(call)->person;
    memcpy(person->name, account->name, sizeof person->name);
    person->administrator = account->administrator;
    person->signed_in_at = session->authenticated_at;
}

/* False when nobody is signed in, or with a problem. */
static bool find_person(struct call *call, struct session *session) {
    struct account account;
    if (!browser_find(call, session, &account)) {
        return false;
    }
    call_actor(call, account.name);
    note_person(call, &account, session);
    return true;
}

static void show_run(struct call *call) {
    const struct approval *own = own_of(call);
    struct session session;
    (void)find_person(call, &session);
    if (!call_refused(call) && (own->user_code[0] == '\0' || find_asker(call))) {
        (void)call_ok(call, write_page(call, 200, NULL), NULL);
    }
}

/* ---- the answer ---- */

static void decide(struct call *call, const struct session *session, bool allow) {
    struct approval *own = own_of(call);
    struct authorization_approval approval = {.account_id = session->account_id,
                                              .authenticated_at = session->authenticated_at};
    char detail[CLIENT_CHARS + INET_CHARS + 32];
    memcpy(approval.methods, session->methods, sizeof approval.methods);
    memcpy(approval.issuer, session->issuer, sizeof approval.issuer);
    (void)snprintf(detail, sizeof detail, "%s: %s, from %s", allow ? "allowed" : "refused",
                   own->asker.client, own->asker.source);
    call_audit(call, "device", true, "ok", detail);
    err_t err = authorizations_decide(call_store(call), own->user_code, allow ? &approval : NULL,
                                      call->now);
    if (err.code == ERR_BUSY) {
        call_problem(call, 429, "too_many_requests", NULL,
                     "you have allowed many sign-ins within minutes; wait a moment, and try again");
    } else {
        (void)call_ok(call, failed(err) ? err : write_done(call, allow), "the code");
    }
}

/* Who has just signed in is asked all the same. */
static void signed_in(struct call *call, const struct account *account) {
    struct approval *own = own_of(call);
    struct session session;
    if (oidc_open_browser(call, account, own->browser, &session)) {
        own->browser_s = session.expires_at - call->now;
        note_person(call, account, &session);
        (void)call_ok(call, write_page(call, 200, NULL), NULL);
    }
}

static void ask_again(struct call *call) { (void)call_ok(call, write_page(call, 200, NULL), NULL); }

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
    bool known = find_person(call, &session);
    if (call_refused(call) || !find_asker(call)) {
        return;
    }
    bool allow = strcmp(own->action, "approve") == 0;
    if (own->attempt.succeed != NULL) {
        login_attempt_run(call);
    } else if (known && (allow || strcmp(own->action, "deny") == 0)) {
        decide(call, &session, allow);
    } else {
        call_unrecorded(call);
        (void)call_ok(call, write_page(call, 200, NULL), NULL);
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
    if (own->browser[0] != '\0') {
        login_guard_credit_token(call);
        login_attempt_credit(call);
    }
    call_send(call);
}

/* What can be mended by another try stands above the form; the rest is a page of its own. */
static void refuse(struct call *call) {
    const struct approval *own = own_of(call);
    bool again = own->form_token[0] != '\0' && call->problem.status < 500;
    if (!again) {
        page_refuse(call);
        return;
    }
    add_headers(call);
    if (failed(write_page(call, call->problem.status, call->problem.message))) {
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
