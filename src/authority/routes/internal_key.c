#include "authority/routes/internal_key.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/frontend.h"
#include "authority/routes/publish.h"

struct put_request {
    struct key *key;
};

static void release(void *own) { key_free(((struct put_request *)own)->key); }

static err_t put_read(struct call *call) {
    struct put_request *own = call_own(call, sizeof *own, release);
    const char *line = NULL;
    TRY(call_read_string(call, "publicKey", CALL_REQUIRED, LIMIT_KEY_LINE_CHARS, &line));
    err_t err = key_parse_line(span_str(line), &own->key, NULL);
    if (!failed(err) && key_type(own->key) != KEY_ED25519) {
        err = FAIL(ERR_KEY_TYPE);
    }
    if (failed(err)) {
        call_problem(call, 422, err_name(err), "publicKey", "an internal key is an Ed25519 key: %s",
                     err_text(err));
    }
    return err;
}

/* --- those that are there --- */

struct gathering {
    struct registered_key keys[LIMIT_INTERNAL_KEYS_COUNT]; /* put_run() lets no more be added */
    size_t count;
};

static err_t gather(void *context, const struct registered_key *key) {
    struct gathering *gathering = context;
    if (key->use != KEY_USE_INTERNAL) {
        return OK;
    }
    INVARIANT(gathering->count < COUNT_OF(gathering->keys));
    gathering->keys[gathering->count++] = *key;
    return OK;
}

/* The caller frees *out. */
static bool gather_keys(struct call *call, entity_id account_id, struct gathering **out) {
    *out = calloc(1, sizeof **out);
    err_t err = *out == NULL
                    ? FAIL(ERR_MEMORY)
                    : store_registered_key_list(call_store(call), account_id, gather, *out);
    return call_ok(call, err, "the internal keys");
}

/* The key bears the name of the host that keeps it, as far as a name goes. */
static void name_of(const struct host *host, char out[LIMIT_DISPLAY_NAME_CHARS + 1]) {
    (void)snprintf(out, LIMIT_DISPLAY_NAME_CHARS + 1, "%.*s", LIMIT_DISPLAY_NAME_CHARS, host->name);
}

static bool is_of(const struct registered_key *key, const struct host *host) {
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    name_of(host, name);
    return key->cluster_id == host->cluster_id && strcmp(key->name, name) == 0;
}

/* Those of the host, or all for NULL. */
static bool drop(struct call *call, const struct gathering *keys, const struct host *host,
                 size_t *count) {
    *count = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const struct registered_key *key = &keys->keys[i];
        if (host != NULL && !is_of(key, host)) {
            continue;
        }
        if (!call_ok(call, store_registered_key_remove(call_store(call), key->id),
                     "the internal key")) {
            return false;
        }
        publish_registered_key_gone(call, key);
        ++*count;
    }
    return true;
}

bool internal_key_drop(struct call *call, entity_id account_id, const struct host *host,
                       size_t *count) {
    struct gathering *keys CLEANUP(freep) = NULL;
    return gather_keys(call, account_id, &keys) && drop(call, keys, host, count);
}

/* --- by frontends --- */

static bool is_inside_known(struct call *call) {
    if (call->authority->policy.internal_subnets.count > 0) {
        return true;
    }
    call_problem(call, 409, "no_inside", NULL,
                 "this site has no internal keys: policy.internal_networks of the authority's "
                 "configuration says which networks are its inside");
    return false;
}

static bool same_subnets(const struct subnet_list *a, const struct subnet_list *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = inet_subnet_covers(&a->subnets[i], &b->subnets[i]) &&
               inet_subnet_covers(&b->subnets[i], &a->subnets[i]);
    }
    return same;
}

static bool make(struct call *call, const struct frontend *frontend, const struct key *key,
                 struct registered_key *out) {
    struct buf line CLEANUP(buf_done) = BUF(sizeof out->key_line - 1);
    if (!call_ok(call, key_print_line(key, NULL, &line), "the key")) {
        return false;
    }
    *out = (struct registered_key){.account_id = frontend->account.id,
                                   .use = KEY_USE_INTERNAL,
                                   .cluster_id = frontend->cluster.id,
                                   .subnets = call->authority->policy.internal_subnets,
                                   .created_at = call->now};
    name_of(&frontend->host, out->name);
    memcpy(out->key_line, line.data, line.len);
    key_fingerprint(key, out->fingerprint);
    return true;
}

