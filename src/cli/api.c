#include "cli/api.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/account/oauth.h"
#include "cli/document.h"
#include "cli/sanitise.h"

enum {
    PATH_CHARS_MAX = 4096,
    BEARER_CHARS_MAX = 32 * 1024,
    TOKEN_LIFETIME_S_MAX = 366 * 86400,
    PAGES_MAX = 1000
};

struct api {
    struct cli *cli;
    const struct site *site;
    struct http_client *client;
    struct http_response response;
    struct token token;
    secret_t api_key; /* empty for people */
    bool from_cache;  /* the API key's token: a 401 may just mean that it was revoked meanwhile */
    char problem_code[64];
};

void api_closep(struct api **api) {
    if (*api != NULL) {
        http_client_free((*api)->client);
        http_response_done(&(*api)->response);
        token_done(&(*api)->token);
        secret_done(&(*api)->api_key);
        free(*api);
        *api = NULL;
    }
}

const char *api_problem_code(const struct api *api) { return api->problem_code; }
const char *api_challenge(const struct api *api) { return api->response.challenge; }
err_t api_tls_binding(const struct api *api, struct buf *out) {
    return http_client_tls_binding(api->client, out);
}
err_t api_set_authorization(struct api *api, const char *value) {
    return http_client_set_header(api->client, "Authorization", value);
}
const char *api_username(const struct api *api) { return api->token.username; }

err_t network_trouble(struct cli *cli, const struct site *site, err_t err,
                      const struct fault *fault) {
    const char *reason = fault->reason[0] != '\0' ? fault->reason : err_text(err);
    if (err.code == ERR_TLS) {
        trouble_next(&cli->trouble,
                     "if the authority changed its CA, compare the fingerprint with it and run:\n"
                     "postern init %s --fingerprint SHA256",
                     site->url);
        return trouble_set(&cli->trouble, EXIT_NETWORK, "cannot trust the authority at %s: %s",
                           site->url, reason);
    }
    return trouble_set(&cli->trouble, exit_of_err(err), "cannot reach the authority at %s: %s",
                       site->url, reason);
}

static err_t new_client(struct cli *cli, const struct site *site, struct http_client **out) {
    struct http_client_config config = {.url = site->url, .ca_pem = site->ca_pem};
    struct fault fault = {0};
    err_t err = http_client_new(&config, out, &fault);
    return failed(err) ? network_trouble(cli, site, err, &fault) : OK;
}

static err_t set_bearer(struct api *api) {
    struct buf value CLEANUP(buf_done) = BUF(BEARER_CHARS_MAX);
    TRY(buf_add_format(&value, "Bearer %s", api->token.text.text));
    TRY(buf_add_byte(&value, '\0'));
    return http_client_set_header(api->client, "Authorization", (const char *)value.data);
}

static err_t parse_answer(struct api *api, json_t **out) {
    const struct buf *body = &api->response.body;
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        return FAIL(ERR_PROTOCOL);
    }
    TRY(json_sanitise(json));
    *out = TAKE(json);
    return OK;
}

static void next_of_code(struct cli *cli, const char *code) {
    static const struct {
        const char *code;
        const char *next;
    } hints[] = {
        {"not_logged_in", "postern login"},
        {"already_revoked", "postern list --all"},
    };
    for (size_t i = 0; i < COUNT_OF(hints) && cli->trouble.next[0] == '\0'; i++) {
        if (strcmp(code, hints[i].code) == 0) {
            trouble_next(&cli->trouble, "%s", hints[i].next);
        }
    }
}

/* RFC 9457, as far as it is there: a proxy in between may answer with anything. */
static err_t problem_trouble(struct api *api) {
    struct cli *cli = api->cli;
    unsigned status = api->response.status;
    json_t *problem CLEANUP(json_freep) = NULL;
    ignore_err(parse_answer(api, &problem)); /* then there is only the status to tell */
    const char *message = member_text(problem, "message");
    const char *field = member_text(problem, "field");
    /* Of a thing that was written wrongly, a person wants to know which one. */
    enum exit_code exit = exit_of_status(status);
    bool name_field = field[0] != '\0' && strstr(message, field) == NULL &&
                      (exit == EXIT_USAGE || exit == EXIT_REFUSED);
    const char *code = member_text(problem, "code");
    (void)snprintf(api->problem_code, sizeof api->problem_code, "%s", code);
    next_of_code(cli, code);
    if (message[0] == '\0') {
        return trouble_set(&cli->trouble, exit_of_status(status),
                           "the authority at %s answered with status %u", api->site->url, status);
    }
    char wait[DURATION_CHARS + 32] = "";
    if (api->response.retry_after_s > 0) {
        char duration[DURATION_CHARS];
        duration_print(api->response.retry_after_s, duration);
        (void)snprintf(wait, sizeof wait, "; try again in %s", duration);
    }
    const char *request = status >= 500 ? member_text(problem, "requestId") : "";
    return trouble_set(&cli->trouble, exit, "%s%s%s%s%s%s%s", name_field ? field : "",
                       name_field ? ": " : "", message, wait,
                       request[0] != '\0' ? " (request " : "", request,
                       request[0] != '\0' ? ")" : "");
}

