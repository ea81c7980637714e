#include "authority/routes/oidc_exchange.h"

#include <sodium.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/external_issuer.h"
#include "authority/routes/account.h"
#include "authority/routes/invitation.h"
#include "authority/routes/oidc.h"
#include "authority/routes/project.h"
#include "authority/routes/publish.h"
#include "base/text.h"

#define ID_TOKEN_TYPE "urn:ietf:params:oauth:token-type:id_token"

void exchange_release(struct exchange *exchange) { json_decref(exchange->claims); }

/* ---- whose token it is --------------------------------------------------------------------- */

/* What the token says of its issuer, unproved: it only tells by whose keys to judge. */
static json_t *peek(const char *token) {
    span_t rest = span_str(token);
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS);
    (void)span_until(&rest, '.');
    span_t claims = span_until(&rest, '.');
    return failed(base64_decode(claims, BASE64_URL, &text))
               ? NULL
               : json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
}

static struct external_issuer *find_issuer(const struct config *config, const char *token) {
    json_t *claims = peek(token);
    const char *told = json_string_value(json_object_get(claims, "iss"));
    struct external_issuer *found = NULL;
    for (size_t i = 0; i < config->external_count && told != NULL; i++) {
        struct external_issuer *issuer = config->externals[i];
        found = strcmp(external_issuer_config(issuer)->url, told) == 0 ? issuer : found;
    }
    json_decref(claims);
    return found;
}

struct exchange exchange_by(struct external_issuer *issuer) {
    const struct external_config *config = external_issuer_config(issuer);
    return (struct exchange){.issuer = issuer,
                             .client = config->client_id,
                             .claim = config->account_claim,
                             .age_max_s = config->age_max_s,
                             .creates = config->account_create,
                             .token = "",
                             .nonce = "",
                             .access_token = ""};
}

err_t exchange_read(struct call *call, struct exchange *exchange) {
    const char *type = "", *token = "", *nonce = "", *access_token = "";
    TRY(oidc_read(call, "subject_token_type", LIMIT_OAUTH_TEXT_CHARS, &type));
    TRY(oidc_read(call, "subject_token", LIMIT_JWS_CHARS, &token));
    TRY(oidc_read(call, "nonce", LIMIT_OAUTH_TEXT_CHARS, &nonce));
    TRY(oidc_read(call, "access_token", LIMIT_JWS_CHARS, &access_token));
    if (strcmp(type, ID_TOKEN_TYPE) != 0) {
        call_problem(call, 400, "invalid_request", "subject_token_type",
                     "subject_token_type must be " ID_TOKEN_TYPE);
        return FAIL(ERR_REFUSED);
    }
    struct external_issuer *issuer = find_issuer(call->authority->config, token);
    if (issuer == NULL) {
        call_problem(call, 400, "invalid_grant", "subject_token",
                     "the token is not from an issuer that this site takes");
        return FAIL(ERR_REFUSED);
    }
    *exchange = exchange_by(issuer);
    exchange->token = token;
    exchange->nonce = nonce;
    exchange->access_token = access_token;
    return OK;
}

bool exchange_read_one_time(const struct call *call, const char *token, struct exchange *exchange) {
    struct external_issuer *issuer = find_issuer(call->authority->config, token);
    const struct external_config *config = issuer != NULL ? external_issuer_config(issuer) : NULL;
    if (config == NULL || config->one_time_audience == NULL) {
        return false;
    }
    *exchange = exchange_by(issuer);
    exchange->token = token;
    exchange->client = config->one_time_audience;
    exchange->claim = config->one_time_claim;
    exchange->age_max_s = config->one_time_age_max_s;
    exchange->creates = false;
    return true;
}

void exchange_verify(struct call *call, struct exchange *exchange) {
    struct fault fault = {.reason = ""};
    const struct external_expected expected = {
        .client = exchange->client,
        .age_max_s = exchange->age_max_s,
        .nonce = exchange->nonce[0] != '\0' ? exchange->nonce : NULL,
        .access_token = exchange->access_token[0] != '\0' ? exchange->access_token : NULL,
    };
    err_t err = external_issuer_verify(exchange->issuer, span_str(exchange->token), &expected,
                                       call->now, &exchange->found, &exchange->claims, &fault);
    if (err.code == ERR_CONNECT) {
        call_problem(call, 503, "issuer_unavailable", NULL, "%s", fault.reason);
    } else if (failed(err)) {
        call_problem(call, 400, "invalid_grant", NULL, "%s: %s", fault.field, fault.reason);
    }
}

/* ---- who that is here ---------------------------------------------------------------------- */

/* Good once: kept by its hash until it would be refused by its age. The signature is not hashed:
 * anybody makes another good one of an ECDSA signature, with n - s in the place of s. */
