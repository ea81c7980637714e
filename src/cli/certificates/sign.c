/* postern sign: a certificate for a key that stays where it is. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/agent/agent_contents.h"
#include "cli/agent/agent_find.h"
#include "cli/api.h"
#include "cli/certificates/issue.h"
#include "cli/certificates/job_key.h"
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

/* What is asked for beside the key. */
static err_t make_wish(struct cli *cli, const struct arguments *arguments, const char *job,
                       json_t **out) {
    json_t *wish CLEANUP(json_freep) = json_pack(
        "{s:s*, s:s*, s:s*}", "job", job, "duration", arguments_value(arguments, "duration"),
        "forceCommand", arguments_value(arguments, "force-command"));
    /* json_pack() gives NULL for text that is not UTF-8. */
    TRY(wish == NULL ? trouble_set(&cli->trouble, EXIT_USAGE, "what you gave is not UTF-8 text")
                     : subnets_put(cli, arguments, "ip-subnet", wish));
    *out = TAKE(wish);
    return OK;
}

static err_t open_agent(struct cli *cli, struct agent_client **out) {
    err_t err = agent_find_open(out);
    if (failed(err)) {
        trouble_next(&cli->trouble, "eval \"$(postern agent)\"");
        return trouble_set(&cli->trouble, EXIT_MISSING, "no SSH agent is running");
    }
    return OK;
}

static err_t add_to_agent(struct cli *cli, struct agent_client *agent, const struct user_key *key,
                          const struct cert *cert) {
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    TRY(user_key_load(cli, key, &private));
    const char *comment = key->comment[0] != '\0' ? key->comment : key->path;
    err_t err = agent_contents_add(agent, private, cert, comment, clock_now_s());
    if (failed(err)) {
        return trouble_set(&cli->trouble, EXIT_INTERNAL,
                           "the certificate is written, but the agent did not take it: %s",
                           err_text(err));
    }
    return OK;
}

static err_t report(struct cli *cli, json_t *ssh_key, const struct user_key *key,
                    const struct cert *cert, bool agent, bool added) {
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:O, s:s, s:b}", "sshKey", ssh_key, "file", key->cert_path, "agent", added);
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

struct signing {
    struct site *site;
    struct api *api;
    struct user_key key;
    struct job_key job; /* empty: for no job alone */
    struct agent_client *agent;
};

static void signing_done(struct signing *signing) {
    agent_client_closep(&signing->agent);
    job_key_done(&signing->job);
    user_key_done(&signing->key);
    api_closep(&signing->api);
    site_freep(&signing->site);
}

/* What is to be signed, and all that can be wrong before anybody is asked. */
static err_t prepare(struct cli *cli, const struct arguments *arguments, struct signing *out) {
    TRY(site_open(&cli->trouble, cli->site, &out->site));
    const char *otherwise = document_key_file(out->site->document);
    const char *given = arguments_value(arguments, "file");
    const char *job = arguments_value(arguments, "job");
    TRY(check_duration(cli, arguments_value(arguments, "duration")));
    if (job != NULL) {
        TRY(api_open(cli, out->site, API_SIGNED_IN, &out->api));
        TRY(job_key_prepare(cli, out->site, out->api, job, given, &out->job));
        given = out->job.path;
    }
    TRY(user_key_find(cli, given != NULL ? given : otherwise, otherwise, &out->key));
    TRY(user_key_demand_passphrase(cli, out->site, &out->key));
    TRY(arguments_has(arguments, "agent") ? open_agent(cli, &out->agent) : OK);
    return out->api != NULL ? OK : api_open(cli, out->site, API_SIGNED_IN, &out->api);
}

static err_t sign_run(struct cli *cli, const struct arguments *arguments) {
    struct signing signing CLEANUP(signing_done) = {0};
    json_t *wish = NULL;
    json_t *ssh_key CLEANUP(json_freep) = NULL;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(prepare(cli, arguments, &signing));
    TRY(make_wish(cli, arguments, signing.job.job, &wish));
    TRY(certificate_issue(cli, signing.site, signing.api, &signing.key, signing.job.principal, wish,
                          &ssh_key, &cert));
    bool add = signing.agent != NULL && signing.key.has_private;
    TRY(add ? add_to_agent(cli, signing.agent, &signing.key, cert) : OK);
    TRY(report(cli, ssh_key, &signing.key, cert, signing.agent != NULL, add));
    if (signing.job.job != NULL && !cli->json) {
        job_key_tell(&signing.job, signing.site);
    }
    return OK;
}

static const struct option options[] = {
    {'f', "file", "KEY", "the key: private key file, its .pub, or the name of an agent's key"},
    {'d', "duration", "TIME", "how long the certificate is valid: 1d, 1min"},
    {0, "agent", NULL, "also add key and certificate to the SSH agent, for as long as it is valid",
     .many = true},
    {0, "ip-subnet", "CIDR", "only good from there; may be given again", .many = true},
    {0, "force-command", "COMMAND", "only good for this command"},
    {0, "job", "JOB", "only good for this job of yours, with a key of its own, until it ends"},
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
