#include "authority/config.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

struct reader {
    struct config *config;
    yaml_document_t *document;
    const char *file; /* its last component, for complaints */
    char *folder;
    config_complain *complain;
    void *context;
    size_t complaints;
};

struct setting {
    const char *name; /* "listen.port" */
    bool required;
    void (*set)(struct reader *reader, const struct setting *setting, const yaml_node_t *node);
    size_t offset;     /* in struct config, of a text */
    const char *usual; /* a text's default; NULL: stays unset */
};

__attribute__((format(printf, 4, 5))) static void
complain(struct reader *reader, size_t line, const char *field, const char *format, ...) {
    char where[320], reason[512];
    if (line > 0) {
        (void)snprintf(where, sizeof where, "%s:%zu", reader->file, line);
    } else {
        (void)snprintf(where, sizeof where, "%s", reader->file);
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    reader->complaints++;
    reader->complain(reader->context, &(struct config_complaint){where, field, reason});
}

static size_t line_of(const yaml_node_t *node) { return node->start_mark.line + 1; }

/* The text of a scalar; NULL after a complaint. */
static const char *scalar(struct reader *reader, const char *field, const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) {
        complain(reader, line_of(node), field, "must be a single value, not a %s",
                 node->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length ||
        !text_is_utf8(span_of(text, node->data.scalar.length))) {
        complain(reader, line_of(node), field, "has a control character in it");
        return NULL;
    }
    return text;
}

static bool number(struct reader *reader, const char *field, const yaml_node_t *node, uint64_t min,
                   uint64_t max, uint64_t *out) {
    const char *text = scalar(reader, field, node);
    if (text == NULL) {
        return false;
    }
    uint64_t value;
    if (failed(u64_parse(span_str(text), &value)) || value < min || value > max) {
        complain(reader, line_of(node), field, "\"%.60s\" is not a whole number from %llu to %llu",
                 text, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = value;
    return true;
}

static bool duration(struct reader *reader, const char *field, const yaml_node_t *node,
                     int64_t *out) {
    const char *text = scalar(reader, field, node);
    if (text == NULL) {
        return false;
    }
    err_t err = duration_parse(span_str(text), out);
    if (err.code == ERR_RANGE) {
        complain(reader, line_of(node), field, "\"%.60s\" is zero or longer than a year", text);
    } else if (failed(err)) {
        complain(reader, line_of(node), field,
                 "\"%.60s\" is not a duration; write a number and a unit: 1d, 12h, 30min, 90s",
                 text);
    }
    return !failed(err);
}

static bool boolean(struct reader *reader, const char *field, const yaml_node_t *node, bool *out) {
    const char *text = scalar(reader, field, node);
    if (text == NULL) {
        return false;
    }
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        complain(reader, line_of(node), field, "\"%.60s\" is neither true nor false", text);
        return false;
    }
    *out = strcmp(text, "true") == 0;
    return true;
}

/* Calls item() for each text of a list; a single text is a list of one. */
static void list(struct reader *reader, const char *field, const yaml_node_t *node, size_t max,
                 void (*item)(struct reader *reader, const char *field, const yaml_node_t *node)) {
    if (node->type == YAML_SCALAR_NODE) {
        item(reader, field, node);
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        complain(reader, line_of(node), field, "must be a list: [a, b]");
        return;
    }
    size_t count = 0;
    for (const yaml_node_item_t *at = node->data.sequence.items.start;
         at < node->data.sequence.items.top; at++) {
        if (count++ == max) {
            complain(reader, line_of(node), field, "has more than %zu items", max);
            return;
        }
        item(reader, field, yaml_document_get_node(reader->document, *at));
    }
}

static char **text_at(struct config *config, size_t offset) {
    return (char **)(void *)((char *)config + offset);
}

static void store_text(struct reader *reader, size_t offset, const char *text) {
    char *copy = strdup(text);
    INVARIANT(copy != NULL);
    free(*text_at(reader->config, offset));
    *text_at(reader->config, offset) = copy;
}

static void set_text(struct reader *reader, const struct setting *setting,
                     const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    if (text == NULL) {
        return;
    }
    if (text[0] == '\0') {
        complain(reader, line_of(node), setting->name, "is empty; give a value or leave it out");
        return;
    }
    store_text(reader, setting->offset, text);
}

static void set_path(struct reader *reader, const struct setting *setting,
                     const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    if (text == NULL) {
        return;
    }
    if (text[0] == '\0') {
        complain(reader, line_of(node), setting->name, "is empty; give a path");
        return;
    }
    char *path CLEANUP(freep) = NULL;
    if (text[0] != '/') {
        INVARIANT(!failed(path_join(reader->folder, text, &path)));
    }
    store_text(reader, setting->offset, path != NULL ? path : text);
}

/* ---- the settings ------------------------------------------------------------------------ */

static void set_site_name(struct reader *reader, const struct setting *setting,
                          const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    struct fault fault = {.reason = ""};
    if (text == NULL) {
        return;
    }
    if (failed(cluster_name_check(span_str(text), &fault))) {
        complain(reader, line_of(node), setting->name,
                 "\"%.60s\" cannot be a site's name, which stands in every certificate: lower-case "
                 "letters, digits, '.', '_', '-'",
                 text);
        return;
    }
    store_text(reader, setting->offset, text);
}

static void set_address(struct reader *reader, const struct setting *setting,
                        const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    struct inet_address address;
    if (text == NULL) {
        return;
    }
    if (failed(inet_address_parse(span_str(text), &address))) {
        complain(
            reader, line_of(node), setting->name,
            "\"%.60s\" is not an IP address; write 0.0.0.0 or \"::\" for all of this machine's",
            text);
        return;
    }
    store_text(reader, setting->offset, text);
}

static void set_port(struct reader *reader, const struct setting *setting,
                     const yaml_node_t *node) {
    uint64_t value;
    if (number(reader, setting->name, node, 0, UINT16_MAX, &value)) {
        reader->config->listen_port = (uint16_t)value;
    }
}

static void set_url(struct reader *reader, const struct setting *setting, const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    if (text == NULL) {
        return;
    }
    size_t len = strlen(text);
    bool https = strncmp(text, "https://", 8) == 0 && len > 8;
    bool http = strncmp(text, "http://", 7) == 0 && len > 7;
    if ((!https && !http) || !text_is_printable(span_str(text)) ||
        strpbrk(text, " \"'<>\\?#") != NULL) {
        complain(reader, line_of(node), setting->name,
                 "\"%.60s\" is not a URL; write https://NAME or https://NAME:PORT", text);
        return;
    }
    store_text(reader, setting->offset, text);
    char *copy = *text_at(reader->config, setting->offset);
    while (len > 0 && copy[len - 1] == '/') {
        copy[--len] = '\0';
    }
}

static void add_duration(struct reader *reader, const char *field, const yaml_node_t *node) {
    struct policy *policy = &reader->config->policy;
    int64_t seconds;
    if (duration(reader, field, node, &seconds)) {
        if (seconds > LIMIT_SIGNER_USER_S - 3600) {
            complain(reader, line_of(node), field,
                     "is more than 31d, which the signer refuses; access that lasts longer is "
                     "renewed");
            return;
        }
        policy->durations[policy->duration_count++] = seconds;
        if (seconds > policy->duration_max_s) {
            policy->duration_max_s = seconds;
        }
    }
}

static void set_durations(struct reader *reader, const struct setting *setting,
                          const yaml_node_t *node) {
    reader->config->policy.duration_count = 0;
    reader->config->policy.duration_max_s = 0;
    list(reader, setting->name, node, POLICY_DURATIONS_COUNT, add_duration);
}

static void set_default_duration(struct reader *reader, const struct setting *setting,
                                 const yaml_node_t *node) {
    if (!duration(reader, setting->name, node, &reader->config->policy.duration_default_s)) {
        reader->config->policy.duration_default_s = 0;
    }
}

static void set_quota(struct reader *reader, const struct setting *setting,
                      const yaml_node_t *node) {
    uint64_t value;
    if (number(reader, setting->name, node, 1, UINT32_MAX, &value)) {
        reader->config->policy.quota_per_day = (uint32_t)value;
    }
}

static void add_key_type(struct reader *reader, const char *field, const yaml_node_t *node) {
    const char *text = scalar(reader, field, node);
    uint32_t bits;
    if (text == NULL) {
        return;
    }
    if (failed(policy_key_type_parse(span_str(text), &bits))) {
        complain(reader, line_of(node), field,
                 "\"%.60s\" is not a key type; known are ed25519, ecdsa, rsa, sk-ed25519, sk-ecdsa",
                 text);
        return;
    }
    reader->config->policy.key_types |= bits;
}

static void set_key_types(struct reader *reader, const struct setting *setting,
                          const yaml_node_t *node) {
    reader->config->policy.key_types = 0;
    list(reader, setting->name, node, 16, add_key_type);
}

static void set_rsa_bits(struct reader *reader, const struct setting *setting,
                         const yaml_node_t *node) {
    uint64_t value;
    if (number(reader, setting->name, node, LIMIT_RSA_BITS_MIN, LIMIT_RSA_BITS_MAX, &value)) {
        reader->config->policy.rsa_bits_min = (unsigned)value;
    }
}

static void add_extension(struct reader *reader, const char *field, const yaml_node_t *node) {
    static const char *const known[] = {"permit-X11-forwarding",  "permit-agent-forwarding",
                                        "permit-port-forwarding", "permit-pty",
                                        "permit-user-rc",         "no-touch-required"};
    struct policy *policy = &reader->config->policy;
    const char *text = scalar(reader, field, node);
    if (text == NULL) {
        return;
    }
    bool found = strchr(text, '@') != NULL; /* a vendor's own (name@domain) passes */
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        found |= strcmp(text, known[i]) == 0;
    }
    if (!found || strlen(text) > LIMIT_OPTION_NAME_CHARS) {
        complain(reader, line_of(node), field,
                 "\"%.60s\" is not an extension of OpenSSH certificates; known are permit-pty, "
                 "permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding, "
                 "permit-user-rc, no-touch-required",
                 text);
        return;
    }
    (void)snprintf(policy->extensions[policy->extension_count++], LIMIT_OPTION_NAME_CHARS + 1, "%s",
                   text);
}

static void set_extensions(struct reader *reader, const struct setting *setting,
                           const yaml_node_t *node) {
    reader->config->policy.extension_count = 0;
    list(reader, setting->name, node, POLICY_EXTENSIONS_COUNT, add_extension);
}

static void set_force_command(struct reader *reader, const struct setting *setting,
                              const yaml_node_t *node) {
    (void)boolean(reader, setting->name, node, &reader->config->policy.force_command_allowed);
}

static void set_encrypted_keys(struct reader *reader, const struct setting *setting,
                               const yaml_node_t *node) {
    (void)boolean(reader, setting->name, node, &reader->config->policy.encrypted_keys_required);
}

static void add_network(struct reader *reader, const char *field, const yaml_node_t *node) {
    struct subnet_list *subnets = &reader->config->policy.subnets;
    const char *text = scalar(reader, field, node);
    if (text == NULL) {
        return;
    }
    err_t err = inet_subnet_parse(span_str(text), &subnets->subnets[subnets->count]);
    if (failed(err)) {
        complain(reader, line_of(node), field,
                 "\"%.60s\" is %s; write 192.0.2.0/24 or 2001:db8::/32", text,
                 err.code == ERR_RANGE ? "a subnet with bits set beyond its prefix"
                                       : "not a subnet");
        return;
    }
    subnets->count++;
}

static void set_networks(struct reader *reader, const struct setting *setting,
                         const yaml_node_t *node) {
    reader->config->policy.subnets.count = 0;
    list(reader, setting->name, node, LIMIT_SUBNETS_COUNT, add_network);
}

static void set_backdate(struct reader *reader, const struct setting *setting,
                         const yaml_node_t *node) {
    int64_t seconds;
    if (duration(reader, setting->name, node, &seconds)) {
        if (seconds > 3600) {
            complain(reader, line_of(node), setting->name,
                     "is more than 1h; it only covers clocks that disagree: 1min");
            return;
        }
        reader->config->policy.backdate_s = seconds;
    }
}

static void set_host_duration(struct reader *reader, const struct setting *setting,
                              const yaml_node_t *node) {
    (void)duration(reader, setting->name, node, &reader->config->policy.host_duration_s);
}

static void set_session_lifetime(struct reader *reader, const struct setting *setting,
                                 const yaml_node_t *node) {
    (void)duration(reader, setting->name, node, &reader->config->session_lifetime_s);
}

static void set_log_level(struct reader *reader, const struct setting *setting,
                          const yaml_node_t *node) {
    const char *text = scalar(reader, setting->name, node);
    if (text != NULL && failed(log_level_parse(text, &reader->config->log_level))) {
        complain(reader, line_of(node), setting->name,
                 "\"%.60s\" is not a level; known are debug, info, warn, error", text);
    }
}

static void set_replica(struct reader *reader, const struct setting *setting,
                        const yaml_node_t *node) {
    uint64_t value;
    if (number(reader, setting->name, node, 0, 1023, &value)) {
        reader->config->replica = (uint16_t)value;
    }
}

#define TEXT(member) offsetof(struct config, member)
static const struct setting settings[] = {
    {"site.name", true, set_site_name, TEXT(site_name), NULL},
    {"site.title", false, set_text, TEXT(site_title), NULL},
    {"site.default_key_file", false, set_text, TEXT(default_key_file), "~/.ssh/id_ed25519"},
    {"listen.address", false, set_address, TEXT(listen_address), "0.0.0.0"},
    {"listen.port", false, set_port, 0, NULL},
    {"tls.certificate", false, set_path, TEXT(tls_certificate), NULL},
    {"tls.key", false, set_path, TEXT(tls_key), NULL},
    {"public_url", true, set_url, TEXT(public_url), NULL},
    {"store.path", true, set_path, TEXT(store_path), NULL},
    {"signer.directory", false, set_path, TEXT(signer_directory), NULL},
    {"signer.agent", false, set_path, TEXT(signer_agent), NULL},
    {"policy.durations", false, set_durations, 0, NULL},
    {"policy.default_duration", false, set_default_duration, 0, NULL},
    {"policy.quota_per_day", false, set_quota, 0, NULL},
    {"policy.key_types", false, set_key_types, 0, NULL},
    {"policy.rsa_bits_min", false, set_rsa_bits, 0, NULL},
    {"policy.extensions", false, set_extensions, 0, NULL},
    {"policy.force_command", false, set_force_command, 0, NULL},
    {"policy.encrypted_keys_required", false, set_encrypted_keys, 0, NULL},
    {"policy.source_networks", false, set_networks, 0, NULL},
    {"policy.backdate", false, set_backdate, 0, NULL},
    {"policy.host_certificate_duration", false, set_host_duration, 0, NULL},
    {"session_lifetime", false, set_session_lifetime, 0, NULL},
    {"log_level", false, set_log_level, 0, NULL},
    {"replica", false, set_replica, 0, NULL},
};
#undef TEXT
_Static_assert(COUNT_OF(settings) <= CONFIG_SETTINGS_COUNT, "lines[] has one for each");

/* ---- walking the file -------------------------------------------------------------------- */

static bool is_section(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (strncmp(settings[i].name, name, len) == 0 && settings[i].name[len] == '.') {
            return true;
        }
    }
    return false;
}

