/*
 * A person's own factors: what there is, the one-time code's secret, recovery codes, the password,
 * passkeys; and how an administrator takes them all away.
 *
 * What changes them asks for a sign-in of a moment ago: a session that was left open, or a token
 * that was stolen, must not turn into a way in that lasts.
 */
#include "authority/routes/factor.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/grant.h"
#include "authority/routes/holdings.h"
#include "authority/routes/invitation.h"
#include "authority/routes/login.h"
#include "authority/routes/passkey.h"
#include "authority/routes/publish.h"
#include "authority/routes/session.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"
#include "identity/password.h"
#include "identity/recovery.h"
#include "identity/totp.h"

static bool refuse(struct call *call, unsigned status, const char *code, const char *message) {
    call_problem(call, status, code, NULL, "%s", message);
    return false;
}

bool factor_may_change(struct call *call, const struct account *account, int64_t signed_in_at,
                       struct login *login) {
    if (account->kind != ACCOUNT_PERSON || signed_in_at == 0) {
        return refuse(call, 403, "not_permitted",
                      "only a person who signed in with a second factor changes how they sign in; "
                      "run: postern login");
    }
    if (call->now - signed_in_at > LIMIT_SIGN_IN_S || signed_in_at > call->now) {
        return refuse(call, 403, "sign_in_needed",
                      "this asks for a sign-in of the last quarter of an hour; sign in again: "
                      "postern login");
    }
    err_t err = store_login_get(call_store(call), account->id, login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return false;
    }
    return (!failed(err) && login->password_hash[0] != '\0') ||
           refuse(call, 409, "no_local_sign_in",
                  "you have no password here; your factors are kept by the provider that you sign "
                  "in with");
}

static bool may_change(struct call *call, struct login *login) {
    call_audit(call, call->caller.account.name, true, "ok", NULL);
    return factor_may_change(call, &call->caller.account, call->caller.signed_in_at, login);
}

/* ---- what there is ------------------------------------------------------------------------- */

static err_t add_passkey(void *context, const struct passkey *passkey) {
    return json_array_append_new(context, passkey_json(passkey)) == 0 ? OK : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct store *store = call_store(call);
    entity_id account_id = call->caller.account.id;
    struct login login = {0};
    size_t codes = 0;
    err_t err = store_login_get(store, account_id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return;
    }
    json_t *passkeys = json_array();
    if (!call_ok(call, store_recovery_code_count(store, account_id, &codes),
                 "the recovery codes") ||
        !call_ok(call, store_passkey_list(store, account_id, add_passkey, passkeys),
                 "the passkeys")) {
        json_decref(passkeys);
        return;
    }
    call_answer(call, 200,
                json_pack("{s:b,s:b,s:I,s:o}", "password", login.password_hash[0] != '\0', "totp",
                          login.totp_secret_bytes != 0, "recoveryCodesLeft", (json_int_t)codes,
                          "passkeys", passkeys));
    secret_wipe(&login, sizeof login);
}

/* ---- recovery codes ------------------------------------------------------------------------ */

/* Appends one to the array, and keeps its hash. */
static err_t make_code(struct store *store, entity_id account_id, json_t *array) {
    struct recovery_code kept = {.account_id = account_id};
    uint8_t random[RECOVERY_RANDOM_BYTES];
    char code[RECOVERY_CHARS];
    random_bytes(random, sizeof random);
    recovery_make(random, code);
    err_t err = recovery_hash(span_str(code), account_id, kept.hash);
    err = failed(err) ? err : store_recovery_code_put(store, &kept);
    if (!failed(err) && json_array_append_new(array, json_string(code)) != 0) {
        err = FAIL(ERR_MEMORY);
    }
    secret_wipe(random, sizeof random);
    secret_wipe(code, sizeof code);
    return err;
}

