/*
 * Invariants:
 *   1. An answer counts only for a challenge that its browser (or session) asked for within five
 *      minutes, once: that it was answered is written in the transaction of what came of it.
 *   2. A passkey lets in only the account that it is registered for.
 *   3. A counter that does not move on locks the passkey, in a transaction that stands although the
 *      sign-in is refused.
 */
#include "authority/routes/passkey.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>

#include "authority/authority.h"
#include "base/random.h"
#include "base/text.h"
#include "identity/webauthn.h"

enum { BASE64_ANSWER_CHARS = BASE64URL_CHARS(LIMIT_WEBAUTHN_ANSWER_BYTES) };

/* ---- challenges ---------------------------------------------------------------------------- */

bool passkey_site(const struct authority *authority) {
    char rp_id[WEBAUTHN_RP_ID_CHARS];
    return !failed(webauthn_rp_id(authority->config->public_url, rp_id));
}

void passkey_challenge_make(struct call *call, const char *asker, entity_id account_id,
                            struct webauthn_challenge *out) {
    uint8_t random[WEBAUTHN_CHALLENGE_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    webauthn_challenge_make(call->authority->challenge_secret, random, span_str(asker), account_id,
                            call->now, out);
}

/* The challenge that an answer says it is to: ERR_REFUSED when that was not made for this asker,
 * ERR_EXPIRED when it was too long ago. */
static err_t find_challenge(struct call *call, const char *asker, const char *client_data,
                            struct webauthn_challenge *out, struct fault *fault) {
    struct buf client CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CLIENT_DATA_BYTES);
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CHALLENGE_BYTES);
    if (failed(base64_decode(span_str(client_data), BASE64_URL, &client))) {
        return fault_set(fault, ERR_MALFORMED, "clientDataJSON", "the answer is not base64url");
    }
    TRY(webauthn_client_challenge(buf_span(&client), &bytes, fault));
    err_t err = webauthn_challenge_read(call->authority->challenge_secret, span_str(asker),
                                        buf_span(&bytes), call->now, out);
    return !failed(err) ? OK
                        : fault_set(fault, err.code, "challenge",
                                    err.code == ERR_EXPIRED
                                        ? "more than five minutes went by; begin again"
                                        : "the answer is to another challenge; begin again");
}

/* True for the first answer to it. *known: there was one before. */
static bool note_answer(struct call *call, const struct webauthn_challenge *challenge,
                        bool *known) {
    struct answered_challenge answered = {.expires_at =
                                              challenge->made_at + 2 * WEBAUTHN_CHALLENGE_S};
    struct store *store = call_store(call);
    _Static_assert(2 * sizeof challenge->bytes < sizeof answered.challenge, "it fits");
    (void)sodium_bin2hex(answered.challenge, sizeof answered.challenge, challenge->bytes,
                         sizeof challenge->bytes);
    if (!call_ok(call, store_answered_challenge_sweep(store, call->now), "the challenges")) {
        return false;
    }
    err_t err = store_answered_challenge_add(store, &answered);
    *known = err.code == ERR_EXISTS;
    return !*known && call_ok(call, err, "the challenge");
}

/* This site, as answers must name it. */
struct site {
    char rp_id[WEBAUTHN_RP_ID_CHARS];
    char origin[WEBAUTHN_ORIGIN_CHARS];
};

static bool find_site(struct call *call, struct site *out) {
    const char *url = call->authority->config->public_url;
    if (failed(webauthn_rp_id(url, out->rp_id)) || failed(webauthn_origin(url, out->origin))) {
        call_problem(call, 409, "passkeys_unavailable", NULL,
                     "browsers take passkeys only of sites with a name and https; public_url in "
                     "posternd.yaml is %s",
                     url);
        return false;
    }
    return true;
}

static struct webauthn_expected expect(const struct call *call, const struct site *site,
                                       const struct webauthn_challenge *challenge, bool verified) {
    return (struct webauthn_expected){site->origin, site->rp_id,
                                      span_of(challenge->bytes, sizeof challenge->bytes), verified,
                                      call->now};
}

static json_t *json_base64url(span_t bytes) {
    struct buf text CLEANUP(buf_done) = BUF(BASE64_ANSWER_CHARS);
    return failed(base64_encode(bytes, BASE64_URL, &text))
               ? NULL
               : json_stringn((const char *)text.data, text.len);
}

static json_t *json_challenge(const struct webauthn_challenge *challenge) {
    return json_base64url(span_of(challenge->bytes, sizeof challenge->bytes));
}

/* ---- lists --------------------------------------------------------------------------------- */

