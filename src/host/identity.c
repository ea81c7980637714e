#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "host/sync_host.h"

enum { TOKEN_CHARS_MAX = 512 };
static const char identity_file[] = "host.json";

static void json_freep(json_t **json) { json_decref(*json); }

static err_t copy_text(const json_t *root, const char *name, bool required, char **out) {
    const json_t *member = json_object_get(root, name);
    const char *text = json_string_value(member);
    if (text == NULL) {
        /* A CA that is there and no text must not read as none: that trusts the system's. */
        return required || member != NULL ? FAIL(ERR_MALFORMED) : OK;
    }
    *out = strdup(text);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

static err_t parse(span_t text, struct identity *identity) {
    json_t *root CLEANUP(json_freep) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(root, "hostToken"));
    if (token == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(copy_text(root, "url", true, &identity->url));
    TRY(copy_text(root, "name", true, &identity->name));
    TRY(copy_text(root, "caPem", false, &identity->ca_pem));
    TRY(copy_text(root, "cluster", false, &identity->cluster));
    return secret_copy(span_str(token), TOKEN_CHARS_MAX, &identity->token);
}

err_t identity_load(const char *state_dir, struct identity *out, struct fault *fault) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct identity identity CLEANUP(identity_done) = {0};
    TRY(path_join(state_dir, identity_file, &path));
    err_t err = file_read(path, &text);
    if (err.code == ERR_NOT_FOUND) {
        return fault_set(fault, ERR_NOT_FOUND, path,
                         "this machine is not enrolled; run: postern-host enrol");
    }
    if (!failed(err)) {
        err = parse(buf_span(&text), &identity);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    *out = identity;
    identity = (struct identity){0};
    return OK;
}

err_t identity_save(const char *state_dir, const struct identity *identity) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    json_t *root CLEANUP(json_freep) = json_pack(
        "{s:s, s:s, s:s*, s:s*, s:s}", "url", identity->url, "name", identity->name, "cluster",
        identity->cluster, "caPem", identity->ca_pem, "hostToken", identity->token.text);
    char *dump = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    if (dump == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = buf_add_format(&text, "%s\n", dump);
    secret_wipe(dump, strlen(dump));
    free(dump);
    TRY(err);
    TRY(path_join(state_dir, identity_file, &path));
    return file_replace(path, buf_span(&text), 0600, FILE_DURABLE);
}

void identity_done(struct identity *identity) {
    free(identity->url);
    free(identity->name);
    free(identity->ca_pem);
    free(identity->cluster);
    secret_done(&identity->token);
    *identity = (struct identity){0};
}

err_t identity_client(const struct identity *identity, struct http_client **out,
                      struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_client_config config = {.url = identity->url, .ca_pem = identity->ca_pem};
    struct buf header CLEANUP(buf_done) = BUF(TOKEN_CHARS_MAX + 16);
    TRY(http_client_new(&config, &client, fault));
    TRY(buf_add_format(&header, "Bearer %s", identity->token.text));
    TRY(buf_add_byte(&header, 0));
    TRY(http_client_set_header(client, "Authorization", (const char *)header.data));
    *out = TAKE(client);
    return OK;
}

err_t answer_problem(const struct http_response *response, struct fault *fault) {
    json_t *root CLEANUP(json_freep) =
        json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    const char *message = json_string_value(json_object_get(root, "message"));
    const char *code = json_string_value(json_object_get(root, "code"));
    enum err_code means = response->status >= 500 ? ERR_CLOSED : ERR_REFUSED;
    return fault_set(fault, means, code != NULL ? code : "", "the authority answered %u: %.300s",
                     response->status, message != NULL ? message : "(no reason given)");
}
