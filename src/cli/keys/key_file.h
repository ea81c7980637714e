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

/*
 * Loads the bytes of the private key file at `path`, asking for its passphrase as above.
 * *comment and *passphrase may be NULL; the caller frees the one and wipes the other, which is
 * empty when the file needs none.
 */
err_t key_file_load(struct cli *cli, const char *path, span_t file, struct private_key **out,
                    char **comment, secret_t *passphrase);

/* --rounds of bcrypt, or how many there are otherwise. */
err_t key_rounds(struct cli *cli, const struct arguments *arguments, uint32_t *out);

/* Refuses, with what else to type, when there is a file at path or path.pub. */
err_t key_pair_check_free(struct cli *cli, const char *path);
/* Writes a private key file (0600) and the line of its public half (path.pub, 0644), and makes the
 * folder (0700). Replaces what is there only by force. */
err_t key_pair_put(struct cli *cli, const char *path, span_t file, const struct key *key,
                   const char *comment, bool force);

/* Refuses a private key file without a passphrase where the site wants one. */
err_t user_key_demand_passphrase(struct cli *cli, const struct site *site,
                                 const struct user_key *key);

/* What a reader of a key file gets told: `err` about `path`, with what to type. */
err_t key_file_trouble(struct cli *cli, err_t err, const char *path);

/* True when the agent (if any) holds this blob. */
bool agent_holds(span_t blob);

#endif
