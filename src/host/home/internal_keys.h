/*
 * Internal keys: what `postern-host internal-keys` does on a frontend.
 *
 * For every account that reaches the frontend's cluster and is a local user with a home, it keeps a
 * pair without passphrase in ~/.ssh, whose public half it registers with the authority. The private
 * half is in STATE/internal/ACCOUNT as well, so that what a user touches is written again as it
 * was.
 *
 * Several frontends may share the homes or not, and do not know it. Each registers a key of its own
 * at most; and each leaves alone a pair whose public half is registered for the account, whoever
 * made it. So who comes second finds nothing to do, and who is wrong writes once: nobody writes
 * over a registered key.
 */
#ifndef POSTERN_HOST_INTERNAL_KEYS_H
#define POSTERN_HOST_INTERNAL_KEYS_H

#include "host/home/home.h"
#include "host/sync_host.h"

struct internal_facts {
    bool home_registered; /* the key in the home is one of the account's internal keys */
    bool home_is_kept;    /* it is the one that is kept here */
    bool kept_registered; /* there is one that is kept here, and registered as far as we know */
};
enum internal_step {
    INTERNAL_NOTHING,
    INTERNAL_WRITE, /* the one that is kept here into the home */
    INTERNAL_MAKE,  /* a new one: registered, kept, and written */
};
enum internal_step internal_decide(const struct internal_facts *facts);

struct keeper;
/* One on a machine: ERR_BUSY. */
err_t keeper_open(const struct config *config, const struct identity *identity, struct keeper **out,
                  struct fault *fault);
void keeper_free(struct keeper *keeper);
void keeper_freep(struct keeper **keeper);
/*
 * Looks at as many accounts as `max` says, going round: at those first that the replica told
 * something new of. What fails for one account is logged, and tried again later; ERR_… is of the
 * replica.
 */
err_t keeper_run(struct keeper *keeper, size_t max);
/* Whether some were not looked at since the replica told of them. */
bool keeper_has_news(const struct keeper *keeper);

#endif
