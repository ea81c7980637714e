/* Which link of the way to a host is broken, in words, from what ssh said. Pure. */
#ifndef POSTERN_CLI_BROKEN_LINK_H
#define POSTERN_CLI_BROKEN_LINK_H

#include "cli/doctor/ssh_words.h"
#include "cli/trouble.h"

enum { WAY_HOPS_MAX = 4 };

/* The hops in their order: jump host, login host, node. */
struct way {
    const char *hops[WAY_HOPS_MAX];
    size_t count;
    const char *user; /* at the last; NULL: not told */
};

/* "the link from ela to nid001234 is broken: …", and what to type. */
err_t broken_link_tell(struct trouble *trouble, const struct way *way,
                       const struct ssh_verdict *verdict);
/* The reason alone, for one line about a link that was up. */
const char *broken_link_reason(const struct ssh_verdict *verdict);
/* That trying again will not mend it: who may go there has been decided. */
bool broken_link_is_final(const struct ssh_verdict *verdict);

#endif