static err_t call_once(struct api *api, enum http_method method, const char *path, const char *body,
                       json_t **answer) {
    struct fault fault = {0};
    struct cli *cli = api->cli;
    api->problem_code[0] = '\0';
    err_t err =
        http_client_call(api->client, method, path, body != NULL ? span_str(body) : (span_t){0}, 0,
                         &api->response, &fault);
    if (failed(err)) {
        return network_trouble(cli, api->site, err, &fault);
    }
    if (api->response.status < 200 || api->response.status > 299) {
        return problem_trouble(api);
    }
    if (answer != NULL && failed(parse_answer(api, answer))) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the answer of the authority at %s is not understood", api->site->url);
    }
    return OK;
}

static err_t token_of_answer(struct cli *cli, const json_t *answer, struct token *out) {
    struct token token CLEANUP(token_done) = {0};
    const char *text = NULL;
    TRY(answer_text(cli, answer, "access_token", &text));
    json_int_t lifetime = json_integer_value(json_object_get(answer, "expires_in"));
    if (lifetime < 1 || lifetime > TOKEN_LIFETIME_S_MAX) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority's answer is not understood: \"expires_in\"");
    }
    TRY(secret_copy(span_str(text), BEARER_CHARS_MAX / 2, &token.text));
    token.expires_at = clock_now_s() + lifetime;
    const char *refresh = member_text(answer, "refresh_token");
    long long renewable = member_number(answer, "refresh_expires_in");
    if (refresh[0] != '\0' && renewable > 0 && renewable <= TOKEN_LIFETIME_S_MAX) {
        TRY(secret_copy(span_str(refresh), BEARER_CHARS_MAX / 2, &token.refresh));
        token.ends_at = clock_now_s() + renewable;
    }
    const char *username = member_text(answer, "username");
    if (username[0] != '\0' && (token.username = strdup(username)) == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = token;
    token = (struct token){0};
    return OK;
}

/* An API key becomes a short-lived token. */
static err_t exchange_api_key(struct api *api) {
    TRY(http_client_set_header(api->client, "Authorization", NULL));
    err_t err = http_client_set_header(api->client, "X-API-Key", api->api_key.text);
    if (failed(err)) {
        return trouble_of(&api->cli->trouble, err, "the API key");
    }
    json_t *answer CLEANUP(json_freep) = NULL;
    err = call_once(api, HTTP_POST, "/api/v1/auth/token", NULL, &answer);
    ignore_err(http_client_set_header(api->client, "X-API-Key", NULL)); /* removing cannot fail */
    TRY(err);
    token_done(&api->token);
    TRY(token_of_answer(api->cli, answer, &api->token));
    api->from_cache = false;
    TRY(set_bearer(api));
    if (api->token.username == NULL) {
        json_t *who CLEANUP(json_freep) = NULL;
        TRY(call_once(api, HTTP_GET, "/api/v1/auth/whoami", NULL, &who));
        const char *username = NULL;
        TRY(answer_text(api->cli, who, "username", &username));
        api->token.username = strdup(username);
        if (api->token.username == NULL) {
            return FAIL(ERR_MEMORY);
        }
    }
    return token_save(&api->cli->trouble, api->site, api->api_key.text, &api->token);
}

/* ERR_NOT_FOUND, with trouble left alone, when the sign-in is over. */
static err_t renew_locked(struct api *api) {
    struct cli *cli = api->cli;
    struct token old CLEANUP(token_done) = {0};
    struct buf form CLEANUP(buf_done) = BUF(BEARER_CHARS_MAX);
    char error[OAUTH_ERROR_CHARS];
    json_t *answer CLEANUP(json_freep) = NULL;
    err_t err = token_load(&cli->trouble, api->site, NULL, &api->token);
    if (err.code != ERR_NOT_FOUND) {
        return err; /* somebody else did it meanwhile */
    }
    TRY(token_load_renewable(&cli->trouble, api->site, &old));
    TRY(form_add(&form, "grant_type", "refresh_token"));
    TRY(form_add(&form, "client_id", "posterngate-cli"));
    TRY(form_add(&form, "refresh_token", old.refresh.text));
    TRY(oauth_post_authority(cli, api->site, "/oauth/token", &form, error, &answer));
    if (strcmp(error, "invalid_grant") == 0) {
        TRY(token_remove(&cli->trouble, api->site, NULL));
        return FAIL(ERR_NOT_FOUND);
    }
    if (error[0] != '\0') {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY, "%s did not renew the sign-in: %s",
                           api->site->name, member_text(answer, "error_description"));
    }
    TRY(token_of_answer(cli, answer, &api->token));
    return token_save(&cli->trouble, api->site, NULL, &api->token);
}

