#include "authority/external_config.h"

#include <stdio.h>

#include "base/file.h"
#include "base/text.h"
#include "identity/jws.h"

enum { SECRET_CHARS_MAX = 1024 };

#define ID_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static err_t take_algorithm(void *target, const char *text) {
    enum jws_algorithm algorithm;
    TRY(jws_algorithm_parse(text, &algorithm));
    ((struct external_config *)target)->algorithms |= JWS_BIT(algorithm);
    return OK;
}

bool external_config_is_url(const char *text) {
    bool plain = text_is_printable(span_str(text)) && strpbrk(text, " \"'<>\\?#@") == NULL;
    bool web = strncmp(text, "https://", 8) == 0 || strncmp(text, "http://127.0.0.1:", 17) == 0;
    return plain && web;
}

static err_t check_issuer(const char *text) {
    bool good = strlen(text) <= LIMIT_ISSUER_CHARS && external_config_is_url(text);
    return good ? OK : FAIL(ERR_MALFORMED);
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

static err_t read_files(struct external_config *config, settings_complain *complain,
                        void *context) {
    struct buf pem CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct buf secret CLEANUP(buf_done) = BUF(SECRET_CHARS_MAX);
    TRY(read_file(config, "ca_file", config->ca_file, complain, context, &pem));
    TRY(read_file(config, "dashboard.client_secret_file", config->dashboard_secret_file, complain,
                  context, &secret));
    if (config->ca_file != NULL) {
        TRY(buf_to_str(&pem, &config->ca_pem));
    }
    span_t text = buf_span(&secret);
    while (text.len > 0 && text.data[text.len - 1] <= ' ') {
        text.len--;
    }
    return secret_copy(text, SECRET_CHARS_MAX, &config->dashboard_secret);
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

err_t external_config_load(struct external_config *config, const char *path,
                           settings_complain *complain, void *context) {
    TRY(set_usual(config));
    TRY(set_id(config, path, complain, context));
    TRY(settings_load(&plan, path, complain, context, &config->settings, config));
    TRY(complete(config));
    TRY(judge_audience(config, complain, context));
    return read_files(config, complain, context);
}

void external_config_done(struct external_config *config) {
    settings_free_texts(&plan, config);
    settings_done(&config->settings);
    secret_done(&config->dashboard_secret);
    free(config->ca_pem);
}

err_t external_config_account(const struct external_config *config, const char *claim,
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

bool external_config_project(const struct external_config *config, const char *item,
                             const char **project) {
    const char *prefix = config->project_prefix != NULL ? config->project_prefix : "";
    size_t chars = strlen(prefix);
    *project = item + chars * (strncmp(item, prefix, chars) == 0);
    return strncmp(item, prefix, chars) == 0 && (*project)[0] != '\0';
}
