/*
 * Signing in with a password and a one-time code.
 *
 * Invariants:
 *   1. Whatever is wrong, the answer is the same, and one password hash was computed for it; only
 *      the audit log knows more.
 *   2. A login succeeds only in a transaction that also moves totp_last_step on, so a code that was
 *      accepted once is never accepted again.
 *   3. Failures are counted in the transaction that judges them: guesses that were under way at the
 *      same time do not slip past the lock-out.
 *   4. A name that is not an account gets locked like one that is.
 *   5. Whoever fails, again and again, locks nobody out who signs in from where they did before.
 */
#include "authority/routes/login.h"

#include <sodium.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/invitation.h"
#include "authority/routes/session.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"
#include "identity/password.h"
#include "identity/recovery.h"
#include "identity/totp.h"

enum {
    ADDRESSES_COUNT = 16 * 1024,
    ADDRESS_BURST = 60,
    ADDRESS_INTERVAL_MS = 1000,
    ACCOUNTS_COUNT = 16 * 1024,
    ACCOUNT_BURST = 10,
    ACCOUNT_INTERVAL_MS = 10 * 1000,
    TOKEN_BURST = 300,
    TOKEN_INTERVAL_MS = 100,
    STRANGERS_COUNT = 4096,
    TRIERS_COUNT = 16 * 1024,
    TRIER_TAG_BYTES = 16,
    TRIER_KEY_BYTES = 256 + 16, /* a name, and an address */
    NAME_FAILURES = 95,         /* how many more a name as a whole stands */
};

/* A name without an account: it is locked as an account would be, as long as memory serves. */
struct stranger {
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
    uint32_t failures;
    int64_t locked_until;
};

/* A name from one source, at DOOR_SIGN_IN. */
struct trier {
    uint8_t tag[TRIER_TAG_BYTES];
    bool familiar;
    uint32_t failures;
    int64_t locked_until;
};

struct door {
    struct throttle *addresses; /* loop; of DOOR_WINDOW: store */
    /* store: */
    struct throttle *names;
    struct stranger strangers[STRANGERS_COUNT];
};

struct login_guard {
    struct door doors[DOORS_COUNT];
    struct throttle *tokens;               /* loop */
    struct trier triers[TRIERS_COUNT];     /* store */
    uint8_t secret[THROTTLE_SECRET_BYTES]; /* of the tables of strangers */
};

static err_t door_init(struct door *door) {
    TRY(throttle_new(ADDRESSES_COUNT, ADDRESS_BURST, ADDRESS_INTERVAL_MS, &door->addresses));
    return throttle_new(ACCOUNTS_COUNT, ACCOUNT_BURST, ACCOUNT_INTERVAL_MS, &door->names);
}

err_t login_guard_new(struct login_guard **out) {
    struct login_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL) {
        return FAIL(ERR_MEMORY);
    }
    random_bytes(guard->secret, sizeof guard->secret);
    err_t err = OK;
    for (size_t i = 0; i < DOORS_COUNT && !failed(err); i++) {
        err = door_init(&guard->doors[i]);
    }
    err = failed(err)
              ? err
              : throttle_new(ADDRESSES_COUNT, TOKEN_BURST, TOKEN_INTERVAL_MS, &guard->tokens);
    if (failed(err)) {
        login_guard_free(guard);
        return err;
    }
    *out = guard;
    return OK;
}

void login_guard_free(struct login_guard *guard) {
    if (guard != NULL) {
        for (size_t i = 0; i < DOORS_COUNT; i++) {
            throttle_free(guard->doors[i].addresses);
            throttle_free(guard->doors[i].names);
        }
        throttle_free(guard->tokens);
        free(guard);
    }
}

span_t login_guard_key(const struct inet_address *address) {
    return span_of(address->bytes, address->family_bits == 128 ? 8 : sizeof address->bytes);
}

static err_t admit(struct call *call, struct throttle *throttle, span_t key) {
    int wait_s = 0;
    if (throttle_allow(throttle, key, clock_monotonic_ms(), &wait_s)) {
        return OK;
    }
    call_problem(call, 429, "too_many_requests", NULL,
                 "too many attempts; wait %d seconds and try again", wait_s);
    call_retry_after(call, wait_s);
    call->unrecorded = true; /* who is throttled must not be able to fill the disk either */
    return FAIL(ERR_REFUSED);
}

err_t login_admit_source(struct call *call, enum login_door door,
                         const struct inet_address *source) {
    return admit(call, call->authority->login_guard->doors[door].addresses,
                 login_guard_key(source));
}

