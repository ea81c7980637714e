/* postern gen: the deprecated way, where the authority makes the pair. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/api.h"
#include "cli/certificates/received.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/keys/passphrase.h"
#include "cli/site.h"

/* What came must be the private half of what was certified. It is kept as it came, so it must be a
 * private key file from its first byte to its last. */
static err_t check_pair(struct cli *cli, const char *private_text, const struct cert *cert) {
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    static const char end[] = "-----END OPENSSH PRIVATE KEY-----\n";
    size_t len = strlen(private_text);
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    bool framed = len > sizeof begin + sizeof end &&
                  strncmp(private_text, begin, sizeof begin - 1) == 0 &&
                  strcmp(private_text + len - (sizeof end - 1), end) == 0;
    if (!framed || failed(private_key_inspect(span_str(private_text), &info)) ||
        info.public_key == NULL || !key_equal(info.public_key, cert->key)) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority's private key and certificate do not belong together; "
                           "nothing was written");
    }
    return OK;
}

static err_t write_all(struct cli *cli, const struct user_key *key, const char *private_text,
                       const struct cert *cert, bool force) {
    TRY(key_pair_put(cli, key->path, span_str(private_text), cert->key, cert->key_id, force));
    return received_write(cli, cert, cert->key_id, key->cert_path);
}

static err_t report(struct cli *cli, json_t *ssh_key, const struct user_key *key,
                    const struct cert *cert) {
    if (cli->json) {
        (void)json_object_del(ssh_key, "privateKey"); /* it is in its file, and nowhere else */
        json_t *shown CLEANUP(json_freep) = json_pack("{s:O, s:s, s:s}", "sshKey", ssh_key, "file",
                                                      key->cert_path, "keyFile", key->path);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    char until[80];
    received_until(cert, until);
    (void)printf("Private key: %s\nCertificate %llu: %s\nValid until %s\n", key->path,
                 (unsigned long long)cert->serial, key->cert_path, until);
    return OK;
}

static err_t gen_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    secret_t passphrase CLEANUP(secret_done) = {0};
    TRY(site_open(&cli->trouble, cli->site, &site));
    const char *given = arguments_value(arguments, "file");
    const char *duration = arguments_value(arguments, "duration");
    bool force = arguments_has(arguments, "force");
    int64_t seconds = 0;
    if (duration != NULL && failed(duration_parse(span_str(duration), &seconds))) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s is no duration; write a number and a unit: 1d, 1min", duration);
    }
    TRY(user_key_paths(given != NULL ? given : document_key_file(site->document), &key));
    TRY(force ? OK : key_pair_check_free(cli, key.path));
    print_warning("gen is deprecated: the authority makes the private key and sends it over the "
                  "network; better: postern keygen -f %s && postern sign -f %s",
                  key.path, key.path);
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    if (!arguments_has(arguments, "no-passphrase")) {
        TRY(passphrase_ask_new(cli,
                               document_wants_encrypted_keys(site->document) ? site->name : NULL,
                               "postern gen --no-passphrase", &passphrase));
    }

    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *ssh_key = NULL;
    const char *line = NULL;
    const char *private_text = NULL;
    TRY(api_send(api, HTTP_POST, "/api/v1/ssh-keys",
                 json_pack("{s:s*, s:s*}", "duration", duration, "passphrase", passphrase.text),
                 &answer));
    TRY(answer_object(cli, answer, "sshKey", &ssh_key));
    TRY(answer_text(cli, ssh_key, "publicKey", &line));
    TRY(answer_text(cli, ssh_key, "privateKey", &private_text));
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(received_check(cli, site, line, NULL, api_username(api), &cert));
    TRY(check_pair(cli, private_text, cert));
    TRY(write_all(cli, &key, private_text, cert, force));
    return report(cli, json_object_get(answer, "sshKey"), &key, cert);
}

static const struct option options[] = {
    {'f', "file", "KEY", "where the private key goes; the certificate stands beside it"},
    {'d', "duration", "TIME", "how long the certificate is valid: 1d, 1min"},
    {0, "force", NULL, "replace a key that is there", .many = true},
    {0, "no-passphrase", NULL, "do not ask for a passphrase", .many = true},
    {.name = NULL},
};

const struct command command_gen = {
    .name = "gen",
    .arguments = "",
    .summary = "Have the authority make a key pair (deprecated: use keygen and sign)",
    .options = options,
    .run = gen_run,
};
