#include "authority/external_issuer.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http_client.h"

enum { FETCH_MS = 5000, SECRET_CHARS_MAX = 1024 };

#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct external_issuer {
    struct external_config config;
    char *ca_pem;         /* NULL: the system's */
    secret_t secret;      /* of dashboard_client */
    pthread_mutex_t lock; /* of what follows; never held while waiting for the network */
    struct known *known;  /* NULL before the first fetch */
    int64_t asked_at;     /* when the last fetch began, which may be under way; 0: never */
    int64_t fetched_at;   /* when the last one that went well did */
    int64_t away_until;   /* when it may be asked again, once it could not be reached */
};

/* Shared: a verification may still use what a fetch has replaced. */
struct known {
    unsigned holders; /* under the issuer's lock */
    struct external_metadata metadata;
    struct jwk_set *keys;
};

/* ---- the configuration --------------------------------------------------------------------- */

static err_t take_algorithm(void *target, const char *text) {
    enum jws_algorithm algorithm;
    TRY(jws_algorithm_parse(text, &algorithm));
    ((struct external_config *)target)->algorithms |= JWS_BIT(algorithm);
    return OK;
}

static err_t check_url(const char *text) {
    bool plain = text_is_printable(span_str(text)) && strpbrk(text, " \"'<>\\?#@") == NULL;
    bool web = strncmp(text, "https://", 8) == 0 || strncmp(text, "http://127.0.0.1:", 17) == 0;
    return plain && web ? OK : FAIL(ERR_MALFORMED);
}

static err_t check_issuer(const char *text) {
    return strlen(text) <= LIMIT_ISSUER_CHARS ? check_url(text) : FAIL(ERR_TOO_LONG);
}

#define AT(member)            SETTING_AT(struct external_config, member)
#define LIST_AT(array, count) SETTING_LIST_AT(struct external_config, array, count)
static const struct setting table[] = {
    {"url", SETTING_TEXT, .required = true, AT(url), .check = check_issuer,
     .reason = "is not an issuer's URL: https://…, just as its tokens say it in \"iss\""},
    {"client_id", SETTING_TEXT, .required = true, AT(client_id)},
    {"scope", SETTING_TEXT, AT(scope)},
    {"redirect_port", SETTING_NUMBER, AT(redirect_port), .min = 1024, .max = UINT16_MAX},
    {"title", SETTING_TEXT, AT(title)},
    {"dashboard.client_id", SETTING_TEXT, AT(dashboard_client)},
    {"dashboard.client_secret_file", SETTING_PATH, AT(dashboard_secret_file)},
    {"ca_file", SETTING_PATH, AT(ca_file)},
    {"algorithms", SETTING_WORD, .list = true, AT(algorithms), .items_max = 16,
     .take = take_algorithm,
     .reason = "is not taken; known are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, "
               "ES512, EdDSA"},
    {"clock_skew", SETTING_DURATION, AT(skew_s), .max = 600,
     .range_reason = "is more than 10min; clocks agree better than that"},
    {"max_age", SETTING_DURATION, AT(age_max_s), .max = 3600,
     .range_reason = "is more than 1h; a token is traded right after it was issued"},
    {"required_amr", SETTING_TEXT, LIST_AT(amr, amr_count)},
    {"required_acr", SETTING_TEXT, LIST_AT(acr, acr_count)},
    {"account.claim", SETTING_TEXT, AT(account_claim)},
    {"account.suffix", SETTING_TEXT, AT(account_suffix)},
    {"account.create", SETTING_BOOL, AT(account_create)},
    {"account.administrators", SETTING_BOOL, AT(account_administrator)},
    {"one_time_tokens.audience", SETTING_TEXT, AT(one_time_audience)},
    {"one_time_tokens.claim", SETTING_TEXT, AT(one_time_claim)},
    {"one_time_tokens.max_age", SETTING_DURATION, AT(one_time_age_max_s), .max = 600,
     .range_reason = "is more than 10min; such a token is used right after it was issued"},
    {"projects.claim", SETTING_TEXT, AT(project_claim)},
    {"projects.prefix", SETTING_TEXT, AT(project_prefix)},
    {"projects.follow", SETTING_BOOL, AT(project_follow)},
};
#undef AT
#undef LIST_AT
_Static_assert(COUNT_OF(table) <= SETTINGS_COUNT_MAX, "settings.lines[] has one for each");

static const struct settings_plan plan = {table, COUNT_OF(table), "examples/issuer.yaml", NULL};

