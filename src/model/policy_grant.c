#include "model/policy_grant.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"

/* ---- approving ---- */

static struct decision judge_approver(const struct policy *policy,
                                      const struct approval_facts *facts,
                                      const struct sign_facts *sign) {
    if (!policy->grants_allowed) {
        return decision_refuse(DECISION_grants_refused, "",
                               "automation grants are not given here; ask the administrators");
    }
    if (!facts->by_person || sign->account == NULL || sign->account->kind != ACCOUNT_PERSON) {
        return decision_refuse(DECISION_not_permitted, "",
                               "only a person who signed in with a second factor approves a grant, "
                               "and no API key or other grant; run: postern login");
    }
    if (sign->now - facts->signed_in_at > LIMIT_SIGN_IN_S || facts->signed_in_at > sign->now) {
        char text[DURATION_CHARS];
        duration_print(LIMIT_SIGN_IN_S, text);
        return decision_refuse(DECISION_sign_in_needed, "",
                               "a grant lasts, so it asks for a sign-in of the last %s; sign in "
                               "again: postern login",
                               text);
    }
    return (struct decision){.allowed = true, .code = DECISION_allowed};
}

static struct decision judge_grant(const struct policy *policy, const struct key *key,
                                   const struct approval_facts *facts, int64_t now,
                                   const struct grant *asked) {
    if (key_is_security_key(key)) {
        return decision_refuse(DECISION_key_type_refused, "publicKey",
                               "a security key wants to be touched, which nobody does for a "
                               "machine; give it a key of its own: ssh-keygen -t ed25519");
    }
    if (asked->expires_at <= now || asked->expires_at - now > policy->grant_max_s) {
        char text[DURATION_CHARS];
        duration_print(policy->grant_max_s, text);
        return decision_refuse(DECISION_expiry_refused, "expireTime",
                               "a grant ends in the future, and within %s", text);
    }
    if (facts->unreached != NULL) {
        return decision_refuse(DECISION_clusters_refused, "clusters",
                               "none of your projects reaches %.64s; see: postern whoami",
                               facts->unreached);
    }
    return (struct decision){.allowed = true, .code = DECISION_allowed};
}

static struct bounds bounds_of(const struct grant *grant) {
    return (struct bounds){.what = "grant",
                           .clusters = grant->clusters,
                           .subnets = grant->subnets,
                           .duration_max_s = grant->duration_s,
                           .expires_at = grant->expires_at};
}

static struct sign_request request_of(const struct grant *grant, const struct key *key) {
    return (struct sign_request){.key = key,
                                 .duration_s = grant->duration_s,
                                 .force_command =
                                     grant->force_command[0] == '\0' ? NULL : grant->force_command};
}

struct decision policy_approve(const struct policy *policy, const struct key *key,
                               const struct approval_facts *facts, const struct sign_facts *sign,
                               struct grant *asked) {
    struct decision decision = judge_approver(policy, facts, sign);
    if (decision.allowed) {
        decision = judge_grant(policy, key, facts, sign->now, asked);
    }
    if (!decision.allowed) {
        return decision;
    }
    /* What signing itself would refuse is refused now, while somebody is there to read why; but
     * the approver may sit elsewhere than the machine, and no quota is used up. */
    struct sign_facts now = *sign;
    struct sign_request request = request_of(asked, key);
    struct sign_grant granted;
    now.bounds = NULL;
    now.key_has_valid = true;
    request.subnets = &asked->subnets;
    decision = policy_sign(policy, &request, &now, &granted);
    if (decision.allowed) {
        asked->duration_s = granted.valid_before - sign->now;
    }
    return decision;
}

/* ---- renewing ---- */

static struct decision judge_proof(const struct policy *policy, const struct grant *grant,
                                   int64_t proof_ms, int64_t now_ms) {
    int64_t ahead_s = proof_ms / 1000 - now_ms / 1000;
    if (!policy->grants_allowed || grant->revoked_at != 0 || grant->expires_at <= now_ms / 1000) {
        return decision_refuse(DECISION_grant_ended, "",
                               "this grant was revoked or has ended; approve another: postern "
                               "grant create");
    }
    if (llabs(ahead_s) > LIMIT_GRANT_CLOCK_S) {
        return decision_refuse(DECISION_proof_refused, "time",
                               "this machine's clock is %" PRId64 " seconds %s the authority's; "
                               "set it: chronyc makestep, or timedatectl set-ntp true",
                               (int64_t)llabs(ahead_s), ahead_s > 0 ? "ahead of" : "behind");
    }
    if (proof_ms <= grant->last_proof_ms) {
        return decision_refuse(DECISION_proof_refused, "time",
                               "a proof of this time or a later one was used already; try again");
    }
    return (struct decision){.allowed = true, .code = DECISION_allowed};
}

struct decision policy_renew(const struct policy *policy, const struct grant *grant,
                             const struct key *key, int64_t proof_ms, int64_t now_ms,
                             struct sign_facts facts, struct sign_grant *out) {
    struct decision decision = judge_proof(policy, grant, proof_ms, now_ms);
    if (!decision.allowed) {
        return decision;
    }
    const struct bounds bounds = bounds_of(grant);
    const struct sign_request request = request_of(grant, key);
    facts.bounds = &bounds;
    facts.key_has_valid = true;
    return policy_sign(policy, &request, &facts, out);
}

err_t grant_proof_put(const char *site, const char *account, int64_t time_ms, struct buf *out) {
    return buf_add_format(out,
                          "posterngate grant renewal\nsite: %s\naccount: %s\ntime: %" PRId64 "\n",
                          site, account, time_ms);
}