static bool is_there(const struct gathering *keys, const struct registered_key *wanted,
                     const struct host *host) {
    for (size_t i = 0; i < keys->count; i++) {
        const struct registered_key *key = &keys->keys[i];
        if (is_of(key, host) && strcmp(key->fingerprint, wanted->fingerprint) == 0 &&
            same_subnets(&key->subnets, &wanted->subnets)) {
            return true;
        }
    }
    return false;
}

/* In the place of the one that the host registered before. */
static bool replace(struct call *call, const struct gathering *keys, const struct host *host,
                    struct registered_key *made) {
    size_t dropped = 0;
    if (!drop(call, keys, host, &dropped)) {
        return false;
    }
    if (keys->count - dropped == LIMIT_INTERNAL_KEYS_COUNT) {
        call_problem(
            call, 409, "too_many", NULL,
            "the account has %d internal keys, of as many frontends; remove hosts that are "
            "no more, and rotate",
            LIMIT_INTERNAL_KEYS_COUNT);
        return false;
    }
    if (!call_ok(call, store_registered_key_add(call_store(call), made),
                 "a key with this fingerprint")) {
        return false;
    }
    publish_registered_key(call, made);
    return true;
}

static void put_run(struct call *call) {
    const struct put_request *own = call_own(call, sizeof *own, release);
    const char *username = call_path(call, "username");
    struct frontend frontend = {0};
    call_audit(call, username, true, "ok", NULL);
    if (!is_inside_known(call) || !frontend_find(call, username, &frontend)) {
        return;
    }
    struct gathering *keys CLEANUP(freep) = NULL;
    struct registered_key *made CLEANUP(freep) = calloc(1, sizeof *made);
    if (!call_ok(call, made == NULL ? FAIL(ERR_MEMORY) : OK, "the internal key") ||
        !gather_keys(call, frontend.account.id, &keys) || !make(call, &frontend, own->key, made)) {
        return;
    }
    call_audit(call, username, true, "ok", made->fingerprint);
    if (is_there(keys, made, &frontend.host) || replace(call, keys, &frontend.host, made)) {
        call_answer(call, 200,
                    json_pack("{s:s,s:s}", "username", username, "fingerprint", made->fingerprint));
    }
}

static void remove_run(struct call *call) {
    const char *username = call_path(call, "username");
    struct frontend frontend = {0};
    size_t count = 0;
    call_audit(call, username, true, "ok", NULL);
    if (!frontend_find_host(call, &frontend) || !account_find(call, username, &frontend.account) ||
        !internal_key_drop(call, frontend.account.id, &frontend.host, &count)) {
        return;
    }
    call_answer(call, 200, json_pack("{s:I}", "removed", (json_int_t)count));
}

/* --- by administrators --- */

/* The frontends see theirs go, and make new ones. */
static void rotate_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct account account;
    size_t count = 0;
    char detail[48];
    call_audit(call, name, true, "ok", NULL);
    if (!account_find(call, name, &account) || !internal_key_drop(call, account.id, NULL, &count)) {
        return;
    }
    (void)snprintf(detail, sizeof detail, "%zu internal keys", count);
    call_audit(call, name, true, "ok", detail);
    call_answer(call, 200, json_pack("{s:I}", "removed", (json_int_t)count));
}

const struct route internal_key_routes[] = {
    {HTTP_PUT, "/api/v1/host/internal-keys/{username}", ACCESS_HOST, "internal_key.put", put_read,
     put_run, NULL},
    {HTTP_DELETE, "/api/v1/host/internal-keys/{username}", ACCESS_HOST, "internal_key.remove", NULL,
     remove_run, NULL},
    {HTTP_POST, "/api/v1/accounts/{name}/internal-keys/rotate", ACCESS_ADMINISTRATOR,
     "internal_key.rotate", NULL, rotate_run, NULL},
    {0},
};
