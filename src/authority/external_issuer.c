#include "authority/external_issuer.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/http_client.h"

enum { FETCH_MS = 5000 };

struct external_issuer {
    struct external_config config;
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

static void freep_issuer(struct external_issuer **issuer) { external_issuer_free(*issuer); }

err_t external_issuer_new(const char *path, settings_complain *complain, void *context,
                          struct external_issuer **out) {
    struct external_issuer *issuer CLEANUP(freep_issuer) = calloc(1, sizeof *issuer);
    if (issuer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)pthread_mutex_init(&issuer->lock, NULL);
    TRY(external_config_load(&issuer->config, path, complain, context));
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
        external_config_done(&issuer->config);
        free(issuer);
    }
}

const struct external_config *external_issuer_config(const struct external_issuer *issuer) {
    return &issuer->config;
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
        .url = origin, .ca_pem = issuer->config.ca_pem, .timeout_ms = FETCH_MS};
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
        external_config_is_url(url) && is_as_safe(url, issuer) && strlen(url) < EXTERNAL_URL_CHARS;
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
