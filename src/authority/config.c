#include "authority/config.h"

#include <stdio.h>
#include <string.h>

#include "authority/external_issuer.h"
#include "base/clock.h"
#include "base/inet.h"
#include "base/text.h"

static err_t check_site_name(const char *text) {
    struct fault fault = {.reason = ""};
    return cluster_name_check(span_str(text), &fault);
}

static err_t check_address(const char *text) {
    struct inet_address address;
    return inet_address_parse(span_str(text), &address);
}

static err_t check_url(const char *text) {
    size_t len = strlen(text);
    bool https = strncmp(text, "https://", 8) == 0 && len > 8;
    bool http = strncmp(text, "http://", 7) == 0 && len > 7;
    bool good =
        (https || http) && text_is_printable(span_str(text)) && strpbrk(text, " \"'<>\\?#") == NULL;
    return good ? OK : FAIL(ERR_MALFORMED);
}

static err_t check_client(const char *text) {
    size_t chars =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return text[chars] == '\0' && chars < CLIENT_CHARS ? OK : FAIL(ERR_MALFORMED);
}

static err_t take_key_type(void *target, const char *text) {
    struct config *config = target;
    uint32_t bits = 0;
    TRY(policy_key_type_parse(span_str(text), &bits));
    config->policy.key_types |= bits;
    return OK;
}

static err_t take_extension(void *target, const char *text) {
    static const char *const known[] = {"permit-X11-forwarding",  "permit-agent-forwarding",
                                        "permit-port-forwarding", "permit-pty",
                                        "permit-user-rc",         "no-touch-required"};
    struct policy *policy = &((struct config *)target)->policy;
    bool found = strchr(text, '@') != NULL; /* a vendor's own (name@domain) passes */
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        found |= strcmp(text, known[i]) == 0;
    }
    if (!found || strlen(text) > LIMIT_OPTION_NAME_CHARS) {
        return FAIL(ERR_MALFORMED);
    }
    (void)snprintf(policy->extensions[policy->extension_count++], LIMIT_OPTION_NAME_CHARS + 1, "%s",
                   text);
    return OK;
}

static err_t take_log_level(void *target, const char *text) {
    return log_level_parse(text, &((struct config *)target)->log_level);
}

static err_t take_window(void *target, const char *text) {
    int64_t *window_s = &((struct config *)target)->policy.enrolment_window_s;
    *window_s = 0;
    return strcmp(text, "none") == 0 ? OK : duration_parse(span_str(text), window_s);
}

