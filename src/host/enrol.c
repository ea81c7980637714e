/* `postern-host enrol`: a one-time token becomes this host's identity, its host certificates and
 * the files that sshd needs. Makes no keys. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "host/host.h"
#include "host/sync_host.h"
#include "ssh/key.h"

enum { TOKEN_CHARS_MAX = 512, FETCH_TIMEOUT_MS = 15000 };

static void json_freep(json_t **json) { json_decref(*json); }

struct options {
    const char *url, *token, *token_file, *fingerprint, *ca_file, *config, *state;
};

/* A fingerprint as people copy it: hex, of either case, with or without colons and "SHA256:". */
static bool fingerprint_is(const char *said, const char sha256[65]) {
    size_t at = 0;
    said += strncasecmp(said, "sha256:", 7) == 0 ? 7 : 0;
    for (; *said != '\0'; said++) {
        char c = (char)(*said >= 'A' && *said <= 'F' ? *said + ('a' - 'A') : *said);
        if (c == ':') {
            continue;
        }
        if (at >= 64 || c != sha256[at]) {
            return false;
        }
        at++;
    }
    return at == 64;
}

static err_t find_trust(const struct options *options, char **ca_pem, struct fault *fault) {
    struct buf pem CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    if (options->ca_file != NULL) {
        err_t err = file_read(options->ca_file, &pem);
        return failed(err) ? fault_set(fault, err.code, options->ca_file, "%s", err_text(err))
                           : buf_to_str(&pem, ca_pem);
    }
    if (options->fingerprint == NULL) {
        return OK; /* the system's trust store */
    }
    char sha256[65];
    char *fetched CLEANUP(freep) = NULL;
    TRY(http_client_fetch_chain(options->url, FETCH_TIMEOUT_MS, &fetched, sha256, fault));
    if (!fingerprint_is(options->fingerprint, sha256)) {
        return fault_set(fault, ERR_TLS, "fingerprint",
                         "the authority's CA has the fingerprint %s; nothing was sent to it",
                         sha256);
    }
    *ca_pem = TAKE(fetched);
    return OK;
}

static err_t read_token(const struct options *options, secret_t *out, struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(TOKEN_CHARS_MAX);
    if (options->token != NULL) {
        return secret_copy(span_str(options->token), TOKEN_CHARS_MAX, out);
    }
    err_t err = file_read(options->token_file, &text);
    if (failed(err)) {
        return fault_set(fault, err.code, options->token_file, "%s", err_text(err));
    }
    while (text.len > 0 && text.data[text.len - 1] <= ' ') {
        text.len--;
    }
    return secret_copy(buf_span(&text), TOKEN_CHARS_MAX, out);
}

static err_t ask(const struct options *options, const struct config *config, const char *ca_pem,
                 const secret_t *token, json_t **out, struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    const struct http_client_config http = {.url = options->url, .ca_pem = ca_pem};
    json_t *keys = NULL;
    TRY(certificates_keys_json(config, &keys, fault));
    json_t *body CLEANUP(json_freep) =
        json_pack("{s:s, s:o}", "token", token->text, "hostKeys", keys);
    char *text CLEANUP(freep) = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    TRY(http_client_new(&http, &client, fault));
    TRY(http_client_call(client, HTTP_POST, "/api/v1/host/enrol", span_str(text), 0, &response,
                         fault));
    if (response.status / 100 != 2) {
        return answer_problem(&response, fault);
    }
    *out = json_loadb((const char *)response.body.data, response.body.len, JSON_REJECT_DUPLICATES,
                      NULL);
    return *out != NULL ? OK : fault_set(fault, ERR_PROTOCOL, "", "the answer is not JSON");
}

static err_t write_ca_lines(const char *state_dir, const char *file, const json_t *lines,
                            struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        struct key *key CLEANUP(key_freep) = NULL;
        err_t err = key_parse_line(span_str(line != NULL ? line : ""), &key, NULL);
        if (failed(err)) {
            return fault_set(fault, err.code, file, "the authority's CA key: %s", err_text(err));
        }
        TRY(key_print_line(key, NULL, &text));
        TRY(buf_add_byte(&text, '\n'));
    }
    if (text.len == 0) {
        return fault_set(fault, ERR_PROTOCOL, file, "the authority gave no CA key");
    }
    return sshd_files_write_lines(state_dir, file, buf_span(&text));
}