/* A person's token that can be renewed is, without a word. */
static err_t renew(struct api *api) {
    struct token old CLEANUP(token_done) = {0};
    int lock CLEANUP(fd_closep) = -1;
    TRY(token_load_renewable(&api->cli->trouble, api->site, &old));
    TRY(token_lock(&api->cli->trouble, api->site, &lock));
    return renew_locked(api);
}

/* ERR_NOT_FOUND leaves trouble alone. */
static err_t sign_in(struct api *api, const char *api_key) {
    if (api_key != NULL) {
        TRY(secret_copy(span_str(api_key), BEARER_CHARS_MAX / 2, &api->api_key));
    }
    err_t err = token_load(&api->cli->trouble, api->site, api_key, &api->token);
    if (err.code == ERR_NOT_FOUND && api_key != NULL) {
        return exchange_api_key(api);
    }
    TRY(err.code == ERR_NOT_FOUND ? renew(api) : err);
    api->from_cache = api_key != NULL;
    return set_bearer(api);
}

static err_t open_client(struct cli *cli, const struct site *site, struct api **out) {
    struct api *api CLEANUP(api_closep) = calloc(1, sizeof *api);
    if (api == NULL) {
        return FAIL(ERR_MEMORY);
    }
    api->cli = cli;
    api->site = site;
    http_response_init(&api->response);
    TRY(new_client(cli, site, &api->client));
    *out = TAKE(api);
    return OK;
}

err_t api_open_as(struct cli *cli, const struct site *site, const char *api_key, struct api **out) {
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(open_client(cli, site, &api));
    TRY(sign_in(api, api_key));
    *out = TAKE(api);
    return OK;
}

err_t api_open(struct cli *cli, const struct site *site, enum api_auth auth, struct api **out) {
    if (auth == API_ANYONE) {
        return open_client(cli, site, out);
    }
    const char *api_key = getenv("POSTERN_API_KEY");
    err_t err = api_open_as(cli, site, api_key != NULL && api_key[0] != '\0' ? api_key : NULL, out);
    if (err.code == ERR_NOT_FOUND && cli->trouble.what[0] == '\0') {
        trouble_next(&cli->trouble, "postern login");
        return trouble_set(&cli->trouble, EXIT_LOGIN, "you are not signed in at %s", site->name);
    }
    return err;
}

static err_t call(struct api *api, enum http_method method, const char *path, const char *body,
                  json_t **answer) {
    err_t err = call_once(api, method, path, body, answer);
    if (failed(err) && api->response.status == 401 && api->from_cache &&
        strcmp(api->problem_code, "not_logged_in") == 0) {
        api->cli->trouble = (struct trouble){0};
        TRY(exchange_api_key(api));
        return call_once(api, method, path, body, answer);
    }
    return err;
}

err_t api_call(struct api *api, enum http_method method, const char *path, json_t **answer) {
    return call(api, method, path, NULL, answer);
}

err_t api_send(struct api *api, enum http_method method, const char *path, json_t *body,
               json_t **answer) {
    json_t *owned CLEANUP(json_freep) = body;
    char *text = owned == NULL ? NULL : json_dumps(owned, JSON_COMPACT);
    if (text == NULL) {
        return trouble_set(&api->cli->trouble, EXIT_USAGE, "what you gave is not UTF-8 text");
    }
    err_t err = call(api, method, path, text, answer);
    secret_wipe(text, strlen(text));
    free(text);
    return err;
}

err_t api_pages(struct api *api, const char *path, const char *member, const char *parameter,
                const char *key, json_t **answer) {
    json_t *whole CLEANUP(json_freep) = NULL;
    char *last CLEANUP(freep) = NULL;
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        struct buf at CLEANUP(buf_done) = BUF(PATH_CHARS_MAX);
        TRY(buf_add_format(&at, "%s%climit=%d", path, strchr(path, '?') == NULL ? '?' : '&',
                           (int)LIMIT_LIST_ROWS_COUNT));
        if (last != NULL) {
            TRY(buf_add_format(&at, "&%s=", parameter));
            TRY(path_add_escaped(&at, last));
        }
        TRY(buf_add_byte(&at, '\0'));
        json_t *page CLEANUP(json_freep) = NULL;
        const json_t *rows = NULL;
        TRY(api_call(api, HTTP_GET, (const char *)at.data, &page));
        TRY(answer_array(api->cli, page, member, &rows));
        size_t count = json_array_size(rows);
        const char *next = count == 0 ? "" : member_text(json_array_get(rows, count - 1), key);
        /* An authority that says the same page again must not keep us here. */
        bool full = count == LIMIT_LIST_ROWS_COUNT || member_text(page, "next")[0] != '\0';
        bool end = !full || next[0] == '\0' || (last != NULL && strcmp(next, last) == 0);
        free(last);
        last = strdup(next);
        if (last == NULL) {
            return FAIL(ERR_MEMORY);
        }
        if (whole == NULL) {
            whole = TAKE(page);
        } else if (json_array_extend(json_object_get(whole, member),
                                     json_object_get(page, member)) != 0) {
            return FAIL(ERR_MEMORY);
        }
        if (end) {
            break;
        }
    }
    *answer = TAKE(whole);
    return OK;
}

