/*
 * Registered keys: trusted by themselves, without a certificate, from the moment of their commit
 * until they are removed or expire.
 */
#include "authority/routes/registered_key.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/publish.h"
#include "authority/routes/window.h"
#include "base/text.h"

enum { NAME_TRIES = LIMIT_REGISTERED_KEYS_COUNT + 1 };

json_t *registered_key_json(const struct registered_key *key) {
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)key->id);
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "id", id, "name", key->name, "fingerprint",
                  key->fingerprint, "publicKey", key->key_line, "ipSubnets",
                  call_json_subnets(&key->subnets), "createTime", call_json_time(key->created_at));
    if (json != NULL && key->expires_at != 0 &&
        json_object_set_new(json, "expireTime", call_json_time(key->expires_at)) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- an account's keys ------------------------------------------------------------------- */

/* Without the lines: what they say is not asked here. */
struct held_key {
    entity_id id;
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    int64_t expires_at;
};

struct held_keys {
    struct held_key keys[LIMIT_REGISTERED_KEYS_COUNT];
    size_t count;
};

static err_t hold(void *context, const struct registered_key *key) {
    struct held_keys *held = context;
    if (key->use != KEY_USE_PERSON || held->count == LIMIT_REGISTERED_KEYS_COUNT) {
        return OK;
    }
    struct held_key *to = &held->keys[held->count++];
    *to = (struct held_key){.id = key->id, .expires_at = key->expires_at};
    memcpy(to->name, key->name, sizeof to->name);
    return OK;
}

static bool is_over(const struct call *call, int64_t expires_at) {
    return expires_at != 0 && expires_at <= call->now;
}

static bool drop(struct call *call, const struct registered_key *key) {
    if (!call_ok(call, store_registered_key_remove(call_store(call), key->id), "the key")) {
        return false;
    }
    publish_registered_key_gone(call, key);
    return !call_refused(call);
}

bool registered_key_drop_all(struct call *call, entity_id account_id, size_t *count) {
    struct held_keys held = {.count = 0};
    err_t err = store_registered_key_list(call_store(call), account_id, hold, &held);
    if (!call_ok(call, err, "the keys")) {
        return false;
    }
    for (size_t i = 0; i < held.count; i++) {
        struct registered_key key;
        err = store_registered_key_get(call_store(call), held.keys[i].id, &key);
        if (!call_ok(call, err, "the key") || !drop(call, &key)) {
            return false;
        }
    }
    *count = held.count;
    return true;
}

/* Those that hold; the others, which open nothing any more, make room. */
static bool get_held(struct call *call, const struct account *account, struct held_keys *held) {
    err_t err = store_registered_key_list(call_store(call), account->id, hold, held);
    if (!call_ok(call, err, "the keys")) {
        return false;
    }
    size_t kept = 0;
    for (size_t i = 0; i < held->count; i++) {
        if (!is_over(call, held->keys[i].expires_at)) {
            held->keys[kept++] = held->keys[i];
            continue;
        }
        struct registered_key key;
        err = store_registered_key_get(call_store(call), held->keys[i].id, &key);
        if (!call_ok(call, err, "the key") || !drop(call, &key)) {
            return false;
        }
    }
    held->count = kept;
    return true;
}

static bool is_named(const struct held_keys *held, const char *name) {
    bool named = false;
    for (size_t i = 0; i < held->count; i++) {
        named |= strcmp(held->keys[i].name, name) == 0;
    }
    return named;
}

/* ---- adding ------------------------------------------------------------------------------ */

/* The comment, or the fingerprint; with a number where there is one of that name. */
static void make_name(const struct held_keys *held, span_t comment, struct registered_key *key) {
    const size_t room = 8; /* for the number */
    int chars =
        (int)(comment.len > LIMIT_DISPLAY_NAME_CHARS - room ? LIMIT_DISPLAY_NAME_CHARS - room
                                                            : comment.len);
    /* A cut may go through a character. */
    bool usable = chars > 0 && text_is_utf8(span_of(comment.data, (size_t)chars));
    const char *base = usable ? (const char *)comment.data : key->fingerprint;
    chars = usable ? chars : (int)strlen(key->fingerprint);
    (void)snprintf(key->name, sizeof key->name, "%.*s", chars, base);
    for (int i = 2; i <= NAME_TRIES && is_named(held, key->name); i++) {
        (void)snprintf(key->name, sizeof key->name, "%.*s (%d)", chars, base, i);
    }
}

static bool choose_name(struct call *call, const struct held_keys *held,
                        const struct key_registration *asked, struct registered_key *key) {
    if (asked->name[0] == '\0') {
        make_name(held, asked->comment, key);
        return true;
    }
    if (is_named(held, asked->name)) {
        call_problem(call, 409, "exists", "name",
                     "a key named %s is registered; choose another name, or remove that one first",
                     asked->name);
        return false;
    }
    memcpy(key->name, asked->name, sizeof key->name);
    return true;
}

/* One that has expired, whosever it was, is in nobody's way. */
static bool is_free(struct call *call, const struct account *account,
                    const struct registered_key *key) {
    struct registered_key other;
    err_t err = store_registered_key_find(call_store(call), key->fingerprint, &other);
    if (err.code == ERR_NOT_FOUND) {
        return true;
    }
    if (!call_ok(call, err, "the key")) {
        return false;
    }
    if (is_over(call, other.expires_at)) {
        return drop(call, &other);
    }
    if (other.account_id == account->id && other.use == KEY_USE_PERSON) {
        call_problem(call, 409, "exists", "publicKey",
                     "this key is registered for %s already, as %s", account->name, other.name);
    } else {
        call_problem(call, 409, "exists", "publicKey",
                     "this key is registered already and cannot be again; make another: "
                     "ssh-keygen -t ed25519");
    }
    return false;
}

static bool fill(struct call *call, const struct account *account,
                 const struct key_registration *asked, struct registered_key *key) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES - 1);
    *key = (struct registered_key){.account_id = account->id,
                                   .use = KEY_USE_PERSON,
                                   .subnets = asked->subnets,
                                   .created_at = call->now};
    const struct register_request request = {asked->key, asked->expires_at, asked->duration_s};
    struct decision decision =
        policy_register(&call->authority->policy, &request, call->now, &key->expires_at);
    call_decision(call, &decision);
    if (!decision.allowed || !call_ok(call, key_print_line(asked->key, NULL, &line), "the key")) {
        return false;
    }
    memcpy(key->key_line, line.data, line.len);
    key_fingerprint(asked->key, key->fingerprint);
    return true;
}