void login_credit_source(struct call *call, enum login_door door,
                         const struct inet_address *source) {
    throttle_credit(call->authority->login_guard->doors[door].addresses, login_guard_key(source));
}

/* ---- a name from one source ------------------------------------------------------------------ */

struct trier_key {
    uint8_t bytes[TRIER_KEY_BYTES];
    size_t len;
};

static struct trier_key trier_key(const struct inet_address *source, const char *name) {
    struct trier_key key = {.len = strnlen(name, LOGIN_NAME_CHARS_MAX)};
    span_t address = login_guard_key(source);
    memcpy(key.bytes, name, key.len++); /* and a NUL, which no name has */
    memcpy(key.bytes + key.len, address.data, address.len);
    key.len += address.len;
    return key;
}

static void trier_tag(const struct trier_key *key, uint8_t out[TRIER_TAG_BYTES]) {
    /* Documented to fail for lengths alone, which are constant. */
    (void)crypto_generichash(out, TRIER_TAG_BYTES, key->bytes, key->len, NULL, 0);
}

static struct trier *trier_place(struct call *call, const struct trier_key *key) {
    struct login_guard *guard = call->authority->login_guard;
    return &guard->triers[throttle_place(guard->secret, span_of(key->bytes, key->len),
                                         TRIERS_COUNT)];
}

/* At the window a password alone lets in: there a name is locked for everybody. */
static struct trier trier_get(struct call *call, enum login_door door,
                              const struct inet_address *source, const char *name) {
    struct trier_key key = trier_key(source, name);
    struct trier none = {.familiar = false};
    trier_tag(&key, none.tag);
    const struct trier *trier = trier_place(call, &key);
    bool known = door == DOOR_SIGN_IN && memcmp(trier->tag, none.tag, sizeof none.tag) == 0;
    return known ? *trier : none;
}

static void trier_put(struct call *call, enum login_door door, const struct inet_address *source,
                      const char *name, const struct trier *trier) {
    struct trier_key key = trier_key(source, name);
    if (door == DOOR_SIGN_IN) {
        *trier_place(call, &key) = *trier;
    }
}

/* What is tried by a name from where it is known has a bound of its own. */
static struct trier_key name_key(struct call *call, enum login_door door,
                                 const struct inet_address *source, const char *name) {
    struct trier_key key = trier_key(source, name);
    if (!trier_get(call, door, source, name).familiar) {
        key.len = strnlen(name, LOGIN_NAME_CHARS_MAX);
    }
    return key;
}

err_t login_admit_name(struct call *call, enum login_door door, const struct inet_address *source,
                       const char *name) {
    struct trier_key key = name_key(call, door, source, name);
    return admit(call, call->authority->login_guard->doors[door].names,
                 span_of(key.bytes, key.len));
}

err_t login_guard_admit_token(struct call *call) {
    return admit(call, call->authority->login_guard->tokens, login_guard_key(call->source));
}

void login_guard_credit_token(struct call *call) {
    throttle_credit(call->authority->login_guard->tokens, login_guard_key(call->source));
}

void login_attempt_release(struct login_attempt *attempt) {
    secret_done(&attempt->password);
    secret_wipe(attempt->code, sizeof attempt->code);
}

static void release(void *own) { login_attempt_release(own); }

static struct login_attempt *attempt_of(struct call *call) {
    return call_own(call, sizeof(struct login_attempt), release);
}

const char *login_attempt_methods(struct call *call) { return attempt_of(call)->methods; }

err_t login_attempt_read(struct call *call, struct login_attempt *attempt) {
    const char *name = NULL, *password = NULL, *code = "";
    enum call_presence code_presence = attempt->ask_again != NULL ? CALL_OPTIONAL : CALL_REQUIRED;
    if (attempt->asker != NULL) {
        TRY(passkey_answer_read(call, &attempt->passkey));
    }
    if (attempt->passkey.credential != NULL) {
        return OK; /* what else the form has does not count */
    }
    TRY(call_read_string(call, "username", CALL_REQUIRED, LOGIN_NAME_CHARS_MAX, &name));
    TRY(call_read_string(call, "password", CALL_REQUIRED, LIMIT_PASSWORD_CHARS_MAX, &password));
    TRY(call_read_string(call, "totp", code_presence, LOGIN_CODE_CHARS_MAX, &code));
    TRY(login_admit_source(call, DOOR_SIGN_IN, call->source));
    (void)snprintf(attempt->name, sizeof attempt->name, "%s", name);
    (void)snprintf(attempt->code, sizeof attempt->code, "%s", code);
    err_t err = secret_copy(span_str(password), LIMIT_PASSWORD_CHARS_MAX, &attempt->password);
    return call_ok(call, err, "the password") ? OK : err;
}