static void recovery_run(struct call *call) {
    struct store *store = call_store(call);
    struct login login;
    entity_id account_id = call->caller.account.id;
    if (!may_change(call, &login)) {
        return;
    }
    json_t *codes = json_array();
    err_t err = store_recovery_code_remove_all(store, account_id);
    for (size_t i = 0; i < LIMIT_RECOVERY_CODES_COUNT && !failed(err); i++) {
        err = make_code(store, account_id, codes);
    }
    if (call_ok(call, err, "the recovery codes")) {
        call_answer(call, 200, json_pack("{s:O}", "recoveryCodes", codes));
    }
    json_decref(codes);
}

/* ---- the one-time code's secret ------------------------------------------------------------ */

/* The new one is in force only when a code of it was shown. */
static void totp_run(struct call *call) {
    struct login login;
    uint8_t secret[TOTP_SECRET_BYTES];
    struct buf hex CLEANUP(buf_done) = BUF(sizeof login.pending_totp_hex - 1);
    if (!may_change(call, &login)) {
        return;
    }
    random_bytes(secret, sizeof secret);
    err_t err = hex_encode(span_of(secret, sizeof secret), &hex);
    if (!failed(err)) {
        memcpy(login.pending_totp_hex, hex.data, hex.len);
        login.pending_totp_hex[hex.len] = '\0';
        login.pending_password_hash[0] = '\0'; /* not what an invitation prepared */
        err = store_login_put(call_store(call), &login);
    }
    if (call_ok(call, err, "the login")) {
        invitation_answer_secret(call, &call->caller.account, span_of(secret, sizeof secret));
    }
    secret_wipe(secret, sizeof secret);
    secret_wipe(&login, sizeof login);
}

struct confirmation {
    char code[LOGIN_CODE_CHARS_MAX + 1];
};

static err_t totp_confirm_read(struct call *call) {
    struct confirmation *own = call_own(call, sizeof *own, NULL);
    const char *code = NULL;
    TRY(call_read_string(call, "totp", CALL_REQUIRED, LOGIN_CODE_CHARS_MAX, &code));
    (void)snprintf(own->code, sizeof own->code, "%s", code);
    return OK;
}

static bool take_secret(struct login *login, const char *code, int64_t now) {
    struct buf secret CLEANUP(buf_done) = BUF(sizeof login->totp_secret);
    int64_t step = -1;
    if (login->pending_password_hash[0] != '\0' || login->pending_totp_hex[0] == '\0' ||
        failed(hex_decode(span_str(login->pending_totp_hex), &secret)) ||
        failed(totp_verify(buf_span(&secret), span_str(code), now, &step))) {
        return false;
    }
    memcpy(login->totp_secret, secret.data, secret.len);
    login->totp_secret_bytes = (uint8_t)secret.len;
    login->totp_last_step = step;
    secret_wipe(login->pending_totp_hex, sizeof login->pending_totp_hex);
    return true;
}

static void totp_confirm_run(struct call *call) {
    const struct confirmation *own = call_own(call, sizeof *own, NULL);
    struct login login;
    if (!may_change(call, &login)) {
        return;
    }
    if (!take_secret(&login, own->code, call->now)) {
        call_problem(call, 401, "invalid_credentials", "totp",
                     "the one-time code is wrong; check the clock of the device that makes it, and "
                     "that it holds the secret of the last attempt");
    } else if (call_ok(call, store_login_put(call_store(call), &login), "the login")) {
        call_answer(call, 200, json_pack("{s:b}", "totp", true));
    }
    secret_wipe(&login, sizeof login);
}

/* ---- the password -------------------------------------------------------------------------- */

struct password_change {
    secret_t current, wanted;
    char hash[128]; /* that the current one is compared with */
    char new_hash[128];
    bool right, hashed;
};

static void password_release(void *own) {
    struct password_change *change = own;
    secret_done(&change->current);
    secret_done(&change->wanted);
}

static struct password_change *change_of(struct call *call) {
    return call_own(call, sizeof(struct password_change), password_release);
}