err_t api_keep_token(struct cli *cli, struct site *site, const char *api_key,
                     const json_t *answer) {
    struct token token CLEANUP(token_done) = {0};
    TRY(token_of_answer(cli, answer, &token));
    TRY(token_save(&cli->trouble, site, api_key, &token));
    if (token.username != NULL) {
        free(site->username);
        site->username = TAKE(token.username);
    }
    return site_save(&cli->trouble, site);
}

err_t api_fetch_document(struct cli *cli, const struct site *site, json_t **out) {
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(api_open(cli, site, API_ANYONE, &api));
    json_t *document CLEANUP(json_freep) = NULL;
    TRY(api_call(api, HTTP_GET, "/.well-known/posterngate", &document));
    struct fault fault = {0};
    if (failed(document_check(document, &fault))) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "what %s says of itself is not understood: %s: %s", site->url,
                           fault.field, fault.reason);
    }
    *out = TAKE(document);
    return OK;
}

static void tell_new_keys(const struct site *site, const json_t *document, const char *member,
                          const char *what) {
    struct key_list known CLEANUP(key_list_done) = {0};
    struct key_list told CLEANUP(key_list_done) = {0};
    /* Both were checked: they parse. */
    ignore_err(document_ca_keys(site->document, member, &known));
    ignore_err(document_ca_keys(document, member, &told));
    char fingerprint[FINGERPRINT_CHARS];
    for (size_t i = 0; i < told.count; i++) {
        if (!key_list_has(&known, told.keys[i])) {
            key_fingerprint(told.keys[i], fingerprint);
            print_warning("%s has a new %s CA key: %s", site->name, what, fingerprint);
        }
    }
    for (size_t i = 0; i < known.count; i++) {
        if (!key_list_has(&told, known.keys[i])) {
            key_fingerprint(known.keys[i], fingerprint);
            print_warning("%s no longer uses the %s CA key %s", site->name, what, fingerprint);
        }
    }
}

err_t api_take_document(struct cli *cli, struct site *site, json_t *document, bool accept) {
    json_t *owned CLEANUP(json_freep) = document;
    if (!document_same_ca_keys(site->document, owned)) {
        tell_new_keys(site, owned, "userCaKeys", "user");
        tell_new_keys(site, owned, "hostCaKeys", "host");
        if (!accept) {
            trouble_next(&cli->trouble, "postern init %s", site->url);
            return trouble_set(&cli->trouble, EXIT_REFUSED,
                               "the CA keys of %s changed; ask its administrators, then take them "
                               "over",
                               site->name);
        }
    }
    json_decref(site->document);
    site->document = TAKE(owned);
    return site_save(&cli->trouble, site);
}

err_t api_refresh_document(struct cli *cli, struct site *site) {
    json_t *document CLEANUP(json_freep) = NULL;
    TRY(api_fetch_document(cli, site, &document));
    if (strcmp(member_text(document, "site"), site->name) != 0) {
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "the authority at %s now calls itself %s, not %s", site->url,
                           member_text(document, "site"), site->name);
    }
    return api_take_document(cli, site, TAKE(document), site->ca_pem != NULL);
}

err_t path_add_escaped(struct buf *path, const char *text) {
    return percent_encode(span_str(text), path);
}

/* "." and ".." would be resolved away, also when percent-encoded, and servers differ over "%2F". */
static bool is_path_name(const char *text) {
    return text[0] != '\0' && strchr(text, '/') == NULL && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

err_t api_path(struct cli *cli, char **out, ...) {
    struct buf path CLEANUP(buf_done) = BUF(PATH_CHARS_MAX);
    va_list parts;
    va_start(parts, out);
    err_t err = OK;
    bool name = false;
    for (const char *part; !failed(err) && (part = va_arg(parts, const char *)) != NULL;) {
        if (name && !is_path_name(part)) {
            err = trouble_set(&cli->trouble, EXIT_USAGE, "\"%s\" is no name", part);
        } else {
            err = name ? path_add_escaped(&path, part) : buf_add_str(&path, part);
        }
        name = !name;
    }
    va_end(parts);
    TRY(err);
    return buf_to_str(&path, out);
}
