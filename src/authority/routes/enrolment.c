/*
 * A gate asks for somebody who has no key yet whether the password lets him register one, and then
 * brings the keys; so it does, where the site allows it, for somebody who got in otherwise.
 *
 * Invariants:
 *   1. Whatever is wrong with a password, the answer is the same, and one hash was computed for it.
 *   2. A right password gives a token that is good for registering keys, from the gate that asked,
 *      for two minutes, and while the window is open; it opens nothing else.
 *   3. Failures count at a door of their own, and against the account only while its window is
 *      open: who guesses at gates locks nobody out of signing in.
 */
#include "authority/routes/enrolment.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/rate.h"
#include "authority/routes/host_call.h"
#include "authority/routes/login.h"
#include "authority/routes/registered_key.h"
#include "authority/routes/window.h"
#include "base/random.h"
#include "base/secret.h"
#include "identity/password.h"

enum {
    ADMISSIONS_COUNT = 256,
    USERNAME_CHARS_MAX = 255,
    TOKEN_TEXT_CHARS = 2 * TOKEN_CHARS, /* of what may be no token */
    MESSAGE_CHARS = 640,
};

/* ---- admissions -------------------------------------------------------------------------- */

struct admission {
    char hash[HASH_CHARS];
    entity_id account_id, host_id;
    int64_t expires_at;
};

/* Store thread. Only right passwords make any; the oldest makes room. */
struct enrolments {
    struct admission admissions[ADMISSIONS_COUNT];
    size_t next;
};