static err_t add_credential(void *context, const struct passkey *passkey) {
    if (passkey->locked_at != 0) {
        return OK;
    }
    json_t *item = json_pack("{s:s,s:s}", "type", "public-key", "id", passkey->credential);
    return json_array_append_new(context, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

/* Those that are not locked; NULL with a problem. */
static json_t *list_credentials(struct call *call, entity_id account_id) {
    json_t *list = json_array();
    err_t err = list == NULL
                    ? FAIL(ERR_MEMORY)
                    : store_passkey_list(call_store(call), account_id, add_credential, list);
    if (!call_ok(call, err, "the passkeys")) {
        json_decref(list);
        return NULL;
    }
    return list;
}

bool passkey_count(struct call *call, entity_id account_id, size_t *out) {
    json_t *list = list_credentials(call, account_id);
    if (list == NULL) {
        return false;
    }
    *out = json_array_size(list);
    json_decref(list);
    return true;
}

json_t *passkey_json(const struct passkey *passkey) {
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)passkey->id);
    return json_pack("{s:s,s:s,s:o,s:o,s:b,s:b}", "id", id, "name", passkey->name, "createTime",
                     call_json_time(passkey->created_at), "lastUseTime",
                     passkey->last_used_at != 0 ? call_json_time(passkey->last_used_at)
                                                : json_null(),
                     "synced", passkey->may_be_copied, "locked", passkey->locked_at != 0);
}

/* ---- signing in ---------------------------------------------------------------------------- */

err_t passkey_answer_read(struct call *call, struct passkey_answer *out) {
    const size_t most = BASE64_ANSWER_CHARS;
    struct passkey_answer answer = {.credential = NULL, .user = ""};
    TRY(call_read_string(call, "passkey_id", CALL_OPTIONAL,
                         BASE64URL_CHARS(LIMIT_PASSKEY_ID_BYTES) - 1, &answer.credential));
    enum call_presence presence = answer.credential != NULL ? CALL_REQUIRED : CALL_OPTIONAL;
    TRY(call_read_string(call, "passkey_client_data", presence, most, &answer.client_data));
    TRY(call_read_string(call, "passkey_authenticator_data", presence, most,
                         &answer.authenticator_data));
    TRY(call_read_string(call, "passkey_signature", presence, most, &answer.signature));
    TRY(call_read_string(call, "passkey_user", CALL_OPTIONAL, 128, &answer.user));
    *out = answer;
    return OK;
}

json_t *passkey_request_options(struct call *call, const struct webauthn_challenge *challenge) {
    struct site site;
    bool second = challenge->account_id != 0;
    if (!find_site(call, &site)) {
        return NULL;
    }
    json_t *allowed = second ? list_credentials(call, challenge->account_id) : json_array();
    return json_pack("{s:o,s:s,s:i,s:s,s:o}", "challenge", json_challenge(challenge), "rpId",
                     site.rp_id, "timeout", WEBAUTHN_CHALLENGE_S * 1000, "userVerification",
                     second ? "discouraged" : "required", "allowCredentials", allowed);
}

/* What an authenticator knows the account by (section 5.4.3: "opaque", and nothing personal). */
static void user_handle(entity_id account_id, uint8_t out[SHA256_DIGEST_LENGTH]) {
    char text[64];
    int chars =
        snprintf(text, sizeof text, "posterngate user handle %llu", (unsigned long long)account_id);
    (void)SHA256((const uint8_t *)text, (size_t)chars, out);
}

/* Section 7.2, step 6. Security keys that are a second factor alone do not tell it. */
static bool is_handle(const char *text, entity_id account_id, bool second) {
    uint8_t expected[SHA256_DIGEST_LENGTH];
    struct buf bytes CLEANUP(buf_done) = BUF(64);
    if (text[0] == '\0') {
        return second;
    }
    user_handle(account_id, expected);
    return !failed(base64_decode(span_str(text), BASE64_URL, &bytes)) &&
           span_equal(buf_span(&bytes), span_of(expected, sizeof expected));
}

/* The same answer whatever is wrong; the audit log knows more. */
static bool refuse_sign_in(struct call *call, const char *target, const char *code,
                           const char *reason) {
    call_audit(call, target, false, code, reason);
    call_problem(call, 401, "passkey_refused", NULL,
                 "this passkey does not let you in here; try again, or sign in with your password "
                 "and a code");
    return false;
}

static err_t decode_and_verify(const struct webauthn_expected *expected,
                               const struct passkey *passkey, const struct passkey_answer *answer,
                               struct webauthn_proof *proof, struct fault *fault) {
    struct buf key CLEANUP(buf_done) = BUF(LIMIT_PASSKEY_KEY_BYTES);
    struct buf client CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CLIENT_DATA_BYTES);
    struct buf data CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_ANSWER_BYTES);
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_ANSWER_BYTES);
    TRY(base64_decode(span_str(passkey->public_key), BASE64_URL, &key));
    TRY(base64_decode(span_str(answer->client_data), BASE64_URL, &client));
    TRY(base64_decode(span_str(answer->authenticator_data), BASE64_URL, &data));
    TRY(base64_decode(span_str(answer->signature), BASE64_URL, &signature));
    const struct webauthn_assertion assertion = {buf_span(&client), buf_span(&data),
                                                 buf_span(&signature)};
    return webauthn_verify(expected, buf_span(&key), &assertion, proof, fault);
}

