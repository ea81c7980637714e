/* postern gen: the deprecated way, where the authority makes the pair. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/key_file.h"
#include "cli/received.h"
#include "cli/site.h"
#include "cli/terminal.h"

static err_t ask_passphrase(struct cli *cli, const struct site *site, secret_t *out) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    bool must = document_wants_encrypted_keys(site->document);
    if (failed(terminal_open(&terminal))) {
        trouble_next(&cli->trouble, "postern gen --no-passphrase");
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no terminal to ask for a passphrase at");
    }
    for (;;) {
        secret_t first CLEANUP(secret_done) = {0};
        secret_t second CLEANUP(secret_done) = {0};
        TRY(terminal_ask_secret(terminal,
                                must ? "Passphrase for the new key: "
                                     : "Passphrase for the new key (empty for none): ",
                                &first));
        if (first.len == 0 && must) {
            terminal_print(terminal, "%s demands one.\n", site->name);
            continue;
        }
        if (first.len == 0) {
            return OK;
        }
        TRY(terminal_ask_secret(terminal, "The same again: ", &second));
        if (span_equal_secret(secret_span(&first), secret_span(&second))) {
            return secret_copy(secret_span(&first), LIMIT_PASSWORD_CHARS_MAX, out);
        }
        terminal_print(terminal, "The two differ.\n");
    }
}

static err_t check_free(struct cli *cli, const struct user_key *key) {
    char *public_path CLEANUP(freep) = NULL;
    if (asprintf(&public_path, "%s.pub", key->path) < 0) {
        public_path = NULL;
        return FAIL(ERR_MEMORY);
    }
    const char *taken = access(key->path, F_OK) == 0     ? key->path
                        : access(public_path, F_OK) == 0 ? public_path
                                                         : NULL;
    if (taken == NULL) {
        return OK;
    }
    trouble_next(&cli->trouble, "postern sign -f %s", key->path);
    return trouble_set(&cli->trouble, EXIT_CONFLICT,
                       "%s exists already, and --force is not given; it can be signed as it is",
                       taken);
}

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
    char *public_path CLEANUP(freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    const char *slash = strrchr(key->path, '/');
    if (asprintf(&public_path, "%s.pub", key->path) < 0) {
        public_path = NULL;
        return FAIL(ERR_MEMORY);
    }
    if (slash != NULL && slash != key->path) {
        char *dir CLEANUP(freep) = strndup(key->path, (size_t)(slash - key->path));
        err_t err = dir == NULL ? FAIL(ERR_MEMORY) : file_make_dirs(dir, 0700);
        if (failed(err)) {
            return trouble_of(&cli->trouble, err, "cannot make %s", dir != NULL ? dir : "a folder");
        }
    }
    unsigned flags = force ? 0 : FILE_EXCLUSIVE;
    err_t err = file_put(key->path, span_str(private_text), 0600, flags);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot write %s", key->path);
    }
    TRY(key_print_line(cert->key, cert->key_id, &line));
    TRY(buf_add_byte(&line, '\n'));
    err = file_put(public_path, buf_span(&line), 0644, flags);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot write %s", public_path);
    }
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
    TRY(force ? OK : check_free(cli, &key));
    print_warning("gen is deprecated: the authority makes the private key and sends it over the "
                  "network; better: ssh-keygen -t ed25519 -f %s && postern sign",
                  key.path);
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(arguments_has(arguments, "no-passphrase") ? OK : ask_passphrase(cli, site, &passphrase));

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
    .summary = "Have the authority make a key pair (deprecated: use ssh-keygen and sign)",
    .options = options,
    .run = gen_run,
};