err_t enrolments_new(struct enrolments **out) {
    *out = calloc(1, sizeof **out);
    return *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

void enrolments_free(struct enrolments *enrolments) { free(enrolments); }

static bool make_admission(struct call *call, const struct account *account,
                           char token[TOKEN_CHARS]) {
    struct enrolments *enrolments = call->authority->enrolments;
    struct admission admission = {.account_id = account->id,
                                  .host_id = call->caller.host_id,
                                  .expires_at = call->now + LIMIT_ENROLMENT_S};
    uint8_t random[TOKEN_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    err_t err = token_make(TOKEN_WINDOW, random, token, admission.hash);
    secret_wipe(random, sizeof random);
    if (!call_ok(call, err, "the token")) {
        return false;
    }
    enrolments->admissions[enrolments->next++ % ADMISSIONS_COUNT] = admission;
    return true;
}

static bool holds_admission(const struct call *call, const char *hash, entity_id account_id) {
    const struct enrolments *enrolments = call->authority->enrolments;
    bool holds = false;
    for (size_t i = 0; i < ADMISSIONS_COUNT; i++) {
        const struct admission *admission = &enrolments->admissions[i];
        holds |= hash[0] != '\0' && strcmp(admission->hash, hash) == 0 &&
                 admission->account_id == account_id &&
                 admission->host_id == call->caller.host_id && call->now < admission->expires_at;
    }
    return holds;
}

/* ---- a password -------------------------------------------------------------------------- */

struct attempt {
    char name[USERNAME_CHARS_MAX + 1];
    struct inet_address source;
    secret_t password;
    char hash[128]; /* that the password is compared with; "" for none */
    bool password_right;
};

static void attempt_release(void *own) { secret_done(&((struct attempt *)own)->password); }

static err_t open_read(struct call *call) {
    struct attempt *own = call_own(call, sizeof *own, attempt_release);
    const char *name = NULL, *password = NULL;
    TRY(call_read_string(call, "username", CALL_REQUIRED, USERNAME_CHARS_MAX, &name));
    TRY(call_read_string(call, "password", CALL_REQUIRED, LIMIT_PASSWORD_CHARS_MAX, &password));
    TRY(call_read_address(call, "source", &own->source));
    (void)snprintf(own->name, sizeof own->name, "%s", name);
    err_t err = secret_copy(span_str(password), LIMIT_PASSWORD_CHARS_MAX, &own->password);
    return call_ok(call, err, "the password") ? OK : err;
}

static void verify(struct call *call) {
    struct attempt *own = call_own(call, sizeof *own, attempt_release);
    own->password_right = !failed(
        password_verify(own->hash, &own->password, &call->authority->config->password_cost));
}

/* Why not, for the audit log; NULL when everything is right. */
static const char *judge(const struct attempt *own, const struct candidate *candidate) {
    if (candidate->account.id == 0) {
        return "no open window";
    }
    /* The password was compared before this transaction: it must still be the one in force. */
    if (!own->password_right || strcmp(own->hash, candidate->login.password_hash) != 0) {
        return "wrong password";
    }
    if (candidate->account.disabled) {
        return "the account is disabled";
    }
    return subnet_list_allows(&candidate->account.subnets, &own->source)
               ? NULL
               : "not from where the account may come in";
}

static bool begin(struct call *call, const char *name, const struct inet_address *source) {
    struct host gate;
    if (!host_call_require(call, HOST_JUMP, &gate)) {
        return false;
    }
    call_actor(call, name);
    call_on_behalf(call, source);
    return true;
}

static void refuse(struct call *call, const struct attempt *own, struct candidate *candidate,
                   const char *reason) {
    /* Rows of those whose window is closed would be as many as strangers want. */
    if (candidate->account.id == 0) {
        call_unrecorded(call);
    }
    call_audit(call, call->caller.host_name, false, "invalid_credentials", reason);
    call_keep_writes(call);
    login_note_failure(call, DOOR_WINDOW, &own->source, own->name, candidate);
    call_problem(call, 401, "invalid_credentials", NULL,
                 "the user name or the password is wrong, or no key may be registered by it");
}

static void conclude(struct call *call) {
    const struct attempt *own = call_own(call, sizeof *own, attempt_release);
    struct candidate candidate;
    char token[TOKEN_CHARS] = "";
    if (!begin(call, own->name, &own->source) ||
        !login_find(call, DOOR_WINDOW, &own->source, own->name, &candidate)) {
        return;
    }
    const char *reason = judge(own, &candidate);
    if (reason != NULL) {
        refuse(call, own, &candidate, reason);
        return;
    }
    call_audit(call, call->caller.host_name, true, "ok", NULL);
    login_credit_source(call, DOOR_WINDOW, &own->source);
    login_note_success(call, DOOR_WINDOW, &own->source, own->name, &candidate);
    if (call_ok(call, store_login_put(call_store(call), &candidate.login), "the login") &&
        make_admission(call, &candidate.account, token)) {
        call_answer(call, 200,
                    json_pack("{s:s,s:o}", "token", token, "expireTime",
                              call_json_time(call->now + LIMIT_ENROLMENT_S)));
    }
    secret_wipe(token, sizeof token);
}

static void open_run(struct call *call) {
    struct attempt *own = call_own(call, sizeof *own, attempt_release);
    struct candidate candidate;
    if (!begin(call, own->name, &own->source)) {
        return;
    }
    /* A stranger's own bound first: who is beyond it must not use up what a whole gate has. */
    if (failed(login_admit_source(call, DOOR_WINDOW, &own->source)) ||
        failed(login_admit_name(call, DOOR_WINDOW, &own->source, own->name)) ||
        !rate_spend(call, RATE_WINDOWS) ||
        !login_find(call, DOOR_WINDOW, &own->source, own->name, &candidate) ||
        login_refuse_locked(call, &candidate, own->name)) {
        call_unrecorded(call); /* who is held back must not be able to fill the disk */
        return;
    }
    memcpy(own->hash, candidate.login.password_hash, sizeof own->hash);
    call_defer(call, verify, conclude);
}

/* ---- keys -------------------------------------------------------------------------------- */

struct delivery {
    char name[USERNAME_CHARS_MAX + 1];
    struct inet_address source;
    bool by_token;
    char hash[HASH_CHARS]; /* of the token; "" when the text is none */
    uint64_t serial;
    const char *fingerprint;
    const json_t *lines;
};

static err_t keys_read(struct call *call) {
    struct delivery *own = call_own(call, sizeof *own, NULL);
    const char *name = NULL, *token = NULL;
    TRY(call_read_string(call, "username", CALL_REQUIRED, USERNAME_CHARS_MAX, &name));
    TRY(call_read_string(call, "token", CALL_OPTIONAL, TOKEN_TEXT_CHARS, &token));
    TRY(call_read_u64(call, "serialNumber", CALL_OPTIONAL, &own->serial));
    TRY(call_read_string(call, "fingerprint", CALL_OPTIONAL, FINGERPRINT_CHARS, &own->fingerprint));
    TRY(call_read_address(call, "source", &own->source));
    TRY(call_read_strings(call, "publicKeys", CALL_REQUIRED, LIMIT_ENROLMENT_KEYS_COUNT,
                          LIMIT_KEY_LINE_CHARS, &own->lines));
    if ((token != NULL) + (own->serial != 0) + (own->fingerprint != NULL) != 1) {
        call_problem(call, 400, "missing_field", "token",
                     "give just one of token, serialNumber and fingerprint: who brings the keys");
        return FAIL(ERR_MALFORMED);
    }
    (void)snprintf(own->name, sizeof own->name, "%s", name);
    own->by_token = token != NULL;
    if (own->by_token) {
        /* A malformed one is refused like an unknown one. */
        ignore_err(token_hash(TOKEN_WINDOW, span_str(token), own->hash));
    }
    return OK;
}

static bool refuse_delivery(struct call *call, const char *code, const char *text) {
    call_problem(call, 403, code, NULL, "%s", text);
    return false;
}

static bool has_window(struct call *call, const struct delivery *own,
                       const struct account *account) {
    struct login login = {0};
    err_t err = store_login_get(call_store(call), account->id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return false;
    }
    bool open = login.window_until > call->now && holds_admission(call, own->hash, account->id);
    return open ||
           refuse_delivery(call, "window_closed",
                           "the enrolment window is closed, or this took too long; ask your "
                           "administrator for another: postern admin account window NAME");
}

static bool has_certificate(struct call *call, uint64_t serial, const struct account *account) {
    struct issued issued;
    err_t err = store_issued_get(call_store(call), serial, &issued);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the certificate")) {
        return false;
    }
    return !failed(err) && issued.account_id == account->id && issued.revoked_at == 0 &&
           call->now < issued.valid_before;
}

static bool has_key(struct call *call, const char *fingerprint, const struct account *account) {
    struct registered_key key;
    err_t err = store_registered_key_find(call_store(call), fingerprint, &key);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the key")) {
        return false;
    }
    /* One that is good from somewhere alone must not beget one that is good from everywhere. */
    return !failed(err) && key.account_id == account->id && key.use == KEY_USE_PERSON &&
           key.subnets.count == 0 && (key.expires_at == 0 || call->now < key.expires_at);
}