static bool spend(struct call *call, const struct exchange *exchange, entity_id account) {
    const struct external_config *config = external_issuer_config(exchange->issuer);
    uint8_t hash[crypto_hash_sha256_BYTES];
    const char *signature = strrchr(exchange->token, '.');
    struct session spent = {
        .account_id = account,
        .created_at = call->now,
        .expires_at = call->now + exchange->age_max_s + 2 * config->skew_s + 1,
        .use = SESSION_SPENT,
    };
    INVARIANT(signature != NULL); /* it was verified */
    (void)crypto_hash_sha256(hash, (const uint8_t *)exchange->token,
                             (size_t)(signature - exchange->token));
    (void)sodium_bin2hex(spent.hash, sizeof spent.hash, hash, sizeof hash);
    err_t err = store_session_add(call_store(call), &spent);
    if (err.code == ERR_EXISTS) {
        call_problem(call, 400, "invalid_grant", NULL, "the token was used before; sign in again");
        return false;
    }
    return call_ok(call, err, "the token");
}

static bool make_account(struct call *call, struct account *account) {
    if (account_is_system_user(account->name)) {
        call_problem(call, 403, "access_denied", NULL,
                     "%s is a user of the operating system on many hosts; an administrator makes "
                     "such an account",
                     account->name);
        return false;
    }
    account->kind = ACCOUNT_PERSON;
    account->created_at = call->now;
    if (!call_ok(call, store_account_add(call_store(call), account), "the account")) {
        return false;
    }
    publish_account(call, account);
    return !call_refused(call);
}

static bool find_account(struct call *call, const struct exchange *exchange,
                         struct account *account) {
    const struct external_config *config = external_issuer_config(exchange->issuer);
    struct fault fault = {.reason = ""};
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1];
    if (failed(external_config_account(config, exchange->claim, exchange->claims, name, &fault))) {
        call_problem(call, 403, "access_denied", NULL, "%s: %s", fault.field, fault.reason);
        return false;
    }
    call_actor(call, name);
    err_t err = store_account_find(call_store(call), name, account);
    if (err.code == ERR_NOT_FOUND && exchange->creates) {
        *account = (struct account){.name = ""};
        memcpy(account->name, name, sizeof account->name);
        return make_account(call, account);
    }
    if (err.code == ERR_NOT_FOUND) {
        call_problem(call, 403, "access_denied", NULL,
                     "there is no account %s here; ask your site's administrators", name);
        return false;
    }
    if (!call_ok(call, err, "the account")) {
        return false;
    }
    if (account->disabled) {
        call_problem(call, 403, "access_denied", NULL, "the account %s is disabled", name);
        return false;
    }
    bool allowed = account->kind == ACCOUNT_PERSON &&
                   (!account->administrator || config->account_administrator);
    if (!allowed) {
        call_problem(call, 403, "access_denied", NULL,
                     "%s may not sign in by %s; administrators do so with their password here",
                     name, config->url);
    }
    return allowed;
}

/* Its first sign-in says who an account is at the issuer. Names are given anew there to others, who
 * have a "sub" of their own and inherit nothing. */
static bool pin(struct call *call, const struct exchange *exchange, const struct account *account) {
    struct store *store = call_store(call);
    struct external_identity known, told = {.account_id = account->id, .since = call->now};
    const char *url = external_issuer_config(exchange->issuer)->url;
    (void)snprintf(told.issuer, sizeof told.issuer, "%s", url);
    (void)snprintf(told.subject, sizeof told.subject, "%s", exchange->found.subject);
    err_t err = store_identity_get(store, account->id, told.issuer, &known);
    if (err.code == ERR_NOT_FOUND) {
        err = store_identity_add(store, &told);
    } else if (!failed(err) && strcmp(known.subject, told.subject) != 0) {
        call_problem(
            call, 403, "access_denied", NULL,
            "%s is somebody else at %.200s than who signed in here by that name before; if "
            "the account is to be theirs, an administrator runs: postern admin account "
            "forget-identity %s",
            account->name, url, account->name);
        return false;
    }
    if (err.code == ERR_EXISTS) {
        call_problem(call, 403, "access_denied", NULL,
                     "you signed in here by another name before; if %s is to be your account, an "
                     "administrator runs for that other one: postern admin account forget-identity "
                     "NAME",
                     account->name);
        return false;
    }
    return call_ok(call, err, "the identity");
}

/* ---- its projects -------------------------------------------------------------------------- */

enum { PROJECTS_MAX = 256 };
struct following {
    struct call *call;
    const struct external_config *config;
    const json_t *claim;
    entity_id leaves[PROJECTS_MAX];
    size_t leave_count;
    bool changed;
};