static err_t set_usual(struct external_config *config) {
    config->algorithms = JWS_ALL;
    config->skew_s = 60;
    config->age_max_s = 600;
    config->one_time_age_max_s = 300;
    config->scope = strdup("openid profile");
    config->account_claim = strdup("preferred_username");
    return config->scope != NULL && config->account_claim != NULL ? OK : FAIL(ERR_MEMORY);
}

static void freep_issuer(struct external_issuer **issuer) { external_issuer_free(*issuer); }

/* The text of a file that a setting names; nothing where it is not set. */
static err_t read_file(const struct external_config *config, const char *setting, const char *path,
                       settings_complain *complain, void *context, struct buf *out) {
    err_t err = path == NULL ? OK : file_read(path, out);
    if (failed(err)) {
        char where[320];
        settings_where(&config->settings, setting, where, sizeof where);
        complain(context, &(struct settings_complaint){where, setting, err_text(err)});
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

static err_t read_files(struct external_issuer *issuer, settings_complain *complain,
                        void *context) {
    const struct external_config *config = &issuer->config;
    struct buf pem CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct buf secret CLEANUP(buf_done) = BUF(SECRET_CHARS_MAX);
    TRY(read_file(config, "ca_file", config->ca_file, complain, context, &pem));
    TRY(read_file(config, "dashboard.client_secret_file", config->dashboard_secret_file, complain,
                  context, &secret));
    if (config->ca_file != NULL) {
        TRY(buf_to_str(&pem, &issuer->ca_pem));
    }
    span_t text = buf_span(&secret);
    while (text.len > 0 && text.data[text.len - 1] <= ' ') {
        text.len--;
    }
    return secret_copy(text, SECRET_CHARS_MAX, &issuer->secret);
}

/* "/etc/posterngate/keycloak.yaml" is "keycloak". */
static err_t set_id(struct external_config *config, const char *path, settings_complain *complain,
                    void *context) {
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    size_t chars = strlen(name);
    chars -= chars > 5 && strcmp(name + chars - 5, ".yaml") == 0 ? 5 : 0;
    if (chars >= sizeof config->id || strspn(name, ID_CHARACTERS) < chars || name[0] == '.') {
        complain(context, &(struct settings_complaint){
                              path, "issuers",
                              "its name stands in addresses, and so is of letters, digits, '.', "
                              "'_', '-', at most 63"});
        return FAIL(ERR_MALFORMED);
    }
    memcpy(config->id, name, chars);
    config->id[chars] = '\0';
    return OK;
}

/* What follows from other settings where the file does not say it. */
static err_t complete(struct external_config *config) {
    const char *host = strstr(config->url, "://") + 3;
    if (config->title == NULL) {
        config->title = strndup(host, strcspn(host, "/"));
    }
    if (config->dashboard_client == NULL) {
        config->dashboard_client = strdup(config->client_id);
    }
    if (config->one_time_claim == NULL) {
        config->one_time_claim = strdup(config->account_claim);
    }
    bool complete =
        config->title != NULL && config->dashboard_client != NULL && config->one_time_claim != NULL;
    return complete ? OK : FAIL(ERR_MEMORY);
}

/* What somebody signs in by must not be good for a certificate as it is, nor the other way round.
 */
static err_t judge_audience(const struct external_config *config, settings_complain *complain,
                            void *context) {
    const char *audience = config->one_time_audience;
    if (audience == NULL || (strcmp(audience, config->client_id) != 0 &&
                             strcmp(audience, config->dashboard_client) != 0)) {
        return OK;
    }
    char where[320];
    settings_where(&config->settings, "one_time_tokens.audience", where, sizeof where);
    complain(context, &(struct settings_complaint){
                          where, "one_time_tokens.audience",
                          "is a client by which people sign in; tokens for one use are meant for "
                          "another audience"});
    return FAIL(ERR_MALFORMED);
}

err_t external_issuer_new(const char *path, settings_complain *complain, void *context,
                          struct external_issuer **out) {
    struct external_issuer *issuer CLEANUP(freep_issuer) = calloc(1, sizeof *issuer);
    if (issuer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    struct external_config *config = &issuer->config;
    (void)pthread_mutex_init(&issuer->lock, NULL);
    TRY(set_usual(config));
    TRY(set_id(config, path, complain, context));
    TRY(settings_load(&plan, path, complain, context, &config->settings, config));
    TRY(complete(config));
    TRY(judge_audience(config, complain, context));
    TRY(read_files(issuer, complain, context));
    *out = TAKE(issuer);
    return OK;
}

static void drop(struct known *known) {
    if (known != NULL && --known->holders == 0) {
        jwk_set_free(known->keys);
        free(known);
    }
}

void external_issuer_free(struct external_issuer *issuer) {
    if (issuer != NULL) {
        drop(issuer->known);
        (void)pthread_mutex_destroy(&issuer->lock);
        settings_free_texts(&plan, &issuer->config);
        settings_done(&issuer->config.settings);
        secret_done(&issuer->secret);
        free(issuer->ca_pem);
        free(issuer);
    }
}

const struct external_config *external_issuer_config(const struct external_issuer *issuer) {
    return &issuer->config;
}

const secret_t *external_issuer_secret(const struct external_issuer *issuer) {
    return issuer->config.dashboard_secret_file != NULL ? &issuer->secret : NULL;
}

/* ---- asking it ----------------------------------------------------------------------------- */

/* Who cannot be reached holds up a thread for a while, and so is not asked by each sign-in. */
static bool may_ask(struct external_issuer *issuer) {
    (void)pthread_mutex_lock(&issuer->lock);
    bool may = clock_now_s() >= issuer->away_until;
    (void)pthread_mutex_unlock(&issuer->lock);
    return may;
}

static void note_away(struct external_issuer *issuer) {
    (void)pthread_mutex_lock(&issuer->lock);
    issuer->away_until = clock_now_s() + EXTERNAL_AWAY_S;
    (void)pthread_mutex_unlock(&issuer->lock);
}

static err_t send_once(const struct external_issuer *issuer, const char *url, span_t form,
                       const char *authorization, struct http_response *response,
                       struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    char origin[EXTERNAL_URL_CHARS];
    const char *host = strstr(url, "://");
    if (host == NULL || strlen(url) >= sizeof origin) {
        return fault_set(fault, ERR_MALFORMED, "url", "%.64s is not a URL", url);
    }
    size_t chars = (size_t)(host + 3 - url) + strcspn(host + 3, "/");
    (void)snprintf(origin, sizeof origin, "%.*s", (int)chars, url);
    const struct http_client_config config = {
        .url = origin, .ca_pem = issuer->ca_pem, .timeout_ms = FETCH_MS};
    TRY(http_client_new(&config, &client, fault));
    if (form.len > 0) {
        TRY(http_client_set_header(client, "Content-Type", "application/x-www-form-urlencoded"));
        TRY(http_client_set_header(client, "Authorization", authorization));
    }
    return http_client_call(client, form.len > 0 ? HTTP_POST : HTTP_GET,
                            url[chars] != '\0' ? url + chars : "/", form, FETCH_MS, response,
                            fault);
}

/* Without a form it is a GET. */
static err_t ask(struct external_issuer *issuer, const char *url, span_t form,
                 const char *authorization, struct http_response *response, struct fault *fault) {
    if (!may_ask(issuer)) {
        return fault_set(fault, ERR_CONNECT, "url", "%s could not be reached", issuer->config.url);
    }
    err_t err = send_once(issuer, url, form, authorization, response, fault);
    if (failed(err)) {
        note_away(issuer);
    }
    return err;
}

static err_t get(struct external_issuer *issuer, const char *url, struct buf *out,
                 struct fault *fault) {
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    TRY(ask(issuer, url, (span_t){NULL, 0}, NULL, &response, fault));
    if (response.status != 200) {
        return fault_set(fault, ERR_PROTOCOL, "url", "%s answered with status %u", url,
                         response.status);
    }
    return buf_add(out, buf_span(&response.body));
}

static void free_json(json_t **json) { json_decref(*json); }

/* "" where it is not there, or not to be shown. */
static const char *text_of(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL && text_is_printable(span_str(text)) ? text : "";
}

err_t external_issuer_post(struct external_issuer *issuer, const char *url, span_t form,
                           const char *authorization, json_t **answer, struct fault *fault) {
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    if (failed(ask(issuer, url, form, authorization, &response, fault))) {
        return FAIL(ERR_CONNECT);
    }
    json_t *json CLEANUP(free_json) = json_loadb((const char *)response.body.data,
                                                 response.body.len, JSON_REJECT_DUPLICATES, NULL);
    if (response.status == 200 && json_is_object(json)) {
        *answer = TAKE(json);
        return OK;
    }
    const char *error = text_of(json, "error"), *description = text_of(json, "error_description");
    return fault_set(fault, ERR_REFUSED, "token_endpoint", "%.200s (status %u)",
                     description[0] != '\0' ? description
                     : error[0] != '\0'     ? error
                                            : "its answer is not understood",
                     response.status);
}

/* ---- what it says of itself ---------------------------------------------------------------- */

/* Whoever can change what is sent in the clear could have any key believed. */
static bool is_as_safe(const char *url, const char *issuer) {
    return strncmp(issuer, "https://", 8) != 0 || strncmp(url, "https://", 8) == 0;
}

/* An address of the metadata; "" where it is not there, or cannot be asked safely. */
static void copy_url(const json_t *json, const char *name, const char *issuer,
                     char out[EXTERNAL_URL_CHARS]) {
    const char *url = text_of(json, name);
    bool good =
        !failed(check_url(url)) && is_as_safe(url, issuer) && strlen(url) < EXTERNAL_URL_CHARS;
    (void)snprintf(out, EXTERNAL_URL_CHARS, "%s", good ? url : "");
}

/* OpenID Connect Discovery 1.0 section 4.3: the metadata must be of just this issuer. */
static err_t fetch_metadata(struct external_issuer *issuer, struct external_metadata *out,
                            char keys_url[EXTERNAL_URL_CHARS], struct fault *fault) {
    char url[EXTERNAL_URL_CHARS];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWK_SET_BYTES);
    const char *base = issuer->config.url;
    size_t chars = strlen(base);
    (void)snprintf(url, sizeof url, "%.*s/.well-known/openid-configuration",
                   (int)(base[chars - 1] == '/' ? chars - 1 : chars), base);
    TRY(get(issuer, url, &text, fault));
    json_t *json CLEANUP(free_json) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    copy_url(json, "jwks_uri", base, keys_url);
    if (strcmp(text_of(json, "issuer"), base) != 0 || keys_url[0] == '\0') {
        return fault_set(fault, ERR_PROTOCOL, "url", "%s does not describe the issuer %s", url,
                         base);
    }
    copy_url(json, "authorization_endpoint", base, out->authorization_url);
    copy_url(json, "token_endpoint", base, out->token_url);
    out->tells_issuer =
        json_is_true(json_object_get(json, "authorization_response_iss_parameter_supported"));
    return OK;
}

static err_t fetch(struct external_issuer *issuer, struct known *out, struct fault *fault) {
    char url[EXTERNAL_URL_CHARS];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWK_SET_BYTES);
    TRY(fetch_metadata(issuer, &out->metadata, url, fault));
    TRY(get(issuer, url, &text, fault));
    err_t err = jwk_set_parse(buf_span(&text), &out->keys);
    return failed(err)
               ? fault_set(fault, err.code, "url", "%s is no key set: %s", url, err_text(err))
               : OK;
}

static struct known *hold(struct external_issuer *issuer) {
    (void)pthread_mutex_lock(&issuer->lock);
    struct known *known = issuer->known;
    if (known != NULL) {
        known->holders++;
    }
    (void)pthread_mutex_unlock(&issuer->lock);
    return known;
}

static void release(struct external_issuer *issuer, struct known *known) {
    (void)pthread_mutex_lock(&issuer->lock);
    drop(known);
    (void)pthread_mutex_unlock(&issuer->lock);
}

/* Fetches all anew when that is allowed now: only one thread gets to. */
static void refresh(struct external_issuer *issuer, int64_t now) {
    struct fault fault = {.reason = ""};
    (void)pthread_mutex_lock(&issuer->lock);
    bool allowed = issuer->asked_at == 0 || now >= issuer->asked_at + EXTERNAL_FETCH_S;
    issuer->asked_at = allowed ? now : issuer->asked_at;
    (void)pthread_mutex_unlock(&issuer->lock);
    struct known *fresh = allowed ? calloc(1, sizeof *fresh) : NULL;
    if (fresh == NULL) {
        return;
    }
    fresh->holders = 1;
    err_t err = fetch(issuer, fresh, &fault);
    if (failed(err)) {
        log_error("issuer_not_fetched", err, "issuer", issuer->config.url, "reason", fault.reason,
                  NULL);
        drop(fresh);
        return;
    }
    (void)pthread_mutex_lock(&issuer->lock);
    drop(issuer->known);
    issuer->known = fresh;
    issuer->fetched_at = now;
    (void)pthread_mutex_unlock(&issuer->lock);
}

static bool is_stale(struct external_issuer *issuer, int64_t now) {
    (void)pthread_mutex_lock(&issuer->lock);
    bool stale = issuer->known == NULL || now >= issuer->fetched_at + EXTERNAL_KEYS_FRESH_S;
    (void)pthread_mutex_unlock(&issuer->lock);
    return stale;
}

err_t external_issuer_metadata(struct external_issuer *issuer, int64_t now,
                               struct external_metadata *out, struct fault *fault) {
    if (is_stale(issuer, now)) {
        refresh(issuer, now);
    }
    struct known *known = hold(issuer);
    if (known == NULL) {
        return fault_set(fault, ERR_CONNECT, "issuer", "%s cannot be reached at the moment",
                         issuer->config.title);
    }
    *out = known->metadata;
    release(issuer, known);
    return OK;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static err_t verify_by_known(struct external_issuer *issuer, span_t token,
                             struct jws_header *header, json_t **claims) {
    struct known *known = hold(issuer);
    err_t err = known == NULL
                    ? FAIL(ERR_NOT_FOUND)
                    : jws_verify(token, known->keys, issuer->config.algorithms, header, claims);
    if (known != NULL) {
        release(issuer, known);
    }
    return err;
}

err_t external_issuer_verify(struct external_issuer *issuer, span_t id_token,
                             const struct external_expected *expected, int64_t now,
                             struct id_token *out, json_t **claims, struct fault *fault) {
    const struct external_config *config = &issuer->config;
    struct jws_header header = {.key_id = ""};
    json_t *found CLEANUP(free_json) = NULL;
    if (is_stale(issuer, now)) {
        refresh(issuer, now);
    }
    err_t err = verify_by_known(issuer, id_token, &header, &found);
    if (err.code == ERR_NOT_FOUND) {
        refresh(issuer, now);
        err = verify_by_known(issuer, id_token, &header, &found);
    }
    if (err.code == ERR_NOT_FOUND && is_stale(issuer, now)) {
        return fault_set(fault, ERR_CONNECT, "issuer", "the keys of %s cannot be had at the moment",
                         config->url);
    }
    if (failed(err)) {
        return fault_set(fault, ERR_REFUSED, "subject_token", "the token is not good: %s",
                         err.code == ERR_NOT_FOUND     ? "its key is not one of the issuer's"
                         : err.code == ERR_UNSUPPORTED ? "its algorithm is not allowed here"
                                                       : err_text(err));
    }
    const struct id_token_rules rules = {
        .issuer = config->url,
        .audience = expected->client,
        .nonce = expected->nonce,
        .access_token = expected->access_token,
        .skew_s = config->skew_s,
        .age_max_s = expected->age_max_s,
        .amr = (const char *const *)config->amr,
        .amr_count = config->amr_count,
        .acr = (const char *const *)config->acr,
        .acr_count = config->acr_count,
    };
    TRY(id_token_judge(found, header.algorithm, &rules, now, out, fault));
    *claims = TAKE(found);
    return OK;
}

err_t external_issuer_account(const struct external_config *config, const char *claim,
                              const json_t *claims, char out[LIMIT_ACCOUNT_NAME_CHARS + 1],
                              struct fault *fault) {
    const char *text = json_string_value(json_object_get(claims, claim));
    if (text == NULL) {
        return fault_set(fault, ERR_REFUSED, claim, "the token has no %s, which says whose it is",
                         claim);
    }
    if (strcmp(claim, "email") == 0 && !json_is_true(json_object_get(claims, "email_verified"))) {
        return fault_set(fault, ERR_REFUSED, "email_verified",
                         "the issuer does not say that the e-mail address is yours");
    }
    size_t chars = strlen(text);
    const char *suffix = config->account_suffix != NULL ? config->account_suffix : "";
    size_t cut = strlen(suffix);
    if (chars < cut || strcmp(text + chars - cut, suffix) != 0) {
        return fault_set(fault, ERR_REFUSED, claim,
                         "%.64s does not end in %.64s, as accounts here "
                         "do",
                         text_is_printable(span_str(text)) ? text : "it", suffix);
    }
    span_t name = span_of(text, chars - cut);
    struct fault reason = {.reason = ""};
    if (failed(account_name_check(name, &reason))) {
        return fault_set(fault, ERR_REFUSED, claim, "cannot be an account's name: %s",
                         reason.reason);
    }
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return OK;
}

bool external_issuer_project(const struct external_config *config, const char *item,
                             const char **project) {
    const char *prefix = config->project_prefix != NULL ? config->project_prefix : "";
    size_t chars = strlen(prefix);
    *project = item + chars * (strncmp(item, prefix, chars) == 0);
    return strncmp(item, prefix, chars) == 0 && (*project)[0] != '\0';
}
