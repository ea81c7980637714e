/*
 * The text of an ssh configuration (ssh_config(5)) for what an account reaches. Pure.
 *
 *   each jump host      by its name
 *   each cluster        by its name, through the jump host
 *   each login host     by its name
 *   compute hosts       by patterns, digits being any: nid001234 gives nid??????; a name that would
 *                       leave too little of itself stands as it is
 *   job-*               one's running jobs, as a gate knows them; OpenSSH from 8.5 on asks
 *                       `postern known-hosts --for` for the key of the host that is meant
 *   NAME.suffix         where there is a suffix: every cluster, login host and compute host by a
 *                       block of its own, so that no shell has to cut the suffix off
 *
 * Nothing but `IgnoreUnknown` stands outside of Host and Match blocks, and no line is longer than
 * LIMIT_SSH_CONFIG_LINE_CHARS. The jump host's block has the identity too: what the command line
 * says does not reach that hop.
 */
#ifndef POSTERN_CLI_SSH_CONFIG_H
#define POSTERN_CLI_SSH_CONFIG_H

#include "base/err.h"
#include "base/span.h"
#include "cli/config/ssh_version.h"
#include "cli/reach.h"

/* Paths may begin with "~/", which ssh expands. Optional ones are NULL. */
struct ssh_config_options {
    struct ssh_version ssh;
    const char *site;
    const char *username; /* of the account; optional */
    const char *key_file;
    const char *known_hosts;      /* the site's own */
    const char *user_known_hosts; /* looked at after it; optional */
    const char *refresh; /* program that renews the certificate, called before a login; optional */
    const char *refresh_key;    /* that it renews for, where it is not the site's; optional */
    const char *postern;        /* this program, asked for the keys of a job's host; optional */
    const char *control_path;   /* for ControlPath: connections are shared; optional */
    const char *suffix;         /* optional */
    const char *ignore_unknown; /* options of which the person's own file says the same; optional */
    const char *own_path;    /* the file that this is, where ssh is run with -F and it; optional */
    const char *const *hops; /* the way in: hosts of the person's own, then the site's jump hosts */
    size_t hop_count;        /* 0: the site's first jump host */
    bool through_login;      /* to compute hosts through their cluster's login host */
    bool forward_agent;
    bool gssapi;
};

/*
 * Appends. A value that ssh's file cannot hold or that would mean something else there is refused:
 * ERR_MALFORMED with a fault that names the option. ERR_NOT_FOUND for a hop that is no jump host of
 * the site behind one that is.
 */
err_t ssh_config_write(const struct reach *reach, const struct ssh_config_options *options,
                       struct buf *out, struct fault *fault);

/* The name by which the configuration knows the last hop before the clusters; NULL without one. */
const char *ssh_config_jump(const struct reach *reach, const struct ssh_config_options *options);

#endif
