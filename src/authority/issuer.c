#include "authority/issuer.h"

#include <stdio.h>

#include "authority/authority.h"
#include "base/secret.h"

#define KEYS_NAME "issuer_keys"
enum { DOCUMENT_BYTES_MAX = 256 * 1024 };

static err_t keep(const struct signing_keys *keys, struct store *store) {
    struct buf text CLEANUP(buf_done) = BUF(DOCUMENT_BYTES_MAX);
    TRY(signing_keys_print(keys, &text));
    TRY(buf_add_byte(&text, '\0'));
    return store_meta_put(store, KEYS_NAME, (const char *)text.data);
}

err_t issuer_rotate(struct issuer *issuer, struct store *store, struct signing_key *key,
                    int64_t now) {
    signing_keys_rotate(issuer->keys, key, now);
    return keep(issuer->keys, store);
}

err_t issuer_rotate_if_due(struct issuer *issuer, struct store *store, int64_t now) {
    struct signing_key *key;
    if (!signing_keys_due(issuer->keys, now)) {
        return OK;
    }
    TRY(signing_key_make(now, &key));
    return issuer_rotate(issuer, store, key, now);
}

static err_t load(struct store *store, struct signing_keys **out) {
    char *text = NULL;
    err_t err = store_meta_get(store, KEYS_NAME, &text);
    if (err.code == ERR_NOT_FOUND) {
        return signing_keys_new(out);
    }
    TRY(err);
    err = signing_keys_parse(text, out);
    secret_wipe(text, strlen(text));
    free(text);
    return err;
}

static void issuer_freep(struct issuer **issuer) { issuer_free(*issuer); }

err_t issuer_new(struct store *store, int64_t now, struct issuer **out) {
    struct issuer *issuer CLEANUP(issuer_freep) = calloc(1, sizeof *issuer);
    if (issuer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(load(store, &issuer->keys));
    TRY(issuer_rotate_if_due(issuer, store, now));
    *out = TAKE(issuer);
    return OK;
}

void issuer_free(struct issuer *issuer) {
    if (issuer != NULL) {
        signing_keys_free(issuer->keys);
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