static void unknown_setting(struct reader *reader, size_t line, const char *name) {
    const char *last = strrchr(name, '.');
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const char *other = strrchr(settings[i].name, '.');
        if (strcmp(last != NULL ? last + 1 : name, other != NULL ? other + 1 : settings[i].name) ==
            0) {
            complain(reader, line, name, "is not known here; did you mean %s?", settings[i].name);
            return;
        }
    }
    complain(reader, line, name, "is not known; examples/posternd.yaml shows all that is");
}

static void read_setting(struct reader *reader, const char *name, const yaml_node_t *key,
                         const yaml_node_t *value) {
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (strcmp(settings[i].name, name) != 0) {
            continue;
        }
        if (reader->config->lines[i] != 0) {
            complain(reader, line_of(key), name, "is set twice, first in line %u",
                     reader->config->lines[i]);
            return;
        }
        reader->config->lines[i] = (unsigned)line_of(key);
        settings[i].set(reader, &settings[i], value);
        return;
    }
    unknown_setting(reader, line_of(key), name);
}

/* section: "" for the file itself. */
static void read_mapping(struct reader *reader, const char *section, const yaml_node_t *node) {
    if (node->type != YAML_MAPPING_NODE) {
        /* "tls:" with nothing under it is an empty scalar; leaving a section empty is fine. */
        if (node->type != YAML_SCALAR_NODE || node->data.scalar.length > 0) {
            complain(reader, line_of(node), section[0] != '\0' ? section : "(file)",
                     "must be a mapping of names and values");
        }
        return;
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        const char *text = scalar(reader, section[0] != '\0' ? section : "(file)", key);
        char name[128];
        if (text == NULL) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s%s%.60s", section, section[0] != '\0' ? "." : "",
                       text);
        if (section[0] == '\0' && is_section(name)) {
            read_mapping(reader, name, value);
        } else {
            read_setting(reader, name, key, value);
        }
    }
}

