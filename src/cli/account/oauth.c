#include "cli/account/oauth.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/limits.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/api.h"
#include "cli/sanitise.h"
#include "net/http_client.h"
#include "net/http_url.h"

enum { FORM_CHARS_MAX = 64 * 1024, SECRET_BYTES = 32 };

#define CLIENT_DEFAULT "posterngate-cli"
#define SCOPE_DEFAULT  "openid profile offline_access"

void oauth_done(struct oauth *oauth) {
    free(oauth->issuer);
    free(oauth->client);
    free(oauth->scope);
    json_decref(oauth->metadata);
    *oauth = (struct oauth){.embedded = false};
}

/* ---- calls --------------------------------------------------------------------------------- */

/* "https://op.example/token" is a call of "/token" at "https://op.example". */
static err_t split(const char *url, char **origin, const char **path) {
    const char *host = strstr(url, "://");
    size_t chars = host == NULL ? strlen(url) : (size_t)(host + 3 - url) + strcspn(host + 3, "/?");
    *path = url[chars] == '/' ? url + chars : "/";
    return span_to_str(span_of(url, chars), origin);
}

/* The authority's own TLS CA is for the authority alone. */
static const char *ca_for(const struct oauth *oauth, const char *url) {
    size_t chars = strlen(oauth->site->url);
    bool own = strncmp(url, oauth->site->url, chars) == 0 && strchr("/?", url[chars]) != NULL;
    return own || oauth->embedded ? oauth->site->ca_pem : NULL;
}

struct exchange {
    struct http_client *client;
    struct http_response response;
};

static void exchange_done(struct exchange *exchange) {
    http_client_free(exchange->client);
    http_response_done(&exchange->response);
}

static err_t call(struct oauth *oauth, enum http_method method, const char *url, span_t form,
                  unsigned *status, json_t **answer) {
    struct cli *cli = oauth->cli;
    struct exchange exchange CLEANUP(exchange_done) = {.client = NULL};
    struct fault fault = {.reason = ""};
    char *origin CLEANUP(freep) = NULL;
    const char *path;
    http_response_init(&exchange.response);
    TRY(split(url, &origin, &path));
    const struct http_client_config config = {.url = origin, .ca_pem = ca_for(oauth, url)};
    err_t err = http_client_new(&config, &exchange.client, &fault);
    if (!failed(err) && form.len > 0) {
        err = http_client_set_header(exchange.client, "Content-Type",
                                     "application/x-www-form-urlencoded");
    }
    if (!failed(err)) {
        err = http_client_call(exchange.client, method, path, form, 0, &exchange.response, &fault);
    }
    if (failed(err)) {
        return trouble_set(&cli->trouble, exit_of_err(err), "cannot reach %s: %s", origin,
                           fault.reason[0] != '\0' ? fault.reason : err_text(err));
    }
    const struct buf *body = &exchange.response.body;
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the answer of %s (status %u) is not understood", origin,
                           exchange.response.status);
    }
    TRY(json_sanitise(json));
    *status = exchange.response.status;
    *answer = TAKE(json);
    return OK;
}

err_t oauth_post(struct oauth *oauth, const char *url, const struct buf *form,
                 char error[OAUTH_ERROR_CHARS], json_t **answer) {
    unsigned status = 0;
    json_t *json CLEANUP(json_freep) = NULL;
    TRY(call(oauth, HTTP_POST, url, buf_span(form), &status, &json));
    const char *word = member_text(json, "error");
    (void)snprintf(error, OAUTH_ERROR_CHARS, "%s",
                   status == 200     ? ""
                   : word[0] != '\0' ? word
                                     : "server_error");
    *answer = TAKE(json);
    return OK;
}

err_t oauth_post_authority(struct cli *cli, const struct site *site, const char *path,
                           const struct buf *form, char error[OAUTH_ERROR_CHARS], json_t **answer) {
    struct oauth oauth = {.cli = cli, .site = site, .embedded = true};
    struct buf url CLEANUP(buf_done) = BUF(4096);
    TRY(buf_add_format(&url, "%s%s", site->url, path));
    TRY(buf_add_byte(&url, '\0'));
    return oauth_post(&oauth, (const char *)url.data, form, error, answer);
}

err_t oauth_trouble(struct cli *cli, const char *who, const char *error, const json_t *answer) {
    const char *text = member_text(answer, "error_description");
    return trouble_set(&cli->trouble, EXIT_LOGIN, "%s refused the sign-in: %s", who,
                       text[0] != '\0' ? text : error);
}

/* ---- the issuer ---------------------------------------------------------------------------- */

static err_t copy(const char *text, char **out) {
    *out = strdup(text);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

/* The one of the document that is asked for; NULL: the authority itself. */
static err_t choose(struct cli *cli, const struct site *site, const char *url, const json_t **out) {
    const json_t *issuers = json_object_get(site->document, "issuers"), *issuer;
    const char *own = member_text(site->document, "issuer");
    size_t i;
    *out = NULL;
    json_array_foreach(issuers, i, issuer) {
        if (url == NULL || strcmp(member_text(issuer, "issuer"), url) == 0) {
            *out = issuer;
            return OK;
        }
    }
    if (url != NULL && strcmp(own, url) != 0 && strcmp(site->url, url) != 0) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s takes no sign-ins by %s", site->name,
                           url);
    }
    return OK;
}

