#include "authority/issuer.h"

#include <stdio.h>

#include "authority/authority.h"
#include "authority/store_file.h"
#include "base/file.h"

enum { DOCUMENT_BYTES_MAX = 256 * 1024 };

static err_t keep(const struct issuer *issuer) {
    struct buf text CLEANUP(buf_done) = BUF(DOCUMENT_BYTES_MAX);
    TRY(signing_keys_print(issuer->keys, &text));
    return file_replace(issuer->path, buf_span(&text), 0600, FILE_DURABLE);
}

err_t issuer_rotate(struct issuer *issuer, struct signing_key *key, int64_t now) {
    signing_keys_rotate(issuer->keys, key, now);
    return keep(issuer);
}

err_t issuer_rotate_if_due(struct issuer *issuer, int64_t now) {
    struct signing_key *key;
    if (!signing_keys_due(issuer->keys, now)) {
        return OK;
    }
    TRY(signing_key_make(now, &key));
    return issuer_rotate(issuer, key, now);
}

static err_t load(const char *path, struct signing_keys **out) {
    struct buf text CLEANUP(buf_done) = BUF(DOCUMENT_BYTES_MAX);
    err_t err = file_read(path, &text);
    if (err.code == ERR_NOT_FOUND) {
        return signing_keys_new(out);
    }
    TRY(err);
    TRY(buf_add_byte(&text, '\0'));
    return signing_keys_parse((const char *)text.data, out);
}

static void issuer_freep(struct issuer **issuer) { issuer_free(*issuer); }

static err_t open_keys(struct issuer *issuer, int64_t now) {
    TRY(load(issuer->path, &issuer->keys));
    return issuer_rotate_if_due(issuer, now);
}

err_t issuer_new(const struct config *config, int64_t now, struct issuer **out,
                 struct fault *fault) {
    struct issuer *issuer CLEANUP(issuer_freep) = calloc(1, sizeof *issuer);
    if (issuer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(store_file_path(config, STORE_FILE_ISSUER, &issuer->path));
    err_t err = open_keys(issuer, now);
    if (failed(err)) {
        return fault_set(fault, err.code, "store.path",
                         "%s, the issuer's keys: %s; without the file new ones are made",
                         issuer->path, err_text(err));
    }
    *out = TAKE(issuer);
    return OK;
}

void issuer_free(struct issuer *issuer) {
    if (issuer != NULL) {
        signing_keys_free(issuer->keys);
        free(issuer->path);
        free(issuer);
    }
}

bool issuer_has_client(const struct authority *authority, const char *client) {
    const struct config *config = authority->config;
    bool found = strcmp(client, ISSUER_CLIENT) == 0;
    for (size_t i = 0; i < config->issuer_client_count; i++) {
        found |= strcmp(client, config->issuer_clients[i]) == 0;
    }
    return found;
}
