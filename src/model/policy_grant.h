/*
 * Automation grants: what a person may approve that a machine does unattended, and what the machine
 * then gets. Approving asks for more than any other act of an account, since what is approved lasts
 * without it.
 */
#ifndef POSTERN_MODEL_POLICY_GRANT_H
#define POSTERN_MODEL_POLICY_GRANT_H

#include "model/policy.h"

/* Who approves, besides what signing asks of an account. */
struct approval_facts {
    bool by_person;        /* signed in with a second factor, and by nothing that lasts: neither an
                              API key nor a grant */
    int64_t signed_in_at;  /* when the second factor was shown */
    const char *unreached; /* one of the clusters that the account does not reach; NULL: none */
};

/*
 * `asked` has what is asked for: clusters, networks, forced command, duration_s (0: the site's
 * default, which is set) and expires_at. It could be used at once, from `sign->source` or not.
 */
struct decision policy_approve(const struct policy *policy, const struct key *key,
                               const struct approval_facts *facts, const struct sign_facts *sign,
                               struct grant *asked);

/*
 * A renewal, whose proof has been verified as the key's: when it says that it was made. `facts` are
 * those of signing, but for the bounds, which the grant is. Certificates do not count, and none
 * outlasts the grant. On success the caller keeps proof_ms as grant->last_proof_ms in the
 * transaction of the certificate, so that no proof is good twice.
 */
struct decision policy_renew(const struct policy *policy, const struct grant *grant,
                             const struct key *key, int64_t proof_ms, int64_t now_ms,
                             struct sign_facts facts, struct sign_grant *out);

/*
 * What the machine signs (ssh/sshsig.h) under GRANT_PROOF_NAMESPACE, the text
 *
 *   posterngate grant renewal
 *   site: cscs
 *   account: alice        (nothing after the colon: whichever approved this key)
 *   time: 1790000000000   (milliseconds since 1970)
 */
#define GRANT_PROOF_NAMESPACE "renewal@posterngate"
err_t grant_proof_put(const char *site, const char *account, int64_t time_ms, struct buf *out);

#endif