/* Why not, before any signature is looked at; NULL when nothing speaks against it. */
static const char *judge(const struct passkey *passkey, const struct account *account,
                         const struct passkey_answer *answer, entity_id expected_account) {
    bool second = expected_account != 0;
    return second && expected_account != passkey->account_id ? "another account's passkey"
           : account->kind != ACCOUNT_PERSON                 ? "not a person"
           : account->disabled                               ? "the account is disabled"
           : passkey->locked_at != 0                         ? "the passkey is locked"
           : !is_handle(answer->user, account->id, second)   ? "the user handle is another's"
                                                             : NULL;
}

static bool find_passkey(struct call *call, const struct passkey_answer *answer,
                         struct passkey *passkey, struct account *account) {
    struct store *store = call_store(call);
    err_t err = store_passkey_find(store, answer->credential, passkey);
    if (err.code == ERR_NOT_FOUND) {
        return refuse_sign_in(call, "", "passkey_refused", "no such passkey");
    }
    if (!call_ok(call, err, "the passkey") ||
        !call_ok(call, store_account_get(store, passkey->account_id, account), "the account")) {
        return false;
    }
    call_actor(call, account->name);
    return true;
}

static bool note_use(struct call *call, struct passkey *passkey,
                     const struct webauthn_proof *proof) {
    if (!webauthn_counter_moved(passkey->counter, proof->counter)) {
        passkey->locked_at = call->now;
        call_keep_writes(call);
        return call_ok(call, store_passkey_update(call_store(call), passkey), "the passkey") &&
               refuse_sign_in(call, passkey->name, "passkey_locked",
                              "its counter went back, so there may be two of it: locked");
    }
    passkey->counter = proof->counter;
    passkey->last_used_at = call->now;
    return call_ok(call, store_passkey_update(call_store(call), passkey), "the passkey");
}

/* That the answer is by this passkey, to a challenge of this asker, for the first time. */
static bool prove(struct call *call, const struct site *site, const struct passkey *passkey,
                  const struct account *account, const struct passkey_answer *answer,
                  const char *asker, bool *second, struct webauthn_proof *proof) {
    struct webauthn_challenge challenge;
    struct fault fault = {.reason = "not base64url"};
    bool known = false;
    if (failed(find_challenge(call, asker, answer->client_data, &challenge, &fault))) {
        return refuse_sign_in(call, passkey->name, "passkey_refused", fault.reason);
    }
    *second = challenge.account_id != 0;
    const char *reason = judge(passkey, account, answer, challenge.account_id);
    if (reason != NULL) {
        return refuse_sign_in(call, passkey->name, "passkey_refused", reason);
    }
    const struct webauthn_expected expected = expect(call, site, &challenge, !*second);
    if (failed(decode_and_verify(&expected, passkey, answer, proof, &fault))) {
        return refuse_sign_in(call, passkey->name, "passkey_refused", fault.reason);
    }
    bool first = note_answer(call, &challenge, &known);
    return known ? refuse_sign_in(call, passkey->name, "passkey_refused",
                                  "the challenge was answered before")
                 : first;
}

bool passkey_sign_in(struct call *call, const struct passkey_answer *answer, const char *asker,
                     struct account *account, char methods[SESSION_METHODS_CHARS]) {
    struct site site;
    struct passkey passkey;
    struct webauthn_proof proof;
    bool second = false;
    if (!find_site(call, &site) || !find_passkey(call, answer, &passkey, account) ||
        !prove(call, &site, &passkey, account, answer, asker, &second, &proof) ||
        !note_use(call, &passkey, &proof)) {
        return false;
    }
    call_audit(call, account->name, true, "ok", NULL);
    /* RFC 8176: a key that a service may copy is software's. */
    (void)snprintf(methods, SESSION_METHODS_CHARS, "%s%s mfa", second ? "pwd " : "user ",
                   passkey.may_be_copied ? "swk" : "hwk");
    return true;
}

/* ---- registering --------------------------------------------------------------------------- */