bool registered_key_add(struct call *call, const struct account *account,
                        const struct key_registration *asked, struct registered_key *out) {
    struct held_keys held = {.count = 0};
    struct registered_key key;
    if (!fill(call, account, asked, &key) || !get_held(call, account, &held) ||
        !is_free(call, account, &key) || !choose_name(call, &held, asked, &key)) {
        return false;
    }
    if (held.count == LIMIT_REGISTERED_KEYS_COUNT) {
        call_problem(call, 409, "too_many", NULL,
                     "%s has %d registered keys; remove those that are not used: postern key list",
                     account->name, LIMIT_REGISTERED_KEYS_COUNT);
        return false;
    }
    if (!call_ok(call, store_registered_key_add(call_store(call), &key), "the key")) {
        return false;
    }
    publish_registered_key(call, &key);
    window_close(call, account); /* who has a key needs no password */
    *out = key;
    return !call_refused(call);
}

/* ---- routes ------------------------------------------------------------------------------ */

struct add_request {
    struct key *key;
    struct key_registration asked;
};

static void release(void *own) { key_free(((struct add_request *)own)->key); }

static err_t add_read(struct call *call) {
    struct add_request *own = call_own(call, sizeof *own, release);
    struct key_registration *asked = &own->asked;
    const char *name = NULL;
    bool given;
    TRY(call_read_public_key(call, "publicKey", &own->key, &asked->comment));
    TRY(call_read_string(call, "name", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS, &name));
    TRY(call_read_time(call, "expireTime", CALL_OPTIONAL, &asked->expires_at));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &asked->duration_s));
    TRY(call_read_sources(call, &asked->subnets, &given));
    if (asked->expires_at != 0 && asked->duration_s != 0) {
        call_problem(call, 422, "expiry_refused", "expireTime",
                     "give expireTime or duration, not both");
        return FAIL(ERR_MALFORMED);
    }
    asked->key = own->key;
    return name == NULL ? OK : call_copy_text(call, "name", name, asked->name, sizeof asked->name);
}