#define AT(member)            SETTING_AT(struct config, member)
#define LIST_AT(array, count) SETTING_LIST_AT(struct config, array, count)
static const struct setting table[] = {
    {"site.name", SETTING_TEXT, .required = true, AT(site_name), .check = check_site_name,
     .reason = "cannot be a site's name, which stands in every certificate: lower-case letters, "
               "digits, '.', '_', '-'"},
    {"site.title", SETTING_TEXT, AT(site_title)},
    {"site.default_key_file", SETTING_TEXT, AT(default_key_file)},
    {"site.gssapi", SETTING_BOOL, AT(gssapi)},
    {"listen.address", SETTING_TEXT, AT(listen_address), .check = check_address,
     .reason = "is not an IP address; write 0.0.0.0 or \"::\" for all of this machine's"},
    {"listen.port", SETTING_NUMBER, AT(listen_port), .max = UINT16_MAX},
    {"tls.certificate", SETTING_PATH, AT(tls_certificate)},
    {"tls.key", SETTING_PATH, AT(tls_key)},
    {"public_url", SETTING_TEXT, .required = true, AT(public_url), .check = check_url,
     .reason = "is not a URL; write https://NAME or https://NAME:PORT"},
    {"store.path", SETTING_PATH, .required = true, AT(store_path)},
    {"signer.directory", SETTING_PATH, AT(signer_directory)},
    {"signer.agent", SETTING_PATH, AT(signer_agent)},
    {"policy.durations", SETTING_DURATION, LIST_AT(policy.durations, policy.duration_count),
     .max = LIMIT_SIGNER_USER_S - 3600,
     .range_reason = "is more than 31d, which the signer refuses; access that lasts longer is "
                     "renewed"},
    {"policy.default_duration", SETTING_DURATION, AT(policy.duration_default_s)},
    {"policy.quota_per_day", SETTING_NUMBER, AT(policy.quota_per_day), .min = 1,
     .max = LIMIT_QUOTA_PER_DAY},
    {"policy.key_types", SETTING_WORD, .list = true, AT(policy.key_types), .items_max = 16,
     .take = take_key_type,
     .reason = "is not a key type; known are ed25519, ecdsa, rsa, sk-ed25519, sk-ecdsa"},
    {"policy.rsa_bits_min", SETTING_NUMBER, AT(policy.rsa_bits_min), .min = LIMIT_RSA_BITS_MIN,
     .max = LIMIT_RSA_BITS_MAX},
    {"policy.extensions", SETTING_WORD, .list = true, AT(policy.extension_count),
     .items_max = POLICY_EXTENSIONS_COUNT, .take = take_extension,
     .reason = "is not an extension of OpenSSH certificates; known are permit-pty, "
               "permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding, "
               "permit-user-rc, no-touch-required"},
    {"policy.force_command", SETTING_BOOL, AT(policy.force_command_allowed)},
    {"policy.encrypted_keys_required", SETTING_BOOL, AT(policy.encrypted_keys_required)},
    {"policy.source_networks", SETTING_SUBNET,
     LIST_AT(policy.subnets.subnets, policy.subnets.count)},
    {"policy.internal_networks", SETTING_SUBNET,
     LIST_AT(policy.internal_subnets.subnets, policy.internal_subnets.count)},
    {"policy.backdate", SETTING_DURATION, AT(policy.backdate_s), .max = 3600,
     .range_reason = "is more than 1h; it only covers clocks that disagree: 5min"},
    {"policy.host_certificate_duration", SETTING_DURATION, AT(policy.host_duration_s)},
    {"policy.enrolment_window", SETTING_WORD, AT(policy.enrolment_window_s), .take = take_window,
     .reason = "is not a duration; write a number and a unit, 2d for instance, or none"},
    {"policy.managers_name_accounts", SETTING_BOOL, AT(policy.managers_name_accounts)},
    {"policy.further_keys", SETTING_BOOL, AT(policy.further_keys)},
    {"policy.registered_keys.allowed", SETTING_BOOL, AT(policy.registered_keys_allowed)},
    {"policy.registered_keys.default_duration", SETTING_DURATION,
     AT(policy.registered_key_default_s)},
    {"policy.registered_keys.max_duration", SETTING_DURATION, AT(policy.registered_key_max_s)},
    {"policy.grants.allowed", SETTING_BOOL, AT(policy.grants_allowed)},
    {"policy.grants.max_duration", SETTING_DURATION, AT(policy.grant_max_s)},
    {"passwords.memory_mib", SETTING_NUMBER, AT(password_cost.memory_mib), .min = PASSWORD_MIB_MIN,
     .max = PASSWORD_MIB_MAX},
    {"passwords.passes", SETTING_NUMBER, AT(password_cost.passes), .min = PASSWORD_PASSES_MIN,
     .max = PASSWORD_PASSES_MAX},
    {"session_lifetime", SETTING_DURATION, AT(session_lifetime_s)},
    {"issuers", SETTING_PATH, LIST_AT(issuer_files, issuer_file_count)},
    {"issuer.clients", SETTING_TEXT, LIST_AT(issuer_clients, issuer_client_count),
     .check = check_client,
     .reason = "cannot be a client's id: letters, digits, '.', '_', '-', at most 63"},
    {"kerberos.keytab", SETTING_PATH, AT(kerberos.keytab)},
    {"kerberos.service", SETTING_TEXT, AT(kerberos.service), .check = kerberos_check_service,
     .reason = "is not a service's principal; write HTTP/authority.example@HPC.EXAMPLE"},
    {"kerberos.realms", SETTING_TEXT, LIST_AT(kerberos.realms, kerberos.realm_count),
     .check = kerberos_check_realm, .reason = "is not a realm; write HPC.EXAMPLE"},
    {"kerberos.principals", SETTING_TEXT, LIST_AT(kerberos.principals, kerberos.principal_count),
     .check = kerberos_check_principal,
     .reason = "is not PRINCIPAL=ACCOUNT; write alice/laptop@HPC.EXAMPLE=alice"},
    {"kerberos.counts_as_second_factor", SETTING_BOOL, AT(kerberos.second_factor)},
    {"kerberos.channel_binding", SETTING_BOOL, AT(kerberos.binding_required)},
    {"kerberos.administrators", SETTING_BOOL, AT(kerberos.administrators)},
    {"log_level", SETTING_WORD, AT(log_level), .take = take_log_level,
     .reason = "is not a level; known are debug, info, warn, error"},
    {"replica", SETTING_NUMBER, AT(replica), .max = 1023},
};
#undef AT
#undef LIST_AT
_Static_assert(COUNT_OF(table) <= SETTINGS_COUNT_MAX, "settings.lines[] has one for each");