json_t *passkey_creation_options(struct call *call, const struct account *account,
                                 const struct webauthn_challenge *challenge) {
    struct site site;
    uint8_t handle[SHA256_DIGEST_LENGTH];
    if (!find_site(call, &site)) {
        return NULL;
    }
    json_t *others = list_credentials(call, account->id);
    if (others == NULL) {
        return NULL;
    }
    user_handle(account->id, handle);
    json_t *options = json_pack(
        "{s:o,s:{s:s,s:s},s:{s:o,s:s,s:s},s:[{s:s,s:i},{s:s,s:i},{s:s,s:i}],s:i,s:o,s:{s:s,s:s},"
        "s:s}",
        "challenge", json_challenge(challenge), "rp", "id", site.rp_id, "name",
        call->authority->config->site_title, "user", "id",
        json_base64url(span_of(handle, sizeof handle)), "name", account->name, "displayName",
        account->display_name[0] != '\0' ? account->display_name : account->name,
        "pubKeyCredParams", "type", "public-key", "alg", WEBAUTHN_ES256, "type", "public-key",
        "alg", WEBAUTHN_EDDSA, "type", "public-key", "alg", WEBAUTHN_RS256, "timeout",
        WEBAUTHN_CHALLENGE_S * 1000, "excludeCredentials", others, "authenticatorSelection",
        "residentKey", "preferred", "userVerification", "preferred", "attestation", "none");
    (void)call_ok(call, options == NULL ? FAIL(ERR_MEMORY) : OK, "the options");
    return options;
}

static err_t decode_and_register(const struct webauthn_expected *expected,
                                 const struct passkey_creation *from, struct passkey *out,
                                 struct fault *fault) {
    struct buf client CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_CLIENT_DATA_BYTES);
    struct buf attestation CLEANUP(buf_done) = BUF(LIMIT_WEBAUTHN_ANSWER_BYTES);
    struct buf id CLEANUP(buf_done) = BUF(sizeof out->credential);
    struct buf key CLEANUP(buf_done) = BUF(sizeof out->public_key);
    struct webauthn_credential made;
    if (failed(base64_decode(span_str(from->client_data), BASE64_URL, &client)) ||
        failed(base64_decode(span_str(from->attestation), BASE64_URL, &attestation))) {
        return fault_set(fault, ERR_MALFORMED, "attestation", "the answer is not base64url");
    }
    const struct webauthn_registration registration = {buf_span(&client), buf_span(&attestation)};
    TRY(webauthn_register(expected, &registration, &made, fault));
    TRY(base64_encode(made.id, BASE64_URL, &id));
    TRY(base64_encode(made.public_key, BASE64_URL, &key));
    memcpy(out->credential, id.data, id.len);
    out->credential[id.len] = '\0';
    memcpy(out->public_key, key.data, key.len);
    out->public_key[key.len] = '\0';
    out->counter = made.counter;
    out->may_be_copied = made.may_be_copied;
    return OK;
}

static bool refuse_registration(struct call *call, unsigned status, const char *code,
                                const char *message) {
    call_problem(call, status, code, NULL, "%s", message);
    return false;
}

static err_t count_each(void *context, const struct passkey *passkey) {
    (void)passkey;
    ++*(size_t *)context;
    return OK;
}

static bool has_room(struct call *call, entity_id account_id) {
    size_t count = 0;
    if (!call_ok(call, store_passkey_list(call_store(call), account_id, count_each, &count),
                 "the passkeys")) {
        return false;
    }
    return count < LIMIT_PASSKEYS_PER_ACCOUNT_COUNT ||
           refuse_registration(call, 409, "too_many_passkeys",
                               "you have as many passkeys as one account may have; remove one "
                               "first: postern account factor remove NAME");
}

bool passkey_register(struct call *call, const struct account *account,
                      const struct passkey_creation *from, const char *asker, struct passkey *out) {
    struct site site;
    struct fault fault = {.reason = "out of memory"};
    struct webauthn_challenge challenge;
    struct passkey passkey = {.account_id = account->id, .created_at = call->now};
    bool known = false;
    (void)snprintf(passkey.name, sizeof passkey.name, "%s", from->name);
    call_audit(call, passkey.name, true, "ok", NULL);
    if (!find_site(call, &site) || !has_room(call, account->id)) {
        return false;
    }
    err_t err = find_challenge(call, asker, from->client_data, &challenge, &fault);
    if (err.code == ERR_REFUSED || err.code == ERR_EXPIRED) {
        return refuse_registration(call, 409, "challenge_expired", fault.reason);
    }
    const struct webauthn_expected expected = expect(call, &site, &challenge, false);
    if (failed(err) || failed(decode_and_register(&expected, from, &passkey, &fault))) {
        return refuse_registration(call, 422, "passkey_refused", fault.reason);
    }
    if (!note_answer(call, &challenge, &known)) {
        return known && refuse_registration(call, 409, "challenge_expired",
                                            "the challenge was answered before; begin again");
    }
    err = store_passkey_add(call_store(call), &passkey);
    if (err.code == ERR_EXISTS) {
        return refuse_registration(call, 409, "passkey_exists",
                                   "this passkey is registered already");
    }
    if (!call_ok(call, err, "the passkey")) {
        return false;
    }
    *out = passkey;
    return true;
}