static size_t where(const struct reader *reader, const char *name) {
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return reader->config->lines[i];
        }
    }
    return 0;
}

static void fill_defaults(struct reader *reader) {
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct setting *setting = &settings[i];
        if (setting->required && reader->config->lines[i] == 0) {
            complain(reader, 0, setting->name, "is missing; examples/posternd.yaml shows it");
        }
        if (setting->usual != NULL && *text_at(reader->config, setting->offset) == NULL) {
            store_text(reader, setting->offset, setting->usual);
        }
    }
    if (reader->config->site_title == NULL && reader->config->site_name != NULL) {
        store_text(reader, offsetof(struct config, site_title), reader->config->site_name);
    }
}

static bool is_loopback(const char *text) {
    struct inet_address address;
    static const uint8_t six[16] = {[15] = 1};
    if (text == NULL || failed(inet_address_parse(span_str(text), &address))) {
        return false;
    }
    return address.family_bits == 32 ? address.bytes[0] == 127
                                     : memcmp(address.bytes, six, sizeof six) == 0;
}

static void judge_policy(struct reader *reader) {
    struct policy *policy = &reader->config->policy;
    if (policy->duration_default_s == 0) {
        return; /* complained about already */
    }
    bool listed = policy->duration_count == 0;
    for (size_t i = 0; i < policy->duration_count; i++) {
        listed |= policy->durations[i] == policy->duration_default_s;
    }
    if (!listed) {
        complain(reader, where(reader, "policy.default_duration"), "policy.default_duration",
                 "is not one of policy.durations; add it there or choose one of them");
    }
    if (policy->key_types == 0 && where(reader, "policy.key_types") != 0) {
        complain(reader, where(reader, "policy.key_types"), "policy.key_types",
                 "allows no key at all");
    }
}