/* The API's own sign-in. */
struct api_login {
    struct login_attempt attempt; /* first: login.h */
    struct session_cookie cookie;
};
_Static_assert(sizeof(struct api_login) <= CALL_OWN_BYTES, "it fits call_own()");

static void api_release(void *own) {
    struct api_login *login = own;
    login_attempt_release(&login->attempt);
    secret_wipe(login->cookie.token, sizeof login->cookie.token);
}

static struct api_login *api_login_of(struct call *call) {
    return call_own(call, sizeof(struct api_login), api_release);
}

void login_tell_recovery_codes(struct call *call, entity_id account_id) {
    size_t left = 0;
    if (call_ok(call, store_recovery_code_count(call_store(call), account_id, &left),
                "the recovery codes")) {
        (void)json_object_set_new(call->answer, "recoveryCodesLeft",
                                  json_integer((json_int_t)left));
    }
}

static void open_session(struct call *call, const struct account *account) {
    struct session_cookie *cookie = &api_login_of(call)->cookie;
    if (cookie->wanted) {
        session_cookie_open(call, account, login_attempt_methods(call), cookie);
    } else {
        session_open(call, account, NULL);
    }
    if (attempt_of(call)->by_recovery_code && !call_refused(call)) {
        login_tell_recovery_codes(call, account->id);
    }
}

static err_t read(struct call *call) {
    struct api_login *own = api_login_of(call);
    own->attempt.succeed = open_session;
    TRY(session_cookie_read(call, &own->cookie));
    return login_attempt_read(call, &own->attempt);
}

static struct stranger *stranger_of(struct call *call, enum login_door door, const char *name) {
    struct login_guard *guard = call->authority->login_guard;
    size_t place = throttle_place(guard->secret, span_str(name), STRANGERS_COUNT);
    return &guard->doors[door].strangers[place];
}

static void take_stranger(struct call *call, enum login_door door, const char *name,
                          struct candidate *out) {
    const struct stranger *stranger = stranger_of(call, door, name);
    *out = (struct candidate){0};
    if (strncmp(stranger->name, name, sizeof stranger->name - 1) == 0) {
        out->login.failures = stranger->failures;
        out->login.locked_until = stranger->locked_until;
    }
}

bool login_find(struct call *call, enum login_door door, const struct inet_address *source,
                const char *name, struct candidate *out) {
    struct trier trier = trier_get(call, door, source, name);
    struct store *store = call_store(call);
    struct candidate found = {0};
    err_t err = store_account_find(store, name, &found.account);
    if (!failed(err)) {
        err = store_login_get(store, found.account.id, &found.login);
        found.login.account_id = found.account.id;
    }
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the account")) {
        return false;
    }
    bool counts = door != DOOR_WINDOW || found.login.window_until > call->now;
    if (found.account.id == 0 || !counts) {
        take_stranger(call, door, name, out);
    } else {
        *out = found;
    }
    out->familiar = trier.familiar;
    out->locked_until = trier.locked_until;
    if (!trier.familiar && out->login.locked_until > trier.locked_until) {
        out->locked_until = out->login.locked_until;
    }
    return true;
}

void login_note_success(struct call *call, enum login_door door, const struct inet_address *source,
                        const char *name, struct candidate *candidate) {
    struct trier trier = trier_get(call, door, source, name);
    struct trier_key key = name_key(call, door, source, name);
    throttle_credit(call->authority->login_guard->doors[door].names, span_of(key.bytes, key.len));
    trier.familiar = true;
    trier.failures = 0;
    trier.locked_until = 0;
    trier_put(call, door, source, name, &trier);
    candidate->login.failures = 0;
    candidate->login.locked_until = 0;
}

void login_note_failure(struct call *call, enum login_door door, const struct inet_address *source,
                        const char *name, struct candidate *candidate) {
    struct login *login = &candidate->login;
    struct trier trier = trier_get(call, door, source, name);
    trier.failures += trier.failures < UINT32_MAX;
    trier.locked_until = lockout_until(trier.failures, call->now);
    trier_put(call, door, source, name, &trier);
    if (candidate->familiar) {
        return; /* its own lock holds it back */
    }
    login->failures += login->failures < UINT32_MAX;
    uint32_t stands = door == DOOR_SIGN_IN ? NAME_FAILURES : 0;
    login->locked_until =
        login->failures < stands ? 0 : lockout_until(login->failures - stands, call->now);
    if (candidate->account.id != 0) {
        (void)call_ok(call, store_login_put(call_store(call), login), "the login");
        return;
    }
    struct stranger *stranger = stranger_of(call, door, name);
    (void)snprintf(stranger->name, sizeof stranger->name, "%.*s", (int)sizeof stranger->name - 1,
                   name);
    stranger->failures = login->failures;
    stranger->locked_until = login->locked_until;
}