/* What an API key obtains is bound to its networks and ends with it; a registered key would be good
 * from everywhere, and stay. */
static bool is_person(struct call *call) {
    const struct account *account = &call->caller.account;
    if (account->kind != ACCOUNT_PERSON) {
        call_problem(call, 403, "not_a_person", NULL,
                     "%s is a service account, which registers no keys; get a certificate: "
                     "postern sign",
                     account->name);
    }
    return !call_refused(call);
}

static void add_run(struct call *call) {
    const struct add_request *own = call_own(call, sizeof *own, release);
    struct registered_key key;
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(own->key, fingerprint);
    call_audit(call, fingerprint, true, "ok", own->asked.name);
    if (is_person(call) && registered_key_add(call, &call->caller.account, &own->asked, &key)) {
        call_audit(call, fingerprint, true, "ok", key.name);
        call_answer(call, 201, json_pack("{s:o}", "key", registered_key_json(&key)));
    }
}

struct listing {
    const char *account;
    json_t *keys;
};

static err_t list_read(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    return call_query_string(call, "account", LIMIT_ACCOUNT_NAME_CHARS, &own->account);
}

static err_t add_row(void *context, const struct registered_key *key) {
    const struct listing *listing = context;
    return key->use != KEY_USE_PERSON ||
                   json_array_append_new(listing->keys, registered_key_json(key)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static void list_run(struct call *call) {
    struct listing *own = call_own(call, sizeof *own, NULL);
    struct account account;
    if (!account_listed(call, own->account, "keys", &account)) {
        return;
    }
    own->keys = json_array();
    if (call_ok(call, store_registered_key_list(call_store(call), account.id, add_row, own),
                "the keys")) {
        call_answer(call, 200, json_pack("{s:o}", "keys", own->keys));
    } else {
        json_decref(own->keys);
    }
}

static void remove_run(struct call *call) {
    const struct account *caller = &call->caller.account;
    struct registered_key key;
    uint64_t id = 0;
    const char *text = call_path(call, "id");
    call_audit(call, text, true, "ok", NULL);
    err_t err = u64_parse(span_str(text), &id);
    err = failed(err) || id > INT64_MAX ? FAIL(ERR_NOT_FOUND)
                                        : store_registered_key_get(call_store(call), id, &key);
    /* Which ids others' keys have is nobody's business; internal ones are not removed by hand. */
    if (!failed(err) &&
        (key.use != KEY_USE_PERSON || (key.account_id != caller->id && !caller->administrator))) {
        err = FAIL(ERR_NOT_FOUND);
    }
    if (err.code == ERR_NOT_FOUND) {
        call_problem(call, 404, "not_found", NULL, "you have no key %.24s; see: postern key list",
                     text);
        return;
    }
    if (!call_ok(call, err, "the key")) {
        return;
    }
    call_audit(call, key.fingerprint, true, "ok", key.name);
    if (drop(call, &key)) {
        call_answer(call, 200, json_pack("{s:o}", "key", registered_key_json(&key)));
    }
}

const struct route registered_key_routes[] = {
    {HTTP_GET, "/api/v1/keys", ACCESS_ACCOUNT, "key.list", list_read, list_run, NULL},
    {HTTP_POST, "/api/v1/keys", ACCESS_ACCOUNT, "key.register", add_read, add_run, NULL},
    {HTTP_DELETE, "/api/v1/keys/{id}", ACCESS_ACCOUNT, "key.remove", NULL, remove_run, NULL},
    {.path = NULL},
};