/* What one setting alone cannot tell. */
static void judge_whole(struct reader *reader) {
    const struct config *config = reader->config;
    judge_policy(reader);
    if ((config->tls_certificate == NULL) != (config->tls_key == NULL)) {
        bool have = config->tls_certificate != NULL;
        complain(reader, where(reader, have ? "tls.certificate" : "tls.key"),
                 have ? "tls.key" : "tls.certificate", "is missing: the two go together");
    } else if (config->tls_certificate == NULL && !is_loopback(config->listen_address)) {
        complain(reader, where(reader, "listen.address"), "tls.certificate",
                 "is missing: without TLS the authority listens on a loopback address alone "
                 "(listen.address: 127.0.0.1), behind a proxy of yours");
    }
    if ((config->signer_directory == NULL) == (config->signer_agent == NULL)) {
        complain(reader, where(reader, "signer.agent"), "signer",
                 config->signer_agent != NULL
                     ? "has both directory and agent; keep the one that holds the CA keys"
                     : "has no directory of CA keys (signer.directory: ca) and no socket of an "
                       "ssh-agent (signer.agent: PATH)");
    }
}

static void set_usual(struct config *config) {
    policy_default(&config->policy);
    config->listen_port = 8443;
    config->session_lifetime_s = 12 * 3600;
    config->log_level = LOG_LEVEL_INFO;
}

