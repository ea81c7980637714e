#include "cli/document.h"

#include <string.h>

#include "base/limits.h"
#include "model/entity.h"

enum { CA_KEYS_MAX = 64 };

/* Names in ~/.ssh that sshd or ssh act upon. */
static const char *const reserved[] = {
    "authorized_keys", "authorized_keys2", "config", "environment",
    "known_hosts",     "known_hosts2",     "rc",
};

static err_t check_key_file(const char *path, struct fault *fault) {
    static const char prefix[] = "~/.ssh/";
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *name = path + strlen(prefix);
    bool plain = strncmp(path, prefix, strlen(prefix)) == 0 && name[0] != '\0' && name[0] != '.' &&
                 name[0] != '-' && strlen(name) <= 64 && name[strspn(name, letters)] == '\0';
    for (size_t i = 0; plain && i < COUNT_OF(reserved); i++) {
        plain = strcmp(name, reserved[i]) != 0;
    }
    if (!plain) {
        return fault_set(fault, ERR_PROTOCOL, "defaultKeyFile",
                         "it is not a plain name in ~/.ssh: %s", path);
    }
    return OK;
}

static err_t check_ca_keys(const json_t *document, const char *member, struct fault *fault) {
    struct key_list list CLEANUP(key_list_done) = {0};
    const json_t *keys = json_object_get(document, member);
    if (!json_is_array(keys) || json_array_size(keys) > CA_KEYS_MAX) {
        return fault_set(fault, ERR_PROTOCOL, member, "it is no list of up to %d keys",
                         (int)CA_KEYS_MAX);
    }
    err_t err = document_ca_keys(document, member, &list);
    if (failed(err)) {
        return fault_set(fault, ERR_PROTOCOL, member, "one of its keys: %s", err_text(err));
    }
    return OK;
}

err_t document_check(const json_t *document, struct fault *fault) {
    if (!json_is_object(document) ||
        json_integer_value(json_object_get(document, "version")) != 1) {
        return fault_set(fault, ERR_PROTOCOL, "version",
                         "it is not 1; this postern may be too old for the authority");
    }
    const char *site = json_string_value(json_object_get(document, "site"));
    if (site == NULL || failed(cluster_name_check(span_str(site), NULL))) {
        return fault_set(fault, ERR_PROTOCOL, "site", "it is no name of a site");
    }
    TRY(check_ca_keys(document, "userCaKeys", fault));
    TRY(check_ca_keys(document, "hostCaKeys", fault));
    if (json_array_size(json_object_get(document, "userCaKeys")) == 0) {
        return fault_set(fault, ERR_PROTOCOL, "userCaKeys", "the list is empty");
    }
    const json_t *key_file = json_object_get(document, "defaultKeyFile");
    if (!json_is_string(key_file)) {
        return fault_set(fault, ERR_PROTOCOL, "defaultKeyFile", "it is missing");
    }
    return check_key_file(json_string_value(key_file), fault);
}

void key_list_done(struct key_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        key_free(list->keys[i]);
    }
    free(list->keys);
    *list = (struct key_list){0};
}

err_t document_ca_keys(const json_t *document, const char *member, struct key_list *out) {
    const json_t *lines = json_object_get(document, member);
    struct key_list list CLEANUP(key_list_done) = {0};
    size_t count = json_array_size(lines);
    list.keys = calloc(count + 1, sizeof(struct key *));
    if (list.keys == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        if (line == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        TRY(key_parse_line(span_str(line), &list.keys[list.count], NULL));
        list.count++;
    }
    *out = list;
    list = (struct key_list){0};
    return OK;
}

bool key_list_has(const struct key_list *list, const struct key *key) {
    for (size_t i = 0; i < list->count; i++) {
        if (key_equal(list->keys[i], key)) {
            return true;
        }
    }
    return false;
}

static bool covers(const json_t *a, const json_t *b, const char *member) {
    struct key_list of_a CLEANUP(key_list_done) = {0};
    struct key_list of_b CLEANUP(key_list_done) = {0};
    if (failed(document_ca_keys(a, member, &of_a)) || failed(document_ca_keys(b, member, &of_b))) {
        return false;
    }
    for (size_t i = 0; i < of_b.count; i++) {
        if (!key_list_has(&of_a, of_b.keys[i])) {
            return false;
        }
    }
    return true;
}

bool document_same_ca_keys(const json_t *a, const json_t *b) {
    return covers(a, b, "userCaKeys") && covers(b, a, "userCaKeys") && covers(a, b, "hostCaKeys") &&
           covers(b, a, "hostCaKeys");
}

bool document_wants_encrypted_keys(const json_t *document) {
    return json_is_true(
        json_object_get(json_object_get(document, "policy"), "encryptedKeysRequired"));
}

const char *document_key_file(const json_t *document) {
    return json_string_value(json_object_get(document, "defaultKeyFile"));
}
