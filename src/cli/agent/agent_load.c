/* Putting a key into the agent for as long as its certificate is good. */
#include "base/clock.h"
#include "cli/agent/agent.h"
#include "cli/certificates/look.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/site.h"

struct load {
    struct user_key key;
    struct look look;
};

static void load_done(struct load *load) {
    user_key_done(&load->key);
    look_done(&load->look);
}

static err_t find(struct cli *cli, const char *given, struct load *out) {
    struct site *site CLEANUP(site_freep) = NULL;
    TRY(given == NULL || cli->site != NULL ? site_open(&cli->trouble, cli->site, &site) : OK);
    const char *otherwise = given != NULL ? given : document_key_file(site->document);
    TRY(user_key_find(cli, otherwise, otherwise, &out->key));
    return certificate_look(cli, site, &out->key, &out->look);
}

/* Sets trouble where a person who asked for it has to do something first. */
static err_t check(struct cli *cli, const struct load *load) {
    const struct user_key *key = &load->key;
    if (!key->has_private) {
        return trouble_set(&cli->trouble, EXIT_MISSING, "the private key %s is not there",
                           key->path);
    }
    if (key_is_security_key(key->public)) {
        trouble_next(&cli->trouble, "ssh-add %s", key->path);
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "%s is on a security token, which ssh-add talks to", key->path);
    }
    if (load->look.state != LOOK_VALID && load->look.state != LOOK_MISSING) {
        trouble_next(&cli->trouble, "postern sign -f %s", key->path);
        return trouble_set(&cli->trouble, EXIT_LOGIN, "the certificate %s: %s", key->cert_path,
                           look_text(load->look.state));
    }
    return OK;
}

static bool needs_a_question(struct cli *cli, const struct user_key *key) {
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    return failed(user_key_inspect(cli, key, &info)) || info.encrypted;
}

static bool is_there(struct agent_client *agent, const struct cert *cert) {
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    return !failed(agent_contents_read(agent, &contents)) &&
           agent_contents_has(&contents, buf_span(&cert->blob));
}

static err_t load(struct cli *cli, struct agent_client *agent, const char *given, bool asked,
                  char **path) {
    struct load found CLEANUP(load_done) = {0};
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    TRY(find(cli, given, &found));
    TRY(check(cli, &found));
    const struct cert *cert = found.look.cert;
    if (!asked && (cert == NULL || is_there(agent, cert) || needs_a_question(cli, &found.key))) {
        return OK;
    }
    TRY(user_key_load(cli, &found.key, &private));
    const char *comment = found.key.comment[0] != '\0' ? found.key.comment : found.key.path;
    err_t err = agent_contents_add(agent, private, cert, comment, clock_now_s());
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "the agent did not take %s", found.key.path);
    }
    *path = TAKE(found.key.path);
    return OK;
}

err_t agent_load(struct cli *cli, struct agent_client *agent, const char *given, bool asked,
                 char **path) {
    struct trouble before = cli->trouble;
    err_t err = load(cli, agent, given, asked, path);
    if (!asked) {
        cli->trouble = before; /* a shell that starts has no use for it */
        return OK;
    }
    return err;
}
