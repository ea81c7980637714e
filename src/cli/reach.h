/*
 * What an account reaches: the jump hosts, its clusters and the hosts inside. Told by the authority
 * and kept in $XDG_STATE_HOME/posterngate/SITE/reach.json, so that completion, tunnels, doctor and
 * config work without it.
 *
 * Every name, address and port here has been checked: names and addresses are as model/entity.h has
 * them, without blanks, quotes, wildcards or percent signs, and never begin with a hyphen.
 */
#ifndef POSTERN_CLI_REACH_H
#define POSTERN_CLI_REACH_H

#include <jansson.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "model/entity.h"

struct reach_cluster {
    const char *name;
    const char *address; /* as clients dial it; never "" */
    uint16_t port;
    enum node_access node_access;
    unsigned credentials; /* enum credentials */
};

struct reach_host {
    const char *name;
    const char *address; /* as clients dial it: the name where nothing else is told */
    uint16_t port;
    enum host_role role;
    const char *cluster; /* "" of a jump host */
};

struct reach {
    const char *username; /* NULL: nobody has signed in yet */
    int64_t fetched_at;   /* 0: nothing was fetched; clusters are then all of the site's */
    struct reach_host *jumps;
    size_t jump_count;
    struct reach_cluster *clusters;
    size_t cluster_count;
    struct reach_host *hosts; /* login and compute hosts of those clusters */
    size_t host_count;
    json_t *document; /* the texts above are borrowed from these two */
    json_t *kept;
};
void reach_freep(struct reach **reach);

enum {
    REACH_FRESH_S = 0,         /* asks the authority */
    REACH_USUAL_S = 5 * 60,    /* what is kept does when it is not older */
    REACH_OFFLINE_S = 1 << 30, /* what is kept does, and nobody is asked */
};

/*
 * What is kept when it is at most age_max_s old and of who is signed in now; else what the
 * authority says, which is kept from then on, the site's document too. Where it cannot be asked,
 * what is kept with a warning; where nobody is signed in and nothing is kept, the site's document
 * alone, with a warning. With REACH_OFFLINE_S there are no warnings. Fails with trouble when the
 * site's CA keys changed or a value makes no sense.
 */
err_t reach_open(struct cli *cli, struct site *site, int64_t age_max_s, struct reach **out);

/*
 * Pure: a site's document and what reach.json keeps (NULL: nothing), judged. Takes no references.
 * ERR_PROTOCOL with a fault that names the member.
 */
err_t reach_judge(const json_t *document, const json_t *kept, struct reach **out,
                  struct fault *fault);

/* By name, or by address; NULL when there is none. */
const struct reach_cluster *reach_find_cluster(const struct reach *reach, const char *name);
const struct reach_host *reach_find_jump(const struct reach *reach, const char *name);
/* Jump hosts too. */
const struct reach_host *reach_find_host(const struct reach *reach, const char *name);

#endif