static void parse(struct reader *reader, span_t text) {
    yaml_parser_t parser;
    yaml_document_t document;
    INVARIANT(yaml_parser_initialize(&parser) == 1);
    yaml_parser_set_input_string(&parser, text.data, text.len);
    if (yaml_parser_load(&parser, &document) != 1) {
        complain(reader, parser.problem_mark.line + 1, "(file)", "is not YAML: %s (column %zu)",
                 parser.problem != NULL ? parser.problem : "unreadable",
                 parser.problem_mark.column + 1);
        yaml_parser_delete(&parser);
        return;
    }
    reader->document = &document;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root == NULL) {
        complain(reader, 0, "(file)", "is empty; examples/posternd.yaml shows what belongs in it");
    } else {
        read_mapping(reader, "", root);
        fill_defaults(reader);
        judge_whole(reader);
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
}

err_t config_load(const char *path, config_complain *tell, void *context, struct config **out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    err_t err = file_read(path, &text);
    if (failed(err)) {
        tell(context, &(struct config_complaint){path, "(file)", err_text(err)});
        return err;
    }
    struct config *config CLEANUP(config_freep) = calloc(1, sizeof *config);
    char *for_folder CLEANUP(freep) = realpath(path, NULL);
    if (config == NULL || for_folder == NULL) {
        return FAIL(config == NULL ? ERR_MEMORY : ERR_IO);
    }
    config->path = strdup(for_folder);
    INVARIANT(config->path != NULL);
    set_usual(config);
    const char *slash = strrchr(path, '/');
    struct reader reader = {.config = config,
                            .file = slash != NULL ? slash + 1 : path,
                            .folder = dirname(for_folder),
                            .complain = tell,
                            .context = context};
    parse(&reader, buf_span(&text));
    if (reader.complaints > 0) {
        return FAIL(ERR_MALFORMED);
    }
    *out = TAKE(config);
    return OK;
}

void config_where(const struct config *config, const char *setting, char *out, size_t size) {
    const char *slash = strrchr(config->path, '/');
    const char *file = slash != NULL ? slash + 1 : config->path;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (strcmp(settings[i].name, setting) == 0 && config->lines[i] != 0) {
            (void)snprintf(out, size, "%s:%u", file, config->lines[i]);
            return;
        }
    }
    (void)snprintf(out, size, "%s", file);
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    free(config->path);
    free(config->site_name);
    free(config->site_title);
    free(config->default_key_file);
    free(config->listen_address);
    free(config->tls_certificate);
    free(config->tls_key);
    free(config->public_url);
    free(config->store_path);
    free(config->signer_directory);
    free(config->signer_agent);
    free(config);
}

void config_freep(struct config **config) { config_free(*config); }