/* sshd refuses everybody when RevokedKeys cannot be read, so there is a KRL from the start. */
static err_t write_replica(const struct config *config, const char *url, const char *name) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    char *path CLEANUP(freep) = NULL;
    struct replica_self self = {.best_effort = config->best_effort, .max_age_s = config->max_age_s};
    uint64_t revision = 0;
    bool emptied = false;
    (void)snprintf(self.name, sizeof self.name, "%s", name);
    TRY(path_join(config->state_dir, HOST_REPLICA_FILE, &path));
    TRY(replica_open_write(path, config->command_group, &replica));
    TRY(replica_claim(replica, url, &emptied));
    TRY(replica_self_put(replica, &self));
    TRY(replica_revision(replica, &revision));
    return sshd_files_write_krl(config->state_dir, replica, revision, clock_now_s());
}

static err_t settle(const struct options *options, const struct config *config, const char *ca_pem,
                    const json_t *answer, struct fault *fault) {
    const char *name = json_string_value(json_object_get(answer, "name"));
    const char *token = json_string_value(json_object_get(answer, "hostToken"));
    const char *cluster = json_string_value(json_object_get(answer, "cluster"));
    if (name == NULL || token == NULL) {
        return fault_set(fault, ERR_PROTOCOL, "", "the answer lacks name or hostToken");
    }
    TRY(host_name_check(span_str(name), "name", fault));
    struct identity identity CLEANUP(identity_done) = {.url = strdup(options->url),
                                                       .name = strdup(name)};
    identity.ca_pem = ca_pem != NULL ? strdup(ca_pem) : NULL;
    identity.cluster = cluster != NULL && cluster[0] != '\0' ? strdup(cluster) : NULL;
    /* Without its CA the identity would trust every CA of the system. */
    if (identity.url == NULL || identity.name == NULL ||
        (ca_pem != NULL && identity.ca_pem == NULL)) {
        return FAIL(ERR_MEMORY);
    }
    TRY(secret_copy(span_str(token), TOKEN_CHARS_MAX, &identity.token));
    /* The token first: it exists once, while all the rest can be asked for again with it. */
    TRY(identity_save(config->state_dir, &identity));
    TRY(write_ca_lines(config->state_dir, FILE_USER_CA, json_object_get(answer, "userCaKeys"),
                       fault));
    TRY(write_ca_lines(config->state_dir, FILE_HOST_CA, json_object_get(answer, "hostCaKeys"),
                       fault));
    TRY(write_replica(config, options->url, name));
    TRY(certificates_install(config, json_object_get(answer, "certificates"), fault));
    (void)printf("This machine is now %s. Next:\n"
                 "  systemctl enable --now postern-host-sync\n"
                 "  postern-host sshd-config > /etc/ssh/sshd_config.d/10-postern.conf\n"
                 "  sshd -t && systemctl reload ssh\n",
                 name);
    return OK;
}

static err_t enrol(const struct options *options, struct fault *fault) {
    struct config config CLEANUP(config_done) = {0};
    char *ca_pem CLEANUP(freep) = NULL;
    secret_t token CLEANUP(secret_done) = {0};
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(command_config(options->config, options->state, &config, fault));
    /* What can fail here fails before the one-time token is spent. */
    err_t err = sshd_files_make_dir(&config);
    if (failed(err)) {
        return fault_set(fault, err.code, config.state_dir, "%s", err_text(err));
    }
    TRY(read_token(options, &token, fault));
    TRY(find_trust(options, &ca_pem, fault));
    TRY(ask(options, &config, ca_pem, &token, &answer, fault));
    return settle(options, &config, ca_pem, answer, fault);
}

const char enrol_usage[] =
    "usage: postern-host enrol --url URL (--token TOKEN | --token-file FILE)\n"
    "                          [--fingerprint SHA256 | --ca FILE] [--config FILE] [--state DIR]\n";

int command_enrol(int argc, char **argv) {
    static const struct option known[] = {
        {"url", required_argument, NULL, 'u'},         {"token", required_argument, NULL, 't'},
        {"token-file", required_argument, NULL, 'T'},  {"ca", required_argument, NULL, 'a'},
        {"fingerprint", required_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},       {0},
    };
    struct options options = {0};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        const char **slot = option == 'u'   ? &options.url
                            : option == 't' ? &options.token
                            : option == 'T' ? &options.token_file
                            : option == 'a' ? &options.ca_file
                            : option == 'f' ? &options.fingerprint
                            : option == 'c' ? &options.config
                            : option == 's' ? &options.state
                                            : NULL;
        if (slot == NULL) {
            (void)fputs(enrol_usage, stderr);
            return HOST_EXIT_USAGE;
        }
        *slot = optarg;
    }
    if (options.url == NULL || (options.token == NULL) == (options.token_file == NULL) ||
        (options.fingerprint != NULL && options.ca_file != NULL) || optind != argc) {
        (void)fputs(enrol_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    struct fault fault = {0};
    err_t err = enrol(&options, &fault);
    return failed(err) ? command_failed("enrol", err, &fault) : HOST_EXIT_OK;
}