static err_t password_read(struct call *call) {
    struct password_change *own = change_of(call);
    const size_t most = 4 * LIMIT_PASSWORD_CHARS_MAX; /* password_judge() explains the limit */
    const char *current = NULL, *wanted = NULL;
    TRY(call_read_string(call, "currentPassword", CALL_REQUIRED, most, &current));
    TRY(call_read_string(call, "newPassword", CALL_REQUIRED, most, &wanted));
    err_t err = secret_copy(span_str(current), most, &own->current);
    err = failed(err) ? err : secret_copy(span_str(wanted), most, &own->wanted);
    return call_ok(call, err, "the password") ? OK : err;
}

static void password_work(struct call *call) {
    struct password_change *own = change_of(call);
    const struct password_cost *cost = &call->authority->config->password_cost;
    own->right = !failed(password_verify(own->hash, &own->current, cost));
    own->hashed = own->right && !failed(password_hash(&own->wanted, cost, own->new_hash));
}

/* A guess like any other: whoever holds a session must not be able to try passwords faster. */
static void refuse_password(struct call *call, struct candidate *candidate) {
    const char *name = call->caller.account.name;
    call_audit(call, name, false, "invalid_credentials", "wrong password");
    call_keep_writes(call);
    login_note_failure(call, DOOR_SIGN_IN, call->source, name, candidate);
    call_problem(call, 401, "invalid_credentials", "currentPassword",
                 "the current password is wrong");
}

/* What else lets in is kept, for it may be at work far away; but whoever fears a thief looks at it.
 */
static void answer_changed(struct call *call, entity_id account_id) {
    struct holdings left;
    if (holdings_count(call, account_id, &left)) {
        call_answer(call, 200,
                    json_pack("{s:b, s:o}", "changed", true, "left", holdings_json(&left)));
    }
}

static void password_conclude(struct call *call) {
    const struct password_change *own = change_of(call);
    const struct account *account = &call->caller.account;
    struct candidate candidate;
    struct store *store = call_store(call);
    if (!login_find(call, DOOR_SIGN_IN, call->source, account->name, &candidate) ||
        login_refuse_locked(call, &candidate, account->name)) {
        return;
    }
    call_audit(call, account->name, true, "ok", NULL);
    if (!own->right || strcmp(own->hash, candidate.login.password_hash) != 0) {
        refuse_password(call, &candidate);
        return;
    }
    memcpy(candidate.login.password_hash, own->new_hash, sizeof candidate.login.password_hash);
    /* Who was signed in with the old one is not any more, here included. */
    if (call_ok(call, own->hashed ? OK : FAIL(ERR_MEMORY), "the password") &&
        call_ok(call, store_login_put(store, &candidate.login), "the login") &&
        session_end_all(call, account->id)) {
        answer_changed(call, account->id);
    }
}

static void password_run(struct call *call) {
    struct password_change *own = change_of(call);
    struct login login;
    struct fault fault = {.reason = ""};
    if (!may_change(call, &login)) {
        return;
    }
    struct candidate candidate;
    if (!login_find(call, DOOR_SIGN_IN, call->source, call->caller.account.name, &candidate) ||
        login_refuse_locked(call, &candidate, call->caller.account.name)) {
        return;
    }
    if (failed(password_judge(&own->wanted, call->caller.account.name, &fault))) {
        call_audit(call, call->caller.account.name, false, "password_refused", fault.reason);
        (void)snprintf(fault.field, sizeof fault.field, "newPassword");
        call_fault(call, "password_refused", &fault);
        return;
    }
    memcpy(own->hash, login.password_hash, sizeof own->hash);
    call_defer(call, password_work, password_conclude);
}

/* ---- passkeys ------------------------------------------------------------------------------ */