bool login_refuse_locked(struct call *call, const struct candidate *candidate, const char *name) {
    if (candidate->locked_until <= call->now) {
        return false;
    }
    call_audit(call, name, false, "locked", "locked after failures in a row");
    call_problem(call, 429, "locked", NULL,
                 "too many failed sign-ins for this name; try again in %d seconds",
                 (int)(candidate->locked_until - call->now));
    call_retry_after(call, (int)(candidate->locked_until - call->now));
    return true;
}

static void verify_password(struct call *call) {
    struct login_attempt *own = attempt_of(call);
    const struct password_cost *cost = &call->authority->config->password_cost;
    own->password_right = !failed(password_verify(own->hash, &own->password, cost));
    /* What was hashed at another cost is hashed anew while the password is at hand. */
    if (own->password_right && !password_has_cost(own->hash, cost)) {
        ignore_err(password_hash(&own->password, cost, own->rehashed)); /* it works as it is */
    }
}

/* The code that takes the second factor's place; used up when it is right. */
static bool take_recovery_code(struct call *call, const char *code, entity_id account_id) {
    char hash[HASH_CHARS];
    if (failed(recovery_hash(span_str(code), account_id, hash))) {
        return false;
    }
    err_t err = store_recovery_code_take(call_store(call), account_id, hash);
    return err.code != ERR_NOT_FOUND && call_ok(call, err, "the recovery codes");
}

/* Whether a passkey can be asked for in place of a code; the next challenge is for that account. */
static bool may_ask(struct call *call, struct login_attempt *own, entity_id account_id) {
    size_t count = 0;
    if (own->ask_again == NULL || !passkey_site(call->authority) ||
        !passkey_count(call, account_id, &count) || count == 0) {
        return false;
    }
    passkey_challenge_make(call, own->asker, account_id, &own->next);
    return true;
}

/* Why not, for the audit log; NULL when everything is right, and then the step has moved on. */
static const char *judge(struct call *call, struct login_attempt *own,
                         struct candidate *candidate) {
    static const uint8_t nobodys_secret[TOTP_SECRET_BYTES];
    struct login *login = &candidate->login;
    bool enrolled = login->totp_secret_bytes != 0;
    int64_t step = login->totp_last_step;
    span_t secret = enrolled ? span_of(login->totp_secret, login->totp_secret_bytes)
                             : span_of(nobodys_secret, sizeof nobodys_secret);
    bool code_right =
        !failed(totp_verify(secret, span_str(own->code), call->now, &step)) && enrolled;
    if (candidate->account.id == 0) {
        return "no such account";
    }
    if (candidate->account.kind != ACCOUNT_PERSON) {
        return "not a person";
    }
    if (login->password_hash[0] == '\0') {
        return "not enrolled";
    }
    /* The password was compared before this transaction: it must still be the one in force. */
    if (!own->password_right || strcmp(own->hash, login->password_hash) != 0) {
        return "wrong password";
    }
    if (candidate->account.disabled) {
        return "the account is disabled";
    }
    if (own->code[0] == '\0') {
        return may_ask(call, own, login->account_id) ? NULL : "no second factor";
    }
    if (code_right) {
        login->totp_last_step = step;
        return NULL;
    }
    own->by_recovery_code = take_recovery_code(call, own->code, login->account_id);
    return own->by_recovery_code ? NULL : "wrong or used one-time code";
}

static void conclude(struct call *call) {
    struct login_attempt *own = attempt_of(call);
    struct candidate candidate;
    call_actor(call, own->name);
    if (!login_find(call, DOOR_SIGN_IN, call->source, own->name, &candidate) ||
        login_refuse_locked(call, &candidate, own->name)) {
        return;
    }
    const char *reason = judge(call, own, &candidate);
    if (call_refused(call)) {
        return;
    }
    if (reason == NULL && own->next.account_id != 0) {
        call_audit(call, own->name, true, "ok", "the password; now a passkey is asked for");
        own->ask_again(call);
        return;
    }
    call_audit(call, own->name, reason == NULL, reason == NULL ? "ok" : "invalid_credentials",
               reason);
    if (reason != NULL) {
        call_keep_writes(call);
        login_note_failure(call, DOOR_SIGN_IN, call->source, own->name, &candidate);
        call_problem(call, 401, "invalid_credentials", NULL,
                     "the user name, the password or the one-time code is wrong; a code works only "
                     "once");
        return;
    }
    login_note_success(call, DOOR_SIGN_IN, call->source, own->name, &candidate);
    if (own->rehashed[0] != '\0') {
        memcpy(candidate.login.password_hash, own->rehashed, sizeof candidate.login.password_hash);
    }
    (void)snprintf(own->methods, sizeof own->methods, "%s", SESSION_METHODS_PASSWORD);
    if (call_ok(call, store_login_put(call_store(call), &candidate.login), "the login")) {
        own->succeed(call, &candidate.account);
    }
}

