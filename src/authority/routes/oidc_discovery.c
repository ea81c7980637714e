/* What a client must know of the embedded issuer, and its keys. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/issuer.h"
#include "authority/routes/oidc.h"

/* OpenID Connect Discovery 1.0 section 3, RFC 8414. */
static void discovery_finish(struct call *call) {
    const char *url = call->authority->config->public_url;
    json_t *json = json_pack(
        "{s:s, s:s+, s:s+, s:s+, s:s+, s:s+, s:s+, s:[s], s:[s], s:[s,s,s,s], s:[s], s:[s], s:[s],"
        " s:[s,s,s], s:[s], s:[s,s,s,s,s,s,s,s,s,s,s], s:b, s:b}",
        "issuer", url, "authorization_endpoint", url, "/oauth/authorize", "token_endpoint", url,
        "/oauth/token", "jwks_uri", url, "/oauth/keys", "revocation_endpoint", url, "/oauth/revoke",
        "device_authorization_endpoint", url, "/oauth/device", "userinfo_endpoint", url,
        "/oauth/userinfo", "response_types_supported", "code", "response_modes_supported", "query",
        "grant_types_supported", "authorization_code", "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange", "subject_types_supported", "public",
        "id_token_signing_alg_values_supported", "RS256", "code_challenge_methods_supported",
        "S256", "scopes_supported", "openid", "profile", "offline_access",
        "token_endpoint_auth_methods_supported", "none", "claims_supported", "iss", "sub", "aud",
        "exp", "iat", "auth_time", "amr", "nonce", "at_hash", "preferred_username", "name",
        "authorization_response_iss_parameter_supported", 1, "request_uri_parameter_supported", 0);
    if (json == NULL) {
        (void)call_ok(call, FAIL(ERR_MEMORY), NULL);
    } else {
        call_header(call, "Cache-Control", "public, max-age=300");
        call_answer(call, 200, json);
    }
    call_send(call);
}

static void keys_run(struct call *call) {
    call_answer(call, 200, signing_keys_public(call->authority->issuer->keys, call->now));
}

static void keys_finish(struct call *call) {
    call_header(call, "Cache-Control", "public, max-age=300");
    call_send(call);
}

/* Who calls, as a client of another maker asks it (OpenID Connect Core 1.0 section 5.3). */
static void userinfo_run(struct call *call) {
    const struct account *account = &call->caller.account;
    char subject[24];
    (void)snprintf(subject, sizeof subject, "%llu", (unsigned long long)account->id);
    call_answer(
        call, 200,
        json_pack("{s:s, s:s, s:s}", "sub", subject, "preferred_username", account->name, "name",
                  account->display_name[0] != '\0' ? account->display_name : account->name));
}

/* ---- keys, for administrators -------------------------------------------------------------- */

static json_t *listing(const struct call *call) {
    json_t *list = signing_keys_list(call->authority->issuer->keys, call->now), *key;
    size_t i;
    json_array_foreach(list, i, key) {
        static const char *const names[][2] = {{"created", "createdTime"},
                                               {"retired", "retiredTime"}};
        for (size_t n = 0; n < COUNT_OF(names); n++) {
            json_int_t when = json_integer_value(json_object_get(key, names[n][0]));
            (void)json_object_del(key, names[n][0]);
            if (when != 0) {
                (void)json_object_set_new(key, names[n][1], call_json_time(when));
            }
        }
    }
    return json_pack("{s:o}", "keys", list);
}

static void list_run(struct call *call) { call_answer(call, 200, listing(call)); }

struct rotation {
    struct signing_key *key;
};

static void release(void *own) { signing_key_release(((struct rotation *)own)->key); }

static void make_key(struct call *call) {
    struct rotation *own = call_own(call, sizeof *own, release);
    (void)call_ok(call, signing_key_make(call->now, &own->key), "the key");
}

static void take_key(struct call *call) {
    struct rotation *own = call_own(call, sizeof *own, release);
    struct issuer *issuer = call->authority->issuer;
    call_audit(call, own->key != NULL ? signing_key_id(own->key) : "", true, "ok", NULL);
    if (!call_refused(call) &&
        call_ok(call, issuer_rotate(issuer, TAKE(own->key), call->now), NULL)) {
        call_answer(call, 200, listing(call));
    }
}

static void rotate_run(struct call *call) { call_defer(call, make_key, take_key); }

const struct route oidc_discovery_routes[] = {
    {HTTP_GET, "/.well-known/openid-configuration", ACCESS_PUBLIC, "issuer.show", NULL, NULL,
     discovery_finish},
    {HTTP_GET, "/oauth/keys", ACCESS_PUBLIC, "issuer.keys", NULL, keys_run, keys_finish},
    {HTTP_GET, "/oauth/userinfo", ACCESS_ACCOUNT, "issuer.userinfo", NULL, userinfo_run, NULL},
    {HTTP_GET, "/api/v1/issuer/keys", ACCESS_ADMINISTRATOR, "issuer-key.list", NULL, list_run,
     NULL},
    {HTTP_POST, "/api/v1/issuer/keys", ACCESS_ADMINISTRATOR, "issuer-key.rotate", NULL, rotate_run,
     NULL},
    {.path = NULL},
};