static bool is_claimed(const struct following *following, const char *name) {
    size_t i;
    const json_t *item;
    json_array_foreach(following->claim, i, item) {
        const char *text = json_string_value(item), *project;
        if (text != NULL && external_config_project(following->config, text, &project) &&
            strcmp(project, name) == 0) {
            return true;
        }
    }
    return false;
}

static err_t join(struct following *following, const struct account *account, const char *name) {
    struct store *store = call_store(following->call);
    struct project project;
    struct membership membership;
    err_t err = store_project_find(store, name, &project);
    err = failed(err) ? err : store_member_get(store, project.id, account->id, &membership);
    if (!failed(err) || err.code != ERR_NOT_FOUND) {
        return err;
    }
    /* Either of the two is not there: a project that is not ours says nothing. */
    if (failed(store_project_find(store, name, &project))) {
        return OK;
    }
    membership = (struct membership){.project_id = project.id,
                                     .account_id = account->id,
                                     .role = MEMBER,
                                     .since = following->call->now};
    following->changed = true;
    return store_member_put(store, &membership);
}

static err_t note_leave(void *context, const struct membership *membership) {
    struct following *following = context;
    struct project project;
    TRY(store_project_get(call_store(following->call), membership->project_id, &project));
    if (!is_claimed(following, project.name) && following->leave_count < PROJECTS_MAX) {
        following->leaves[following->leave_count++] = project.id;
    }
    return OK;
}

/* As when a manager removes the member: what the membership gave ends with it. */
static bool leave(struct following *following, const struct account *account) {
    struct call *call = following->call;
    struct store *store = call_store(call);
    err_t err = store_member_list(store, 0, account->id, note_leave, following);
    for (size_t i = 0; i < following->leave_count && !failed(err); i++) {
        struct project project;
        err = store_project_get(store, following->leaves[i], &project);
        err = failed(err) ? err : store_member_remove(store, project.id, account->id);
        following->changed = true;
        if (!failed(err) && !project_end_membership(call, &project, account)) {
            return false;
        }
    }
    return call_ok(call, err, "the projects");
}

static err_t follow(struct following *following, const struct account *account) {
    size_t i;
    const json_t *item;
    json_array_foreach(following->claim, i, item) {
        const char *text = json_string_value(item), *name;
        if (text != NULL && external_config_project(following->config, text, &name)) {
            TRY(join(following, account, name));
        }
    }
    return OK;
}

static bool follow_projects(struct call *call, const struct exchange *exchange,
                            const struct account *account) {
    const struct external_config *config = external_issuer_config(exchange->issuer);
    if (config->project_claim == NULL) {
        return true;
    }
    struct following following = {.call = call,
                                  .config = config,
                                  .claim =
                                      json_object_get(exchange->claims, config->project_claim)};
    if (!call_ok(call, follow(&following, account), "the projects") ||
        (config->project_follow && !leave(&following, account))) {
        return false;
    }
    if (following.changed) {
        call_forget_bearers(call);
        publish_reach(call, account);
    }
    return !call_refused(call);
}

/* ---- the session --------------------------------------------------------------------------- */

static void print_methods(const json_t *claims, char out[SESSION_METHODS_CHARS]) {
    size_t i, at = 0;
    const json_t *method;
    out[0] = '\0';
    json_array_foreach(json_object_get(claims, "amr"), i, method) {
        const char *text = json_string_value(method);
        if (text != NULL && text_is_printable(span_str(text)) && strchr(text, ' ') == NULL &&
            at + strlen(text) + 2 < SESSION_METHODS_CHARS) {
            at += (size_t)snprintf(out + at, SESSION_METHODS_CHARS - at, "%s%s", at > 0 ? " " : "",
                                   text);
        }
    }
}

bool exchange_take(struct call *call, const struct exchange *exchange, struct account *out) {
    return find_account(call, exchange, out) && pin(call, exchange, out) &&
           spend(call, exchange, out->id);
}

bool exchange_judge(struct call *call, const struct exchange *exchange, struct session *out) {
    struct account account;
    if (!exchange_take(call, exchange, &account) || !invitation_withdraw(call, &account) ||
        !follow_projects(call, exchange, &account)) {
        return false;
    }
    *out = (struct session){
        .account_id = account.id,
        .expires_at = call->now + call->authority->config->session_lifetime_s,
        .authenticated_at = exchange->found.authenticated_at,
    };
    (void)snprintf(out->issuer, sizeof out->issuer, "%s",
                   external_issuer_config(exchange->issuer)->url);
    print_methods(exchange->claims, out->methods);
    oidc_new_family(out->family);
    return true;
}
