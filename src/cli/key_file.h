/* Finding the key that a person means: a private key file, its .pub, or a key that only an agent
 * holds. */
#ifndef POSTERN_CLI_KEY_FILE_H
#define POSTERN_CLI_KEY_FILE_H

#include "base/err.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "ssh/agent.h"
#include "ssh/key.h"
#include "ssh/private_key.h"

struct user_key {
    char *path;         /* of the private key, whether or not it is there */
    char *cert_path;    /* path-cert.pub */
    struct key *public; /* owned */
    char *comment;      /* of the public key; "" when none */
    bool has_private;   /* a private key file is at `path` */
    bool in_agent;      /* found in the agent, not in files */
};
void user_key_done(struct user_key *key);

/*
 * given: as typed, or the site's default; "~/" is expanded. The private key file is read only when
 * no public key file tells its public half. Also takes the comment or SHA256: fingerprint of an
 * agent's key; its files then stand in the folder of `otherwise`, as agent-FINGERPRINT.
 */
err_t user_key_find(struct cli *cli, const char *given, const char *otherwise,
                    struct user_key *out);
/* Just the two paths, for commands that need no key. */
err_t user_key_paths(const char *given, struct user_key *out);

/* Reads and inspects key->path. */
err_t user_key_inspect(struct cli *cli, const struct user_key *key, struct private_key_info *out);
/* Loads it, asking for the passphrase at the terminal when it is encrypted, three times at most. */
err_t user_key_load(struct cli *cli, const struct user_key *key, struct private_key **out);

/* Refuses a private key file without a passphrase where the site wants one. */
err_t user_key_demand_passphrase(struct cli *cli, const struct site *site,
                                 const struct user_key *key);

/* What a reader of a key file gets told: `err` about `path`, with what to type. */
err_t key_file_trouble(struct cli *cli, err_t err, const char *path);

/* True when the agent (if any) holds this blob. */
bool agent_holds(span_t blob);

#endif
