#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "host/sync_host.h"
#include "ssh/cert.h"

static const char public_suffix[] = ".pub";

static void json_freep(json_t **json) { json_decref(*json); }

err_t certificate_path(const char *key_path, char **out) {
    size_t len = strlen(key_path);
    size_t suffix = sizeof public_suffix - 1;
    if (len <= suffix || strcmp(key_path + len - suffix, public_suffix) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    struct buf path CLEANUP(buf_done) = BUF(8192);
    TRY(buf_add(&path, span_of(key_path, len - suffix)));
    TRY(buf_add_str(&path, "-cert.pub"));
    return buf_to_str(&path, out);
}

static err_t read_key(const char *path, struct key **out, struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    err_t err = file_read(path, &text);
    if (!failed(err)) {
        err = key_parse_line(buf_span(&text), out, NULL);
    }
    return failed(err) ? fault_set(fault, err.code, path, "%s", err_text(err)) : OK;
}

err_t certificates_keys_json(const struct config *config, json_t **out, struct fault *fault) {
    json_t *array CLEANUP(json_freep) = json_array();
    if (config->host_key_count == 0) {
        return fault_set(fault, ERR_NOT_FOUND, "host_keys",
                         "this machine has no SSH host keys; make them: ssh-keygen -A");
    }
    for (size_t i = 0; i < config->host_key_count; i++) {
        struct key *key CLEANUP(key_freep) = NULL;
        struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
        TRY(read_key(config->host_keys[i], &key, fault));
        TRY(key_print_line(key, NULL, &line));
        if (json_array_append_new(array, json_stringn((const char *)line.data, line.len)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    *out = TAKE(array);
    return OK;
}

/* Which of the configured keys a certificate is for. */
static err_t match_key(const struct config *config, const char *line, size_t *index,
                       struct fault *fault) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    err_t err = cert_parse_line(span_str(line), &cert, NULL);
    if (!failed(err) && cert->type != CERT_HOST) {
        err = FAIL(ERR_CONFLICT);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, "certificates", "an entry is no host certificate: %s",
                         err_text(err));
    }
    for (size_t i = 0; i < config->host_key_count; i++) {
        struct key *key CLEANUP(key_freep) = NULL;
        TRY(read_key(config->host_keys[i], &key, fault));
        if (key_equal(key, cert->key)) {
            *index = i;
            return OK;
        }
    }
    return fault_set(fault, ERR_CONFLICT, "certificates",
                     "an entry is for a key that is not one of this machine's");
}

static err_t write_certificate(const char *key_path, const char *line) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(2 * LIMIT_CERT_BLOB_BYTES);
    TRY(certificate_path(key_path, &path));
    TRY(buf_add_format(&text, "%s\n", line));
    return file_replace(path, buf_span(&text), 0644, FILE_DURABLE);
}

err_t certificates_install(const struct config *config, const json_t *lines, struct fault *fault) {
    const char *found[CONFIG_HOST_KEYS_MAX] = {NULL};
    if (!json_is_array(lines) || json_array_size(lines) > CONFIG_HOST_KEYS_MAX) {
        return fault_set(fault, ERR_PROTOCOL, "certificates", "is no list of certificates");
    }
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        size_t index = 0;
        TRY(match_key(config, line != NULL ? line : "", &index, fault));
        found[index] = line;
    }
    for (size_t i = 0; i < config->host_key_count; i++) {
        if (found[i] == NULL) {
            continue;
        }
        err_t err = write_certificate(config->host_keys[i], found[i]);
        if (failed(err)) {
            return fault_set(fault, err.code, config->host_keys[i],
                             "cannot write its certificate: %s", err_text(err));
        }
    }
    return OK;
}

static err_t due_of(const char *key_path, int64_t *renew_at, int64_t *ends_at) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(2 * LIMIT_CERT_BLOB_BYTES);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(certificate_path(key_path, &path));
    TRY(file_read(path, &text));
    TRY(cert_parse_line(buf_span(&text), &cert, NULL));
    if (cert->valid_before > INT64_MAX) {
        *renew_at = *ends_at = INT64_MAX; /* CERT_FOREVER */
        return OK;
    }
    *ends_at = (int64_t)cert->valid_before;
    *renew_at = (int64_t)(cert->valid_before - (cert->valid_before - cert->valid_after) / 3);
    return OK;
}

void certificates_due(const struct config *config, int64_t *renew_at, int64_t *ends_at) {
    *renew_at = INT64_MAX;
    *ends_at = INT64_MAX;
    for (size_t i = 0; i < config->host_key_count; i++) {
        int64_t renew = 0;
        int64_t ends = 0;
        /* Unreadable is as good as missing: it is asked for again. */
        ignore_err(due_of(config->host_keys[i], &renew, &ends));
        *renew_at = renew < *renew_at ? renew : *renew_at;
        *ends_at = ends < *ends_at ? ends : *ends_at;
    }
}

err_t certificates_renew(const struct config *config, struct http_client *client,
                         struct fault *fault) {
    json_t *keys = NULL;
    TRY(certificates_keys_json(config, &keys, fault));
    json_t *body CLEANUP(json_freep) = json_pack("{s:o}", "hostKeys", keys);
    char *text CLEANUP(freep) = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    TRY(http_client_call(client, HTTP_POST, "/api/v1/host/certificates", span_str(text), 0,
                         &response, fault));
    if (response.status != 200) {
        return answer_problem(&response, fault);
    }
    TRY(reload_mark(config->state_dir)); /* sshd has the old ones in its memory */
    json_t *answer CLEANUP(json_freep) = json_loadb(
        (const char *)response.body.data, response.body.len, JSON_REJECT_DUPLICATES, NULL);
    return certificates_install(config, json_object_get(answer, "certificates"), fault);
}