/* ---- what one setting alone cannot tell ------------------------------------------------------ */

static bool is_loopback(const char *text) {
    struct inet_address address;
    static const uint8_t six[16] = {[15] = 1};
    if (failed(inet_address_parse(span_str(text), &address))) {
        return false;
    }
    return address.family_bits == 32 ? address.bytes[0] == 127
                                     : memcmp(address.bytes, six, sizeof six) == 0;
}

static void judge_policy(struct settings_reader *reader, struct policy *policy) {
    bool listed = false;
    if (policy->duration_count == 0 && !settings_is_bad(reader, "policy.durations")) {
        settings_tell(reader, "policy.durations", "policy.durations", "allows no duration at all");
        listed = true; /* not to say the same twice */
    }
    policy->duration_max_s = 0;
    for (size_t i = 0; i < policy->duration_count; i++) {
        listed |= policy->durations[i] == policy->duration_default_s;
        if (policy->durations[i] > policy->duration_max_s) {
            policy->duration_max_s = policy->durations[i];
        }
    }
    if (!listed && !settings_is_bad(reader, "policy.default_duration") &&
        !settings_is_bad(reader, "policy.durations")) {
        settings_tell(reader, "policy.default_duration", "policy.default_duration",
                      "is not one of policy.durations; add it there or choose one of them");
    }
    if (policy->key_types == 0 && !settings_is_bad(reader, "policy.key_types")) {
        settings_tell(reader, "policy.key_types", "policy.key_types", "allows no key at all");
    }
}

/* Where there is a longest time, it is also what is given when none is asked for. */
static void judge_registered_keys(struct settings_reader *reader, struct policy *policy) {
    static const char usual[] = "policy.registered_keys.default_duration";
    int64_t max_s = policy->registered_key_max_s;
    if (max_s == 0 || settings_is_bad(reader, usual)) {
        return;
    }
    if (policy->registered_key_default_s == 0) {
        policy->registered_key_default_s = max_s;
    } else if (policy->registered_key_default_s > max_s) {
        settings_tell(reader, usual, usual,
                      "is more than policy.registered_keys.max_duration; lower it, or raise that");
    }
}

static void judge_tls(struct settings_reader *reader, const struct config *config) {
    bool certificate = settings_is_set(settings_of(reader), "tls.certificate");
    bool key = settings_is_set(settings_of(reader), "tls.key");
    if (certificate != key) {
        settings_tell(reader, certificate ? "tls.certificate" : "tls.key",
                      certificate ? "tls.key" : "tls.certificate",
                      "is missing: the two go together");
    } else if (!certificate && !is_loopback(config->listen_address)) {
        settings_tell(reader, "listen.address", "tls.certificate",
                      "is missing: without TLS the authority listens on a loopback address alone "
                      "(listen.address: 127.0.0.1), behind a proxy of yours");
    }
}

static void judge_signer(struct settings_reader *reader) {
    bool directory = settings_is_set(settings_of(reader), "signer.directory");
    bool agent = settings_is_set(settings_of(reader), "signer.agent");
    if (directory && agent) {
        settings_tell(reader, "signer.agent", "signer",
                      "has both directory and agent; keep the one that holds the CA keys");
    } else if (!directory && !agent) {
        settings_tell(reader, "", "signer",
                      "has no directory of CA keys (signer.directory: ca) and no socket of an "
                      "ssh-agent (signer.agent: PATH)");
    }
}

static char *copy_of(const char *text) {
    char *copy = strdup(text);
    INVARIANT(copy != NULL);
    return copy;
}

/* "HTTP/authority.example@HPC.EXAMPLE", as clients ask for it that know public_url (RFC 4559). */
static char *usual_service(const struct config *config) {
    const char *host = strstr(config->public_url, "://") + 3;
    bool six = host[0] == '[';
    char *text;
    INVARIANT(asprintf(&text, "HTTP/%.*s@%s", (int)strcspn(host + six, six ? "]" : ":/"),
                       host + six, config->kerberos.realms[0]) > 0);
    return text;
}

