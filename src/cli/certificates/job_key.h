/* A key for one job alone, and where it leads: postern sign --job. */
#ifndef POSTERN_CLI_JOB_KEY_H
#define POSTERN_CLI_JOB_KEY_H

#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"

struct job_key {
    char *job;       /* "1234@nancy" */
    char *principal; /* of its certificate: "job:1234@nancy" */
    char *path;      /* of the private key */
    char *user;      /* who one is on its nodes */
    char *place;     /* its first node, or its own address */
    long long port;
};
void job_key_done(struct job_key *key);

/*
 * Finds the job of the caller's that `name` ("1234", "1234@nancy") means. The key is `given`, or
 * (NULL) one beside the site's default key, which is made where there is none: a key that has
 * another certificate, or is registered, would let ssh in by that one first, and the session would
 * belong to the newest job. So a `given` one that has a certificate for anything else is refused.
 */
err_t job_key_prepare(struct cli *cli, const struct site *site, struct api *api, const char *name,
                      const char *given, struct job_key *out);

/* How to use it, through the site's first jump host. */
void job_key_tell(const struct job_key *key, const struct site *site);

#endif
