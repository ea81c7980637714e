#include "authority/external_issuer.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http_client.h"

enum { FETCH_MS = 5000, URL_CHARS_MAX = 2048 };

struct external_issuer {
    struct external_config config;
    char *ca_pem;         /* NULL: the system's */
    pthread_mutex_t lock; /* of what follows; never held while waiting for the network */
    struct keys *keys;    /* NULL before the first fetch */
    int64_t asked_at;     /* when the last fetch began, which may be under way; 0: never */
    int64_t fetched_at;   /* when the last one that went well did */
};

/* Shared: a verification may still use those that a fetch has replaced. */
struct keys {
    unsigned holders; /* under the issuer's lock */
    struct jwk_set *set;
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

#define AT(member)            SETTING_AT(struct external_config, member)
#define LIST_AT(array, count) SETTING_LIST_AT(struct external_config, array, count)
static const struct setting table[] = {
    {"url", SETTING_TEXT, .required = true, AT(url), .check = check_url,
     .reason = "is not an issuer's URL: https://…, just as its tokens say it in \"iss\""},
    {"client_id", SETTING_TEXT, .required = true, AT(client_id)},
    {"scope", SETTING_TEXT, AT(scope)},
    {"redirect_port", SETTING_NUMBER, AT(redirect_port), .min = 1024, .max = UINT16_MAX},
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
    config->scope = strdup("openid profile");
    config->account_claim = strdup("preferred_username");
    return config->scope != NULL && config->account_claim != NULL ? OK : FAIL(ERR_MEMORY);
}

static void freep_issuer(struct external_issuer **issuer) { external_issuer_free(*issuer); }

static err_t read_ca(struct external_issuer *issuer, settings_complain *complain, void *context) {
    struct buf pem CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    if (issuer->config.ca_file == NULL) {
        return OK;
    }
    err_t err = file_read(issuer->config.ca_file, &pem);
    err = failed(err) ? err : buf_to_str(&pem, &issuer->ca_pem);
    if (failed(err)) {
        char where[320];
        settings_where(&issuer->config.settings, "ca_file", where, sizeof where);
        complain(context, &(struct settings_complaint){where, "ca_file", err_text(err)});
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

err_t external_issuer_new(const char *path, settings_complain *complain, void *context,
                          struct external_issuer **out) {
    struct external_issuer *issuer CLEANUP(freep_issuer) = calloc(1, sizeof *issuer);
    if (issuer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)pthread_mutex_init(&issuer->lock, NULL);
    TRY(set_usual(&issuer->config));
    TRY(settings_load(&plan, path, complain, context, &issuer->config.settings, &issuer->config));
    TRY(read_ca(issuer, complain, context));
    *out = TAKE(issuer);
    return OK;
}

static void drop(struct keys *keys) {
    if (keys != NULL && --keys->holders == 0) {
        jwk_set_free(keys->set);
        free(keys);
    }
}

void external_issuer_free(struct external_issuer *issuer) {
    if (issuer != NULL) {
        drop(issuer->keys);
        (void)pthread_mutex_destroy(&issuer->lock);
        settings_free_texts(&plan, &issuer->config);
        settings_done(&issuer->config.settings);
        free(issuer->ca_pem);
        free(issuer);
    }
}

const struct external_config *external_issuer_config(const struct external_issuer *issuer) {
    return &issuer->config;
}

/* ---- its keys ------------------------------------------------------------------------------ */

static void done_client(struct http_client **client) { http_client_free(*client); }

static err_t get(const struct external_issuer *issuer, const char *url, struct buf *out,
                 struct fault *fault) {
    struct http_client *client CLEANUP(done_client) = NULL;
    struct http_response response CLEANUP(http_response_done);
    const char *host = strstr(url, "://");
    char origin[URL_CHARS_MAX];
    http_response_init(&response);
    if (host == NULL || strlen(url) >= sizeof origin) {
        return fault_set(fault, ERR_MALFORMED, "url", "%.64s is not a URL", url);
    }
    size_t chars = (size_t)(host + 3 - url) + strcspn(host + 3, "/");
    (void)snprintf(origin, sizeof origin, "%.*s", (int)chars, url);
    const struct http_client_config config = {
        .url = origin, .ca_pem = issuer->ca_pem, .timeout_ms = FETCH_MS};
    TRY(http_client_new(&config, &client, fault));
    TRY(http_client_call(client, HTTP_GET, url[chars] != '\0' ? url + chars : "/",
                         (span_t){NULL, 0}, FETCH_MS, &response, fault));
    if (response.status != 200) {
        return fault_set(fault, ERR_PROTOCOL, "url", "%s answered with status %u", url,
                         response.status);
    }
    return buf_add(out, buf_span(&response.body));
}

static void free_json(json_t **json) { json_decref(*json); }

/* Whoever can change what is sent in the clear could have any key believed. */
static bool is_as_safe(const char *url, const char *issuer) {
    return strncmp(issuer, "https://", 8) != 0 || strncmp(url, "https://", 8) == 0;
}

/* OpenID Connect Discovery 1.0 section 4.3: the metadata must be of just this issuer. */
static err_t find_keys_url(const struct external_issuer *issuer, char out[URL_CHARS_MAX],
                           struct fault *fault) {
    char url[URL_CHARS_MAX];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWK_SET_BYTES);
    const char *base = issuer->config.url;
    size_t chars = strlen(base);
    (void)snprintf(url, sizeof url, "%.*s/.well-known/openid-configuration",
                   (int)(base[chars - 1] == '/' ? chars - 1 : chars), base);
    TRY(get(issuer, url, &text, fault));
    json_t *json CLEANUP(free_json) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *told = json_string_value(json_object_get(json, "issuer"));
    const char *keys = json_string_value(json_object_get(json, "jwks_uri"));
    if (told == NULL || strcmp(told, base) != 0 || keys == NULL || failed(check_url(keys)) ||
        !is_as_safe(keys, base) || strlen(keys) >= URL_CHARS_MAX) {
        return fault_set(fault, ERR_PROTOCOL, "url", "%s does not describe the issuer %s", url,
                         base);
    }
    (void)snprintf(out, URL_CHARS_MAX, "%s", keys);
    return OK;
}

static err_t fetch(struct external_issuer *issuer, struct keys **out, struct fault *fault) {
    char url[URL_CHARS_MAX];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWK_SET_BYTES);
    TRY(find_keys_url(issuer, url, fault));
    TRY(get(issuer, url, &text, fault));
    struct keys *keys = calloc(1, sizeof *keys);
    err_t err = keys == NULL ? FAIL(ERR_MEMORY) : jwk_set_parse(buf_span(&text), &keys->set);
    if (failed(err)) {
        free(keys);
        return fault_set(fault, err.code, "url", "%s is no key set: %s", url, err_text(err));
    }
    keys->holders = 1;
    *out = keys;
    return OK;
}

static struct keys *hold(struct external_issuer *issuer) {
    (void)pthread_mutex_lock(&issuer->lock);
    struct keys *keys = issuer->keys;
    if (keys != NULL) {
        keys->holders++;
    }
    (void)pthread_mutex_unlock(&issuer->lock);
    return keys;
}

static void release(struct external_issuer *issuer, struct keys *keys) {
    (void)pthread_mutex_lock(&issuer->lock);
    drop(keys);
    (void)pthread_mutex_unlock(&issuer->lock);
}

/* Fetches the keys when that is allowed now: only one thread gets to. */
static void refresh(struct external_issuer *issuer, int64_t now) {
    struct fault fault = {.reason = ""};
    struct keys *fresh = NULL;
    (void)pthread_mutex_lock(&issuer->lock);
    bool allowed = issuer->asked_at == 0 || now >= issuer->asked_at + EXTERNAL_FETCH_S;
    issuer->asked_at = allowed ? now : issuer->asked_at;
    (void)pthread_mutex_unlock(&issuer->lock);
    if (!allowed) {
        return;
    }
    err_t err = fetch(issuer, &fresh, &fault);
    if (failed(err)) {
        log_error("issuer_keys_not_fetched", err, "issuer", issuer->config.url, "reason",
                  fault.reason, NULL);
        return;
    }
    (void)pthread_mutex_lock(&issuer->lock);
    drop(issuer->keys);
    issuer->keys = fresh;
    issuer->fetched_at = now;
    (void)pthread_mutex_unlock(&issuer->lock);
}

static bool is_stale(struct external_issuer *issuer, int64_t now) {
    (void)pthread_mutex_lock(&issuer->lock);
    bool stale = issuer->keys == NULL || now >= issuer->fetched_at + EXTERNAL_KEYS_FRESH_S;
    (void)pthread_mutex_unlock(&issuer->lock);
    return stale;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static err_t verify_by_known(struct external_issuer *issuer, span_t token,
                             struct jws_header *header, json_t **claims) {
    struct keys *keys = hold(issuer);
    err_t err = keys == NULL
                    ? FAIL(ERR_NOT_FOUND)
                    : jws_verify(token, keys->set, issuer->config.algorithms, header, claims);
    if (keys != NULL) {
        release(issuer, keys);
    }
    return err;
}

err_t external_issuer_verify(struct external_issuer *issuer, span_t id_token, const char *nonce,
                             const char *access_token, int64_t now, struct id_token *out,
                             json_t **claims, struct fault *fault) {
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
        .audience = config->client_id,
        .nonce = nonce,
        .access_token = access_token,
        .skew_s = config->skew_s,
        .age_max_s = config->age_max_s,
        .amr = (const char *const *)config->amr,
        .amr_count = config->amr_count,
        .acr = (const char *const *)config->acr,
        .acr_count = config->acr_count,
    };
    TRY(id_token_judge(found, header.algorithm, &rules, now, out, fault));
    *claims = TAKE(found);
    return OK;
}

err_t external_issuer_account(const struct external_config *config, const json_t *claims,
                              char out[LIMIT_ACCOUNT_NAME_CHARS + 1], struct fault *fault) {
    const char *claim = config->account_claim;
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