static err_t fetch(struct oauth *oauth, const char *base) {
    struct buf url CLEANUP(buf_done) = BUF(4096);
    unsigned status = 0;
    size_t chars = strlen(base);
    TRY(buf_add_format(&url, "%.*s/.well-known/openid-configuration",
                       (int)(chars > 0 && base[chars - 1] == '/' ? chars - 1 : chars), base));
    TRY(buf_add_byte(&url, '\0'));
    TRY(call(oauth, HTTP_GET, (const char *)url.data, (span_t){NULL, 0}, &status,
             &oauth->metadata));
    if (status != 200 || strcmp(member_text(oauth->metadata, "issuer"), oauth->issuer) != 0) {
        return trouble_set(&oauth->cli->trouble, EXIT_AUTHORITY,
                           "%s does not say that it is the issuer %s", base, oauth->issuer);
    }
    return OK;
}

static err_t fill(struct oauth *oauth, const json_t *other) {
    const struct site *site = oauth->site;
    oauth->embedded = other == NULL;
    if (other != NULL) {
        const char *scope = member_text(other, "scope");
        TRY(copy(member_text(other, "issuer"), &oauth->issuer));
        TRY(copy(member_text(other, "clientId"), &oauth->client));
        TRY(copy(scope[0] != '\0' ? scope : "openid profile", &oauth->scope));
        long long port = member_number(other, "redirectPort");
        oauth->redirect_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
        return fetch(oauth, oauth->issuer);
    }
    const char *own = member_text(site->document, "issuer");
    TRY(copy(own[0] != '\0' ? own : site->url, &oauth->issuer));
    TRY(copy(CLIENT_DEFAULT, &oauth->client));
    TRY(copy(SCOPE_DEFAULT, &oauth->scope));
    return fetch(oauth, site->url);
}

err_t oauth_open(struct cli *cli, const struct site *site, const char *url, struct oauth *out) {
    struct oauth oauth CLEANUP(oauth_done) = {.cli = cli, .site = site};
    const json_t *other;
    TRY(choose(cli, site, url, &other));
    TRY(fill(&oauth, other));
    *out = oauth;
    oauth = (struct oauth){.embedded = false};
    return OK;
}

static bool is_of_web(const char *url) {
    char *bare CLEANUP(freep) = strndup(url, strcspn(url, "?"));
    struct http_url parsed;
    bool good = bare != NULL && !failed(http_url_parse(bare, &parsed, NULL));
    for (const char *at = url; good && *at != '\0'; at++) {
        good = *at > ' ' && *at < '\x7f' && strchr("\"'`<>\\^{|}", *at) == NULL; /* RFC 3986 */
    }
    return good;
}

err_t oauth_endpoint(struct oauth *oauth, const char *member, const char **out) {
    const char *url = member_text(oauth->metadata, member);
    if (url[0] == '\0') {
        return trouble_set(&oauth->cli->trouble, EXIT_REFUSED, "%s offers no %s", oauth->issuer,
                           member);
    }
    if (!is_of_web(url)) {
        return trouble_set(&oauth->cli->trouble, EXIT_AUTHORITY,
                           "the %s of %s is no https:// address: %s", member, oauth->issuer, url);
    }
    *out = url;
    return OK;
}

err_t form_add(struct buf *form, const char *name, const char *value) {
    if (form->len > 0) {
        TRY(buf_add_byte(form, '&'));
    }
    TRY(buf_add_format(form, "%s=", name));
    return path_add_escaped(form, value);
}

/* ---- secrets ------------------------------------------------------------------------------- */

static err_t print_secret(span_t bytes, char out[OAUTH_SECRET_CHARS]) {
    struct buf text CLEANUP(buf_done) = BUF(OAUTH_SECRET_CHARS);
    TRY(base64_encode(bytes, BASE64_URL, &text));
    INVARIANT(text.len == OAUTH_SECRET_CHARS - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return OK;
}

err_t oauth_secret(char out[OAUTH_SECRET_CHARS]) {
    uint8_t random[SECRET_BYTES];
    random_bytes(random, sizeof random);
    return print_secret(span_of(random, sizeof random), out);
}

err_t oauth_challenge(const char *verifier, char out[OAUTH_SECRET_CHARS]) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(verifier, strlen(verifier), hash, NULL, EVP_sha256(), NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    return print_secret(span_of(hash, SECRET_BYTES), out);
}

/* ---- the tokens ---------------------------------------------------------------------------- */

/* RFC 8693: what another issuer said becomes a bearer of the authority. */
static err_t trade(struct oauth *oauth, const char *nonce, const json_t *tokens, json_t **answer) {
    struct buf form CLEANUP(buf_done) = BUF(FORM_CHARS_MAX);
    char error[OAUTH_ERROR_CHARS];
    const char *id_token = NULL, *access = member_text(tokens, "access_token");
    TRY(answer_text(oauth->cli, tokens, "id_token", &id_token));
    TRY(form_add(&form, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"));
    TRY(form_add(&form, "client_id", CLIENT_DEFAULT));
    TRY(form_add(&form, "scope", SCOPE_DEFAULT));
    TRY(form_add(&form, "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"));
    TRY(form_add(&form, "subject_token", id_token));
    TRY(form_add(&form, "nonce", nonce));
    TRY(form_add(&form, "access_token", access));
    TRY(oauth_post_authority(oauth->cli, oauth->site, "/oauth/token", &form, error, answer));
    return error[0] == '\0' ? OK : oauth_trouble(oauth->cli, oauth->site->name, error, *answer);
}

err_t oauth_keep(struct oauth *oauth, struct site *site, const char *nonce, json_t *tokens,
                 json_t **answer) {
    json_t *traded CLEANUP(json_freep) = NULL;
    if (!oauth->embedded) {
        TRY(trade(oauth, nonce, tokens, &traded));
    }
    TRY(api_keep_token(oauth->cli, site, NULL, traded != NULL ? traded : tokens));
    *answer = traded != NULL ? TAKE(traded) : json_incref(tokens);
    return OK;
}