static void registration_run(struct call *call) {
    struct login login;
    struct webauthn_challenge challenge;
    call_unrecorded(call); /* nothing came of it yet */
    if (!factor_may_change(call, &call->caller.account, call->caller.signed_in_at, &login)) {
        return;
    }
    passkey_challenge_make(call, call->caller.session_hash, 0, &challenge);
    json_t *options = passkey_creation_options(call, &call->caller.account, &challenge);
    if (options != NULL) {
        call_answer(call, 200, options);
    }
}

static err_t register_read(struct call *call) {
    struct passkey_creation *own = call_own(call, sizeof *own, NULL);
    const size_t most = BASE64URL_CHARS(LIMIT_WEBAUTHN_ANSWER_BYTES);
    TRY(call_read_string(call, "name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS, &own->name));
    TRY(call_read_string(call, "clientData", CALL_REQUIRED, most, &own->client_data));
    return call_read_string(call, "attestation", CALL_REQUIRED, most, &own->attestation);
}

static void register_run(struct call *call) {
    const struct passkey_creation *own = call_own(call, sizeof *own, NULL);
    struct login login;
    struct passkey passkey;
    if (may_change(call, &login) &&
        passkey_register(call, &call->caller.account, own, call->caller.session_hash, &passkey)) {
        call_answer(call, 201, passkey_json(&passkey));
    }
}

/* The one of the path, when it is the caller's. */
static bool find_own(struct call *call, struct passkey *out) {
    uint64_t id = 0;
    err_t err = u64_parse(span_str(call_path(call, "id")), &id);
    err = failed(err) ? FAIL(ERR_NOT_FOUND) : store_passkey_get(call_store(call), id, out);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the passkey")) {
        return false;
    }
    return (!failed(err) && out->account_id == call->caller.account.id) ||
           refuse(call, 404, "not_found",
                  "you have no such passkey; see: postern account factor list");
}

static void remove_run(struct call *call) {
    struct login login;
    struct passkey passkey;
    if (!may_change(call, &login) || !find_own(call, &passkey)) {
        return;
    }
    call_audit(call, passkey.name, true, "ok", NULL);
    if (call_ok(call, store_passkey_remove(call_store(call), passkey.id), "the passkey")) {
        call_answer(call, 200, json_pack("{s:s}", "removed", passkey.name));
    }
}

struct renaming {
    const char *name;
};

static err_t rename_read(struct call *call) {
    struct renaming *own = call_own(call, sizeof *own, NULL);
    TRY(call_read_string(call, "name", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS, &own->name));
    if (own->name[0] == '\0') {
        call_problem(call, 422, "name_refused", "name", "give the passkey a name to tell it by");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

/* It changes nothing about who gets in, so an older sign-in will do. */
static void rename_run(struct call *call) {
    const struct renaming *own = call_own(call, sizeof *own, NULL);
    struct passkey passkey;
    char detail[2 * LIMIT_DISPLAY_NAME_CHARS];
    call_audit(call, call->caller.account.name, true, "ok", NULL);
    if (!find_own(call, &passkey)) {
        return;
    }
    (void)snprintf(detail, sizeof detail, "was %s", passkey.name);
    call_audit(call, own->name, true, "ok", detail);
    (void)snprintf(passkey.name, sizeof passkey.name, "%s", own->name);
    if (call_ok(call, store_passkey_update(call_store(call), &passkey), "the passkey")) {
        call_answer(call, 200, passkey_json(&passkey));
    }
}

/* ---- an administrator's reset -------------------------------------------------------------- */

bool factor_drop_others(struct call *call, entity_id account_id) {
    struct store *store = call_store(call);
    return call_ok(call, store_passkey_remove_all(store, account_id), "the passkeys") &&
           call_ok(call, store_recovery_code_remove_all(store, account_id), "the recovery codes");
}

static bool wipe_factors(struct call *call, const struct account *account) {
    struct store *store = call_store(call);
    struct login was = {0};
    const struct login none = {.account_id = account->id};
    err_t err = store_login_get(store, account->id, &was);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return false;
    }
    if (was.window_until != 0) {
        publish_account(call, account);
    }
    return call_ok(call, store_login_put(store, &none), "the login") &&
           factor_drop_others(call, account->id) && session_end_all(call, account->id);
}

/* Who lost everything may have lost it to somebody, who may have left a grant for a machine of
 * their own: those end. What is left is told, in the audit log too. */
static bool end_grants(struct call *call, const struct account *account, json_t *answer) {
    char detail[200];
    struct holdings left;
    size_t grants = 0, certificates = 0;
    if (!grant_end_all(call, account->id, &grants, &certificates) ||
        !holdings_count(call, account->id, &left)) {
        return false;
    }
    (void)snprintf(detail, sizeof detail,
                   "%zu grants ended, with %zu certificates; %zu certificates and %zu registered "
                   "keys are left",
                   grants, certificates, left.certificates, left.registered_keys);
    call_audit(call, account->name, true, "ok", detail);
    json_t *ended = json_pack("{s:I, s:I}", "grants", (json_int_t)grants, "certificates",
                              (json_int_t)certificates);
    return call_ok(call,
                   json_object_set_new(answer, "ended", ended) == 0 &&
                           json_object_set_new(answer, "left", holdings_json(&left)) == 0
                       ? OK
                       : FAIL(ERR_MEMORY),
                   NULL);
}

static void reset_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct account account;
    call_audit(call, name, true, "ok", NULL);
    if (!account_find(call, name, &account)) {
        return;
    }
    if (account.kind != ACCOUNT_PERSON || account.id == call->caller.account.id) {
        (void)refuse(call, 409, "not_permitted",
                     "only another person's factors are reset; your own you change yourself: "
                     "postern account factor");
        return;
    }
    if (!wipe_factors(call, &account)) {
        return;
    }
    json_t *body = json_pack("{s:s}", "username", account.name);
    if (end_grants(call, &account, body)) {
        invitation_issue(call, &account, body);
    }
    if (call_refused(call)) {
        json_decref(body);
    } else {
        call_answer(call, 200, body);
    }
}

const struct route factor_routes[] = {
    {HTTP_GET, "/api/v1/auth/factors", ACCESS_ACCOUNT, "factor.list", NULL, list_run, NULL},
    {HTTP_POST, "/api/v1/auth/recovery-codes", ACCESS_ACCOUNT, "factor.recovery-codes", NULL,
     recovery_run, NULL},
    {HTTP_POST, "/api/v1/auth/totp", ACCESS_ACCOUNT, "factor.totp", NULL, totp_run, NULL},
    {HTTP_POST, "/api/v1/auth/totp/confirm", ACCESS_ACCOUNT, "factor.totp-confirm",
     totp_confirm_read, totp_confirm_run, NULL},
    {HTTP_PUT, "/api/v1/auth/password", ACCESS_ACCOUNT, "factor.password", password_read,
     password_run, NULL},
    {HTTP_POST, "/api/v1/auth/webauthn/registration", ACCESS_ACCOUNT, "factor.passkey-options",
     NULL, registration_run, NULL},
    {HTTP_POST, "/api/v1/auth/webauthn/passkeys", ACCESS_ACCOUNT, "factor.passkey-add",
     register_read, register_run, NULL},
    {HTTP_PUT, "/api/v1/auth/webauthn/passkeys/{id}", ACCESS_ACCOUNT, "factor.passkey-rename",
     rename_read, rename_run, NULL},
    {HTTP_DELETE, "/api/v1/auth/webauthn/passkeys/{id}", ACCESS_ACCOUNT, "factor.passkey-remove",
     NULL, remove_run, NULL},
    {HTTP_POST, "/api/v1/accounts/{name}/reset-factors", ACCESS_ADMINISTRATOR, "factor.reset", NULL,
     reset_run, NULL},
    {.path = NULL},
};