static void run_passkey(struct call *call) {
    struct login_attempt *own = attempt_of(call);
    struct account account;
    if (passkey_sign_in(call, &own->passkey, own->asker, &account, own->methods)) {
        own->succeed(call, &account);
    }
}

bool login_take_code(struct call *call, const char *name, const char *code,
                     bool *by_recovery_code) {
    struct candidate candidate;
    struct login *login = &candidate.login;
    if (!login_find(call, DOOR_SIGN_IN, call->source, name, &candidate) ||
        login_refuse_locked(call, &candidate, name)) {
        return false;
    }
    if (login->totp_secret_bytes == 0) {
        call_problem(call, 403, "not_enrolled", NULL,
                     "%s has no authenticator here, whose code is asked for besides; sign in with "
                     "a passkey in the browser (postern login), or ask your site's administrators "
                     "for an invitation",
                     name);
        return false;
    }
    span_t secret = span_of(login->totp_secret, login->totp_secret_bytes);
    bool right = !failed(totp_verify(secret, span_str(code), call->now, &login->totp_last_step));
    bool recovered = !right && take_recovery_code(call, code, login->account_id);
    if (call_refused(call)) {
        return false;
    }
    if (!right && !recovered) {
        call_keep_writes(call);
        login_note_failure(call, DOOR_SIGN_IN, call->source, name, &candidate);
        call_problem(call, 401, "invalid_credentials", NULL,
                     "the one-time code is wrong; a code works only once");
        return false;
    }
    login_note_success(call, DOOR_SIGN_IN, call->source, name, &candidate);
    *by_recovery_code = recovered;
    return call_ok(call, store_login_put(call_store(call), login), "the login");
}

void login_attempt_run(struct call *call) {
    struct login_attempt *own = attempt_of(call);
    struct candidate candidate;
    if (own->passkey.credential != NULL) {
        run_passkey(call);
        return;
    }
    call_actor(call, own->name);
    if (failed(login_admit_name(call, DOOR_SIGN_IN, call->source, own->name)) ||
        !login_find(call, DOOR_SIGN_IN, call->source, own->name, &candidate) ||
        login_refuse_locked(call, &candidate, own->name)) {
        return;
    }
    memcpy(own->hash, candidate.login.password_hash, sizeof own->hash);
    call_defer(call, verify_password, conclude);
}

void login_attempt_credit(struct call *call) {
    if (attempt_of(call)->name[0] != '\0') {
        login_credit_source(call, DOOR_SIGN_IN, call->source);
    }
}

static void finish(struct call *call) {
    session_cookie_set(call, &api_login_of(call)->cookie);
    login_attempt_credit(call);
    call_send(call);
}

const struct route login_routes[] = {
    {HTTP_POST, "/api/v1/auth/login", ACCESS_PUBLIC, "session.login", read, login_attempt_run,
     finish},
    {HTTP_POST, "/api/v1/auth/invitation/about", ACCESS_PUBLIC, "invitation.show",
     invitation_about_read, invitation_about_run, invitation_finish},
    {HTTP_POST, "/api/v1/auth/invitation", ACCESS_PUBLIC, "invitation.accept", invitation_read,
     invitation_run, NULL},
    {HTTP_POST, "/api/v1/auth/invitation/confirm", ACCESS_PUBLIC, "invitation.confirm",
     invitation_confirm_read, invitation_confirm_run, invitation_finish},
    {HTTP_POST, "/api/v1/auth/token", ACCESS_PUBLIC, "session.exchange", session_token_read,
     session_token_run, session_token_finish},
    {HTTP_POST, "/api/v1/auth/logout", ACCESS_ACCOUNT, "session.logout", NULL, session_logout_run,
     session_logout_finish},
    {HTTP_GET, "/api/v1/auth/whoami", ACCESS_ACCOUNT, "session.whoami", NULL, session_whoami_run,
     NULL},
    {0},
};