static bool may_add_further(struct call *call, const struct delivery *own,
                            const struct account *account) {
    if (!call->authority->policy.further_keys) {
        return refuse_delivery(call, "further_keys_refused",
                               "this site registers further keys by: postern key add");
    }
    bool has = own->fingerprint != NULL ? has_key(call, own->fingerprint, account)
                                        : has_certificate(call, own->serial, account);
    return call_refused(call) || has
               ? has
               : refuse_delivery(call, "not_permitted",
                                 "what let you in is no credential of yours any more, or is "
                                 "restricted, which a key that it registers would not be; use: "
                                 "postern key add");
}

static bool may_deliver(struct call *call, const struct delivery *own, struct account *account) {
    err_t err = store_account_find(call_store(call), own->name, account);
    if (err.code == ERR_NOT_FOUND) {
        return refuse_delivery(call, "not_permitted", "there is no such account");
    }
    if (!call_ok(call, err, "the account")) {
        return false;
    }
    if (account->disabled || account->kind != ACCOUNT_PERSON) {
        return refuse_delivery(call, "account_disabled", "the account is disabled, or no person's");
    }
    if (!subnet_list_allows(&account->subnets, &own->source)) {
        return refuse_delivery(call, "source_refused",
                               "your own restriction does not let you in from there: postern "
                               "access");
    }
    return own->by_token ? has_window(call, own, account) : may_add_further(call, own, account);
}