static void judge_kerberos(struct settings_reader *reader, struct config *config) {
    struct kerberos_config *kerberos = &config->kerberos;
    struct fault fault = {.reason = ""};
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    if (kerberos->keytab == NULL && kerberos->realm_count > 0) {
        settings_tell(reader, "kerberos.realms", "kerberos.keytab",
                      "is missing: the file with the service's key");
    }
    if (kerberos->keytab == NULL || settings_is_bad(reader, "kerberos.realms")) {
        return;
    }
    if (kerberos->realm_count == 0) {
        settings_tell(reader, "kerberos.keytab", "kerberos.realms",
                      "is missing: of which realms tickets are taken");
        return;
    }
    for (size_t i = 0; i < kerberos->principal_count; i++) {
        char *line CLEANUP(freep) = copy_of(kerberos->principals[i]);
        *strrchr(line, '=') = '\0';
        if (failed(kerberos_account(kerberos, line, account, &fault))) {
            settings_tell(reader, "kerberos.principals", "kerberos.principals",
                          "\"%s\" means nobody: %s", kerberos->principals[i], fault.reason);
        }
    }
    if (kerberos->service == NULL && config->public_url != NULL) {
        kerberos->service = usual_service(config);
    }
    if (!settings_is_set(settings_of(reader), "kerberos.channel_binding")) {
        kerberos->binding_required = config->tls_certificate != NULL;
    } else if (kerberos->binding_required && config->tls_certificate == NULL) {
        settings_tell(reader, "kerberos.channel_binding", "kerberos.channel_binding",
                      "needs tls.certificate: without TLS there is nothing to bind to");
    }
    INVARIANT(config->store_path == NULL ||
              asprintf(&kerberos->replay_cache, "%s.kerberos", config->store_path) > 0);
}

static void judge(struct settings_reader *reader, void *target) {
    struct config *config = target;
    judge_policy(reader, &config->policy);
    judge_registered_keys(reader, &config->policy);
    judge_tls(reader, config);
    judge_signer(reader);
    judge_kerberos(reader, config);
    if (config->site_title == NULL && config->site_name != NULL) {
        config->site_title = copy_of(config->site_name);
    }
    size_t len = config->public_url != NULL ? strlen(config->public_url) : 0;
    while (len > 0 && config->public_url[len - 1] == '/') {
        config->public_url[--len] = '\0';
    }
}

static const struct settings_plan plan = {table, COUNT_OF(table), "examples/posternd.yaml", judge};

static void set_usual(struct config *config) {
    policy_default(&config->policy);
    config->default_key_file = copy_of("~/.ssh/id_ed25519");
    config->listen_address = copy_of("0.0.0.0");
    config->listen_port = 8443;
    config->session_lifetime_s = 12 * 3600;
    config->password_cost = (struct password_cost){PASSWORD_MIB_MIN, PASSWORD_PASSES_MIN};
    config->log_level = LOG_LEVEL_INFO;
}

/* Addresses of ours tell issuers apart by the names of their files, tokens by their URLs. */
static err_t load_issuers(struct config *config, settings_complain *complain, void *context) {
    for (size_t i = 0; i < config->issuer_file_count; i++) {
        TRY(external_issuer_new(config->issuer_files[i], complain, context, &config->externals[i]));
        const struct external_config *issuer = external_issuer_config(config->externals[i]);
        config->external_count++;
        for (size_t j = 0; j < i; j++) {
            const struct external_config *other = external_issuer_config(config->externals[j]);
            if (strcmp(issuer->id, other->id) == 0 || strcmp(issuer->url, other->url) == 0) {
                char where[320];
                settings_where(&config->settings, "issuers", where, sizeof where);
                complain(context, &(struct settings_complaint){
                                      where, "issuers",
                                      "two of the files have the same name or the same url"});
                return FAIL(ERR_MALFORMED);
            }
        }
    }
    return OK;
}

err_t config_load(const char *path, settings_complain *complain, void *context,
                  struct config **out) {
    struct config *config CLEANUP(config_freep) = calloc(1, sizeof *config);
    if (config == NULL) {
        return FAIL(ERR_MEMORY);
    }
    set_usual(config);
    TRY(settings_load(&plan, path, complain, context, &config->settings, config));
    TRY(load_issuers(config, complain, context));
    *out = TAKE(config);
    return OK;
}

bool config_takes_issuer(const struct config *config, const char *url) {
    bool taken = url[0] == '\0';
    for (size_t i = 0; i < config->external_count; i++) {
        taken = taken || strcmp(external_issuer_config(config->externals[i])->url, url) == 0;
    }
    return taken;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->external_count; i++) {
        external_issuer_free(config->externals[i]);
    }
    settings_free_texts(&plan, config);
    settings_done(&config->settings);
    free(config->kerberos.replay_cache);
    free(config);
}

void config_freep(struct config **config) { config_free(*config); }
