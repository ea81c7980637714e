/*
 * What a certificate file says of itself, held against the key beside it and the site's CAs. Asks
 * nobody: neither the authority nor the agent.
 */
#ifndef POSTERN_CLI_LOOK_H
#define POSTERN_CLI_LOOK_H

#include "cli/keys/key_file.h"
#include "ssh/cert.h"

/* The worst thing found decides, in this order. */
enum look_state {
    LOOK_UNKNOWN,
    LOOK_MISSING,
    LOOK_MISMATCH,   /* for another key than the one beside it */
    LOOK_FOREIGN_CA, /* signed by a CA that the site does not use */
    LOOK_NOT_YET,
    LOOK_EXPIRED,
    LOOK_VALID,
};

enum look_key { LOOK_KEY_MISSING, LOOK_KEY_MATCHES, LOOK_KEY_DIFFERS };

struct look {
    enum look_state state;
    enum look_key key; /* the .pub file beside the certificate */
    struct cert *cert; /* owned; NULL when missing */
};
void look_done(struct look *look);

/* Of key->cert_path; of `key` just the paths need be known (user_key_paths()). With site NULL any
 * CA will do. A file that cannot be read or understood is trouble. */
err_t certificate_look(struct cli *cli, const struct site *site, const struct user_key *key,
                       struct look *out);

/* --json's "status": "valid", "missing", "mismatch", "foreign_ca", "not_yet_valid", "expired". */
const char *look_name(enum look_state state);
/* "for another key than the one beside it" */
const char *look_text(enum look_state state);

#endif
