#include <cyaml/cyaml.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "host/host.h"
#include "host/sync_host.h"

/* The file as it is written. */
struct yaml {
    char *state;
    char *command_user;
    char **host_keys;
    unsigned host_keys_count;
    char *when_stale;
    char *max_age;
    char *min_uid;
    char *registered_keys; /* libcyaml takes any word for a true boolean */
};

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4096)};

static const cyaml_schema_field_t yaml_fields[] = {
    CYAML_FIELD_STRING_PTR("state", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml, state, 1,
                           4096),
    CYAML_FIELD_STRING_PTR("command-user", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                           command_user, 1, LIMIT_ACCOUNT_NAME_CHARS),
    CYAML_FIELD_SEQUENCE("host-keys", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                         host_keys, &text_schema, 0, CONFIG_HOST_KEYS_MAX),
    CYAML_FIELD_STRING_PTR("when-stale", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                           when_stale, 1, 32),
    CYAML_FIELD_STRING_PTR("max-age", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                           max_age, 1, 32),
    CYAML_FIELD_STRING_PTR("min-uid", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                           min_uid, 1, 16),
    CYAML_FIELD_STRING_PTR("registered-keys", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml,
                           registered_keys, 1, 16),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t yaml_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml, yaml_fields)};

/* libcyaml tells what is wrong, and then where, line by line: all of it becomes the reason. */
__attribute__((format(printf, 3, 0))) static void
note_error(cyaml_log_t level, void *context, const char *format, va_list arguments) {
    struct fault *fault = context;
    size_t len = strlen(fault->reason);
    if (level < CYAML_LOG_ERROR || len + 1 >= sizeof fault->reason) {
        return;
    }
    (void)vsnprintf(fault->reason + len, sizeof fault->reason - len, format, arguments);
    for (char *at = fault->reason + len; *at != '\0'; at++) {
        *at = *at == '\n' ? ' ' : *at;
    }
}

static err_t read_yaml(const char *path, const cyaml_config_t *cyaml, struct yaml **out,
                       struct fault *why, struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    err_t err = file_read(path, &text);
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    if (cyaml_load_data(text.data, text.len, cyaml, &yaml_schema, (cyaml_data_t **)out, NULL) !=
        CYAML_OK) {
        return fault_set(fault, ERR_MALFORMED, path, "%.400s", why->reason);
    }
    return OK;
}

static err_t take_text(char **from, const char *otherwise, char **out) {
    *out = *from != NULL ? strdup(*from) : strdup(otherwise);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

static err_t take_staleness(const struct yaml *yaml, struct config *config, struct fault *fault) {
    const char *policy = yaml->when_stale != NULL ? yaml->when_stale : "strict";
    config->best_effort = strcmp(policy, "best-effort") == 0;
    if (!config->best_effort && strcmp(policy, "strict") != 0) {
        return fault_set(fault, ERR_MALFORMED, "when-stale", "must be strict or best-effort");
    }
    const char *age = yaml->max_age != NULL ? yaml->max_age : "1d";
    err_t err = duration_parse(span_str(age), &config->max_age_s);
    return failed(err) ? fault_set(fault, err.code, "max-age",
                                   "\"%s\" is not a duration like 12h or 1d", age)
                       : OK;
}

static err_t take_user(struct config *config, struct fault *fault) {
    const struct passwd *user = getpwnam(config->command_user);
    if (user == NULL) {
        return fault_set(fault, ERR_NOT_FOUND, "command-user", "there is no user %s",
                         config->command_user);
    }
    config->command_group = user->pw_gid;
    return OK;
}

static err_t take_min_uid(const struct yaml *yaml, struct config *config, struct fault *fault) {
    uint64_t uid = HOST_UID_MIN;
    err_t err = yaml->min_uid == NULL ? OK : u64_parse(span_str(yaml->min_uid), &uid);
    if (failed(err) || uid == 0 || uid > UINT32_MAX) {
        return fault_set(fault, ERR_RANGE, "min-uid", "must be a user's number, and not root's");
    }
    config->min_uid = (uint32_t)uid;
    return OK;
}

static err_t add_host_key(struct config *config, const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    config->host_keys[config->host_key_count++] = copy;
    return OK;
}

static err_t take_host_keys(const struct yaml *yaml, struct config *config, struct fault *fault) {
    static const char *const usual[] = {"/etc/ssh/ssh_host_ed25519_key.pub",
                                        "/etc/ssh/ssh_host_ecdsa_key.pub",
                                        "/etc/ssh/ssh_host_rsa_key.pub"};
    for (size_t i = 0; yaml->host_keys == NULL && i < COUNT_OF(usual); i++) {
        if (access(usual[i], R_OK) == 0) {
            TRY(add_host_key(config, usual[i]));
        }
    }
    for (unsigned i = 0; i < yaml->host_keys_count; i++) {
        char *ignored CLEANUP(freep) = NULL;
        if (failed(certificate_path(yaml->host_keys[i], &ignored))) {
            return fault_set(fault, ERR_MALFORMED, "host-keys",
                             "%s is not a public key: its name must end in .pub",
                             yaml->host_keys[i]);
        }
        TRY(add_host_key(config, yaml->host_keys[i]));
    }
    return OK;
}

static err_t fill(struct yaml *yaml, const char *state_dir, struct config *config,
                  struct fault *fault) {
    char *chosen = (char *)(uintptr_t)state_dir;
    TRY(take_text(state_dir != NULL ? &chosen : &yaml->state, HOST_STATE_DIR, &config->state_dir));
    if (config->state_dir[0] != '/') {
        return fault_set(fault, ERR_MALFORMED, "state", "%s is not an absolute path",
                         config->state_dir);
    }
    TRY(take_text(&yaml->command_user, "nobody", &config->command_user));
    TRY(take_user(config, fault));
    TRY(take_min_uid(yaml, config, fault));
    TRY(take_staleness(yaml, config, fault));
    const char *registered = yaml->registered_keys != NULL ? yaml->registered_keys : "true";
    config->registered_keys = strcmp(registered, "true") == 0;
    if (!config->registered_keys && strcmp(registered, "false") != 0) {
        return fault_set(fault, ERR_MALFORMED, "registered-keys", "must be true or false");
    }
    return take_host_keys(yaml, config, fault);
}

err_t config_load(const char *path, const char *state_dir, struct config *out,
                  struct fault *fault) {
    struct fault why = {0};
    const cyaml_config_t cyaml = {.log_fn = note_error,
                                  .log_ctx = &why,
                                  .mem_fn = cyaml_mem,
                                  .log_level = CYAML_LOG_ERROR,
                                  .flags = CYAML_CFG_DEFAULT};
    struct yaml none = {0};
    struct yaml *yaml = NULL;
    if (path != NULL || access(CONFIG_FILE, F_OK) == 0) {
        TRY(read_yaml(path != NULL ? path : CONFIG_FILE, &cyaml, &yaml, &why, fault));
    }
    struct config config CLEANUP(config_done) = {0};
    err_t err = fill(yaml != NULL ? yaml : &none, state_dir, &config, fault);
    if (yaml != NULL) {
        (void)cyaml_free(&cyaml, &yaml_schema, yaml, 0);
    }
    TRY(err);
    *out = config;
    config = (struct config){0};
    return OK;
}

void config_done(struct config *config) {
    free(config->state_dir);
    free(config->command_user);
    for (size_t i = 0; i < config->host_key_count; i++) {
        free(config->host_keys[i]);
    }
    *config = (struct config){0};
}