/* What became of one line. */
struct outcome {
    bool registered;
    struct registered_key key;
    char code[48];
    char message[MESSAGE_CHARS];
};

/* Takes a refusal off the call: it is the key's, and others may fare better. */
static void take_problem(struct call *call, struct outcome *outcome) {
    (void)snprintf(outcome->code, sizeof outcome->code, "%s", call->problem.code);
    (void)snprintf(outcome->message, sizeof outcome->message, "not registered: %s",
                   call->problem.message);
    call->problem = (struct problem){.status = 0};
}

static bool register_line(struct call *call, const struct account *account, const char *line,
                          struct outcome *outcome) {
    struct key *key CLEANUP(key_freep) = NULL;
    struct key_registration asked = {.key = NULL};
    *outcome = (struct outcome){.registered = false};
    err_t err = key_parse_line(span_str(line), &key, &asked.comment);
    asked.key = key;
    if (failed(err)) {
        call_problem(call, 422, err_name(err), "publicKeys", "%s%s", err_text(err),
                     err.code == ERR_KEY_PRIVATE
                         ? "; it has now been sent over the network: delete "
                           "it and make a new one"
                         : "");
    } else {
        outcome->registered = registered_key_add(call, account, &asked, &outcome->key);
    }
    if (call->problem.status >= 500) {
        return false;
    }
    if (!outcome->registered) {
        take_problem(call, outcome);
        return true;
    }
    (void)snprintf(outcome->message, sizeof outcome->message, "registered %s as %s",
                   outcome->key.fingerprint, outcome->key.name);
    return true;
}

static json_t *outcome_json(const struct outcome *outcome) {
    json_t *json =
        json_pack("{s:b,s:s,s:s}", "registered", outcome->registered, "code",
                  outcome->registered ? "ok" : outcome->code, "message", outcome->message);
    if (outcome->registered) {
        call_json_set_text(json, "fingerprint", outcome->key.fingerprint);
        call_json_set_text(json, "name", outcome->key.name);
    }
    return json;
}

static void describe(struct call *call, const struct delivery *own, size_t registered) {
    char detail[160], serial[40];
    (void)snprintf(serial, sizeof serial, "certificate %llu", (unsigned long long)own->serial);
    (void)snprintf(detail, sizeof detail, "%zu of %zu keys, by %s", registered,
                   json_array_size(own->lines),
                   own->by_token              ? "the initial password"
                   : own->fingerprint != NULL ? own->fingerprint
                                              : serial);
    call_audit(call, call->caller.host_name, registered > 0, registered > 0 ? "ok" : "refused",
               detail);
}

static void keys_run(struct call *call) {
    const struct delivery *own = call_own(call, sizeof *own, NULL);
    struct account account;
    struct outcome outcome;
    size_t registered = 0;
    if (!begin(call, own->name, &own->source)) {
        return;
    }
    call_audit(call, call->caller.host_name, true, "ok", NULL);
    if (!may_deliver(call, own, &account)) {
        return;
    }
    json_t *keys = json_array();
    for (size_t i = 0; i < json_array_size(own->lines); i++) {
        const char *line = json_string_value(json_array_get(own->lines, i));
        if (!register_line(call, &account, line, &outcome) ||
            json_array_append_new(keys, outcome_json(&outcome)) != 0) {
            (void)call_ok(call, FAIL(ERR_MEMORY), "the keys"); /* the first problem counts */
            json_decref(keys);
            return;
        }
        registered += outcome.registered ? 1 : 0;
    }
    describe(call, own, registered);
    call_answer(call, 200, json_pack("{s:o}", "keys", keys));
}

const struct route enrolment_routes[] = {
    {HTTP_POST, "/api/v1/host/enrolment", ACCESS_HOST, "enrolment.open", open_read, open_run, NULL},
    {HTTP_POST, "/api/v1/host/enrolment/keys", ACCESS_HOST, "enrolment.keys", keys_read, keys_run,
     NULL},
    {0},
};
