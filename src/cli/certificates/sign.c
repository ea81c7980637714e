/* postern sign: a certificate for a key that stays where it is. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/api.h"
#include "cli/certificates/received.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/site.h"
#include "cli/subnets.h"

static err_t check_duration(struct cli *cli, const char *duration) {
    int64_t seconds = 0;
    if (duration != NULL && failed(duration_parse(span_str(duration), &seconds))) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s is no duration; write a number and a unit: 1d, 1min", duration);
    }
    return OK;
}

static err_t make_body(struct cli *cli, const struct arguments *arguments, const struct key *key,
                       json_t **out) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *text CLEANUP(freep) = NULL;
    /* Without the comment, which often tells a name and a machine. */
    TRY(key_print_line(key, NULL, &line));
    TRY(buf_to_str(&line, &text));
    json_t *body CLEANUP(json_freep) = json_pack(
        "{s:s, s:s*, s:s*}", "publicKey", text, "duration", arguments_value(arguments, "duration"),
        "forceCommand", arguments_value(arguments, "force-command"));
    TRY(body == NULL ? FAIL(ERR_MEMORY) : subnets_put(cli, arguments, "ip-subnet", body));
    *out = TAKE(body);
    return OK;
}

static err_t open_agent(struct cli *cli, struct agent_client **out) {
    err_t err = agent_client_open(NULL, out);
    if (failed(err)) {
        trouble_next(&cli->trouble, "eval \"$(ssh-agent -s)\"");
        return trouble_set(&cli->trouble, EXIT_MISSING, "no SSH agent is running");
    }
    return OK;
}

struct stale {
    const struct cert *fresh;
    struct buf blobs[32];
    size_t count;
};

static void stale_done(struct stale *stale) {
    for (size_t i = 0; i < stale->count; i++) {
        buf_done(&stale->blobs[i]);
    }
}

/* Earlier certificates of the same key by the same CA: left in the agent they are offered first,
 * and a server counts each as a failed attempt. */
static err_t on_identity(void *context, span_t blob, span_t comment) {
    (void)comment;
    struct stale *stale = context;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    if (!cert_is_blob(blob) || stale->count == COUNT_OF(stale->blobs) ||
        failed(cert_parse(blob, &cert)) || !key_equal(cert->key, stale->fresh->key) ||
        !key_equal(cert->ca_key, stale->fresh->ca_key)) {
        return OK;
    }
    buf_init(&stale->blobs[stale->count], LIMIT_CERT_BLOB_BYTES);
    TRY(buf_add(&stale->blobs[stale->count], blob));
    stale->count++;
    return OK;
}

static err_t remove_stale(struct agent_client *agent, const struct cert *fresh) {
    struct stale stale CLEANUP(stale_done) = {.fresh = fresh};
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    TRY(agent_put_request_identities(&request));
    TRY(agent_client_call(agent, &request, &answer));
    TRY(agent_get_identities(answer, on_identity, &stale));
    for (size_t i = 0; i < stale.count; i++) {
        buf_clear(&request);
        TRY(agent_put_remove_identity(&request, buf_span(&stale.blobs[i])));
        TRY(agent_client_call(agent, &request, &answer));
    }
    return OK;
}

static err_t add_to_agent(struct cli *cli, struct agent_client *agent, const struct user_key *key,
                          const struct cert *cert) {
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    TRY(user_key_load(cli, key, &private));
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    uint64_t now = (uint64_t)clock_now_s();
    uint64_t left = cert->valid_before > now ? cert->valid_before - now : 1;
    uint32_t lifetime_s = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
    ignore_err(remove_stale(agent, cert)); /* a leftover costs an attempt, no more */
    err_t err = agent_put_add_identity(
        &request, private, cert, key->comment[0] != '\0' ? key->comment : key->path, lifetime_s);
    if (!failed(err)) {
        err = agent_client_call(agent, &request, &answer);
    }
    if (!failed(err)) {
        err = agent_get_success(answer);
    }
    if (failed(err)) {
        return trouble_set(&cli->trouble, EXIT_INTERNAL,
                           "the certificate is written, but the agent did not take it: %s",
                           err_text(err));
    }
    return OK;
}

static err_t report(struct cli *cli, const json_t *answer, const struct user_key *key,
                    const struct cert *cert, bool agent, bool added) {
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:O, s:s, s:b}", "sshKey", json_object_get(answer, "sshKey"), "file",
                      key->cert_path, "agent", added);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    char until[80];
    received_until(cert, until);
    (void)printf("Certificate %llu: %s\nValid until %s\n", (unsigned long long)cert->serial,
                 key->cert_path, until);
    if (added) {
        (void)printf("Added to the agent until then.\n");
    }
    if (key->in_agent || (agent && !added)) {
        (void)printf(
            "The private key is in the agent alone; for ssh to find the certificate, put into "
            "~/.ssh/config:\n  IdentityFile %s\n",
            key->path);
    }
    return OK;
}

/* For a key known only to the agent ssh needs its public half beside the certificate, and the
 * folder may not be there yet. */
static err_t prepare_files(struct cli *cli, const struct user_key *key) {
    const char *slash = strrchr(key->path, '/');
    if (!key->in_agent || slash == NULL || slash == key->path) {
        return OK;
    }
    char *dir CLEANUP(freep) = strndup(key->path, (size_t)(slash - key->path));
    char *path CLEANUP(freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    if (dir == NULL || asprintf(&path, "%s.pub", key->path) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = file_make_dirs(dir, 0700);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot make %s", dir);
    }
    TRY(key_print_line(key->public, key->comment, &line));
    TRY(buf_add_byte(&line, '\n'));
    err = file_put(path, buf_span(&line), 0644, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}

static err_t sign_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    const char *otherwise = document_key_file(site->document);
    const char *given = arguments_value(arguments, "file");
    TRY(check_duration(cli, arguments_value(arguments, "duration")));
    TRY(user_key_find(cli, given != NULL ? given : otherwise, otherwise, &key));
    TRY(user_key_demand_passphrase(cli, site, &key));
    if (arguments_has(arguments, "agent")) {
        TRY(open_agent(cli, &agent));
    }

    json_t *body = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    const json_t *ssh_key = NULL;
    const char *line = NULL;
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(make_body(cli, arguments, key.public, &body));
    TRY(api_send(api, HTTP_POST, "/api/v1/ssh-keys/sign", body, &answer));
    TRY(answer_object(cli, answer, "sshKey", &ssh_key));
    TRY(answer_text(cli, ssh_key, "publicKey", &line));

    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(received_check(cli, site, line, key.public, api_username(api), &cert));
    TRY(prepare_files(cli, &key));
    TRY(received_write(cli, cert, key.comment, key.cert_path));
    bool add = agent != NULL && key.has_private;
    TRY(add ? add_to_agent(cli, agent, &key, cert) : OK);
    return report(cli, answer, &key, cert, agent != NULL, add);
}

static const struct option options[] = {
    {'f', "file", "KEY", "the key: private key file, its .pub, or the name of an agent's key"},
    {'d', "duration", "TIME", "how long the certificate is valid: 1d, 1min"},
    {0, "agent", NULL, "also add key and certificate to the SSH agent, until it ends",
     .many = true},
    {0, "ip-subnet", "CIDR", "only good from there; may be given again", .many = true},
    {0, "force-command", "COMMAND", "only good for this command"},
    {.name = NULL},
};

const struct command command_sign = {
    .name = "sign",
    .arguments = "",
    .summary = "Get a certificate for your SSH key",
    .details = "The private key stays where it is; the certificate is written beside it.",
    .options = options,
    .run = sign_run,
};
